/* A host's note, and two notes against each other; and what a run makes of it: noted before anything is done,
 * compared when the host has come back and settled, whatever happened to the controller in between. */
#include "controller/core/host_diff.h"
#include "tests/unit/controller/core/lab.h"

#define CLOCK 1700000000000000ull

static char mounts[400][WORD_SIZE], listeners[600][ADDRESS_SIZE], failed[40][UNIT_SIZE];

static void put_words(void *words, size_t size, size_t *ret_count, const char *list)
{
        char copy[512], *save = NULL;

        *ret_count = 0;
        TEXT_COPY(copy, list);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
                text_copy((char *)words + size * (*ret_count)++, size, word);
}

static struct host_state host_of(const char *units, const char *places, const char *ports)
{
        struct host_state host = {.clock_us = CLOCK, .kernel = "6.1.0-28-amd64"};

        host.facts.known = true;
        host.facts.mounts = mounts;
        host.facts.listeners = listeners;
        host.failed_units = failed;
        put_words(failed, UNIT_SIZE, &host.failed_unit_count, units);
        put_words(mounts, WORD_SIZE, &host.facts.mount_count, places);
        put_words(listeners, ADDRESS_SIZE, &host.facts.listener_count, ports);
        return host;
}

static struct host_note note_of(const struct host_state *host)
{
        struct host_note note;

        assert_int_equal(host_note_take(&note, host, CLOCK), 0);
        assert_true(note.count <= NOTE_FIGURES_MAX);
        return note;
}

/* Compares, frees both, and expects these names and values, in this order, up to NULL. */
static void expect(struct host_note before, struct host_note after, bool late, const char *const *wanted)
{
        struct figure figures[FIGURE_MAX];
        bool is_late;
        size_t count, i = 0;

        assert_int_equal(host_note_compare(&before, &after, false, figures, &count, &is_late), 0);
        for (; *wanted; wanted += 2, i++) {
                if (i == count)
                        fail_msg("no %s: %s", wanted[0], wanted[1]);
                assert_string_equal(figures[i].name, wanted[0]);
                assert_string_equal(figures[i].value, wanted[1]);
        }
        if (i != count)
                fail_msg("%s: %s was not expected", figures[i].name, figures[i].value);
        assert_int_equal(is_late, late);
        host_note_clear(&before);
        host_note_clear(&after);
}
#define EXPECT(before, after, late, ...) expect(before, after, late, (const char *const[]){__VA_ARGS__ NULL})

static void test_same(void **state)
{
        struct host_state host =
                host_of("b.service a.service", "ext4:/ tmpfs:/srv/x\\040y", "[::]:80 0.0.0.0:22");
        struct host_note before = note_of(&host);
        char text[TEXT_SIZE];

        host_note_text(&before, text, sizeof(text));
        assert_string_equal(text, "2 failed units, 2 mounts, 2 listening ports, kernel 6.1.0-28-amd64");
        host = host_of("a.service b.service", "tmpfs:/srv/x\\040y ext4:/ ext4:/", "0.0.0.0:22 [::]:80");
        EXPECT(before, note_of(&host), false, );
}

static void test_different(void **state)
{
        struct host_state host = host_of("a.service", "ext4:/ nfs4:/srv/in", "0.0.0.0:22 0.0.0.0:8080");
        struct host_note before;

        host.facts.clock_sync = CLOCK_SYNCHRONISED;
        before = note_of(&host);
        host = host_of("c.service", "ext4:/ ext4:/srv/out", "0.0.0.0:22 127.0.0.1:8080");
        host.facts.clock_sync = CLOCK_UNSYNCHRONISED;
        host.clock_us -= 7200 * USEC_PER_SEC;
        TEXT_COPY(host.kernel, "6.1.0-25-amd64");
        EXPECT(before, note_of(&host), true, "failed-unit", "c.service", "kernel-changed",
               "6.1.0-25-amd64, before 6.1.0-28-amd64", "mount-gone", "/srv/in (nfs4)", "port-gone",
               "0.0.0.0:8080", "clock-jump", "2 h 00 min back, against the controller's clock",
               "clock-unsynchronised", "it was before the reboot", "mount-new", "/srv/out (ext4)", "port-new",
               "127.0.0.1:8080", );
}

/* On the old kernel although a newer one is installed, also where that was so before. */
static void test_old_kernel(void **state)
{
        struct host_state host = host_of("", "ext4:/", "");
        struct host_note before;

        TEXT_COPY(host.facts.kernel_newest, "6.1.0-30-amd64");
        before = note_of(&host);
        EXPECT(before, note_of(&host), false, "old-kernel",
               "runs 6.1.0-28-amd64, 6.1.0-30-amd64 is installed", );
}

/* A soft reboot starts no kernel. */
static void test_same_kernel(void **state)
{
        struct host_state host = host_of("", "ext4:/", "");
        struct host_note before;
        struct figure figures[FIGURE_MAX];
        size_t count;
        bool late;

        TEXT_COPY(host.facts.kernel_newest, "6.1.0-30-amd64");
        before = note_of(&host);
        assert_int_equal(host_note_compare(&before, &before, true, figures, &count, &late), 0);
        assert_int_equal(count, 0);
        host_note_clear(&before);
}

/* Lists that are too long are compared not at all, rather than by half; few differences are shown of many. */
static void test_bounds(void **state)
{
        struct host_state host = host_of("", "ext4:/", "");
        struct figure figures[FIGURE_MAX];
        struct host_note before, after;
        size_t count;
        bool late;

        before = note_of(&host);
        for (size_t i = 0; i < 600; i++)
                snprintf(listeners[i], ADDRESS_SIZE, "[2001:db8:0:0:ffff:0:0:%zx]:%zu", i, i);
        host.facts.listener_count = 600;
        after = note_of(&host);
        EXPECT(before, after, false, "not-compared", "too many or too long ports", );
        host.facts.listener_count = 3; /* some before, too many after: none of them is gone */
        before = note_of(&host);
        host.facts.listener_count = 600;
        after = note_of(&host);
        EXPECT(before, after, false, "not-compared", "too many or too long ports", );
        host.facts.listener_count = 0;
        before = note_of(&host);
        host.facts.listener_count = 100;
        after = note_of(&host);
        assert_int_equal(host_note_compare(&before, &after, false, figures, &count, &late), 0);
        assert_int_equal(count, FIGURE_MAX);
        assert_string_equal(figures[FIGURE_MAX - 1].name, "more");
        assert_string_equal(figures[FIGURE_MAX - 1].value, "69 more differences");
        host_note_clear(&before);
        host_note_clear(&after);
        memset(mounts[0], 'x', TEXT_SIZE); /* a word that no figure holds */
        mounts[0][TEXT_SIZE] = '\0';
        host.facts.mount_count = 1;
        host.facts.listener_count = 0;
        before = note_of(&host);
        after = note_of(&host);
        EXPECT(before, after, false, "not-compared", "too many or too long mounts", );
        before = note_of(&host);
        assert_int_equal(host_note_append(&before, figures, FIGURE_MAX), 0);
        assert_int_equal(host_note_append(&before, figures, FIGURE_MAX), -E2BIG);
        host_note_clear(&before);
}

/* --- in a run ---------------------------------------------------------------------------------------------
 */

static char apart[HOSTS][4][WORD_SIZE];

/* What the host's agent says it is like. */
static void looks(struct lab *lab, size_t host, const char *place, uint64_t looked_ms)
{
        struct host_facts *facts = &lab->in.states[host].host.facts;

        facts->known = true;
        TEXT_COPY(lab->in.states[host].host.kernel, "6.1");
        facts->looked_ms = looked_ms;
        facts->mounts = apart[host];
        TEXT_COPY(apart[host][0], "ext4:/");
        TEXT_COPY(apart[host][1], place);
        facts->mount_count = place[0] ? 2 : 1;
        lab->in.states[host].host.clock_us = CLOCK + lab->now_us;
}

static const char *compared(struct lab *lab, const char *host)
{
        for (size_t i = lab->events; i-- > 0;) {
                static struct run_event event;

                assert_int_equal(run_event_from_json(&event, lab->journal[i], &lab->error), 0);
                if (event.kind == EVENT_COMPARED && text_equal(event.host, host))
                        return event.text;
        }
        return NULL;
}

static void start(struct lab *lab)
{
        memset(lab, 0, sizeof(*lab));
        incident_init(&lab->in);
        lab->now_us = 1000 * USEC_PER_SEC; /* as lab_start_plan has it */
        for (size_t h = 0; h < HOSTS; h++)
                looks(lab, h, "nfs4:/srv/in", 0);
        lab_start_plan(lab, PLAN_REBOOT);
}

/* As a controller that was killed finds it: folded from the journal, and the hosts come to it one by one. */
static void begin_again(struct lab *lab)
{
        run *folded = lab_refold(lab);

        run_free(lab->run);
        lab->run = folded;
        for (size_t h = 0; h < HOSTS; h++)
                lab_up(lab, h);
        lab_apply(lab, (struct run_input){.kind = INPUT_TICK});
}

static void test_run_compares(void **state)
{
        struct run_event event;
        struct lab lab;

        start(&lab);
        for (size_t i = 1; i <= HOSTS; i++) { /* right after the beginning, before any intent */
                assert_int_equal(run_event_from_json(&event, lab.journal[i], &lab.error), 0);
                assert_int_equal(event.kind, EVENT_NOTED);
                assert_non_null(strstr(event.text, "before its reboot: 0 failed units, 2 mounts"));
        }
        lab_take_down(&lab);
        for (size_t h = 0; h < HOSTS; h++) {
                looks(&lab, h, h == DB2 ? "" : "nfs4:/srv/in", 0);
                lab_reboot(&lab, h);
        }
        begin_again(&lab);
        lab_bring_up(&lab);
        assert_run(&lab, RUN_RUNNING);
        assert_null(compared(&lab, "app1")); /* its agent has not looked since its last step */
        lab_wait(&lab, 2 * USEC_PER_SEC);
        looks(&lab, APP1, "nfs4:/srv/in", 3000);
        lab_changed(&lab, APP1); /* it had looked before */
        assert_null(compared(&lab, "app1"));
        looks(&lab, APP1, "nfs4:/srv/in", 0);
        lab_changed(&lab, APP1);
        assert_non_null(strstr(compared(&lab, "app1"), "app1 is as it was: 0 failed units, 2 mounts"));
        looks(&lab, DB1, "nfs4:/srv/in", 0);
        looks(&lab, DB2, "", 0);
        lab_changed(&lab, DB2);
        assert_null(compared(&lab, "db2")); /* what is missing may come yet */
        lab_changed(&lab, DB1);
        lab_wait(&lab, 12 * USEC_PER_SEC);
        assert_null(compared(&lab, "db2"));
        lab_wait(&lab, 2 * USEC_PER_SEC);
        assert_string_equal(compared(&lab, "db2"),
                            "db2 is not as it was before its reboot: mount gone: /srv/in (nfs4)");
        assert_run(&lab, RUN_DONE);
        lab_end(&lab);
}

/* A host of which nothing is heard any more does not hold the run up for ever, and one that is late is not
 * called different. */
static void test_run_waits_bounded(void **state)
{
        char waiting[512];
        struct lab lab;

        start(&lab);
        lab_take_down(&lab);
        for (size_t h = 0; h < HOSTS; h++) {
                looks(&lab, h, "", 60000);
                TEXT_COPY(lab.in.states[h].host.facts.system_state, "starting");
                lab_reboot(&lab, h);
        }
        lab_bring_up(&lab);
        looks(&lab, DB1, "", 0);
        lab_changed(&lab, DB1);
        lab_wait(&lab, 10 * USEC_PER_SEC);
        lab_changed(&lab, DB1); /* still starting: the while begins anew */
        lab_wait(&lab, 10 * USEC_PER_SEC);
        assert_null(compared(&lab, "db1"));
        looks(&lab, DB1, "nfs4:/srv/in", 0);
        lab.in.states[DB1].host.facts.system_state[0] = '\0';
        lab_changed(&lab, DB1);
        assert_string_equal(compared(&lab, "db1"),
                            "db1 is as it was: 0 failed units, 2 mounts, 0 listening ports, kernel 6.1");
        assert_run(&lab, RUN_RUNNING);
        run_waiting_for(lab.run, waiting, sizeof(waiting));
        assert_string_equal(waiting, "app1 to settle, db2 to settle");
        lab_wait(&lab, 75 * USEC_PER_SEC);
        assert_non_null(strstr(compared(&lab, "db2"), "not compared: its agent has not looked at it since"));
        assert_run(&lab, RUN_DONE);
        lab_end(&lab);
}

/* Another controller's journal is no place to write what one likes. */
static void test_fold_refuses(void **state)
{
        struct run_event event = {.kind = EVENT_COMPARED, .step = -1, .host = "db1"};
        struct lab lab;

        start(&lab);
        assert_int_equal(run_fold(lab.run, &event, &lab.error), -EPROTO); /* not rebooted */
        event.kind = EVENT_NOTED;
        assert_int_equal(run_fold(lab.run, &event, &lab.error), -EPROTO); /* nothing */
        event.figure_count = FIGURE_MAX;
        assert_int_equal(run_fold(lab.run, &event, &lab.error), 0);
        assert_int_equal(run_fold(lab.run, &event, &lab.error), -EPROTO); /* too much */
        TEXT_COPY(event.host, "db9");
        assert_int_equal(run_fold(lab.run, &event, &lab.error), -EPROTO);
        lab_end(&lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_same),
                cmocka_unit_test(test_different),
                cmocka_unit_test(test_old_kernel),
                cmocka_unit_test(test_same_kernel),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_run_compares),
                cmocka_unit_test(test_run_waits_bounded),
                cmocka_unit_test(test_fold_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
