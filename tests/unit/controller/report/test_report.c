/* The report of runs that were lived: plan and journal made by the run's own core, kept in a real store. */
#include <unistd.h>

#include <jansson.h>

#include "common/base/cleanup.h"
#include "controller/report/facts.h"
#include "tests/unit/controller/core/lab.h"

static char folder[] = "/tmp/muster-test-report-XXXXXX";
static char path[sizeof(folder) + 16];
static store *db; /* the one under test */
static struct lab lab;

static int set_up(void **state)
{
        strcpy(folder + sizeof(folder) - 7, "XXXXXX");
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof(path), "%s/s.db", folder);
        assert_int_equal(store_open(&db, path, NULL), 0);
        lab_start(&lab, PLAN_REBOOT);
        return 0;
}

static int tear_down(void **state)
{
        static const char *const suffixes[] = {"", "-wal"};
        char name[sizeof(path) + 8];

        lab_end(&lab);
        db = store_close(db);
        for (size_t i = 0; i < 2; i++) {
                snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
                unlink(name);
        }
        return rmdir(folder);
}

static void keep(void)
{
        struct store_run run = {.id = "r1",
                                .kind = "reboot",
                                .scope = "@data|x",
                                .user = "viktor",
                                .state = "running",
                                .started_us = 1};
        char holder[NAME_SIZE];

        assert_int_equal(store_run_add(db, &run, lab.plan_json, NULL, 0, holder), 0);
        for (size_t i = 0; i < lab.events; i++)
                assert_int_equal(store_journal_append(db, "r1", i + 1, i + 1, lab.journal[i]), 0);
        assert_int_equal(store_commit(db, NULL), 0);
}

static char *report(void)
{
        struct error error = {""};
        char *text = NULL;

        keep();
        if (report_markdown(db, "", &text, &error) < 0)
                fail_msg("%s", error.text);
        return text;
}

static void expect(const char *text, const char *wanted)
{
        if (!strstr(text, wanted))
                fail_msg("no '%s' in\n%s", wanted, text);
}

/* A step done with these figures (name, value, …, NULL). */
static void done_with(const char *step, enum operation_state state, const char *const *figures)
{
        struct operation_report result = lab_report_of(&lab, step, state, "said so");

        for (; *figures; figures += 2) {
                TEXT_COPY(result.figures[result.figure_count].name, figures[0]);
                TEXT_COPY(result.figures[result.figure_count++].value, figures[1]);
        }
        lab_apply(&lab, (struct run_input){.kind = INPUT_REPORT,
                                           .operation = result.id,
                                           .reports = &result,
                                           .report_count = 1});
}

/* What comes before the reboots, but for the master's rewrite; and up to that step, if there is such a one.
 * stopped: figures of the apps' stop, or NULL. */
static void take_down_to(const char *last, const char *const *stopped)
{
        for (const char *const *step =
                     (const char *const[]){
                             "db1/geo tile38.shrink", "db2/bull00 redis.rewrite", "db2/bull01 redis.rewrite",
                             "db2/bull02 redis.rewrite", "app1/apps pm2.stop", "app1/router unit.stop",
                             "db1/bds-copy unit.stop", "db1/geo unit.stop", "db2/bull00 unit.stop",
                             "db2/bull01 unit.stop", "db2/bull02 unit.stop", "db1/bds unit.stop", NULL};
             *step && !text_equal(*step, last); step++)
                if (stopped && text_equal(*step, "app1/apps pm2.stop"))
                        done_with(*step, OPERATION_DONE, stopped);
                else
                        lab_done(&lab, *step);
}

static void take_down_rest(const char *const *stopped)
{
        take_down_to("", stopped);
}

static void bring_up(void)
{
        for (size_t h = 0; h < HOSTS; h++)
                lab_reboot(&lab, h);
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(&lab, h);
                lab_changed(&lab, h);
        }
        lab_start_units(&lab, DB1);
        lab_start_units(&lab, APP1);
        for (size_t h = 0; h < HOSTS; h++)
                lab_changed(&lab, h);
}

static void live_well(void)
{
        static const char *const sizes[] = {
                "size-before", "12000000000",    "size-after", "3000000000", "rewrites-before",
                "4",           "rewrites-after", "5",          NULL};
        static const char *const apps[] = {"expected", "133", "as-saved", "133", NULL};

        lab_done(&lab, "app1/apps pm2.save");
        lab_wait(&lab, 40 * USEC_PER_SEC);
        done_with("db1/bds redis.rewrite", OPERATION_DONE, sizes);
        take_down_rest(NULL);
        bring_up();
        lab_done(&lab, "app1/apps pm2.restore");
        done_with("app1/apps pm2.verify", OPERATION_DONE, apps);
        assert_run(&lab, RUN_DONE);
}

static void test_good_run(void **state)
{
        char *text, *again = NULL, boot[128];

        live_well();
        text = report();
        expect(text, "# Reboot of fleet staging: done\n");
        expect(text, "| Run | r1 |\n");
        expect(text, "| Scope | @data\\|x |\n");
        expect(text, "| Started by | viktor |\n");
        expect(text, "| Took | 40.0 s (forecast: ");
        expect(text, "140 of 140 services as before (100.0 %)");
        expect(text, "| Health | 100/100 |\n");
        expect(text, "Nothing was taken off");
        expect(text, "## Deviations\n\nNone.\n");
        expect(text, "## Follow-ups\n\nNone.\n");
        snprintf(boot, sizeof(boot), "| db2 | %032x | %032x | yes | ", 0x1001, 0xb0070 + 2);
        expect(text, boot);
        expect(text, "| db1/bds redis.rewrite | size | 12.0 GB | 3.0 GB | 40.0 s | 21.6 s to 1 h 52 min |\n");
        expect(text, "| db1/bds redis.rewrite | rewrites | 4 | 5 | ");
        expect(text, "| app1/apps pm2.verify | done | expected 133, as-saved 133 |\n");
        expect(text, "| compact | 5 of 5 | +00:00.0 | +00:40.0 | 40.0 s |\n");
        expect(text, "| db1/bds redis.rewrite | done | +00:00.0 | 40.0 s | ");
        expect(text, "| +00:40.0 | done: db1/bds redis.rewrite: said so |\n");
        expect(text, "| finished: ");
        /* the same run, the same report */
        assert_int_equal(report_markdown(db, "r1", &again, NULL), 0);
        assert_string_equal(text, again);
        free(text);
        free(again);
}

/* A rewrite that failed twice and was skipped, and 6 apps that did not come back: everything of it is said.
 */
static void test_bad_run(void **state)
{
        static const char *const apps[] = {
                "expected",  "133",         "as-saved", "127",        "failed-app",
                "mail",      "failed-apps", "sms, fax", "failed-log", "mail (3): Error: x",
                "held-apps", "cron, sweep", NULL};
        static const char *const late[] = {
                "late", "2", "late-snapshot", "r1-late", "late-app", "fresh (9): extra", NULL};
        static const char *const unready[] = {"expected",   "133",  "as-saved",    "127",
                                              "failed-app", "mail", "unready-app", "slow (4): did not say",
                                              NULL};
        char *text;

        lab_report(&lab, "db1/bds redis.rewrite", OPERATION_FAILED, "disk | full");
        lab_wait(&lab, 5 * USEC_PER_SEC);
        lab_report(&lab, "db1/bds redis.rewrite", OPERATION_FAILED, "disk | full");
        assert_run(&lab, RUN_PAUSED);
        lab_done(&lab, "app1/apps pm2.save");
        assert_int_equal(lab_steer(&lab, STEER_SKIP, "db1/bds redis.rewrite", "no room"), 0);
        take_down_rest(late);
        bring_up();
        lab_wait(&lab, 900 * USEC_PER_SEC); /* longer than any restore was estimated */
        done_with("app1/apps pm2.restore", OPERATION_FAILED, unready);
        done_with("app1/apps pm2.verify", OPERATION_FAILED, apps);
        assert_run(&lab, RUN_PART);
        text = report();
        expect(text, "# Reboot of fleet staging: part\n");
        expect(text, "134 of 140 services as before (95.7 %)");
        /* 1 + 39 * 6 / 133, a skipped step, a repeated attempt, a late step */
        expect(text, "100 - 2 - 5 - 1 - 1 = **91**\n");
        expect(text, "- 2 off: 6 of 133 PM2 apps are not as they were saved\n");
        expect(text, "- 5 off: 1 step skipped\n");
        expect(text, "- 1 off: 1 repeated attempt\n");
        expect(text, "- 1 off: 1 step took longer than estimated\n");
        expect(text, "- after 0 ms: db1/bds redis.rewrite failed, will be tried again: disk \\| full\n");
        expect(text, "- after 5.0 s: db1/bds redis.rewrite failed: disk \\| full\n");
        expect(text, "skipped by viktor: no room\n");
        expect(text, "- app1/apps pm2.restore took 15 min 00 s, ");
        expect(text, "- app1/apps pm2.verify: mail\n");
        expect(text, "- app1/apps pm2.verify: failed too: sms, fax\n");
        expect(text, "- app1/apps pm2.verify: log of mail (3): Error: x\n");
        expect(text,
               "- app1/apps pm2.verify: cron, sweep: errored or being stopped before, stopped now until");
        expect(text, "- app1/apps pm2.restore: slow (4): did not say\n");
        expect(text, "- app1/apps pm2.stop: started or changed after the save, and not restored: fresh (9): "
                     "extra\n");
        expect(text, "- 2 apps of apps were started or changed after the save: muster pm2 diff apps --from "
                     "r1-late shows");
        expect(text, "- db1/bds redis.rewrite was skipped: whether");
        expect(text, "| db1/bds redis.rewrite | skipped | +00:00.0 | - | ");
        expect(text, "- 6 PM2 apps are not as they were saved; the deviations");
        expect(text, "(over) | ");
        free(text);
}

/* One came back with another role than declared, one as the replica of somebody else where any role will do.
 */
static void test_changed_roles(void **state)
{
        struct redis_state *any = &incident_said(&lab.in, BULL00)->redis;
        struct service_state *bds = incident_said(&lab.in, BDS);
        char *text;

        lab_done(&lab, "app1/apps pm2.save");
        lab_done(&lab, "db1/bds redis.rewrite");
        take_down_rest(NULL);
        TEXT_COPY(any->role, "slave");
        TEXT_COPY(any->master_address, "10.0.0.3:6379");
        bds->phase = PHASE_DEGRADED;
        TEXT_COPY(bds->detail, "is a replica, declared master");
        TEXT_COPY(bds->redis.role, "slave");
        bring_up();
        lab_wait(&lab, 200 * USEC_PER_SEC);
        text = report();
        expect(text, "- db2/bull00 came back as replica of 10.0.0.3:6379; it was master when the run was "
                     "planned, the "
                     "fleet file says any\n");
        expect(text,
               "- db1/bds came back as replica; it was master when the run was planned, the fleet file says "
               "master\n");
        assert_null(strstr(text, "bull01 came back"));
        free(text);
}

/* Down all the same, and perhaps without what it was to save. */
static void test_killed_stop(void **state)
{
        char *text;

        lab_done(&lab, "app1/apps pm2.save");
        lab_done(&lab, "db1/bds redis.rewrite");
        take_down_to("db1/bds unit.stop", (const char *const[]){"killed", "2", NULL}); /* processes */
        done_with("db1/bds unit.stop", OPERATION_DONE,
                  (const char *const[]){"unit-result", "timeout", "killed", "timeout", NULL});
        bring_up();
        lab_done(&lab, "app1/apps pm2.restore");
        lab_done(&lab, "app1/apps pm2.verify");
        assert_run(&lab, RUN_DONE);
        text = report();
        expect(text, "- after 0 ms: db1/bds unit.stop: said so\n");
        expect(text, "- on db1: journalctl -u 'redis-stack-server@bds00.service': bds was killed as it was "
                     "stopped (timeout), so "
                     "give its unit a longer TimeoutStopSec; look whether its data is whole\n");
        expect(text, "- 10 off: 1 service was killed as it was stopped\n");
        free(text);
}

/* What is found down was killed by the stop of an earlier attempt, if there was one that nobody saw end; else
 * long before. */
static void test_killed_before_its_stop(void **state)
{
        char *text;

        lab_done(&lab, "app1/apps pm2.save");
        lab_done(&lab, "db1/bds redis.rewrite");
        take_down_to("app1/router unit.stop", NULL);
        done_with("app1/router unit.stop", OPERATION_DONE,
                  (const char *const[]){"killed-before", "oom-kill", NULL});
        lab_done(&lab, "db2/bull00 unit.stop");
        lab_down(&lab, DB2);
        lab_new_boot(&lab, DB2); /* what was stopped is up again, until it is killed */
        lab_up(&lab, DB2);
        assert_step(&lab, "db2/bull00 unit.stop", STEP_RUNNING);
        done_with("db2/bull00 unit.stop", OPERATION_DONE,
                  (const char *const[]){"killed-before", "oom-kill", NULL});
        lab_done(&lab, "db1/bds-copy unit.stop");
        lab_report(&lab, "db1/geo unit.stop", OPERATION_INTERRUPTED, "");
        lab_wait(&lab, 5 * USEC_PER_SEC);
        done_with("db1/geo unit.stop", OPERATION_DONE,
                  (const char *const[]){"killed-before", "timeout", NULL});
        text = report();
        expect(text, "geo was killed as it was stopped (timeout), so give its unit a longer TimeoutStopSec");
        expect(text, "- 10 off: 1 service was killed as it was stopped\n");
        assert_null(strstr(text, "router was killed"));
        assert_null(strstr(text, "bull00 was killed"));
        free(text);
}

/* Left half way: what is down, and the commands that bring it up; what was only called off is another matter.
 */
static void test_left(void **state)
{
        char *text;

        lab_done(&lab, "db1/bds redis.rewrite");
        lab_done(&lab, "app1/apps pm2.save");
        lab_done(&lab, "db2/bull00 redis.rewrite");
        lab_done(&lab, "db1/geo tile38.shrink");
        assert_int_equal(lab_steer(&lab, STEER_LEAVE, NULL, "later"), 0);
        lab_done(&lab, "db2/bull01 redis.rewrite");
        lab_done(&lab, "db1/bds-copy unit.stop");
        assert_run(&lab, RUN_ABORTED);
        text = report();
        expect(text,
               "- left down, or not seen to be up: bds-copy\n- to bring them up: muster restart bds-copy\n");
        assert_null(strstr(text, "- db1/bds-copy ready was cancelled"));
        expect(text,
               "- db1/bds ready was cancelled: whether it still has to be done is for a person to say\n");
        free(text);
}

/* Killed in the middle: the report says what is known so far. */
static void test_unfinished(void **state)
{
        char *text;

        lab_done(&lab, "db1/bds redis.rewrite");
        lab_done(&lab, "app1/apps pm2.save");
        take_down_rest(NULL);
        lab_reboot(&lab, DB1);
        text = report();
        expect(text, "# Reboot of fleet staging: running\n");
        expect(text, "| So far, until | ");
        expect(text, "- the run is not over: ");
        expect(text, "| db1 | 00000000000000000000000000001000 | 000000000000000000000000000b0071 | yes |");
        expect(text, "| db2 | 00000000000000000000000000001001 | - | **no** |");
        expect(text, "| load | 0 of ");
        expect(text, "| app1/apps pm2.restore | waiting | - | - | ");
        free(text);
}

static void test_json(void **state)
{
        json_t *object, *step;
        char *text = NULL;

        live_well();
        keep();
        assert_int_equal(report_json(db, "r1", &text, NULL), 0);
        object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "state")), "done");
        assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "score"), "points")),
                         100);
        assert_int_equal(json_integer_value(json_object_get(object, "apps_as_saved")), 133);
        assert_int_equal(json_array_size(json_object_get(object, "deviations")), 0);
        assert_int_equal(json_array_size(json_object_get(object, "steps")), run_plan(lab.run)->step_count);
        step = json_array_get(json_object_get(object, "steps"),
                              (size_t)step_named(run_plan(lab.run), "db1/bds redis.rewrite"));
        assert_int_equal(json_integer_value(json_object_get(step, "took_us")), 40 * USEC_PER_SEC);
        assert_int_equal(json_array_size(json_object_get(step, "figures")), 4);
        json_decref(object);
        free(text);
}

static void test_refusals(void **state)
{
        struct error error = {""};
        char *text = NULL;

        assert_int_equal(report_markdown(db, "", &text, &error), -ENOENT);
        assert_non_null(strstr(error.text, "there has been no run yet"));
        keep();
        assert_int_equal(report_markdown(db, "r2", &text, &error), -ENOENT);
        assert_non_null(strstr(error.text, "there is no run 'r2'"));
        /* a journal that no run could have written */
        assert_int_equal(store_journal_append(db, "r1", lab.events + 1, 1, "{\"kind\":\"started\"}"), 0);
        assert_int_equal(report_markdown(db, "r1", &text, &error), -EPROTO);
        assert_non_null(strstr(error.text, "r1"));
        assert_int_equal(report_json(db, "r1", &text, NULL), -EPROTO);
        assert_null(text);
}

/* Whatever agents say stays text: no markup, no second line, no broken table. */
static void test_hostile_text(void **state)
{
        static const char *const evil[] = {"size-before", "<script>|`x`", "size-after", "[a](http://b)",
                                           NULL};
        char *text;

        done_with("db1/bds redis.rewrite", OPERATION_DONE, evil);
        lab_report(&lab, "db1/geo tile38.shrink", OPERATION_DONE, "one\ntwo | # three");
        text = report();
        expect(text, "| size | \\<script>\\|\\`x\\` | \\[a](http://b) |");
        expect(text, "done: db1/geo tile38.shrink: one two \\| # three |\n");
        free(text);
}

/* Each element that is opened is closed in its order: what a reader could not show is not written. */
static void assert_nested(const char *text)
{
        const char *open[16];
        size_t depth = 0;

        for (const char *tag = strchr(text, '<'); tag; tag = strchr(tag + 1, '<')) {
                size_t length = strcspn(tag + 1, " >");

                if (strncmp(tag, "<meta ", 6) == 0 || tag[1] == '!')
                        continue;
                if (tag[1] == '/') {
                        assert_true(depth > 0);
                        depth--;
                        if (strncmp(tag + 2, open[depth], length - 1) != 0)
                                fail_msg("closes what is not open: %.40s", tag);
                        continue;
                }
                assert_true(depth < ELEMENTS(open));
                open[depth++] = tag + 1;
        }
        assert_int_equal(depth, 0);
}

static void test_html(void **state)
{
        static const char *const evil[] = {"size-before", "<script>alert('x')&", "size-after", "\"b\"", NULL};
        char *text = NULL;

        done_with("db1/bds redis.rewrite", OPERATION_DONE, evil);
        lab_report(&lab, "db1/geo tile38.shrink", OPERATION_DONE, "one\n</td><img src=x>");
        keep();
        assert_int_equal(report_html(db, "r1", &text, NULL), 0);
        assert_true(strncmp(text, "<!doctype html>\n", 16) == 0);
        expect(text, "<title>Reboot of fleet staging: running</title>");
        expect(text, "<h1>Reboot of fleet staging: running</h1>");
        expect(text, "<td>Scope</td><td>@data|x</td>");
        expect(text, "<th>phase</th><th>steps</th>");
        expect(text, "<td>&lt;script&gt;alert(&#39;x&#39;)&amp;</td><td>&quot;b&quot;</td>");
        expect(text, "one &lt;/td&gt;&lt;img src=x&gt;</td></tr>");
        expect(text, "<td><b>no</b></td>");
        assert_nested(text);
        free(text);
}

/* It is what was asked for, and more: both are said. */
static void test_soft_reboot_that_was_full(void **state)
{
        char *text;

        lab_end(&lab);
        memset(&lab, 0, sizeof(lab));
        incident_init(&lab.in);
        incident_soft(&lab.in);
        lab_start_plan(&lab, PLAN_REBOOT);
        lab_take_down(&lab);
        lab_down(&lab, DB1);
        lab_new_boot(&lab, DB1);
        lab_up(&lab, DB1);
        lab_down(&lab, DB2);
        lab_new_soft_boot(&lab, DB2);
        lab_up(&lab, DB2);
        text = report();
        expect(text, "| db1 (soft) |");
        expect(text, "- db1 host.reboot (soft): it was a full reboot");
        assert_null(strstr(text, "- db2 host.reboot (soft): it was"));
        free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_good_run),
                TEST(test_bad_run),
                TEST(test_unfinished),
                TEST(test_json),
                TEST(test_html),
                TEST(test_refusals),
                TEST(test_hostile_text),
                TEST(test_changed_roles),
                TEST(test_soft_reboot_that_was_full),
                TEST(test_killed_stop),
                TEST(test_killed_before_its_stop),
                TEST(test_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
