/* The runner: carries out what the core decides. Inputs go into a run, its effects come out: events into the
 * store, operations to agents, news to watchers. That an event is durable before the operation that it
 * announces leaves is the store's commit at the end of the turn, before any frame; nothing here waits for it.
 *
 * See runner.h. Calls to agents are in runner_calls.c, what is read from the store in runner_runs.c, watching
 * in runner_watch.c. */
#include "controller/runner.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/runner_internal.h"

struct live *live_find(const runner *runner, const char *id)
{
        for (struct live *live = runner->live; live; live = live->next)
                if (text_equal(run_id(live->run), id))
                        return live;
        return NULL;
}

static struct live *live_free(struct live *live)
{
        if (!live)
                return NULL;
        run_free(live->run);
        free(live);
        return NULL;
}

/* What failed leaves memory and store apart: the program ends and recovers by reading. */
static int fatal(runner *runner, const char *what, const char *run, int code, const struct error *error)
{
        log_error("run %s: %s: %s; the controller ends and goes on from its journal", run, what,
                  error_text(error, code));
        runner->ended = true;
        runner->time.end(code, runner->time.userdata);
        return code;
}

/* --- effects ---------------------------------------------------------------------------------------------
 */

static int write_event(struct live *live, const struct run_effect *effect)
{
        cleanup_free char *json = NULL;
        int r = run_event_to_json(effect->event, &json);

        return r < 0 ? r
                     : store_journal_append(live->runner->store, run_id(live->run), effect->number,
                                            effect->event->clock_us, json);
}

static void tell_event(struct live *live, const struct run_effect *effect, const struct run_summary *summary,
                       struct run_news *news)
{
        news->event = effect->number;
        news->time_us = effect->event->clock_us;
        news->text = effect->event->text;
        news->step = effect->event->step;
        news->step_state = run_event_step_state(effect->event);
        news->progress_done = news->progress_total = 0;
        news->kind = run_event_kind_name(effect->event->kind);
        news->host = effect->event->host;
        news->figures = effect->event->figures;
        news->figure_count = effect->event->figure_count;
        news->summary = summary;
        runner_tell(live->runner, news);
}

/* The journal first, whole; then watchers hear of it. */
static int journal(struct live *live, const struct run_effects *effects)
{
        bool watched = runner_is_watched(live->runner, run_id(live->run));
        struct run_news news = {.run = run_id(live->run)};
        struct run_summary summary;
        size_t last = effects->count;

        for (size_t i = 0; i < effects->count; i++) {
                int r = effects->items[i].kind == EFFECT_JOURNAL ? write_event(live, &effects->items[i]) : 0;

                if (r < 0)
                        return r;
                if (effects->items[i].kind == EFFECT_JOURNAL)
                        last = i;
        }
        if (!watched || last == effects->count)
                return 0;
        run_left(live->run, runner_monotonic_us(live->runner), &news.left_low_us, &news.left_high_us);
        summary_of(live->run, &summary);
        for (size_t i = 0; i < effects->count; i++)
                if (effects->items[i].kind == EFFECT_JOURNAL)
                        tell_event(live, &effects->items[i],
                                   i == last && run_state(live->run) != live->told ? &summary : NULL, &news);
        return 0;
}

static void tell_progress(struct live *live, const struct run_effect *effect)
{
        struct run_news news = {
                .run = run_id(live->run),
                .time_us = runner_realtime_us(live->runner),
                .text = effect->text,
                .step = effect->step,
                .step_state = "",
                .kind = "",
                .host = "",
                .progress_done = effect->done,
                .progress_total = effect->total,
        };

        if (!runner_is_watched(live->runner, news.run))
                return;
        run_left(live->run, runner_monotonic_us(live->runner), &news.left_low_us, &news.left_high_us);
        runner_tell(live->runner, &news);
}

/* The newest reboot counts as much as all before it. */
static int learn_reboot(struct live *live, const struct run_effect *effect)
{
        struct store_reboot reboot = {.mean_us = effect->took_us, .spread_us = effect->took_us / 4};
        int r = store_reboot_get(live->runner->store, effect->host, &reboot);
        uint64_t mean_us = reboot.mean_us, took_us = effect->took_us;

        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0) {
                reboot.spread_us =
                        (reboot.spread_us + (took_us > mean_us ? took_us - mean_us : mean_us - took_us)) / 2;
                reboot.mean_us = (mean_us + took_us) / 2;
        }
        reboot.reboots++;
        return store_reboot_put(live->runner->store, effect->host, &reboot);
}

static int carry_out(struct live *live, const struct run_effect *effect)
{
        switch (effect->kind) {
        case EFFECT_OPERATE:
                return runner_operate(live, effect);
        case EFFECT_LEDGER:
                return runner_ask_ledger(live, effect);
        case EFFECT_PROGRESS:
                tell_progress(live, effect);
                return 0;
        case EFFECT_REBOOT:
                return learn_reboot(live, effect);
        case EFFECT_FINISHED:
                log_info("run %s has ended: %s", run_id(live->run), run_state_name(run_state(live->run)));
                return store_run_finish(live->runner->store, run_id(live->run),
                                        run_state_name(run_state(live->run)), run_finished_us(live->run));
        default:
                return 0;
        }
}

/* --- feeding ---------------------------------------------------------------------------------------------
 */

/* One alarm for all runs, at the first time that any of them waits for. */
static int arm(runner *runner)
{
        uint64_t first_us = UINT64_MAX;

        for (const struct live *live = runner->live; live; live = live->next)
                if (run_wake_us(live->run) < first_us)
                        first_us = run_wake_us(live->run);
        return runner->time.wake_at(runner, first_us, runner->time.userdata);
}

void runner_wake(runner *runner)
{
        uint64_t now_us = runner_monotonic_us(runner);
        int r = 0;

        for (struct live *live = runner->live; live && r >= 0; live = live->next) {
                struct run_input input = {.kind = INPUT_TICK};

                if (run_wake_us(live->run) <= now_us)
                        r = live_feed(live, &input, NULL);
        }
        runner_reap(runner);
        r = r < 0 ? r : arm(runner);
        if (r < 0 && !runner->ended)
                (void)fatal(runner, "cannot be woken", "", r, NULL);
}

int live_feed(struct live *live, struct run_input *input, struct error *error)
{
        cleanup_with(run_effects_clear) struct run_effects effects = {0};
        runner *runner = live->runner;
        struct error own = {0};
        int r;

        /* At the end of the program calls end and hosts go down: no news to a run that others will go on
         * with. */
        if (runner->ended || runner->time.has_ended(runner->time.userdata))
                return -ESHUTDOWN;
        input->now_us = runner_monotonic_us(runner);
        input->clock_us = runner_realtime_us(runner);
        r = run_apply(live->run, input, &effects, error ? error : &own);
        if (r == -EINVAL && input->kind == INPUT_STEER)
                return r;
        if (r < 0)
                return fatal(runner, "cannot go on", run_id(live->run), r, error ? error : &own);
        r = journal(live, &effects);
        live->told = run_state(live->run);
        for (size_t i = 0; i < effects.count && r >= 0; i++)
                r = carry_out(live, &effects.items[i]);
        if (r >= 0)
                r = arm(runner);
        return r < 0 ? fatal(runner, "cannot be written down", run_id(live->run), r, NULL) : 0;
}

int live_add(runner *runner, run *run, struct live **ret)
{
        struct live *live = calloc(1, sizeof(*live));

        if (!live)
                return -ENOMEM;
        live->runner = runner;
        live->run = run;
        live->told = run_state(run);
        live->next = runner->live;
        runner->live = live;
        *ret = live;
        return 0;
}

void runner_reap(runner *runner)
{
        struct live **link = &runner->live;

        while (*link) {
                struct live *live = *link;

                if (run_finished(live->run)) {
                        *link = live->next;
                        live_free(live);
                } else {
                        link = &live->next;
                }
        }
}

/* --- agents ----------------------------------------------------------------------------------------------
 */

static void feed_all(runner *runner, const struct agent_view *agent, enum run_input_kind kind)
{
        for (struct live *live = runner->live; live; live = live->next) {
                struct run_input input = {.kind = kind, .host = agent->name, .state = agent->state};

                if (live_feed(live, &input, NULL) < 0)
                        break;
        }
        runner_reap(runner);
}

static void on_up(const struct agent_view *agent, void *userdata)
{
        feed_all(userdata, agent, INPUT_HOST_UP);
}

static void on_down(const struct agent_view *agent, void *userdata)
{
        feed_all(userdata, agent, INPUT_HOST_DOWN);
}

static void on_changed(const struct agent_view *agent, void *userdata)
{
        feed_all(userdata, agent, INPUT_HOST_CHANGED);
}

int live_feed_hosts(struct live *live)
{
        for (size_t i = 0; i < agents_count(live->runner->agents); i++) {
                struct run_input input = {.kind = INPUT_HOST_UP};
                struct agent_view view;
                int r;

                agents_view(live->runner->agents, i, &view);
                if (!view.connected)
                        continue;
                input.host = view.name;
                input.state = view.state;
                input.age_us = runner_monotonic_us(live->runner) - view.came_us;
                r = live_feed(live, &input, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- the object ------------------------------------------------------------------------------------------
 */

DEFINE_CLEANUP(runner *, runner_free);

int runner_new_in(runner **ret, const struct runner_time *time, store *store, agents *agents,
                  struct error *error)
{
        cleanup_with(runner_freep) runner *runner = calloc(1, sizeof(*runner));
        int r;

        if (!runner) {
                if (time->free)
                        time->free(time->userdata);
                return -ENOMEM;
        }
        runner->time = *time;
        runner->store = store;
        runner->agents = agents;
        r = runner_resume(runner, error);
        if (r >= 0)
                r = agents_listen(agents, &(struct agents_listener){on_up, on_down, on_changed, runner});
        if (r < 0)
                return r;
        *ret = TAKE(runner);
        return 0;
}

int runner_new(runner **ret, sd_event *event, store *store, agents *agents, struct error *error)
{
        struct runner_time time;
        int r = runner_time_of(&time, event);

        return r < 0 ? r : runner_new_in(ret, &time, store, agents, error);
}

runner *runner_free(runner *runner)
{
        if (!runner)
                return NULL;
        while (runner->live) {
                struct live *live = runner->live;

                runner->live = live->next;
                live_free(live);
        }
        for (struct call *call = runner->calls; call; call = call->next)
                call->runner = NULL;
        runner_unwatch_all(runner);
        if (runner->time.free)
                runner->time.free(runner->time.userdata);
        free(runner);
        return NULL;
}

/* --- starting and steering -------------------------------------------------------------------------------
 */

static void make_id(char kind, uint64_t realtime_us, char out[NAME_SIZE])
{
        time_t now = (time_t)(realtime_us / USEC_PER_SEC);
        struct tm broken = {0};
        size_t used;

        gmtime_r(&now, &broken);
        out[0] = kind;
        used = 1 + strftime(out + 1, NAME_SIZE - 1, "%Y%m%d-%H%M%S", &broken);
        snprintf(out + used, NAME_SIZE - used, "-%04x", (unsigned)randombytes_uniform(0x10000));
}

void runner_make_id(char kind, char out[NAME_SIZE])
{
        make_id(kind, time_realtime_us(), out);
}

int runner_host_free(const runner *runner, const char *host, struct error *error)
{
        char holder[NAME_SIZE];
        struct store_run run;
        int r = store_lock_holder(runner->store, host, holder);

        if (r == -ENOENT)
                return 0;
        if (r == 0)
                r = store_run_get(runner->store, holder, &run, NULL);
        if (r < 0)
                return error_set(error, r, "whether a run holds %s cannot be read", host);
        return error_set(error, -EBUSY, "run %s holds %s (a %s, started by %s); muster run watch %s", holder,
                         host, run.kind, run.user, holder);
}

static int add_to_store(runner *runner, const struct plan *plan, const char *user, char id[NAME_SIZE],
                        struct error *error)
{
        struct store_run stored = {.state = "running", .started_us = runner_realtime_us(runner)};
        cleanup_free const char **hosts = NULL;
        cleanup_free char *json = NULL;
        char holder[NAME_SIZE] = "";
        size_t count;
        int r = plan_to_json(plan, &json);

        if (r >= 0)
                r = plan_hosts(plan, &hosts, &count);
        if (r < 0)
                return r;
        make_id('r', stored.started_us, id);
        text_copy_cut(stored.id, sizeof(stored.id), id);
        text_copy_cut(stored.kind, sizeof(stored.kind), plan_kind_name(plan->kind));
        text_copy_cut(stored.scope, sizeof(stored.scope), plan->scope);
        text_copy_cut(stored.user, sizeof(stored.user), user);
        r = store_run_add(runner->store, &stored, json, hosts, count, holder);
        if (r == -EBUSY) {
                r = 0;
                for (size_t i = 0; i < count && r == 0; i++)
                        r = runner_host_free(runner, hosts[i], error);
                return r;
        }
        return r < 0 ? error_set(error, r, "the run could not be stored: %s", strerror(-r)) : 0;
}

int runner_start(runner *runner, struct plan **plan, const char *user, char ret_run[NAME_SIZE],
                 struct error *error)
{
        struct run_input input = {.kind = INPUT_START, .user = user};
        unsigned char random[(SEED_SIZE - 1) / 2];
        char seed[SEED_SIZE], id[NAME_SIZE];
        struct live *live;
        run *run;
        int r = plan_check(*plan, error);

        if (r >= 0)
                r = add_to_store(runner, *plan, user, id, error);
        if (r < 0)
                return r;
        r = run_new(&run, id, *plan, runner_monotonic_us(runner), error);
        if (r < 0) {
                (void)store_run_finish(runner->store, id, "failed", runner_realtime_us(runner));
                return r;
        }
        *plan = NULL;
        r = live_add(runner, run, &live);
        if (r < 0) {
                run_free(run);
                return fatal(runner, "cannot begin", id, r, NULL);
        }
        randombytes_buf(random, sizeof(random));
        text_hex(seed, random, sizeof(random));
        input.seed = seed;
        text_copy_cut(ret_run, NAME_SIZE, id);
        r = live_feed_hosts(live);
        if (r >= 0)
                r = live_feed(live, &input, error);
        runner_reap(runner);
        return r;
}

int runner_steer(runner *runner, const char *run, enum steer_action action, int step, const char *user,
                 const char *why, struct error *error)
{
        struct run_input input = {
                .kind = INPUT_STEER, .action = action, .step = step, .user = user, .text = why};
        struct live *live = live_find(runner, run);
        struct store_run stored;
        int r;

        if (live) {
                r = live_feed(live, &input, error);
                runner_reap(runner);
                return r;
        }
        r = store_run_get(runner->store, run, &stored, NULL);
        if (r == 0 && text_equal(stored.state, "running")) {
                if (action != STEER_ABORT && action != STEER_LEAVE)
                        return error_set(
                                error, -EINVAL,
                                "run %s cannot be read and can only be aborted, which lets go of its "
                                "hosts: 'muster run abort %s'",
                                run, run);
                log_warning("run %s, which cannot be read, is given up by %s: its hosts are free", run, user);
                return store_run_finish(runner->store, run, run_state_name(RUN_ABORTED),
                                        runner_realtime_us(runner));
        }
        if (r == 0)
                return error_set(error, -EINVAL, "run %s has ended (%s)", run, stored.state);
        return error_set(error, r, "there is no run '%s'; 'muster run ls' lists them", run);
}
