/* The ledger: what was recorded is there after a crash, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/ledger.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define BOOT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOOT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct fixture {
        char folder[64];
        char path[PATH_MAX];
        ledger *ledger;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        strcpy(f->folder, "/tmp/muster-ledger-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof(f->path), "%s/ledger", f->folder);
        assert_int_equal(ledger_open(&f->ledger, f->folder, BOOT_A, NULL), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        ledger_close(f->ledger);
        unlink(f->path);
        snprintf(f->path, sizeof(f->path), "%s/lock", f->folder);
        unlink(f->path);
        rmdir(f->folder);
        free(f);
        return 0;
}

static void reopen(struct fixture *f, const char *boot_id)
{
        f->ledger = ledger_close(f->ledger);
        assert_int_equal(ledger_open(&f->ledger, f->folder, boot_id, NULL), 0);
}

static struct operation_report report(unsigned number, enum operation_kind kind, enum operation_state state)
{
        struct operation_report made = {.kind = kind, .state = state, .accepted_us = 7, .finished_us = 9};

        snprintf(made.id, sizeof(made.id), "%032x", number);
        strcpy(made.boot_id, BOOT_A);
        strcpy(made.text, "a \"text\" of\\all sorts \xc3\xa9");
        strcpy(made.figures[0].name, "size-before");
        strcpy(made.figures[0].value, "12");
        made.figure_count = 1;
        return made;
}

static const struct operation_report *entry(struct fixture *f, unsigned number)
{
        struct operation_report wanted = report(number, OPERATION_PM2_SAVE, OPERATION_DONE);

        return ledger_find(f->ledger, wanted.id);
}

static void record(struct fixture *f, unsigned number, enum operation_kind kind, enum operation_state state)
{
        struct operation_report made = report(number, kind, state);

        assert_int_equal(ledger_record(f->ledger, &made, NULL), 0);
}

static void test_survives(void **state)
{
        struct fixture *f = *state;

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        record(f, 2, OPERATION_UNIT_STOP, OPERATION_FAILED);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 2);
        assert_int_equal(entry(f, 1)->state, OPERATION_DONE);
        assert_string_equal(entry(f, 1)->text, "a \"text\" of\\all sorts \xc3\xa9");
        assert_string_equal(entry(f, 1)->figures[0].value, "12");
        assert_int_equal(entry(f, 1)->finished_us, 9);
        assert_int_equal(entry(f, 2)->state, OPERATION_FAILED);
        assert_null(entry(f, 3));
        assert_int_equal(ledger_damaged(f->ledger), 0);
}

static void test_accepted_twice(void **state)
{
        struct fixture *f = *state;
        struct operation_report again = report(1, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        assert_int_equal(ledger_record(f->ledger, &again, NULL), -EEXIST);
        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        assert_int_equal(ledger_record(f->ledger, &again, NULL), -EEXIST);
        assert_int_equal(entry(f, 1)->state, OPERATION_DONE);
}

static void test_interrupted(void **state)
{
        struct fixture *f = *state;

        record(f, 1, OPERATION_REDIS_REWRITE, OPERATION_ACCEPTED);
        record(f, 2, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);
        /* The agent alone died: the boot is the same, the reboot did not happen. */
        reopen(f, BOOT_A);
        assert_int_equal(entry(f, 1)->state, OPERATION_INTERRUPTED);
        assert_int_equal(entry(f, 2)->state, OPERATION_INTERRUPTED);
}

/* What was seen before the work is there after a crash, and only for what is under way. */
static void test_noted(void **state)
{
        struct fixture *f = *state;
        struct operation_report noted = report(1, OPERATION_REDIS_REWRITE, OPERATION_ACCEPTED);

        assert_int_equal(ledger_note(f->ledger, &noted, NULL), -EINVAL);
        noted.figure_count = 0;
        assert_int_equal(ledger_record(f->ledger, &noted, NULL), 0);
        noted.figure_count = 1;
        assert_int_equal(ledger_note(f->ledger, &noted, NULL), 0);
        assert_int_equal(entry(f, 1)->state, OPERATION_ACCEPTED);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 1);
        assert_int_equal(entry(f, 1)->state, OPERATION_INTERRUPTED);
        assert_string_equal(entry(f, 1)->figures[0].value, "12");
        reopen(f, BOOT_B);
        assert_int_equal(entry(f, 1)->figure_count, 1);
        record(f, 1, OPERATION_REDIS_REWRITE, OPERATION_DONE);
        assert_int_equal(ledger_note(f->ledger, &noted, NULL), -EINVAL);
        assert_int_equal(entry(f, 1)->state, OPERATION_DONE);
}

static void test_reboot_settled(void **state)
{
        struct fixture *f = *state;

        record(f, 1, OPERATION_REDIS_REWRITE, OPERATION_ACCEPTED);
        record(f, 2, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);
        reopen(f, BOOT_B);
        assert_int_equal(entry(f, 1)->state, OPERATION_INTERRUPTED);
        assert_int_equal(entry(f, 2)->state, OPERATION_DONE);
        assert_non_null(strstr(entry(f, 2)->text, BOOT_B));
        /* Settled is settled: it is on disk, not judged anew. */
        reopen(f, BOOT_A);
        assert_int_equal(entry(f, 2)->state, OPERATION_DONE);
}

/* What a soft reboot leads to is none for a full one; a full one is more than a soft one. */
static void test_soft_reboots_settled(void **state)
{
        struct fixture *f = *state;
        struct operation_report soft = report(2, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);

        record(f, 1, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);
        record(f, 2, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);
        soft.figure_count = 1;
        soft.figures[0] = (struct figure){FIGURE_SOFT, "yes"};
        assert_int_equal(ledger_note(f->ledger, &soft, NULL), 0);
        reopen(f, BOOT_A "+7000");
        assert_int_equal(entry(f, 1)->state, OPERATION_INTERRUPTED);
        assert_int_equal(entry(f, 2)->state, OPERATION_DONE);
        soft = report(3, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);
        TEXT_COPY(soft.boot_id, BOOT_A "+7000");
        soft.figure_count = 0;
        assert_int_equal(ledger_record(f->ledger, &soft, NULL), 0);
        reopen(f, BOOT_B);
        assert_int_equal(entry(f, 3)->state, OPERATION_DONE);
        assert_string_equal(entry(f, 3)->boot_id, BOOT_A "+7000");
}

/* Appends bytes behind the ledger's back, as a crash while writing would leave them. */
static void append(struct fixture *f, const char *bytes)
{
        int fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
        close(fd);
}

static void test_torn_tail(void **state)
{
        struct fixture *f = *state;

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        append(f, "0123456789abcdef {\"id\":\"0000");
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 1);
        assert_int_equal(ledger_damaged(f->ledger), 0);
        /* And what is recorded next is not glued to it. */
        record(f, 2, OPERATION_PM2_SAVE, OPERATION_DONE);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 2);
}

static void test_damage(void **state)
{
        struct fixture *f = *state;
        char *data;
        size_t size;

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        record(f, 2, OPERATION_PM2_SAVE, OPERATION_DONE);
        assert_int_equal(file_read(f->path, 1 << 20, &data, &size, NULL), 0);
        data[40] ^= 1;
        assert_int_equal(file_write_atomic(f->path, data, size, 0600, NULL), 0);
        free(data);
        append(f, "no checksum at all\n\n");
        for (int life = 0; life < 2; life++) {
                size_t damaged = 0;

                reopen(f, BOOT_A);
                assert_null(entry(f, 1));
                assert_non_null(entry(f, 2));
                assert_int_equal(ledger_damaged(f->ledger), 3);
                assert_false(ledger_is_damage(entry(f, 2)));
                for (size_t i = 0; i < ledger_count(f->ledger); i++)
                        damaged += ledger_is_damage(ledger_entry(f->ledger, i));
                assert_int_equal(damaged, 3);
        }
}

static const struct operation_report *account(struct fixture *f, unsigned number)
{
        struct operation_report wanted = report(number, OPERATION_PM2_SAVE, OPERATION_DONE);
        const struct operation_report *found;

        assert_int_equal(ledger_account(f->ledger, wanted.id, &found, NULL), 0);
        return found;
}

/* What may have been on a damaged line is in doubt, and stays so; what is asked for anew is taken. */
static void test_damage_is_doubt(void **state)
{
        struct fixture *f = *state;
        struct operation_report again = report(2, OPERATION_HOST_REBOOT, OPERATION_ACCEPTED);
        const struct operation_report *found;

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        assert_null(account(f, 2));
        append(f, "no checksum at all\n");
        reopen(f, BOOT_A);
        assert_int_equal(account(f, 1)->state, OPERATION_DONE);
        assert_non_null(account(f, 2));
        assert_int_equal(account(f, 2)->state, OPERATION_INTERRUPTED);
        assert_non_null(strstr(account(f, 2)->text, "damaged"));
        assert_int_equal(ledger_account(f->ledger, "no id", &found, NULL), 0);
        assert_null(found);
        reopen(f, BOOT_A);
        assert_int_equal(entry(f, 2)->state, OPERATION_INTERRUPTED);
        assert_int_equal(ledger_record(f->ledger, &again, NULL), -EEXIST);
        record(f, 3, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        assert_int_equal(ledger_damaged(f->ledger), 1);
        /* Older than what is kept. */
        for (unsigned number = 4; number < 1010; number++)
                record(f, number, OPERATION_PM2_SAVE, OPERATION_DONE);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_damaged(f->ledger), 0);
        assert_null(account(f, 2));
}

static void test_doubt_needs_room(void **state)
{
        struct fixture *f = *state;
        const struct operation_report *found;
        struct rlimit limit, tight;
        struct operation_report wanted = report(2, OPERATION_PM2_SAVE, OPERATION_DONE);

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        append(f, "no checksum at all\n");
        reopen(f, BOOT_A);
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        tight = limit;
        tight.rlim_cur = 1;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        assert_true(ledger_account(f->ledger, wanted.id, &found, NULL) < 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(account(f, 2)->state, OPERATION_INTERRUPTED);
}

static void test_full_disk(void **state)
{
        struct fixture *f = *state;
        struct operation_report wanted = report(2, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        struct rlimit limit, tight;
        struct error error = {0};

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        /* A file size limit makes write fail half way, as a full disk does. */
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        tight = limit;
        tight.rlim_cur = 400;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        assert_true(ledger_record(f->ledger, &wanted, &error) < 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_non_null(strstr(error.text, "ledger"));
        assert_null(entry(f, 2));
        assert_int_equal(ledger_record(f->ledger, &wanted, NULL), 0);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 2);
        assert_int_equal(ledger_damaged(f->ledger), 0);
}

/* A disk that was full when the agent died is full when it comes back: it has to come back. */
static void test_full_disk_at_opening(void **state)
{
        struct fixture *f = *state;
        struct operation_report wanted = report(3, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        struct rlimit limit, tight;

        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        record(f, 2, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        append(f, "torn");
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        tight = limit;
        tight.rlim_cur = 1;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        reopen(f, BOOT_A);
        assert_int_equal(entry(f, 1)->state, OPERATION_DONE);
        assert_int_equal(entry(f, 2)->state, OPERATION_INTERRUPTED);
        assert_true(ledger_record(f->ledger, &wanted, NULL) < 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        record(f, 3, OPERATION_PM2_SAVE, OPERATION_ACCEPTED);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 3);
        assert_int_equal(ledger_damaged(f->ledger), 0);
}

static void test_one_agent(void **state)
{
        struct fixture *f = *state;
        ledger *second = NULL;
        struct error error = {0};

        assert_int_equal(ledger_open(&second, f->folder, BOOT_A, &error), -EBUSY);
        assert_non_null(strstr(error.text, "another muster-agent"));
        record(f, 1, OPERATION_PM2_SAVE, OPERATION_DONE);
        reopen(f, BOOT_A);
        assert_non_null(entry(f, 1));
}

/* What a server said may be no UTF-8, or be cut in the middle of a character: the record is made all the
 * same. */
static void test_odd_text(void **state)
{
        struct fixture *f = *state;
        struct operation_report odd = report(1, OPERATION_PM2_SAVE, OPERATION_FAILED);

        strcpy(odd.text, "caf\xc3");
        strcpy(odd.figures[0].value, "\xff\xfe");
        assert_int_equal(ledger_record(f->ledger, &odd, NULL), 0);
        reopen(f, BOOT_A);
        assert_string_equal(entry(f, 1)->text, "caf?");
        assert_string_equal(entry(f, 1)->figures[0].value, "??");
}

/* Records without end do not make a file without end. */
static void test_growth(void **state)
{
        struct fixture *f = *state;
        struct operation_report long_one = report(1, OPERATION_PM2_SAVE, OPERATION_DONE);
        char *data;
        size_t size;

        memset(long_one.text, 'x', sizeof(long_one.text) - 1);
        for (size_t i = 0; i < FIGURE_MAX; i++) {
                strcpy(long_one.figures[i].name, "figure");
                memset(long_one.figures[i].value, 'y', TEXT_SIZE - 1);
        }
        long_one.figure_count = FIGURE_MAX;
        for (unsigned i = 0; i < 2000; i++) {
                snprintf(long_one.id, sizeof(long_one.id), "%032x", i % 50);
                assert_int_equal(ledger_record(f->ledger, &long_one, NULL), 0);
        }
        assert_int_equal(file_read(f->path, 17 << 20, &data, &size, NULL), 0);
        free(data);
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 50);
        assert_int_equal(ledger_damaged(f->ledger), 0);
}

static void test_kept(void **state)
{
        struct fixture *f = *state;

        for (unsigned i = 1; i <= 1100; i++) {
                struct operation_report made = report(i, OPERATION_PM2_SAVE, OPERATION_DONE);

                assert_int_equal(ledger_record(f->ledger, &made, NULL), 0);
        }
        reopen(f, BOOT_A);
        assert_int_equal(ledger_count(f->ledger), 1000);
        assert_null(entry(f, 100));
        assert_non_null(entry(f, 101));
        assert_non_null(entry(f, 1100));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_survives, setup, teardown),
                cmocka_unit_test_setup_teardown(test_accepted_twice, setup, teardown),
                cmocka_unit_test_setup_teardown(test_interrupted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_noted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reboot_settled, setup, teardown),
                cmocka_unit_test_setup_teardown(test_soft_reboots_settled, setup, teardown),
                cmocka_unit_test_setup_teardown(test_torn_tail, setup, teardown),
                cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
                cmocka_unit_test_setup_teardown(test_damage_is_doubt, setup, teardown),
                cmocka_unit_test_setup_teardown(test_doubt_needs_room, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_disk_at_opening, setup, teardown),
                cmocka_unit_test_setup_teardown(test_one_agent, setup, teardown),
                cmocka_unit_test_setup_teardown(test_odd_text, setup, teardown),
                cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
                cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
        };

        return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
