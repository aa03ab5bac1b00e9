/* The reader of services that are nothing but a unit, and of units that lead to a Redis (a router). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/probe.h"
#include "agent/probe/redis_text.h"
#include "agent/probe/service_link.h"
#include "agent/probe/unit_phase.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/redis.h"

#define DEADLINE_USEC (2 * USEC_PER_SEC)

/* What is seen through a router. Each reading connects anew: a connection that stands leads where the router
 * sent it once, not where it sends others now. */
struct through {
        redis_link *link;
        struct service_state reading;
        unsigned pending;
        int failure;
};

enum service_phase unit_phase(const struct unit_state *unit, char *detail, size_t size)
{
        const char *enabled = unit->unit_file_state[0] ? unit->unit_file_state : "no unit file state";

        if (!unit->load_state[0]) {
                snprintf(detail, size, "systemd cannot be asked");
                return PHASE_UNKNOWN;
        }
        if (!unit->present) {
                snprintf(detail, size, "systemd does not know this unit");
                return PHASE_FAILED;
        }
        snprintf(detail, size, "%s (%s), %s", unit->active_state, unit->sub_state, enabled);
        if (text_equal(unit->active_state, "active"))
                return PHASE_READY;
        if (text_equal(unit->active_state, "activating") || text_equal(unit->active_state, "reloading"))
                return PHASE_STARTING;
        if (text_equal(unit->active_state, "failed"))
                return PHASE_FAILED;
        if (text_equal(unit->active_state, "deactivating"))
                return PHASE_DEGRADED;
        return PHASE_STOPPED;
}

static void judge(struct probe *probe, struct service_state *state, int failure)
{
        const struct redis_state *redis = &state->redis;
        const char *wanted = probe->spec.probe_run_id;

        if (failure < 0 || !redis->pong) {
                state->phase = PHASE_DEGRADED;
                if (redis->loading)
                        snprintf(state->detail, sizeof(state->detail),
                                 "active; the Redis behind it is loading");
                else
                        snprintf(state->detail, sizeof(state->detail), "active; no PONG through port %u%s%s",
                                 probe->spec.probe_port, redis->error[0] || failure < 0 ? ": " : "",
                                 redis->error[0] ? redis->error
                                 : failure < 0   ? strerror(-failure)
                                                 : "");
        } else if (wanted[0] && !text_equal(wanted, redis->run_id)) {
                state->phase = PHASE_DEGRADED;
                snprintf(state->detail, sizeof(state->detail), "active; leads to run_id %.12s…, not %.12s…",
                         redis->run_id, wanted);
        } else {
                snprintf(state->detail, sizeof(state->detail), "%s (%s), %s; leads to %s, run_id %.12s…",
                         state->unit.active_state, state->unit.sub_state, state->unit.unit_file_state,
                         redis->role[0] ? redis->role : "?", redis->run_id);
        }
}

static void answered(struct probe *probe)
{
        struct through *through = probe->state;
        struct service_state state = through->reading;

        if (--through->pending > 0)
                return;
        state.unit = probe->unit;
        judge(probe, &state, through->failure);
        through->link = redis_link_free(through->link);
        through->reading = (struct service_state){0};
        probe_done(probe, &state);
}

/* Not what was asked for: loading, no login, or no Redis at all. */
static void refused(struct probe *probe, const redisReply *reply)
{
        struct through *through = probe->state;
        struct redis_state *state = &through->reading.redis;

        if (reply->type != REDIS_REPLY_ERROR)
                through->failure = -EPROTO;
        else if (!state->error[0])
                service_link_advice(state->error, sizeof(state->error), through->link, reply->str,
                                    &probe->spec, probe->agent_folder);
}

static void on_info(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct through *through = probe->state;

        if (result < 0)
                through->failure = result;
        else if (reply->type == REDIS_REPLY_STRING)
                redis_text_info(&through->reading.redis, reply->str);
        else
                refused(probe, reply);
        answered(probe);
}

static void on_ping(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct probe *probe = userdata;
        struct through *through = probe->state;

        if (result < 0)
                through->failure = result;
        else if (reply->type == REDIS_REPLY_STATUS)
                through->reading.redis.pong = text_equal(reply->str, "PONG");
        else
                refused(probe, reply);
        answered(probe);
}

static void ask_both(struct probe *probe)
{
        struct through *through = probe->state;
        int r;

        through->failure = 0;
        through->reading = (struct service_state){.phase = PHASE_READY};
        through->pending = 1; /* our own hand on it while asking */
        r = redis_link_ask(through->link, (const char *const[]){"INFO"}, 1, DEADLINE_USEC, on_info, probe);
        if (r == 0) {
                through->pending++;
                r = redis_link_ask(through->link, (const char *const[]){"PING"}, 1, DEADLINE_USEC, on_ping,
                                   probe);
                if (r == 0)
                        through->pending++;
        }
        if (r < 0)
                through->failure = r;
        answered(probe);
}

static int look_through(struct probe *probe)
{
        struct service_state state = {.phase = PHASE_UNKNOWN};
        struct error error = {0};
        struct through *through;
        int r;

        if (!probe->state)
                probe->state = calloc(1, sizeof(*through));
        through = probe->state;
        if (!through)
                return -ENOMEM;
        r = service_link_new(&through->link, probe->event, &probe->spec, probe->agent_folder, &error);
        if (r < 0) {
                text_copy_cut(state.detail, sizeof(state.detail), error_text(&error, r));
                probe_done(probe, &state);
                return 0;
        }
        ask_both(probe);
        return 0;
}

static int read_unit(struct probe *probe)
{
        struct service_state state = {0};

        state.phase = unit_phase(&probe->unit, state.detail, sizeof(state.detail));
        if (state.phase == PHASE_READY && probe->spec.probe_port)
                return look_through(probe);
        probe_done(probe, &state);
        return 0;
}

static void cancel_unit(struct probe *probe)
{
        struct through *through = probe->state;

        if (!through)
                return;
        redis_link_free(through->link);
        free(through);
        probe->state = NULL;
}

const struct probe_reader probe_unit = {SERVICE_UNIT, read_unit, cancel_unit};
