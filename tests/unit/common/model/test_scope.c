/* SCOPE against a fleet: what each form means, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/model/scope.h"

static struct fleet_host hosts[] = {
        {.name = "db1", .groups = {"data", "all"}, .group_count = 2},
        {.name = "app1", .groups = {"apps"}, .group_count = 1},
        {.name = "app2", .groups = {"apps"}, .group_count = 1},
        {.name = "app03", .groups = {"apps"}, .group_count = 1},
};
static struct fleet_service services[] = {
        {.spec = {.name = "bds", .kind = SERVICE_REDIS, .role = REDIS_MASTER}, .host = 0},
        {.spec = {.name = "bds-copy", .kind = SERVICE_REDIS, .role = REDIS_REPLICA}, .host = 0},
        {.spec = {.name = "geo", .kind = SERVICE_TILE38}, .host = 0},
        {.spec = {.name = "router", .kind = SERVICE_UNIT}, .host = 1},
        {.spec = {.name = "apps", .kind = SERVICE_PM2}, .host = 1},
        {.spec = {.name = "apps2", .kind = SERVICE_PM2}, .host = 2},
};
static const struct fleet fleet = {
        .name = "staging", .hosts = hosts, .host_count = 4, .services = services, .service_count = 6};

/* "hosts|named hosts|services", names in the fleet's order, or the error's text. */
static const char *meaning(const char *text)
{
        static char out[1024];
        cleanup_scope struct scope scope = {0};
        struct error error = {""};
        size_t n = 0;

        if (scope_parse(&scope, &fleet, text, &error) < 0) {
                assert_null(scope.hosts);
                TEXT_COPY(out, error.text);
                return out;
        }
        out[0] = '\0';
        for (size_t i = 0; i < 4; i++)
                if (scope.hosts[i])
                        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s ", hosts[i].name);
        n += (size_t)snprintf(out + n, sizeof(out) - n, "| ");
        for (size_t i = 0; i < 4; i++)
                if (scope.hosts_named[i])
                        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s ", hosts[i].name);
        n += (size_t)snprintf(out + n, sizeof(out) - n, "|");
        for (size_t i = 0; i < 6; i++)
                if (scope.services[i])
                        n += (size_t)snprintf(out + n, sizeof(out) - n, " %s", services[i].spec.name);
        return out;
}

#define ALL "db1 app1 app2 app03 | db1 app1 app2 app03 | bds bds-copy geo router apps apps2"

static void test_meanings(void **state)
{
        static const char *const cases[][2] = {
                {"", ALL},
                {NULL, ALL},
                {"  , ", ALL},
                {"db1", "db1 | db1 | bds bds-copy geo"},
                {"app03", "app03 | app03 |"},
                {"@data", "db1 | db1 | bds bds-copy geo"},
                {"@apps", "app1 app2 app03 | app1 app2 app03 | router apps apps2"},
                {"app[1-2]", "app1 app2 | app1 app2 | router apps apps2"},
                {"app[1,2]", "app1 app2 | app1 app2 | router apps apps2"},
                {"app[03]", "app03 | app03 |"},
                {"app[1-2,03]", "app1 app2 app03 | app1 app2 app03 | router apps apps2"},
                {"bds", "db1 | | bds"},
                {"bds,geo", "db1 | | bds geo"},
                {"bds geo", "db1 | | bds geo"},
                {"%redis:master", "db1 | | bds"},
                {"%redis:replica", "db1 | | bds-copy"},
                {"%redis", "db1 | | bds bds-copy"},
                {"%pm2", "app1 app2 | | apps apps2"},
                {"!app2", "db1 app1 app03 | db1 app1 app03 | bds bds-copy geo router apps"},
                {"!db1 @apps !app[1-2]", "app03 | app03 |"},
                {"db1 !bds", "db1 | db1 | bds-copy geo"},
                {"!%redis db1", "db1 | db1 | geo"},
                {"db1,apps", "db1 app1 | db1 | bds bds-copy geo apps"},
                {"app1 bds !@apps", "db1 | | bds"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_string_equal(meaning(cases[i][0]), cases[i][1]);
}

static void test_refusals(void **state)
{
        static const char *const cases[][2] = {
                {"db2", "no host or service 'db2'; did you mean 'db1'?"},
                {"bsd", "no host or service 'bsd'; did you mean 'bds'?"},
                {"zebra-herd", "no host or service 'zebra-herd'"},
                {"app[1-4]", "no host or service 'app3'"},
                {"data", "'data' is a group; write @data"},
                {"@dta", "no group 'dta'; did you mean 'data'?"},
                {"%redi", "'%redi' is no kind"},
                {"%redis:boss", "'%redis:boss' is not understood"},
                {"%pm2:master", "'%pm2:master' is not understood"},
                {"app[1-3", "brackets do not match"},
                {"app]1[", "brackets do not match"},
                {"app[3-1]", "'[3-1]' is no range"},
                {"app[]", "'[]' is no range"},
                {"app[a]", "'[a]' is no range"},
                {"app[1-]", "'[1-]' is no range"},
                {"app[1-99999]", "no host or service"},
                {"!", "lacks a name"},
                {"@", "lacks a name"},
                {"db1 !db1", "leaves no host and no service"},
                {"d\xc3\xa4", "names are of letters"},
                {"a\x1b[31m", "names are of letters"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (!strstr(meaning(cases[i][0]), cases[i][1]))
                        fail_msg("'%s' gave: %s", cases[i][0], meaning(cases[i][0]));
}

/* What could grow is bounded, and long or nested input is refused rather than followed. */
static void test_bounds(void **state)
{
        char text[SCOPE_TEXT_MAX + 16];

        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        assert_non_null(strstr(meaning(text), "longer than"));
        text[300] = '\0';
        assert_non_null(strstr(meaning(text), "too long"));
        assert_non_null(strstr(meaning("db[1,1,1]x[1-9]"), "no host or service 'db1x1'"));
        assert_non_null(strstr(meaning("[1-99999999999999999999]"), "too long"));
        memset(text, 0, sizeof(text));
        for (int i = 0; i < 60; i++)
                memcpy(text + 3 * i, "[1]", 3);
        assert_non_null(strstr(meaning(text), "no host or service"));
        /* many names of one that is there */
        memset(text, 0, sizeof(text));
        strcpy(text, "!db[");
        for (size_t i = 0; i < 60; i++)
                strcat(text, "1-1,");
        strcat(text, "1] !db[1-1]");
        assert_non_null(strstr(meaning(text), "app1 app2"));
}

/* What a reboot may be asked of. */
static void test_whole_hosts(void **state)
{
        static const char *const cases[][2] = {
                {"", ""},
                {"db1", ""},
                {"@apps db1", ""},
                {"!db1", ""},
                {"app03", ""},
                {"bds", "'bds' is a service, and a reboot takes its whole host; write db1, or restart bds"},
                {"app1 geo", "'geo' is a service"},
                {"%redis", "'bds' is a service"},
                {"db1 !bds", "db1 cannot be rebooted without 'bds'"},
                {"!apps2", "app2 cannot be rebooted without 'apps2'"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                cleanup_scope struct scope scope = {0};
                struct error error = {""};
                int r;

                assert_int_equal(scope_parse(&scope, &fleet, cases[i][0], &error), 0);
                r = scope_check_whole_hosts(&scope, &fleet, &error);
                assert_int_equal(r, cases[i][1][0] ? -EINVAL : 0);
                if (!strstr(error.text, cases[i][1]))
                        fail_msg("'%s' gave %s", cases[i][0], error.text);
        }
}

/* A group whose name holds a number takes a range too. */
static void test_group_range(void **state)
{
        assert_non_null(strstr(meaning("@app[1-2]"), "no group 'app1'"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_meanings),    cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_bounds),      cmocka_unit_test(test_group_range),
                cmocka_unit_test(test_whole_hosts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
