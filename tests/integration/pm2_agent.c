/* Drives the agent's operations on PM2 and its reader of homes, as the agent does, for test_pm2.sh.
 *
 *   pm2_agent USER HOME FOLDER op save|stop|restore|verify|release SNAPSHOT
 *   pm2_agent USER HOME FOLDER probe [COUNT]
 *
 * Prints progress on stderr, figures and the text on stdout. Exit: 0 done, 1 failed, 2 usage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/op/op.h"
#include "agent/probe/boot.h"
#include "agent/probe/probe.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SETTLE_US (3 * USEC_PER_SEC) /* the apps of the tests that fail do so at once */

struct run {
        sd_event *event;
        struct boot boot;
        int result;
        unsigned readings;
};

static void on_progress(struct op *op, uint64_t done, uint64_t total, const char *text)
{
        fprintf(stderr, "%" PRIu64 "/%" PRIu64 " %s\n", done, total, text);
}

static void on_finish(struct op *op, int result, const char *text)
{
        struct run *run = op->manager;

        for (size_t i = 0; i < op->figure_count; i++)
                printf("%s=%s\n", op->figures[i].name, op->figures[i].value);
        printf("%s: %s\n", result < 0 ? "failed" : "done", text);
        run->result = result < 0;
        sd_event_exit(run->event, 0);
}

static int run_op(struct run *run, const struct service_spec *spec, const char *folder, const char *name,
                  const char *snapshot)
{
        struct op op = {.event = run->event,
                        .folder = folder,
                        .boot = &run->boot,
                        .request = {.service = *spec, .deadline_us = 120000000},
                        .on_progress = on_progress,
                        .on_finish = on_finish,
                        .manager = run};
        const struct operation_type *type;
        struct error error = {0};
        sd_bus *bus = NULL;
        char full[64];
        int r;

        snprintf(full, sizeof(full), "pm2.%s", name);
        type = operation_type_named(full);
        if (!type || TEXT_COPY(op.request.snapshot, snapshot) < 0)
                return 2;
        op.request.kind = type->kind;
        op.request.settle_us = SETTLE_US;
        op.type = op_type_find(type->kind);
        /* As the agent has it: none where there is no systemd. */
        if (access("/run/systemd/system", F_OK) == 0 && sd_bus_open_system(&bus) >= 0 &&
            sd_bus_attach_event(bus, run->event, 0) >= 0)
                op.bus = bus;
        run->result = -1;
        r = op.type->start(&op, &error);
        if (r < 0) {
                printf("failed: %s\n", error_text(&error, r));
                return 1;
        }
        if (run->result < 0)
                sd_event_loop(run->event);
        sd_bus_flush_close_unref(bus);
        return run->result;
}

static void on_changed(probe_set *set, void *userdata)
{
        const struct agent_state *state = probe_set_state(set);
        struct run *run = userdata;
        const struct service_state *pm2;

        if (state->service_count == 0 || state->services[0].phase == PHASE_UNKNOWN)
                return;
        pm2 = &state->services[0];
        printf("%s: %s; snapshot=%s\n", service_phase_name(pm2->phase), pm2->detail, pm2->pm2.last_snapshot);
        for (size_t i = 0; i < pm2->pm2.app_count; i++)
                printf("%u %s %s restarts=%u up=%d\n", pm2->pm2.apps[i].pm_id, pm2->pm2.apps[i].name,
                       pm2->pm2.apps[i].status, pm2->pm2.apps[i].restarts, pm2->pm2.apps[i].uptime_ms > 0);
        if (--run->readings == 0)
                sd_event_exit(run->event, 0);
        else
                probe_set_refresh(set);
}

static int run_probe(struct run *run, const struct service_spec *spec, const char *folder)
{
        probe_set *set = NULL;
        int r = probe_set_new(&set, run->event, NULL, folder, 0, on_changed, run);

        if (r >= 0)
                r = probe_set_configure(set, spec, 1);
        if (r >= 0)
                sd_event_loop(run->event);
        probe_set_free(set);
        return r < 0;
}

int main(int argc, char **argv)
{
        struct service_spec spec = {.name = "apps", .kind = SERVICE_PM2, .address = "127.0.0.1"};
        struct run run = {.readings = 1};
        int result = 2;

        if (argc < 5 || TEXT_COPY(spec.user, argv[1]) < 0 || TEXT_COPY(spec.home, argv[2]) < 0 ||
            sd_event_new(&run.event) < 0 || probe_boot(&run.boot, NULL) < 0) {
                fprintf(stderr, "usage: pm2_agent USER HOME FOLDER op KIND SNAPSHOT | probe [COUNT]\n");
                return 2;
        }
        if (text_equal(argv[4], "op") && argc == 7) {
                result = run_op(&run, &spec, argv[3], argv[5], argv[6]);
        } else if (text_equal(argv[4], "probe")) {
                run.readings = argc > 5 ? (unsigned)atoi(argv[5]) : 1;
                result = run_probe(&run, &spec, argv[3]);
        }
        sd_event_unref(run.event);
        return result;
}
