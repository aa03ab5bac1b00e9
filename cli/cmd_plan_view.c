/* See cmd_plan_view.h. */
#include "cli/cmd_plan_view.h"

#include <string.h>

#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

const char *plan_word(Muster__V1__PlanKind kind)
{
        return kind == MUSTER__V1__PLAN_KIND__PLAN_KIND_REBOOT    ? "reboot"
               : kind == MUSTER__V1__PLAN_KIND__PLAN_KIND_RESTART ? "restart"
                                                                  : "?";
}

/* Milliseconds as a person would say them; what a peer sent must not overflow. */
static void length_text(char *out, size_t size, uint64_t ms)
{
        time_duration_text(out, size, ms > UINT64_MAX / 1000 ? UINT64_MAX : ms * 1000);
}

void range_text(char *out, size_t size, uint64_t low_ms, uint64_t high_ms)
{
        char low[40], high[40];

        out[0] = '\0';
        if (high_ms == 0)
                return;
        length_text(low, sizeof(low), low_ms);
        length_text(high, sizeof(high), high_ms);
        if (text_equal(low, high))
                snprintf(out, size, "%s", low);
        else
                snprintf(out, size, "%s to %s", low, high);
}

/* "1-4,7": the steps that this one waits for. */
static void after_text(char *out, size_t size, const Muster__V1__PlanStep *step)
{
        size_t used = 0;

        out[0] = '\0';
        for (size_t i = 0; i < step->n_after;) {
                size_t last = i;
                int n;

                while (last + 1 < step->n_after && step->after[last + 1] == step->after[last] + 1)
                        last++;
                n = snprintf(out + used, size - used, last > i ? "%s%u-%u" : "%s%u", i ? "," : "",
                             step->after[i], step->after[last]);
                if (n < 0 || (size_t)n >= size - used)
                        return;
                used += (size_t)n;
                i = last + 1;
        }
}

/* Which hosts go when; nothing if all go at once. */
static void print_batches(const Muster__V1__PlanReply *plan, FILE *file)
{
        for (size_t i = 0; i < plan->n_batches && (plan->n_batches > 1 || plan->canary); i++) {
                char text[512];

                text_copy_cut(text, sizeof(text), plan->batches[i]);
                clean_text(text);
                fprintf(file, "%sbatch %zu%s: %s\n", i == 0 ? "\n" : "", i + 1,
                        i == 0 && plan->canary ? ", the canary" : "", text);
        }
}

static int steps_table(const Muster__V1__PlanReply *plan, FILE *file, const struct terminal *terminal)
{
        static const char *const heads[] = {">STEP", "PHASE", "WHAT",        "ESTIMATE",
                                            "AFTER", "BASIS", "IF IT FAILS", "BATCH"};
        size_t columns = plan->n_batches > 1 ? ELEMENTS(heads) : ELEMENTS(heads) - 1;
        cleanup_with(table_freep) table *table = NULL;
        int r = table_new(&table, heads, columns);

        if (r < 0)
                return r;
        for (size_t i = 0; i < plan->n_steps; i++) {
                const Muster__V1__PlanStep *step = plan->steps[i];
                bool same = i > 0 && text_equal(plan->steps[i - 1]->phase, step->phase) &&
                            plan->steps[i - 1]->batch == step->batch;
                char range[96], after[160];

                range_text(range, sizeof(range), step->estimate_low_ms, step->estimate_high_ms);
                after_text(after, sizeof(after), step);
                table_cell(table, STYLE_DIM, "%u", step->index);
                table_cell(table, STYLE_BOLD, "%s", same ? "" : step->phase);
                table_cell(table, STYLE_PLAIN, "%s", step->name);
                table_cell(table, STYLE_PLAIN, "%s", range);
                table_cell(table, STYLE_DIM, "%s", after);
                table_cell(table, STYLE_DIM, "%s", step->estimate_basis);
                table_cell(table, STYLE_PLAIN, "%s", step->policy);
                if (columns == ELEMENTS(heads))
                        table_cell(table, STYLE_PLAIN, "%u", step->batch);
        }
        return table_print(table, file, terminal);
}

int plan_view(const Muster__V1__PlanReply *plan, FILE *file, const struct terminal *terminal)
{
        char range[96];
        int r = steps_table(plan, file, terminal);

        if (r < 0)
                return r;
        print_batches(plan, file);
        if (plan->finish_by_us) {
                char by[TIME_TEXT_SIZE];

                time_text(by, plan->finish_by_us);
                fprintf(file, "\nto be finished by %.10s %.8s UTC\n", by, by + 11);
        }
        if (plan->error_budget != UINT32_MAX)
                fprintf(file,
                        "\nerror budget: %u step%s may fail and be passed over, where the policy is to "
                        "continue\n",
                        plan->error_budget, plan->error_budget == 1 ? "" : "s");
        if (plan->n_warnings)
                fputc('\n', file);
        for (size_t i = 0; i < plan->n_warnings; i++) {
                char text[512];

                text_copy_cut(text, sizeof(text), plan->warnings[i]);
                clean_text(text);
                fprintf(file, "%swarning:%s %s\n", style_begin(terminal, STYLE_WARN),
                        style_end(terminal, STYLE_WARN), text);
        }
        range_text(range, sizeof(range), plan->estimate_low_ms, plan->estimate_high_ms);
        fprintf(file, "\n%s: %zu step%s, %s\n", plan_word(plan->kind), plan->n_steps,
                plan->n_steps == 1 ? "" : "s", range[0] ? range : "no estimate");
        return 0;
}
