/* Links that break: cut, changed, silent, clogged; and new keys for those that live. */
#include "tests/unit/common/rpc/proxy.h"

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
};

static void dial(struct pair *pair, const struct rpc_dial_options *options)
{
        struct error error = {0};

        assert_int_equal(rpc_node_dial(pair->client.node, options, &error), 0);
}

static void call_works(struct pair *pair)
{
        struct outcome outcome = {0};

        assert_int_equal(report_start(NULL, pair->client.peer, "works", 0, &outcome), 0);
        wait_for(pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_OK);
}

static void quick_backoff(struct pair *pair)
{
        rpc_node_limits(pair->client.node)->backoff_low_us = 2000;
        rpc_node_limits(pair->client.node)->backoff_high_us = 20000;
}

static void proxied(struct pair *pair, struct proxy *proxy)
{
        struct rpc_dial_options options;

        pair_new_as(pair, RPC_AGENT, methods, 1);
        quick_backoff(pair);
        proxy_start(proxy, pair->event, pair->port);
        snprintf(pair->address, sizeof(pair->address), "127.0.0.1:%u", proxy->port);
        options = pair_dial_options(pair);
        dial(pair, &options);
        wait_for(pair, pair->server.peer && pair->client.peer);
        call_works(pair);
}

static void proxied_free(struct pair *pair, struct proxy *proxy)
{
        proxy_stop(proxy);
        pair_free(pair);
}

static void test_cut(void **state)
{
        struct pair pair;
        struct proxy proxy;
        struct outcome outcome = {0};

        proxied(&pair, &proxy);
        for (unsigned i = 1; i <= 5; i++) {
                proxy.frozen = true;
                outcome = (struct outcome){0};
                assert_int_equal(report_start(NULL, pair.client.peer, "lost", 0, &outcome), 0);
                wait_for(&pair, proxy.up.passed);
                proxy_cut(&proxy);
                proxy.frozen = false;
                wait_for(&pair, outcome.ends);
                assert_int_equal(outcome.code, RPC_UNAVAILABLE);
                assert_int_equal(pair.client.downs, i);
                wait_for(&pair,
                         pair.client.ups == 1 + i && pair.server.ups == 1 + i && pair.server.downs == i);
                call_works(&pair);
        }
        proxied_free(&pair, &proxy);
}

static void test_tampered(void **state)
{
        struct pair pair;
        struct proxy proxy;
        struct outcome outcome = {0};

        proxied(&pair, &proxy);
        proxy.up.tamper = true;
        assert_int_equal(report_start(NULL, pair.client.peer, "changed", 0, &outcome), 0);
        wait_for(&pair, outcome.ends && pair.server.downs == 1);
        assert_int_equal(outcome.code, RPC_UNAVAILABLE);
        assert_string_equal(pair.server.down_reason, "a frame from it does not authenticate");
        wait_for(&pair, pair.client.ups == 2 && pair.server.ups == 2);

        /* the same frame twice */
        outcome = (struct outcome){0};
        proxy.down.repeat = true;
        assert_int_equal(report_start(NULL, pair.client.peer, "repeated", 0, &outcome), 0);
        wait_for(&pair, outcome.ends && pair.client.downs == 2);
        assert_int_equal(outcome.code, RPC_OK); /* the first of the two was right */
        assert_string_equal(pair.client.down_reason, "a frame from it does not authenticate");
        proxied_free(&pair, &proxy);
}

/* Bytes stop, the connection stays: a host that lost its power. */
static void test_dead(void **state)
{
        struct pair pair;
        struct proxy proxy;
        struct outcome outcome = {0};

        proxied(&pair, &proxy);
        rpc_node_limits(pair.client.node)->ping_us = rpc_node_limits(pair.server.node)->ping_us = 10000;
        rpc_node_limits(pair.client.node)->dead_us = rpc_node_limits(pair.server.node)->dead_us = 200000;
        assert_int_equal(timer_set(&pair.client.node->timers, &pair.client.peer->timer, 0), 0);
        assert_int_equal(timer_set(&pair.server.node->timers, &pair.server.peer->timer, 0), 0);
        assert_int_equal(report_start(NULL, pair.client.peer, "x", 0, &outcome), 0);
        proxy.frozen = true;
        wait_for(&pair, pair.client.downs && pair.server.downs && outcome.ends);
        assert_int_equal(outcome.code, RPC_UNAVAILABLE);
        assert_non_null(strstr(pair.client.down_reason, "nothing came from it"));
        assert_non_null(strstr(pair.server.down_reason, "nothing came from it"));
        proxied_free(&pair, &proxy);
}

/* Ends with as much text as an end may have. */
static void report_refuse(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        rpc_call_end(call, RPC_ABORTED, "%0700d", 0);
}

/* Who asks and asks and does not read the answers is not read any more: what waits for it stays bounded. */
static void test_unread_answers(void **state)
{
        enum { COUNT = 20000 };
        static const struct rpc_method refusing[] = {
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_refuse},
        };
        static struct outcome outcome;
        struct pair pair;
        struct proxy proxy;
        struct rpc_dial_options options;
        size_t most = 0, quiet = 0;

        pair_new_as(&pair, RPC_AGENT, refusing, 1);
        proxy_start(&proxy, pair.event, pair.port);
        snprintf(pair.address, sizeof(pair.address), "127.0.0.1:%u", proxy.port);
        options = pair_dial_options(&pair);
        dial(&pair, &options);
        wait_for(&pair, pair.server.peer && pair.client.peer);
        proxy_stall(&proxy, true);
        rpc_node_limits(pair.client.node)->streams = COUNT; /* a client that keeps no limits */
        rpc_node_limits(pair.server.node)->streams = COUNT;
        rpc_node_limits(pair.client.node)->out_hard = SIZE_MAX;
        outcome = (struct outcome){0};
        for (unsigned i = 0; i < COUNT; i++)
                assert_int_equal(report_start(NULL, pair.client.peer, "x", 0, &outcome), 0);
        while (quiet < 50) {
                int r = sd_event_run(pair.event, 2000);

                assert_true(r >= 0);
                quiet = r == 0 ? quiet + 1 : 0;
                if (pair.server.peer->out.size > most)
                        most = pair.server.peer->out.size;
        }
        assert_true(pair.server.peer->want_receive && !pair.server.peer->receiving);
        /* the limit and the answers to what one receive holds */
        assert_in_range(most, 2u << 20, 6u << 20);
        proxy_stall(&proxy, false);
        wait_for(&pair, outcome.ends == COUNT);
        assert_int_equal(outcome.code, RPC_ABORTED);
        assert_int_equal(pair.server.downs, 0);
        proxy_stop(&proxy);
        pair_free(&pair);
}

static void test_heartbeat(void **state)
{
        struct pair pair;
        uint64_t before;

        pair_connect(&pair, methods, 1);
        rpc_node_limits(pair.client.node)->ping_us = 5000;
        assert_int_equal(timer_set(&pair.client.node->timers, &pair.client.peer->timer, 0), 0);
        before = pair.client.peer->open.counter;
        wait_for(&pair, pair.client.peer->open.counter >= before + 5); /* PONGs */
        assert_int_equal(pair.client.downs + pair.server.downs, 0);
        pair_free(&pair);
}

/* --- new keys ------------------------------------------------------------------------------------------ */

static void stream_flood(rpc_call *call, void *userdata)
{
        struct pair *pair = userdata;
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;
        unsigned *left = pair->test;
        uint8_t bytes[5000] = {0};

        output.data.data = bytes;
        output.data.len = sizeof(bytes);
        while (*left && rpc_call_writable(call)) {
                assert_int_equal(rpc_call_send(call, &output.base), 0);
                --*left;
        }
        if (!*left)
                rpc_call_end(call, RPC_OK, NULL);
}

static void exec_flood(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        rpc_call_watch(call, NULL, stream_flood, userdata);
        stream_flood(call, userdata);
}

/* New keys while calls go on, by the count of one side's messages, and then by its clock on a link at rest.
 */
static void rekey_by(bool listening)
{
        static const struct rpc_method both[] = {
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
                {&muster__v1__agent__descriptor, "Exec", EVERYBODY, exec_flood},
        };
        Muster__V1__ExecRequest request = MUSTER__V1__EXEC_REQUEST__INIT;
        struct pair pair;
        struct side *side = listening ? &pair.server : &pair.client;
        struct outcome flood = {0};
        uint8_t channel[NOISE_HASH_SIZE];
        unsigned changes = 0, left = 4000;

        pair_connect(&pair, both, 2);
        pair.test = &left;
        rpc_node_limits(side->node)->rekey_messages = 20;
        memcpy(channel, pair.client.peer->channel, sizeof(channel));
        assert_int_equal(rpc_call_start(NULL, pair.client.peer, &muster__v1__agent__descriptor, "Exec",
                                        &request.base, 0, outcome_message, outcome_end, &flood),
                         0);
        while (!flood.ends) {
                struct outcome outcomes[3] = {0};

                for (unsigned i = 0; i < 3; i++)
                        assert_int_equal(report_start(NULL, i ? pair.client.peer : pair.server.peer, "beside",
                                                      0, &outcomes[i]),
                                         0);
                wait_for(&pair, outcomes[0].ends && outcomes[1].ends && outcomes[2].ends);
                for (unsigned i = 0; i < 3; i++)
                        assert_int_equal(outcomes[i].code, RPC_OK);
                changes += memcmp(channel, pair.client.peer->channel, sizeof(channel)) != 0;
                memcpy(channel, pair.client.peer->channel, sizeof(channel));
        }
        assert_int_equal(flood.code, RPC_OK);
        assert_int_equal(flood.messages, 4000);
        assert_true(changes >= 3);
        assert_int_equal(pair.client.downs + pair.server.downs, 0);

        rpc_node_limits(side->node)->rekey_messages = UINT64_MAX;
        wait_for(&pair, !pair.client.peer->handshake && !pair.client.peer->next_open.ready &&
                                !pair.server.peer->handshake && !pair.server.peer->rekey_wanted);
        rpc_node_limits(side->node)->rekey_us = 5000;
        memcpy(channel, pair.client.peer->channel, sizeof(channel));
        assert_int_equal(timer_set(&side->node->timers, &side->peer->timer, 0), 0);
        wait_for(&pair, memcmp(channel, pair.client.peer->channel, sizeof(channel)) != 0 &&
                                memcmp(pair.server.peer->channel, pair.client.peer->channel, 32) == 0);
        rpc_node_limits(side->node)->rekey_us = 3600 * USEC_PER_SEC;
        call_works(&pair);
        assert_int_equal(pair.client.downs + pair.server.downs, 0);
        pair_free(&pair);
}

static void test_rekey(void **state)
{
        rekey_by(false);
}

static void test_rekey_asked_for(void **state)
{
        rekey_by(true);
}

/* Both at once: the one that is under way is enough. */
static void test_rekey_crossed(void **state)
{
        struct pair pair;
        uint8_t channel[NOISE_HASH_SIZE];

        pair_connect(&pair, methods, 1);
        memcpy(channel, pair.client.peer->channel, sizeof(channel));
        assert_int_equal(rekey_begin(pair.client.peer), 0);
        assert_int_equal(rekey_begin(pair.server.peer), 0);
        wait_for(&pair, memcmp(channel, pair.client.peer->channel, sizeof(channel)) != 0 &&
                                memcmp(pair.server.peer->channel, pair.client.peer->channel, 32) == 0 &&
                                !pair.client.peer->next_open.ready && !pair.server.peer->rekey_wanted);
        call_works(&pair);
        assert_int_equal(pair.client.downs + pair.server.downs, 0);
        pair_free(&pair);
}

/* Asked for and not begun: the listening side does not go on under keys that it holds for used up. */
static void test_rekey_not_begun(void **state)
{
        struct pair pair;

        pair_connect(&pair, methods, 1);
        pair.server.peer->rekey_wanted = true;
        pair.server.peer->rekey_started = node_now(pair.server.node) - 16 * USEC_PER_SEC;
        assert_int_equal(timer_set(&pair.server.node->timers, &pair.server.peer->timer, 0), 0);
        wait_for(&pair, pair.server.downs);
        assert_non_null(strstr(pair.server.down_reason, "renewal of the keys"));
        pair_free(&pair);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_tampered),
                cmocka_unit_test(test_dead),
                cmocka_unit_test(test_unread_answers),
                cmocka_unit_test(test_heartbeat),
                cmocka_unit_test(test_rekey),
                cmocka_unit_test(test_rekey_asked_for),
                cmocka_unit_test(test_rekey_crossed),
                cmocka_unit_test(test_rekey_not_begun),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
