/* Loads followed from what agents say, with a real store: forecast while they last, kept when they end well.
 */
#include <unistd.h>

#include "common/base/cleanup.h"
#include "controller/loads.h"
#include "tests/unit/controller/core/fleet.h"

#define GB 1000000000ull

struct lab {
        struct incident in;
        struct service_state *bds;
        store *store;
        loads *loads;
        char folder[64], path[96];
        uint64_t now_us;
};

static int set_up(void **state)
{
        struct lab *lab = calloc(1, sizeof(*lab));

        assert_non_null(lab);
        incident_init(&lab->in);
        lab->bds = incident_said(&lab->in, BDS);
        lab->now_us = USEC_PER_SEC;
        strcpy(lab->folder, "/tmp/muster-loads.XXXXXX");
        assert_non_null(mkdtemp(lab->folder));
        snprintf(lab->path, sizeof(lab->path), "%s/db", lab->folder);
        assert_int_equal(store_open(&lab->store, lab->path, NULL), 0);
        assert_int_equal(loads_new(&lab->loads, &lab->in.fleet, lab->store), 0);
        *state = lab;
        return 0;
}

static int tear_down(void **state)
{
        static const char *const ends[] = {"", "-wal", "-shm"};
        struct lab *lab = *state;

        loads_free(lab->loads);
        store_close(lab->store);
        for (size_t i = 0; i < ELEMENTS(ends); i++) {
                char path[128];

                snprintf(path, sizeof(path), "%s%s", lab->path, ends[i]);
                (void)unlink(path);
        }
        assert_int_equal(rmdir(lab->folder), 0);
        free(lab);
        return 0;
}

static void say(struct lab *lab)
{
        incident_states(&lab->in);
        assert_int_equal(loads_observe(lab->loads, DB1, &lab->in.states[DB1], lab->now_us), 0);
}

/* As agents say it: figures while it loads, none when it is ready. */
static void loading(struct lab *lab, uint64_t done)
{
        lab->bds->phase = PHASE_LOADING;
        lab->bds->redis.base_bytes = 3 * GB;
        lab->bds->redis.incremental_bytes = 9 * GB;
        lab->bds->progress_done = done;
        lab->bds->progress_total = 12 * GB;
        lab->now_us += USEC_PER_SEC;
        say(lab);
}

static void ends(struct lab *lab, enum service_phase phase)
{
        lab->bds->phase = phase;
        lab->bds->progress_done = lab->bds->progress_total = 0;
        say(lab);
}

/* 0.5 GB/s of the base, 0.25 of the rest. */
static void load_whole(struct lab *lab, const char *run_id)
{
        TEXT_COPY(lab->bds->redis.run_id, run_id);
        lab->bds->redis.answering = true;
        for (uint64_t done = 0; done < 12 * GB; done += done < 3 * GB ? GB / 2 : GB / 4)
                loading(lab, done);
}

static void test_learns(void **state)
{
        struct lab *lab = *state;
        struct plan_rate rate;
        struct load_view view;

        load_whole(lab, "one");
        assert_true(loads_view(lab->loads, BDS, lab->now_us, &view));
        assert_true(!view.is_base && view.estimated && view.learned_from == 0);
        assert_true(view.bytes_per_s > 0.24e9 && view.bytes_per_s < 0.26e9);
        assert_int_equal(loads_rate(lab->store, "bds", &rate), -ENOENT);
        ends(lab, PHASE_READY);
        assert_false(loads_view(lab->loads, BDS, lab->now_us, &view));
        assert_int_equal(loads_rate(lab->store, "bds", &rate), 0);
        assert_int_equal(rate.loads, 1);
        assert_true(rate.base_bytes_per_s > 0.49e9 && rate.base_bytes_per_s < 0.51e9);
        assert_true(rate.incremental_bytes_per_s > 0.24e9 && rate.incremental_bytes_per_s < 0.26e9);

        /* The next one is foretold from its first bytes on. */
        TEXT_COPY(lab->bds->redis.run_id, "two");
        lab->bds->redis.answering = true;
        loading(lab, 0);
        assert_true(loads_view(lab->loads, BDS, lab->now_us, &view));
        assert_true(view.is_base && view.estimated && view.learned_from == 1);
        assert_in_range((view.low_us + view.high_us) / 2, 41 * USEC_PER_SEC, 43 * USEC_PER_SEC);
        assert_true(loads_view(lab->loads, BDS, lab->now_us + 60 * USEC_PER_SEC, &view));
        assert_int_equal(view.high_us, 0);
}

/* Only a load that was seen to its end teaches, and only one of its own files. */
static void test_what_teaches_nothing(void **state)
{
        struct lab *lab = *state;
        struct plan_rate rate;

        load_whole(lab, "crashes");
        lab->bds->redis.answering = false;
        ends(lab, PHASE_FAILED);
        lab->bds->redis.answering = true;
        TEXT_COPY(lab->bds->redis.run_id, "after the crash");
        ends(lab, PHASE_READY);
        load_whole(lab, "out of sight");
        loads_forget(lab->loads, DB1);
        ends(lab, PHASE_READY);
        load_whole(lab, "before");
        TEXT_COPY(lab->bds->redis.run_id, "another process");
        ends(lab, PHASE_READY);
        load_whole(lab, "from its master");
        for (uint64_t done = 0; done < 6 * GB; done += GB / 2) {
                lab->bds->progress_done = done;
                lab->bds->progress_total = 6 * GB;
                lab->now_us += USEC_PER_SEC;
                say(lab);
        }
        ends(lab, PHASE_READY);
        assert_int_equal(loads_rate(lab->store, "bds", &rate), -ENOENT);
        load_whole(lab, "with a role that is not declared");
        lab->bds->redis.answering = true;
        ends(lab, PHASE_DEGRADED);
        assert_int_equal(loads_rate(lab->store, "bds", &rate), 0);
}

/* Loading again, from the start, in the same process; and a moment without figures. */
static void test_begins_anew(void **state)
{
        struct lab *lab = *state;
        struct load_view view;

        load_whole(lab, "one");
        loading(lab, GB / 4);
        assert_true(loads_view(lab->loads, BDS, lab->now_us, &view));
        assert_true(view.is_base && view.bytes_per_s < 1);
        lab->bds->progress_done = lab->bds->progress_total = 0;
        say(lab);
        assert_true(loads_view(lab->loads, BDS, lab->now_us, &view));
}

/* Busy with its load, it lets a question go unanswered; then it goes on. */
static void test_silent_for_a_moment(void **state)
{
        struct lab *lab = *state;
        struct plan_rate rate;
        struct load_view view;

        TEXT_COPY(lab->bds->redis.run_id, "one");
        lab->bds->redis.answering = true;
        for (uint64_t done = 0; done < 12 * GB; done += GB / 2) {
                loading(lab, done);
                if (done != 2 * GB && done != 8 * GB)
                        continue;
                lab->bds->redis = (struct redis_state){.error = "Connection timed out"};
                ends(lab, done == 2 * GB ? PHASE_DEGRADED : PHASE_FAILED);
                assert_false(loads_view(lab->loads, BDS, lab->now_us, &view));
                assert_int_equal(loads_rate(lab->store, "bds", &rate), -ENOENT);
                lab->bds->redis =
                        (struct redis_state){.answering = true, .run_id = "one", .aof_enabled = true};
        }
        ends(lab, PHASE_READY);
        assert_int_equal(loads_rate(lab->store, "bds", &rate), 0);
        assert_true(rate.loads == 1 && rate.base_bytes_per_s > 0.49e9 &&
                    rate.incremental_bytes_per_s > 0.49e9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_learns, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_teaches_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_begins_anew, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_silent_for_a_moment, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
