/* A connection to a Redis that may be anything: what it answers is taken apart within limits, and every
 * command ends exactly once. The server here is a stand-in that says what a real Redis never would. */
#include <signal.h>

#include "tests/unit/common/loop/stand_in.h"

/* --- as it should be ------------------------------------------------------------------------------------ */

static void test_answers_in_order(void **state)
{
        struct bench *bench = *state;

        bench->script = (struct script){.say = "+PONG\r\n-LOADING Redis is loading\r\n$3\r\na\r\n\r\n"};
        ask(bench, LONG_USEC);
        ask(bench, LONG_USEC);
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 3);
        expect(bench, 0, 0, REDIS_REPLY_STATUS, "PONG");
        expect(bench, 1, 0, REDIS_REPLY_ERROR, "LOADING Redis is loading");
        expect(bench, 2, 0, REDIS_REPLY_STRING, "a\r\n");
        run_dry(bench);
        assert_int_equal(bench->answer_count, 3);
        assert_int_equal(bench->accepted, 1);
}

static void test_words_are_words(void **state)
{
        struct bench *bench = *state;

        bench->script = (struct script){.say = "+OK\r\n"};
        assert_int_equal(redis_link_ask(bench->link, (const char *const[]){"SET", "%s %n\r\nX", ""}, 3,
                                        LONG_USEC, on_answer, bench),
                         0);
        RUN_UNTIL(bench, bench->answer_count == 1);
        assert_string_equal(bench->heard, "*3\r\n$3\r\nSET\r\n$8\r\n%s %n\r\nX\r\n$0\r\n\r\n");
}

static void test_limits_of_asking(void **state)
{
        struct bench *bench = *state;
        const char *words[REDIS_ARGV_MOST + 1] = {0};
        int r = 0;

        assert_int_equal(redis_link_ask(bench->link, words, 0, LONG_USEC, on_answer, bench), -EINVAL);
        assert_int_equal(redis_link_ask(bench->link, words, REDIS_ARGV_MOST + 1, LONG_USEC, on_answer, bench),
                         -EINVAL);
        for (unsigned i = 0; i < REDIS_OPEN_MOST; i++)
                ask(bench, LONG_USEC);
        r = redis_link_ask(bench->link, (const char *const[]){"PING"}, 1, LONG_USEC, on_answer, bench);
        assert_int_equal(r, -ENOBUFS);
}

/* --- servers that are none, or worse -------------------------------------------------------------------- */

static void test_unasked_while_idle(void **state)
{
        struct bench *bench = *state;

        bench->script = (struct script){.say = "+PONG\r\n"};
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 1);
        say(bench, "+SURPRISE\r\n");
        run_dry(bench);
        assert_int_equal(bench->answer_count, 1);
        assert_int_equal(bench->peer, -1); /* we hung up */
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 1, 0, REDIS_REPLY_STATUS, "PONG");
        assert_int_equal(bench->accepted, 2);
}

static void test_two_answers_to_one_question(void **state)
{
        static const char *const extras[] = {"+PONG\r\n+PONG\r\n", "+PONG\r\n:1\r\n", "+PONG\r\n$-1\r\n",
                                             "+PONG\r\n*0\r\n", "+PONG\r\n-ERR too many\r\n"};
        struct bench *bench = *state;

        for (size_t i = 0; i < ELEMENTS(extras); i++) {
                bench->script = (struct script){.say = extras[i]};
                ask(bench, LONG_USEC);
                RUN_UNTIL(bench, bench->answer_count == i + 1);
                expect(bench, i, 0, REDIS_REPLY_STATUS, "PONG");
                run_dry(bench);
                assert_int_equal(bench->answer_count, i + 1);
                assert_int_equal(bench->peer, -1);
        }
}

static void test_greeting(void **state)
{
        struct bench *bench = *state;

        /* What a Redis with all its clients taken says, and one that is not a Redis. */
        bench->script = (struct script){.greet = "-ERR max number of clients reached\r\n", .hang_up = true};
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 1);
        if (bench->answers[0].result == 0)
                expect(bench, 0, 0, REDIS_REPLY_ERROR, "ERR max number of clients reached");
        bench->script = (struct script){.greet = "SSH-2.0-OpenSSH_9.2\r\n"};
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 1, -EPROTO, 0, "");
}

static void test_not_redis(void **state)
{
        static const char *const texts[] = {
                "HTTP/1.1 400 Bad Request\r\n\r\n",
                "*268435456\r\n",
                "*2147483647\r\n",
                "*99999999999999999999\r\n",
                "*-2\r\n",
                "*4097\r\n",
                "$-2\r\n",
                ":12x\r\n",
                "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
                "*3\r\n$3\r\nabc\r\n*268435456\r\n",
        };
        struct bench *bench = *state;

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                bench->script = (struct script){.say = texts[i]};
                ask(bench, LONG_USEC);
                ask(bench, LONG_USEC);
                RUN_UNTIL(bench, bench->answer_count == 2 * i + 2);
                expect(bench, 2 * i, -EPROTO, 0, "");
                expect(bench, 2 * i + 1, -EPROTO, 0, "");
        }
        run_dry(bench);
        assert_int_equal(bench->answer_count, 2 * ELEMENTS(texts));
}

/* Replies without an end: a bulk string, a line, arrays of next to nothing. Each must end over the limit, not
 * when the time is over. */
static void test_endless(void **state)
{
        static const struct script scripts[] = {
                {.say = "$536870912\r\n", .flood = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
                {.say = "+", .flood = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
                {.say = "*4096\r\n", .flood = "*8\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"},
                {.say = "*4096\r\n", .flood = "*4096\r\n*0\r\n*0\r\n*-1\r\n$-1\r\n"},
        };
        struct bench *bench = *state;

        for (size_t i = 0; i < ELEMENTS(scripts); i++) {
                bench->script = scripts[i];
                ask(bench, LONG_USEC);
                RUN_UNTIL(bench, bench->answer_count == i + 1);
                expect(bench, i, -EPROTO, 0, "");
        }
}

static void test_hangs_up(void **state)
{
        struct bench *bench = *state;

        bench->script = (struct script){.say = "$100\r\nhalf an answ", .hang_up = true};
        ask(bench, LONG_USEC);
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 0, -ECONNRESET, 0, "");
        expect(bench, 1, -ECONNRESET, 0, "");
        bench->script = (struct script){.say = "+PONG\r\n"};
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 3);
        expect(bench, 2, 0, REDIS_REPLY_STATUS, "PONG");
}

static void test_not_there(void **state)
{
        cleanup_close int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        struct bench *bench = *state;
        int r;

        /* Bound, so that nobody else gets it, but not listened on. */
        assert_int_equal(bind(taken, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &size), 0);
        redis_link_free(bench->link);
        assert_int_equal(redis_link_new(&bench->link, bench->event, "127.0.0.1", ntohs(address.sin_port), ""),
                         0);
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 1);
        expect(bench, 0, -ECONNREFUSED, 0, "");
        redis_link_free(bench->link);
        assert_int_equal(redis_link_new(&bench->link, bench->event, "", 0, "/nonexistent/s"), 0);
        r = redis_link_ask(bench->link, (const char *const[]){"PING"}, 1, LONG_USEC, on_answer, bench);
        assert_int_equal(r, -ENOENT);
        run_dry(bench);
        assert_int_equal(bench->answer_count, 1);
}

/* --- time ----------------------------------------------------------------------------------------------- */

static void test_silence(void **state)
{
        struct bench *bench = *state;

        ask(bench, SHORT_USEC);
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 0, -ETIMEDOUT, 0, "");
        expect(bench, 1, -ETIMEDOUT, 0, "");
        run_dry(bench);
        assert_int_equal(bench->answer_count, 2);
}

/* A length is only believed in when its bytes come: hiredis waits for them, the deadline does not. */
static void test_promised_bytes(void **state)
{
        struct bench *bench = *state;

        bench->script = (struct script){.say = "$9223372036854775807\r\nx"};
        ask(bench, SHORT_USEC);
        RUN_UNTIL(bench, bench->answer_count == 1);
        expect(bench, 0, -ETIMEDOUT, 0, "");
}

/* A short deadline that was met is nothing to those that are still open. */
static void test_own_deadlines(void **state)
{
        struct bench *bench = *state;

        bench->script =
                (struct script){.greet = "+FIRST\r\n", .say = "+SECOND\r\n", .delay_us = 8 * SHORT_USEC};
        ask(bench, 4 * SHORT_USEC);
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 0, 0, REDIS_REPLY_STATUS, "FIRST");
        expect(bench, 1, 0, REDIS_REPLY_STATUS, "SECOND");
}

/* And a short one asked behind a long one ends with its own. */
static void test_shorter_behind(void **state)
{
        struct bench *bench = *state;

        ask(bench, LONG_USEC);
        ask(bench, SHORT_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 0, -ETIMEDOUT, 0, "");
        expect(bench, 1, -ETIMEDOUT, 0, "");
}

/* --- ends ----------------------------------------------------------------------------------------------- */

static void test_freed_in_an_answer(void **state)
{
        static const struct script scripts[] = {
                {.say = "+PONG\r\n+PONG\r\n"},
                {.say = "nonsense\r\n"},
                {.say = "+PO", .hang_up = true},
                {0},
        };
        struct bench *bench = *state;

        bench->free_in_answer = true;
        for (size_t i = 0; i < ELEMENTS(scripts); i++) {
                if (!bench->link)
                        assert_int_equal(redis_link_new(&bench->link, bench->event, "", 0, bench->path), 0);
                bench->script = scripts[i];
                ask(bench, i + 1 == ELEMENTS(scripts) ? SHORT_USEC : LONG_USEC);
                ask(bench, LONG_USEC);
                RUN_UNTIL(bench, bench->answer_count == i + 1);
                run_dry(bench);
                assert_int_equal(bench->answer_count, i + 1); /* none after it was freed */
        }
}

static void test_freed_while_asking(void **state)
{
        struct bench *bench = *state;

        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->heard_size > 0);
        ask(bench, LONG_USEC);
        bench->link = redis_link_free(bench->link);
        run_dry(bench);
        assert_int_equal(bench->answer_count, 0);
}

/* Asking again out of an answer works; out of a failure it is refused or answered, never lost or doubled. */
static void test_asks_in_an_answer(void **state)
{
        struct bench *bench = *state;

        bench->script = (struct script){.say = "+ONE\r\n", .say_too = "+TWO\r\n"};
        bench->ask_in_answer = true;
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        expect(bench, 1, 0, REDIS_REPLY_STATUS, "TWO");
        bench->script = (struct script){.say = "nonsense\r\n"};
        hang_up(bench);
        run_dry(bench);
        bench->ask_in_answer = true;
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count >= 3);
        run_dry(bench);
        expect(bench, 2, -EPROTO, 0, "");
        assert_true(bench->answer_count <= 4);
}

/* --- logging in ----------------------------------------------------------------------------------------- */

static void test_logs_in_first(void **state)
{
        struct bench *bench = *state;

        assert_int_equal(redis_link_login(bench->link, "watcher", "s3cret"), 0);
        bench->script = (struct script){.say = "+OK\r\n+PONG\r\n"};
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 1);
        expect(bench, 0, 0, REDIS_REPLY_STATUS, "PONG");
        assert_string_equal(redis_link_refusal(bench->link), "");
        assert_string_equal(bench->heard,
                            "*3\r\n$4\r\nAUTH\r\n$7\r\nwatcher\r\n$6\r\ns3cret\r\n*1\r\n$4\r\nPING\r\n");
        /* On each new connection. */
        hang_up(bench);
        run_dry(bench);
        bench->heard_size = 0;
        memset(bench->heard, 0, sizeof(bench->heard));
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 2);
        assert_true(text_starts(bench->heard, "*3\r\n$4\r\nAUTH\r\n"));
}

static void test_login_refused(void **state)
{
        struct bench *bench = *state;

        assert_int_equal(redis_link_login(bench->link, "", "wrong"), 0);
        bench->script = (struct script){
                .say = "-WRONGPASS invalid\x1b[2J pair\r\n-NOAUTH Authentication required.\r\n"};
        ask(bench, LONG_USEC);
        RUN_UNTIL(bench, bench->answer_count == 1);
        expect(bench, 0, 0, REDIS_REPLY_ERROR, "NOAUTH Authentication required.");
        assert_string_equal(redis_link_refusal(bench->link), "WRONGPASS invalid?[2J pair");
        assert_true(text_starts(bench->heard, "*2\r\n$4\r\nAUTH\r\n$5\r\nwrong\r\n"));
}

static void test_login_limits(void **state)
{
        struct bench *bench = *state;
        char long_word[REDIS_WORD_SIZE + 1];

        memset(long_word, 'x', sizeof(long_word) - 1);
        long_word[sizeof(long_word) - 1] = '\0';
        assert_int_equal(redis_link_login(bench->link, "", long_word), -ENAMETOOLONG);
        assert_int_equal(redis_link_login(bench->link, long_word, "x"), -ENAMETOOLONG);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_answers_in_order),
                TEST(test_words_are_words),
                TEST(test_limits_of_asking),
                TEST(test_unasked_while_idle),
                TEST(test_two_answers_to_one_question),
                TEST(test_greeting),
                TEST(test_not_redis),
                TEST(test_endless),
                TEST(test_hangs_up),
                TEST(test_not_there),
                TEST(test_silence),
                TEST(test_promised_bytes),
                TEST(test_own_deadlines),
                TEST(test_shorter_behind),
                TEST(test_freed_in_an_answer),
                TEST(test_freed_while_asking),
                TEST(test_asks_in_an_answer),
                TEST(test_logs_in_first),
                TEST(test_login_refused),
                TEST(test_login_limits),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
