/* The controller: its life, its turns and its ends. Runner and store are the shipped ones; a turn is whatever
 * one happening led to, its commit is the store's, and only then what was to be sent goes, one after the
 * other, with an end of the controller possible before and between. Within a turn nothing can be seen from
 * outside: to be killed there is to be killed before the commit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define REALTIME_US 1700000000000000ull

bool controller_announced(const struct sim *sim, const char *operation)
{
        for (size_t i = sim->controller.intent_count; i-- > 0;)
                if (text_equal(sim->controller.intents[i], operation))
                        return true;
        return false;
}

static struct live *live_run(const struct sim *sim)
{
        return sim->controller.alive ? live_find(sim->controller.runner, sim->controller.id) : NULL;
}

const run *controller_run(const struct sim *sim)
{
        const struct live *live = live_run(sim);

        return live ? live->run : sim->controller.ended;
}

bool controller_hears(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        if (!controller->alive)
                return false;
        controller->busy = true;
        if (controller->finished)
                return true;
        controller->heard_us = sim->now_us;
        if (++controller->inputs > INPUTS_MAX)
                sim_fail(sim, "%u inputs and no end", INPUTS_MAX);
        return true;
}

/* --- the runner's time --------------------------------------------------------------------------------- */

static uint64_t monotonic_us(void *userdata)
{
        return ((struct sim *)userdata)->now_us;
}

static uint64_t realtime_us(void *userdata)
{
        const struct sim *sim = userdata;

        return REALTIME_US + sim->now_us + sim->clock_offset_us;
}

static int wake_at(runner *runner, uint64_t at_us, void *userdata)
{
        struct sim *sim = userdata;
        struct sim_controller *controller = &sim->controller;

        controller->wake_us = at_us;
        return 0;
}

static void rings(struct sim *sim, size_t host, uint64_t life, void *data);

/* Sets the alarm, if none rings before. */
static void set_alarm(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        uint64_t at_us = controller->wake_us > sim->now_us ? controller->wake_us : sim->now_us;

        if (controller->wake_us == UINT64_MAX || controller->alarm_us <= at_us)
                return;
        controller->alarm_us = at_us;
        sim_later(sim, at_us - sim->now_us, rings, 0, controller->life, NULL);
}

static void rings(struct sim *sim, size_t host, uint64_t life, void *data)
{
        struct sim_controller *controller = &sim->controller;

        if (controller->life != life || !controller->alive || sim->now_us < controller->alarm_us)
                return;
        controller->alarm_us = UINT64_MAX;
        if (controller->wake_us > sim->now_us) {
                set_alarm(sim);
        } else if (controller_hears(sim)) {
                controller->wake_us = UINT64_MAX;
                runner_wake(controller->runner);
                if (controller->wake_us <= sim->now_us)
                        sim_fail(sim, "it would wake up for ever");
        }
}

static void ends(int code, void *userdata)
{
        sim_fail(userdata, "the controller gives up: %s", strerror(-code));
}

static bool has_ended(void *userdata)
{
        return false;
}

/* --- the journal, as it is read back ------------------------------------------------------------------- */

static int note_event(uint64_t number, uint64_t time_us, const char *json, void *userdata)
{
        struct sim *sim = userdata;
        struct sim_controller *controller = &sim->controller;
        struct error error = {0};
        struct run_event event;
        size_t count = controller->intent_count + controller->intents_new;

        if (number != controller->durable + controller->events_new + 1)
                sim_fail(sim, "event %llu follows event %llu", (unsigned long long)number,
                         (unsigned long long)(controller->durable + controller->events_new));
        if (number > SIM_JOURNAL)
                sim_fail(sim, "the journal does not end");
        if (run_event_from_json(&event, json, &error) < 0)
                sim_fail(sim, "event %llu cannot be read: %s", (unsigned long long)number, error.text);
        controller->events_new++;
        controller->batches_new += event.kind == EVENT_BATCH;
        if (event.kind == EVENT_INTENT) {
                if (!controller->intents)
                        controller->intents = calloc(SIM_JOURNAL, sizeof(*controller->intents));
                if (!controller->intents)
                        abort();
                TEXT_COPY(controller->intents[count], event.operation);
                controller->intents_new++;
        }
        sim_say(sim, "%4llu %-8s %s", (unsigned long long)number, run_event_kind_name(event.kind),
                event.text);
        check_event(sim, &event);
        return 0;
}

/* What the store holds and was not there before: of this turn, or of the last one of the life before. */
static void read_journal(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        const struct live *live = live_run(sim);
        int r;

        if (!controller->id[0] || (live && run_events(live->run) == controller->durable))
                return;
        r = store_journal_read(controller->store, controller->id, controller->durable + 1, note_event, sim);
        if (r < 0)
                sim_fail(sim, "the journal cannot be read: %s", strerror(-r));
}

static void journal_is_durable(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        controller->durable += controller->events_new;
        controller->intent_count += controller->intents_new;
        for (; controller->batches_new > 0; controller->batches_new--)
                check_batch_begins(sim);
        controller->events_new = controller->intents_new = 0;
        controller->shown = controller->seen;
}

static void journal_is_lost(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        controller->events_new = controller->intents_new = controller->batches_new = 0;
        controller->seen = controller->shown;
}

/* --- watching ------------------------------------------------------------------------------------------ */

/* Whoever watches is shown every event, once and in order, over all lives of the controller. */
static void on_news(const struct run_news *news, void *userdata)
{
        struct sim *sim = userdata;

        if (news->event && news->event != ++sim->controller.seen)
                sim_fail(sim, "who watches was shown event %llu in place of event %llu",
                         (unsigned long long)news->event, (unsigned long long)sim->controller.seen);
}

static void watch(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        if (runner_watch(controller->runner, controller->id, controller->shown + 1, on_news, sim,
                         &controller->watch) < 0)
                sim_fail(sim, "the run cannot be watched");
}

/* --- life and death ------------------------------------------------------------------------------------ */

static void rises(struct sim *sim, size_t host, uint64_t tag, void *data);

static void start_run(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        struct error error = {0};
        struct plan *plan;

        if (plan_from_json(&plan, controller->plan_json, &error) < 0 ||
            runner_start(controller->runner, &plan, "sim", controller->id, &error) < 0)
                sim_fail(sim, "the run cannot be begun: %s", error.text);
}

static int take_newest(const struct store_run *run, void *userdata)
{
        text_copy_cut(userdata, NAME_SIZE, run->id);
        return 0;
}

/* What the store holds when the controller begins is what it committed, and no less. */
static void look_into_store(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        uint64_t known = controller->durable;

        controller->id[0] = '\0';
        if (store_run_list(controller->store, 1, take_newest, controller->id) < 0)
                sim_fail(sim, "the store cannot be read");
        read_journal(sim);
        journal_is_durable(sim);
        if (controller->life > 0)
                sim_say(sim, "  the controller is up again, %llu events",
                        (unsigned long long)controller->durable);
        if (known > 0 && !controller->id[0])
                sim_fail(sim, "the run is lost");
}

/* False: its disk fails already. */
static bool open_store(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        bool fails = sim_fault(sim, sim->odds.sync_fails);
        struct error error = {0};
        int r;

        disk_set(false, fails);
        r = store_open(&controller->store, disk_path, &error);
        disk_set(false, false);
        if (r < 0 && !fails)
                sim_fail(sim, "the store cannot be opened: %s", error.text);
        if (r < 0)
                sim_say(sim, "! the controller cannot begin: an fsync fails");
        return r == 0;
}

static void check_taken_up(struct sim *sim)
{
        const struct sim_controller *controller = &sim->controller;
        const run *run = live_run(sim)->run;

        if (controller->finished)
                sim_fail(sim, "a run that has ended is taken up again");
        if (run_events(run) < controller->durable)
                sim_fail(sim, "%llu events were committed, and %llu are there",
                         (unsigned long long)controller->durable, (unsigned long long)run_events(run));
}

/* Without room for the journal it waits, lets nobody in and begins nothing. */
static void rises(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        struct sim_controller *controller = &sim->controller;
        struct runner_time time = {monotonic_us, realtime_us, wake_at, ends, has_ended, NULL, sim};
        struct error error = {0};
        int r;

        if (sim->now_us < controller->full_until_us || !open_store(sim)) {
                uint64_t left_us = controller->full_until_us > sim->now_us
                                           ? controller->full_until_us - sim->now_us
                                           : USEC_PER_SEC;

                sim_later(sim, left_us, rises, 0, 0, NULL);
                return;
        }
        look_into_store(sim);
        controller->alive = controller->busy = true;
        controller->life++;
        controller->wake_us = controller->alarm_us = UINT64_MAX;
        controller->agents.sim = sim;
        r = runner_new_in(&controller->runner, &time, controller->store, &controller->agents, &error);
        if (r < 0)
                sim_fail(sim, "the controller cannot begin: %s", error_text(&error, r));
        if (!controller->id[0])
                start_run(sim);
        else if (live_run(sim))
                check_taken_up(sim);
        watch(sim);
}

void controller_kill(struct sim *sim, const char *when)
{
        struct sim_controller *controller = &sim->controller;
        bool power = sim_random(sim, 3) == 0;

        sim_say(sim, "! the controller %s %s", power ? "and its host lose power" : "is killed", when);
        disk_off(true);
        controller->runner = runner_free(controller->runner);
        calls_end(sim, SIZE_MAX);
        controller->calls_used = 0;
        controller->store = store_close(controller->store);
        disk_off(false);
        disk_set(false, false);
        if (power)
                disk_lose(sim);
        journal_is_lost(sim);
        controller->alive = controller->busy = false;
        controller->crashes++;
        for (size_t h = 0; h < sim->fleet.host_count; h++) {
                sim->hosts[h].link_drains = sim->hosts[h].link_alive && sim_random(sim, 2);
                link_cut(sim, h, 0);
                sim->hosts[h].link_open = sim->hosts[h].introduced = false;
                sim->hosts[h].boot_is_heard = false;
        }
        sim_later(sim, sim_between(sim, USEC_PER_SEC / 10, 60 * USEC_PER_SEC), rises, 0, 0, NULL);
}

/* --- a turn -------------------------------------------------------------------------------------------- */

/* False: the disk failed, and the controller has ended with nothing of the turn sent. Of a write that could
 * not be synced, what the next life reads is there or it is not: all of a turn, or nothing. */
static bool commit(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        bool writes = controller->events_new > 0;
        bool full = writes && sim_fault(sim, sim->odds.disk_full);
        bool unsynced = !full && writes && sim_fault(sim, sim->odds.sync_fails);
        struct error error = {0};
        int r;

        disk_set(full, unsynced);
        r = store_commit(controller->store, &error);
        disk_set(false, false);
        if (r == 0 && (full || unsynced))
                sim_fail(sim, "a commit that could not reach the disk is called done");
        if (r < 0 && !full && !unsynced)
                sim_fail(sim, "the store fails: %s", error.text);
        if (r == 0)
                journal_is_durable(sim);
        if (full)
                controller->full_until_us = sim->now_us + sim_between(sim, 1, 1200) * USEC_PER_SEC;
        if (unsynced && sim_random(sim, 2))
                disk_lose(sim);
        if (r < 0)
                controller_kill(sim, full ? "by a disk that is full" : "by an fsync that fails");
        return r == 0;
}

static void send_all(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        for (size_t i = 0; i < controller->calls_used; i++) {
                if (!controller->calls[i].queued)
                        continue;
                if (controller->finished)
                        sim_fail(sim, "something is sent by a run that has ended");
                if (sim_fault(sim, sim->odds.crash)) {
                        controller_kill(sim, "between its commit and a send");
                        return;
                }
                calls_post(sim, &controller->calls[i]);
        }
}

static bool has_queued(const struct sim *sim)
{
        for (size_t i = 0; i < sim->controller.calls_used; i++)
                if (sim->controller.calls[i].queued)
                        return true;
        return false;
}

void controller_turn_ends(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;
        const struct live *live = live_run(sim);
        struct error error = {0};

        if (!controller->alive || !controller->busy)
                return;
        controller->busy = false;
        if (live && run_check(live->run, &error) < 0)
                sim_fail(sim, "%s", error.text);
        if (!controller->finished)
                read_journal(sim);
        if ((controller->events_new > 0 || has_queued(sim)) && sim_fault(sim, sim->odds.crash)) {
                controller_kill(sim, "before its commit");
                return;
        }
        if (!commit(sim))
                return;
        if (!live && !controller->finished) {
                controller->finished = true;
                if (runner_load(controller->runner, controller->id, &controller->ended, NULL, &error) < 0)
                        sim_fail(sim, "the run that has ended cannot be read: %s", error.text);
        }
        send_all(sim);
        if (!controller->alive)
                return;
        set_alarm(sim);
        live = live_run(sim);
        if (live && run_wake_us(live->run) < controller->alarm_us && sim->now_us < controller->alarm_us)
                sim_fail(sim, "the run waits for a time at which nobody wakes it");
}

/* --- from outside -------------------------------------------------------------------------------------- */

void controller_steer(struct sim *sim, enum steer_action action, int step)
{
        struct sim_controller *controller = &sim->controller;
        struct error error = {0};
        int r;

        if (!controller_hears(sim))
                return;
        r = runner_steer(controller->runner, controller->id, action, step, "person", "by hand", &error);
        if (r < 0 && r != -EINVAL)
                sim_fail(sim, "steering: %s", error_text(&error, r));
        if (r == 0 && controller->finished)
                sim_fail(sim, "a run that has ended is steered");
}

void controller_begin(struct sim *sim, struct plan *plan)
{
        if (plan_to_json(plan, &sim->controller.plan_json) < 0)
                abort();
        sim->plan = plan;
        disk_new();
        rises(sim, 0, 0, NULL);
}

void controller_clear(struct sim *sim)
{
        struct sim_controller *controller = &sim->controller;

        disk_off(true);
        runner_free(controller->runner);
        if (controller->alive)
                calls_end(sim, SIZE_MAX);
        store_close(controller->store);
        run_free(controller->ended);
        plan_free(sim->plan);
        free(controller->plan_json);
        free(controller->intents);
}
