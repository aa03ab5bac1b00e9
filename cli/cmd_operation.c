/* See cmd_operation.h. */
#include "cli/cmd_operation.h"

#include <stdio.h>
#include <string.h>

#include "cli/json.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

static void place_text(const Muster__V1__FleetOperation *operation, char *out, size_t size)
{
        snprintf(out, size, "%.63s/%.63s", operation->host, operation->service);
        clean_text(out);
}

/* Over itself; nothing where it is not a terminal. */
static void show_progress(const struct operations *operations, const Muster__V1__FleetOperation *operation)
{
        char place[160], text[256], line[512], share[16] = "";

        if (!operations->terminal.tty || operations->ends)
                return;
        place_text(operation, place, sizeof(place));
        text_copy_cut(text, sizeof(text), operation->text);
        clean_text(text);
        if (operation->total && operation->done <= operation->total)
                snprintf(share, sizeof(share), "%3.0f%% ",
                         100.0 * (double)operation->done / (double)operation->total);
        snprintf(line, sizeof(line), "%s%s: %s", share, place, text);
        line_over(&operations->terminal, line);
}

static const char *figure(const Muster__V1__OperationReport *report, const char *name)
{
        for (size_t i = 0; i < report->n_figures; i++)
                if (text_equal(report->figures[i]->name, name))
                        return report->figures[i]->value;
        return "";
}

/* How many apps are as they were saved; 0 also where that is not known. */
static uint64_t as_saved(const Muster__V1__OperationReport *report)
{
        uint64_t count = 0;

        return text_to_u64(figure(report, "as-saved"), &count) == 0 ? count : 0;
}

static void count(struct operations *operations, const Muster__V1__FleetOperation *operation)
{
        const Muster__V1__OperationReport *report = operation->report;

        if (report && report->state == MUSTER__V1__OPERATION_STATE__OPERATION_STATE_DONE)
                operations->done++;
        else if (report && as_saved(report))
                operations->part++;
        else if (operation->failure == RPC_UNAVAILABLE)
                operations->unreachable++;
        else
                operations->failed++;
}

/* What the report names one by one: apps that failed, with the last lines of their logs. */
static void print_named(const struct operations *operations, const Muster__V1__OperationReport *report)
{
        static const struct {
                const char *figure, *word;
                enum style style;
        } named[] = {
                {"failed-app", "failed", STYLE_BAD},    {"failed-apps", "failed", STYLE_BAD},
                {"failed-log", "log", STYLE_PLAIN},     {"held-apps", "held", STYLE_WARN},
                {"unready-app", "unready", STYLE_WARN}, {"unready-apps", "unready", STYLE_WARN},
                {"boot-unit", "unit", STYLE_PLAIN},
        };

        for (size_t k = 0; k < sizeof(named) / sizeof(named[0]); k++)
                for (size_t i = 0; i < report->n_figures; i++) {
                        char text[1024];

                        if (!text_equal(report->figures[i]->name, named[k].figure))
                                continue;
                        text_copy_cut(text, sizeof(text), report->figures[i]->value);
                        clean_text(text);
                        printf("  %s%s%s  %s\n", style_begin(&operations->terminal, named[k].style),
                               named[k].word, style_end(&operations->terminal, named[k].style), text);
                }
}

static void print_end(const struct operations *operations, const Muster__V1__FleetOperation *operation)
{
        const Muster__V1__OperationReport *report = operation->report;
        bool done = report && report->state == MUSTER__V1__OPERATION_STATE__OPERATION_STATE_DONE;
        enum style style = done ? STYLE_GOOD : STYLE_BAD;
        char place[160], text[1024], name[80];

        place_text(operation, place, sizeof(place));
        text_copy_cut(text, sizeof(text), operation->text);
        text_copy_cut(name, sizeof(name), operation->snapshot);
        clean_text(text);
        clean_text(name);
        line_over(&operations->terminal, NULL);
        printf("%s%-6s%s  %s%s%s: %s\n", style_begin(&operations->terminal, style), done ? "done" : "FAILED",
               style_end(&operations->terminal, style), place, name[0] ? " " : "", name, text);
        if (report)
                print_named(operations, report);
        fflush(stdout);
}

void operations_on_message(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetOperation *operation = (const Muster__V1__FleetOperation *)message;
        struct operations *operations = userdata;

        if (!operation->report && !operation->failure) {
                show_progress(operations, operation);
                return;
        }
        count(operations, operation);
        if (operations->ends)
                operations->out_of_memory |=
                        json_array_append_new(operations->ends, json_message(message)) < 0;
        else
                print_end(operations, operation);
}

int operations_exit(const struct operations *operations)
{
        if (operations->out_of_memory)
                return cli_fail(CLI_FAILED, "out of memory");
        if (operations->failed + operations->unreachable + operations->part == 0)
                return CLI_DONE;
        if (operations->done + operations->part)
                return CLI_PART;
        return operations->failed ? CLI_FAILED : CLI_UNREACHABLE;
}

int operations_ending(const struct ending *ending, const char *look)
{
        if (ending->interrupted || ending->code == RPC_UNAVAILABLE || ending->code == RPC_DEADLINE_EXCEEDED)
                return cli_fail(CLI_PART, "%s; what was begun goes on at its host: %s",
                                ending->interrupted ? "left" : "the controller was lost", look);
        return ending_exit(ending);
}

static int print_json(const struct operations *operations)
{
        cleanup_with(json_decrefp) json_t *all = json_pack("{s:O}", "operations", operations->ends);

        if (!all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        putchar('\n');
        return CLI_DONE;
}

int operations_command(const struct cli *cli, int argc, char **argv, const char *command, const char *method,
                       const ProtobufCMessage *request, char **scope,
                       void (*on_message)(const ProtobufCMessage *message, void *userdata), const char *look)
{
        struct operations operations = {0};
        bool json = false;
        const struct option list[] = {{"json", &json, NULL, NULL, "as JSON"}};
        const struct options options = {command, "[SCOPE]",          list, ELEMENTS(list),
                                        0,       ARGUMENT_WORDS_MAX, false};
        cleanup_with(session_freep) session *session = NULL;
        cleanup_with(json_decrefp) json_t *ends = NULL;
        char text[SCOPE_TEXT_MAX], look_at[SCOPE_TEXT_MAX + 64];
        struct arguments arguments;
        struct ending ending;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, text, sizeof(text), &exit))
                return exit;
        terminal_read(&operations.terminal, stdout);
        if (json && !(operations.ends = ends = json_array()))
                return cli_fail(CLI_FAILED, "out of memory");
        if (!session_open(&session, cli, &exit))
                return exit;
        *scope = text;
        snprintf(look_at, sizeof(look_at), "%s%s%s", look, text[0] ? " " : "", text);
        session_call(session, method, request, 0, on_message, &operations, &ending);
        exit = operations_ending(&ending, look_at);
        if (exit == CLI_DONE && ends)
                exit = print_json(&operations);
        return exit == CLI_DONE ? operations_exit(&operations) : exit;
}
