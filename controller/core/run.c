/* Runs as objects: made from a plan, looked at, told about. See run.h; run_fold.c reads the journal,
 * run_apply.c and its helpers decide. */
#include "controller/core/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/forecast.h"
#include "controller/core/run_internal.h"

run *run_free(run *run)
{
        if (!run)
                return NULL;
        plan_free(run->plan);
        for (size_t s = 0; run->services && s < run->service_count; s++)
                free(run->services[s].eta);
        for (size_t h = 0; run->hosts && h < run->host_count; h++) {
                host_note_clear(&run->hosts[h].before);
                host_note_clear(&run->hosts[h].now);
        }
        free(run->hosts);
        free(run->services);
        free(run->steps);
        free(run->first_later);
        free(run->later);
        free(run->awake);
        free(run);
        return NULL;
}
DEFINE_CLEANUP(run *, run_free);

static int compare_hosts(const void *a, const void *b)
{
        return strcmp(((const struct run_host *)a)->name, ((const struct run_host *)b)->name);
}

static int compare_services(const void *a, const void *b)
{
        const struct run_service *left = a, *right = b;

        if (left->host != right->host)
                return left->host < right->host ? -1 : 1;
        return strcmp(left->name, right->name);
}

int run_host_find(const run *run, const char *name)
{
        struct run_host key = {0};
        const struct run_host *found;

        if (!name || TEXT_COPY(key.name, name) < 0)
                return -1;
        found = bsearch(&key, run->hosts, run->host_count, sizeof(key), compare_hosts);
        return found ? (int)(found - run->hosts) : -1;
}

int run_service_find(const run *run, size_t host, const char *name)
{
        struct run_service key = {.host = host};
        const struct run_service *found;

        if (TEXT_COPY(key.name, name) < 0)
                return -1;
        found = bsearch(&key, run->services, run->service_count, sizeof(key), compare_services);
        return found ? (int)(found - run->services) : -1;
}

/* Sorts and drops what is there twice. Returns how many are left. */
static size_t sort_unique(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
        char *base = items;
        size_t kept = 0;

        qsort(items, count, size, compare);
        for (size_t i = 0; i < count; i++) {
                if (kept > 0 && compare(base + (kept - 1) * size, base + i * size) == 0)
                        continue;
                if (kept != i)
                        memcpy(base + kept * size, base + i * size, size);
                kept++;
        }
        return kept;
}

static void index_hosts(run *run)
{
        const struct plan *plan = run->plan;
        size_t count = 0;

        for (size_t i = 0; i < plan->step_count; i++) {
                text_copy_cut(run->hosts[count++].name, NAME_SIZE, plan->steps[i].host);
                if (plan->steps[i].same_as[0])
                        text_copy_cut(run->hosts[count++].name, NAME_SIZE, plan->steps[i].same_as_host);
        }
        run->host_count = sort_unique(run->hosts, count, sizeof(*run->hosts), compare_hosts);
        for (size_t h = 0; h < run->host_count; h++) {
                run->hosts[h].reboot = -1;
                run->hosts[h].down_since_us = run->born_us;
        }
}

static void index_services(run *run)
{
        const struct plan *plan = run->plan;
        size_t count = 0;

        for (size_t i = 0; i < plan->step_count; i++) {
                const struct step *step = &plan->steps[i];

                if (step->service.kind != SERVICE_NONE) {
                        run->services[count].host = (size_t)run_host_find(run, step->host);
                        text_copy_cut(run->services[count++].name, NAME_SIZE, step->service.name);
                }
                if (step->same_as[0]) {
                        run->services[count].host = (size_t)run_host_find(run, step->same_as_host);
                        text_copy_cut(run->services[count++].name, NAME_SIZE, step->same_as);
                }
        }
        run->service_count = sort_unique(run->services, count, sizeof(*run->services), compare_services);
        for (size_t s = run->service_count; s-- > 0;) {
                run->services[s].start = run->services[s].gate = -1;
                run->hosts[run->services[s].host].first_service = s;
                run->hosts[run->services[s].host].service_count++;
        }
}

static int index_steps(run *run)
{
        cleanup_free int *stops = reallocarray(NULL, run->service_count + 1, sizeof(*stops));

        if (!stops)
                return -ENOMEM;
        for (size_t s = 0; s < run->service_count; s++)
                stops[s] = -1;
        for (size_t i = 0; i < run->plan->step_count; i++) {
                const struct step *plan = &run->plan->steps[i];
                struct run_step *step = &run->steps[i];

                step->host = (size_t)run_host_find(run, plan->host);
                step->service = plan->service.kind == SERVICE_NONE
                                        ? -1
                                        : run_service_find(run, step->host, plan->service.name);
                step->same_as =
                        plan->same_as[0]
                                ? run_service_find(run, (size_t)run_host_find(run, plan->same_as_host),
                                                   plan->same_as)
                                : -1;
                step->stop = step->service >= 0 ? stops[step->service] : -1;
                if (step->stop >= 0 && run->plan->steps[step->stop].batch != plan->batch)
                        step->stop = -1;
                if (plan->rate.loads && step->service >= 0)
                        run->services[step->service].rate = &plan->rate;
                if (plan->operation == OPERATION_UNIT_STOP || plan->operation == OPERATION_PM2_STOP)
                        stops[step->service] = (int)i;
                if (plan->operation == OPERATION_HOST_REBOOT)
                        run->hosts[step->host].reboot = (int)i;
                if (plan->operation == OPERATION_UNIT_START && run->services[step->service].start < 0)
                        run->services[step->service].start = (int)i;
                if (plan->kind == STEP_GATE && run->services[step->service].gate < 0)
                        run->services[step->service].gate = (int)i;
        }
        return run_index_again(run);
}

int run_new(run **ret, const char *id, struct plan *plan, uint64_t now_us, struct error *error)
{
        cleanup_with(run_freep) run *run = calloc(1, sizeof(*run));
        size_t count = plan->step_count;
        int r;

        if (!run)
                return -ENOMEM;
        r = plan_check(plan, error);
        if (r < 0)
                return r;
        if (!text_is_name(id))
                return error_set(error, -EINVAL, "'%s' is not a run's name", id);
        text_copy_cut(run->id, sizeof(run->id), id);
        run->born_us = run->wake_us = now_us;
        run->batch = 1;
        run->hosts = calloc(count * 2, sizeof(*run->hosts));
        run->services = calloc(count * 2, sizeof(*run->services));
        run->steps = calloc(count, sizeof(*run->steps));
        if (!run->hosts || !run->services || !run->steps)
                return -ENOMEM;
        run->plan = plan;
        index_hosts(run);
        index_services(run);
        r = index_steps(run);
        if (r >= 0)
                r = run_index_later(run);
        if (r < 0) {
                run->plan = NULL; /* still the caller's */
                return r;
        }
        *ret = TAKE(run);
        return 0;
}

void run_effects_clear(struct run_effects *effects)
{
        for (size_t i = 0; i < effects->count; i++)
                free(effects->items[i].event);
        free(effects->items);
        *effects = (struct run_effects){0};
}

/* --- looking ---------------------------------------------------------------------------------------------
 */

const struct plan *run_plan(const run *run)
{
        return run->plan;
}

const char *run_id(const run *run)
{
        return run->id;
}

enum run_state run_state(const run *run)
{
        if (run->final)
                return run->final;
        return run->held || run->blocked ? RUN_PAUSED : RUN_RUNNING;
}

uint64_t run_wake_us(const run *run)
{
        return run->final ? UINT64_MAX : run->wake_us;
}

bool run_finished(const run *run)
{
        return run->final != 0;
}

uint64_t run_events(const run *run)
{
        return run->events;
}

uint64_t run_started_us(const run *run)
{
        return run->started_us;
}

uint64_t run_finished_us(const run *run)
{
        return run->finished_us;
}

const char *run_user(const run *run)
{
        return run->user;
}

bool run_step_is_left(const run *run, size_t step)
{
        return step_was_taken_down(run, step) && run->steps[step].state != STEP_DONE;
}

unsigned run_batch(const run *run)
{
        return run->batch;
}

const char *step_state_name(enum step_state state)
{
        static const char *const names[] = {"waiting", "running", "retrying", "in doubt",
                                            "failed",  "done",    "skipped",  "cancelled"};

        return (unsigned)state < ELEMENTS(names) ? names[state] : "unknown";
}

void run_step(const run *run, size_t index, struct step_view *ret)
{
        const struct run_step *step = &run->steps[index];

        *ret = (struct step_view){
                .state = step->state,
                .attempt = step->attempt,
                .begun_us = step->begun_us,
                .ended_us = step->ended_us,
                .done = step->done,
                .total = step->total,
                .text = step->text,
                .blocks = step_blocks(run, index),
                .again = step->again >= 0,
        };
        text_copy_cut(ret->operation, sizeof(ret->operation), step->operation);
}

size_t run_steps_settled(const run *run)
{
        size_t count = 0;

        for (size_t i = 0; i < run->plan->step_count; i++)
                count += run->steps[i].state >= STEP_DONE;
        return count;
}

void run_request(const run *run, size_t index, struct operation_request *ret)
{
        const struct step *plan = &run->plan->steps[index];
        const struct run_step *step = &run->steps[index];

        *ret = (struct operation_request){
                .kind = plan->operation,
                .service = plan->service,
                .deadline_us = plan->deadline_us,
                .soft = plan->soft,
        };
        text_copy_cut(ret->id, sizeof(ret->id), step->operation);
        text_copy_cut(ret->boot_id, sizeof(ret->boot_id), step->boot_id);
        if (plan->service.kind == SERVICE_PM2) {
                text_copy_cut(ret->snapshot, sizeof(ret->snapshot), run->id);
                ret->settle_us = plan->hold_us;
        }
}

size_t run_pending(const run *run, const char *host, char (*ids)[ID_SIZE], size_t limit)
{
        int index = run_host_find(run, host);
        size_t count = 0;

        for (size_t i = 0; i < run->plan->step_count && count < limit && index >= 0; i++) {
                const struct run_step *step = &run->steps[i];

                if (step->host == (size_t)index && step->state == STEP_RUNNING &&
                    run->plan->steps[i].kind == STEP_OPERATION && step->link == LINK_ASKED)
                        text_copy_cut(ids[count++], ID_SIZE, step->operation);
        }
        return count;
}

/* The step's number is a part of the id; see decide_intent. */
int run_step_of_operation(const run *run, const char *operation)
{
        unsigned char number[4];
        char digits[2 * sizeof(number) + 1];
        size_t index;

        if (strlen(operation) != ID_SIZE - 1)
                return -1;
        memcpy(digits, operation + SEED_SIZE - 1, sizeof(digits) - 1);
        digits[sizeof(digits) - 1] = '\0';
        if (text_unhex(number, sizeof(number), digits) < 0)
                return -1;
        index = (size_t)number[0] << 24 | (size_t)number[1] << 16 | (size_t)number[2] << 8 | number[3];
        return index < run->plan->step_count && text_equal(run->steps[index].operation, operation)
                       ? (int)index
                       : -1;
}

/* --- the forecast ----------------------------------------------------------------------------------------
 */

static uint64_t without(uint64_t us, uint64_t passed_us)
{
        return us > passed_us ? us - passed_us : 0;
}

/* A gate whose service is loading: file by file, as it went of late. Bytes that stand still are as far from
 * the end as they were, and may stand still for as long again. */
static bool left_of_load(const run *run, size_t index, uint64_t now_us, uint64_t *low, uint64_t *high)
{
        const struct step *plan = &run->plan->steps[index];
        const struct run_service *service =
                plan->kind == STEP_GATE ? &run->services[run->steps[index].service] : NULL;
        struct load_left left;
        uint64_t still_us;

        if (!service || !service->known || service->phase != PHASE_LOADING || !service->progress_total ||
            service->receives)
                return false;
        still_us = without(now_us, service->moved_us);
        if (!service->eta || load_eta_left(service->eta, &left) < 0) {
                if (still_us <= STANDS_STILL_US)
                        return false;
                left = (struct load_left){without(plan->low_us, plan->hold_us),
                                          without(plan->high_us, plan->hold_us)};
        }
        if (still_us > STANDS_STILL_US) {
                *low = left.low_us + plan->hold_us;
                *high = left.high_us + still_us + plan->hold_us + USEC_PER_SEC;
                return true;
        }
        *low = without(left.low_us, still_us) + plan->hold_us;
        *high = without(left.high_us, still_us) + plan->hold_us + USEC_PER_SEC;
        return true;
}

/* What a step that is under way still needs, by its progress if it shows any, else by its estimate. */
static void left_of_running(const run *run, size_t index, uint64_t now_us, uint64_t *low, uint64_t *high)
{
        const struct run_step *step = &run->steps[index];
        const struct step *plan = &run->plan->steps[index];
        uint64_t elapsed = step->opened_us ? without(now_us, step->opened_us) + step->spent_us : 0;

        if (left_of_load(run, index, now_us, low, high))
                return;
        *low = without(plan->low_us, elapsed);
        /* What is late may be late for as long again. */
        *high = plan->high_us > elapsed ? plan->high_us - elapsed : plan->hold_us + elapsed - plan->high_us;
        if (step->total > 0 && step->done > step->total / 20 && step->done <= step->total && elapsed > 0) {
                double left = (double)elapsed / (double)step->done * (double)(step->total - step->done);

                *low = (uint64_t)(left * 0.7) + plan->hold_us;
                *high = (uint64_t)(left * 1.5) + plan->hold_us + USEC_PER_SEC;
        }
}

void run_left(const run *run, uint64_t now_us, uint64_t *ret_low_us, uint64_t *ret_high_us)
{
        size_t count = run->plan->step_count;
        cleanup_free struct step_span *spans = calloc(count + 1, sizeof(*spans));

        *ret_low_us = *ret_high_us = 0;
        for (size_t i = 0; i < count && spans && !run->final; i++) {
                enum step_state state = run->steps[i].state;
                struct step_span *span = &spans[i];

                span->begun = state == STEP_RUNNING || state >= STEP_DONE;
                if (state >= STEP_DONE)
                        continue;
                span->low_us = run->plan->steps[i].low_us;
                span->high_us = run->plan->steps[i].high_us;
                if (state == STEP_RUNNING)
                        left_of_running(run, i, now_us, &span->low_us, &span->high_us);
        }
        if (spans && !run->final)
                (void)forecast_span(run->plan, spans, ret_low_us, ret_high_us);
}

/* --- soundness -------------------------------------------------------------------------------------------
 */

static const char *unsound(const run *run, size_t index)
{
        const struct run_step *step = &run->steps[index];
        const struct step *plan = &run->plan->steps[index];
        bool is_gate = plan->kind == STEP_GATE;

        if (is_gate && (step->state == STEP_RETRYING || step->state == STEP_DOUBT || step->attempt))
                return "is a gate in a state that gates do not have";
        if (!is_gate &&
            (step->state == STEP_RUNNING || step->state == STEP_DONE || step->state == STEP_DOUBT ||
             step->state == STEP_RETRYING) &&
            (!step->attempt || !step->operation[0] || !step->boot_id[0]))
                return "was begun without an intent";
        if (run->final && !step_is_final(run, index))
                return "is open in a run that has ended";
        if (plan->batch > run->batch && (step->attempt || step->state == STEP_RUNNING))
                return "was begun before its batch";
        if (step->link != LINK_LOST && (is_gate || step->state != STEP_RUNNING))
                return "has a stream and is not running";
        return NULL;
}

/* What is counted as it goes against what there is. */
static bool counts_are_right(const run *run)
{
        size_t blocked = 0, open = 0, of_hosts = 0, behind = 0;

        for (size_t i = 0; i < run->plan->step_count; i++) {
                const struct step *plan = &run->plan->steps[i];
                unsigned unsettled = 0;

                blocked += step_blocks(run, i);
                open += !step_is_final(run, i);
                behind += plan->batch <= run->batch && !step_is_settled(run, i);
                for (size_t j = 0; j < plan->after_count; j++)
                        unsettled += !step_is_settled(run, plan->after[j]);
                if (unsettled != run->steps[i].unsettled)
                        return false;
        }
        for (size_t h = 0; h < run->host_count; h++)
                of_hosts += run->hosts[h].open;
        return blocked == run->blocked && open == run->open && open == of_hosts && behind == run->behind;
}

int run_check(const run *run, struct error *error)
{
        for (size_t i = 0; i < run->plan->step_count; i++) {
                const char *why = unsound(run, i);

                if (why)
                        return error_set(error, -EPROTO, "run %s: step %zu '%s' (%s) %s", run->id, i,
                                         run->plan->steps[i].name, step_state_name(run->steps[i].state), why);
        }
        if (!counts_are_right(run))
                return error_set(error, -EPROTO, "run %s: its counts do not fit its steps", run->id);
        if (run->events > 0 && !run->started)
                return error_set(error, -EPROTO, "run %s has events and no beginning", run->id);
        return 0;
}
