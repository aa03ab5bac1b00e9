/* A host on its way down: what it waits for, for those who watch, and for what is said if it never returns.
 */
#include <stdio.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

/* "shutting down, which waits for slow.service and 2 more" */
static void say_shutdown(const struct host_state *state, char out[TEXT_SIZE])
{
        const struct host_facts *facts = &state->facts;
        char more[32] = "", line[2 * TEXT_SIZE];

        if (facts->stopping_count > 1)
                snprintf(more, sizeof(more), " and %zu more", facts->stopping_count - 1);
        snprintf(line, sizeof(line), "shutting down%s%.160s%s",
                 facts->stopping_count ? ", which waits for " : "",
                 facts->stopping_count ? facts->stopping[0] : "", more);
        text_copy_clean(out, TEXT_SIZE, line);
}

/* "unattended-upgrades (delay: upgrades are being installed), …" */
static void say_inhibitors(const struct host_state *state, char out[TEXT_SIZE])
{
        const struct host_facts *facts = &state->facts;
        char line[4 * TEXT_SIZE] = "";
        size_t used = 0;

        for (size_t i = 0; i < facts->inhibitor_count && used < TEXT_SIZE; i++)
                used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s (%s: %s)", i ? ", " : "",
                                         facts->inhibitors[i].who, facts->inhibitors[i].mode,
                                         facts->inhibitors[i].why);
        text_copy_clean(out, TEXT_SIZE, line);
}

void host_note_shutdown(struct turn *turn, size_t index, const struct host_state *state)
{
        struct run_host *host = &turn->run->hosts[index];
        bool is_rebooting =
                host->reboot >= 0 && turn->run->steps[host->reboot].state == STEP_RUNNING && state->stopping;
        char shutdown[TEXT_SIZE] = "", held_by[TEXT_SIZE];
        struct run_effect *effect;
        bool is_news;

        if (state->stopping)
                say_shutdown(state, shutdown);
        say_inhibitors(state, held_by);
        is_news = !text_equal(shutdown, host->shutdown) || !text_equal(held_by, host->held_by);
        text_copy_cut(host->shutdown, sizeof(host->shutdown), shutdown);
        text_copy_cut(host->held_by, sizeof(host->held_by), held_by);
        if (!is_news || !is_rebooting || turn_effect(turn, EFFECT_PROGRESS, &effect) < 0)
                return; /* only those who watch would have heard of it */
        effect->step = host->reboot;
        snprintf(effect->text, sizeof(effect->text), "%.180s%s%.60s", shutdown,
                 held_by[0] ? "; held back by " : "", held_by);
}

void host_last_seen(const run *run, size_t index, char *out, size_t size)
{
        const struct run_host *host = &run->hosts[index];
        char span[64], line[2 * TEXT_SIZE];

        time_duration_text(span, sizeof(span),
                           run->now_us > host->down_since_us ? run->now_us - host->down_since_us : 0);
        snprintf(line, sizeof(line), "%s %s%s%s%s", host->was_seen ? "last seen" : "not seen for", span,
                 host->was_seen ? " ago" : " and more", host->shutdown[0] ? " " : "", host->shutdown);
        text_copy_cut(out, size, line);
}
