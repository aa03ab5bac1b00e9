/* Registering while somebody else registers too, at a moment that a real PM2 cannot be held at: a stand-in
 * that gives ids in sequence, as PM2 does, and lets others in between when told to. What PM2 really does with
 * what is sent is tests/integration/test_pm2.sh's. */
#include <errno.h>

#include "agent/pm2/amp.h"
#include "agent/pm2/register.h"
#include "common/base/text.h"
#include "tests/unit/agent/pm2/stand_in.h"

struct lab {
        struct stand_in pm2;
        struct buffer in;
        /* the stand-in */
        int64_t next_id;
        const char *refuse;                        /* the name of one that is refused */
        unsigned prepared, intruder_at, intruders; /* before which registration how many come in */
        char said[512];                            /* what was asked: "name@id", "-id" */
        size_t said_size;
        /* the register's end */
        bool ended;
        int result;
        enum pm2_entry entries[8];
        struct pm2_refused refused;
        size_t count;
};

/* name NULL: taken off. */
static void say(struct lab *lab, const char *name, int64_t id)
{
        lab->said_size += (size_t)snprintf(lab->said + lab->said_size, sizeof(lab->said) - lab->said_size,
                                           "%s%s%lld ", name ? name : "", name ? "@" : "-", (long long)id);
}

static void answer(struct lab *lab, json_t *reply, const struct amp_argument *id)
{
        cleanup_buffer struct buffer out = {0};
        char *text = json_dumps(reply, JSON_COMPACT), body[512];
        struct amp_argument arguments[2];

        snprintf(body, sizeof(body), "j:%s", text);
        arguments[0] = (struct amp_argument){(uint8_t *)body, strlen(body)};
        arguments[1] = *id;
        assert_int_equal(amp_encode(&out, arguments, 2), 0);
        assert_int_equal(send(lab->pm2.peer, out.data, out.size, MSG_NOSIGNAL), (ssize_t)out.size);
        free(text);
        json_decref(reply);
}

static void serve(struct lab *lab, const struct amp_message *message)
{
        cleanup_json json_t *call = NULL;
        json_t *args, *env;

        assert_int_equal(pm2_json_parse(&call, (const char *)message->arguments[0].bytes + 2,
                                        message->arguments[0].size - 2, NULL),
                         0);
        args = json_object_get(call, "args");
        if (strcmp(json_text(call, "method"), "deleteProcessId") == 0) {
                say(lab, NULL, json_integer_value(json_array_get(args, 0)));
                answer(lab, json_pack("{s:[{}]}", "args"), &message->arguments[1]);
                return;
        }
        assert_string_equal(json_text(call, "method"), "prepare");
        env = json_array_get(args, 0);
        assert_string_equal(json_text(env, "status"), "stopped");
        assert_null(json_object_get(env, "pm_pid_path")); /* of no app here: PM2 unlinks what stands there */
        if (text_equal(json_text(env, "name"), lab->refuse)) {
                answer(lab, json_pack("{s:s}", "error", "no room"), &message->arguments[1]);
                return;
        }
        if (lab->prepared++ == lab->intruder_at)
                lab->next_id += lab->intruders;
        say(lab, json_text(env, "name"), lab->next_id);
        answer(lab, json_pack("{s:[[{s:{s:I}}]]}", "args", "pm2_env", "pm_id", (json_int_t)lab->next_id++),
               &message->arguments[1]);
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
        buffer_clear(&lab->in);
        pm2_refused_clear(&lab->refused);
        free(lab);
        return 0;
}

static void on_registered(void *userdata, int r, const enum pm2_entry *entries, const struct error *error)
{
        struct lab *lab = userdata;

        lab->ended = true;
        lab->result = r;
        for (size_t i = 0; i < lab->count; i++)
                lab->entries[i] = entries[i];
}

static void run(struct lab *lab, const char *wanted, const char *live)
{
        const struct pm2_plan_options options = {.refused = &lab->refused};
        struct pm2_list a = list_of(wanted), b = list_of(live);
        struct pm2_plan plan = {0};
        pm2_register *object = NULL;

        lab->count = a.count;
        assert_int_equal(pm2_plan_make(&plan, &a, &b, &options), 0);
        assert_int_equal(pm2_register_new(&object, lab->pm2.client, &a, &plan, &options, &lab->refused,
                                          5000000, NULL, on_registered, lab),
                         0);
        while (!lab->ended)
                assert_true(sd_event_run(lab->pm2.event, 5000000) > 0);
        pm2_register_free(object);
        pm2_plan_clear(&plan);
        pm2_list_clear(&a);
        pm2_list_clear(&b);
}

#define ONLINE(id)  APP(id, "app" #id, "online", "")
#define STOPPED(id) APP(id, "app" #id, "stopped", "")

static void test_gaps(void **state)
{
        struct lab *lab = *state;

        run(lab, "[" ONLINE(0) "," STOPPED(3) "]", "[]");
        assert_int_equal(lab->result, 0);
        assert_string_equal(lab->said, "app0@0 muster-filler@1 muster-filler@2 app3@3 -2 -1 ");
        assert_int_equal(lab->entries[0], PM2_ENTRY_PLAIN);
        assert_int_equal(lab->entries[1], PM2_ENTRY_PLAIN);
}

/* The list was empty, and is not any more: nothing is taken for registered that stands elsewhere. */
static void test_somebody_else(void **state)
{
        struct lab *lab = *state;

        lab->intruder_at = 1;
        lab->intruders = 1;
        run(lab, "[" ONLINE(0) "," ONLINE(1) "," ONLINE(2) "]", "[]");
        assert_int_equal(lab->result, -EAGAIN);
}

/* Where apps stay, the first answer tells the sequence; what it has passed is put there otherwise. */
static void test_unknown_sequence(void **state)
{
        struct lab *lab = *state;

        lab->next_id = 7; /* up to 6 were there once */
        run(lab,
            "[" ONLINE(0) "," ONLINE(1) "," STOPPED(2) "," ONLINE(5) "," APP(
                    9, "app9", "online", ",\"watch\":true") "," ONLINE(10) "]",
            "[" ONLINE(0) "," ONLINE(4) "]");
        assert_int_equal(lab->result, 0);
        assert_string_equal(lab->said, "app1@7 muster-filler@8 app9@9 app10@10 -8 -7 ");
        assert_int_equal(lab->entries[0], PM2_ENTRY_NONE);
        assert_int_equal(lab->entries[1], PM2_ENTRY_PLACE);
        assert_int_equal(lab->entries[2], PM2_ENTRY_PARK);
        assert_int_equal(lab->entries[3], PM2_ENTRY_PLACE);
        assert_int_equal(lab->entries[4], PM2_ENTRY_PLACE); /* for its watcher */
        assert_int_equal(lab->entries[5], PM2_ENTRY_PLAIN);
}

/* Its place is a gap then, and the others get their ids. */
static void test_one_is_refused(void **state)
{
        struct lab *lab = *state;

        lab->refuse = "app1";
        run(lab, "[" ONLINE(0) "," ONLINE(1) "," ONLINE(2) "]", "[]");
        assert_int_equal(lab->result, -EAGAIN);
        assert_non_null(strstr(pm2_refused_reason(&lab->refused, 1), "no room"));
        assert_null(pm2_refused_reason(&lab->refused, 2));
        lab->said_size = 0;
        lab->next_id = 0;
        lab->ended = false;
        run(lab, "[" ONLINE(0) "," ONLINE(1) "," ONLINE(2) "]", "[]");
        assert_int_equal(lab->result, 0);
        assert_string_equal(lab->said, "app0@0 muster-filler@1 app2@2 -1 ");
        assert_int_equal(lab->entries[1], PM2_ENTRY_NONE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_gaps, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_somebody_else, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_is_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unknown_sequence, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
