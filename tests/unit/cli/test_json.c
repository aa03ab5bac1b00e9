/* Messages as JSON: names and words of proto/, and nothing that JSON cannot hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "cli/json.h"
#include "proto/fleet.pb-c.h"

static json_t *member(json_t *object, const char *name)
{
        json_t *value = json_object_get(object, name);

        assert_non_null(value);
        return value;
}

static void test_status(void **state)
{
        Muster__V1__ServiceState service = MUSTER__V1__SERVICE_STATE__INIT;
        Muster__V1__UnitState unit = MUSTER__V1__UNIT_STATE__INIT;
        Muster__V1__ServiceState *services[] = {&service};
        Muster__V1__HostState host_state = MUSTER__V1__HOST_STATE__INIT;
        Muster__V1__HostStatus host = MUSTER__V1__HOST_STATUS__INIT;
        char *groups[] = {(char *)"data", (char *)"old"};
        json_t *json, *first;

        service.name = (char *)"b\"ds\033";
        service.kind = MUSTER__V1__SERVICE_KIND__SERVICE_KIND_REDIS;
        service.phase = MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_LOADING;
        service.unit = &unit;
        unit.timeout_stop_us = UINT64_MAX;
        host_state.load1 = NAN;
        host_state.load5 = 0.25;
        host.services = services;
        host.n_services = 1;
        host.groups = groups;
        host.n_groups = 2;
        host.connected = true;
        host.host = &host_state;
        json = json_message(&host.base);
        assert_non_null(json);
        assert_true(json_is_true(member(json, "connected")));
        assert_int_equal(json_array_size(member(json, "groups")), 2);
        assert_string_equal(json_string_value(json_array_get(member(json, "groups"), 1)), "old");
        assert_true(json_is_null(member(member(json, "host"), "load1")));
        assert_true(json_real_value(member(member(json, "host"), "load5")) == 0.25);
        first = json_array_get(member(json, "services"), 0);
        assert_string_equal(json_string_value(member(first, "name")), "b\"ds\033");
        assert_string_equal(json_string_value(member(first, "kind")), "redis");
        assert_string_equal(json_string_value(member(first, "phase")), "loading");
        assert_true(json_is_null(member(member(first, "unit"), "timeout_stop_us")));
        assert_true(json_is_null(member(first, "pm2")));
        json_decref(json);
}

static void test_plan(void **state)
{
        Muster__V1__PlanStep step = MUSTER__V1__PLAN_STEP__INIT;
        Muster__V1__PlanStep *steps[] = {&step};
        Muster__V1__PlanReply plan = MUSTER__V1__PLAN_REPLY__INIT;
        uint8_t digest[] = {0x00, 0xab, 0xff};
        uint32_t after[] = {3, 5};
        json_t *json, *first;

        plan.kind = MUSTER__V1__PLAN_KIND__PLAN_KIND_REBOOT;
        plan.steps = steps;
        plan.n_steps = 1;
        plan.digest.data = digest;
        plan.digest.len = sizeof(digest);
        step.after = after;
        step.n_after = 2;
        step.estimate_high_ms = 1ull << 40;
        json = json_message(&plan.base);
        assert_non_null(json);
        assert_string_equal(json_string_value(member(json, "kind")), "reboot");
        assert_string_equal(json_string_value(member(json, "digest")), "00abff");
        first = json_array_get(member(json, "steps"), 0);
        assert_int_equal(json_integer_value(json_array_get(member(first, "after"), 1)), 5);
        assert_true(json_integer_value(member(first, "estimate_high_ms")) == 1ll << 40);
        json_decref(json);
}

/* A word that a newer controller knows and this program does not is its number. */
static void test_unknown_word(void **state)
{
        Muster__V1__PlanReply plan = MUSTER__V1__PLAN_REPLY__INIT;
        json_t *json;

        plan.kind = (Muster__V1__PlanKind)77;
        json = json_message(&plan.base);
        assert_int_equal(json_integer_value(member(json, "kind")), 77);
        json_decref(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_plan),
                cmocka_unit_test(test_unknown_word),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
