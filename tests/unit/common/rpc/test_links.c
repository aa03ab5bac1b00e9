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

/* --- broken links -------------------------------------------------------------------------------------- */

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

static void test_rekey(void **state)
{
        static const struct rpc_method both[] = {
                {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
                {&muster__v1__agent__descriptor, "Exec", EVERYBODY, exec_flood},
        };
        Muster__V1__ExecRequest request = MUSTER__V1__EXEC_REQUEST__INIT;
        struct pair pair;
        struct outcome flood = {0};
        uint8_t channel[NOISE_HASH_SIZE];
        unsigned changes = 0, left = 4000;

        pair_connect(&pair, both, 2);
        pair.test = &left;
        rpc_node_limits(pair.client.node)->rekey_messages = 20;
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

        /* by time, on a link at rest */
        rpc_node_limits(pair.client.node)->rekey_messages = UINT64_MAX;
        rpc_node_limits(pair.client.node)->rekey_us = 5000;
        wait_for(&pair, !pair.client.peer->handshake && !pair.client.peer->next_open.ready);
        memcpy(channel, pair.client.peer->channel, sizeof(channel));
        assert_int_equal(timer_set(&pair.client.node->timers, &pair.client.peer->timer, 0), 0);
        wait_for(&pair, memcmp(channel, pair.client.peer->channel, sizeof(channel)) != 0 &&
                                memcmp(pair.server.peer->channel, pair.client.peer->channel, 32) == 0);
        call_works(&pair);
        pair_free(&pair);
}

/* --- the commit hook ----------------------------------------------------------------------------------- */

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
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_tampered),
                cmocka_unit_test(test_dead),
                cmocka_unit_test(test_unread_answers),
                cmocka_unit_test(test_heartbeat),
                cmocka_unit_test(test_rekey),
                cmocka_unit_test(test_commit_once_a_turn),
                cmocka_unit_test(test_commit_fails),
                cmocka_unit_test(test_commit_fails_on_admit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
