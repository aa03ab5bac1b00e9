/* What every node serves by itself, and the table of what it serves besides. */
#include "tests/unit/common/rpc/pair.h"

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
};

struct health_seen {
        unsigned count;
        Grpc__Health__V1__HealthCheckResponse__ServingStatus last;
};

static void on_health(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct health_seen *seen = userdata;

        seen->count++;
        seen->last = ((const Grpc__Health__V1__HealthCheckResponse *)message)->status;
}

static void test_health(void **state)
{
        struct pair own, *pair = &own;
        const ProtobufCServiceDescriptor *health = &grpc__health__v1__health__descriptor;
        Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
        static struct health_seen check, watch; /* one call is still there at the end */
        struct outcome outcome = {0};
        rpc_call *watching;

        pair_connect(pair, methods, ELEMENTS(methods));
        request.service = (char *)"muster.v1.Fleet";
        assert_int_equal(rpc_call_start(&watching, pair->client.peer, health, "Watch", &request.base, 0,
                                        on_health, NULL, &watch),
                         0);
        assert_int_equal(rpc_call_start(NULL, pair->client.peer, health, "Check", &request.base, 0, on_health,
                                        NULL, &check),
                         0);
        wait_for(pair, watch.count == 1 && check.count == 1);
        assert_int_equal(check.last, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
        rpc_node_set_serving(pair->server.node, false);
        wait_for(pair, watch.count == 2);
        assert_int_equal(watch.last, GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING);
        rpc_call_cancel(watching);

        request.service = (char *)"muster.v1.Fleece";
        assert_int_equal(rpc_call_start(NULL, pair->client.peer, health, "Check", &request.base, 0, NULL,
                                        outcome_end, &outcome),
                         0);
        assert_int_equal(rpc_call_start(NULL, pair->client.peer, health, "Watch", &request.base, 0, on_health,
                                        NULL, &watch),
                         0);
        wait_for(pair, outcome.ends && watch.count == 3);
        assert_int_equal(outcome.code, RPC_NOT_FOUND);
        assert_int_equal(watch.last,
                         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN);
        wait_for(pair, pair->server.peer->calls_served == 1);
        pair_free(pair);
}

static void test_bad_tables(void **state)
{
        static const struct rpc_method unknown[] = {
                {&muster__v1__fleet__descriptor, "Nothing", EVERYBODY, report_echo},
        };
        static const struct rpc_method twice[] = {
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
        };
        struct noise_keypair key;
        sd_event *event = NULL;
        rpc_node *node = NULL;

        keypair_new(&key);
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(rpc_node_new(&node, event, RPC_AGENT, &key, unknown, 1, NULL, NULL), -EINVAL);
        assert_int_equal(rpc_node_new(&node, event, RPC_AGENT, &key, twice, 2, NULL, NULL), -EEXIST);
        assert_null(node);
        sd_event_unref(event);
}

static void test_status_names(void **state)
{
        assert_string_equal(rpc_status_name(RPC_OK), "OK");
        assert_string_equal(rpc_status_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
        assert_string_equal(rpc_status_name(17), "UNKNOWN");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_health),
                cmocka_unit_test(test_bad_tables),
                cmocka_unit_test(test_status_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
