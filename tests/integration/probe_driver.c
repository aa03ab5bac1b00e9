/* Watches services given on the command line as the agent would, and prints a line for each change:
 *   NAME PHASE READY_MS DONE/TOTAL DETAIL
 *
 *   probe_driver [--until PHASE] [--seconds N] [--folder DIR] KIND:NAME:PORT[:ROLE][:unit=UNIT]… …
 *
 * Further words of a service: socket=PATH, run_id=ID. DIR is the agent's folder, with its redis-logins.
 * Exit 0 once every service is in PHASE (default ready), 1 when the seconds (default 30) are over first. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/probe/probe.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SPECS_MOST 16

struct driver {
        sd_event *event;
        const char *until;
};

static int parse_spec(struct service_spec *spec, char *text)
{
        char *save = NULL, *kind = strtok_r(text, ":", &save), *name = strtok_r(NULL, ":", &save);
        char *port = strtok_r(NULL, ":", &save), *more;
        uint64_t number;

        if (!port || text_to_u64(port, &number) < 0 || number > UINT16_MAX || TEXT_COPY(spec->name, name) < 0)
                return -1;
        spec->kind = service_kind_parse(kind);
        spec->port = (uint16_t)number;
        TEXT_COPY(spec->address, "127.0.0.1");
        while ((more = strtok_r(NULL, ":", &save))) {
                if (text_equal(more, "master"))
                        spec->role = REDIS_MASTER;
                else if (text_equal(more, "replica"))
                        spec->role = REDIS_REPLICA;
                else if (text_starts(more, "unit="))
                        TEXT_COPY(spec->unit, more + strlen("unit="));
                else if (text_starts(more, "socket="))
                        TEXT_COPY(spec->socket, more + strlen("socket="));
                else if (text_starts(more, "run_id="))
                        TEXT_COPY(spec->probe_run_id, more + strlen("run_id="));
        }
        if (spec->kind == SERVICE_UNIT) {
                spec->probe_port = spec->port;
                spec->port = 0;
        }
        return service_spec_check(spec);
}

static void on_changed(probe_set *set, void *userdata)
{
        struct driver *driver = userdata;
        const struct agent_state *state = probe_set_state(set);
        bool all = true;

        printf("host boot=%s pid1=%" PRIu64 " memory=%" PRIu64 " disks=%zu failed=%zu agent=%s\n",
               state->host.boot_id, state->host.pid1_start_ticks, state->host.memory_total,
               state->host.disk_count, state->host.failed_unit_count, state->host.agent_enabled);
        for (size_t i = 0; i < state->service_count; i++) {
                const struct service_state *service = &state->services[i];

                printf("%s %s %" PRIu64 " %" PRIu64 "/%" PRIu64 " base=%" PRIu64 " incremental=%" PRIu64
                       " unit=%s/%s %s\n",
                       service->name, service_phase_name(service->phase), service->ready_for_ms,
                       service->progress_done, service->progress_total, service->redis.base_bytes,
                       service->redis.incremental_bytes, service->unit.active_state,
                       service->unit.unit_file_state, service->detail);
                all = all && text_equal(service_phase_name(service->phase), driver->until);
        }
        fflush(stdout);
        if (all)
                sd_event_exit(driver->event, 0);
}

static int on_late(sd_event_source *source, uint64_t now_us, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 1);
}

int main(int argc, char **argv)
{
        static const struct option options[] = {{"until", required_argument, NULL, 'u'},
                                                {"seconds", required_argument, NULL, 's'},
                                                {"folder", required_argument, NULL, 'f'},
                                                {NULL, 0, NULL, 0}};
        struct driver driver = {.until = "ready"};
        const char *folder = "/nonexistent";
        struct service_spec specs[SPECS_MOST] = {0};
        size_t count = 0;
        uint64_t seconds = 30;
        probe_set *set = NULL;
        sd_bus *bus = NULL;
        int option, r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == 'u')
                        driver.until = optarg;
                else if (option == 'f')
                        folder = optarg;
                else if (option != 's' || text_to_u64(optarg, &seconds) < 0)
                        return 2;
        }
        for (; optind < argc && count < SPECS_MOST; optind++)
                if (parse_spec(&specs[count++], argv[optind]) < 0) {
                        fprintf(stderr, "probe_driver: %s is not KIND:NAME:PORT…\n", argv[optind]);
                        return 2;
                }
        if (sd_event_new(&driver.event) < 0)
                return 2;
        if (sd_bus_open_system(&bus) < 0 || sd_bus_attach_event(bus, driver.event, 0) < 0)
                bus = NULL;
        r = probe_set_new(&set, driver.event, bus, folder, 0, on_changed, &driver);
        if (r >= 0)
                r = probe_set_configure(set, specs, count);
        if (r >= 0)
                r = sd_event_add_time_relative(driver.event, NULL, CLOCK_BOOTTIME, seconds * USEC_PER_SEC, 0,
                                               on_late, NULL);
        if (r >= 0)
                r = sd_event_loop(driver.event);
        if (r < 0)
                fprintf(stderr, "probe_driver: %s\n", strerror(-r));
        probe_set_free(set);
        sd_bus_flush_close_unref(bus);
        sd_event_unref(driver.event);
        return r < 0 ? 2 : r;
}
