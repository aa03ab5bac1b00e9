/* A stand-in for a Redis, which says what a real one never would, and the asking of it: what the tests of a
 * link are made of. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/redis.h"

#define LONG_USEC    (3600 * USEC_PER_SEC) /* longer than any test may take */
#define SHORT_USEC   (20 * USEC_PER_MSEC)
#define ANSWERS_MOST 80u

/* What the stand-in does with whatever it is asked. */
struct script {
        const char *say;     /* at the first bytes of each connection; NULL nothing */
        const char *flood;   /* over and over, as long as it is taken; NULL none */
        uint64_t delay_us;   /* before it says it */
        const char *greet;   /* as soon as somebody connects; NULL nothing */
        bool hang_up;        /* after saying it */
        const char *say_too; /* at the second bytes of a connection */
};

struct answer {
        int result, type;
        char text[128];
};

struct bench {
        sd_event *event;
        char folder[64], path[96];
        int listener, peer;
        sd_event_source *accepting, *serving, *later;
        struct script script;
        unsigned accepted, heard_times;
        char heard[4096];
        size_t heard_size;
        redis_link *link;
        struct answer answers[ANSWERS_MOST];
        size_t answer_count;
        bool free_in_answer, ask_in_answer;
};

/* --- the stand-in --------------------------------------------------------------------------------------- */

static void hang_up(struct bench *bench)
{
        sd_event_source_disable_unref(bench->serving);
        bench->serving = NULL;
        if (bench->peer >= 0)
                close(bench->peer);
        bench->peer = -1;
}

static void say(struct bench *bench, const char *text)
{
        assert_int_equal(send(bench->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
        if (bench->script.hang_up)
                hang_up(bench);
}

static int on_later(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct bench *bench = userdata;

        say(bench, bench->script.say);
        return 0;
}

static void pour(struct bench *bench)
{
        size_t size = strlen(bench->script.flood);

        while (send(bench->peer, bench->script.flood, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size)
                continue;
        if (errno == EAGAIN)
                sd_event_source_set_io_events(bench->serving, EPOLLIN | EPOLLOUT);
        else
                hang_up(bench);
}

static int on_asked(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct bench *bench = userdata;
        ssize_t n;

        if (revents & EPOLLIN) {
                n = read(fd, bench->heard + bench->heard_size, sizeof(bench->heard) - bench->heard_size - 1);
                if (n <= 0) {
                        hang_up(bench);
                        return 0;
                }
                bench->heard_size += (size_t)n;
                bench->heard_times++;
                if (bench->heard_times == 1 && bench->script.say && bench->script.delay_us) {
                        sd_event_add_time_relative(bench->event, &bench->later, CLOCK_BOOTTIME,
                                                   bench->script.delay_us, 1, on_later, bench);
                        return 0;
                }
                if (bench->heard_times == 1 && bench->script.say)
                        say(bench, bench->script.say);
                if (bench->heard_times == 2 && bench->script.say_too)
                        say(bench, bench->script.say_too);
        }
        if (bench->script.flood && bench->peer >= 0)
                pour(bench);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct bench *bench = userdata;

        hang_up(bench);
        bench->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(bench->peer >= 0);
        bench->accepted++;
        bench->heard_times = 0;
        assert_true(sd_event_add_io(bench->event, &bench->serving, bench->peer, EPOLLIN, on_asked, bench) >=
                    0);
        if (bench->script.greet)
                say(bench, bench->script.greet);
        return 0;
}

static int setup(void **state)
{
        struct bench *bench = calloc(1, sizeof(*bench));
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        assert_non_null(bench);
        bench->peer = -1;
        assert_true(sd_event_new(&bench->event) >= 0);
        strcpy(bench->folder, "/tmp/muster-redis-XXXXXX");
        assert_non_null(mkdtemp(bench->folder));
        snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
        TEXT_COPY(address.sun_path, bench->path);
        bench->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(bench->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(bench->listener, 8), 0);
        assert_true(sd_event_add_io(bench->event, &bench->accepting, bench->listener, EPOLLIN, on_connection,
                                    bench) >= 0);
        assert_int_equal(redis_link_new(&bench->link, bench->event, "", 0, bench->path), 0);
        *state = bench;
        return 0;
}

static int teardown(void **state)
{
        struct bench *bench = *state;

        redis_link_free(bench->link);
        hang_up(bench);
        sd_event_source_disable_unref(bench->later);
        sd_event_source_disable_unref(bench->accepting);
        close(bench->listener);
        unlink(bench->path);
        rmdir(bench->folder);
        sd_event_unref(bench->event);
        free(bench);
        return 0;
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void on_answer(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        struct bench *bench = userdata;
        struct answer *answer = &bench->answers[bench->answer_count++];

        assert_true(bench->answer_count < ANSWERS_MOST);
        assert_true((result == 0) == (reply != NULL));
        answer->result = result;
        answer->type = reply ? reply->type : 0;
        if (reply && reply->str)
                text_copy_cut(answer->text, sizeof(answer->text), reply->str);
        if (bench->free_in_answer)
                bench->link = redis_link_free(bench->link);
        if (bench->ask_in_answer) {
                bench->ask_in_answer = false;
                (void)redis_link_ask(link, (const char *const[]){"PING"}, 1, LONG_USEC, on_answer, bench);
        }
}

static void ask(struct bench *bench, uint64_t deadline_us)
{
        size_t before = bench->answer_count;

        assert_int_equal(
                redis_link_ask(bench->link, (const char *const[]){"PING"}, 1, deadline_us, on_answer, bench),
                0);
        assert_int_equal(bench->answer_count, before); /* never from within */
}

/* Turns the loop until it holds; where nothing happens any more it never will. */
#define RUN_UNTIL(bench, condition)                                                                          \
        while (!(condition))                                                                                 \
        assert_true(sd_event_run((bench)->event, 10 * USEC_PER_SEC) > 0)

/* Turns the loop until it has nothing to do for a moment. */
static void run_dry(struct bench *bench)
{
        while (sd_event_run(bench->event, 20 * USEC_PER_MSEC) > 0)
                continue;
}

static void expect(const struct bench *bench, size_t index, int result, int type, const char *text)
{
        assert_true(index < bench->answer_count);
        assert_int_equal(bench->answers[index].result, result);
        assert_int_equal(bench->answers[index].type, type);
        assert_string_equal(bench->answers[index].text, text);
}
