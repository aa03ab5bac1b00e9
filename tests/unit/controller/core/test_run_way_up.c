/* What a run that was left half way says of the way back up. */
#include "common/base/cleanup.h"
#include "tests/unit/controller/core/lab.h"

struct lines {
        char *text; /* owned */
        size_t count, longest;
};

static int take_line(const char *line, void *userdata)
{
        struct lines *lines = userdata;
        size_t used = lines->text ? strlen(lines->text) : 0, size = used + strlen(line) + 2;

        lines->text = realloc(lines->text, size);
        assert_non_null(lines->text);
        snprintf(lines->text + used, size - used, "%s\n", line);
        lines->count++;
        if (strlen(line) > lines->longest)
                lines->longest = strlen(line);
        return 0;
}

static void assert_way_up(const struct lab *lab, const char *expected)
{
        struct lines lines = {0};

        assert_int_equal(run_way_up(lab->run, take_line, &lines), 0);
        assert_string_equal(lines.text ? lines.text : "", expected);
        free(lines.text);
}

#define RELEASES                                                                                             \
        "a unit that starts PM2 at boot, and that was disabled for the run, is enabled again "               \
        "once the run is over\n"

/* PM2's daemon is gone: a restart would be refused, and what is brought back is what the run saved. */
static void test_commands(void **state)
{
        struct lab lab;
        uint64_t low, high;

        lab_start(&lab, PLAN_RESTART);
        assert_way_up(&lab, "");
        run_way_up_takes(lab.run, &low, &high);
        assert_int_equal(high, 0);
        lab_done(&lab, "app1/apps pm2.save");
        for (const char *const *step =
                     (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                           "db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                           "db2/bull02 redis.rewrite", NULL};
             *step; step++)
                lab_done(&lab, *step);
        assert_step(&lab, "app1/apps pm2.stop", STEP_RUNNING);
        assert_way_up(&lab, "left down, or not seen to be up: bds-copy,apps\n"
                            "to bring them up: muster restart bds-copy\n"
                            "then: muster pm2 restore apps r1\n" RELEASES);
        lab_done(&lab, "app1/apps pm2.stop");
        lab_done(&lab, "app1/router unit.stop");
        lab_done(&lab, "db2/bull01 unit.stop");
        assert_int_equal(lab_steer(&lab, STEER_LEAVE, NULL, ""), 0);
        for (const char *const *step = (const char *const[]){"db1/bds-copy unit.stop", "db1/geo unit.stop",
                                                             "db2/bull00 unit.stop", "db2/bull02 unit.stop",
                                                             "db2/bull01 unit.start", NULL};
             *step; step++)
                if (lab_step(&lab, *step).state == STEP_RUNNING)
                        lab_done(&lab, *step);
        assert_run(&lab, RUN_ABORTED);
        run_way_up_takes(lab.run, &low, &high);
        assert_true(high > 0 && low <= high);
        assert_way_up(&lab, "left down, or not seen to be up: bds-copy,geo,bull00,bull01,bull02,router,apps\n"
                            "to bring them up: muster restart bds-copy,geo,bull00,bull01,bull02,router\n"
                            "then: muster pm2 restore apps r1\n" RELEASES);
        lab_end(&lab);
}

/* Aborted, it brings up what it took down, and leaves nothing; what failed on that way is another matter. */
static void test_nothing_left(void **state)
{
        struct lab lab;

        lab_start(&lab, PLAN_REBOOT);
        lab_take_down(&lab);
        assert_int_equal(lab_steer(&lab, STEER_ABORT, NULL, ""), 0);
        for (size_t h = 0; h < HOSTS; h++)
                if (lab_step(&lab, (const char *const[]){"db1 host.reboot", "db2 host.reboot",
                                                         "app1 host.reboot"}[h])
                            .state == STEP_RUNNING)
                        lab_reboot(&lab, h);
        lab_bring_up(&lab);
        lab_wait(&lab, 60 * USEC_PER_SEC);
        assert_run(&lab, RUN_ABORTED);
        assert_way_up(&lab, "");
        lab_end(&lab);
}

/* What no unit starts is said, and put into no command. */
static void test_without_a_unit(void **state)
{
        struct lab lab = {0};

        incident_init(&lab.in);
        lab.in.services[GEO].spec.unit[0] = '\0';
        incident_say(&lab.in, GEO);
        lab_start_plan(&lab, PLAN_REBOOT);
        for (const char *const *step =
                     (const char *const[]){"db1/bds redis.rewrite", "db1/geo tile38.shrink",
                                           "db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                                           "db2/bull02 redis.rewrite", "app1/apps pm2.save",
                                           "app1/apps pm2.stop", "app1/router unit.stop",
                                           "db1/bds-copy unit.stop", "db1/bds unit.stop", NULL};
             *step; step++)
                lab_done(&lab, *step);
        assert_step(&lab, "db1 host.reboot", STEP_RUNNING);
        assert_way_up(&lab,
                      "left down, or not seen to be up: bds,bds-copy,geo,bull00,bull01,bull02,router,apps\n"
                      "to bring them up: muster restart bds,bds-copy,bull00,bull01,bull02,router\n"
                      "then: muster pm2 restore apps r1\n" RELEASES
                      "without a unit to be started by, to be looked after by hand: geo\n");
        lab_end(&lab);
}

/* However many they are, no name is cut: there are more lines. */
static void test_many(void **state)
{
        struct lab lab = {0};
        struct lines lines = {0};

        incident_init(&lab.in);
        for (size_t s = 0; s < SERVICES; s++) {
                char *name = lab.in.services[s].spec.name;

                memset(name, 'a' + (int)s, NAME_SIZE - 1);
                name[NAME_SIZE - 1] = '\0';
                incident_say(&lab.in, s);
        }
        incident_states(&lab.in);
        lab_start_plan(&lab, PLAN_RESTART);
        for (size_t i = 0; i < run_plan(lab.run)->step_count; i++)
                if (run_plan(lab.run)->steps[i].phase <= PHASE_STOP)
                        lab_done(&lab, run_plan(lab.run)->steps[i].name);
        assert_int_equal(run_way_up(lab.run, take_line, &lines), 0);
        for (size_t s = 0; s < SERVICES; s++)
                assert_non_null(strstr(lines.text, lab.in.services[s].spec.name));
        assert_true(lines.longest < 1024);
        free(lines.text);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_nothing_left),
                cmocka_unit_test(test_without_a_unit),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
