/* The commit hook: once a turn, and nothing of the turn leaves before it or without it. */
#include "tests/unit/common/rpc/pair.h"

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
};

static void dial(struct pair *pair, const struct rpc_dial_options *options)
{
        struct error error = {0};

        assert_int_equal(rpc_node_dial(pair->client.node, options, &error), 0);
}

/* A server with a loop of its own, so that it can stop while the client lives. */
struct journal {
        struct pair *pair;
        char order[4096]; /* h: a handler ran, c: the hook ran with something to send */
        unsigned handled, fail_at, commits;
        bool handled_since;
};

static void report_journaled(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct journal *journal = userdata;

        journal->handled++;
        journal->handled_since = true;
        report_echo(call, message, userdata);
}

static enum rpc_status journal_admit(rpc_node *node, enum rpc_role role, const uint8_t key[NOISE_KEY_SIZE],
                                     const uint8_t *token, const char *version, char ret_name[RPC_NAME_SIZE],
                                     struct error *error, void *userdata)
{
        struct journal *journal = userdata;

        journal->handled++;
        journal->handled_since = true;
        snprintf(ret_name, RPC_NAME_SIZE, "db1");
        return RPC_OK;
}

/* Nothing of the turn has left when it runs, and it runs once for all of the turn. */
static int journal_commit(void *userdata)
{
        struct journal *journal = userdata;

        if (!journal->handled_since)
                return 0;
        journal->handled_since = false;
        journal->commits++;
        if (journal->fail_at && journal->handled >= journal->fail_at)
                return -EIO;
        return 0;
}

struct two_loops {
        struct pair pair;
        struct journal journal;
        sd_event *server_event;
};

static void two_loops_start(struct two_loops *two, unsigned fail_at)
{
        static const struct rpc_method served[] = {
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_journaled},
        };
        struct rpc_node_events events = {.admit = journal_admit, .commit = journal_commit};
        struct rpc_dial_options options;
        struct error error = {0};

        pair_new_as(&two->pair, RPC_AGENT, methods, 1);
        rpc_node_free(two->pair.server.node);
        two->journal = (struct journal){.pair = &two->pair, .fail_at = fail_at};
        assert_true(sd_event_new(&two->server_event) >= 0);
        assert_int_equal(rpc_node_new(&two->pair.server.node, two->server_event, RPC_CONTROLLER,
                                      &two->pair.server_key, served, 1, &events, &two->journal),
                         0);
        assert_int_equal(rpc_node_listen(two->pair.server.node, "127.0.0.1:0", &two->pair.port, &error), 0);
        snprintf(two->pair.address, sizeof(two->pair.address), "127.0.0.1:%u", two->pair.port);
        options = pair_dial_options(&two->pair);
        dial(&two->pair, &options);
}

/* Turns both loops; the server's as long as it lives. */
#define both_wait_for(two, condition)                                                                        \
        do {                                                                                                 \
                uint64_t until_ = time_monotonic_us() + PATIENCE_US;                                         \
                while (!(condition)) {                                                                       \
                        assert_true(time_monotonic_us() < until_);                                           \
                        if (sd_event_get_state((two)->server_event) != SD_EVENT_FINISHED)                    \
                                assert_true(sd_event_run((two)->server_event, 1000) >= 0);                   \
                        assert_true(sd_event_run((two)->pair.event, 1000) >= 0);                             \
                }                                                                                            \
        } while (0)

static void two_loops_free(struct two_loops *two)
{
        pair_free(&two->pair);
        sd_event_unref(two->server_event);
}

static void test_commit_once_a_turn(void **state)
{
        struct two_loops two;
        struct outcome outcomes[50] = {0};
        unsigned commits;

        two_loops_start(&two, 0);
        both_wait_for(&two, two.pair.client.peer);
        assert_int_equal(two.journal.commits, 1);
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(report_start(NULL, two.pair.client.peer, "x", 0, &outcomes[i]), 0);
        both_wait_for(&two, outcomes[49].ends);
        commits = two.journal.commits;
        assert_int_equal(two.journal.handled, 51);
        assert_in_range(commits, 2, 10); /* fifty answers of a few turns */
        two_loops_free(&two);
}

static void test_commit_fails(void **state)
{
        struct two_loops two;
        struct outcome outcome = {0};
        int code = 0;

        two_loops_start(&two, 2);
        both_wait_for(&two, two.pair.client.peer);
        assert_int_equal(report_start(NULL, two.pair.client.peer, "x", 200000, &outcome), 0);
        both_wait_for(&two, outcome.ends);
        assert_int_equal(two.journal.handled, 2);
        assert_int_equal(outcome.messages, 0);
        assert_int_equal(outcome.code, RPC_DEADLINE_EXCEEDED); /* no answer left */
        assert_true(sd_event_get_exit_code(two.server_event, &code) >= 0);
        assert_int_equal(code, -EIO);
        two_loops_free(&two);
}

static void test_commit_fails_on_admit(void **state)
{
        struct two_loops two;

        two_loops_start(&two, 1);
        rpc_node_limits(two.pair.client.node)->handshake_us = 200000;
        both_wait_for(&two, two.pair.failures);
        assert_int_equal(two.journal.handled, 1);
        assert_int_equal(two.pair.client.ups, 0);
        two_loops_free(&two);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commit_once_a_turn),
                cmocka_unit_test(test_commit_fails),
                cmocka_unit_test(test_commit_fails_on_admit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
