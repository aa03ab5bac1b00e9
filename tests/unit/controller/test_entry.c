/* Who gets in, with a real store: keys, invitations, the admin's identity. */
#include "controller/entry.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"

struct bench {
        char folder[64], path[96], admin[96];
        store *store;
        struct fleet_host hosts[2];
        struct fleet fleet;
        struct entry entry;
        struct error error;
};

static const uint8_t token[RPC_TOKEN_SIZE] = "a token of thirty-two bytes";
static const uint8_t key[NOISE_KEY_SIZE] = "a key";
static const uint8_t other_key[NOISE_KEY_SIZE] = "another key";

static int set_up(void **state)
{
        struct bench *bench = calloc(1, sizeof(*bench));

        assert_non_null(bench);
        assert_true(sodium_init() >= 0);
        TEXT_COPY(bench->folder, "/tmp/muster-entry-XXXXXX");
        assert_non_null(mkdtemp(bench->folder));
        snprintf(bench->path, sizeof(bench->path), "%s/store", bench->folder);
        snprintf(bench->admin, sizeof(bench->admin), "%s/admin", bench->folder);
        assert_int_equal(store_open(&bench->store, bench->path, &bench->error), 0);
        TEXT_COPY(bench->hosts[0].name, "one");
        TEXT_COPY(bench->hosts[1].name, "two");
        bench->fleet.hosts = bench->hosts;
        bench->fleet.host_count = 2;
        bench->entry = (struct entry){bench->store, &bench->fleet};
        *state = bench;
        return 0;
}

static int tear_down(void **state)
{
        static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
        struct bench *bench = *state;
        char path[128];

        store_close(bench->store);
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
                snprintf(path, sizeof(path), "%s%s", bench->path, suffixes[i]);
                unlink(path);
        }
        unlink(bench->admin);
        rmdir(bench->folder);
        free(bench);
        return 0;
}

static void invite(struct bench *bench, const char *host)
{
        uint8_t hash[crypto_hash_sha256_BYTES];

        crypto_hash_sha256(hash, token, sizeof(token));
        assert_int_equal(
                store_invite_put(bench->store, RPC_AGENT, host, hash, time_realtime_us() + USEC_PER_SEC * 60),
                0);
}

static enum rpc_status join(struct bench *bench, const uint8_t *with, char name[RPC_NAME_SIZE])
{
        return entry_admit(&bench->entry, RPC_AGENT, with, token, name, &bench->error);
}

/* A key that is another host's: refused, and the invitation is still there for the host it is meant for. */
static void test_a_refused_join_uses_nothing_up(void **state)
{
        struct bench *bench = *state;
        char name[RPC_NAME_SIZE];

        invite(bench, "one");
        assert_int_equal(join(bench, key, name), RPC_OK);
        assert_string_equal(name, "one");
        invite(bench, "two");
        assert_int_equal(join(bench, key, name), RPC_ALREADY_EXISTS);
        assert_non_null(strstr(bench->error.text, "as one"));
        assert_int_equal(join(bench, other_key, name), RPC_OK);
        assert_string_equal(name, "two");
        assert_int_equal(join(bench, other_key, name), RPC_UNAUTHENTICATED); /* once */
}

static void test_a_host_joins_anew(void **state)
{
        struct bench *bench = *state;
        char name[RPC_NAME_SIZE];

        for (int i = 0; i < 2; i++) {
                invite(bench, "one");
                assert_int_equal(join(bench, key, name), RPC_OK);
        }
        assert_int_equal(entry_admit(&bench->entry, RPC_AGENT, key, NULL, name, &bench->error), RPC_OK);
        assert_int_equal(entry_admit(&bench->entry, RPC_USER, key, NULL, name, &bench->error),
                         RPC_UNAUTHENTICATED);
}

/* The settings name another address: the admin's identity follows, its key stays. */
static void test_the_admin_follows_the_address(void **state)
{
        struct bench *bench = *state;
        struct identity first, second;

        assert_int_equal(entry_make_admin(&bench->entry, bench->folder, "old:7117", other_key, &bench->error),
                         0);
        assert_int_equal(identity_read(&first, bench->admin, &bench->error), 0);
        assert_string_equal(first.address, "old:7117");
        assert_int_equal(entry_make_admin(&bench->entry, bench->folder, "new:7118", other_key, &bench->error),
                         0);
        assert_int_equal(identity_read(&second, bench->admin, &bench->error), 0);
        assert_string_equal(second.address, "new:7118");
        assert_memory_equal(second.secret, first.secret, sizeof(first.secret));
        assert_memory_equal(second.controller, other_key, sizeof(other_key));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_refused_join_uses_nothing_up, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_host_joins_anew, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_admin_follows_the_address, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
