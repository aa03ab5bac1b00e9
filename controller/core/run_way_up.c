/* How to bring up by hand what a run was told to leave down: in words, and as commands. PM2 is brought back
 * to what the run saved of it, for its daemon is gone and a restart has nothing to save. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/core/forecast.h"
#include "controller/core/run_internal.h"

#define LINE_SIZE 1024 /* well below what a scope may be long */

enum way {
        BY_RESTART,
        BY_RESTORE,
        BY_ITSELF,
        ANY_WAY,
};

static enum way way_of(const struct service_spec *service)
{
        return service->kind == SERVICE_PM2 ? BY_RESTORE : service->unit[0] ? BY_RESTART : BY_ITSELF;
}

/* Of a run that has ended: what an abort called off. What else is not done there, failed or was skipped. */
static bool is_left(const run *run, size_t step)
{
        return run_step_is_left(run, step) && (!run->final || run->steps[step].state == STEP_CANCELLED);
}

struct telling {
        const run *run;
        run_line each;
        void *userdata;
        bool *told; /* owned: per service, in one list */
        bool begun; /* a command was told */
        int result;
};

static void telling_clear(struct telling *telling)
{
        free(telling->told);
}

static void tell(struct telling *telling, const char *line)
{
        if (telling->result == 0)
                telling->result = telling->each(line, telling->userdata);
}

/* The next service, from step *at on, that goes up that way; NULL: there is none left. What is needed comes
 * before what needs it, as in the plan. */
static const char *next_left(struct telling *telling, enum way way, size_t *at)
{
        const struct plan *plan = telling->run->plan;

        for (size_t i = *at; i < plan->step_count; i++) {
                const struct service_spec *service = &plan->steps[i].service;
                bool *told = is_left(telling->run, i) ? &telling->told[telling->run->steps[i].service] : NULL;

                if (!told || *told || (way != ANY_WAY && way_of(service) != way))
                        continue;
                *told = true;
                *at = i + 1;
                return service->name;
        }
        return NULL;
}

static const char *first_or_then(struct telling *telling)
{
        bool begun = telling->begun;

        telling->begun = true;
        return begun ? "then: " : "to bring them up: ";
}

/* "what: a,b,c", in as many lines as that takes: no name is cut. command: each line is one. */
static void tell_list(struct telling *telling, enum way way, const char *what, bool command)
{
        char line[LINE_SIZE];
        size_t at = 0, used = 0;

        memset(telling->told, 0, telling->run->service_count);
        for (const char *name; (name = next_left(telling, way, &at));) {
                if (used && used + strlen(name) + 2 > sizeof(line)) {
                        tell(telling, line);
                        used = 0;
                }
                if (used)
                        used += (size_t)snprintf(line + used, sizeof(line) - used, ",%s", name);
                else
                        used = (size_t)snprintf(line, sizeof(line), "%s%s%s",
                                                command ? first_or_then(telling) : "", what, name);
        }
        if (used)
                tell(telling, line);
}

static void tell_restores(struct telling *telling)
{
        char line[LINE_SIZE];
        size_t at = 0, count = 0;

        memset(telling->told, 0, telling->run->service_count);
        for (const char *name; (name = next_left(telling, BY_RESTORE, &at)); count++) {
                snprintf(line, sizeof(line), "%smuster pm2 restore %s %s", first_or_then(telling), name,
                         telling->run->id);
                tell(telling, line);
        }
        if (count)
                tell(telling, "a unit that starts PM2 at boot, and that was disabled for the run, is enabled "
                              "again once the run is over");
}

int run_way_up(const run *run, run_line each, void *userdata)
{
        cleanup_with(telling_clear) struct telling telling = {
                .run = run,
                .each = each,
                .userdata = userdata,
                .told = calloc(run->service_count + 1, sizeof(bool)),
        };

        if (!telling.told)
                return -ENOMEM;
        tell_list(&telling, ANY_WAY, "left down, or not seen to be up: ", false);
        tell_list(&telling, BY_RESTART, "muster restart ", true);
        tell_restores(&telling);
        tell_list(&telling, BY_ITSELF,
                  "without a unit to be started by, to be looked after by hand: ", false);
        return telling.result;
}

void run_way_up_takes(const run *run, uint64_t *ret_low_us, uint64_t *ret_high_us)
{
        const struct plan *plan = run->plan;
        cleanup_free struct step_span *spans = calloc(plan->step_count + 1, sizeof(*spans));

        *ret_low_us = *ret_high_us = 0;
        for (size_t i = 0; i < plan->step_count && spans; i++)
                if (is_left(run, i))
                        spans[i] = (struct step_span){plan->steps[i].low_us, plan->steps[i].high_us, false};
        if (spans)
                (void)forecast_span(plan, spans, ret_low_us, ret_high_us);
}
