/* The views: what a person reads of a status and of a plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cmd_plan_view.h"
#include "cli/cmd_pm2_view.h"
#include "cli/cmd_redis.h"
#include "cli/cmd_status_view.h"
#include "common/base/cleanup.h"

static char *status_text(const Muster__V1__StatusReply *status)
{
        struct terminal pipe = {0};
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);

        assert_int_equal(status_view(status, file, &pipe), 0);
        fclose(file);
        return text;
}

static void test_redis(void **state)
{
        Muster__V1__ServiceState service = MUSTER__V1__SERVICE_STATE__INIT;
        Muster__V1__RedisState redis = MUSTER__V1__REDIS_STATE__INIT;
        Muster__V1__UnitState unit = MUSTER__V1__UNIT_STATE__INIT;
        char detail[512];

        service.kind = MUSTER__V1__SERVICE_KIND__SERVICE_KIND_REDIS;
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_READY;
        service.redis = &redis;
        service.unit = &unit;
        redis.answering = true;
        redis.role = (char *)"master";
        redis.keys = 12;
        redis.used_memory = 2000000;
        redis.aof_enabled = true;
        redis.base_bytes = 80000000;
        redis.incremental_bytes = 320000000;
        service_detail(&service, detail, sizeof(detail));
        assert_string_equal(detail, "master, 12 keys, 2.0 MB, AOF 400.0 MB (base 80.0 MB + 320.0 MB)");
        redis.role = (char *)"slave";
        redis.aof_enabled = false;
        unit.present = true;
        unit.unit_file_state = (char *)"disabled";
        service_detail(&service, detail, sizeof(detail));
        assert_string_equal(detail, "replica, NO LINK TO ITS MASTER, 12 keys, 2.0 MB, no AOF, NOT ENABLED");
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_LOADING;
        service.progress_done = 100000000;
        service.progress_total = 400000000;
        redis.loading = true;
        service_detail(&service, detail, sizeof(detail));
        assert_non_null(strstr(detail, "loading 25% (100.0 MB of 400.0 MB)"));
        redis.answering = false;
        service.progress_total = 0;
        redis.error = (char *)"connection refused";
        service_detail(&service, detail, sizeof(detail));
        assert_string_equal(detail, "no answer: connection refused, NOT ENABLED");
}

static void test_pm2(void **state)
{
        Muster__V1__ServiceState service = MUSTER__V1__SERVICE_STATE__INIT;
        Muster__V1__Pm2State pm2 = MUSTER__V1__PM2_STATE__INIT;
        char detail[512];

        service.kind = MUSTER__V1__SERVICE_KIND__SERVICE_KIND_PM2;
        service.pm2 = &pm2;
        pm2.reachable = true;
        pm2.online = 38;
        pm2.stopped = 2;
        service_detail(&service, detail, sizeof(detail));
        assert_string_equal(detail, "38 online, 2 stopped");
}

/* A detail longer than its room is cut, never written beyond. */
static void test_long_detail(void **state)
{
        Muster__V1__ServiceState service = MUSTER__V1__SERVICE_STATE__INIT;
        Muster__V1__UnitState unit = MUSTER__V1__UNIT_STATE__INIT;
        char name[4096], detail[64];

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        service.kind = MUSTER__V1__SERVICE_KIND__SERVICE_KIND_UNIT;
        service.unit = &unit;
        unit.present = true;
        unit.active_state = name;
        unit.unit_file_state = (char *)"disabled";
        service_detail(&service, detail, sizeof(detail));
        assert_int_equal(strlen(detail), sizeof(detail) - 1);
}

static void test_status(void **state)
{
        Muster__V1__StatusReply status = MUSTER__V1__STATUS_REPLY__INIT;
        Muster__V1__HostStatus up = MUSTER__V1__HOST_STATUS__INIT, down = MUSTER__V1__HOST_STATUS__INIT,
                               never = MUSTER__V1__HOST_STATUS__INIT;
        Muster__V1__HostStatus *hosts[] = {&up, &down, &never};
        Muster__V1__HostState host = MUSTER__V1__HOST_STATE__INIT;
        Muster__V1__ServiceState service = MUSTER__V1__SERVICE_STATE__INIT;
        Muster__V1__ServiceState *services[] = {&service};
        char *failed[] = {(char *)"a.service"};
        cleanup_free char *text = NULL;

        status.fleet = (char *)"staging";
        status.clock_us = 1763932509000000;
        status.hosts = hosts;
        status.n_hosts = 3;
        up.name = (char *)"db1";
        up.connected = up.joined = true;
        up.host = &host;
        up.services = services;
        up.n_services = 1;
        service.name = (char *)"bds";
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_READY;
        host.boot_id = (char *)"0";
        host.clock_us = status.clock_us - 7000000;
        host.uptime_ms = 3593000;
        host.load1 = 0.5;
        host.processors = 2;
        host.memory_total = 8000000000;
        host.memory_available = 6000000000;
        host.failed_units = failed;
        host.n_failed_units = 1;
        down.name = (char *)"db2";
        down.joined = true;
        down.last_seen_us = status.clock_us - 240000000;
        never.name = (char *)"app1";
        text = status_text(&status);
        assert_non_null(strstr(text, "fleet staging at 2025-11-23 21:15:09 UTC\n"));
        assert_non_null(strstr(text, "db1   up          2025-11-23 20:15:09 (59 min 53 s ago)  0.50 of 2  "
                                     "2.0 GB of 8.0 GB  failed: a.service\n"));
        assert_non_null(strstr(text, "db2   DOWN        last seen 4 min 00 s ago\n"));
        assert_non_null(strstr(text, "app1  not joined\n"));
        assert_non_null(strstr(text, "1 of 3 hosts up, 1 of 1 services ready\n"));
}

static void test_plan(void **state)
{
        Muster__V1__PlanReply plan = MUSTER__V1__PLAN_REPLY__INIT;
        Muster__V1__PlanStep one = MUSTER__V1__PLAN_STEP__INIT, two = MUSTER__V1__PLAN_STEP__INIT;
        Muster__V1__PlanStep *steps[] = {&one, &two};
        uint32_t after[] = {0, 1, 2, 5};
        char *warnings[] = {(char *)"geo may\nlose writes"};
        struct terminal pipe = {0};
        cleanup_free char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);

        plan.kind = MUSTER__V1__PLAN_KIND__PLAN_KIND_REBOOT;
        plan.steps = steps;
        plan.n_steps = 2;
        plan.warnings = warnings;
        plan.n_warnings = 1;
        plan.estimate_low_ms = 61000;
        plan.estimate_high_ms = 125000;
        one.phase = two.phase = (char *)"compact";
        one.name = (char *)"db1/bds redis.rewrite";
        two.index = 6;
        two.name = (char *)"db1/geo tile38.shrink";
        two.after = after;
        two.n_after = 4;
        two.estimate_low_ms = two.estimate_high_ms = 1000;
        assert_int_equal(plan_view(&plan, file, &pipe), 0);
        fclose(file);
        assert_non_null(strstr(text, "   0  compact  db1/bds redis.rewrite\n"));
        assert_non_null(strstr(text, "   6           db1/geo tile38.shrink  1.0 s     0-2,5\n"));
        assert_non_null(strstr(text, "warning: geo may lose writes\n"));
        assert_non_null(strstr(text, "reboot: 2 steps, 1 min 01 s to 2 min 05 s\n"));
}

static int set_up(void **state)
{
        terminal_init();
        return 0;
}

static char *diff_text(const Muster__V1__FleetPm2Diff *diff)
{
        struct terminal pipe = {0};
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);

        assert_int_equal(pm2_diff_view(diff, file, &pipe), 0);
        fclose(file);
        return text;
}

static void test_pm2_diff(void **state)
{
        Muster__V1__FleetPm2Diff diff = MUSTER__V1__FLEET_PM2_DIFF__INIT;
        Muster__V1__Pm2Comparison comparison = MUSTER__V1__PM2_COMPARISON__INIT;
        Muster__V1__Pm2Side from = MUSTER__V1__PM2_SIDE__INIT, to = MUSTER__V1__PM2_SIDE__INIT;
        Muster__V1__Pm2Difference item = MUSTER__V1__PM2_DIFFERENCE__INIT, *items[] = {&item};
        cleanup_free char *equal = NULL, *different = NULL, *failed = NULL;

        diff.host = (char *)"app1";
        diff.service = (char *)"apps";
        diff.to = &to;
        diff.comparison = &comparison;
        comparison.from = &from;
        from.name = (char *)"dump";
        from.saved_us = 1763933738000000u;
        to.name = (char *)"live";
        to.apps = 3;
        to.online = 2;
        to.errored = 1;
        equal = diff_text(&diff);
        assert_string_equal(equal,
                            "app1/apps: no difference between PM2's dump of 2025-11-23 21:35:38 UTC and "
                            "live: 3 apps, 2 online, 0 stopped, 1 errored\n");
        /* What it was called by its user, it cannot do to a terminal. */
        item.pm_id = -1;
        item.app = (char *)"web\033[2J";
        item.what = (char *)"missing";
        item.before = (char *)"online";
        comparison.differences = items;
        comparison.n_differences = 1;
        comparison.total = 12;
        comparison.apps_differing = 4;
        different = diff_text(&diff);
        assert_string_equal(
                different, "app1/apps: 4 apps differ between PM2's dump of 2025-11-23 21:35:38 UTC and live\n"
                           "  APP      ID  WHAT     DUMP    LIVE\n"
                           "  web?[2J   -  missing  online  -\n"
                           "  and 11 more differences\n");
        comparison.failure = 15;
        comparison.failure_text = (char *)"the file is not sound";
        failed = diff_text(&diff);
        assert_string_equal(failed, "app1/apps: not compared: the file is not sound\n");
}

/* One Redis of a watch, through its load. */
static void test_redis_watched(void **state)
{
        Muster__V1__HostStatus host = MUSTER__V1__HOST_STATUS__INIT;
        Muster__V1__ServiceState service = MUSTER__V1__SERVICE_STATE__INIT;
        Muster__V1__LoadForecast forecast = MUSTER__V1__LOAD_FORECAST__INIT;
        struct redis_line line = {&host, &service, NULL};
        char text[256];

        service.detail = (char *)"does not answer:\x1b[2J";
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_LOADING;
        service.progress_done = 100000000;
        service.progress_total = 400000000;
        redis_line_text(&line, text, sizeof(text));
        assert_string_equal(text, "its host is not connected");
        host.connected = true;
        redis_line_text(&line, text, sizeof(text));
        assert_string_equal(text, "loading 25%, 100.0 MB of 400.0 MB");
        assert_false(redis_line_is_ready(&line));
        line.forecast = &forecast;
        forecast.file = (char *)"incremental";
        forecast.bytes_per_s = 50000000;
        redis_line_text(&line, text, sizeof(text));
        assert_string_equal(text, "incremental 25%, 100.0 MB of 400.0 MB, 50.0 MB/s");
        forecast.estimated = true;
        forecast.left_low_ms = 5000;
        forecast.left_high_ms = 7000;
        redis_line_text(&line, text, sizeof(text));
        assert_non_null(strstr(text, ", 5.0 s to 7.0 s left (no load of it watched before)"));
        forecast.learned_loads = 2;
        redis_line_text(&line, text, sizeof(text));
        assert_null(strstr(text, "(no load"));
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_FAILED;
        redis_line_text(&line, text, sizeof(text));
        assert_string_equal(text, "does not answer:?[2J");
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_READY;
        assert_true(redis_line_is_ready(&line));
        host.connected = false;
        assert_false(redis_line_is_ready(&line));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_redis),       cmocka_unit_test(test_redis_watched),
                cmocka_unit_test(test_pm2_diff),    cmocka_unit_test(test_pm2),
                cmocka_unit_test(test_long_detail), cmocka_unit_test(test_status),
                cmocka_unit_test(test_plan),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
