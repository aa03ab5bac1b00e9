/* Hosts before and after their reboots. Before anything is done to a host that will be rebooted, what it is
 * like is journaled. When it has come back, all its steps are over and its agent has looked at it since, it
 * is compared with that: at once if nothing is missing, else after a while, because what is missing may be
 * late. */
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/run_internal.h"

#define LATE_US                                                                                              \
        (15 * USEC_PER_SEC) /* how long what is missing is waited for, once systemd has started all          \
                             */
#define SETTLE_US (90 * USEC_PER_SEC) /* how long a host may take to settle at all */

/* Whether it is noted still. */
static bool is_noted_later(const run *run, const struct run_host *host)
{
        return host->reboot >= 0 && !host->before.count && !run->steps[host->reboot].attempt &&
               run->steps[host->reboot].state == STEP_WAITING;
}

bool host_is_compared_later(const run *run, size_t index)
{
        const struct run_host *host = &run->hosts[index];

        return host->reboot >= 0 && host->before.count && !host->compared && !run->leaving &&
               run->steps[host->reboot].state == STEP_DONE;
}

void host_look(struct turn *turn, size_t index, const struct host_state *state)
{
        struct run_host *host = &turn->run->hosts[index];
        struct host_note note;
        uint64_t age_us = turn->age_us + state->facts.looked_ms * USEC_PER_MSEC;

        if (!state->facts.known || turn->run->final ||
            !(is_noted_later(turn->run, host) || host_is_compared_later(turn->run, index)))
                return;
        if (host_note_take(&note, state, turn->clock_us - turn->age_us) < 0)
                return; /* the one of before stands */
        host_note_clear(&host->now);
        host->now = note;
        host->looked_us = turn->now_us > age_us ? turn->now_us - age_us : 1;
        if (text_equal(state->facts.system_state, "starting"))
                host->starting_us = turn->now_us;
}

static int note_host(struct turn *turn, size_t index)
{
        struct run_host *host = &turn->run->hosts[index];
        cleanup_with(host_note_clear) struct host_note note = host->now;
        char text[TEXT_SIZE];
        int r = 0;

        host->now = (struct host_note){0};
        for (size_t at = 0; at < note.count && r >= 0; at += FIGURE_MAX) {
                struct run_event event = turn_event(EVENT_NOTED, -1);

                text_copy_cut(event.host, sizeof(event.host), host->name);
                event.figure_count = note.count - at < FIGURE_MAX ? note.count - at : FIGURE_MAX;
                memcpy(event.figures, note.figures + at, event.figure_count * sizeof(*note.figures));
                host_note_text(&note, text, sizeof(text));
                event_say(&event, at ? "%s before its reboot, continued" : "%s before its reboot: %s",
                          host->name, text);
                r = turn_record(turn, &event);
        }
        return r;
}

int run_note_hosts(struct turn *turn)
{
        int r = 0;

        for (size_t h = 0; h < turn->run->host_count && r >= 0; h++)
                if (turn->run->hosts[h].now.count && is_noted_later(turn->run, &turn->run->hosts[h]) &&
                    !turn->run->leaving)
                        r = note_host(turn, h);
        return r;
}

static int record_comparison(struct turn *turn, struct run_host *host, const struct figure *figures,
                             size_t count)
{
        struct run_event event = turn_event(EVENT_COMPARED, -1);
        char line[2 * TEXT_SIZE], before[TEXT_SIZE];
        size_t used = 0;

        text_copy_cut(event.host, sizeof(event.host), host->name);
        event.figure_count = count;
        memcpy(event.figures, figures, count * sizeof(*figures));
        line[0] = '\0';
        for (size_t i = 0; i < count && used < sizeof(line); i++)
                used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s: %s", i ? "; " : "",
                                         host_difference_text(figures[i].name), figures[i].value);
        host_note_text(&host->before, before, sizeof(before));
        event_say(&event, count ? "%s is not as it was before its reboot: %s" : "%s is as it was: %s",
                  host->name, count ? line : before);
        return turn_record(turn, &event);
}

/* Nothing is known of it now: that is said, and the run is not held up by it for ever. */
static int give_up(struct turn *turn, struct run_host *host)
{
        struct figure figure = {.name = "not-compared"};

        snprintf(figure.value, sizeof(figure.value), "%s",
                 host->connected ? "its agent has not looked at it since" : "it is not connected");
        return record_comparison(turn, host, &figure, 1);
}

static int compare_host(struct turn *turn, struct run_host *host)
{
        struct figure figures[FIGURE_MAX];
        uint64_t since_us = host->starting_us > host->settled_us ? host->starting_us : host->settled_us;
        bool over = turn_is_due(turn, host->settled_us + SETTLE_US), late = false;
        size_t count = 0;
        int r;

        if (host->looked_us <= host->settled_us || !host->now.count)
                return over ? give_up(turn, host) : 0;
        r = host_note_compare(&host->before, &host->now,
                              boot_id_same_kernel(host->boot_id, turn->run->steps[host->reboot].boot_id),
                              figures, &count, &late);
        if (r < 0)
                return r;
        late = late || host->starting_us >= host->looked_us;
        if (late && !over && !turn_is_due(turn, since_us + LATE_US))
                return 0;
        return record_comparison(turn, host, figures, count);
}

int run_compare_hosts(struct turn *turn, bool *ret_waiting)
{
        int r = 0;

        *ret_waiting = false;
        for (size_t h = 0; h < turn->run->host_count && r >= 0; h++) {
                struct run_host *host = &turn->run->hosts[h];

                if (!host_is_compared_later(turn->run, h) || host->open) {
                        host->settled_us = 0;
                        continue;
                }
                if (!host->settled_us)
                        host->settled_us = turn->now_us;
                r = compare_host(turn, host);
                *ret_waiting |= !host->compared;
        }
        return r;
}
