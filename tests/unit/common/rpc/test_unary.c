/* One message answers a unary call that ends well: kept by our own handlers, and not believed of others. */
#include "tests/unit/common/rpc/pair.h"

enum { NONE, ONE, TWO, TWO_SAID_ONE };

/* Answers as often as the pair's test says, and ends well. What our own side would not let out goes out by
 * making it forget that it has answered: this stands in for a peer that is not ours. */
static void report_often(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct pair *pair = userdata;
        const int *how = pair->test;
        Muster__V1__ReportReply reply = MUSTER__V1__REPORT_REPLY__INIT;

        reply.text = (char *)"here";
        if (*how != NONE)
                assert_int_equal(rpc_call_send(call, &reply.base), 0);
        if (*how == TWO_SAID_ONE)
                assert_int_equal(rpc_call_send(call, &reply.base), -EALREADY);
        if (*how == TWO) {
                call->answered = false;
                assert_int_equal(rpc_call_send(call, &reply.base), 0);
        }
        rpc_call_end(call, RPC_OK, NULL);
}

/* As another program might: ends well without having said anything. */
static void plan_say_nothing(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        call->answered = true;
        rpc_call_end(call, RPC_OK, NULL);
}

static void exec_twice(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        Muster__V1__ExecOutput output = MUSTER__V1__EXEC_OUTPUT__INIT;

        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(rpc_call_send(call, &output.base), 0);
        rpc_call_end(call, RPC_OK, NULL);
}

static void operate_nothing(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        rpc_call_end(call, RPC_OK, NULL);
}

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_often},
        {&muster__v1__fleet__descriptor, "Plan", EVERYBODY, plan_say_nothing},
        {&muster__v1__agent__descriptor, "Exec", EVERYBODY, exec_twice},
        {&muster__v1__agent__descriptor, "Operate", EVERYBODY, operate_nothing},
};

static struct outcome ask(struct pair *pair, const ProtobufCServiceDescriptor *service, const char *method,
                          const ProtobufCMessage *request)
{
        struct outcome outcome = {0};

        assert_int_equal(rpc_call_start(NULL, pair->client.peer, service, method, request, 0, outcome_message,
                                        outcome_end, &outcome),
                         0);
        wait_for(pair, outcome.ends);
        return outcome;
}

static void test_reports(void **state)
{
        static const struct {
                int how;
                enum rpc_status code;
                unsigned messages;
                const char *text;
        } cases[] = {
                {ONE, RPC_OK, 1, ""},
                {NONE, RPC_INTERNAL, 0, "gave no answer"},
                {TWO, RPC_INTERNAL, 1, "a second message"},
                {TWO_SAID_ONE, RPC_OK, 1, ""},
        };
        Muster__V1__ReportRequest request = MUSTER__V1__REPORT_REQUEST__INIT;
        struct pair pair;

        pair_connect(&pair, methods, ELEMENTS(methods));
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                int how = cases[i].how;
                struct outcome outcome;

                pair.test = &how;
                outcome = ask(&pair, &muster__v1__fleet__descriptor, "Report", &request.base);
                assert_int_equal(outcome.code, cases[i].code);
                assert_int_equal(outcome.messages, cases[i].messages);
                assert_non_null(strstr(outcome.text, cases[i].text));
        }
        assert_int_equal(pair.client.downs + pair.server.downs, 0);
        pair_free(&pair);
}

static void test_nothing_said(void **state)
{
        Muster__V1__PlanRequest request = MUSTER__V1__PLAN_REQUEST__INIT;
        struct outcome outcome;
        struct pair pair;

        pair_connect(&pair, methods, ELEMENTS(methods));
        outcome = ask(&pair, &muster__v1__fleet__descriptor, "Plan", &request.base);
        assert_int_equal(outcome.code, RPC_INTERNAL);
        assert_non_null(strstr(outcome.text, "without a message"));
        pair_free(&pair);
}

/* A stream may bring any number, none too. */
static void test_streams(void **state)
{
        Muster__V1__ExecRequest exec = MUSTER__V1__EXEC_REQUEST__INIT;
        Muster__V1__OperateRequest operate = MUSTER__V1__OPERATE_REQUEST__INIT;
        struct outcome outcome;
        struct pair pair;

        pair_connect(&pair, methods, ELEMENTS(methods));
        outcome = ask(&pair, &muster__v1__agent__descriptor, "Exec", &exec.base);
        assert_int_equal(outcome.code, RPC_OK);
        assert_int_equal(outcome.messages, 2);
        outcome = ask(&pair, &muster__v1__agent__descriptor, "Operate", &operate.base);
        assert_int_equal(outcome.code, RPC_OK);
        assert_int_equal(outcome.messages, 0);
        pair_free(&pair);
}

/* The list is made from the .proto files. */
static void test_list(void **state)
{
        static const char *const streams[] = {"muster.v1.Agent/Watch", "muster.v1.Agent/Exec",
                                              "muster.v1.Fleet/WatchRun", "grpc.health.v1.Health/Watch"};
        static const char *const unary[] = {"muster.v1.Agent/Operations", "muster.v1.Fleet/Start",
                                            "muster.v1.Fleet/Status", "grpc.health.v1.Health/Check", ""};

        for (size_t i = 0; i < ELEMENTS(streams); i++)
                assert_true(method_is_stream(streams[i]));
        for (size_t i = 0; i < ELEMENTS(unary); i++)
                assert_false(method_is_stream(unary[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reports),
                cmocka_unit_test(test_nothing_said),
                cmocka_unit_test(test_streams),
                cmocka_unit_test(test_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
