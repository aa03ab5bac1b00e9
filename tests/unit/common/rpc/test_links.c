/* Links: who is let in, what ends one, how it comes back. */
#include <sys/resource.h>

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

static void test_wrong_controller(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        options = pair_dial_options(&pair);
        options.remote_key[5] ^= 4;
        options.once = true;
        dial(&pair, &options);
        wait_for(&pair, pair.failures);
        assert_int_equal(pair.fail_code, RPC_UNAVAILABLE);
        assert_non_null(strstr(pair.fail_text, "its key is another"));
        assert_int_equal(pair.server.admits + pair.server.ups + pair.client.ups, 0);
        pair_free(&pair);
}

static void test_refused(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;

        pair_new_as(&pair, RPC_USER, methods, 1);
        quick_backoff(&pair);
        pair.admit_code = RPC_PERMISSION_DENIED;
        options = pair_dial_options(&pair);
        dial(&pair, &options);
        wait_for(&pair, pair.failures >= 2); /* it tries again: it may be invited meanwhile */
        assert_int_equal(pair.fail_code, RPC_PERMISSION_DENIED);
        assert_non_null(strstr(pair.fail_text, "this key is not known here: run muster host invite"));
        assert_int_equal(pair.role_seen, RPC_USER);
        assert_memory_equal(pair.key_seen, pair.client_key.public, NOISE_KEY_SIZE);
        assert_int_equal(pair.server.ups + pair.client.ups + pair.server.downs, 0);
        pair.admit_code = RPC_OK;
        wait_for(&pair, pair.client.peer);
        call_works(&pair);
        pair_free(&pair);
}

static void test_token_once(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;
        uint8_t token[RPC_TOKEN_SIZE];

        randombytes_buf(token, sizeof(token));
        pair_new_as(&pair, RPC_AGENT, methods, 1);
        quick_backoff(&pair);
        pair.admit_code = RPC_UNAVAILABLE;
        options = pair_dial_options(&pair);
        options.token = token;
        dial(&pair, &options);
        wait_for(&pair, pair.failures == 1);
        assert_true(pair.token_seen);
        pair.token_seen = false;
        pair.admit_code = RPC_OK; /* a refusal does not use it up */
        wait_for(&pair, pair.client.peer && pair.server.peer);
        assert_true(pair.token_seen);
        assert_memory_equal(pair.token, token, sizeof(token));

        rpc_peer_close(pair.server.peer, "again");
        wait_for(&pair, pair.client.ups == 2 && pair.server.ups == 2);
        assert_false(pair.token_seen);
        pair_free(&pair);
}

/* The agent listens, the controller dials: the same code. */
static void test_swapped(void **state)
{
        struct rpc_node_events events = {pair_admit, pair_up, pair_down, NULL};
        struct rpc_dial_options options;
        struct error error = {0};
        struct pair pair;
        rpc_node *agent;
        uint16_t port;

        pair_new_as(&pair, RPC_CONTROLLER, methods, 1);
        agent = rpc_node_free(pair.server.node);
        assert_int_equal(
                rpc_node_new(&agent, pair.event, RPC_AGENT, &pair.server_key, methods, 1, &events, &pair), 0);
        pair.server.node = agent;
        assert_int_equal(rpc_node_listen(agent, "127.0.0.1:0", &port, &error), 0);
        snprintf(pair.address, sizeof(pair.address), "127.0.0.1:%u", port);
        options = pair_dial_options(&pair);
        dial(&pair, &options);
        wait_for(&pair, pair.client.peer && pair.server.peer);
        assert_int_equal(pair.role_seen, RPC_CONTROLLER);
        assert_int_equal(rpc_peer_role(pair.client.peer), RPC_AGENT);
        assert_int_equal(rpc_peer_role(pair.server.peer), RPC_CONTROLLER);
        call_works(&pair);
        pair_free(&pair);
}

static void test_addresses(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;
        struct error error = {0};

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        assert_int_equal(rpc_node_listen(pair.server.node, pair.address, NULL, &error), -EADDRINUSE);
        assert_non_null(strstr(error.text, pair.address));
        assert_true(rpc_node_listen(pair.server.node, "nonsense", NULL, &error) < 0);
        options = pair_dial_options(&pair);
        options.address = "nonsense";
        assert_true(rpc_node_dial(pair.client.node, &options, &error) < 0);
        assert_string_equal(error.text, "nonsense: is not an address of the form host:port");
        pair_free(&pair);
}

/* Nobody listens yet; then somebody does. */
static void test_late_listener(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;
        struct error error = {0};
        struct sockaddr_in address = raw_address(0);
        socklen_t size = sizeof(address);
        int fd = raw_socket();

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        quick_backoff(&pair);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        close(fd); /* a port that was free a moment ago */
        snprintf(pair.address, sizeof(pair.address), "127.0.0.1:%u", ntohs(address.sin_port));
        options = pair_dial_options(&pair);
        dial(&pair, &options);
        wait_for(&pair, pair.failures >= 3);
        assert_int_equal(pair.fail_code, RPC_UNAVAILABLE);
        assert_non_null(strstr(pair.fail_text, "refused"));
        assert_int_equal(rpc_node_listen(pair.server.node, pair.address, NULL, &error), 0);
        wait_for(&pair, pair.client.peer);
        pair_free(&pair);
}

/* Those who lost one controller together do not come back together, and wait longer each time. */
static void test_backoff(void **state)
{
        enum { COUNT = 20 };
        struct pair pair;
        struct rpc_dial_options options;
        uint64_t now, first = UINT64_MAX, last = 0;

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        rpc_node_limits(pair.client.node)->backoff_low_us = 100 * USEC_PER_SEC;
        rpc_node_limits(pair.client.node)->backoff_high_us = 1000 * USEC_PER_SEC;
        options = pair_dial_options(&pair);
        options.address = "127.0.0.1:1"; /* where nobody listens */
        for (unsigned i = 0; i < COUNT; i++)
                dial(&pair, &options);
        wait_for(&pair, pair.failures == COUNT);
        now = node_now(pair.client.node);
        assert_int_equal(pair.client.node->timers.count, COUNT);
        for (unsigned i = 1; i <= COUNT; i++) {
                uint64_t at = pair.client.node->timers.heap[i]->at;

                first = at < first ? at : first;
                last = at > last ? at : last;
        }
        assert_in_range(first, now + 20 * USEC_PER_SEC, now + 80 * USEC_PER_SEC);
        assert_in_range(last, first + USEC_PER_SEC, now + 100 * USEC_PER_SEC);

        for (unsigned i = 1; i <= COUNT; i++)
                timer_set(&pair.client.node->timers, pair.client.node->timers.heap[i], 0);
        wait_for(&pair, pair.failures == 2 * COUNT);
        for (unsigned i = 1; i <= COUNT; i++)
                assert_true(pair.client.node->timers.heap[i]->at >= now + 100 * USEC_PER_SEC);
        pair_free(&pair);
}

/* A host that takes nothing and refuses nothing: a listener whose queue is full. */
static int black_hole(uint16_t *ret_port)
{
        struct sockaddr_in address = raw_address(0);
        socklen_t size = sizeof(address);
        int fd = raw_socket();

        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 0), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static void test_black_hole(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;
        uint16_t port;
        int hole = black_hole(&port), fillers[3];

        for (unsigned i = 0; i < 3; i++)
                fillers[i] = raw_connect(port);
        pair_new_as(&pair, RPC_AGENT, methods, 1);
        quick_backoff(&pair);
        rpc_node_limits(pair.client.node)->dial_us = 20000;
        rpc_node_limits(pair.client.node)->handshake_us = 20000; /* one or two do get into the queue */
        snprintf(pair.address, sizeof(pair.address), "127.0.0.1:%u", port);
        options = pair_dial_options(&pair);
        dial(&pair, &options);
        wait_for(&pair, pair.failures >= 3);
        assert_int_equal(pair.fail_code, RPC_UNAVAILABLE);

        /* it comes back: the next try gets through */
        for (unsigned i = 0; i < 3; i++)
                close(fillers[i]);
        close(hole);
        assert_int_equal(rpc_node_listen(pair.server.node, pair.address, NULL, NULL), 0);
        wait_for(&pair, pair.client.peer);
        pair_free(&pair);
}

/* The program ends while it dials, and while a connection waits to be accepted. */
static void test_end_while_dialling(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;
        uint16_t port;
        int hole = black_hole(&port), fillers[3];

        for (unsigned i = 0; i < 3; i++)
                fillers[i] = raw_connect(port);
        for (unsigned turns = 0; turns < 12; turns++) {
                pair_new_as(&pair, RPC_AGENT, methods, 1);
                options = pair_dial_options(&pair);
                dial(&pair, &options);
                snprintf(pair.address, sizeof(pair.address), "127.0.0.1:%u", port);
                options = pair_dial_options(&pair);
                dial(&pair, &options);
                for (unsigned i = 0; i < turns; i++)
                        assert_true(sd_event_run(pair.event, 1000) >= 0);
                pair_free(&pair);
        }
        for (unsigned i = 0; i < 3; i++)
                close(fillers[i]);
        close(hole);
}

static void test_once(void **state)
{
        struct pair pair;
        struct rpc_dial_options options;

        pair_new_as(&pair, RPC_USER, methods, 1);
        quick_backoff(&pair);
        options = pair_dial_options(&pair);
        options.once = true;
        dial(&pair, &options);
        wait_for(&pair, pair.client.peer && pair.server.peer);
        rpc_peer_close(pair.server.peer, "enough");
        wait_for(&pair, pair.client.downs);
        assert_int_equal(pair.client.node->timers.count, 0); /* nothing is planned */
        assert_int_equal(pair.client.ups, 1);
        pair_free(&pair);
}

/* --- strangers ----------------------------------------------------------------------------------------- */

static void raw_send(int fd, const void *bytes, size_t size)
{
        assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void test_junk(void **state)
{
        static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        static const uint8_t zeros[2000];
        uint8_t role[16] = "muster/1\x08", tail[16] = "muster/1\x01\0\0\0\0\0\0\1";
        uint8_t frame[16 + 2 + 48] = "muster/1\x01", large[16 + 2] = "muster/1\x01";
        struct pair pair;
        int fds[6];

        pair_connect(&pair, methods, 1);
        frame[17] = 48; /* a first message of 48 bytes that nobody made */
        large[16] = large[17] = 0xff;
        for (unsigned i = 0; i < ELEMENTS(fds); i++)
                fds[i] = raw_connect(pair.port);
        raw_send(fds[0], http, sizeof(http));
        raw_send(fds[1], zeros, sizeof(zeros));
        raw_send(fds[2], role, sizeof(role));
        raw_send(fds[3], tail, sizeof(tail));
        raw_send(fds[4], frame, sizeof(frame));
        raw_send(fds[5], large, sizeof(large));
        for (unsigned i = 0; i < ELEMENTS(fds); i++) {
                wait_for(&pair, raw_closed(fds[i]));
                close(fds[i]);
        }
        wait_for(&pair, LIST_FIRST(&pair.server.node->listeners) && pair.server.node->refused <= 6);
        assert_int_equal(pair.server.admits, 1);
        assert_int_equal(pair.server.downs, 0);
        call_works(&pair);
        pair_free(&pair);
}

/* A handshake's first message, made for the server's key, behind any preface. */
static void raw_begin(struct pair *pair, int fd, const uint8_t preface[RPC_PREFACE_SIZE])
{
        uint8_t prologue[RPC_PROLOGUE_SIZE] = "muster/1\x01", message[100];
        noise_handshake *handshake = NULL;
        struct noise_keypair ephemeral;
        size_t size;

        crypto_hash_sha256(prologue + 9, pair->server_key.public, NOISE_KEY_SIZE);
        keypair_new(&ephemeral);
        assert_int_equal(noise_handshake_new(&handshake, true, prologue, sizeof(prologue), &pair->client_key,
                                             &ephemeral, pair->server_key.public),
                         0);
        assert_int_equal(noise_handshake_write(handshake, NULL, 0, message + 2, sizeof(message) - 2, &size),
                         0);
        bytes_put16(message, size);
        raw_send(fd, preface, RPC_PREFACE_SIZE);
        raw_send(fd, message, size + 2);
        noise_handshake_free(handshake);
}

static void test_preface(void **state)
{
        static const struct {
                uint8_t bytes[RPC_PREFACE_SIZE + 1];
                bool good;
        } cases[] = {
                {"muster/1\x01\0\0\0\0\0\0\0", true},
                {"muster/2\x01\0\0\0\0\0\0\0", false},
                {"muster/1\x01\0\0\0\0\0\0\1", false},
                {"muster/1\x02\0\0\0\0\0\0\0", false}, /* another role than the prologue's */
                {"muster/1\x03\0\0\0\0\0\0\0", false},
        };
        struct pair pair;

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                int fd = raw_connect(pair.port);
                uint8_t answer[100];
                ssize_t count = -1;

                raw_begin(&pair, fd, cases[i].bytes);
                wait_for(&pair, (count = recv(fd, answer, sizeof(answer), 0)) >= 0 || errno == ECONNRESET);
                assert_int_equal(count > 0, cases[i].good);
                if (cases[i].good)
                        assert_int_equal(count, 2 + NOISE_XK_OVERHEAD2);
                close(fd);
        }
        pair_free(&pair);
}

/* Half-open connections by the hundred: those who are in stay, those who speak come in. */
static void test_half_open(void **state)
{
        enum { COUNT = 300 };
        struct pair pair;
        struct rpc_dial_options options;
        static int fds[COUNT];

        pair_connect(&pair, methods, 1);
        for (unsigned i = 0; i < COUNT; i++) {
                fds[i] = raw_connect(pair.port);
                if (i % 3 == 0 &&
                    send(fds[i], "muster/1\x01\0\0\0\0\0\0\0", i % 2 ? 16 : 5, MSG_NOSIGNAL) < 0)
                        assert_int_equal(errno, EAGAIN); /* the kernel's queue was full */
                if (i % 10 == 0)
                        assert_true(sd_event_run(pair.event, 0) >= 0);
        }
        call_works(&pair);
        options = pair_dial_options(&pair);
        dial(&pair, &options);
        wait_for(&pair, pair.server.ups == 2 && pair.client.ups == 2);
        call_works(&pair);
        assert_int_equal(pair.server.downs, 0);
        for (unsigned i = 0; i < COUNT; i++)
                close(fds[i]);
        pair_free(&pair);
}

static unsigned links_of(const rpc_node *node)
{
        unsigned count = 0;
        const rpc_peer *peer;

        TAILQ_FOREACH(peer, &node->peers, link)
        count++;
        return count;
}

/* No descriptor is left: nobody comes in until there is, and then they do. */
static void test_no_descriptors(void **state)
{
        struct pair pair;
        struct sockaddr_in address;
        struct rlimit before, tight;
        int spare, waiting[2];

        pair_connect(&pair, methods, 1);
        address = raw_address(pair.port);
        waiting[0] = raw_connect(pair.port);
        wait_for(&pair, TAILQ_NEXT(TAILQ_FIRST(&pair.server.node->peers), link));
        waiting[1] = raw_socket();
        spare = dup(waiting[1]);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        tight = before;
        tight.rlim_cur = (rlim_t)spare;
        close(spare);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        assert_int_equal(connect(waiting[1], (struct sockaddr *)&address, sizeof(address)), 0);
        wait_for(&pair, LIST_FIRST(&pair.server.node->listeners) && pair.server.node->refused_logged);
        call_works(&pair);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        wait_for(&pair, links_of(pair.server.node) == 3);
        close(waiting[0]);
        close(waiting[1]);
        pair_free(&pair);
}

static void test_address_limit(void **state)
{
        enum { COUNT = 20, PLACES = 4 };
        struct pair pair;
        int fds[COUNT], open = 0;

        pair_connect(&pair, methods, 1);
        rpc_node_limits(pair.server.node)->pending_own = PLACES;
        for (unsigned i = 0; i < COUNT; i++) {
                fds[i] = raw_connect(pair.port);
                if (i >= PLACES)
                        wait_for(&pair, raw_closed(fds[i - PLACES])); /* the oldest silent one makes place */
        }
        wait_for(&pair, links_of(pair.server.node) == 1 + PLACES);
        for (unsigned i = COUNT - PLACES; i < COUNT; i++)
                open += !raw_closed(fds[i]);
        assert_int_equal(open, PLACES);
        call_works(&pair);
        for (unsigned i = 0; i < COUNT; i++)
                close(fds[i]);
        pair_free(&pair);
}

static void test_handshake_deadline(void **state)
{
        struct pair pair;
        int silent, half;

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        rpc_node_limits(pair.server.node)->handshake_us = 30000;
        silent = raw_connect(pair.port);
        half = raw_connect(pair.port);
        raw_send(half, "muster/1\x01\0\0\0\0\0\0\0\0\x30", 18);
        wait_for(&pair, links_of(pair.server.node) == 2);
        wait_for(&pair, raw_closed(silent) && raw_closed(half));
        wait_for(&pair, links_of(pair.server.node) == 0);
        close(silent);
        close(half);
        pair_free(&pair);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wrong_controller),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_token_once),
                cmocka_unit_test(test_swapped),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_late_listener),
                cmocka_unit_test(test_backoff),
                cmocka_unit_test(test_black_hole),
                cmocka_unit_test(test_end_while_dialling),
                cmocka_unit_test(test_once),
                cmocka_unit_test(test_junk),
                cmocka_unit_test(test_preface),
                cmocka_unit_test(test_half_open),
                cmocka_unit_test(test_no_descriptors),
                cmocka_unit_test(test_address_limit),
                cmocka_unit_test(test_handshake_deadline),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
