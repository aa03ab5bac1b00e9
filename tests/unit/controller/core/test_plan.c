/* Plans of the incident's fleet: what comes after what, what is refused, what is foreseen. */
#include "tests/unit/controller/core/fleet.h"

static void test_reboot_order(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), 0);
        assert_int_equal(plan_check(plan, &error), 0);

        /* One rewrite a host at a time. */
        assert_after(plan, "db1/geo tile38.shrink", "db1/bds redis.rewrite");
        assert_free_of(plan, "db2/bull00 redis.rewrite", "db1/bds redis.rewrite");
        assert_int_equal(step_find(plan, "db1/bds-copy redis.rewrite"), -1);

        /* Nothing is stopped before all that it stands on has been prepared. */
        assert_after(plan, "app1/apps pm2.stop", "app1/apps pm2.save");
        assert_after(plan, "app1/apps pm2.stop", "db1/bds redis.rewrite");
        assert_after(plan, "app1/apps pm2.stop", "db1/geo tile38.shrink");
        assert_after(plan, "app1/apps pm2.stop", "db2/bull02 redis.rewrite");

        /* Dependants first, across hosts. */
        assert_after(plan, "app1/router unit.stop", "app1/apps pm2.stop");
        assert_after(plan, "db1/bds unit.stop", "app1/router unit.stop");
        assert_after(plan, "db1/bds unit.stop", "db1/bds-copy unit.stop");
        assert_after(plan, "db1/geo unit.stop", "app1/apps pm2.stop");
        assert_free_of(plan, "db1/geo unit.stop", "app1/router unit.stop");
        assert_after(plan, "db2/bull01 unit.stop", "app1/apps pm2.stop");

        /* A host when everything on it is down, and no later. */
        assert_after(plan, "db1 host.reboot", "db1/bds unit.stop");
        assert_after(plan, "db1 host.reboot", "db1/bds-copy unit.stop");
        assert_after(plan, "db1 host.reboot", "db1/geo unit.stop");
        assert_after(plan, "app1 host.reboot", "app1/router unit.stop");
        assert_free_of(plan, "app1 host.reboot", "db1/bds unit.stop");
        assert_free_of(plan, "db1 host.reboot", "app1 host.reboot");
        assert_free_of(plan, "db2 host.reboot", "db1/bds unit.stop");

        /* Up by each service's own needs. */
        assert_after(plan, "db1/bds ready", "db1/bds unit.start");
        assert_after(plan, "db1/bds unit.start", "db1 host.reboot");
        assert_after(plan, "db1/bds-copy ready", "db1/bds ready");
        assert_after(plan, "app1/router unit.start", "db1/bds ready");
        assert_after(plan, "app1/router ready", "app1 host.reboot");
        for (const char *const *need =
                     (const char *const[]){"app1/router ready", "db1/bds ready", "db1/geo ready",
                                           "db2/bull00 ready", "db2/bull01 ready", "db2/bull02 ready",
                                           "app1 host.reboot", NULL};
             *need; need++)
                assert_after(plan, "app1/apps pm2.restore", *need);
        assert_free_of(plan, "app1/apps pm2.restore", "db1/bds-copy ready");
        assert_after(plan, "app1/apps pm2.verify", "app1/apps pm2.restore");
        assert_string_equal(plan->steps[step_named(plan, "app1/router ready")].same_as, "bds");
        assert_int_equal(plan->steps[step_named(plan, "app1/router ready")].phase, PHASE_DEPEND);
        plan_free(plan);
}

static void test_every_unit_is_started(void **state)
{
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        TEXT_COPY(incident_said(&in, BULL01)->unit.unit_file_state, "disabled");
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        for (size_t i = 0; i < APPS; i++) {
                char name[STEP_NAME_SIZE];

                snprintf(name, sizeof(name), "%s/%s unit.start", in.hosts[in.services[i].host].name,
                         in.services[i].spec.name);
                step_named(plan, name);
        }
        plan_free(plan);
}

static void test_restart_order(void **state)
{
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, NULL), 0);
        for (size_t i = 0; i < plan->step_count; i++)
                assert_int_not_equal(plan->steps[i].operation, OPERATION_HOST_REBOOT);
        assert_after(plan, "db1/bds unit.start", "db1/bds unit.stop");
        assert_after(plan, "db1/bds unit.stop", "app1/apps pm2.stop");
        assert_after(plan, "app1/apps pm2.restore", "app1/router ready");
        assert_after(plan, "app1/apps pm2.restore", "app1/apps pm2.stop");
        plan_free(plan);
}

static void test_needs_outside_the_scope(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        for (size_t i = 0; i < ROUTER; i++)
                in.scope_services[i] = false;
        in.scope_hosts[DB1] = in.scope_hosts[DB2] = false;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), 0);
        /* What could not come back is not taken down. */
        assert_after(plan, "app1/apps pm2.stop", "db1/geo is ready");
        assert_after(plan, "app1/apps pm2.stop", "db1/bds is ready");
        assert_after(plan, "app1/router unit.start", "db1/bds is ready");
        assert_int_equal(step_find(plan, "db1/bds unit.stop"), -1);
        assert_int_equal(step_find(plan, "db1 host.reboot"), -1);
        plan_free(plan);

        in.facts[DB1].connected = false;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_non_null(strstr(error.text, "needs"));
        assert_non_null(strstr(error.text, "db1"));
}

static void test_dependants_outside_the_scope(void **state)
{
        struct incident in;
        struct plan *plan;
        bool said = false;

        incident_init(&in);
        in.scope_hosts[APP1] = in.scope_hosts[DB2] = false;
        for (size_t i = BULL00; i < SERVICES; i++)
                in.scope_services[i] = false;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        for (size_t i = 0; i < plan->warning_count; i++)
                said |= strstr(plan->warnings[i], "router") != NULL;
        assert_true(said);
        plan_free(plan);
}

/* A service without a unit cannot be stopped: its host still waits for those that need it. */
static void test_without_a_unit(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        in.services[ROUTER].spec.kind = SERVICE_REDIS;
        in.services[ROUTER].spec.unit[0] = '\0';
        in.services[BDS].spec.unit[0] = '\0';
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), 0);
        assert_after(plan, "db1 host.reboot", "app1/apps pm2.stop");
        assert_after(plan, "db1/bds ready", "db1 host.reboot");
        assert_int_equal(step_find(plan, "db1/bds unit.start"), -1);
        plan_free(plan);
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, &error), -EINVAL);
        assert_non_null(strstr(error.text, "no unit"));
}

static void refused(struct incident *in, const char *host, const char *word)
{
        struct error error = {0};
        struct plan *plan;

        assert_int_equal(incident_plan(in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_null(plan);
        if (!strstr(error.text, host) || !strstr(error.text, word))
                fail_msg("'%s' names not both '%s' and '%s'", error.text, host, word);
}

static void test_refusals(void **state)
{
        struct incident in;

        incident_init(&in);
        in.facts[DB2].state = NULL;
        refused(&in, "db2", "never been seen");
        incident_init(&in);
        in.facts[APP1].connected = false;
        refused(&in, "app1", "not connected");
        incident_init(&in);
        in.states[DB1].host.boot_id[0] = '\0';
        TEXT_COPY(in.states[DB1].host.boot_error, "permission denied");
        refused(&in, "db1", "permission denied");
        incident_init(&in);
        in.states[DB1].host.stopping = true;
        refused(&in, "db1", "shutting down");
        incident_init(&in);
        incident_said(&in, APPS)->pm2.reachable = false;
        refused(&in, "app1", "PM2");
        incident_init(&in);
        incident_said(&in, GEO)->unit.present = false;
        refused(&in, "db1", "tile38@beamdevlive.service");
        incident_init(&in);
        TEXT_COPY(incident_said(&in, GEO)->unit.load_state, "masked");
        refused(&in, "db1", "masked");
        incident_init(&in);
        incident_said(&in, GEO)->name[0] = 'x';
        refused(&in, "db1", "geo");
        incident_init(&in);
        in.services[BDS].needs[in.services[BDS].need_count++] = APPS;
        refused(&in, "bds", "need each other");
        incident_init(&in);
        memset(in.scope_hosts, 0, sizeof(in.scope_hosts));
        memset(in.scope_services, 0, sizeof(in.scope_services));
        refused(&in, "nothing", "reboot");
}

static void test_estimated_reboots(void **state)
{
        struct incident in;
        struct plan *plan;
        const struct step *one, *other;
        struct error error;

        incident_init(&in);
        in.facts[DB1].reboot_us = 100 * USEC_PER_SEC;
        in.facts[DB1].reboot_spread_us = 10 * USEC_PER_SEC;
        in.facts[DB1].reboots = 2;
        in.facts[DB2].reboot_us = UINT64_MAX; /* no length that a reboot has */
        in.facts[DB2].reboots = 1;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), 0);
        one = &plan->steps[step_named(plan, "db1 host.reboot")];
        other = &plan->steps[step_named(plan, "db2 host.reboot")];
        assert_string_equal(one->basis, "1 min 40 s learned from 2 reboots");
        assert_int_equal(one->low_us, 80 * USEC_PER_SEC);
        assert_int_equal(one->high_us, 150 * USEC_PER_SEC);
        assert_non_null(strstr(other->basis, "not learned"));
        plan_free(plan);
}

static void test_estimates(void **state)
{
        struct step *bds, *copy;
        uint64_t low, high, wide;
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        bds = &plan->steps[step_named(plan, "db1/bds ready")];
        copy = &plan->steps[step_named(plan, "db1/bds-copy ready")];
        assert_non_null(strstr(bds->basis, "no rate learned"));
        assert_non_null(strstr(bds->basis, "incremental 0"));
        assert_null(strstr(copy->basis, "incremental 0")); /* a replica is not rewritten */
        wide = bds->high_us / bds->low_us;
        assert_true(wide > 100);
        plan_forecast(plan, &low, &high);
        assert_true(low > bds->low_us && low < high);
        plan_free(plan);

        in.rates[BDS] = (struct plan_rate){1500000, 1400000, 3}; /* 90 MB a minute */
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        bds = &plan->steps[step_named(plan, "db1/bds ready")];
        assert_non_null(strstr(bds->basis, "learned from 3 loads"));
        /* 3 GB at 90 MB a minute: 33 minutes, give or take. */
        assert_true(bds->low_us < 2000 * USEC_PER_SEC && bds->high_us > 2000 * USEC_PER_SEC);
        plan_free(plan);

        /* A server that is down is not rewritten: the incremental part has to be loaded as well. */
        incident_said(&in, BDS)->phase = PHASE_STOPPED;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        assert_int_equal(step_find(plan, "db1/bds redis.rewrite"), -1);
        bds = &plan->steps[step_named(plan, "db1/bds ready")];
        assert_non_null(strstr(bds->basis, "incremental 9"));
        assert_true(bds->low_us > 5000 * USEC_PER_SEC);
        plan_free(plan);
}

static void test_deadlines(void **state)
{
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        incident_said(&in, BDS)->unit.timeout_stop_us = 3600 * USEC_PER_SEC;
        incident_said(&in, GEO)->unit.timeout_stop_us = UINT64_MAX;
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        assert_true(plan->steps[step_named(plan, "db1/bds unit.stop")].deadline_us > 3600 * USEC_PER_SEC);
        assert_true(plan->steps[step_named(plan, "db1/geo unit.stop")].deadline_us >= 3600 * USEC_PER_SEC);
        assert_true(plan->steps[step_named(plan, "db2/bull00 unit.stop")].deadline_us >= 900 * USEC_PER_SEC);
        plan_free(plan);
}

static void test_nothing_that_loads(void **state)
{
        struct error error = {0};
        struct incident in;
        struct plan *plan;

        incident_init(&in);
        incident_said(&in, BDS)->phase = PHASE_LOADING;
        strcpy(incident_said(&in, BDS)->detail, "loading 1 of 2");
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, &error), -EINVAL);
        assert_non_null(strstr(error.text, "'bds' on 'db1' is loading its data (loading 1 of 2)"));
        assert_non_null(strstr(error.text, "muster redis watch"));
        assert_int_equal(incident_plan(&in, PLAN_RESTART, &plan, &error), -EINVAL);
}

static void test_json_roundtrip(void **state)
{
        struct error error = {0};
        char *first, *second;
        struct plan *plan, *again;
        struct incident in;

        incident_init(&in);
        incident_soft(&in);
        incident_said(&in, GEO)->phase = PHASE_DEGRADED; /* a warning */
        in.rates[BDS] = (struct plan_rate){1e6 / 3, 2e6, 4, {0.2, 0.4, 0.7}};
        assert_int_equal(incident_plan(&in, PLAN_REBOOT, &plan, NULL), 0);
        assert_int_equal(plan_to_json(plan, &first), 0);
        assert_int_equal(plan_from_json(&again, first, &error), 0);
        assert_int_equal(plan_to_json(again, &second), 0);
        assert_string_equal(first, second);
        assert_int_equal(again->step_count, plan->step_count);
        assert_true(again->warning_count > 0);
        assert_memory_equal(&again->steps[step_named(again, "db1/bds ready")].rate, &in.rates[BDS],
                            sizeof(in.rates[BDS]));
        assert_int_equal(again->steps[0].deadline_us, plan->steps[0].deadline_us);
        assert_true(again->steps[step_named(again, "db2 host.reboot (soft)")].soft);
        plan_free(plan);
        plan_free(again);
        free(first);
        free(second);
}

static void test_json_refusals(void **state)
{
        static const char gate[] =
                "{\"kind\":\"reboot\",\"batches\":[\"h\"],\"steps\":[{\"name\":\"g\",\"batch\":1,"
                "\"phase\":\"load\","
                "\"host\":\"h\",\"service\":{\"name\":"
                "\"r\",\"kind\":\"redis\",\"port\":6379%s},\"after\":[%s],\"deadline_us\":"
                "%s,\"on_failure\":\"%s\","
                "\"at_least\":0.5%s}]%s}";
        static const struct {
                const char *service, *after, *deadline, *policy, *step, *plan;
                int result;
        } cases[] = {
                {"", "", "1", "pause", "", "", 0},
                {",\"colour\":1", "", "1", "pause", "", "", -EINVAL},
                {"", "0", "1", "pause", "", "", -EINVAL},
                {"", "-1", "1", "pause", "", "", -EINVAL},
                {"", "\"0\"", "1", "pause", "", "", -EINVAL},
                {"", "", "0", "pause", "", "", -EINVAL},
                {"", "", "-5", "pause", "", "", -EINVAL},
                {"", "", "1.5", "pause", "", "", -EINVAL},
                {"", "", "1", "panic", "", "", -EINVAL},
                {"", "", "1", "pause", ",\"operation\":\"rm\"", "", -EINVAL},
                {"", "", "1", "pause", ",\"operation\":\"host.reboot\"", "", -EINVAL},
                {"", "", "1", "pause", ",\"retries\":100000", "", -EINVAL},
                {"", "", "1", "pause", ",\"more\":{}", "", -EINVAL},
                {"", "", "1", "pause", "", ",\"warnings\":[1]", -EINVAL},
                {"", "", "1", "pause", ",\"batch\":2", "", -EINVAL},
                {"", "", "1", "pause", "", ",\"batches\":[\"h\"]", -EINVAL},
                {"", "", "1", "pause", "", ",\"extra\":true", -EINVAL},
                {",\"unit\":\"a b.service\"", "", "1", "pause", "", "", -EINVAL},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct plan *plan = NULL;
                struct error error = {0};
                char json[2048];

                snprintf(json, sizeof(json), gate, cases[i].service, cases[i].after, cases[i].deadline,
                         cases[i].policy, cases[i].step, cases[i].plan);
                if (plan_from_json(&plan, json, &error) != cases[i].result)
                        fail_msg("case %zu: %s", i, error.text);
                assert_true(cases[i].result == 0 || error.text[0]);
                plan_free(plan);
        }
        for (const char *const *json = (const char *const[]){"", "[]", "{}", "null", "{\"kind\":\"reboot\"}",
                                                             "{\"kind\":\"reboot\",\"steps\":[]}", NULL};
             *json; json++) {
                struct plan *plan;

                assert_int_equal(plan_from_json(&plan, *json, NULL), -EINVAL);
        }
}

static bool shrinks(struct incident *in)
{
        struct error error = {0};
        struct plan *plan;
        bool found;

        assert_int_equal(incident_plan(in, PLAN_REBOOT, &plan, &error), 0);
        found = step_find(plan, "db1/geo tile38.shrink") >= 0;
        plan_free(plan);
        return found;
}

/* Only what is worth it; and nothing beside the old file of an interrupted swap. */
static void test_tile38_shrink(void **state)
{
        struct tile38_state *tile38;
        struct incident in;

        incident_init(&in);
        tile38 = &incident_said(&in, GEO)->tile38;
        assert_true(shrinks(&in));
        TEXT_COPY(tile38->leftover, "/var/lib/t/appendonly.aof-bak");
        assert_false(shrinks(&in));
        TEXT_COPY(tile38->leftover, "/var/lib/t/appendonly.aof-shrink");
        assert_true(shrinks(&in));
        tile38->memory_bytes = tile38->aof_size / 4;
        assert_false(shrinks(&in));
        tile38->memory_bytes = 0;
        tile38->aof_size = 0; /* it keeps none */
        assert_false(shrinks(&in));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reboot_order),
                cmocka_unit_test(test_tile38_shrink),
                cmocka_unit_test(test_every_unit_is_started),
                cmocka_unit_test(test_restart_order),
                cmocka_unit_test(test_needs_outside_the_scope),
                cmocka_unit_test(test_dependants_outside_the_scope),
                cmocka_unit_test(test_without_a_unit),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_estimates),
                cmocka_unit_test(test_estimated_reboots),
                cmocka_unit_test(test_deadlines),
                cmocka_unit_test(test_nothing_that_loads),
                cmocka_unit_test(test_json_roundtrip),
                cmocka_unit_test(test_json_refusals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
