/* Runs out of the store: those that have not ended, when the controller starts; any, to be looked at. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "controller/runner_internal.h"

DEFINE_CLEANUP(run *, run_free);

struct folding {
        run *run;
        struct error *error;
};

static int fold_one(uint64_t number, uint64_t time_us, const char *json, void *userdata)
{
        struct folding *folding = userdata;
        struct run_event event;
        int r = run_event_from_json(&event, json, folding->error);

        if (r < 0)
                return error_prefix(folding->error, r, "run %s, event %llu of its journal",
                                    run_id(folding->run), (unsigned long long)number);
        if (number != run_events(folding->run) + 1)
                return error_set(folding->error, -EPROTO, "run %s: its journal has no event %llu",
                                 run_id(folding->run), (unsigned long long)run_events(folding->run) + 1);
        return run_fold(folding->run, &event, folding->error);
}

int runner_load(runner *runner, const char *id, run **ret, struct store_run *ret_stored, struct error *error)
{
        cleanup_with(run_freep) run *run = NULL;
        cleanup_free char *json = NULL;
        struct store_run stored;
        struct folding folding;
        struct plan *plan;
        int r = store_run_get(runner->store, id, &stored, &json);

        if (r < 0)
                return r == -ENOENT
                               ? error_set(error, r, "there is no run '%s'; 'muster run ls' lists them", id)
                               : r;
        r = plan_from_json(&plan, json, error);
        if (r < 0)
                return error_prefix(error, r, "run %s", id);
        r = run_new(&run, id, plan, runner_monotonic_us(runner), error);
        if (r < 0) {
                plan_free(plan);
                return r;
        }
        folding = (struct folding){run, error};
        r = store_journal_read(runner->store, id, 1, fold_one, &folding);
        if (r >= 0)
                r = run_check(run, error); /* or it would be acted on */
        if (r < 0)
                return r;
        if (ret_stored)
                *ret_stored = stored;
        *ret = TAKE(run);
        return 0;
}

/* What is wrong with one run, and not with the store or with us. */
static bool is_unreadable(int code)
{
        return code == -EPROTO || code == -EINVAL;
}

void summary_of(const run *run, struct run_summary *ret)
{
        const struct plan *plan = run_plan(run);

        *ret = (struct run_summary){
                .kind = plan->kind,
                .started_us = run_started_us(run),
                .finished_us = run_finished_us(run),
                .steps_done = (uint32_t)run_steps_settled(run),
                .steps_total = (uint32_t)plan->step_count,
        };
        text_copy_cut(ret->run, sizeof(ret->run), run_id(run));
        text_copy_cut(ret->scope, sizeof(ret->scope), plan->scope);
        text_copy_cut(ret->state, sizeof(ret->state), run_state_name(run_state(run)));
        text_copy_cut(ret->user, sizeof(ret->user), run_user(run));
        run_waiting_for(run, ret->waiting_for, sizeof(ret->waiting_for));
}

/* A run to be looked at: the live one, or *ret_stored, which is the caller's. */
static int look_at(runner *runner, const char *id, run **ret_stored, const run **ret)
{
        struct live *live = live_find(runner, id);
        int r = live ? 0 : runner_load(runner, id, ret_stored, NULL, NULL);

        *ret = live ? live->run : *ret_stored;
        return r;
}

int runner_left(runner *runner, const char *id, runner_step each, void *userdata)
{
        cleanup_with(run_freep) run *stored = NULL;
        const run *run;
        int r = look_at(runner, id, &stored, &run);

        for (size_t i = 0; r >= 0 && i < run_plan(run)->step_count; i++)
                if (run_step_is_left(run, i))
                        r = each(&run_plan(run)->steps[i], i, userdata);
        return r;
}

int runner_way_up(runner *runner, const char *id, run_line each, void *userdata, uint64_t *ret_low_us,
                  uint64_t *ret_high_us)
{
        cleanup_with(run_freep) run *stored = NULL;
        const run *run;
        int r = look_at(runner, id, &stored, &run);

        if (r < 0)
                return r;
        run_way_up_takes(run, ret_low_us, ret_high_us);
        return each ? run_way_up(run, each, userdata) : 0;
}

/* --- unfinished runs -------------------------------------------------------------------------------------
 */

struct unfinished {
        char (*ids)[NAME_SIZE];
        size_t count;
};

static int collect_unfinished(const struct store_run *run, void *userdata)
{
        struct unfinished *unfinished = userdata;
        char(*grown)[NAME_SIZE];

        if (!text_equal(run->state, "running"))
                return 0;
        grown = reallocarray(unfinished->ids, unfinished->count + 1, NAME_SIZE);
        if (!grown)
                return -ENOMEM;
        unfinished->ids = grown;
        text_copy_cut(unfinished->ids[unfinished->count++], NAME_SIZE, run->id);
        return 0;
}

/* One run that cannot be read does not keep all others, and the fleet, without their controller: it keeps its
 * hosts until a person lets go of them. */
static int leave_unreadable(const char *id, int code, const struct error *error)
{
        if (!is_unreadable(code))
                return code;
        log_error(
                "run %s cannot be read and is left alone: %s; its hosts stay locked until 'muster run abort "
                "%s'",
                id, error_text(error, code), id);
        return 0;
}

static int resume_one(runner *runner, const char *id, struct error *error)
{
        struct run_input tick = {.kind = INPUT_TICK};
        cleanup_with(run_freep) run *run = NULL;
        struct live *live;
        int r = runner_load(runner, id, &run, NULL, error);

        if (r < 0)
                return leave_unreadable(id, r, error);
        /* The run, its first event and its end are each written in one turn: these cannot be apart. */
        if (run_events(run) == 0 || run_finished(run)) {
                r = error_set(error, -EPROTO, "run %s: its journal does not fit its state", id);
                return leave_unreadable(id, r, error);
        }
        log_info("run %s goes on: %llu events, %zu of %zu steps settled", id,
                 (unsigned long long)run_events(run), run_steps_settled(run), run_plan(run)->step_count);
        r = live_add(runner, run, &live);
        if (r < 0)
                return r;
        run = NULL;
        r = live_feed_hosts(live);
        return r < 0 ? r : live_feed(live, &tick, error);
}

int runner_resume(runner *runner, struct error *error)
{
        struct unfinished unfinished = {0};
        int r = store_run_list(runner->store, SIZE_MAX, collect_unfinished, &unfinished);

        for (size_t i = 0; i < unfinished.count && r >= 0; i++)
                r = resume_one(runner, unfinished.ids[i], error);
        free(unfinished.ids);
        return r;
}

/* --- looking ---------------------------------------------------------------------------------------------
 */

static int take_newest(const struct store_run *run, void *userdata)
{
        text_copy_cut(userdata, NAME_SIZE, run->id);
        return 0;
}

/* What the store alone says of a run that cannot be read. */
static void summary_of_stored(const struct store_run *stored, const char *why, struct run_summary *ret)
{
        bool is_open = text_equal(stored->state, "running");
        char line[3 * TEXT_SIZE];

        *ret = (struct run_summary){
                .kind = text_equal(stored->kind, plan_kind_name(PLAN_REBOOT)) ? PLAN_REBOOT : PLAN_RESTART,
                .started_us = stored->started_us,
                .finished_us = stored->finished_us,
        };
        text_copy_cut(ret->run, sizeof(ret->run), stored->id);
        text_copy_cut(ret->scope, sizeof(ret->scope), stored->scope);
        text_copy_cut(ret->state, sizeof(ret->state), is_open ? "unreadable" : stored->state);
        text_copy_cut(ret->user, sizeof(ret->user), stored->user);
        snprintf(line, sizeof(line), "muster run abort %s lets go of its hosts. It cannot be read: %s",
                 stored->id, why);
        if (is_open)
                text_copy_cut(ret->waiting_for, sizeof(ret->waiting_for), line);
}

int runner_summary(runner *runner, const char *id, struct run_summary *ret)
{
        cleanup_with(run_freep) run *run = NULL;
        char newest[NAME_SIZE] = "";
        struct store_run stored;
        struct error error = {0};
        struct live *live;
        int r, unread;

        if (!id[0]) {
                r = store_run_list(runner->store, 1, take_newest, newest);
                if (r < 0 || !newest[0])
                        return r < 0 ? r : -ENOENT;
                id = newest;
        }
        live = live_find(runner, id);
        if (live) {
                summary_of(live->run, ret);
                return 0;
        }
        unread = runner_load(runner, id, &run, &stored, &error);
        if (unread < 0 && !is_unreadable(unread))
                return unread;
        r = store_run_get(runner->store, id, &stored, NULL);
        if (r < 0)
                return r;
        /* One that is neither live nor ended was left alone when the controller started. */
        if (unread < 0 || text_equal(stored.state, "running")) {
                summary_of_stored(
                        &stored,
                        unread < 0 ? error_text(&error, unread) : "its journal does not fit its state", ret);
                return 0;
        }
        summary_of(run, ret);
        text_copy_cut(ret->state, sizeof(ret->state), stored.state);
        return 0;
}
