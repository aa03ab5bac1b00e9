/* For the benches footprint, fanout, fanout-1000 and reconnect: a fleet's keys, light agents, and the floor.
 *
 *     bench_light keys STATE ADDRESS COUNT FOLDER
 *             COUNT agents are known to the store in STATE, to dial ADDRESS; the Nth key is in FOLDER/hostN
 *
 *     bench_light agents COUNT FOLDER
 *             so many light agents, until it is killed
 *
 *     bench_light spawn COUNT PROGRAM
 *             starts PROGRAM so often at once and waits for all of them
 *
 * A light agent has what a real one has of the link: a key and a node of its own, heartbeats, backoff, the
 * Agent service's calls. It has no probes, and a command is answered as done without a process being started.
 * A line on stdout says when the first link was lost and when all were back: "lost" and "all", microseconds
 * of the monotonic clock. */
#include <errno.h>
#include <sodium.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench/measure.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"
#include "common/rpc/rpc.h"
#include "common/rpc/wire.h"
#include "controller/store/store.h"

#define COUNT_MOST 4000u
#define STATE_US   (10 * USEC_PER_SEC) /* a real agent speaks as often when nothing changes */

struct fleet_of_agents;

struct light {
        struct fleet_of_agents *all;
        rpc_node *node;
        rpc_call *watch; /* NULL while nobody watches */
        char boot_id[ID_SIZE];
};

struct fleet_of_agents {
        sd_event *event;
        struct light *list;
        size_t count, up;
        bool complete;
};

static int stop(const char *what, const struct error *error, int code)
{
        fprintf(stderr, "bench_light: %s: %s\n", what, error_text(error, code));
        return 1;
}

/* --- keys ---------------------------------------------------------------------------------------------- */

static int key_of(struct identity *identity, struct noise_keypair *key, size_t number)
{
        crypto_hash_sha256(identity->secret, (const unsigned char *)&number, sizeof(number));
        return noise_keypair_from_secret(key, identity->secret);
}

static int key_add(store *store, struct identity *identity, const char *folder, size_t number,
                   struct error *error)
{
        struct store_key added = {.role = RPC_AGENT, .added_us = time_realtime_us()};
        char path[PATH_SIZE];
        struct noise_keypair key;
        int r = key_of(identity, &key, number);

        if (r < 0)
                return r;
        snprintf(added.name, sizeof(added.name), "host%zu", number);
        memcpy(added.key, key.public, sizeof(added.key));
        r = store_key_put(store, &added);
        snprintf(path, sizeof(path), "%s/host%zu", folder, number);
        if (r == 0)
                r = file_make_folders(path, 0700, error);
        snprintf(path, sizeof(path), "%s/host%zu/identity", folder, number);
        return r < 0 ? r : identity_write(identity, path, error);
}

static int make_keys(const char *state, const char *address, size_t count, const char *folder)
{
        struct identity identity = {0};
        uint8_t secret[NOISE_KEY_SIZE];
        struct noise_keypair controller;
        struct error error = {0};
        char path[PATH_SIZE];
        store *store = NULL;
        int r = file_make_folders(state, 0700, &error);

        snprintf(path, sizeof(path), "%s/key", state);
        if (r == 0)
                r = settings_key(secret, path, &error);
        if (r == 0)
                r = noise_keypair_from_secret(&controller, secret);
        if (r == 0)
                r = TEXT_COPY(identity.address, address);
        snprintf(path, sizeof(path), "%s/muster.db", state);
        if (r == 0)
                r = store_open(&store, path, &error);
        memcpy(identity.controller, controller.public, sizeof(identity.controller));
        for (size_t i = 1; r == 0 && i <= count; i++)
                r = key_add(store, &identity, folder, i, &error);
        if (r == 0)
                r = store_commit(store, &error);
        store_close(store);
        return r < 0 ? stop("making keys", &error, r) : 0;
}

/* --- light agents -------------------------------------------------------------------------------------- */

static void state_send(struct light *light)
{
        struct host_state state = {.uptime_ms = 60000, .clock_us = time_realtime_us(), .processors = 1};
        Muster__V1__AgentState message = MUSTER__V1__AGENT_STATE__INIT;
        struct wire_arena arena = {0};

        TEXT_COPY(state.boot_id, light->boot_id);
        TEXT_COPY(state.hostname, "light");
        TEXT_COPY(state.agent_version, MUSTER_VERSION);
        message.host = wire_host(&arena, &state);
        if (!arena.failed)
                rpc_call_send(light->watch, &message.base);
        wire_arena_clear(&arena);
}

static void watch_gone(rpc_call *call, void *userdata)
{
        struct light *light = userdata;

        if (light->watch == call)
                light->watch = NULL;
}

static void handle_watch(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        struct light *light = userdata;

        light->watch = call;
        rpc_call_watch(call, watch_gone, NULL, light);
        state_send(light);
}

static void handle_exec(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        output.finished = true;
        rpc_call_reply(call, &output.base);
}

static void handle_operations(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        Muster__V1__OperationsReply reply = MUSTER__V1__OPERATIONS_REPLY__INIT;

        rpc_call_reply(call, &reply.base);
}

static const struct rpc_method methods[] = {
        {&muster__v1__agent__descriptor, "Watch", RPC_CONTROLLER, handle_watch},
        {&muster__v1__agent__descriptor, "Exec", RPC_CONTROLLER, handle_exec},
        {&muster__v1__agent__descriptor, "Operations", RPC_CONTROLLER, handle_operations},
};

static void say(const char *word)
{
        printf("%s %llu\n", word, (unsigned long long)time_monotonic_us());
        fflush(stdout);
}

static void on_up(rpc_peer *peer, void *userdata)
{
        struct light *light = userdata;

        light->all->up++;
        if (light->all->up == light->all->count) {
                light->all->complete = true;
                say("all");
        }
}

static void on_down(rpc_peer *peer, const char *reason, void *userdata)
{
        struct light *light = userdata;

        light->all->up--;
        if (light->all->complete)
                say("lost");
        light->all->complete = false;
}

static void on_failed(enum rpc_status code, const char *text, void *userdata)
{
        if (code != RPC_UNAVAILABLE)
                fprintf(stderr, "bench_light: refused: %s\n", text);
}

static int on_state_due(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct fleet_of_agents *all = userdata;

        for (size_t i = 0; i < all->count; i++)
                if (all->list[i].watch)
                        state_send(&all->list[i]);
        sd_event_source_set_time_relative(source, STATE_US);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int light_start(struct light *light, const char *folder, size_t number, struct error *error)
{
        const struct rpc_node_events events = {.up = on_up, .down = on_down};
        struct rpc_dial_options options = {.failed = on_failed, .userdata = light};
        struct identity identity;
        struct noise_keypair key;
        char path[PATH_SIZE];
        int r;

        snprintf(path, sizeof(path), "%s/host%zu/identity", folder, number);
        r = identity_read(&identity, path, error);
        if (r == 0)
                r = noise_keypair_from_secret(&key, identity.secret);
        if (r < 0)
                return r;
        snprintf(light->boot_id, sizeof(light->boot_id), "%032zx", number);
        options.address = identity.address;
        memcpy(options.remote_key, identity.controller, sizeof(options.remote_key));
        r = rpc_node_new(&light->node, light->all->event, RPC_AGENT, &key, methods, ELEMENTS(methods),
                         &events, light);
        return r < 0 ? r : rpc_node_dial(light->node, &options, error);
}

static int run_agents(size_t count, const char *folder)
{
        struct fleet_of_agents all = {.count = count};
        sd_event_source *timer = NULL;
        struct error error = {0};
        int r = sd_event_default(&all.event);

        all.list = calloc(count, sizeof(*all.list));
        if (!all.list || r < 0)
                return stop("starting", NULL, -ENOMEM);
        r = sd_event_add_time_relative(all.event, &timer, CLOCK_BOOTTIME, STATE_US, 0, on_state_due, &all);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                all.list[i].all = &all;
                r = light_start(&all.list[i], folder, i + 1, &error);
        }
        if (r >= 0)
                r = sd_event_loop(all.event);
        return r < 0 ? stop("light agents", &error, r) : 0;
}

/* --- the floor ----------------------------------------------------------------------------------------- */

static int spawn_all(size_t count, char *program)
{
        char *argv[] = {program, NULL};
        uint64_t began = measure_now();
        int status, failed = 0;
        pid_t pid;

        for (size_t i = 0; i < count; i++)
                if (posix_spawnp(&pid, program, NULL, NULL, argv, environ) != 0)
                        return stop("starting a process", NULL, -errno);
        for (size_t i = 0; i < count; i++)
                failed += wait(&status) < 0 || status != 0;
        printf("seconds=%.6f\n", (double)(measure_now() - began) / 1e9);
        return failed ? 1 : 0;
}

/* A thousand links and their nodes need more files than a shell usually allows. */
static void allow_files(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int main(int argc, char **argv)
{
        uint64_t count = 0;
        bool keys = argc == 6 && text_equal(argv[1], "keys");

        log_set_level(LOG_WARNING);
        allow_files();
        if (sodium_init() < 0)
                return 1;
        if (argc < 4 || text_to_u64(argv[keys ? 4 : 2], &count) < 0 || count < 1 || count > COUNT_MOST) {
                fprintf(stderr,
                        "usage: bench_light keys STATE ADDRESS COUNT FOLDER | agents COUNT FOLDER | spawn "
                        "COUNT PROGRAM\n");
                return 2;
        }
        if (keys)
                return make_keys(argv[2], argv[3], count, argv[5]);
        return text_equal(argv[1], "agents") ? run_agents(count, argv[3]) : spawn_all(count, argv[3]);
}
