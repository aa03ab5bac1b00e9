/* A run of the incident's fleet under hand: inputs by the test, effects kept, and after each input two things
 * checked that always hold: the run is sound, and its journal (as JSON, read again) folds into the same. */
#pragma once

#include "controller/core/run.h"
#include "tests/unit/controller/core/fleet.h"

#define LAB_EVENTS 4096

struct lab {
        struct incident in;
        run *run;
        char *plan_json;
        char *journal[LAB_EVENTS];
        size_t events;
        struct run_effects effects; /* of the last input */
        uint64_t now_us;
        struct error error;
        unsigned boots;
};

static inline run *lab_refold(struct lab *lab)
{
        struct error error = {0};
        struct plan *plan;
        run *folded;

        assert_int_equal(plan_from_json(&plan, lab->plan_json, &error), 0);
        assert_int_equal(run_new(&folded, "r1", plan, lab->now_us, &error), 0);
        for (size_t i = 0; i < lab->events; i++) {
                struct run_event event;

                if (run_event_from_json(&event, lab->journal[i], &error) < 0 ||
                    run_fold(folded, &event, &error) < 0)
                        fail_msg("event %zu: %s: %s", i + 1, error.text, lab->journal[i]);
        }
        return folded;
}

static inline void lab_check(struct lab *lab)
{
        run *folded = lab_refold(lab);

        if (run_check(lab->run, &lab->error) < 0 || run_check(folded, &lab->error) < 0)
                fail_msg("%s", lab->error.text);
        assert_int_equal(run_state(folded), run_state(lab->run));
        assert_int_equal(run_events(folded), run_events(lab->run));
        for (size_t i = 0; i < run_plan(lab->run)->step_count; i++) {
                struct step_view live, again;

                run_step(lab->run, i, &live);
                run_step(folded, i, &again);
                assert_int_equal(live.state, again.state);
                assert_int_equal(live.attempt, again.attempt);
                assert_string_equal(live.operation, again.operation);
        }
        run_free(folded);
}

static inline int lab_try(struct lab *lab, struct run_input input)
{
        int r;

        run_effects_clear(&lab->effects);
        memset(&lab->error, 0, sizeof(lab->error));
        input.now_us = lab->now_us;
        input.clock_us = 1700000000000000 + lab->now_us;
        r = run_apply(lab->run, &input, &lab->effects, &lab->error);
        for (size_t i = 0; i < lab->effects.count; i++) {
                struct run_effect *effect = &lab->effects.items[i];

                if (effect->kind != EFFECT_JOURNAL)
                        continue;
                assert_true(lab->events < LAB_EVENTS);
                assert_int_equal(effect->number, lab->events + 1);
                assert_int_equal(run_event_to_json(effect->event, &lab->journal[lab->events++]), 0);
        }
        lab_check(lab);
        return r;
}

static inline void lab_apply(struct lab *lab, struct run_input input)
{
        if (lab_try(lab, input) < 0)
                fail_msg("%s", lab->error.text);
}

static inline const char *lab_host(size_t host)
{
        return (const char *const[]){"db1", "db2", "app1"}[host];
}

static inline void lab_up(struct lab *lab, size_t host)
{
        lab_apply(lab, (struct run_input){.kind = INPUT_HOST_UP,
                                          .host = lab_host(host),
                                          .state = &lab->in.states[host]});
}
static inline void lab_changed(struct lab *lab, size_t host)
{
        lab_apply(lab, (struct run_input){.kind = INPUT_HOST_CHANGED,
                                          .host = lab_host(host),
                                          .state = &lab->in.states[host]});
}
static inline void lab_down(struct lab *lab, size_t host)
{
        lab_apply(lab, (struct run_input){.kind = INPUT_HOST_DOWN, .host = lab_host(host)});
}
static inline void lab_wait(struct lab *lab, uint64_t us)
{
        uint64_t until = lab->now_us + us;

        while (run_wake_us(lab->run) <= until) {
                assert_true(run_wake_us(lab->run) >= lab->now_us);
                lab->now_us = run_wake_us(lab->run);
                lab_apply(lab, (struct run_input){.kind = INPUT_TICK});
                assert_true(run_wake_us(lab->run) > lab->now_us); /* or it would spin */
        }
        lab->now_us = until;
}

static inline void lab_start_plan(struct lab *lab, enum plan_kind kind)
{
        struct plan *plan;

        assert_int_equal(incident_plan(&lab->in, kind, &plan, &lab->error), 0);
        assert_int_equal(plan_to_json(plan, &lab->plan_json), 0);
        lab->now_us = 1000 * USEC_PER_SEC;
        assert_int_equal(run_new(&lab->run, "r1", plan, lab->now_us, &lab->error), 0);
        for (size_t h = 0; h < HOSTS; h++)
                lab_up(lab, h);
        lab_apply(lab, (struct run_input){.kind = INPUT_START, .user = "viktor", .seed = "0123456789abcdef"});
}

static inline void lab_start(struct lab *lab, enum plan_kind kind)
{
        memset(lab, 0, sizeof(*lab));
        incident_init(&lab->in);
        lab_start_plan(lab, kind);
}

static inline void lab_end(struct lab *lab)
{
        run_effects_clear(&lab->effects);
        run_free(lab->run);
        free(lab->plan_json);
        for (size_t i = 0; i < lab->events; i++)
                free(lab->journal[i]);
}

/* All steps, for a test that fails. */
static inline void lab_dump(struct lab *lab)
{
        for (size_t i = 0; i < run_plan(lab->run)->step_count; i++) {
                struct step_view view;

                run_step(lab->run, i, &view);
                print_error("%3zu %-28s %-10s %s\n", i, run_plan(lab->run)->steps[i].name,
                            step_state_name(view.state), view.text);
        }
}

static inline void assert_run(struct lab *lab, enum run_state state)
{
        if (run_state(lab->run) != state) {
                lab_dump(lab);
                fail_msg("the run is %s, not %s", run_state_name(run_state(lab->run)), run_state_name(state));
        }
}

/* --- steps by name --- */

static inline struct step_view lab_step(struct lab *lab, const char *name)
{
        struct step_view view;

        run_step(lab->run, (size_t)step_named(run_plan(lab->run), name), &view);
        return view;
}

static inline void assert_step(struct lab *lab, const char *name, enum step_state state)
{
        struct step_view view = lab_step(lab, name);

        if (view.state != state)
                fail_msg("'%s' is %s, not %s (%s)", name, step_state_name(view.state), step_state_name(state),
                         view.text);
}

static inline const struct run_effect *lab_effect(struct lab *lab, enum run_effect_kind kind,
                                                  const char *step)
{
        int index = step ? step_named(run_plan(lab->run), step) : -1;

        for (size_t i = 0; i < lab->effects.count; i++)
                if (lab->effects.items[i].kind == kind && (!step || lab->effects.items[i].step == index))
                        return &lab->effects.items[i];
        return NULL;
}

static inline struct operation_report lab_report_of(struct lab *lab, const char *step,
                                                    enum operation_state state, const char *text)
{
        struct step_view view = lab_step(lab, step);
        struct operation_report report = {.state = state};

        TEXT_COPY(report.id, view.operation);
        TEXT_COPY(report.text, text);
        return report;
}

static inline void lab_report(struct lab *lab, const char *step, enum operation_state state, const char *text)
{
        struct operation_report report = lab_report_of(lab, step, state, text);

        lab_apply(lab, (struct run_input){.kind = INPUT_REPORT,
                                          .operation = report.id,
                                          .reports = &report,
                                          .report_count = 1});
}

static inline void lab_done(struct lab *lab, const char *step)
{
        assert_step(lab, step, STEP_RUNNING);
        lab_report(lab, step, OPERATION_DONE, "done");
}

/* The ledger of a host answers a question about one step. UNKNOWN: it has never heard of it. */
static inline void lab_ledger(struct lab *lab, size_t host, const char *step, enum operation_state state)
{
        struct operation_report report = lab_report_of(lab, step, state, "by the ledger");

        lab_apply(lab, (struct run_input){.kind = INPUT_LEDGER,
                                          .host = lab_host(host),
                                          .asked = (const char(*)[ID_SIZE])report.id,
                                          .asked_count = 1,
                                          .reports = &report,
                                          .report_count = state == OPERATION_UNKNOWN ? 0 : 1});
}

static inline int lab_steer(struct lab *lab, enum steer_action action, const char *step, const char *why)
{
        return lab_try(lab, (struct run_input){.kind = INPUT_STEER,
                                               .action = action,
                                               .step = step ? step_named(run_plan(lab->run), step) : -1,
                                               .user = "viktor",
                                               .text = why});
}

/* --- the fleet's side --- */

static inline void lab_phase(struct lab *lab, size_t service, enum service_phase phase, uint64_t ready_for_ms)
{
        struct service_state *said = incident_said(&lab->in, service);

        said->phase = phase;
        said->ready_for_ms = ready_for_ms;
}

/* Another process than before: a new run_id, a new main process. */
static inline void lab_new_process(struct lab *lab, size_t service)
{
        struct service_state *said = incident_said(&lab->in, service);

        said->unit.main_pid += 1000;
        said->unit.active_enter_us++;
        if (said->kind == SERVICE_REDIS)
                snprintf(said->redis.run_id, sizeof(said->redis.run_id), "run-%zu-%u", service,
                         said->unit.main_pid);
        if (service == BDS)
                TEXT_COPY(incident_said(&lab->in, ROUTER)->redis.run_id, said->redis.run_id);
}

static inline void lab_new_life(struct lab *lab, size_t host)
{
        lab->in.states[host].host.uptime_ms = 500;
        for (size_t s = 0; s < SERVICES; s++)
                if (lab->in.services[s].host == host)
                        lab_new_process(lab, s);
}

static inline void lab_new_boot(struct lab *lab, size_t host)
{
        snprintf(lab->in.states[host].host.boot_id, ID_SIZE, "%032x", 0xb0070 + ++lab->boots);
        lab_new_life(lab, host);
}

static inline void lab_new_soft_boot(struct lab *lab, size_t host)
{
        char *id = lab->in.states[host].host.boot_id;

        snprintf(id + ID_SIZE - 1, BOOT_ID_SIZE - ID_SIZE, "+%u", ++lab->boots);
        lab_new_life(lab, host);
}

/* Everything of the run up to the reboots. */
static inline void lab_take_down(struct lab *lab)
{
        for (const char *const *step =
                     (const char *const[]){
                             "db1/bds redis.rewrite", "db1/geo tile38.shrink", "db2/bull00 redis.rewrite",
                             "db2/bull01 redis.rewrite", "db2/bull02 redis.rewrite", "app1/apps pm2.save",
                             "app1/apps pm2.stop", "app1/router unit.stop", "db1/bds-copy unit.stop",
                             "db1/geo unit.stop", "db2/bull00 unit.stop", "db2/bull01 unit.stop",
                             "db2/bull02 unit.stop", "db1/bds unit.stop", NULL};
             *step; step++)
                lab_done(lab, *step);
}

static inline void lab_reboot(struct lab *lab, size_t host)
{
        char step[64];

        snprintf(step, sizeof(step), "%s host.reboot", lab_host(host));
        lab_done(lab, step); /* says that it was begun; proves nothing */
        assert_step(lab, step, STEP_RUNNING);
        lab_down(lab, host);
        lab_new_boot(lab, host);
        lab_up(lab, host);
        assert_step(lab, step, STEP_DONE);
}

/* Instead of a host that is to reboot a machine with its key, which has been up for a day. */
static inline void lab_another_answers(struct lab *lab, size_t host)
{
        char step[STEP_NAME_SIZE];

        lab_down(lab, host);
        lab_new_boot(lab, host);
        lab->in.states[host].host.uptime_ms = 86400 * 1000;
        lab_up(lab, host);
        snprintf(step, sizeof(step), "%s host.reboot", lab_host(host));
        assert_step(lab, step, STEP_DOUBT);
}

/* The units of a host started, by the run or before it. */
static inline void lab_start_units(struct lab *lab, size_t host)
{
        for (size_t s = 0; s < APPS; s++) {
                char step[STEP_NAME_SIZE];

                snprintf(step, sizeof(step), "%s/%s unit.start", lab_host(host),
                         lab->in.services[s].spec.name);
                if (lab->in.services[s].host == host && lab_step(lab, step).state == STEP_RUNNING)
                        lab_done(lab, step);
        }
}

/* All units of every host, and what is ready said; then those that waited for another's gate. */
static inline void lab_bring_up_units(struct lab *lab)
{
        for (size_t h = 0; h < HOSTS; h++) {
                lab_start_units(lab, h);
                lab_changed(lab, h);
        }
        lab_start_units(lab, DB1); /* the replica, after its master's gate */
        lab_start_units(lab, APP1);
        for (size_t h = 0; h < HOSTS; h++)
                lab_changed(lab, h);
}

static inline void lab_bring_up(struct lab *lab)
{
        lab_bring_up_units(lab);
        lab_done(lab, "app1/apps pm2.restore");
        lab_done(lab, "app1/apps pm2.verify");
}

/* It loads, and is so far. */
static inline void lab_loading(struct lab *lab, size_t service, uint64_t done, uint64_t total)
{
        struct service_state *said = incident_said(&lab->in, service);

        lab_phase(lab, service, PHASE_LOADING, 0);
        said->progress_done = done;
        said->progress_total = total;
}

/* All is down and every host on a new boot. */
static inline void lab_reboot_all(struct lab *lab)
{
        lab_take_down(lab);
        for (size_t h = 0; h < HOSTS; h++)
                lab_reboot(lab, h);
}
