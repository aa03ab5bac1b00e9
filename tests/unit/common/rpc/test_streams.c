/* Streams of answers: order, credit, and that a slow reader stalls only its own stream. */
#include "tests/unit/common/rpc/pair.h"

/* A handler that sends blocks as long as there is credit, count in all. */
struct source {
        rpc_call *call;
        unsigned count, sent, writable, cancelled;
        size_t block;
        bool pushing; /* does not ask for credit first */
        int refused;  /* what a push got */
};

static bool source_step(struct source *source)
{
        static uint8_t bytes[60000];
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;
        int r;

        output.exit_code = (int32_t)source->sent;
        output.data.data = bytes;
        output.data.len = source->block;
        r = rpc_call_send(source->call, &output.base);
        if (r < 0) {
                source->refused = r;
                return false;
        }
        source->sent++;
        return true;
}

static void source_go(struct source *source)
{
        while (source->sent < source->count && (source->pushing || rpc_call_writable(source->call)))
                if (!source_step(source))
                        return;
        if (source->sent == source->count)
                rpc_call_end(source->call, RPC_OK, NULL);
}

static void source_writable(rpc_call *call, void *userdata)
{
        struct source *source = userdata;

        source->writable++;
        source_go(source);
}

static void source_cancelled(rpc_call *call, void *userdata)
{
        ((struct source *)userdata)->cancelled++;
}

/* pair->test is an array of sources; the request's user says which. */
static void exec_stream(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__ExecRequest *request = (const Muster__V1__ExecRequest *)message;
        struct pair *pair = userdata;
        struct source *source = (struct source *)pair->test + strtoul(request->user, NULL, 10);

        source->call = call;
        rpc_call_watch(call, source_cancelled, source_writable, source);
        source_go(source);
}

static const struct rpc_method methods[] = {
        {&muster__v1__agent__descriptor, "Exec", EVERYBODY, exec_stream},
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
};

/* The reading end: counts, and checks the order. */
struct sink {
        struct outcome outcome;
        rpc_call *call;
        unsigned cancel_at;
};

static void sink_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct sink *sink = userdata;

        assert_int_equal(((const Muster__V1__ExecOutput *)message)->exit_code, sink->outcome.messages);
        outcome_message(call, message, &sink->outcome);
        if (sink->cancel_at && sink->outcome.messages == sink->cancel_at)
                rpc_call_cancel(call);
}

static void sink_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        outcome_end(call, code, text, &((struct sink *)userdata)->outcome);
}

static void sink_start(struct pair *pair, unsigned source, struct sink *sink)
{
        Muster__V1__ExecRequest request = MUSTER__V1__EXEC_REQUEST__INIT;
        char user[16];

        snprintf(user, sizeof(user), "%u", source);
        request.user = user;
        assert_int_equal(rpc_call_start(&sink->call, pair->client.peer, &muster__v1__agent__descriptor,
                                        "Exec", &request.base, 0, sink_message, sink_end, sink),
                         0);
}

static void test_stream(void **state)
{
        struct pair pair;
        struct source source = {.count = 5000, .block = 1000};
        struct sink sink = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = &source;
        sink_start(&pair, 0, &sink);
        wait_for(&pair, sink.outcome.ends);
        assert_int_equal(sink.outcome.code, RPC_OK);
        assert_int_equal(sink.outcome.messages, 5000);
        assert_int_equal(sink.outcome.bytes, 5000 * 1000);
        assert_true(source.writable > 0); /* credit ran out on the way */
        assert_int_equal(pair.server.peer->charged, 0);
        assert_int_equal(pair.client.peer->charged, 0);
        pair_free(&pair);
}

static void stall(size_t block)
{
        const uint32_t window = 256u << 10;
        const unsigned few = window / (unsigned)(block + 8); /* messages that the first credit pays for */
        struct pair pair;
        struct source sources[2] = {{.count = 4 * few, .block = block}, {.count = 4 * few, .block = block}};
        struct sink slow = {0}, fast = {0};
        struct outcome unary = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = sources;
        sink_start(&pair, 0, &slow);
        rpc_call_hold(slow.call, true);
        sink_start(&pair, 1, &fast);
        wait_for(&pair, fast.outcome.ends);
        assert_int_equal(report_start(NULL, pair.client.peer, "beside", 0, &unary), 0);
        wait_for(&pair, unary.ends && slow.outcome.messages >= few);
        assert_int_equal(fast.outcome.messages, 4 * few);
        assert_int_equal(unary.code, RPC_OK);

        /* nothing more comes for it than its credit allows */
        for (unsigned i = 0; i < 50; i++) {
                unary.ends = 0;
                assert_int_equal(report_start(NULL, pair.client.peer, "beside", 0, &unary), 0);
                wait_for(&pair, unary.ends);
        }
        assert_in_range(slow.outcome.bytes, window - 2 * block - 8 * few, window);
        assert_int_equal(slow.outcome.ends, 0);
        assert_true(sources[0].sent <= slow.outcome.messages + 1);
        assert_false(rpc_call_writable(sources[0].call));

        rpc_call_hold(slow.call, false);
        wait_for(&pair, slow.outcome.ends);
        assert_int_equal(slow.outcome.code, RPC_OK);
        assert_int_equal(slow.outcome.messages, 4 * few);
        pair_free(&pair);
}

static void test_stall(void **state)
{
        stall(20000); /* sent in parts */
        stall(1000);  /* written at once */
}

/* A serving side that sends more than it was allowed to is cut off. */
static void test_over_credit(void **state)
{
        struct pair pair;
        struct source source = {.count = 1000, .block = 1000};
        struct sink sink = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = &source;
        rpc_node_limits(pair.server.node)->window = 1u << 20;
        sink_start(&pair, 0, &sink);
        rpc_call_hold(sink.call, true);
        wait_for(&pair, pair.client.downs);
        assert_string_equal(pair.client.down_reason, "it broke the protocol");
        assert_int_equal(sink.outcome.code, RPC_UNAVAILABLE);
        pair_free(&pair);
}

/* A caller that grants more than it took is, too. */
static void test_over_grant(void **state)
{
        struct pair pair;
        struct source source = {.count = 1000, .block = 1000};
        struct sink sink = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = &source;
        sink_start(&pair, 0, &sink);
        rpc_call_hold(sink.call, true);
        wait_for(&pair, sink.outcome.messages);
        sink.call->grant = 1u << 20;
        rpc_call_hold(sink.call, false);
        wait_for(&pair, pair.server.downs);
        assert_string_equal(pair.server.down_reason, "it broke the protocol");
        pair_free(&pair);
}

/* A handler that does not ask for credit may queue 4 MiB. */
static void test_push(void **state)
{
        struct pair pair;
        struct source source = {.count = 1000, .block = 50000, .pushing = true};
        struct sink sink = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = &source;
        sink_start(&pair, 0, &sink);
        rpc_call_hold(sink.call, true);
        wait_for(&pair, source.refused);
        assert_int_equal(source.refused, -ENOBUFS);
        assert_in_range(source.sent, (4u << 20) / 51000, (4u << 20) / 50000 + 7);
        source.count = source.sent;
        rpc_call_end(source.call, RPC_ABORTED, "that is all"); /* after what is queued */
        rpc_call_hold(sink.call, false);
        wait_for(&pair, sink.outcome.ends);
        assert_int_equal(sink.outcome.code, RPC_ABORTED);
        assert_string_equal(sink.outcome.text, "that is all");
        assert_int_equal(sink.outcome.messages, source.count);
        assert_int_equal(source.cancelled, 0);
        assert_int_equal(pair.server.peer->charged, 0);
        pair_free(&pair);
}

static void test_cancel(void **state)
{
        struct pair pair;
        struct source sources[2] = {{.count = 1000, .block = 50000}, {.count = 1000, .block = 50000}};
        struct sink inside = {.cancel_at = 3}, outside = {0};
        struct outcome after = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = sources;
        sink_start(&pair, 0, &inside);
        sink_start(&pair, 1, &outside);
        wait_for(&pair, outside.outcome.messages > 0);
        rpc_call_cancel(outside.call);
        wait_for(&pair, sources[0].cancelled && sources[1].cancelled);
        assert_int_equal(report_start(NULL, pair.client.peer, "after", 0, &after), 0);
        wait_for(&pair, after.ends);
        assert_int_equal(inside.outcome.messages, 3);
        assert_int_equal(inside.outcome.ends + outside.outcome.ends, 0);
        assert_int_equal(pair.server.peer->calls_served, 0);
        assert_int_equal(pair.server.peer->charged + pair.client.peer->charged, 0);
        assert_int_equal(pair.client.downs, 0);
        pair_free(&pair);
}

/* A deadline that passes in the middle of a large message: the half is dropped, the link stays. */
static void test_deadline_in_message(void **state)
{
        struct pair pair;
        struct source source = {.count = 100, .block = 60000, .pushing = true};
        struct sink sink = {0};
        struct outcome after = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = &source;
        sink_start(&pair, 0, &sink);
        rpc_call_hold(sink.call, true);
        wait_for(&pair, source.call && sink.outcome.messages == 4); /* the fifth is under way */
        assert_int_equal(
                timer_set(&pair.server.node->timers, &source.call->deadline, node_now(pair.server.node)), 0);
        wait_for(&pair, sink.outcome.ends);
        assert_int_equal(sink.outcome.code, RPC_DEADLINE_EXCEEDED);
        assert_int_equal(sink.outcome.messages, 4);
        assert_int_equal(report_start(NULL, pair.client.peer, "after", 0, &after), 0);
        wait_for(&pair, after.ends);
        assert_int_equal(after.code, RPC_OK);
        assert_int_equal(pair.server.peer->charged + pair.client.peer->charged, 0);
        pair_free(&pair);
}

/* The link goes: both ends of every stream hear of it, before down. */
static void test_link_lost(void **state)
{
        struct pair pair;
        struct source sources[3] = {{.count = 1000, .block = 50000},
                                    {.count = 1000, .block = 100},
                                    {.count = 1000, .block = 50000, .pushing = true}};
        struct sink sinks[3] = {0};

        pair_connect(&pair, methods, ELEMENTS(methods));
        pair.test = sources;
        for (unsigned i = 0; i < 3; i++) {
                sink_start(&pair, i, &sinks[i]);
                rpc_call_hold(sinks[i].call, true);
        }
        wait_for(&pair, sources[0].sent && sources[1].sent == 1000 && sources[2].refused);
        rpc_peer_close(pair.server.peer, "tests end it");
        wait_for(&pair, pair.server.downs && pair.client.downs);
        for (unsigned i = 0; i < 3; i++)
                if (i != 1) {
                        assert_int_equal(sinks[i].outcome.ends, 1);
                        assert_int_equal(sinks[i].outcome.code, RPC_UNAVAILABLE);
                        assert_int_equal(sources[i].cancelled, 1);
                }
        assert_string_equal(pair.server.down_reason, "tests end it");
        pair_free(&pair);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stream),
                cmocka_unit_test(test_stall),
                cmocka_unit_test(test_over_credit),
                cmocka_unit_test(test_over_grant),
                cmocka_unit_test(test_push),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_deadline_in_message),
                cmocka_unit_test(test_link_lost),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
