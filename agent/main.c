/* muster-agent: reports what stands on this host and does operations on it, for its controller alone. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/ledger.h"
#include "agent/operations.h"
#include "agent/probe/boot.h"
#include "agent/probe/probe.h"
#include "agent/service.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"
#include "common/loop/daemon.h"
#include "common/rpc/join.h"

#define DEFAULT_FOLDER "/var/lib/muster-agent"

#define LOOK_US        (2 * USEC_PER_SEC)  /* to see why the agent is to end */
#define LINGER_STEP_US (10 * USEC_PER_SEC) /* without news of a shutdown it is not waited for any longer */
#define LINGER_MOST_US (15 * 60 * USEC_PER_SEC)

struct agent {
        struct agent_service service; /* first: what the node's handlers take their userdata for */
        const char *folder;
        sd_event *event;
        sd_bus *bus;
        probe_set *probes;
        ledger *ledger;
        operations *operations;
        rpc_node *node;
        struct boot boot;
        sd_event_source *patience; /* while the end waits for what the probes see */
        uint64_t ending_us;        /* when the agent was told to end; monotonic, 0 not */
        bool connected;
        bool refused; /* already said so: the controller does not know us */
};

static void usage(FILE *out)
{
        fputs("muster-agent [--state DIR] [--verbose]        run (usually by systemd)\n"
              "muster-agent join LINE [--state DIR]          join a fleet; LINE is from `muster host "
              "invite`\n"
              "\n"
              "  --state DIR   keys, ledger and snapshots (default " DEFAULT_FOLDER ")\n"
              "  --verbose     log more\n"
              "  --version\n",
              out);
}

static int on_impatience(sd_event_source *source, uint64_t now_us, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* An agent that ends because its host goes down stays for as long as stops of others are running, and says
 * so: a shutdown that hangs is one that its controller can see. Nothing waits for it that would not wait
 * anyway, for what has to end after it has no running stop. */
static void end_or_linger(struct agent *agent)
{
        const struct host_state *host = &probe_set_state(agent->probes)->host;

        if (agent->connected && host->stopping && host->facts.stopping_count &&
            time_monotonic_us() - agent->ending_us < LINGER_MOST_US) {
                sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu\nSTATUS=waiting for %s, like the shutdown",
                           LINGER_STEP_US, host->facts.stopping[0]);
                agent->patience = sd_event_source_disable_unref(agent->patience);
                if (sd_event_add_time_relative(agent->event, &agent->patience, CLOCK_BOOTTIME, LINGER_STEP_US,
                                               USEC_PER_SEC, on_impatience, agent) >= 0)
                        return;
        }
        sd_event_exit(agent->event, 0);
}

/* Why it is to end, the probes tell; the second time it ends at once. */
static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct agent *agent = userdata;

        if (agent->ending_us || !agent->bus || !agent->connected ||
            sd_event_add_time_relative(agent->event, &agent->patience, CLOCK_BOOTTIME, LOOK_US, USEC_PER_MSEC,
                                       on_impatience, agent) < 0)
                return sd_event_exit(agent->event, 0);
        agent->ending_us = time_monotonic_us();
        sd_notify(0, "STOPPING=1");
        probe_set_look_at_host(agent->probes);
        return 0;
}

/* That a shutdown has begun is told before anybody has looked what it waits for. */
static bool has_looked_since(const struct agent *agent, uint64_t time_us)
{
        const struct host_state *host = &probe_set_state(agent->probes)->host;

        return time_monotonic_us() - host->facts.looked_ms * USEC_PER_MSEC >= time_us;
}

static void on_changed(probe_set *set, void *userdata)
{
        struct agent *agent = userdata;

        agent_service_changed(&agent->service);
        if (agent->ending_us && has_looked_since(agent, agent->ending_us))
                end_or_linger(agent);
}

static void on_up(rpc_peer *peer, void *userdata)
{
        struct agent *agent = userdata;

        agent->refused = false;
        agent->connected = true;
        log_info("connected to the controller as %s", rpc_peer_name(peer));
        sd_notifyf(0, "STATUS=connected as %s", rpc_peer_name(peer));
}

static void on_down(rpc_peer *peer, const char *reason, void *userdata)
{
        struct agent *agent = userdata;

        agent->connected = false;
        log_info("the link to the controller ended: %s", reason);
        sd_notify(0, "STATUS=not connected");
}

static void on_failed(enum rpc_status code, const char *text, void *userdata)
{
        struct agent *agent = userdata;

        if (code == RPC_UNAVAILABLE) {
                log_debug("the controller cannot be reached: %s", text);
                return;
        }
        if (!agent->refused)
                log_error("the controller refused this host: %s", text);
        agent->refused = true;
}

/* The system bus is how units are seen and worked. Where systemd runs, an agent without it is no use: it ends
 * and is started again. Elsewhere it goes on and says so. */
static int open_bus(struct agent *agent, struct error *error)
{
        int r = sd_bus_open_system(&agent->bus);

        if (r < 0 && sd_booted() > 0)
                return error_set(error, r, "cannot connect to the system bus: %s; is dbus running?",
                                 strerror(-r));
        if (r < 0) {
                log_warning("no system bus (%s): units cannot be seen or worked on", strerror(-r));
                agent->bus = NULL;
                return 0;
        }
        r = sd_bus_attach_event(agent->bus, agent->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(agent->bus, true);
        return r;
}

/* An id that proves nothing is told by the probes; a folder that takes no record, by the ledger. */
static int look_at_boot(struct agent *agent, struct error *error)
{
        int r = probe_boot(&agent->boot, error);

        if (r == 0 && agent->bus && sd_booted() > 0)
                r = probe_boot_userspace(&agent->boot.userspace_us, agent->bus, error);
        if (r < 0)
                return r;
        (void)probe_boot_check(agent->folder, &agent->boot, NULL);
        return 0;
}

static int open_ledger(struct agent *agent, struct error *error)
{
        int r = ledger_open(&agent->ledger, agent->folder, agent->boot.id, error);

        if (r == 0 && ledger_damaged(agent->ledger))
                log_warning(
                        "%zu damaged lines of the ledger in %s: an operation that is asked for and is not "
                        "there counts as interrupted",
                        ledger_damaged(agent->ledger), agent->folder);
        return r;
}

static int connect_controller(struct agent *agent, struct error *error)
{
        struct rpc_node_events events = {.up = on_up, .down = on_down};
        struct rpc_dial_options options = {.failed = on_failed, .userdata = agent};
        struct identity identity;
        struct noise_keypair key;
        char path[PATH_SIZE + 16];
        const struct rpc_method *methods;
        size_t count;
        int r;

        snprintf(path, sizeof(path), "%s/identity", agent->folder);
        r = identity_read(&identity, path, error);
        if (r == -ENOENT)
                return error_set(
                        error, r,
                        "this host has not joined a fleet: run `muster host invite HOST` on the bastion, "
                        "then `muster-agent join LINE` here");
        if (r < 0)
                return r;
        r = noise_keypair_from_secret(&key, identity.secret);
        methods = agent_service_methods(&count);
        if (r == 0)
                r = rpc_node_new(&agent->node, agent->event, RPC_AGENT, &key, methods, count, &events, agent);
        options.address = identity.address;
        memcpy(options.remote_key, identity.controller, sizeof(options.remote_key));
        if (r == 0)
                r = rpc_node_dial(agent->node, &options, error);
        sodium_memzero(&key, sizeof(key));
        sodium_memzero(&identity, sizeof(identity));
        return r;
}

static int set_up(struct agent *agent, struct error *error)
{
        int r = daemon_event(&agent->event, on_terminate, agent);

        if (r >= 0)
                r = open_bus(agent, error);
        if (r >= 0)
                r = file_make_folders(agent->folder, 0700, error);
        if (r >= 0)
                r = look_at_boot(agent, error);
        if (r >= 0)
                r = open_ledger(agent, error);
        if (r >= 0)
                r = operations_new(&agent->operations, agent->event, agent->bus, agent->folder, agent->ledger,
                                   &agent->boot);
        if (r >= 0)
                r = probe_set_new(&agent->probes, agent->event, agent->bus, agent->folder,
                                  agent->boot.userspace_us, on_changed, agent);
        if (r < 0)
                return r;
        agent->service = (struct agent_service){
                .event = agent->event,
                .probes = agent->probes,
                .operations = agent->operations,
                .ledger = agent->ledger,
                .folder = agent->folder,
        };
        return connect_controller(agent, error);
}

static void tear_down(struct agent *agent)
{
        sd_event_source_disable_unref(agent->patience);
        agent_service_stop(&agent->service);
        rpc_node_free(agent->node);
        probe_set_free(agent->probes);
        operations_free(agent->operations);
        ledger_close(agent->ledger);
        sd_bus_flush_close_unref(agent->bus);
        sd_event_unref(agent->event);
}

static int run(const char *folder)
{
        struct agent agent = {.folder = folder};
        struct error error = {0};
        enum daemon_exit exit_code = DAEMON_FAILED;
        int r = set_up(&agent, &error);

        if (r < 0)
                log_error("%s", error_text(&error, r));
        else
                exit_code = daemon_run(agent.event);
        tear_down(&agent);
        return exit_code;
}

static int join(const char *folder, const char *text)
{
        struct error error = {0};
        struct join_line line;
        int r = join_line_parse(&line, RPC_AGENT, text, &error);

        if (r < 0) {
                fprintf(stderr, "muster-agent: %s\n", error_text(&error, r));
                return DAEMON_USAGE;
        }
        r = join_with_line(&line, folder, &error);
        if (r < 0) {
                fprintf(stderr, "muster-agent: %s\n", error_text(&error, r));
                return r == -EACCES || r == -EHOSTUNREACH ? DAEMON_UNREACHABLE : DAEMON_FAILED;
        }
        printf("joined as %s; start the agent: systemctl enable --now muster-agent\n", line.name);
        return DAEMON_OK;
}

int main(int argc, char **argv)
{
        const char *folder = DEFAULT_FOLDER;
        const struct daemon_option options[] = {{"state", &folder, NULL}};
        int first, exit_code;

        if (!daemon_options("muster-agent", usage, options, ELEMENTS(options), argc, argv, &first,
                            &exit_code))
                return exit_code;
        if (strlen(folder) >= PATH_SIZE || folder[0] != '/') {
                fputs("muster-agent: --state takes an absolute folder\n", stderr);
                return DAEMON_USAGE;
        }
        if (sodium_init() < 0) {
                fputs("muster-agent: libsodium cannot start\n", stderr);
                return DAEMON_FAILED;
        }
        daemon_block_signals();
        if (first == argc)
                return run(folder);
        if (text_equal(argv[first], "join") && first + 2 == argc)
                return join(folder, argv[first + 1]);
        usage(stderr);
        return DAEMON_USAGE;
}
