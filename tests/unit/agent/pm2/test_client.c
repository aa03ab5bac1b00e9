/* The client against what a real daemon cannot be made to do: a stand-in that answers late, twice, with
 * garbage, too much, in pieces, or not at all. What PM2 really says is tests/integration/test_pm2.sh's. */
#include <errno.h>

#include "tests/unit/agent/pm2/stand_in.h"

struct lab {
        struct stand_in pm2;
        char received[4096]; /* what the stand-in got, of all calls together */
        size_t received_size;
        /* what the calls ended with */
        unsigned ended;
        int result;
        char answer[256];
        struct error error;
        bool free_in_callback;
};

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct lab *lab = userdata;
        ssize_t n = recv(fd, lab->received + lab->received_size,
                         sizeof(lab->received) - 1 - lab->received_size, 0);

        if (n > 0)
                lab->received_size += (size_t)n;
        else
                lab->pm2.reading = sd_event_source_disable_unref(lab->pm2.reading);
        return 0;
}

static int set_up(void **state)
{
        struct lab *lab = calloc(1, sizeof(*lab));

        assert_non_null(lab);
        stand_in_open(&lab->pm2, on_peer, lab);
        *state = lab;
        return 0;
}

static int tear_down(void **state)
{
        struct lab *lab = *state;

        stand_in_close(&lab->pm2);
        free(lab);
        return 0;
}

static void on_reply(void *userdata, int r, json_t *answer, const struct error *error)
{
        struct lab *lab = userdata;

        lab->ended++;
        lab->result = r;
        lab->error = error ? *error : (struct error){0};
        lab->answer[0] = '\0';
        if (r == 0)
                json_brief(answer, lab->answer, sizeof(lab->answer));
        if (lab->free_in_callback)
                lab->pm2.client = pm2_client_free(lab->pm2.client);
}

static void on_raw(void *userdata, int r, const char *text, size_t size, const struct error *error)
{
        struct lab *lab = userdata;

        lab->ended++;
        lab->result = r;
        lab->error = error ? *error : (struct error){0};
        if (r == 0)
                snprintf(lab->answer, sizeof(lab->answer), "%.*s", (int)size, text);
}

/* Turns of the loop until nothing happens for a moment. */
static void turn(struct lab *lab)
{
        for (int r = 1; r > 0;)
                r = sd_event_run(lab->pm2.event, 20000);
}

static void call(struct lab *lab)
{
        assert_int_equal(pm2_client_call(lab->pm2.client, "ping", json_pack("[{}]"), 5000000, on_reply, lab),
                         0);
        assert_int_equal(lab->ended, 0); /* never from within */
        turn(lab);
}

static void say(struct lab *lab, const void *bytes, size_t size)
{
        assert_int_equal(send(lab->pm2.peer, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* An answer as PM2 frames it. */
static void reply(struct lab *lab, const char *body, const char *id)
{
        unsigned char frame[1024] = {0x12};
        size_t at = 1;
        const char *parts[] = {body, id};

        for (int i = 0; i < 2; i++) {
                size_t size = strlen(parts[i]);

                frame[at++] = (unsigned char)(size >> 24);
                frame[at++] = (unsigned char)(size >> 16);
                frame[at++] = (unsigned char)(size >> 8);
                frame[at++] = (unsigned char)size;
                memcpy(frame + at, parts[i], size);
                at += size;
        }
        for (size_t i = 0; i < at; i++) {
                say(lab, frame + i, 1);
                if (i % 7 == 0)
                        turn(lab);
        }
        turn(lab);
}

static void test_call(void **state)
{
        struct lab *lab = *state;
        static const char body[] = "j:{\"type\":\"call\",\"method\":\"ping\",\"args\":[{}]}";

        call(lab);
        assert_int_equal(lab->received_size, 1 + 4 + strlen(body) + 4 + 3);
        assert_memory_equal(lab->received, "\x12\0\0\0", 4);
        assert_int_equal(lab->received[4], strlen(body));
        assert_memory_equal(lab->received + 5, body, strlen(body));
        assert_memory_equal(lab->received + 5 + strlen(body), "\0\0\0\x03s:1", 7);
        reply(lab, "j:{\"args\":[{\"msg\":\"pong\"}]}", "s:1");
        assert_int_equal(lab->ended, 1);
        assert_int_equal(lab->result, 0);
        assert_string_equal(lab->answer, "{\"msg\":\"pong\"}");
        /* A second answer to the same call is nobody's. */
        reply(lab, "j:{\"args\":[1]}", "s:1");
        assert_int_equal(lab->ended, 1);
}

static void test_refusals(void **state)
{
        static const struct {
                const char *body, *says;
                int result;
        } cases[] = {
                {"j:{\"error\":\"id unknown\",\"stack\":\"x\"}", "PM2 refused ping: id unknown", -EREMOTEIO},
                {"j:{\"error\":{\"msg\":\"no pid\"}}", "no pid", -EREMOTEIO},
                {"j:{\"error\":null}", "no reason given", -EREMOTEIO},
                {"j:{}", "has no args", -EBADMSG},
                {"j:[1,", "not JSON", -EBADMSG},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct lab *lab = *state;
                char id[16];

                snprintf(id, sizeof(id), "s:%zu", i + 1);
                lab->ended = 0;
                call(lab);
                reply(lab, cases[i].body, id);
                assert_int_equal(lab->ended, 1);
                assert_int_equal(lab->result, cases[i].result);
                assert_non_null(strstr(lab->error.text, cases[i].says));
        }
}

static void test_out_of_order(void **state)
{
        struct lab *lab = *state;

        call(lab);
        call(lab);
        reply(lab, "j:{\"args\":[\"second\"]}", "s:2");
        assert_string_equal(lab->answer, "second");
        reply(lab, "j:{\"args\":[]}", "s:1");
        assert_int_equal(lab->ended, 2);
        assert_string_equal(lab->answer, "");
}

static void test_raw(void **state)
{
        struct lab *lab = *state;

        assert_int_equal(pm2_client_call_raw(lab->pm2.client, "x", json_array(), 5000000, on_raw, lab), 0);
        turn(lab);
        reply(lab, "j:{\"args\":[[{\"a\":1}]]}", "s:1");
        assert_string_equal(lab->answer, "[{\"a\":1}]");
        assert_int_equal(pm2_client_call_raw(lab->pm2.client, "x", json_array(), 5000000, on_raw, lab), 0);
        turn(lab);
        reply(lab, "j:{\"error\":\"no\"}", "s:2");
        assert_int_equal(lab->result, -EREMOTEIO);
        assert_int_equal(pm2_client_call_raw(lab->pm2.client, "x", json_array(), 5000000, on_raw, lab), 0);
        turn(lab);
        reply(lab, "j:{\"other\":1,\"args\":[1]}", "s:3");
        assert_int_equal(lab->result, -EBADMSG);
        assert_int_equal(lab->ended, 3);
}

/* A tree takes ten times the bytes that it is made from. */
static void test_too_large_for_a_tree(void **state)
{
        struct lab *lab = *state;
        static char body[(1 << 20) / PM2_TREE_SHARE + 64];
        unsigned char head[5] = {0x12}, tail[] = {0, 0, 0, 3, 's', ':', '1'};

        call(lab);
        memset(body, 'x', sizeof(body));
        memcpy(body, "j:{\"args\":[\"", 12);
        memcpy(body + sizeof(body) - 3, "\"]}", 3);
        head[1] = (unsigned char)(sizeof(body) >> 24);
        head[2] = (unsigned char)(sizeof(body) >> 16);
        head[3] = (unsigned char)(sizeof(body) >> 8);
        head[4] = (unsigned char)sizeof(body);
        say(lab, head, sizeof(head));
        for (size_t at = 0; at < sizeof(body); at += 4096) {
                say(lab, body + at, sizeof(body) - at < 4096 ? sizeof(body) - at : 4096);
                turn(lab);
        }
        say(lab, tail, sizeof(tail));
        turn(lab);
        assert_int_equal(lab->ended, 1);
        assert_int_equal(lab->result, -E2BIG);
        assert_non_null(strstr(lab->error.text, "262144 at most are read here"));
        lab->ended = 0;
        call(lab); /* the connection goes on */
        reply(lab, "j:{\"args\":[1]}", "s:2");
        assert_int_equal(lab->ended, 1);
        assert_int_equal(lab->result, 0);
}

static void test_garbage_ends_the_connection(void **state)
{
        struct lab *lab = *state;

        call(lab);
        call(lab);
        say(lab, "HTTP/1.1 400\r\n", 14);
        turn(lab);
        assert_int_equal(lab->ended, 2);
        assert_int_equal(lab->result, -EBADMSG);
        assert_non_null(strstr(lab->error.text, "not its protocol"));
        assert_int_equal(pm2_client_call(lab->pm2.client, "ping", json_array(), 1000, on_reply, lab),
                         -ENOTCONN);
}

static void test_too_large(void **state)
{
        struct lab *lab = *state;

        call(lab);
        say(lab, "\x12\x7f\xff\xff\xff", 5);
        turn(lab);
        assert_int_equal(lab->result, -EMSGSIZE);
        assert_int_equal(lab->ended, 1);
}

static void test_closed(void **state)
{
        struct lab *lab = *state;

        call(lab);
        call(lab);
        lab->pm2.reading = sd_event_source_disable_unref(lab->pm2.reading);
        close(lab->pm2.peer);
        lab->pm2.peer = 0;
        turn(lab);
        assert_int_equal(lab->ended, 2);
        assert_int_equal(lab->result, -ECONNRESET);
}

static void test_deadline(void **state)
{
        struct lab *lab = *state;

        assert_int_equal(pm2_client_call(lab->pm2.client, "slow", json_array(), 1000, on_reply, lab), 0);
        while (lab->ended == 0)
                assert_true(sd_event_run(lab->pm2.event, 5000000) > 0);
        assert_int_equal(lab->result, -ETIMEDOUT);
        assert_non_null(strstr(lab->error.text, "did not answer slow in time"));
        reply(lab, "j:{\"args\":[1]}", "s:1"); /* too late: nobody's */
        assert_int_equal(lab->ended, 1);
        lab->ended = 0;
        call(lab);
        reply(lab, "j:{\"args\":[2]}", "s:2");
        assert_int_equal(lab->result, 0);
}

static void test_freed_from_a_callback(void **state)
{
        struct lab *lab = *state;

        lab->free_in_callback = true;
        call(lab);
        call(lab);
        reply(lab, "j:{\"args\":[1]}", "s:1");
        assert_int_equal(lab->ended, 1);
        assert_null(lab->pm2.client);
}

static void test_freed_when_all_fail(void **state)
{
        struct lab *lab = *state;

        lab->free_in_callback = true;
        call(lab);
        call(lab);
        say(lab, "x", 1);
        turn(lab);
        assert_int_equal(lab->ended, 1);
        assert_null(lab->pm2.client);
}

static void test_not_ours(void **state)
{
        struct lab *lab = *state;
        struct pm2_home other = lab->pm2.home;
        struct error error = {0};
        pm2_client *client = NULL;

        other.uid++;
        assert_int_equal(pm2_client_new(&client, lab->pm2.event, &other, 0, &error), -EPERM);
        assert_non_null(strstr(error.text, "not talking to it"));
        strcat(other.path, "/absent");
        assert_int_equal(pm2_client_new(&client, lab->pm2.event, &other, 0, &error), -ENOENT);
        memset(other.path, 'x', 200);
        other.path[200] = '\0';
        assert_int_equal(pm2_client_new(&client, lab->pm2.event, &other, 0, &error), -ENAMETOOLONG);
        assert_null(client);
        assert_int_equal(pm2_client_pid(lab->pm2.client), getpid());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_call),
                TEST(test_refusals),
                TEST(test_out_of_order),
                TEST(test_raw),
                TEST(test_too_large),
                TEST(test_too_large_for_a_tree),
                TEST(test_garbage_ends_the_connection),
                TEST(test_closed),
                TEST(test_deadline),
                TEST(test_freed_from_a_callback),
                TEST(test_not_ours),
                TEST(test_freed_when_all_fail),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
