/* How many apps are started at once, by what becomes of them, with a stand-in for PM2 that says how long its
 * starts take. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/pm2/amp.h"
#include "agent/pm2/start.h"
#include "common/base/time.h"
#include "tests/unit/agent/pm2/stand_in.h"

#define APPS_MOST 512

struct pending {
        struct lab *lab;
        sd_event_source *timer;
        char id[32];
};

struct lab {
        struct stand_in pm2;
        struct buffer in;
        pid_t lives; /* an app that is up, and sleeps */
        unsigned dying, asked;
        struct pending pending[APPS_MOST];
        unsigned first, least; /* how many at once: at the beginning, and at the lowest */
        bool ended;
        int result;
};

static void answer(struct lab *lab, pid_t pid, const char *id)
{
        cleanup_buffer struct buffer out = {0};
        char body[128];
        struct amp_argument arguments[2];

        snprintf(body, sizeof(body), "j:{\"args\":[{\"process\":{\"pid\":%d}}]}", (int)pid);
        arguments[0] = (struct amp_argument){(uint8_t *)body, strlen(body)};
        arguments[1] = (struct amp_argument){(const uint8_t *)id, strlen(id)};
        assert_int_equal(amp_encode(&out, arguments, 2), 0);
        assert_int_equal(send(lab->pm2.peer, out.data, out.size, MSG_NOSIGNAL), (ssize_t)out.size);
}

static int on_up(sd_event_source *source, uint64_t now, void *userdata)
{
        struct pending *pending = userdata;

        answer(pending->lab, pending->lab->lives, pending->id);
        return 0;
}

/* The first ones are gone before anybody looks; the others take their time. */
static void serve(struct lab *lab, const struct amp_message *message)
{
        struct pending *pending = &lab->pending[lab->asked];

        assert_true(lab->asked < APPS_MOST && message->arguments[1].size < sizeof(pending->id));
        pending->lab = lab;
        memcpy(pending->id, message->arguments[1].bytes, message->arguments[1].size);
        if (lab->asked++ < lab->dying)
                answer(lab, 0, pending->id);
        else
                assert_true(sd_event_add_time_relative(lab->pm2.event, &pending->timer, CLOCK_BOOTTIME,
                                                       300 * USEC_PER_MSEC, 1, on_up, pending) >= 0);
}

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct lab *lab = userdata;
        struct amp_message message;
        uint8_t bytes[65536];
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

        if (n <= 0) {
                lab->pm2.reading = sd_event_source_disable_unref(lab->pm2.reading);
                return 0;
        }
        assert_int_equal(buffer_append(&lab->in, bytes, (size_t)n), 0);
        while ((n = amp_decode(lab->in.data, lab->in.size, 1 << 20, &message)) > 0) {
                serve(lab, &message);
                buffer_consume(&lab->in, (size_t)n);
        }
        return 0;
}

static void on_progress(void *userdata, size_t done, size_t total, unsigned at_once)
{
        struct lab *lab = userdata;

        if (lab->first == 0)
                lab->first = lab->least = at_once;
        lab->least = at_once < lab->least ? at_once : lab->least;
}

static void on_started(void *userdata, int r, const struct error *error)
{
        struct lab *lab = userdata;

        lab->ended = true;
        lab->result = r;
}

/* Apps that end at once are no measure of how long a start takes: those that come up would all seem slow. */
static void test_what_ends_at_once(void **state)
{
        struct lab *lab = calloc(1, sizeof(*lab));
        struct pm2_list list = list_of("[" APP(0, "app", "online", "") "]");
        struct pm2_start_item *items;
        pm2_start *start = NULL;
        size_t count;

        assert_non_null(lab);
        stand_in_open(&lab->pm2, on_peer, lab);
        lab->lives = fork();
        if (lab->lives == 0) {
                pause();
                _exit(0);
        }
        lab->dying = 2 * 64; /* whatever the host's processors: more than one limit of them */
        count = lab->dying + 2 * 64;
        items = calloc(count, sizeof(*items));
        assert_non_null(items);
        for (size_t i = 0; i < count; i++)
                items[i].app = &list.apps[0];
        assert_int_equal(pm2_start_new(&start, lab->pm2.event, lab->pm2.client, items, count, 0, 5000000,
                                       on_progress, on_started, lab),
                         0);
        while (!lab->ended)
                assert_true(sd_event_run(lab->pm2.event, 5000000) > 0);
        assert_int_equal(lab->result, 0);
        assert_int_equal(lab->asked, count);
        assert_int_equal(lab->least, lab->first);
        for (size_t i = 0; i < lab->asked; i++)
                sd_event_source_disable_unref(lab->pending[i].timer);
        kill(lab->lives, SIGKILL);
        waitpid(lab->lives, NULL, 0);
        pm2_start_free(start);
        stand_in_close(&lab->pm2);
        buffer_clear(&lab->in);
        pm2_list_clear(&list);
        free(items);
        free(lab);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_ends_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
