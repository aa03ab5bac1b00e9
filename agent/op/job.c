/* See job.h. The order of things: facts, then the match for JobRemoved, Subscribe (without it systemd sends
 * no signals), then the call. The bus keeps their order, so the signal of our job cannot be missed; should
 * the bus lose it all the same, the facts that are read each second show the end. */
#include "agent/op/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/unit_facts.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SYSTEMD       "org.freedesktop.systemd1"
#define SYSTEMD_PATH  "/org/freedesktop/systemd1"
#define MANAGER       SYSTEMD ".Manager"
#define CALL_USEC     (60 * USEC_PER_SEC)
#define WATCH_USEC    (1 * USEC_PER_SEC)
#define SILENT_MOST   5u /* facts in a row that could not be had */
#define SETTLED_LEAST 3u /* facts in a row without a job before the signal counts as lost */

struct unit_job {
        const struct unit_job_type *type;
        char unit[UNIT_SIZE];
        uint64_t begun_us;
        sd_bus_slot *match, *subscribe, *call;
        unit_facts *facts;
        sd_event_source *timer;
        char path[PATH_SIZE];    /* of our job; "" before the call was answered */
        char removed[PATH_SIZE]; /* the last job of this unit that ended, and how */
        char removed_result[NAME_SIZE];
        char result[NAME_SIZE]; /* of our job; "" while it runs */
        unsigned silent, settled;
};

static unit_job *unit_job_free(unit_job *job)
{
        if (!job)
                return NULL;
        sd_bus_slot_unref(job->match);
        sd_bus_slot_unref(job->subscribe);
        sd_bus_slot_unref(job->call);
        unit_facts_cancel(job->facts);
        sd_event_source_disable_unref(job->timer);
        free(job);
        return NULL;
}
DEFINE_CLEANUP(unit_job *, unit_job_free);

void unit_job_cancel(struct op *op)
{
        op->state = unit_job_free(op->state);
}

const char *unit_job_result_text(const char *result)
{
        static const struct {
                const char *result, *text;
        } table[] = {
                {"canceled", "its job was cancelled by another one"},
                {"timeout", "its job took longer than systemd allows"},
                {"failed", "its job failed"},
                {"dependency", "a unit that it needs failed"},
                {"skipped", "its job was skipped: it does not apply to this unit now"},
                {"invalid", "its job is not valid for this unit"},
                {"assert", "an assertion of the unit file did not hold"},
                {"unsupported", "this kind of unit is not supported here"},
                {"collected", "the unit was dropped while its job waited"},
                {"once", "it may be started only once"},
        };

        for (size_t i = 0; i < ELEMENTS(table); i++)
                if (text_equal(table[i].result, result))
                        return table[i].text;
        return result;
}

static void finish(struct op *op, int result, const char *text)
{
        op->state = unit_job_free(op->state);
        op_finish(op, result, "%s", text);
}

static void fail(struct op *op, int r, const char *what)
{
        char text[TEXT_SIZE * 2];

        snprintf(text, sizeof(text), "%s: %s", what, strerror(-r));
        finish(op, r, text);
}

static void add_figures(struct op *op, const struct unit_state *unit)
{
        const unit_job *job = op->state;

        if (job->result[0])
                op_figure(op, "job-result", "%s", job->result);
        op_figure(op, "active-state", "%s (%s)", unit->active_state, unit->sub_state);
        if (unit->result[0])
                op_figure(op, "unit-result", "%s", unit->result);
        if (unit->main_pid)
                op_figure(op, "main-pid", "%" PRIu32, unit->main_pid);
        if (job->type->figures)
                job->type->figures(op, unit, job->path[0] != '\0');
        op_figure(op, "seconds", "%.1f", (double)(time_monotonic_us() - job->begun_us) / USEC_PER_SEC);
}

/* --- after ---------------------------------------------------------------------------------------------- */

static int arm(struct op *op)
{
        const unit_job *job = op->state;
        int r = sd_event_source_set_time_relative(job->timer, WATCH_USEC);

        return r < 0 ? r : sd_event_source_set_enabled(job->timer, SD_EVENT_ONESHOT);
}

static void conclude(struct op *op, const struct unit_state *unit)
{
        const unit_job *job = op->state;
        char text[TEXT_SIZE * 2] = "";
        int r = job->type->after(unit, job->unit, job->result, text, sizeof(text));

        add_figures(op, unit);
        finish(op, r, text);
}

/* The signal was lost, and the unit is what it was to be. */
static void finish_by_facts(struct op *op, const struct unit_state *unit, const char *text)
{
        add_figures(op, unit);
        op_figure(op, "warning", "systemd did not say how its job ended; the unit's state does");
        finish(op, 0, text);
}

static bool between(const struct unit_state *unit)
{
        return text_equal(unit->active_state, "activating") ||
               text_equal(unit->active_state, "deactivating") || text_equal(unit->active_state, "reloading");
}

static void on_facts_after(int result, const struct unit_state *unit, void *userdata)
{
        struct op *op = userdata;
        unit_job *job = op->state;
        char took[32], text[TEXT_SIZE];
        int r;

        job->facts = NULL;
        if (result < 0 && ++job->silent >= SILENT_MOST) {
                fail(op, result, "systemd does not answer");
                return;
        }
        if (result == 0) {
                job->silent = 0;
                job->settled = job->path[0] && !between(unit) ? job->settled + 1 : 0;
                if (job->settled >= SETTLED_LEAST && !job->result[0] &&
                    job->type->after(unit, job->unit, "", text, sizeof(text)) == 0) {
                        finish_by_facts(op, unit, text);
                        return;
                }
                if (job->result[0]) {
                        conclude(op, unit);
                        return;
                }
                time_duration_text(took, sizeof(took), time_monotonic_us() - job->begun_us);
                op_progress(op, 0, 0, "%s (%s) for %s", unit->active_state, unit->sub_state, took);
        }
        r = arm(op);
        if (r < 0)
                fail(op, r, "cannot set a timer");
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct op *op = userdata;
        unit_job *job = op->state;
        int r;

        if (job->facts)
                return 0;
        r = unit_facts_ask(&job->facts, op->bus, job->unit, on_facts_after, op);
        if (r < 0)
                fail(op, r, "cannot ask systemd");
        return 0;
}

/* The job of that path ended: its result counts once the facts after it were read. */
static void job_ended(struct op *op, const char *result)
{
        unit_job *job = op->state;

        text_copy_cut(job->result, sizeof(job->result), result);
        /* Facts that were asked for before the end are not the facts after it. */
        job->facts = unit_facts_cancel(job->facts);
        on_timer(NULL, 0, op);
}

/* --- the call ------------------------------------------------------------------------------------------- */

static int on_removed(sd_bus_message *signal, void *userdata, sd_bus_error *unused)
{
        struct op *op = userdata;
        unit_job *job = op->state;
        const char *path, *unit, *result;
        uint32_t id;

        if (sd_bus_message_read(signal, "uoss", &id, &path, &unit, &result) < 0 || job->result[0])
                return 0;
        if (job->path[0] && text_equal(job->path, path)) {
                job_ended(op, result);
        } else if (!job->path[0] && text_equal(job->unit, unit)) {
                text_copy_cut(job->removed, sizeof(job->removed), path);
                text_copy_cut(job->removed_result, sizeof(job->removed_result), result);
        }
        return 0;
}

static int on_called(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct op *op = userdata;
        unit_job *job = op->state;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        char text[TEXT_SIZE * 2];
        const char *path;
        int r;

        if (error) {
                snprintf(text, sizeof(text), "systemd refused %s of %s: %s", job->type->method, job->unit,
                         error->message ? error->message : error->name);
                finish(op, -sd_bus_error_get_errno(error), text);
                return 0;
        }
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0) {
                fail(op, r, "systemd's answer cannot be read");
                return 0;
        }
        text_copy_cut(job->path, sizeof(job->path), path);
        if (text_equal(job->removed, job->path)) {
                job_ended(op, job->removed_result);
                return 0;
        }
        r = arm(op);
        if (r < 0)
                fail(op, r, "cannot set a timer");
        return 0;
}

/* A refusal of the match would make us wait for a signal that never comes. */
static int on_matched(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        if (error)
                fail(userdata, -sd_bus_error_get_errno(error),
                     "the bus refused to pass on systemd's signals");
        return 0;
}

/* An error here is "subscribed already", or will show in the call that follows. */
static int on_subscribed(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        return 0;
}

static int call_job(struct op *op)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL, *subscribe = NULL;
        unit_job *job = op->state;
        int r;

        r = sd_bus_match_signal_async(op->bus, &job->match, SYSTEMD, SYSTEMD_PATH, MANAGER, "JobRemoved",
                                      on_removed, on_matched, op);
        if (r >= 0)
                r = sd_bus_message_new_method_call(op->bus, &subscribe, SYSTEMD, SYSTEMD_PATH, MANAGER,
                                                   "Subscribe");
        if (r >= 0)
                r = sd_bus_call_async(op->bus, &job->subscribe, subscribe, on_subscribed, op, CALL_USEC);
        if (r >= 0)
                r = sd_bus_message_new_method_call(op->bus, &call, SYSTEMD, SYSTEMD_PATH, MANAGER,
                                                   job->type->method);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", job->unit, "replace");
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(call, 0);
        if (r >= 0)
                r = sd_bus_call_async(op->bus, &job->call, call, on_called, op, CALL_USEC);
        return r;
}

/* --- before --------------------------------------------------------------------------------------------- */

/* A stop that systemd may take longer over than the operation may: it will be told as not done. */
static void warn_of_timeout(struct op *op, const struct unit_state *unit)
{
        const unit_job *job = op->state;
        bool stops = text_equal(job->type->method, "StopUnit");
        uint64_t limit = stops ? unit->timeout_stop_us : unit->timeout_start_us;
        char text[32];

        if (limit <= op->request.deadline_us || limit == 0 || op->request.deadline_us == 0)
                return;
        time_duration_text(text, sizeof(text), limit);
        op_figure(op, "warning", "%s of the unit (%s) is longer than this operation may take",
                  stops ? "TimeoutStopSec" : "TimeoutStartSec", limit == UINT64_MAX ? "infinity" : text);
}

static void on_facts_before(int result, const struct unit_state *unit, void *userdata)
{
        struct op *op = userdata;
        unit_job *job = op->state;
        char text[TEXT_SIZE * 2] = "";
        struct error error = {0};
        int r;

        job->facts = NULL;
        if (result < 0) {
                fail(op, result, "systemd does not answer");
                return;
        }
        if (!unit->present) {
                snprintf(text, sizeof(text), "there is no unit %s on this host", job->unit);
                finish(op, -ENOENT, text);
                return;
        }
        r = job->type->before(unit, job->unit, text, sizeof(text), &error);
        if (r != 0) {
                add_figures(op, unit);
                finish(op, r < 0 ? r : 0, r < 0 ? error_text(&error, r) : text);
                return;
        }
        warn_of_timeout(op, unit);
        r = call_job(op);
        if (r < 0)
                fail(op, r, "cannot ask systemd");
}

int unit_job_begin(struct op *op, const struct unit_job_type *type, struct error *error)
{
        cleanup_with(unit_job_freep) unit_job *job = calloc(1, sizeof(*job));
        int r;

        if (!job)
                return -ENOMEM;
        if (!op->bus)
                return error_set(error, -ENOTCONN, "no system bus: is systemd running on this host?");
        if (!op->request.service.unit[0])
                return error_set(error, -EINVAL, "service %s has no unit", op->request.service.name);
        job->type = type;
        job->begun_us = time_monotonic_us();
        r = TEXT_COPY(job->unit, op->request.service.unit);
        if (r == 0)
                r = sd_event_add_time(op->event, &job->timer, CLOCK_BOOTTIME, UINT64_MAX, 10 * USEC_PER_MSEC,
                                      on_timer, op);
        if (r >= 0)
                r = sd_event_source_set_enabled(job->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = unit_facts_ask(&job->facts, op->bus, job->unit, on_facts_before, op);
        if (r < 0)
                return error_prefix(error, r, "cannot ask systemd about %s", job->unit);
        op->state = TAKE(job);
        return 0;
}
