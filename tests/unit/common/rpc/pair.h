/* Two nodes of one process on one loop, over loopback tcp: what the tests of common/rpc start from.
 *
 * The server listens as a controller; the client dials as an agent (or as told). Both serve the same table;
 * the methods are muster's own, with handlers of the test. Everything waits for a condition, bounded by
 * wait_for. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"
#include "common/rpc/internal.h"
#include "proto/agent.pb-c.h"
#include "proto/fleet.pb-c.h"
#include "proto/health.pb-c.h"

#define PATIENCE_US (20 * USEC_PER_SEC)

struct side {
        rpc_node *node;
        rpc_peer *peer; /* the link to the other side while it is up */
        unsigned ups, downs, admits, commits;
        char down_reason[512];
        int commit_result;
};

struct pair {
        sd_event *event;
        struct side server, client;
        struct noise_keypair server_key, client_key;
        uint16_t port;
        char address[64];
        /* what admit answers, and what it saw */
        enum rpc_status admit_code;
        bool token_seen;
        uint8_t token[RPC_TOKEN_SIZE];
        uint8_t key_seen[NOISE_KEY_SIZE];
        enum rpc_role role_seen;
        /* what the dial's failed callback saw */
        unsigned failures;
        enum rpc_status fail_code;
        char fail_text[800];
        void *test;
};

static void keypair_new(struct noise_keypair *ret)
{
        uint8_t secret[NOISE_KEY_SIZE];

        randombytes_buf(secret, sizeof(secret));
        assert_int_equal(noise_keypair_from_secret(ret, secret), 0);
}

/* Turns the loop until done() holds. */
#define wait_for(pair, condition)                                                                            \
        do {                                                                                                 \
                uint64_t until_ = time_monotonic_us() + PATIENCE_US;                                         \
                while (!(condition)) {                                                                       \
                        assert_true(time_monotonic_us() < until_);                                           \
                        assert_true(sd_event_run((pair)->event, 100000) >= 0);                               \
                }                                                                                            \
        } while (0)

static inline enum rpc_status pair_admit(rpc_node *node, enum rpc_role role,
                                         const uint8_t key[NOISE_KEY_SIZE], const uint8_t *token,
                                         const char *version, char ret_name[RPC_NAME_SIZE],
                                         struct error *error, void *userdata)
{
        struct pair *pair = userdata;

        pair->server.admits++;
        pair->role_seen = role;
        memcpy(pair->key_seen, key, NOISE_KEY_SIZE);
        pair->token_seen = token != NULL;
        if (token)
                memcpy(pair->token, token, RPC_TOKEN_SIZE);
        assert_string_equal(version, MUSTER_VERSION);
        if (pair->admit_code != RPC_OK)
                error_set(error, -EPERM, "this key is not known here: run muster host invite");
        else
                snprintf(ret_name, RPC_NAME_SIZE, "db1");
        return pair->admit_code;
}

static inline struct side *pair_side(struct pair *pair, const rpc_peer *peer)
{
        return peer->node == pair->server.node ? &pair->server : &pair->client;
}

static inline void pair_up(rpc_peer *peer, void *userdata)
{
        struct side *side = pair_side(userdata, peer);

        side->peer = peer;
        side->ups++;
}

static inline void pair_down(rpc_peer *peer, const char *reason, void *userdata)
{
        struct side *side = pair_side(userdata, peer);

        if (side->peer == peer)
                side->peer = NULL;
        side->downs++;
        snprintf(side->down_reason, sizeof(side->down_reason), "%s", reason);
}

static inline int pair_server_commit(void *userdata)
{
        struct pair *pair = userdata;

        pair->server.commits++;
        return pair->server.commit_result;
}

static inline void pair_failed(enum rpc_status code, const char *text, void *userdata)
{
        struct pair *pair = userdata;

        pair->failures++;
        pair->fail_code = code;
        snprintf(pair->fail_text, sizeof(pair->fail_text), "%s", text);
}

/* Both nodes, listening, nobody dials yet. */
static inline void pair_new_as(struct pair *pair, enum rpc_role role, const struct rpc_method *methods,
                               size_t count)
{
        struct rpc_node_events server_events = {pair_admit, pair_up, pair_down, pair_server_commit};
        struct rpc_node_events client_events = {NULL, pair_up, pair_down, NULL};
        struct error error = {0};

        *pair = (struct pair){0};
        assert_true(sodium_init() >= 0);
        assert_true(sd_event_new(&pair->event) >= 0);
        keypair_new(&pair->server_key);
        keypair_new(&pair->client_key);
        assert_int_equal(rpc_node_new(&pair->server.node, pair->event, RPC_CONTROLLER, &pair->server_key,
                                      methods, count, &server_events, pair),
                         0);
        assert_int_equal(rpc_node_new(&pair->client.node, pair->event, role, &pair->client_key, methods,
                                      count, &client_events, pair),
                         0);
        assert_int_equal(rpc_node_listen(pair->server.node, "127.0.0.1:0", &pair->port, &error), 0);
        assert_int_not_equal(pair->port, 0);
        snprintf(pair->address, sizeof(pair->address), "127.0.0.1:%u", pair->port);
}

static inline struct rpc_dial_options pair_dial_options(struct pair *pair)
{
        struct rpc_dial_options options = {.address = pair->address, .failed = pair_failed, .userdata = pair};

        memcpy(options.remote_key, pair->server_key.public, NOISE_KEY_SIZE);
        return options;
}

/* Both nodes with a link between them. */
static inline void pair_connect_as(struct pair *pair, enum rpc_role role, const struct rpc_method *methods,
                                   size_t count)
{
        struct rpc_dial_options options;
        struct error error = {0};

        pair_new_as(pair, role, methods, count);
        options = pair_dial_options(pair);
        assert_int_equal(rpc_node_dial(pair->client.node, &options, &error), 0);
        wait_for(pair, pair->server.peer && pair->client.peer);
}

static inline void pair_connect(struct pair *pair, const struct rpc_method *methods, size_t count)
{
        pair_connect_as(pair, RPC_AGENT, methods, count);
}

static inline void pair_free(struct pair *pair)
{
        rpc_node_free(pair->client.node);
        rpc_node_free(pair->server.node);
        sd_event_unref(pair->event);
}

/* What a call brought back. */
struct outcome {
        unsigned messages, ends;
        size_t bytes;
        enum rpc_status code;
        char text[800];
        char last[256]; /* the last ReportReply's text, cut */
};

static inline void outcome_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct outcome *outcome = userdata;

        outcome->messages++;
        if (message->descriptor == &muster__v1__report_reply__descriptor) {
                const Muster__V1__ReportReply *reply = (const Muster__V1__ReportReply *)message;

                outcome->bytes += strlen(reply->text);
                snprintf(outcome->last, sizeof(outcome->last), "%.200s", reply->text);
        } else if (message->descriptor == &muster__v1__exec_output__descriptor) {
                outcome->bytes += ((const Muster__V1__ExecOutput *)message)->data.len;
        }
}

static inline void outcome_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct outcome *outcome = userdata;

        outcome->ends++;
        outcome->code = code;
        snprintf(outcome->text, sizeof(outcome->text), "%s", text);
}

/* Fleet.Report: the tests' unary call. */
static inline int report_start(rpc_call **ret, rpc_peer *peer, const char *run, uint64_t deadline_us,
                               struct outcome *outcome)
{
        Muster__V1__ReportRequest request = MUSTER__V1__REPORT_REQUEST__INIT;

        request.run = (char *)run;
        return rpc_call_start(ret, peer, &muster__v1__fleet__descriptor, "Report", &request.base, deadline_us,
                              outcome_message, outcome_end, outcome);
}

/* Answers with what was asked. */
static inline void report_echo(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__ReportRequest *request = (const Muster__V1__ReportRequest *)message;
        Muster__V1__ReportReply reply = MUSTER__V1__REPORT_REPLY__INIT;

        reply.text = request->run;
        rpc_call_reply(call, &reply.base);
}

#define EVERYBODY (RPC_AGENT | RPC_USER | RPC_CONTROLLER)
