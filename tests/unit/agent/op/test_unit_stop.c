/* What unit.stop tells of a unit that was killed, by a systemd that is made up at the other end of a socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "agent/op/op.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define JOB     "/org/freedesktop/systemd1/job/7"

struct stage {
        struct op op;
        sd_event *event;
        sd_bus *bus, *systemd;
        const char *active, *result; /* of the unit */
        unsigned stops;              /* jobs that were asked for */
        int end;                     /* 2: not yet */
        char text[TEXT_SIZE * 2];
};

static int append(sd_bus_message *reply, const char *name, const char *value)
{
        return sd_bus_message_append(reply, "{sv}", name, "s", value);
}

static int tell_properties(struct stage *stage, sd_bus_message *call)
{
        sd_bus_message *reply = NULL;
        const char *interface;

        assert_true(sd_bus_message_read(call, "s", &interface) > 0);
        assert_true(sd_bus_message_new_method_return(call, &reply) >= 0);
        assert_true(sd_bus_message_open_container(reply, 'a', "{sv}") >= 0);
        if (text_equal(interface, SYSTEMD ".Unit")) {
                assert_true(append(reply, "LoadState", "loaded") >= 0);
                assert_true(append(reply, "ActiveState", stage->active) >= 0);
        } else {
                assert_true(append(reply, "Result", stage->result) >= 0);
        }
        assert_true(sd_bus_message_close_container(reply) >= 0);
        assert_true(sd_bus_send(NULL, reply, NULL) >= 0);
        sd_bus_message_unref(reply);
        return 1;
}

/* The unit does not end by itself, and is killed. */
static int stop(struct stage *stage, sd_bus_message *call)
{
        sd_bus_message *signal = NULL;

        stage->stops++;
        stage->active = "failed";
        stage->result = "timeout";
        assert_true(sd_bus_reply_method_return(call, "o", JOB) >= 0);
        assert_true(sd_bus_message_new_signal(stage->systemd, &signal, "/org/freedesktop/systemd1",
                                              SYSTEMD ".Manager", "JobRemoved") >= 0);
        assert_true(sd_bus_message_append(signal, "uoss", 7, JOB, "geo.service", "done") >= 0);
        assert_true(sd_bus_message_set_sender(signal, SYSTEMD) >= 0);
        assert_true(sd_bus_send(NULL, signal, NULL) >= 0);
        sd_bus_message_unref(signal);
        return 1;
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        struct stage *stage = userdata;

        if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "GetAll"))
                return tell_properties(stage, call);
        if (sd_bus_message_is_method_call(call, SYSTEMD ".Manager", "Subscribe"))
                return sd_bus_reply_method_return(call, "") < 0 ? -EIO : 1;
        if (sd_bus_message_is_method_call(call, SYSTEMD ".Manager", "StopUnit"))
                return stop(stage, call);
        return 0;
}

static void on_progress(struct op *op, uint64_t done, uint64_t total, const char *text)
{
}

static void on_finish(struct op *op, int result, const char *text)
{
        struct stage *stage = op->manager;

        stage->end = result;
        text_copy_cut(stage->text, sizeof(stage->text), text);
        sd_event_exit(stage->event, 0);
}

static sd_bus *end_of(struct stage *stage, int fd, bool is_server)
{
        sd_bus *bus = NULL;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        if (is_server)
                assert_true(sd_bus_set_server(bus, 1, (sd_id128_t){.bytes = {1}}) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_attach_event(bus, stage->event, 0) >= 0);
        return bus;
}

static const char *figure(const struct stage *stage, const char *name)
{
        for (size_t i = 0; i < stage->op.figure_count; i++)
                if (text_equal(stage->op.figures[i].name, name))
                        return stage->op.figures[i].value;
        return "";
}

static void stop_a_unit(struct stage *stage, const char *active, const char *result)
{
        struct error error = {0};
        int fds[2];

        *stage = (struct stage){.active = active, .result = result, .end = 2};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_true(sd_event_new(&stage->event) >= 0);
        stage->systemd = end_of(stage, fds[0], true);
        assert_true(sd_bus_add_filter(stage->systemd, NULL, on_call, stage) >= 0);
        stage->bus = end_of(stage, fds[1], false);
        stage->op = (struct op){.event = stage->event,
                                .bus = stage->bus,
                                .type = op_type_find(OPERATION_UNIT_STOP),
                                .on_progress = on_progress,
                                .on_finish = on_finish,
                                .manager = stage};
        stage->op.request.kind = OPERATION_UNIT_STOP;
        stage->op.request.deadline_us = 60 * USEC_PER_SEC;
        TEXT_COPY(stage->op.request.service.name, "geo");
        TEXT_COPY(stage->op.request.service.unit, "geo.service");
        assert_int_equal(stage->op.type->start(&stage->op, &error), 0);
        assert_true(sd_event_loop(stage->event) >= 0);
        assert_int_equal(stage->end, 0);
}

static void stage_end(struct stage *stage)
{
        sd_bus_detach_event(stage->bus);
        sd_bus_detach_event(stage->systemd);
        sd_bus_close_unref(stage->bus);
        sd_bus_close_unref(stage->systemd);
        sd_event_unref(stage->event);
}

static void one_that_its_stop_killed_is_told(void **state)
{
        struct stage stage;

        stop_a_unit(&stage, "active", "success");
        assert_int_equal(stage.stops, 1);
        assert_non_null(strstr(stage.text, "has stopped, but ended as failed (timeout"));
        assert_string_equal(figure(&stage, "killed"), "timeout");
        assert_string_equal(figure(&stage, "killed-before"), "");
        stage_end(&stage);
}

/* Nobody asked it to end: whatever killed it was no stop of this operation's. */
static void one_that_was_killed_before_is_another_matter(void **state)
{
        struct stage stage;

        stop_a_unit(&stage, "failed", "oom-kill");
        assert_int_equal(stage.stops, 0);
        assert_non_null(strstr(stage.text, "was not running: it had failed (oom-kill)"));
        assert_string_equal(figure(&stage, "killed"), "");
        assert_string_equal(figure(&stage, "killed-before"), "oom-kill");
        stage_end(&stage);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_that_its_stop_killed_is_told),
                cmocka_unit_test(one_that_was_killed_before_is_another_matter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
