/* The controller's view of its agents. The links are a stand-in: they do at a word what real ones do rarely
 * or after a minute: say nothing, say too much. */
#include "controller/agents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/rpc/wire.h"

struct rpc_peer {
        const char *name;
        void *data;
        const char *closed; /* the reason */
        uint8_t key[32];
};

struct rpc_call {
        rpc_peer *peer;
        char method[32];
        rpc_on_message on_message;
        rpc_on_end on_end;
        void *userdata;
};

static struct rpc_call calls[8];
static size_t call_count;
static uint64_t patience_us;

/* --- the stand-in for links ------------------------------------------------------------------------------
 */

const char *rpc_peer_name(const rpc_peer *peer)
{
        return peer->name;
}

void rpc_peer_set_data(rpc_peer *peer, void *data)
{
        peer->data = data;
}

void *rpc_peer_data(const rpc_peer *peer)
{
        return peer->data;
}

void rpc_peer_close(rpc_peer *peer, const char *reason)
{
        peer->closed = reason;
}

const uint8_t *rpc_peer_key(const rpc_peer *peer)
{
        return peer->key;
}

const char *rpc_peer_address(const rpc_peer *peer)
{
        return "10.0.0.9";
}

rpc_peer *rpc_call_peer(const rpc_call *call)
{
        return call->peer;
}

const char *rpc_status_name(enum rpc_status status)
{
        return "status";
}

int rpc_call_start(rpc_call **ret, rpc_peer *peer, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, uint64_t deadline_us,
                   rpc_on_message on_message, rpc_on_end on_end, void *userdata)
{
        assert_true(call_count < ELEMENTS(calls));
        calls[call_count] = (struct rpc_call){peer, "", on_message, on_end, userdata};
        TEXT_COPY(calls[call_count++].method, method);
        return 0;
}

/* A minute goes by at once. */
int sd_event_add_time_relative(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
                               uint64_t accuracy, sd_event_time_handler_t callback, void *userdata)
{
        patience_us = usec;
        return sd_event_add_time(event, ret, clock, time_monotonic_us(), 1, callback, userdata);
}

/* --- the bench -------------------------------------------------------------------------------------------
 */

struct bench {
        struct fleet_host host;
        struct fleet fleet;
        sd_event *event;
        agents *agents;
        rpc_peer peer;
};

static int set_up(void **state)
{
        struct bench *bench = calloc(1, sizeof(*bench));

        assert_non_null(bench);
        call_count = 0;
        TEXT_COPY(bench->host.name, "one");
        bench->fleet.hosts = &bench->host;
        bench->fleet.host_count = 1;
        bench->peer.name = "one";
        assert_int_equal(sd_event_new(&bench->event), 0);
        assert_int_equal(agents_new(&bench->agents, bench->event, &bench->fleet), 0);
        *state = bench;
        return 0;
}

static int tear_down(void **state)
{
        struct bench *bench = *state;

        agents_free(bench->agents);
        sd_event_unref(bench->event);
        free(bench);
        return 0;
}

static void say_state(const struct rpc_call *call)
{
        Muster__V1__HostState host = MUSTER__V1__HOST_STATE__INIT;
        Muster__V1__AgentState state = MUSTER__V1__AGENT_STATE__INIT;

        state.host = &host;
        calls[0].on_message((rpc_call *)call, &state.base, call->userdata);
}

/* --- tests -----------------------------------------------------------------------------------------------
 */

static void test_close_before_the_first_state(void **state)
{
        struct bench *bench = *state;

        agents_close(bench->agents, "one", "no link"); /* nothing to close */
        agents_peer_up(bench->agents, &bench->peer);
        agents_close(bench->agents, "another", "another");
        assert_null(bench->peer.closed);
        agents_close(bench->agents, "one", "its key was revoked");
        assert_string_equal(bench->peer.closed, "its key was revoked");
}

static void test_silence_ends_the_link(void **state)
{
        struct bench *bench = *state;

        agents_peer_up(bench->agents, &bench->peer);
        assert_int_equal(patience_us, 60 * USEC_PER_SEC);
        assert_true(sd_event_run(bench->event, USEC_PER_SEC) >= 0);
        assert_non_null(bench->peer.closed);
        agents_peer_down(bench->agents, &bench->peer);
}

static void test_a_state_ends_the_wait(void **state)
{
        struct bench *bench = *state;
        struct agent_view view;

        agents_peer_up(bench->agents, &bench->peer);
        say_state(&calls[0]);
        agents_view(bench->agents, 0, &view);
        assert_true(view.connected);
        assert_true(sd_event_run(bench->event, 10 * USEC_PER_MSEC) >= 0);
        assert_null(bench->peer.closed);
}

/* --- two machines with one key --- */

static void say_boot(const struct rpc_call *call, const char *boot, uint64_t uptime_ms)
{
        Muster__V1__HostState host = MUSTER__V1__HOST_STATE__INIT;
        Muster__V1__AgentState state = MUSTER__V1__AGENT_STATE__INIT;

        host.boot_id = (char *)boot;
        host.uptime_ms = uptime_ms;
        state.host = &host;
        call->on_message((rpc_call *)call, &state.base, call->userdata);
}

#define BOOT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOOT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* The host is up on boot A by bench->peer; another link of the same key is up by the other. */
static void two_links(struct bench *bench, rpc_peer *other)
{
        agents_peer_up(bench->agents, &bench->peer);
        say_boot(&calls[0], BOOT_A, 1000);
        *other = (rpc_peer){.name = "one"};
        agents_peer_up(bench->agents, other);
        assert_string_equal(calls[1].method, "Watch");
        assert_ptr_equal(calls[1].peer, other);
        assert_null(bench->peer.closed); /* not before the newer one has proven itself */
}

static void expect_host(struct bench *bench, const rpc_peer *peer, const char *boot, bool another)
{
        struct agent_view view;

        agents_view(bench->agents, 0, &view);
        assert_true(view.connected);
        assert_ptr_equal(view.peer, peer);
        assert_string_equal(view.state->host.boot_id, boot);
        assert_int_equal(view.another[0] != '\0', another);
}

static void test_same_machine_again(void **state)
{
        struct bench *bench = *state;
        rpc_peer other;

        two_links(bench, &other);
        say_boot(&calls[1], BOOT_A, 1000000000);
        assert_string_equal(bench->peer.closed, "the host connected again");
        expect_host(bench, &other, BOOT_A, false);
        agents_peer_down(bench->agents, &bench->peer); /* late */
        expect_host(bench, &other, BOOT_A, false);
}

/* Up for days, while the other spoke a moment ago: no reboot explains that. */
static void test_copy_that_was_up(void **state)
{
        struct bench *bench = *state;
        struct agent_view view;
        rpc_peer other;

        two_links(bench, &other);
        say_boot(&calls[1], BOOT_B, 86400000);
        assert_non_null(other.closed);
        agents_peer_down(bench->agents, &other);
        expect_host(bench, &bench->peer, BOOT_A, true);
        agents_view(bench->agents, 0, &view);
        assert_non_null(strstr(view.another, "10.0.0.9, on boot bbbbbbbb"));
        /* also when the right one is away, as for its reboot */
        agents_peer_down(bench->agents, &bench->peer);
        other = (rpc_peer){.name = "one"};
        agents_peer_up(bench->agents, &other);
        say_boot(&calls[call_count - 1], BOOT_B, 86400000);
        assert_non_null(other.closed);
        agents_peer_down(bench->agents, &other);
        agents_view(bench->agents, 0, &view);
        assert_false(view.connected);
        bench->peer = (rpc_peer){.name = "one"};
        agents_peer_up(bench->agents, &bench->peer);
        say_boot(&calls[call_count - 1], "cccccccccccccccccccccccccccccccc", 500);
        expect_host(bench, &bench->peer, "cccccccccccccccccccccccccccccccc", true);
}

/* Booted a moment ago, on another boot: the host after a power cut, if the machine of before is silent. */
static void test_boot_while_the_old_link_is_up(void **state)
{
        struct bench *bench = *state;
        rpc_peer other;

        for (int answers = 0; answers < 2; answers++) {
                call_count = 0;
                two_links(bench, &other);
                say_boot(&calls[1], BOOT_B, 500);
                assert_string_equal(calls[2].method, "Describe");
                assert_ptr_equal(calls[2].peer, &bench->peer);
                say_boot(&calls[1], BOOT_B, 1500);
                assert_int_equal(call_count, 3); /* asked once */
                expect_host(bench, &bench->peer, BOOT_A, false);
                if (answers) {
                        say_boot(&calls[2], BOOT_A, 2000);
                        calls[2].on_end(&calls[2], RPC_OK, "", calls[2].userdata);
                        assert_null(bench->peer.closed);
                        assert_non_null(other.closed);
                        agents_peer_down(bench->agents, &other);
                        expect_host(bench, &bench->peer, BOOT_A, true);
                } else {
                        calls[2].on_end(&calls[2], RPC_DEADLINE_EXCEEDED, "", calls[2].userdata);
                        assert_non_null(bench->peer.closed);
                        expect_host(bench, &other, BOOT_B, false);
                        agents_peer_down(bench->agents, &other);
                        bench->peer = (rpc_peer){.name = "one"};
                }
        }
}

static void test_old_link_ends_meanwhile(void **state)
{
        struct bench *bench = *state;
        rpc_peer other;

        two_links(bench, &other);
        say_boot(&calls[1], BOOT_B, 500);
        agents_peer_down(bench->agents, &bench->peer);
        expect_host(bench, &other, BOOT_B, false);
        calls[2].on_end(&calls[2], RPC_UNAVAILABLE, "", calls[2].userdata);
        expect_host(bench, &other, BOOT_B, false);
}

/* A machine that took the host's place, with a key of its own: no copy. */
static void test_new_key(void **state)
{
        struct bench *bench = *state;
        rpc_peer other;

        two_links(bench, &other);
        other.key[0] = 1;
        say_boot(&calls[1], BOOT_B, 86400000);
        expect_host(bench, &other, BOOT_B, false);
}

struct heard {
        bool ended;
        enum rpc_status code;
        size_t count;
};

static void on_ledger(enum rpc_status code, const struct operation_report *reports, size_t count,
                      void *userdata)
{
        *(struct heard *)userdata = (struct heard){true, code, count};
}

static struct heard ask_for_one(struct bench *bench, size_t told)
{
        Muster__V1__OperationReport report = MUSTER__V1__OPERATION_REPORT__INIT;
        Muster__V1__OperationReport *reports[] = {&report, &report};
        Muster__V1__OperationsReply reply = MUSTER__V1__OPERATIONS_REPLY__INIT;
        static const char ids[1][ID_SIZE] = {"0123456789abcdef0123456789abcdef"};
        struct heard heard = {0};

        report.operation_id = (char *)ids[0];
        report.kind = MUSTER__V1__OPERATION_KIND__OPERATION_KIND_PM2_SAVE;
        report.state = MUSTER__V1__OPERATION_STATE__OPERATION_STATE_DONE;
        reply.operations = reports;
        reply.n_operations = told;
        agents_peer_up(bench->agents, &bench->peer);
        say_state(&calls[0]);
        assert_int_equal(agents_ledger(bench->agents, "one", ids, 1, on_ledger, &heard), 0);
        assert_string_equal(calls[1].method, "Operations");
        calls[1].on_message(&calls[1], &reply.base, calls[1].userdata);
        calls[1].on_end(&calls[1], RPC_OK, "", calls[1].userdata);
        assert_true(heard.ended);
        return heard;
}

static void test_ledger(void **state)
{
        struct heard heard = ask_for_one(*state, 1);

        assert_int_equal(heard.code, RPC_OK);
        assert_int_equal(heard.count, 1);
}

static void test_ledger_of_more_than_was_asked(void **state)
{
        assert_int_equal(ask_for_one(*state, 2).code, RPC_DATA_LOSS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_close_before_the_first_state, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_silence_ends_the_link, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_state_ends_the_wait, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_same_machine_again, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_copy_that_was_up, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_boot_while_the_old_link_is_up, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_old_link_ends_meanwhile, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_new_key, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_ledger, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_ledger_of_more_than_was_asked, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
