/* Where links come from: IPv6, and how many may stand at the door of one address. */
#include <ifaddrs.h>
#include <net/if.h>

#include "tests/unit/common/rpc/proxy.h"

static const struct rpc_method methods[] = {
        {&muster__v1__fleet__descriptor, "Report", EVERYBODY, report_echo},
};

static void test_ipv6(void **state)
{
        struct rpc_dial_options options;
        struct outcome outcome = {0};
        struct error error = {0};
        struct pair pair;
        uint16_t port;
        int r;

        pair_new_as(&pair, RPC_AGENT, methods, 1);
        r = rpc_node_listen(pair.server.node, "[::1]:0", &port, &error);
        if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
                pair_free(&pair);
                skip(); /* this machine has no IPv6 */
        }
        assert_int_equal(r, 0);
        snprintf(pair.address, sizeof(pair.address), "[::1]:%u", port);
        options = pair_dial_options(&pair);
        assert_int_equal(rpc_node_dial(pair.client.node, &options, &error), 0);
        wait_for(&pair, pair.server.peer && pair.client.peer);
        assert_memory_equal(rpc_peer_address(pair.server.peer), "[::1]:", 6);
        assert_string_equal(rpc_peer_address(pair.client.peer), pair.address);
        assert_int_equal(pair.server.peer->host[15], 1);
        assert_int_equal(report_start(NULL, pair.client.peer, "works", 0, &outcome), 0);
        wait_for(&pair, outcome.ends);
        assert_int_equal(outcome.code, RPC_OK);
        pair_free(&pair);
}

static void place_of(const char *text, uint8_t ret[16])
{
        uint8_t address[16];

        assert_int_equal(inet_pton(AF_INET6, text, address), 1);
        link_place(ret, address);
}

/* What one customer has is one address: a /64. */
static void test_places(void **state)
{
        static const struct {
                const char *one, *other;
                bool same;
        } cases[] = {
                {"2001:db8:1:2::1", "2001:db8:1:2:ffff::7", true},
                {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
                {"::ffff:10.0.0.1", "::ffff:10.0.0.1", true},
                {"::ffff:10.0.0.1", "::ffff:10.0.0.2", false},
                {"::1", "::1", true},
                {"::1", "::2", false},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint8_t one[16], other[16];

                place_of(cases[i].one, one);
                place_of(cases[i].other, other);
                assert_int_equal(memcmp(one, other, 16) == 0, cases[i].same);
        }
}

/* An address of this machine that is none of loopback's: what comes from there is as good as from elsewhere.
 */
static bool find_address(struct in_addr *ret)
{
        struct ifaddrs *list, *at;
        bool found = false;

        if (getifaddrs(&list) < 0)
                return false;
        for (at = list; at && !found; at = at->ifa_next) {
                found = at->ifa_addr && at->ifa_addr->sa_family == AF_INET && !(at->ifa_flags & IFF_LOOPBACK);
                if (found)
                        *ret = ((struct sockaddr_in *)at->ifa_addr)->sin_addr;
        }
        freeifaddrs(list);
        return found;
}

static int knock(struct pair *pair, struct in_addr from, uint16_t port, bool speaks)
{
        struct sockaddr_in address = raw_address(port);
        uint8_t prologue[RPC_PROLOGUE_SIZE] = "muster/1\x01",
                message[RPC_PREFACE_SIZE + 100] = "muster/1\x01";
        noise_handshake *handshake = NULL;
        struct noise_keypair ephemeral;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        size_t size;

        address.sin_addr = from;
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        if (!speaks)
                return fd;
        crypto_hash_sha256(prologue + 9, pair->server_key.public, NOISE_KEY_SIZE);
        keypair_new(&ephemeral);
        assert_int_equal(noise_handshake_new(&handshake, true, prologue, sizeof(prologue), &pair->client_key,
                                             &ephemeral, pair->server_key.public),
                         0);
        assert_int_equal(noise_handshake_write(handshake, NULL, 0, message + RPC_PREFACE_SIZE + 2, 90, &size),
                         0);
        bytes_put16(message + RPC_PREFACE_SIZE, size);
        size += RPC_PREFACE_SIZE + 2;
        assert_int_equal(send(fd, message, size, MSG_NOSIGNAL), (ssize_t)size);
        noise_handshake_free(handshake);
        return fd;
}

static unsigned known_at(const rpc_node *node)
{
        const rpc_peer *peer;
        unsigned count = 0;

        TAILQ_FOREACH(peer, &node->peers, link)
        count += peer->state == PEER_ADMITTING;
        return count;
}

/* Behind one address there may be a fleet: whoever knows our key is not counted with those who say nothing.
 */
static void test_fleet_behind_one_address(void **state)
{
        enum { SILENT = 2, KNOWN = 5 };
        int known[KNOWN], silent[SILENT + 1], late;
        struct error error = {0};
        struct in_addr from;
        struct pair pair;
        uint16_t port;

        if (!find_address(&from))
                skip();
        pair_new_as(&pair, RPC_AGENT, methods, 1);
        assert_int_equal(rpc_node_listen(pair.server.node, "0.0.0.0:0", &port, &error), 0);
        rpc_node_limits(pair.server.node)->pending_address = SILENT;
        rpc_node_limits(pair.server.node)->pending_known = KNOWN;
        for (unsigned i = 0; i < KNOWN; i++) {
                known[i] = knock(&pair, from, port, true);
                wait_for(&pair, known_at(pair.server.node) == i + 1);
        }
        late = knock(&pair, from, port, true); /* its address has all its places */
        wait_for(&pair, raw_closed(late));
        rpc_node_limits(pair.server.node)->pending_known = KNOWN + 1;
        for (unsigned i = 0; i <= SILENT; i++)
                silent[i] = knock(&pair, from, port, false);
        wait_for(&pair, raw_closed(silent[0])); /* the oldest that says nothing makes place */
        assert_false(raw_closed(silent[1]));
        assert_false(raw_closed(silent[2]));
        assert_int_equal(known_at(pair.server.node), KNOWN);
        for (unsigned i = 0; i < KNOWN; i++) {
                assert_int_equal(recv(known[i], &(char){0}, 1, MSG_PEEK), 1); /* answered, and open */
                close(known[i]);
        }
        for (unsigned i = 0; i <= SILENT; i++)
                close(silent[i]);
        close(late);
        pair_free(&pair);
}

/* A first message is no proof of a key: who goes no further does not keep others out. */
static void test_no_place_is_kept(void **state)
{
        enum { PLACES = 4 };
        int known[PLACES], late;
        struct error error = {0};
        struct in_addr from;
        struct pair pair;
        uint16_t port;

        if (!find_address(&from))
                skip();
        pair_new_as(&pair, RPC_AGENT, methods, 1);
        assert_int_equal(rpc_node_listen(pair.server.node, "0.0.0.0:0", &port, &error), 0);
        rpc_node_limits(pair.server.node)->pending = PLACES;
        rpc_node_limits(pair.server.node)->known_us = 100 * USEC_PER_MSEC;
        rpc_node_limits(pair.server.node)->handshake_us = 3600 * USEC_PER_SEC; /* not by that */
        for (unsigned i = 0; i < PLACES; i++) {
                known[i] = knock(&pair, from, port, true);
                wait_for(&pair, known_at(pair.server.node) == i + 1);
        }
        late = knock(&pair, from, port, true);
        wait_for(&pair, raw_closed(known[0]));
        wait_for(&pair, recv(late, &(char){0}, 1, MSG_PEEK) == 1);
        for (unsigned i = 0; i < PLACES; i++)
                close(known[i]);
        close(late);
        pair_free(&pair);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ipv6),
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_fleet_behind_one_address),
                cmocka_unit_test(test_no_place_is_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
