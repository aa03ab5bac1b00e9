/* The tolerant reader and the canonical form. */
#include <errno.h>

#include "tests/unit/agent/pm2/lists.h"

static void hash_of(const char *text, char ret[JSON_HASH_SIZE])
{
        json_t *value = json_of(text);

        assert_int_equal(json_hash(value, NULL, NULL, ret), 0);
        json_decref(value);
}

static void test_canonical(void **state)
{
        char a[JSON_HASH_SIZE], b[JSON_HASH_SIZE];

        hash_of("{\"b\":[1,2.0,\"x\\u0001\"],\"a\":null}", a);
        hash_of("{ \"a\" : null, \"b\": [1.0, 2, \"x\\u0001\"] }", b);
        assert_string_equal(a, b);
        hash_of("{\"a\":null,\"b\":[2,1,\"x\\u0001\"]}", b);
        assert_string_not_equal(a, b);
        hash_of("{\"a\":\"1\"}", a);
        hash_of("{\"a\":1}", b);
        assert_string_not_equal(a, b);
        /* sha256sum of the text {"a":"1"} */
        assert_string_equal(a, "9afeb0f2b203f254312ec8ded441d0318b7c34c57f8695ede42d2215a30c0960");
}

static int skip_a(const char *key, const json_t *value, const void *userdata)
{
        return strcmp(key, "a") == 0;
}

static void test_skip_is_of_one_level(void **state)
{
        json_t *value = json_of("{\"a\":1,\"b\":{\"a\":1}}");
        char skipped[JSON_HASH_SIZE], plain[JSON_HASH_SIZE];

        assert_int_equal(json_hash(value, skip_a, NULL, skipped), 0);
        hash_of("{\"b\":{\"a\":1}}", plain);
        assert_string_equal(skipped, plain);
        json_decref(value);
}

static void test_tolerant(void **state)
{
        json_t *value = json_of("{\"big\":12345678901234567890,\"n\":3,\"s\":\"a\\u0000b\"}");

        assert_true(json_is_real(json_object_get(value, "big")));
        assert_int_equal(json_number(value, "n", 0), 3);
        assert_int_equal(json_string_length(json_object_get(value, "s")), 3);
        json_decref(value);
        value = json_of("[\"\\ud83d\\ude00 \\ud83d \\\\ud83d \\ude00\"]");
        assert_string_equal(json_string_value(json_array_get(value, 0)),
                            "😀 \xef\xbf\xbd \\ud83d \xef\xbf\xbd");
        json_decref(value);
}

static void test_refused(void **state)
{
        static const char *const bad[] = {"", "{", "[1,]", "{\"a\":1}x", "nul", "\"\\u12\"", "\"\\x\""};
        struct error error = {0};
        json_t *value = NULL;

        for (size_t i = 0; i < ELEMENTS(bad); i++)
                assert_int_equal(pm2_json_parse(&value, bad[i], strlen(bad[i]), &error), -EBADMSG);
        assert_null(value);
        assert_non_null(strstr(error.text, "not JSON"));
}

static void test_brief(void **state)
{
        json_t *value = json_of("[\"--port\",80]");
        char text[32];

        json_brief(value, text, sizeof(text));
        assert_string_equal(text, "[\"--port\",80]");
        json_brief(value, text, 6);
        assert_string_equal(text, "[\"--p");
        json_decref(value);
        value = json_of("[]");
        json_brief(value, text, sizeof(text));
        assert_string_equal(text, "");
        json_decref(value);
        value = json_of("\"ab\xc3\xa4\"");
        json_brief(value, text, 4);
        assert_string_equal(text, "ab");
        json_decref(value);
        json_brief(NULL, text, sizeof(text));
        assert_string_equal(text, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_canonical), cmocka_unit_test(test_skip_is_of_one_level),
                cmocka_unit_test(test_tolerant),  cmocka_unit_test(test_refused),
                cmocka_unit_test(test_brief),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
