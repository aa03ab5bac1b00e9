/* Unary calls, both ways, and everything that can be wrong with one. */
#include "tests/unit/common/rpc/pair.h"

/* Calls that a handler keeps for later. */
struct kept {
        rpc_call *call;
        unsigned asked, cancelled;
};

static void on_cancelled(rpc_call *call, void *userdata)
{
        struct kept *kept = userdata;

        kept->cancelled++;
        kept->call = NULL;
}

/* Keeps the call, and hears of the caller's going away. */
static void plan_keep_watched(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct pair *pair = userdata;
        struct kept *kept = pair->test;

        kept->call = call;
        kept->asked++;
        rpc_call_watch(call, on_cancelled, NULL, kept);
}

/* Keeps the call without watching it. */
static void check_keep(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct pair *pair = userdata;
        struct kept *kept = pair->test;

        kept->call = call;
        kept->asked++;
}

/* Answers with a text of the size asked for. */
static void status_big(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__StatusRequest *request = (const Muster__V1__StatusRequest *)message;
        Muster__V1__StatusReply reply = MUSTER__V1__STATUS_REPLY__INIT;
        size_t size = (size_t)strtoul(request->scope, NULL, 10);
        char *text = malloc(size + 1);

        assert_non_null(text);
        memset(text, 'x', size);
        text[size] = '\0';
        reply.fleet = text;
        rpc_call_reply(call, &reply.base);
        free(text);
}

/* Says no, and quotes bytes that are no text. */
static void start_refuse(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__StartRequest *request = (const Muster__V1__StartRequest *)message;

        if (*request->scope)
                rpc_call_end(call, RPC_FAILED_PRECONDITION, "run %s is paused: resume it first",
                             request->scope);
        else
                rpc_call_end(call, RPC_ABORTED, "file \xff\xfe");
}

static void denied(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        fail_msg("a denied method was called");
}

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
        {&muster__v1__fleet__descriptor, "Plan", EVERYBODY, plan_keep_watched},
        {&muster__v1__fleet__descriptor, "Check", EVERYBODY, check_keep},
        {&muster__v1__fleet__descriptor, "Status", EVERYBODY, status_big},
        {&muster__v1__fleet__descriptor, "Start", EVERYBODY, start_refuse},
        {&muster__v1__fleet__descriptor, "Revoke", RPC_USER, denied},
};

struct fixture {
        struct pair pair;
        struct kept kept;
};

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        if (!fixture)
                return -1;
        pair_connect(&fixture->pair, methods, ELEMENTS(methods));
        fixture->pair.test = &fixture->kept;
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;

        pair_free(&fixture->pair);
        free(fixture);
        return 0;
}

static int start(rpc_call **ret, rpc_peer *peer, const char *method, const ProtobufCMessage *request,
                 uint64_t deadline_us, struct outcome *outcome)
{
        return rpc_call_start(ret, peer, &muster__v1__fleet__descriptor, method, request, deadline_us,
                              outcome_message, outcome_end, outcome);
}

static void test_unary(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        struct outcome outcome = {0};

        assert_int_equal(report_start(NULL, pair->client.peer, "hello", 0, &outcome), 0);
        assert_int_equal(outcome.ends, 0);
        wait_for(pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_OK);
        assert_int_equal(outcome.messages, 1);
        assert_string_equal(outcome.last, "hello");

        /* the side that listened may call too; an empty message is a message */
        outcome = (struct outcome){0};
        assert_int_equal(report_start(NULL, pair->server.peer, "", USEC_PER_SEC, &outcome), 0);
        wait_for(pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_OK);
        assert_int_equal(outcome.messages, 1);
}

static void test_peers(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;

        assert_string_equal(rpc_peer_name(pair->server.peer), "db1");
        assert_string_equal(rpc_peer_name(pair->client.peer), "db1");
        assert_int_equal(rpc_peer_role(pair->server.peer), RPC_AGENT);
        assert_int_equal(rpc_peer_role(pair->client.peer), RPC_CONTROLLER);
        assert_memory_equal(rpc_peer_key(pair->server.peer), pair->client_key.public, NOISE_KEY_SIZE);
        assert_memory_equal(rpc_peer_key(pair->client.peer), pair->server_key.public, NOISE_KEY_SIZE);
        assert_non_null(strstr(rpc_peer_address(pair->server.peer), "127.0.0.1:"));
        rpc_peer_set_data(pair->server.peer, pair);
        assert_ptr_equal(rpc_peer_data(pair->server.peer), pair);
}

static void test_many(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        static struct outcome outcomes[1000];
        unsigned ended;

        memset(outcomes, 0, sizeof(outcomes));
        for (unsigned i = 0; i < ELEMENTS(outcomes); i++) {
                char text[32];

                snprintf(text, sizeof(text), "call %u", i);
                assert_int_equal(report_start(NULL, i % 3 ? pair->client.peer : pair->server.peer, text,
                                              (1 + i % 7) * 10 * USEC_PER_SEC, &outcomes[i]),
                                 0);
        }
        do {
                assert_true(sd_event_run(pair->event, 100000) >= 0);
                ended = 0;
                for (unsigned i = 0; i < ELEMENTS(outcomes); i++)
                        ended += outcomes[i].ends;
        } while (ended < ELEMENTS(outcomes));
        for (unsigned i = 0; i < ELEMENTS(outcomes); i++) {
                char text[32];

                snprintf(text, sizeof(text), "call %u", i);
                assert_int_equal(outcomes[i].ends, 1);
                assert_int_equal(outcomes[i].code, RPC_OK);
                assert_string_equal(outcomes[i].last, text);
        }
        assert_int_equal(pair->server.peer->streams.count, 0);
        assert_int_equal(pair->client.peer->streams.count, 0);
        assert_int_equal(pair->client.node->timers.count, 1);
}

static void test_sizes(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        static const size_t sizes[] = {1,
                                       16383,
                                       16384,
                                       65494,
                                       65495,
                                       65511,
                                       65536,
                                       300000,
                                       RPC_MESSAGE_MAX - 6,
                                       RPC_MESSAGE_MAX - 5};

        for (unsigned i = 0; i < ELEMENTS(sizes); i++) {
                struct outcome outcome = {0};
                char *text = malloc(sizes[i] + 1);

                assert_non_null(text);
                memset(text, 'y', sizes[i]);
                text[sizes[i]] = '\0';
                assert_int_equal(report_start(NULL, pair->client.peer, text, 0, &outcome), 0);
                wait_for(pair, outcome.ends);
                assert_int_equal(outcome.code, RPC_OK);
                assert_int_equal(outcome.bytes, sizes[i]);
                free(text);
                assert_int_equal(pair->server.peer->charged, 0);
                assert_int_equal(pair->client.peer->charged, 0);
        }
}

static void test_too_large(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__StatusRequest request = MUSTER__V1__STATUS_REQUEST__INIT;
        struct outcome outcome = {0};
        char *text = malloc(RPC_MESSAGE_MAX + 1);

        assert_non_null(text);
        memset(text, 'y', RPC_MESSAGE_MAX);
        text[RPC_MESSAGE_MAX] = '\0';
        assert_int_equal(report_start(NULL, pair->client.peer, text, 0, &outcome), -EMSGSIZE);
        free(text);

        request.scope = (char *)"4194304";
        assert_int_equal(start(NULL, pair->client.peer, "Status", &request.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(outcome.text, "4 MiB"));
        assert_int_equal(outcome.messages, 0);
}

/* More than one link may hold at once: what does not fit is refused, the rest arrives. */
static void test_too_much(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        struct outcome outcomes[8] = {0};
        unsigned started = 0;
        char *text = malloc(RPC_MESSAGE_MAX);

        assert_non_null(text);
        memset(text, 'y', RPC_MESSAGE_MAX - 6);
        text[RPC_MESSAGE_MAX - 6] = '\0';
        while (started < 8 && report_start(NULL, pair->client.peer, text, 0, &outcomes[started]) == 0)
                started++;
        free(text);
        assert_in_range(started, 2, 4);
        for (unsigned i = 0; i < started; i++)
                wait_for(pair, outcomes[i].ends);
        for (unsigned i = 0; i < started; i++)
                assert_int_equal(outcomes[i].code, RPC_OK);
}

static void test_refusals(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__RevokeRequest revoke = MUSTER__V1__REVOKE_REQUEST__INIT;
        Muster__V1__StartRequest starting = MUSTER__V1__START_REQUEST__INIT;
        Muster__V1__DescribeRequest describe = MUSTER__V1__DESCRIBE_REQUEST__INIT;
        struct outcome outcome = {0};

        assert_int_equal(start(NULL, pair->client.peer, "Nothing", &revoke.base, 0, &outcome), -EINVAL);
        assert_int_equal(start(NULL, pair->client.peer, "Report", &revoke.base, 0, &outcome), -EINVAL);

        assert_int_equal(rpc_call_start(NULL, pair->client.peer, &muster__v1__agent__descriptor, "Describe",
                                        &describe.base, 0, outcome_message, outcome_end, &outcome),
                         0);
        wait_for(pair, outcome.ends == 1);
        assert_int_equal(outcome.code, RPC_UNIMPLEMENTED);
        assert_string_equal(outcome.text, "muster.v1.Agent/Describe is not served here");

        assert_int_equal(start(NULL, pair->client.peer, "Revoke", &revoke.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends == 2);
        assert_int_equal(outcome.code, RPC_PERMISSION_DENIED);
        assert_string_equal(outcome.text, "an agent may not call muster.v1.Fleet/Revoke");

        starting.scope = (char *)"r7";
        assert_int_equal(start(NULL, pair->client.peer, "Start", &starting.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends == 3);
        assert_int_equal(outcome.code, RPC_FAILED_PRECONDITION);
        assert_string_equal(outcome.text, "run r7 is paused: resume it first");

        starting.scope = (char *)"";
        assert_int_equal(start(NULL, pair->client.peer, "Start", &starting.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends == 4);
        assert_int_equal(outcome.code, RPC_ABORTED);
        assert_string_equal(outcome.text, "ABORTED");
        assert_int_equal(outcome.messages, 0);
        assert_int_equal(pair->client.downs, 0);
}

/* A denied request is not even unpacked: it may be anything. */
static void test_malformed(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__RevokeRequest revoke = MUSTER__V1__REVOKE_REQUEST__INIT;
        Muster__V1__PlanRequest plan = MUSTER__V1__PLAN_REQUEST__INIT;
        struct outcome outcome = {0};

        assert_int_equal(report_start(NULL, pair->client.peer, "\xff", 0, &outcome), 0);
        wait_for(pair, outcome.ends == 1);
        assert_int_equal(outcome.code, RPC_INVALID_ARGUMENT);
        assert_non_null(strstr(outcome.text, "muster.v1.ReportRequest.run"));

        plan.kind = (Muster__V1__PlanKind)77;
        assert_int_equal(start(NULL, pair->client.peer, "Plan", &plan.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends == 2);
        assert_int_equal(outcome.code, RPC_INVALID_ARGUMENT);
        assert_int_equal(fixture->kept.asked, 0);

        revoke.host = (char *)"\xff";
        assert_int_equal(start(NULL, pair->client.peer, "Revoke", &revoke.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends == 3);
        assert_int_equal(outcome.code, RPC_PERMISSION_DENIED);
        assert_int_equal(pair->client.downs, 0);
}

static void report_garbled(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        Muster__V1__ReportReply reply = MUSTER__V1__REPORT_REPLY__INIT;

        reply.text = (char *)"\xc0\x80";
        rpc_call_reply(call, &reply.base);
}

static void test_malformed_answer(void **state)
{
        static const struct rpc_method garbled[] = {
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_garbled},
        };
        struct pair pair;
        struct outcome outcome = {0};

        pair_connect(&pair, garbled, 1);
        assert_int_equal(report_start(NULL, pair.client.peer, "x", 0, &outcome), 0);
        wait_for(&pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_INTERNAL);
        assert_non_null(strstr(outcome.text, "muster.v1.ReportReply.text"));
        assert_int_equal(outcome.messages, 0);
        assert_int_equal(pair.client.downs, 0);
        pair_free(&pair);
}

static void test_deadline(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__PlanRequest plan = MUSTER__V1__PLAN_REQUEST__INIT;
        struct outcome outcome = {0};

        assert_int_equal(start(NULL, pair->client.peer, "Plan", &plan.base, 30000, &outcome), 0);
        wait_for(pair, outcome.ends && fixture->kept.cancelled);
        assert_int_equal(outcome.code, RPC_DEADLINE_EXCEEDED);
        assert_int_equal(fixture->kept.asked, 1);
        assert_int_equal(fixture->kept.cancelled, 1);
        assert_int_equal(pair->server.peer->calls_served, 0);
        assert_int_equal(pair->client.peer->calls_made, 0);
}

/* The serving side keeps the deadline by itself: here the caller's own timer is taken away. */
static void test_deadline_served(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__PlanRequest plan = MUSTER__V1__PLAN_REQUEST__INIT;
        struct outcome outcome = {0};
        rpc_call *call;

        assert_int_equal(start(&call, pair->client.peer, "Plan", &plan.base, 30000, &outcome), 0);
        timer_stop(&pair->client.node->timers, &call->deadline);
        wait_for(pair, outcome.ends && fixture->kept.cancelled);
        assert_int_equal(outcome.code, RPC_DEADLINE_EXCEEDED);
        assert_string_equal(outcome.text, "the deadline passed");
}

static void test_cancel(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__PlanRequest plan = MUSTER__V1__PLAN_REQUEST__INIT;
        struct outcome outcome = {0};
        rpc_call *call;

        assert_int_equal(start(&call, pair->client.peer, "Plan", &plan.base, 0, &outcome), 0);
        wait_for(pair, fixture->kept.asked);
        rpc_call_cancel(call);
        wait_for(pair, fixture->kept.cancelled);
        assert_int_equal(outcome.ends, 0);
        assert_int_equal(pair->server.peer->calls_served, 0);

        /* and before it left at all: the other side hears of both or of neither */
        assert_int_equal(start(&call, pair->client.peer, "Plan", &plan.base, 0, &outcome), 0);
        rpc_call_cancel(call);
        assert_int_equal(report_start(NULL, pair->client.peer, "after", 0, &outcome), 0);
        wait_for(pair, outcome.ends);
        assert_int_equal(fixture->kept.asked, fixture->kept.cancelled);
}

/* A handler that does not watch ends its call whenever it likes, whatever became of the caller. */
static void test_cancel_unwatched(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__CheckRequest check = MUSTER__V1__CHECK_REQUEST__INIT;
        Muster__V1__CheckUpdate update = MUSTER__V1__CHECK_UPDATE__INIT;
        struct outcome outcome = {0};
        rpc_call *call;

        assert_int_equal(start(&call, pair->client.peer, "Check", &check.base, 0, &outcome), 0);
        wait_for(pair, fixture->kept.asked == 1);
        rpc_call_cancel(call);
        wait_for(pair, fixture->kept.call->gone);
        assert_int_equal(pair->server.peer->calls_served, 1); /* it still counts */
        assert_false(rpc_call_writable(fixture->kept.call));
        assert_int_equal(rpc_call_send(fixture->kept.call, &update.base), -ECANCELED);
        rpc_call_reply(fixture->kept.call, &update.base);
        assert_int_equal(pair->server.peer->calls_served, 0);

        /* the same when the link itself is gone; one is never ended: the node frees it */
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(start(&call, pair->client.peer, "Check", &check.base, 0, &outcome), 0);
                wait_for(pair, fixture->kept.asked == 2 + i);
                call = fixture->kept.call;
        }
        rpc_peer_close(pair->client.peer, "enough");
        wait_for(pair, pair->server.downs == 1 && pair->client.downs == 1);
        assert_null(rpc_call_peer(call));
        rpc_call_end(call, RPC_OK, NULL);
        assert_int_equal(outcome.ends, 2);
        assert_int_equal(outcome.code, RPC_UNAVAILABLE);
        assert_non_null(strstr(outcome.text, "enough"));
}

static void end_then_cancel(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        outcome_end(call, code, text, userdata);
        rpc_call_cancel(call); /* too late, and harmless */
}

static void message_then_cancel(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        outcome_message(call, message, userdata);
        rpc_call_cancel(call);
}

static void test_cancel_inside(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__ReportRequest request = MUSTER__V1__REPORT_REQUEST__INIT;
        struct outcome cancelled = {0}, ended = {0}, after = {0};

        assert_int_equal(rpc_call_start(NULL, pair->client.peer, &muster__v1__fleet__descriptor, "Report",
                                        &request.base, 0, message_then_cancel, outcome_end, &cancelled),
                         0);
        assert_int_equal(rpc_call_start(NULL, pair->client.peer, &muster__v1__fleet__descriptor, "Report",
                                        &request.base, 0, outcome_message, end_then_cancel, &ended),
                         0);
        assert_int_equal(report_start(NULL, pair->client.peer, "after", 0, &after), 0);
        wait_for(pair, after.ends);
        assert_int_equal(cancelled.messages, 1);
        assert_int_equal(cancelled.ends, 0);
        assert_int_equal(ended.ends, 1);
        assert_int_equal(pair->client.peer->calls_made, 0);
}

static void test_limit_of_calls(void **state)
{
        struct fixture *fixture = *state;
        struct pair *pair = &fixture->pair;
        Muster__V1__CheckRequest check = MUSTER__V1__CHECK_REQUEST__INIT;
        static struct outcome outcome; /* outlives the calls that the teardown ends */

        rpc_node_limits(pair->server.node)->streams = 3;
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(start(NULL, pair->client.peer, "Check", &check.base, 0, &outcome), 0);
        wait_for(pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_RESOURCE_EXHAUSTED);
        assert_int_equal(fixture->kept.asked, 3);

        rpc_node_limits(pair->client.node)->streams = 3;
        assert_int_equal(start(NULL, pair->client.peer, "Check", &check.base, 0, &outcome), -ENOBUFS);
}

/* Stream numbers grow, and each side has its own: anything else ends the link. */
static void test_stream_numbers(void **state)
{
        static const uint32_t numbers[] = {1, 8, 0};
        static struct outcome outcomes[3];

        for (unsigned i = 0; i < ELEMENTS(numbers); i++) {
                struct pair pair;

                outcomes[i] = (struct outcome){0};
                pair_connect(&pair, methods, ELEMENTS(methods));
                assert_int_equal(report_start(NULL, pair.client.peer, "first", 0, &outcomes[i]), 0);
                wait_for(&pair, outcomes[i].ends);
                assert_int_equal(outcomes[i].code, RPC_OK);
                pair.client.peer->next_stream = numbers[i];
                assert_int_equal(report_start(NULL, pair.client.peer, "second", 0, &outcomes[i]), 0);
                wait_for(&pair, pair.server.downs);
                assert_string_equal(pair.server.down_reason, "it broke the protocol");
                pair_free(&pair);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_unary, setup, teardown),
                cmocka_unit_test_setup_teardown(test_peers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_much, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
                cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
                cmocka_unit_test(test_malformed_answer),
                cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_deadline_served, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cancel_unwatched, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cancel_inside, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limit_of_calls, setup, teardown),
                cmocka_unit_test(test_stream_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
