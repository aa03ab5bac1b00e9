/* See live.h. */
#include "cli/live.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cmd_plan_view.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define BLOCK_STEPS  10u
#define DRAW_EACH_US (100 * USEC_PER_MSEC)
#define BAR_COLUMNS  20u

void live_clear(struct live *live)
{
        free(live->steps);
        *live = (struct live){0};
}

static struct live_step *step_at(struct live *live, int step)
{
        if (step < 0 || step >= LIVE_STEPS_MAX)
                return NULL;
        if ((size_t)step >= live->step_count) {
                size_t count = (size_t)step + 64;
                struct live_step *larger = reallocarray(live->steps, count, sizeof(*larger));

                if (!larger)
                        return NULL;
                memset(larger + live->step_count, 0, (count - live->step_count) * sizeof(*larger));
                live->steps = larger;
                live->step_count = count;
        }
        return &live->steps[step];
}

void live_step(struct live *live, int step, const char *state, bool progress, const char *text, uint64_t done,
               uint64_t total)
{
        struct live_step *known = step_at(live, step);

        if (!known)
                return;
        if (state[0] && (state[0] != known->state || !progress)) {
                known->state = state[0];
                known->done = known->total = 0;
                known->text[0] = '\0';
        }
        if (progress) {
                text_copy_cut(known->text, sizeof(known->text), text);
                clean_text(known->text);
        } else if (text[0]) {
                text_copy_cut(known->name, sizeof(known->name), text);
                clean_text(known->name);
        }
        if (total) {
                known->done = done < total ? done : total;
                known->total = total;
        }
}

size_t live_settled(const struct live *live)
{
        size_t settled = 0;

        for (size_t i = 0; i < live->step_count; i++)
                settled += live->steps[i].state == 'd' || live->steps[i].state == 's';
        return settled;
}

void live_erase(struct live *live)
{
        if (live->drawn)
                printf("\033[%uA\r\033[J", live->drawn);
        live->drawn = 0;
}

/* "  [=====>      ]  43%  db1/bds ready: loading", cut to the terminal's width. */
static void draw_step(const struct live *live, const struct live_step *step)
{
        char bar[BAR_COLUMNS + 16] = "", line[sizeof(step->name) + sizeof(step->text) + 4];
        size_t room = live->terminal.width > 4 ? live->terminal.width - 4 : 1;

        if (step->total) {
                double share = (double)step->done / (double)step->total;
                unsigned full = (unsigned)(share * BAR_COLUMNS), i;

                bar[0] = '[';
                for (i = 0; i < BAR_COLUMNS; i++)
                        bar[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
                snprintf(bar + 1 + i, sizeof(bar) - 1 - i, "] %3.0f%%  ", 100.0 * share);
                room = room > strlen(bar) ? room - strlen(bar) : 1;
        }
        snprintf(line, sizeof(line), "%s%s%s", step->name, step->name[0] && step->text[0] ? ": " : "",
                 step->text);
        printf("  %s%s%s%.*s\n", style_begin(&live->terminal, STYLE_BOLD), bar,
               style_end(&live->terminal, STYLE_BOLD), (int)text_fit(line, room), line);
}

void live_draw(struct live *live, bool force)
{
        uint64_t now = time_monotonic_us();
        unsigned shown = 0, more = 0;
        char left[96];

        if (!live->terminal.tty || (!force && now - live->drawn_us < DRAW_EACH_US))
                return;
        live_erase(live);
        terminal_read(&live->terminal, stdout);
        live->drawn_us = now;
        for (size_t i = 0; i < live->step_count; i++) {
                if (live->steps[i].state != 'r')
                        continue;
                if (shown == BLOCK_STEPS) {
                        more++;
                        continue;
                }
                draw_step(live, &live->steps[i]);
                shown++;
        }
        live->drawn = shown;
        if (more) {
                printf("  and %u more\n", more);
                live->drawn++;
        }
        range_text(left, sizeof(left), live->left_low_ms, live->left_high_ms);
        printf("%s%zu of %zu steps%s%s%s\n", style_begin(&live->terminal, STYLE_DIM), live_settled(live),
               live->total, left[0] ? ", left: " : "", left, style_end(&live->terminal, STYLE_DIM));
        live->drawn++;
        fflush(stdout);
}
