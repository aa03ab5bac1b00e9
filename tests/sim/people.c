/* The person who looks after the run, and the one who pulls plugs. */
#include <string.h>

#include "tests/sim/sim.h"

/* Of one step by hand: what an earlier step left undone, and a budget forgave, no retry brings about. */
#define TRIES_MOST 50

/* Who has a reboot tried again asks for no second one while the first is seen to be under way; nobody but who
 * is told that it is in doubt knows better than to wait. */
static bool asks_for_another(const struct sim *sim, size_t host, const struct step_view *reboot)
{
        return reboot->state == STEP_DOUBT || (sim->hosts[host].up && !sim->hosts[host].stopping);
}

/* After an abort the run goes on over a reboot that is in doubt; where something else fails for it, a person
 * is told so, and says that this is the host. */
static bool settles_doubt(struct sim *sim, size_t host)
{
        struct step_view view;

        for (size_t i = 0; i < sim->plan->step_count; i++) {
                run_step(controller_run(sim), i, &view);
                if (sim->plan->steps[i].operation != OPERATION_HOST_REBOOT || view.state != STEP_DOUBT ||
                    view.blocks || fleet_host_find(&sim->fleet, sim->plan->steps[i].host) != (int)host)
                        continue;
                sim->has_skipped = true;
                controller_steer(sim, STEER_SKIP, (int)i);
                return true;
        }
        return false;
}

static void help_step(struct sim *sim, size_t index)
{
        const struct step *plan = &sim->plan->steps[index];
        int host = fleet_host_find(&sim->fleet, plan->host);
        int service = fleet_service_find(&sim->fleet, plan->service.name);
        struct step_view view;

        if (sim->hosts[host].lost) {
                sim_say(sim, "  a person switches h%d on", host);
                host_power_on(sim, (size_t)host);
        }
        if (plan->kind == STEP_GATE && service >= 0) {
                int behind = sim->fleet_services[service].same_as, master = sim->fleet_services[service].of;

                service_start(sim, (size_t)service);
                if (behind >= 0)
                        service_start(sim, (size_t)behind);
                if (master >= 0)
                        service_start(sim, (size_t)master);
        }
        if (plan->operation == OPERATION_PM2_VERIFY && sim->services[service].saved) {
                service_start(sim, (size_t)service); /* restores by hand what has gone since the restore */
                sim->services[service].apps = SIM_APPS;
        }
        run_step(controller_run(sim), index, &view);
        if (strstr(view.text, "it is in doubt whether what answers is") && settles_doubt(sim, (size_t)host))
                return;
        if ((sim->skips && sim_random(sim, 4) == 0) || view.attempt > TRIES_MOST) {
                sim->has_skipped = true;
                controller_steer(sim, STEER_SKIP, (int)index);
                return;
        }
        if (plan->operation == OPERATION_HOST_REBOOT && asks_for_another(sim, (size_t)host, &view))
                sim->hosts[host].reboots_asked = agent_reboots(sim, (size_t)host) + 1;
        controller_steer(sim, STEER_RETRY, (int)index);
}

/* The run may end on the way. */
static void help(struct sim *sim)
{
        struct step_view view;

        for (size_t i = 0; i < sim->plan->step_count && controller_run(sim); i++) {
                run_step(controller_run(sim), i, &view);
                if (view.blocks)
                        help_step(sim, i);
        }
}

static void looks(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        if (sim->controller.finished)
                return;
        sim_later(sim, sim_between(sim, 10, 900) * USEC_PER_SEC, looks, 0, 0, NULL);
        if (!sim->controller.alive)
                return;
        check_held(sim);
        for (size_t h = 0; h < sim->fleet.host_count; h++)
                if (sim->hosts[h].lost && sim->now_us > FAULTS_UNTIL)
                        host_power_on(sim, h);
        if (sim->impatient && sim_random(sim, 6) == 0) {
                sim->has_left |= sim->has_aborted || sim_random(sim, 8) == 0;
                sim->has_aborted = true;
                controller_steer(sim, sim->has_left ? STEER_LEAVE : STEER_ABORT, -1);
                return;
        }
        if (sim_random(sim, 8) == 0)
                check_lock(sim);
        if (run_state(controller_run(sim)) == RUN_PAUSED) {
                controller_steer(sim, STEER_RESUME, -1);
                help(sim);
        } else if (sim_random(sim, 20) == 0 && sim->now_us < FAULTS_UNTIL) {
                controller_steer(sim, STEER_PAUSE, -1);
        }
}

void people_begin(struct sim *sim)
{
        sim->impatient = sim_random(sim, 6) == 0;
        sim->skips = sim_random(sim, 10) == 0;
        sim->stale = sim_random(sim, 3) == 0;
        sim_later(sim, sim_between(sim, 10, 900) * USEC_PER_SEC, looks, 0, 0, NULL);
}

static void pulls(struct sim *sim, size_t host, uint64_t tag, void *data)
{
        struct sim_host *victim;

        if (sim->controller.finished || sim->now_us > FAULTS_UNTIL)
                return;
        sim_later(sim, sim_between(sim, 1, 60) * USEC_PER_SEC, pulls, 0, 0, NULL);
        host = sim_random(sim, sim->fleet.host_count);
        victim = &sim->hosts[host];
        if (victim->up && sim_fault(sim, sim->odds.power_cut))
                host_power_cut(sim, host, !sim_fault(sim, sim->odds.never_back));
        if (victim->link_alive && sim_fault(sim, sim->odds.link_cut)) {
                sim_say(sim, "! the link of h%zu is cut", host);
                link_cut(sim, host, sim_between(sim, 0, 15 * USEC_PER_SEC));
        }
        if (victim->link_alive && sim_fault(sim, sim->odds.one_way))
                link_cut_one_way(sim, host);
        if (victim->link_alive && sim_fault(sim, sim->odds.slow)) {
                sim_say(sim, "! h%zu is slow to hear and to answer", host);
                victim->slow_until_us = sim->now_us + sim_between(sim, 10, 600) * USEC_PER_SEC;
        }
        if (victim->agent_up && sim_fault(sim, sim->odds.agent_kill)) {
                sim_say(sim, "! the agent of h%zu is killed", host);
                agent_kill(sim, host, true);
        }
        if (sim_fault(sim, sim->odds.clock_jump)) {
                sim->clock_offset_us =
                        sim_random(sim, 2) ? 3600 * USEC_PER_SEC : 3650ull * 86400 * USEC_PER_SEC;
                sim_say(sim, "! the clock jumps");
        }
}

/* How hard the world is, and in which way, differs from seed to seed. */
void faults_begin(struct sim *sim)
{
        double *odds[] = {
                &sim->odds.crash,      &sim->odds.agent_kill,    &sim->odds.power_cut,
                &sim->odds.link_cut,   &sim->odds.lost_answer,   &sim->odds.doubled,
                &sim->odds.late,       &sim->odds.failed,        &sim->odds.service_crash,
                &sim->odds.stall,      &sim->odds.slow_shutdown, &sim->odds.never_back,
                &sim->odds.unreadable, &sim->odds.clock_jump,    &sim->odds.disk_full,
                &sim->odds.sync_fails, &sim->odds.ledger_full,   &sim->odds.one_way,
                &sim->odds.slow,       &sim->odds.held,          &sim->odds.slow_boot,
                &sim->odds.some_apps,
        };
        double *ends[] = {&sim->odds.crash, &sim->odds.disk_full, &sim->odds.sync_fails};
        static const double steps[] = {0, 0, 0.01, 0.05, 0.2};

        for (size_t i = 0; i < sizeof(odds) / sizeof(odds[0]); i++)
                *odds[i] = steps[sim_random(sim, sizeof(steps) / sizeof(steps[0]))];
        if (sim_random(sim, 20) == 0)
                sim->odds = (struct odds){0}; /* a fine day */
        if (sim->hasty)
                sim->odds.held = 0.4;
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
                if (*ends[i] > 0.05)
                        *ends[i] = 0.05;
        sim_later(sim, USEC_PER_SEC, pulls, 0, 0, NULL);
}
