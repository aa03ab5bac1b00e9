/* See cmd_pm2_view.h. */
#include "cli/cmd_pm2_view.h"

#include <errno.h>
#include <string.h>

#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* "2026-11-23 23:15:38 UTC" */
static void moment_text(char *out, size_t size, uint64_t realtime_us)
{
        char text[TIME_TEXT_SIZE];

        time_text(text, realtime_us);
        snprintf(out, size, "%.10s %.8s UTC", text, text + 11);
}

void pm2_side_text(const Muster__V1__Pm2Side *side, char *out, size_t size)
{
        bool live = text_equal(side->name, "live"), dump = text_equal(side->name, "dump");
        char text[256], when[TIME_TEXT_SIZE];

        moment_text(when, sizeof(when), side->saved_us);
        if (live)
                snprintf(text, sizeof(text), "live%s", side->absent ? " (no PM2 daemon runs)" : "");
        else if (dump && side->absent)
                snprintf(text, sizeof(text), "PM2's dump (there is none)");
        else if (dump)
                snprintf(text, sizeof(text), "PM2's dump of %s", when);
        else
                snprintf(text, sizeof(text), "snapshot %.63s of %s", side->name, when);
        clean_text(text);
        text_copy_cut(out, size, text);
}

void pm2_counts_text(const Muster__V1__Pm2Side *side, char *out, size_t size)
{
        char errored[32] = "";

        if (side->errored)
                snprintf(errored, sizeof(errored), ", %u errored", side->errored);
        snprintf(out, size, "%u app%s, %u online, %u stopped%s", side->apps, side->apps == 1 ? "" : "s",
                 side->online, side->stopped, errored);
}

/* --- a comparison --------------------------------------------------------------------------------------- */

static enum style style_of(const Muster__V1__Pm2Difference *difference)
{
        if (text_equal(difference->what, "missing") || text_equal(difference->after, "errored"))
                return STYLE_BAD;
        return text_equal(difference->what, "status") || text_equal(difference->what, "instances")
                       ? STYLE_WARN
                       : STYLE_PLAIN;
}

static const char *or_word(const char *text, const char *word)
{
        return text[0] ? text : word;
}

/* What its column is called. */
static void side_head(char *out, size_t size, const Muster__V1__Pm2Side *side)
{
        text_copy_cut(out, size,
                      text_equal(side->name, "live")   ? "LIVE"
                      : text_equal(side->name, "dump") ? "DUMP"
                                                       : side->name);
        clean_text(out);
}

static int differences_table(const Muster__V1__FleetPm2Diff *diff, FILE *file,
                             const struct terminal *terminal)
{
        const Muster__V1__Pm2Comparison *comparison = diff->comparison;
        char from[64], to[64];
        const char *heads[] = {"  APP", ">ID", "WHAT", from, to};
        cleanup_with(table_freep) table *table = NULL;
        int r;

        side_head(from, sizeof(from), comparison->from);
        side_head(to, sizeof(to), diff->to);
        r = table_new(&table, heads, ELEMENTS(heads));
        if (r < 0)
                return r;
        for (size_t i = 0; i < comparison->n_differences; i++) {
                const Muster__V1__Pm2Difference *item = comparison->differences[i];
                bool whole = text_equal(item->what, "missing") || text_equal(item->what, "extra");

                table_cell(table, STYLE_BOLD, "  %s", item->app);
                if (item->pm_id < 0)
                        table_cell(table, STYLE_PLAIN, "-");
                else
                        table_cell(table, STYLE_PLAIN, "%d", item->pm_id);
                table_cell(table, style_of(item), "%s", item->what);
                table_cell(table, STYLE_PLAIN, "%s", or_word(item->before, whole ? "-" : "unset"));
                table_cell(table, STYLE_PLAIN, "%s", or_word(item->after, whole ? "-" : "unset"));
        }
        return table_print(table, file, terminal);
}

/* True: there is a comparison. Else why not is printed. */
static bool is_compared(const Muster__V1__FleetPm2Diff *diff, const char *place, FILE *file,
                        const struct terminal *terminal)
{
        const Muster__V1__Pm2Comparison *comparison = diff->comparison;
        char why[768];

        if (diff->failure == 0 && comparison && comparison->from && diff->to && comparison->failure == 0)
                return true;
        text_copy_cut(why, sizeof(why),
                      diff->failure || !comparison ? diff->failure_text : comparison->failure_text);
        clean_text(why);
        fprintf(file, "%s%s: not compared%s: %s\n", style_begin(terminal, STYLE_BAD), place,
                style_end(terminal, STYLE_BAD), or_word(why, "the answer cannot be understood"));
        return false;
}

int pm2_diff_view(const Muster__V1__FleetPm2Diff *diff, FILE *file, const struct terminal *terminal)
{
        const Muster__V1__Pm2Comparison *comparison = diff->comparison;
        char place[160], from[256], to[256], counts[128];

        snprintf(place, sizeof(place), "%.63s/%.63s", diff->host, diff->service);
        clean_text(place);
        if (!is_compared(diff, place, file, terminal))
                return 0;
        pm2_side_text(comparison->from, from, sizeof(from));
        pm2_side_text(diff->to, to, sizeof(to));
        pm2_counts_text(diff->to, counts, sizeof(counts));
        if (comparison->total == 0) {
                fprintf(file, "%s%s: no difference%s between %s and %s: %s\n",
                        style_begin(terminal, STYLE_GOOD), place, style_end(terminal, STYLE_GOOD), from, to,
                        counts);
                return 0;
        }
        fprintf(file, "%s%s: %u app%s%s between %s and %s\n", style_begin(terminal, STYLE_WARN), place,
                comparison->apps_differing, comparison->apps_differing == 1 ? " differs" : "s differ",
                style_end(terminal, STYLE_WARN), from, to);
        if (differences_table(diff, file, terminal) < 0)
                return -ENOMEM;
        if (comparison->total > comparison->n_differences)
                fprintf(file, "  and %zu more differences\n",
                        (size_t)comparison->total - comparison->n_differences);
        return 0;
}

/* --- snapshots ------------------------------------------------------------------------------------------ */

int pm2_snapshots_heads(struct table **ret)
{
        static const char *const heads[] = {"HOST",    "SERVICE",  "SNAPSHOT", "SAVED (UTC)", ">APPS",
                                            ">ONLINE", ">STOPPED", ">ERRORED", ">SIZE",       "NOTE"};

        return table_new(ret, heads, ELEMENTS(heads));
}

void pm2_snapshots_rows(struct table *table, const Muster__V1__FleetPm2Snapshots *listed)
{
        for (size_t i = 0; i < listed->n_snapshots; i++) {
                const Muster__V1__Pm2Snapshot *snapshot = listed->snapshots[i];
                const Muster__V1__Pm2Side *side = snapshot->side;
                bool sound = !snapshot->failure[0];
                char when[TIME_TEXT_SIZE], size[32];

                if (!side)
                        continue;
                moment_text(when, sizeof(when), side->saved_us);
                when[19] = '\0';
                text_bytes(size, sizeof(size), snapshot->bytes);
                table_cell(table, STYLE_BOLD, "%s", listed->host);
                table_cell(table, STYLE_PLAIN, "%s", listed->service);
                table_cell(table, sound ? STYLE_PLAIN : STYLE_BAD, "%s", side->name);
                table_cell(table, STYLE_DIM, "%s", when);
                if (sound) {
                        table_cell(table, STYLE_PLAIN, "%u", side->apps);
                        table_cell(table, STYLE_PLAIN, "%u", side->online);
                        table_cell(table, STYLE_PLAIN, "%u", side->stopped);
                        table_cell(table, STYLE_PLAIN, "%u", side->errored);
                } else {
                        for (unsigned k = 0; k < 4; k++)
                                table_cell(table, STYLE_PLAIN, "-");
                }
                table_cell(table, STYLE_PLAIN, "%s", size);
                table_cell(table, STYLE_BAD, "%s", snapshot->failure);
        }
}
