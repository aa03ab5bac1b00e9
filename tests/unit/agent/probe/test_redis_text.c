/* What Redis says of itself, as it was captured and as nobody should ever say it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/redis_text.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "tests/unit/agent/probe/info.h"

static void test_ready(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state, info_ready);
        assert_string_equal(state.version, "7.0.15");
        assert_string_equal(state.role, "master");
        assert_int_equal(strlen(state.run_id), 40);
        assert_false(state.loading);
        assert_true(state.aof_enabled);
        assert_false(state.aof_rewrite_in_progress);
        assert_false(state.aof_rewrite_scheduled);
        assert_int_equal(state.aof_rewrites, 1);
        assert_int_equal(state.aof_base_size, 617877);
        assert_int_equal(state.aof_current_size, 880822);
        assert_string_equal(state.aof_last_rewrite_status, "ok");
        assert_string_equal(state.aof_last_write_status, "ok");
        assert_string_equal(state.rdb_last_save_status, "ok");
        assert_int_equal(state.keys, 22000);
        assert_true(state.used_memory > 1000000);
        assert_int_equal(state.max_memory, 0);
        assert_int_equal(state.replication_lag_bytes, 0);
}

static void test_loading(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state, info_loading);
        assert_true(state.loading);
        assert_int_equal(state.loading_total_bytes, 880822); /* base and incremental files, to the byte */
        assert_int_equal(state.loading_loaded_bytes, 67583);
        assert_false(state.aof_enabled); /* so it says, though it is loading one */
}

static void test_replica(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state, info_replica);
        assert_string_equal(state.role, "slave");
        assert_false(state.master_link_up);
        assert_int_equal(state.replica_offset, 1);
        assert_string_equal(state.master_address, "127.0.0.1:17399");
        assert_int_equal(strlen(state.replication_id), 40);
}

/* How much there is to come is -1 until the master says it, and 0 where it never does. */
static void test_full_sync(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state, "role:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\n"
                                "master_sync_total_bytes:-1\r\nmaster_sync_read_bytes:0\r\n");
        assert_true(state.sync_in_progress);
        assert_int_equal(state.sync_total_bytes, 0);
        redis_text_info(&state, "master_sync_total_bytes:5000\r\nmaster_sync_read_bytes:1200\r\n");
        assert_int_equal(state.sync_total_bytes, 5000);
        assert_int_equal(state.sync_read_bytes, 1200);
        redis_text_info(&state, "master_sync_in_progress:0\r\n");
        assert_false(state.sync_in_progress);
}

static void test_lag(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state, "role:slave\r\nmaster_link_status:up\r\nslave_read_repl_offset:5000\r\n"
                                "slave_repl_offset:4000\r\n");
        assert_true(state.master_link_up);
        assert_int_equal(state.replication_lag_bytes, 1000);
        state = (struct redis_state){0};
        redis_text_info(&state, "role:master\r\nslave_read_repl_offset:5000\r\nslave_repl_offset:4000\r\n");
        assert_int_equal(state.replication_lag_bytes, 0);
}

static void test_line_ends(void **unused)
{
        static const char *const texts[] = {"role:master\nloading:1\n", "role:master\r\nloading:1",
                                            "\r\n\r\nrole:master\r\n\r\n\n\nloading:1\r\n"};

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                struct redis_state state = {0};

                redis_text_info(&state, texts[i]);
                assert_string_equal(state.role, "master");
                assert_true(state.loading);
        }
}

/* A number that is none, or too large for one, changes nothing. */
static void test_not_numbers(void **unused)
{
        static const char *const values[] = {
                "", "-1", "1.5", "1e9", " 1", "1 ", "0x10", "99999999999999999999", "\x01", ":"};
        char text[128];

        for (size_t i = 0; i < ELEMENTS(values); i++) {
                struct redis_state state = {.used_memory = 7};

                snprintf(text, sizeof(text), "used_memory:%s\r\ndb0:keys=%s\r\n", values[i], values[i]);
                redis_text_info(&state, text);
                assert_int_equal(state.used_memory, 7);
                assert_int_equal(state.keys, 0);
        }
}

static void test_keys_of_many_databases(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state, "db0:keys=5,expires=0\r\ndb15:keys=7\r\ndbx:keys=100\r\n"
                                "db2:keys=18446744073709551615\r\ndb3:avg=3\r\n");
        assert_int_equal(state.keys, 12); /* and no overflow */
}

/* It goes to terminals and into messages that must be UTF-8. */
static void test_dirty_texts(void **unused)
{
        struct redis_state state = {0};

        redis_text_info(&state,
                        "role:\x1b[31mred\r\nredis_version:7\xff\xc3(\xc2\x9b\r\nrun_id:\xc3\xa4\r\n");
        assert_string_equal(state.role, "?[31mred");
        assert_string_equal(state.version, "7?"
                                           "?(?");
        assert_string_equal(state.run_id, "\xc3\xa4");
}

static void test_long_lines(void **unused)
{
        size_t size = 100000;
        cleanup_free char *text = malloc(size + 64);
        struct redis_state state = {0};

        assert_non_null(text);
        memcpy(text, "role:", 5);
        memset(text + 5, 'x', size);
        strcpy(text + 5 + size, "\r\nloading:1\r\n");
        redis_text_info(&state, text);
        assert_string_equal(state.role, "");
        assert_true(state.loading);
        text[5 + TEXT_SIZE - 7] = '\r'; /* now it fits a line, not its field */
        redis_text_info(&state, text);
        assert_int_equal(strlen(state.role), sizeof(state.role) - 1);
}

/* --- manifests ------------------------------------------------------------------------------------------ */

static uint64_t size_of(const char *name, void *userdata)
{
        uint64_t *asked = userdata;

        (*asked)++;
        return text_equal(name, "appendonly.aof.2.base.rdb") ? 1000 : 10;
}

static void test_manifest(void **unused)
{
        struct redis_state state = {0};
        uint64_t asked = 0;

        assert_int_equal(redis_text_manifest(&state,
                                             "file appendonly.aof.2.base.rdb seq 2 type b\n"
                                             "file appendonly.aof.1.incr.aof seq 1 type h\n"
                                             "file appendonly.aof.2.incr.aof seq 2 type i\n"
                                             "file appendonly.aof.3.incr.aof seq 3 type i startoffset 7\n",
                                             size_of, &asked),
                         0);
        assert_int_equal(state.base_bytes, 1000);
        assert_int_equal(state.incremental_bytes, 20);
        assert_string_equal(state.base_file, "appendonly.aof.2.base.rdb");
        assert_int_equal(asked, 3); /* history is not loaded */
}

static void test_manifest_quoted(void **unused)
{
        struct redis_state state = {0};
        uint64_t asked = 0;

        assert_int_equal(
                redis_text_manifest(&state, "file \"my own.aof.1.base.rdb\" seq 1 type b\n", size_of, &asked),
                0);
        assert_string_equal(state.base_file, "my own.aof.1.base.rdb");
}

static void test_manifest_empty(void **unused)
{
        struct redis_state state = {.base_bytes = 5, .base_file = "old"};
        uint64_t asked = 0;

        assert_int_equal(redis_text_manifest(&state, "# nothing\n\n", size_of, &asked), 0);
        assert_int_equal(state.base_bytes, 0);
        assert_string_equal(state.base_file, "");
}

static void test_not_manifests(void **unused)
{
        static const char *const texts[] = {
                "hello",
                "file",
                "file ",
                "file a",
                "file a seq",
                "file a seq 1 type",
                "file a seq 1 type x",
                "file ../a seq 1 type b",
                "file /etc/shadow seq 1 type b",
                "file \"a seq 1 type b",
                "file \"a\\n\" seq 1 type b",
                "file a\\b seq 1 type b",
                "file \"\" seq 1 type b",
                "file ok seq 1 type b\nfile bad",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                struct redis_state state = {.base_bytes = 5, .base_file = "old"};
                uint64_t asked = 0;

                assert_int_equal(redis_text_manifest(&state, texts[i], size_of, &asked), -EBADMSG);
                assert_int_equal(state.base_bytes, 5);
                assert_string_equal(state.base_file, "old");
        }
}

/* A file that somebody else writes decides how often we look at the disk: not without a bound. */
static void test_manifest_endless(void **unused)
{
        static const char line[] = "file a seq 1 type i\n";
        size_t count = 50000;
        cleanup_free char *text = malloc(count * (sizeof(line) - 1) + 1);
        struct redis_state state = {0};
        uint64_t asked = 0;

        assert_non_null(text);
        text[0] = '\0';
        for (size_t i = 0; i < count; i++)
                memcpy(text + i * (sizeof(line) - 1), line, sizeof(line));
        assert_int_equal(redis_text_manifest(&state, text, size_of, &asked), -EBADMSG);
        assert_true(asked < 10000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ready),
                cmocka_unit_test(test_loading),
                cmocka_unit_test(test_replica),
                cmocka_unit_test(test_full_sync),
                cmocka_unit_test(test_lag),
                cmocka_unit_test(test_line_ends),
                cmocka_unit_test(test_not_numbers),
                cmocka_unit_test(test_keys_of_many_databases),
                cmocka_unit_test(test_dirty_texts),
                cmocka_unit_test(test_long_lines),
                cmocka_unit_test(test_manifest),
                cmocka_unit_test(test_manifest_quoted),
                cmocka_unit_test(test_manifest_empty),
                cmocka_unit_test(test_not_manifests),
                cmocka_unit_test(test_manifest_endless),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
