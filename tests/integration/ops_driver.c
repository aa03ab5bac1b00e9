/* Does one operation as the agent would, for tests: the request comes from the command line, the result goes
 * to standard output line by line.
 *
 *   ops_driver KIND [unit=UNIT] [address=IP] [port=N] [socket=PATH] [boot-id=ID|this] [deadline=SECONDS]
 *              [noted=NAME=VALUE...]
 *
 * noted: what an earlier life wrote down before it began the work, whose fate is to be settled. OPS_FOLDER in
 * the environment is the agent's folder. Prints "noted NAME=VALUE", "progress DONE TOTAL TEXT",
 * "figure NAME VALUE" and "done TEXT", "failed ERRNO-NAME TEXT", "unsettled TEXT" or "deadline". Exit: 0
 * done, 1 failed, 2 usage, 3 the deadline came first and the operation was cancelled, 4 unsettled. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/op/op.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

struct driver {
        struct op op;
        int exit;
        unsigned ends;
};

static void on_progress(struct op *op, uint64_t done, uint64_t total, const char *text)
{
        printf("progress %" PRIu64 " %" PRIu64 " %s\n", done, total, text);
        fflush(stdout);
}

static int on_noted(struct op *op, struct error *error)
{
        for (size_t i = 0; i < op->noted_count; i++)
                printf("noted %s=%s\n", op->noted[i].name, op->noted[i].value);
        fflush(stdout);
        return 0;
}

static void on_finish(struct op *op, int result, const char *text)
{
        struct driver *driver = op->manager;

        if (op->state || ++driver->ends > 1) {
                fprintf(stderr, "ops_driver: the operation broke its contract\n");
                abort();
        }
        for (size_t i = 0; i < op->figure_count; i++)
                printf("figure %s %s\n", op->figures[i].name, op->figures[i].value);
        if (result < 0)
                printf("failed %s %s\n", strerrorname_np(-result), text);
        else
                printf("%s %s\n", result == OP_UNSETTLED ? "unsettled" : "done", text);
        driver->exit = result < 0 ? 1 : result == OP_UNSETTLED ? 4 : 0;
        /* What comes after the end shows in a sanitizer. */
        op->figure_count = 0;
        sd_event_exit(op->event, 0);
}

static int on_deadline(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct driver *driver = userdata;

        driver->op.type->cancel(&driver->op);
        if (driver->op.state) {
                fprintf(stderr, "ops_driver: a cancelled operation keeps its state\n");
                abort();
        }
        puts("deadline");
        driver->exit = 3;
        /* Whatever still calls back would do so in the turns that follow. */
        return sd_event_add_time_relative(driver->op.event, NULL, CLOCK_BOOTTIME, 300 * USEC_PER_MSEC, 1000,
                                          NULL, NULL);
}

static int set(struct operation_request *request, const struct boot *boot, const char *word)
{
        struct service_spec *service = &request->service;
        const char *value = strchr(word, '=');
        uint64_t number = 0;

        if (!value++)
                return -EINVAL;
        if (text_starts(word, "unit="))
                return TEXT_COPY(service->unit, value);
        if (text_starts(word, "address="))
                return TEXT_COPY(service->address, value);
        if (text_starts(word, "socket="))
                return TEXT_COPY(service->socket, value);
        if (text_equal(word, "boot-id=this"))
                return TEXT_COPY(request->boot_id, boot->id);
        if (text_starts(word, "boot-id="))
                return TEXT_COPY(request->boot_id, value);
        if (text_starts(word, "deadline="))
                return time_duration_parse(value, &request->deadline_us);
        if (!text_starts(word, "port=") || text_to_u64(value, &number) < 0 || number > UINT16_MAX)
                return -EINVAL;
        service->port = (uint16_t)number;
        return 0;
}

/* NAME=VALUE */
static int add_note(struct op *op, const char *word)
{
        const char *value = strchr(word, '=');

        if (!value || op->noted_count == FIGURE_MAX)
                return -EINVAL;
        snprintf(op->noted[op->noted_count].name, NAME_SIZE, "%.*s", (int)(value - word), word);
        return TEXT_COPY(op->noted[op->noted_count++].value, value + 1);
}

static int make_request(struct op *op, char **words, struct error *error)
{
        struct operation_request *request = &op->request;
        const struct operation_type *type = words[0] ? operation_type_named(words[0]) : NULL;

        if (!type)
                return error_set(error, -EINVAL, "unknown operation '%s'", words[0] ? words[0] : "");
        *request = (struct operation_request){.kind = type->kind, .deadline_us = type->deadline_us};
        for (unsigned kind = SERVICE_UNIT; kind <= SERVICE_PM2 && !request->service.kind; kind++)
                if (type->service_kinds & (1u << kind))
                        request->service.kind = (enum service_kind)kind;
        TEXT_COPY(request->id, "00000000000000000000000000000001");
        TEXT_COPY(request->service.name, "tested");
        TEXT_COPY(request->service.address, "127.0.0.1");
        for (words++; *words; words++)
                if ((text_starts(*words, "noted=") ? add_note(op, *words + 6)
                                                   : set(request, op->boot, *words)) < 0)
                        return error_set(error, -EINVAL, "cannot take '%s'", *words);
        return operation_request_check(request, error);
}

static int run(struct driver *driver, struct error *error)
{
        cleanup_with(sd_event_source_disable_unrefp) sd_event_source *timer = NULL;
        struct op *op = &driver->op;
        int r;

        r = sd_event_add_time_relative(op->event, &timer, CLOCK_BOOTTIME, op->request.deadline_us, 1000,
                                       on_deadline, driver);
        if (r < 0)
                return error_set(error, r, "cannot set the deadline");
        r = op->type->start(op, error);
        if (r < 0) {
                on_finish(op, r, error_text(error, r));
                return 0;
        }
        r = driver->ends ? 0 : sd_event_loop(op->event);
        return r < 0 ? error_set(error, r, "the loop failed") : 0;
}

int main(int argc, char **argv)
{
        cleanup_with(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        cleanup_with(sd_event_unrefp) sd_event *event = NULL;
        struct driver driver = {.exit = 2};
        struct error error = {0};
        struct boot boot = {.id = ""};
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        driver.op.boot = &boot;
        r = probe_boot(&boot, &error);
        if (r == 0)
                r = make_request(&driver.op, argv + 1, &error);
        if (r == 0)
                r = sd_event_new(&event);
        /* Where there is no bus, operations that need one say so. */
        if (r >= 0 && sd_bus_open_system(&bus) >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0) {
                driver.op.event = event;
                driver.op.bus = bus;
                driver.op.folder = getenv("OPS_FOLDER");
                if (!driver.op.folder)
                        driver.op.folder = "/var/lib/muster-agent";
                driver.op.type = op_type_find(driver.op.request.kind);
                driver.op.on_progress = on_progress;
                driver.op.on_finish = on_finish;
                driver.op.on_noted = on_noted;
                driver.op.manager = &driver;
                r = run(&driver, &error);
        }
        if (r < 0) {
                fprintf(stderr, "ops_driver: %s\n", error_text(&error, r));
                return 2;
        }
        return driver.exit;
}
