/* muster-controller: knows the fleet, plans and runs restarts, keeps the journal, answers the command line.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/fleet_file.h"
#include "common/conf/settings.h"
#include "common/loop/daemon.h"
#include "controller/agents.h"
#include "controller/api/api.h"
#include "controller/entry.h"
#include "controller/loads.h"
#include "controller/room.h"
#include "controller/runner.h"
#include "controller/store/store.h"

#define DEFAULT_CONFIG "/etc/muster/controller.yaml"
#define DEFAULT_FLEET  "/etc/muster/fleet.yaml"
#define DEFAULT_LISTEN "0.0.0.0:7117"
#define DEFAULT_FOLDER "/var/lib/muster"

#define LOOK_FOR_ROOM_US (500 * USEC_PER_MSEC)

struct arguments {
        const char *config;                              /* NULL: the default file, if it is there */
        const char *fleet, *listen, *advertise, *folder; /* NULL: as the settings say */
        bool check_config;
};

struct controller {
        struct api_context api; /* first: what the node's handlers take their userdata for */
        struct controller_settings settings;
        sd_event *event;
        struct fleet *fleet;
        store *store;
        agents *agents;
        runner *runner;
        loads *loads;
        struct agents_listener loads_listener;
        rpc_node *node;
        struct noise_keypair key;
        struct entry entry;
        sd_event_source *waiting; /* for room for the journal: nobody is let in */
        struct error why;         /* what whoever asks is told meanwhile */
};

static void usage(FILE *out)
{
        fputs("muster-controller [options]\n"
              "\n"
              "  --config FILE       settings (default " DEFAULT_CONFIG ", if it is there)\n"
              "  --fleet FILE        the fleet (default " DEFAULT_FLEET ")\n"
              "  --listen ADDR:PORT  where agents and users connect (default " DEFAULT_LISTEN ")\n"
              "  --advertise ADDR:PORT  the address that invitations name (default: that of --listen)\n"
              "  --state DIR         keys, journal, admin identity (default " DEFAULT_FOLDER ")\n"
              "  --check-config      read the fleet file, say what is wrong, exit\n"
              "  --verbose, --version, --help\n",
              out);
}

static void on_up(rpc_peer *peer, void *userdata)
{
        struct controller *controller = userdata;

        if (rpc_peer_role(peer) == RPC_AGENT)
                agents_peer_up(controller->agents, peer);
}

static void on_down(rpc_peer *peer, const char *reason, void *userdata)
{
        struct controller *controller = userdata;

        if (rpc_peer_role(peer) == RPC_AGENT)
                agents_peer_down(controller->agents, peer);
}

/* --- loads: whatever agents speak of ------------------------------------------------------------------- */

static void on_agent_state(const struct agent_view *agent, void *userdata)
{
        struct controller *controller = userdata;
        int host = agents_find(controller->agents, agent->name);
        int r = host < 0 || !agent->state
                        ? 0
                        : loads_observe(controller->loads, (size_t)host, agent->state, time_monotonic_us());

        if (r < 0)
                log_error("what the loads on %s teach cannot be kept: %s", agent->name, strerror(-r));
}

static void on_agent_down(const struct agent_view *agent, void *userdata)
{
        struct controller *controller = userdata;
        int host = agents_find(controller->agents, agent->name);

        if (host >= 0)
                loads_forget(controller->loads, (size_t)host);
}

static int open_loads(struct controller *controller)
{
        int r = loads_new(&controller->loads, controller->fleet, controller->store);

        controller->loads_listener = (struct agents_listener){.up = on_agent_state,
                                                              .down = on_agent_down,
                                                              .changed = on_agent_state,
                                                              .userdata = controller};
        return r < 0 ? r : agents_listen(controller->agents, &controller->loads_listener);
}

static enum rpc_status on_admit(rpc_node *node, enum rpc_role role, const uint8_t key[NOISE_KEY_SIZE],
                                const uint8_t *token, const char *version, char ret_name[RPC_NAME_SIZE],
                                struct error *error, void *userdata)
{
        struct controller *controller = userdata;

        if (controller->waiting) {
                *error = controller->why;
                return RPC_UNAVAILABLE;
        }
        return entry_admit(&controller->entry, role, key, token, ret_name, error);
}

/* Everything of this turn is durable before any of its frames leaves. A store that fails is final. */
static int on_commit(void *userdata)
{
        struct controller *controller = userdata;
        struct error error = {0};
        int r = controller->store ? store_commit(controller->store, &error) : 0;

        if (r < 0)
                log_error("the journal cannot be written: %s", error_text(&error, r));
        return r;
}

static int open_key(struct controller *controller, struct error *error)
{
        uint8_t secret[NOISE_KEY_SIZE];
        char path[PATH_SIZE + 32];
        int r;

        snprintf(path, sizeof(path), "%s/key", controller->settings.state);
        r = settings_key(secret, path, error);
        if (r == 0)
                r = noise_keypair_from_secret(&controller->key, secret);
        sodium_memzero(secret, sizeof(secret));
        return r;
}

static int open_store(struct controller *controller, struct error *error)
{
        const struct controller_settings *settings = &controller->settings;
        char path[PATH_SIZE + 32];
        int r;

        snprintf(path, sizeof(path), "%s/muster.db", settings->state);
        r = store_open(&controller->store, path, error);
        if (r < 0)
                return r;
        controller->entry = (struct entry){.store = controller->store, .fleet = controller->fleet};
        return entry_make_admin(&controller->entry, settings->state, settings->advertise,
                                controller->key.public, error);
}

static int make_node(struct controller *controller)
{
        struct rpc_node_events events = {
                .admit = on_admit,
                .up = on_up,
                .down = on_down,
                .commit = on_commit,
        };
        size_t count;
        const struct rpc_method *methods = api_methods(&count);

        return rpc_node_new(&controller->node, controller->event, RPC_CONTROLLER, &controller->key, methods,
                            count, &events, controller);
}

/* The journal, and all that rests on it. */
static int begin(struct controller *controller, struct error *error)
{
        int r = open_store(controller, error);

        if (r == 0)
                r = agents_new(&controller->agents, controller->event, controller->fleet);
        if (r == 0)
                r = open_loads(controller);
        if (r == 0)
                r = runner_new(&controller->runner, controller->event, controller->store, controller->agents,
                               error);
        if (r < 0)
                return r;
        controller->api = (struct api_context){
                .event = controller->event,
                .fleet = controller->fleet,
                .store = controller->store,
                .agents = controller->agents,
                .runner = controller->runner,
                .loads = controller->loads,
                .node = controller->node,
                .controller_public_key = controller->key.public,
                .advertised_address = controller->settings.advertise,
        };
        return api_start(&controller->api);
}

static int on_look_for_room(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct controller *controller = userdata;
        struct error error = {0};
        int r = room_probe(controller->settings.state, &error);

        if (r < 0) {
                r = sd_event_source_set_time_relative(source, LOOK_FOR_ROOM_US);
                return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        controller->waiting = sd_event_source_disable_unref(source);
        log_info("there is room for the journal again");
        sd_notify(0, "STATUS=");
        r = begin(controller, &error);
        if (r < 0) {
                log_error("%s", error_text(&error, r));
                sd_event_exit(controller->event, r);
        }
        return 0;
}

/* What was under way stays as it is; whoever asks hears why. */
static int wait_for_room(struct controller *controller)
{
        log_error("%s", controller->why.text);
        sd_notifyf(0, "STATUS=%s", controller->why.text);
        return sd_event_add_time_relative(controller->event, &controller->waiting, CLOCK_BOOTTIME,
                                          LOOK_FOR_ROOM_US, 0, on_look_for_room, controller);
}

static int open_all(struct controller *controller, struct error *error)
{
        int r = file_make_folders(controller->settings.state, 0700, error), room;

        if (r < 0)
                return r;
        room = room_probe(controller->settings.state, &controller->why);
        if (room < 0 && room != -ENOSPC && room != -EDQUOT)
                return error_set(error, room, "%s", error_text(&controller->why, room));
        r = open_key(controller, error);
        if (r == 0)
                r = make_node(controller);
        if (r == 0)
                r = room < 0 ? wait_for_room(controller) : begin(controller, error);
        return r < 0 ? r : rpc_node_listen(controller->node, controller->settings.listen, NULL, error);
}

static int set_up(struct controller *controller, struct error *error)
{
        int r = daemon_event(&controller->event, NULL, NULL);

        if (r >= 0)
                r = open_all(controller, error);
        return r;
}

static void tear_down(struct controller *controller)
{
        sd_event_source_disable_unref(controller->waiting);
        rpc_node_free(controller->node);
        api_stop(&controller->api);
        runner_free(controller->runner);
        agents_free(controller->agents);
        loads_free(controller->loads);
        store_close(controller->store);
        fleet_free(controller->fleet);
        sd_event_unref(controller->event);
        sodium_memzero(&controller->key, sizeof(controller->key));
}

/* Defaults, then the settings file, then the command line. */
static int read_settings(struct controller_settings *settings, const struct arguments *arguments,
                         struct error *error)
{
        const char *config = arguments->config ? arguments->config : DEFAULT_CONFIG;
        int r;

        *settings = (struct controller_settings){
                .listen = DEFAULT_LISTEN, .fleet = DEFAULT_FLEET, .state = DEFAULT_FOLDER};
        r = controller_settings_read(settings, config, error);
        if (r == -ENOENT && !arguments->config)
                r = 0;
        if (r == 0 && ((arguments->fleet && TEXT_COPY(settings->fleet, arguments->fleet) < 0) ||
                       (arguments->listen && TEXT_COPY(settings->listen, arguments->listen) < 0) ||
                       (arguments->advertise && TEXT_COPY(settings->advertise, arguments->advertise) < 0) ||
                       (arguments->folder && TEXT_COPY(settings->state, arguments->folder) < 0)))
                return error_set(error, -ENAMETOOLONG, "an option's value is too long");
        if (r == 0 && !settings->advertise[0])
                text_copy_cut(settings->advertise, sizeof(settings->advertise), settings->listen);
        return r;
}

static int check_config(const struct controller *controller)
{
        printf("%s: fleet %s: %zu hosts, %zu services\n", controller->settings.fleet, controller->fleet->name,
               controller->fleet->host_count, controller->fleet->service_count);
        return DAEMON_OK;
}

static int serve(struct controller *controller)
{
        struct error error = {0};
        int r = set_up(controller, &error);

        if (r < 0) {
                log_error("%s", error_text(&error, r));
                return DAEMON_FAILED;
        }
        log_info("fleet %s: %zu hosts, %zu services; listening on %s", controller->fleet->name,
                 controller->fleet->host_count, controller->fleet->service_count,
                 controller->settings.listen);
        return daemon_run(controller->event);
}

static int work(const struct arguments *arguments)
{
        struct controller controller = {0};
        struct error error = {0};
        int r, exit_code;

        r = read_settings(&controller.settings, arguments, &error);
        if (r == 0)
                r = fleet_file_read(&controller.fleet, controller.settings.fleet, &error);
        if (r < 0) {
                fprintf(stderr, "%s\n", error_text(&error, r));
                return DAEMON_USAGE;
        }
        exit_code = arguments->check_config ? check_config(&controller) : serve(&controller);
        tear_down(&controller);
        return exit_code;
}

int main(int argc, char **argv)
{
        struct arguments arguments = {0};
        const struct daemon_option options[] = {
                {"config", &arguments.config, NULL}, {"fleet", &arguments.fleet, NULL},
                {"listen", &arguments.listen, NULL}, {"advertise", &arguments.advertise, NULL},
                {"state", &arguments.folder, NULL},  {"check-config", NULL, &arguments.check_config},
        };
        int first, exit_code;

        if (!daemon_options("muster-controller", usage, options, ELEMENTS(options), argc, argv, &first,
                            &exit_code))
                return exit_code;
        if (first != argc) {
                usage(stderr);
                return DAEMON_USAGE;
        }
        if (sodium_init() < 0) {
                fputs("muster-controller: libsodium cannot start\n", stderr);
                return DAEMON_FAILED;
        }
        daemon_block_signals();
        return work(&arguments);
}
