/* Ours in the call benches: a unary call with 64 bytes there and back over an encrypted link.
 *
 *     bench_rpc_ours serve PORT
 *     bench_rpc_ours call PORT IN-FLIGHT SECONDS
 *
 * The keys are fixed: both ends are processes of the bench on loopback. */
#include <bench/echo.pb-c.h> /* generated, in the build folder */
#include <sodium.h>
#include <string.h>

#include "bench/measure.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/rpc/rpc.h"

#define FLIGHT_MAX    1024u
#define SERVER_SECRET 1
#define CLIENT_SECRET 2
#define CALL_TIMEOUT  (30 * 1000000ull)

static void handle_echo(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        rpc_call_reply(call, request);
}

static enum rpc_status admit(rpc_node *node, enum rpc_role role, const uint8_t key[NOISE_KEY_SIZE],
                             const uint8_t *token, const char *version, char ret_name[RPC_NAME_SIZE],
                             struct error *error, void *userdata)
{
        return text_copy(ret_name, RPC_NAME_SIZE, "bench") < 0 ? RPC_INTERNAL : RPC_OK;
}

static int key_make(struct noise_keypair *ret, int byte)
{
        uint8_t secret[NOISE_KEY_SIZE];

        memset(secret, byte, sizeof secret);
        return noise_keypair_from_secret(ret, secret);
}

static int serve(sd_event *event, const char *address)
{
        const struct rpc_method methods[] = {
                {&muster__bench__echo__descriptor, "Echo", RPC_USER, handle_echo},
        };
        const struct rpc_node_events events = {.admit = admit};
        struct noise_keypair key;
        struct error error = {0};
        rpc_node *node = NULL;
        int r;

        r = key_make(&key, SERVER_SECRET);
        if (r == 0)
                r = rpc_node_new(&node, event, RPC_CONTROLLER, &key, methods, ELEMENTS(methods), &events,
                                 NULL);
        if (r == 0)
                r = rpc_node_listen(node, address, NULL, &error);
        if (r < 0) {
                fprintf(stderr, "bench_rpc_ours: %s\n", error_text(&error, r));
                rpc_node_free(node);
                return 1;
        }
        printf("ready\n");
        fflush(stdout);
        r = sd_event_loop(event);
        rpc_node_free(node);
        return r < 0 ? 1 : 0;
}

struct flight {
        struct caller *caller;
        uint64_t began;
};

struct caller {
        sd_event *event;
        rpc_peer *peer;
        struct measure measure;
        Muster__Bench__EchoMessage request;
        double seconds;
        unsigned count;
        bool over;
        struct flight flights[FLIGHT_MAX];
};

static void caller_fail(struct caller *caller, const char *text)
{
        fprintf(stderr, "bench_rpc_ours: %s\n", text);
        sd_event_exit(caller->event, 1);
}

static void on_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__Bench__EchoMessage *reply = (const Muster__Bench__EchoMessage *)message;
        struct flight *flight = userdata;

        if (reply->payload.len != MEASURE_PAYLOAD)
                caller_fail(flight->caller, "the answer is not what was sent");
}

static void flight_start(struct flight *flight);

static void on_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct flight *flight = userdata;
        struct caller *caller = flight->caller;

        if (caller->over)
                return;
        if (code != RPC_OK) {
                caller->over = true;
                caller_fail(caller, text);
        } else if (measure_call(&caller->measure, flight->began)) {
                flight_start(flight);
        } else {
                caller->over = true;
                sd_event_exit(caller->event, 0);
        }
}

static void flight_start(struct flight *flight)
{
        struct caller *caller = flight->caller;
        int r;

        flight->began = measure_now();
        r = rpc_call_start(NULL, caller->peer, &muster__bench__echo__descriptor, "Echo",
                           &caller->request.base, CALL_TIMEOUT, on_message, on_end, flight);
        if (r < 0)
                caller_fail(caller, strerror(-r));
}

static void on_up(rpc_peer *peer, void *userdata)
{
        struct caller *caller = userdata;

        caller->peer = peer;
        measure_start(&caller->measure, caller->seconds);
        for (unsigned i = 0; i < caller->count; i++) {
                caller->flights[i].caller = caller;
                flight_start(&caller->flights[i]);
        }
}

static void on_down(rpc_peer *peer, const char *reason, void *userdata)
{
        struct caller *caller = userdata;

        if (!caller->over)
                caller_fail(caller, reason);
        caller->over = true;
}

static void on_failed(enum rpc_status code, const char *text, void *userdata)
{
        caller_fail(userdata, text);
}

static int call(sd_event *event, const char *address, unsigned count, double seconds)
{
        const struct rpc_node_events events = {.up = on_up, .down = on_down};
        static uint8_t payload[MEASURE_PAYLOAD];
        cleanup_free struct caller *caller = calloc(1, sizeof *caller);
        struct rpc_dial_options options = {
                .address = address, .once = true, .failed = on_failed, .userdata = caller};
        struct noise_keypair key, server;
        struct error error = {0};
        rpc_node *node = NULL;
        int r;

        if (!caller)
                return 1;
        memset(payload, 'x', sizeof payload);
        caller->event = event;
        caller->count = count;
        caller->seconds = seconds;
        muster__bench__echo_message__init(&caller->request);
        caller->request.payload = (ProtobufCBinaryData){sizeof payload, payload};

        r = key_make(&key, CLIENT_SECRET);
        if (r == 0)
                r = key_make(&server, SERVER_SECRET);
        if (r == 0) {
                memcpy(options.remote_key, server.public, NOISE_KEY_SIZE);
                r = rpc_node_new(&node, event, RPC_USER, &key, NULL, 0, &events, caller);
        }
        if (r == 0)
                r = rpc_node_dial(node, &options, &error);
        if (r < 0)
                caller_fail(caller, error_text(&error, r));
        r = sd_event_loop(event);
        caller->over = true;
        rpc_node_free(node);
        return r == 0 ? measure_print(&caller->measure) : 1;
}

int main(int argc, char **argv)
{
        cleanup_with(sd_event_unrefp) sd_event *event = NULL;
        cleanup_free char *address = NULL;

        if (sodium_init() < 0 || sd_event_default(&event) < 0)
                return 1;
        if (argc < 3 || text_format(&address, "127.0.0.1:%s", argv[2]) < 0) {
                fprintf(stderr, "usage: bench_rpc_ours serve PORT | call PORT IN-FLIGHT SECONDS\n");
                return 2;
        }
        if (argc == 5 && text_equal(argv[1], "call") && atoi(argv[3]) > 0 && atoi(argv[3]) <= (int)FLIGHT_MAX)
                return call(event, address, (unsigned)atoi(argv[3]), atof(argv[4]));
        return serve(event, address);
}
