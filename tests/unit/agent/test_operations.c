/* Operations under way: accepted once, told once, recorded before told.
 *
 * The operation here is a stand-in, because a real one cannot be made to end at a chosen moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/op/op.h"
#include "agent/operations.h"
#include "common/base/time.h"

#define BOOT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* --- the stand-in: starts as told, ends when told --- */
static struct {
        int start_result;
        bool end_in_start;
        struct op *op;
        unsigned starts, cancels;
} stand_in;

static int stand_in_start(struct op *op, struct error *error)
{
        stand_in.starts++;
        stand_in.op = op;
        if (stand_in.start_result < 0)
                return error_set(error, stand_in.start_result, "the stand-in will not start");
        if (stand_in.end_in_start)
                op_finish(op, 0, "at once");
        return 0;
}

static void stand_in_cancel(struct op *op)
{
        stand_in.cancels++;
        stand_in.op = NULL;
}

const struct op_type *op_type_find(enum operation_kind kind)
{
        static const struct op_type types[] = {
                {OPERATION_PM2_STOP, stand_in_start, stand_in_cancel},
                {OPERATION_HOST_REBOOT, stand_in_start, stand_in_cancel},
                {OPERATION_REDIS_REWRITE, stand_in_start, stand_in_cancel},
        };

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                if (types[i].kind == kind)
                        return &types[i];
        return NULL;
}

struct fixture {
        char folder[64];
        struct boot boot;
        sd_event *event;
        ledger *ledger;
        operations *operations;
};

/* What the caller of one operation was told. */
struct told {
        unsigned progress, reports;
        struct operation_report report;
};

static void on_progress(uint64_t done, uint64_t total, const char *text, void *userdata)
{
        ((struct told *)userdata)->progress++;
}

static void on_report(const struct operation_report *report, void *userdata)
{
        struct told *told = userdata;

        told->reports++;
        told->report = *report;
}

static void open_boot(struct fixture *f, const char *boot)
{
        strcpy(f->boot.id, boot);
        assert_int_equal(ledger_open(&f->ledger, f->folder, boot, NULL), 0);
        assert_int_equal(operations_new(&f->operations, f->event, NULL, f->folder, f->ledger, &f->boot), 0);
}

static void open_all(struct fixture *f)
{
        open_boot(f, BOOT);
}

static void close_all(struct fixture *f)
{
        f->operations = operations_free(f->operations);
        f->ledger = ledger_close(f->ledger);
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        memset(&stand_in, 0, sizeof(stand_in));
        strcpy(f->folder, "/tmp/muster-operations-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        assert_true(sd_event_new(&f->event) >= 0);
        open_all(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        char path[128];

        close_all(f);
        sd_event_unref(f->event);
        snprintf(path, sizeof(path), "%s/ledger", f->folder);
        unlink(path);
        snprintf(path, sizeof(path), "%s/lock", f->folder);
        unlink(path);
        rmdir(f->folder);
        free(f);
        return 0;
}

static struct operation_request request(unsigned number, const char *service)
{
        struct operation_request made = {.kind = service ? OPERATION_PM2_STOP : OPERATION_HOST_REBOOT};

        snprintf(made.id, sizeof(made.id), "%032x", number);
        if (service) {
                made.service.kind = SERVICE_PM2;
                snprintf(made.service.name, sizeof(made.service.name), "%s", service);
                strcpy(made.service.user, "nobody");
                strcpy(made.service.home, "/tmp/none");
        }
        return made;
}

static int submit(struct fixture *f, const struct operation_request *wanted, struct told *told,
                  const struct operation_report **report)
{
        const struct operation_report *ignored;
        struct operations_watcher watcher = {on_progress, on_report, told};

        return operations_submit(f->operations, wanted, &watcher, report ? report : &ignored, NULL);
}

/* Turns of the loop until the condition holds, five seconds at most. */
#define RUN_UNTIL(f, condition)                                                                              \
        do {                                                                                                 \
                uint64_t until_ = time_monotonic_us() + 5 * USEC_PER_SEC;                                    \
                while (!(condition) && time_monotonic_us() < until_)                                         \
                        assert_true(sd_event_run((f)->event, 100000) >= 0);                                  \
                assert_true(condition);                                                                      \
        } while (0)

static void test_done(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        const struct operation_report *known = NULL;
        struct told told = {0}, again = {0};

        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        assert_int_equal(ledger_find(f->ledger, wanted.id)->state, OPERATION_ACCEPTED);
        op_progress(stand_in.op, 1, 2, "half");
        op_figure(stand_in.op, "apps", "%d", 7);
        assert_int_equal(told.progress, 1);
        assert_int_equal(told.reports, 0);
        op_finish(stand_in.op, 0, "stopped");
        assert_int_equal(told.reports, 1);
        assert_int_equal(told.report.state, OPERATION_DONE);
        assert_string_equal(told.report.figures[0].value, "7");
        assert_int_equal(operations_running(f->operations), 0);
        RUN_UNTIL(f, sd_event_run(f->event, 0) == 0);
        /* The same id again is answered from the ledger, and nothing runs twice. */
        assert_int_equal(submit(f, &wanted, &again, &known), 1);
        assert_int_equal(known->state, OPERATION_DONE);
        assert_int_equal(stand_in.starts, 1);
        assert_int_equal(again.reports, 0);
}

static void test_attach(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        struct told first = {0}, second = {0}, gone = {0};

        assert_int_equal(submit(f, &wanted, &first, NULL), 0);
        assert_int_equal(submit(f, &wanted, &gone, NULL), 0);
        assert_int_equal(submit(f, &wanted, &second, NULL), 0);
        operations_unwatch(f->operations, &gone);
        op_finish(stand_in.op, -EIO, "no");
        assert_int_equal(stand_in.starts, 1);
        assert_int_equal(first.reports, 1);
        assert_int_equal(second.reports, 1);
        assert_int_equal(gone.reports, 0);
        assert_int_equal(second.report.state, OPERATION_FAILED);
}

static void test_ends_in_start(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        struct told told = {0};

        stand_in.end_in_start = true;
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        assert_int_equal(told.reports, 1);
        assert_string_equal(told.report.text, "at once");
}

static void test_start_fails(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        struct told told = {0};

        stand_in.start_result = -ENOENT;
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        assert_int_equal(told.reports, 1);
        assert_int_equal(told.report.state, OPERATION_FAILED);
        assert_string_equal(told.report.text, "the stand-in will not start");
}

static void test_deadline(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        struct told told = {0};

        wanted.deadline_us = 20 * USEC_PER_MSEC;
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        RUN_UNTIL(f, told.reports == 1);
        assert_int_equal(stand_in.cancels, 1);
        assert_int_equal(told.report.state, OPERATION_FAILED);
        assert_non_null(strstr(told.report.text, "20 ms"));
}

/* What gets on has its time anew: it outlasts one that was given more and stands still. */
static void test_progress_and_deadline(void **state)
{
        static const unsigned limits[] = {1000, 600, 1300}; /* ms, far apart: a slow machine wakes late */
        static const char *const names[] = {"moves", "clock", "stands"};
        struct fixture *f = *state;
        struct told told[3] = {0};
        struct op *moves = NULL;

        for (unsigned i = 0; i < 3; i++) {
                struct operation_request wanted = request(1 + i, names[i]);

                wanted.deadline_us = limits[i] * USEC_PER_MSEC;
                assert_int_equal(submit(f, &wanted, &told[i], NULL), 0);
                if (i == 0)
                        moves = stand_in.op;
        }
        RUN_UNTIL(f, told[1].reports == 1);
        op_progress(moves, 5, 10, "half");
        op_progress(moves, 5, 10, "half still");
        RUN_UNTIL(f, told[2].reports == 1);
        assert_int_equal(told[0].reports, 0);
        RUN_UNTIL(f, told[0].reports == 1);
        assert_string_equal(told[0].report.text, "not done, and no progress within 1.0 s");
}

/* Work in parts, each counted anew: a part that is no further than the one before was has begun all the same.
 */
static void test_progress_of_parts_and_deadline(void **state)
{
        static const struct {
                uint64_t done, total;
        } parts[] = {{10, 10}, {0, 5}, {1, 5}, {0, 5}};
        struct fixture *f = *state;
        struct operation_request wanted = request(100, "moves");
        struct told told = {0};
        struct op *moves;

        wanted.deadline_us = 300 * USEC_PER_MSEC;
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        moves = stand_in.op;
        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                struct operation_request clock = request(1 + i, "clock");
                struct told tick = {0};

                clock.deadline_us = 200 * USEC_PER_MSEC;
                assert_int_equal(submit(f, &clock, &tick, NULL), 0);
                RUN_UNTIL(f, tick.reports == 1);
                assert_int_equal(told.reports, 0);
                op_progress(moves, parts[i].done, parts[i].total, "part %u", i);
        }
        RUN_UNTIL(f, told.reports == 1);
        assert_string_equal(told.report.text, "not done, and no progress within 300 ms");
}

static void test_refusals(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps"), same = request(2, "apps");
        struct operation_request reboot = request(3, NULL), other = request(4, "more"),
                                 rewrite = request(5, "apps");
        struct told told = {0};

        strcpy(wanted.boot_id, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        assert_int_equal(submit(f, &wanted, &told, NULL), -ESTALE);
        assert_null(ledger_find(f->ledger, wanted.id));
        strcpy(wanted.boot_id, BOOT);
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        assert_int_equal(submit(f, &same, &told, NULL), -EBUSY);
        rewrite.kind = OPERATION_REDIS_REWRITE;
        assert_int_equal(submit(f, &rewrite, &told, NULL), -EINVAL);
        assert_int_equal(submit(f, &reboot, &told, NULL), 0);
        /* Nothing is begun while the host is about to go down. */
        assert_int_equal(submit(f, &other, &told, NULL), -EBUSY);
        assert_int_equal(stand_in.starts, 2);
}

static void test_interrupted(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        const struct operation_report *known = NULL;
        struct told told = {0};

        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        close_all(f);
        assert_int_equal(stand_in.cancels, 1);
        assert_int_equal(told.reports, 0);
        open_all(f);
        assert_int_equal(submit(f, &wanted, &told, &known), 1);
        assert_int_equal(known->state, OPERATION_INTERRUPTED);
        assert_int_equal(stand_in.starts, 1);
}

static struct operation_request rewrite_request(unsigned number)
{
        struct operation_request made = {.kind = OPERATION_REDIS_REWRITE,
                                         .service = {.kind = SERVICE_REDIS, .port = 6379}};

        snprintf(made.id, sizeof(made.id), "%032x", number);
        strcpy(made.service.name, "cache");
        strcpy(made.service.unit, "cache.service");
        strcpy(made.service.address, "127.0.0.1");
        return made;
}

/* One that writes a data set anew at a time, whoever asks; others go on beside it. */
static void test_one_compaction(void **state)
{
        struct fixture *f = *state;
        struct operation_request first = rewrite_request(1), other = rewrite_request(2);
        struct operation_request stop = request(3, "apps");
        struct told told = {0};
        struct op *rewrite;

        strcpy(other.service.name, "bulk");
        assert_int_equal(submit(f, &first, &told, NULL), 0);
        rewrite = stand_in.op;
        assert_int_equal(submit(f, &other, &told, NULL), -EBUSY);
        assert_null(ledger_find(f->ledger, other.id));
        assert_int_equal(submit(f, &stop, &told, NULL), 0);
        op_finish(rewrite, 0, "done");
        RUN_UNTIL(f, sd_event_run(f->event, 0) == 0);
        assert_int_equal(submit(f, &other, &told, NULL), 0);
        assert_int_equal(stand_in.starts, 3);
}

/* Begun, noted, and its agent gone. */
static struct operation_request rewrite_interrupted(struct fixture *f)
{
        struct operation_request wanted = rewrite_request(1);
        struct told told = {0};

        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        assert_int_equal(stand_in.op->noted_count, 0);
        op_note(stand_in.op, "rewrites", "%d", 5);
        assert_int_equal(op_commit_notes(stand_in.op, NULL), 0);
        assert_int_equal(ledger_find(f->ledger, wanted.id)->state, OPERATION_ACCEPTED);
        close_all(f);
        assert_int_equal(told.reports, 0);
        return wanted;
}

/* What it noted is there for the operation that is to look; until it has, nobody else works on the service.
 */
static void test_taken_up(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = rewrite_interrupted(f), other = rewrite_request(2);
        const struct operation_report *known = NULL;
        struct told told = {0}, again = {0};

        open_all(f);
        assert_int_equal(ledger_find(f->ledger, wanted.id)->state, OPERATION_INTERRUPTED);
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        assert_int_equal(stand_in.starts, 2);
        assert_int_equal(op_noted_number(stand_in.op, "rewrites"), 5);
        assert_null(op_noted(stand_in.op, "base"));
        assert_int_equal(submit(f, &wanted, &again, NULL), 0);
        assert_int_equal(submit(f, &other, &again, NULL), -EBUSY);
        op_finish(stand_in.op, 0, "it was done");
        assert_int_equal(told.report.state, OPERATION_DONE);
        assert_int_equal(told.report.figure_count, 0);
        assert_int_equal(again.reports, 1);
        RUN_UNTIL(f, sd_event_run(f->event, 0) == 0);
        assert_int_equal(submit(f, &wanted, &told, &known), 1);
        assert_int_equal(known->state, OPERATION_DONE);
        assert_int_equal(stand_in.starts, 2);
}

/* It was not done: said once, and not looked for again. */
static void test_taken_up_unsettled(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = rewrite_interrupted(f);
        const struct operation_report *known = NULL;
        struct told told = {0};

        open_all(f);
        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        op_finish(stand_in.op, OP_UNSETTLED, "its count is the same");
        assert_int_equal(told.report.state, OPERATION_INTERRUPTED);
        assert_string_equal(told.report.text, "its count is the same");
        for (int life = 0; life < 2; life++) {
                RUN_UNTIL(f, sd_event_run(f->event, 0) == 0);
                assert_int_equal(submit(f, &wanted, &told, &known), 1);
                assert_int_equal(known->state, OPERATION_INTERRUPTED);
                close_all(f);
                open_all(f);
        }
        assert_int_equal(stand_in.starts, 2);
}

/* Nothing can be looked for that noted nothing, or that another boot has ended. */
static void test_not_taken_up(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = rewrite_interrupted(f), unnoted = rewrite_request(2);
        const struct operation_report *known = NULL;
        struct told told = {0};

        open_boot(f, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        assert_int_equal(submit(f, &wanted, &told, &known), 1);
        assert_int_equal(known->state, OPERATION_INTERRUPTED);
        assert_int_equal(submit(f, &unnoted, &told, NULL), 0);
        close_all(f);
        open_boot(f, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        assert_int_equal(submit(f, &unnoted, &told, &known), 1);
        assert_int_equal(known->state, OPERATION_INTERRUPTED);
        assert_int_equal(stand_in.starts, 2);
}

/* The result waits for the disk; nobody is told what a crash could still take back. */
static void test_result_waits(void **state)
{
        struct fixture *f = *state;
        struct operation_request wanted = request(1, "apps");
        struct rlimit limit, tight;
        struct told told = {0};

        assert_int_equal(submit(f, &wanted, &told, NULL), 0);
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        tight = limit;
        tight.rlim_cur = 100;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        op_finish(stand_in.op, 0, "stopped");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(told.reports, 0);
        assert_int_equal(ledger_find(f->ledger, wanted.id)->state, OPERATION_ACCEPTED);
        RUN_UNTIL(f, told.reports == 1);
        assert_int_equal(ledger_find(f->ledger, wanted.id)->state, OPERATION_DONE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_done, setup, teardown),
                cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ends_in_start, setup, teardown),
                cmocka_unit_test_setup_teardown(test_start_fails, setup, teardown),
                cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_progress_and_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_progress_of_parts_and_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
                cmocka_unit_test_setup_teardown(test_interrupted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_one_compaction, setup, teardown),
                cmocka_unit_test_setup_teardown(test_taken_up, setup, teardown),
                cmocka_unit_test_setup_teardown(test_taken_up_unsettled, setup, teardown),
                cmocka_unit_test_setup_teardown(test_not_taken_up, setup, teardown),
                cmocka_unit_test_setup_teardown(test_result_waits, setup, teardown),
        };

        return cmocka_run_group_tests_name("operations", tests, NULL, NULL);
}
