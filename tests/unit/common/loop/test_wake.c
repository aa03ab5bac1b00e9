/* The hand-over from threads to the loop. Runs under ThreadSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/loop/wake.h"

#define THREADS 4u
#define ROUNDS  20000u

/* One operation, as nng would run it: the loop starts it, a thread finishes it, the loop handles the result.
 */
struct operation {
        struct wake_item item;
        struct bench *bench;
        unsigned result; /* written by the thread, read by the loop, without a lock: that is the point */
        unsigned started, handled;
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool wanted, over;
};

struct bench {
        sd_event *event;
        wake *wake;
        struct operation operations[THREADS];
        unsigned batches_begun, batches_ended, handled, finished;
        unsigned order[8], ordered;
};

static void operation_start(struct operation *operation, bool over)
{
        pthread_mutex_lock(&operation->mutex);
        operation->wanted = true;
        operation->over = over;
        operation->started++;
        pthread_cond_signal(&operation->changed);
        pthread_mutex_unlock(&operation->mutex);
}

static void *operation_thread(void *argument)
{
        struct operation *operation = argument;
        bool over = false;

        while (!over) {
                pthread_mutex_lock(&operation->mutex);
                while (!operation->wanted)
                        pthread_cond_wait(&operation->changed, &operation->mutex);
                operation->wanted = false;
                over = operation->over;
                pthread_mutex_unlock(&operation->mutex);
                if (!over) {
                        operation->result++;
                        wake_post(operation->bench->wake, &operation->item);
                }
        }
        return NULL;
}

static void operation_handle(struct wake_item *item)
{
        struct operation *operation = (struct operation *)((char *)item - offsetof(struct operation, item));
        struct bench *bench = operation->bench;

        operation->handled++;
        assert_int_equal(operation->result, operation->handled);
        bench->handled++;
        operation_start(operation, operation->handled == ROUNDS);
        if (operation->handled == ROUNDS && ++bench->finished == THREADS)
                sd_event_exit(bench->event, 0);
}

static void on_begin(void *userdata)
{
        struct bench *bench = userdata;

        assert_int_equal(bench->batches_begun, bench->batches_ended);
        bench->batches_begun++;
}

static void on_end(void *userdata)
{
        struct bench *bench = userdata;

        bench->batches_ended++;
        assert_int_equal(bench->batches_begun, bench->batches_ended);
}

static void test_threads(void **state)
{
        static struct bench bench;
        pthread_t threads[THREADS];

        assert_true(sd_event_new(&bench.event) >= 0);
        assert_int_equal(wake_new(&bench.wake, bench.event, on_begin, on_end, &bench), 0);
        for (unsigned i = 0; i < THREADS; i++) {
                struct operation *operation = &bench.operations[i];

                operation->bench = &bench;
                operation->item.run = operation_handle;
                pthread_mutex_init(&operation->mutex, NULL);
                pthread_cond_init(&operation->changed, NULL);
                assert_int_equal(pthread_create(&threads[i], NULL, operation_thread, operation), 0);
                operation_start(operation, false);
        }
        assert_int_equal(sd_event_loop(bench.event), 0);
        for (unsigned i = 0; i < THREADS; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(bench.operations[i].handled, ROUNDS);
                pthread_mutex_destroy(&bench.operations[i].mutex);
                pthread_cond_destroy(&bench.operations[i].changed);
        }
        assert_int_equal(bench.handled, THREADS * ROUNDS);
        assert_in_range(bench.batches_ended, 1, bench.handled + 1);
        bench.wake = wake_free(bench.wake);
        sd_event_unref(bench.event);
}

/* --- in one thread: order, once, forgotten ------------------------------------------------------------- */

struct numbered {
        struct wake_item item;
        struct bench *bench;
        unsigned number;
        struct numbered *forgets; /* dropped by this one's run */
        bool again;               /* posts itself once more */
};

static void numbered_run(struct wake_item *item)
{
        struct numbered *numbered = (struct numbered *)((char *)item - offsetof(struct numbered, item));
        struct bench *bench = numbered->bench;

        assert_true(bench->ordered < ELEMENTS(bench->order));
        bench->order[bench->ordered++] = numbered->number;
        if (numbered->forgets)
                wake_forget(bench->wake, &numbered->forgets->item);
        if (numbered->again) {
                numbered->again = false;
                wake_post(bench->wake, item);
        }
}

static int setup(void **state)
{
        struct bench *bench = calloc(1, sizeof(*bench));

        if (!bench || sd_event_new(&bench->event) < 0 ||
            wake_new(&bench->wake, bench->event, NULL, NULL, NULL) < 0)
                return -1;
        *state = bench;
        return 0;
}

static int teardown(void **state)
{
        struct bench *bench = *state;

        wake_free(bench->wake);
        sd_event_unref(bench->event);
        free(bench);
        return 0;
}

/* Runs all that waits, and nothing is left. */
static void run_all(struct bench *bench)
{
        while (sd_event_run(bench->event, 0) > 0)
                ;
}

static void test_order(void **state)
{
        struct bench *bench = *state;
        struct numbered items[4];

        for (unsigned i = 0; i < ELEMENTS(items); i++)
                items[i] = (struct numbered){{.run = numbered_run}, bench, i, NULL, false};
        for (unsigned i = 0; i < ELEMENTS(items); i++)
                wake_post(bench->wake, &items[i].item);
        wake_post(bench->wake, &items[1].item); /* waits already */
        run_all(bench);
        assert_int_equal(bench->ordered, 4);
        for (unsigned i = 0; i < ELEMENTS(items); i++)
                assert_int_equal(bench->order[i], i);

        wake_post(bench->wake, &items[1].item);
        run_all(bench);
        assert_int_equal(bench->ordered, 5);
}

static void test_post_inside(void **state)
{
        struct bench *bench = *state;
        struct numbered item = {{.run = numbered_run}, bench, 7, NULL, true};

        wake_post(bench->wake, &item.item);
        run_all(bench);
        assert_int_equal(bench->ordered, 2);
}

static void test_forget(void **state)
{
        struct bench *bench = *state;
        struct numbered items[4];

        for (unsigned i = 0; i < ELEMENTS(items); i++)
                items[i] = (struct numbered){{.run = numbered_run}, bench, i, NULL, false};
        for (unsigned i = 0; i < ELEMENTS(items); i++)
                wake_post(bench->wake, &items[i].item);
        wake_forget(bench->wake, &items[0].item);
        items[1].forgets = &items[2]; /* in the middle of the batch */
        run_all(bench);
        assert_int_equal(bench->ordered, 2);
        assert_int_equal(bench->order[0], 1);
        assert_int_equal(bench->order[1], 3);

        /* what was forgotten may be posted again, and what never waited may be forgotten */
        wake_forget(bench->wake, &items[0].item);
        items[1].forgets = NULL;
        wake_post(bench->wake, &items[0].item);
        run_all(bench);
        assert_int_equal(bench->ordered, 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_threads),
                cmocka_unit_test_setup_teardown(test_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_post_inside, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
