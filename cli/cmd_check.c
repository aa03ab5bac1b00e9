/* muster check: what would make a restart go wrong, with evidence and what to do; --fix says what it will do
 * of that, and does it.
 *
 * Exit: 0 nothing (that is left) blocks, 1 something does, 3 nothing blocks but a repair failed. */
#include <stdio.h>

#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/operation.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

#define CHECK_DEADLINE_US (60 * 1000000ull)

struct checking {
        struct terminal terminal;
        bool fix, json;
        json_t *found, *repairs, *remaining; /* with json; owned */
        unsigned informs, warns, blocks;     /* of the newest round */
        unsigned repaired, repair_failed;
        bool in_remaining, failed;
};

static const char *severity_word(Muster__V1__FindingSeverity severity, enum style *ret_style)
{
        *ret_style = severity == MUSTER__V1__FINDING_SEVERITY__FINDING_SEVERITY_BLOCKS  ? STYLE_BAD
                     : severity == MUSTER__V1__FINDING_SEVERITY__FINDING_SEVERITY_WARNS ? STYLE_WARN
                                                                                        : STYLE_PLAIN;
        return *ret_style == STYLE_BAD ? "blocks" : *ret_style == STYLE_WARN ? "warns" : "informs";
}

/* A line of text from outside, cleaned. */
static void print_text(const char *label, const char *text)
{
        char clean[1024];

        if (!text[0])
                return;
        text_copy_cut(clean, sizeof(clean), text);
        clean_text(clean);
        printf("         %s%s\n", label, clean);
}

/* Under a finding: how it is repaired, or by what it will be. */
static void print_fix(const struct checking *checking, const Muster__V1__Finding *finding)
{
        const struct operation_type *type = operation_type((enum operation_kind)finding->fix);
        char line[192];

        if (!finding->fixable || checking->in_remaining)
                return;
        snprintf(line, sizeof(line), "%.63s%s%.63s %s", finding->host, finding->service[0] ? "/" : "",
                 finding->service, type ? type->name : "?");
        if (checking->fix)
                print_text("will do  ", line);
        else
                puts("         (muster check --fix does it)");
}

static void print_finding(const struct checking *checking, const Muster__V1__Finding *finding)
{
        enum style style;
        const char *word = severity_word(finding->severity, &style);
        char place[192];

        snprintf(place, sizeof(place), "%.63s%s%.63s %.63s", finding->host, finding->service[0] ? "/" : "",
                 finding->service, finding->id);
        clean_text(place);
        printf("%s%-7s%s  %s\n", style_begin(&checking->terminal, style), word,
               style_end(&checking->terminal, style), place);
        print_text("", finding->evidence);
        print_text("do: ", finding->advice);
        print_fix(checking, finding);
        fflush(stdout); /* a repair may last for an hour */
}

static void count(struct checking *checking, const Muster__V1__Finding *finding)
{
        if (finding->severity == MUSTER__V1__FINDING_SEVERITY__FINDING_SEVERITY_BLOCKS)
                checking->blocks++;
        else if (finding->severity == MUSTER__V1__FINDING_SEVERITY__FINDING_SEVERITY_WARNS)
                checking->warns++;
        else
                checking->informs++;
}

static void keep_json(struct checking *checking, json_t *list, const ProtobufCMessage *message)
{
        if (json_array_append_new(list, json_message(message)) < 0)
                checking->failed = true;
}

static void on_repair(struct checking *checking, const Muster__V1__CheckUpdate *update)
{
        enum style style = update->repair_failed ? STYLE_BAD : STYLE_GOOD;
        char text[1024];

        if (update->repair_failed)
                checking->repair_failed++;
        else
                checking->repaired++;
        if (checking->json) {
                keep_json(checking, checking->repairs, &update->base);
                return;
        }
        text_copy_cut(text, sizeof(text), update->repair);
        clean_text(text);
        line_over(&checking->terminal, NULL);
        printf("%s%-7s%s  %s\n", style_begin(&checking->terminal, style),
               update->repair_failed ? "FAILED" : "fixed", style_end(&checking->terminal, style), text);
        fflush(stdout);
}

static void on_progress(const struct checking *checking, const char *progress)
{
        char text[512];

        text_copy_cut(text, sizeof(text), progress);
        clean_text(text);
        if (!checking->json)
                line_over(&checking->terminal, text);
}

static void on_update(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__CheckUpdate *update = (const Muster__V1__CheckUpdate *)message;
        struct checking *checking = userdata;

        if (update->repair[0]) {
                on_repair(checking, update);
                return;
        }
        if (update->progress[0])
                on_progress(checking, update->progress);
        if (!update->finding)
                return;
        if (update->remaining && !checking->in_remaining) {
                checking->in_remaining = true;
                checking->informs = checking->warns = checking->blocks = 0;
                if (!checking->json)
                        puts("\nafter the repairs:");
        }
        count(checking, update->finding);
        if (checking->json)
                keep_json(checking, update->remaining ? checking->remaining : checking->found,
                          &update->finding->base);
        else
                print_finding(checking, update->finding);
}

static int finish_json(struct checking *checking)
{
        json_t *all = json_pack("{s:O, s:O, s:O}", "findings", checking->found, "repairs", checking->repairs,
                                "remaining", checking->remaining);

        if (!all || checking->failed || json_dumpf(all, stdout, JSON_INDENT(2)) < 0) {
                json_decref(all);
                return cli_fail(CLI_FAILED, "out of memory");
        }
        putchar('\n');
        json_decref(all);
        return CLI_DONE;
}

static void finish_text(const struct checking *checking)
{
        if (checking->blocks + checking->warns + checking->informs == 0)
                puts("nothing found that is in the way of a restart");
        else
                printf("\n%u blocking, %u warning, %u to know\n", checking->blocks, checking->warns,
                       checking->informs);
}

static int check(const struct cli *cli, struct checking *checking, const char *scope)
{
        Muster__V1__CheckRequest request = MUSTER__V1__CHECK_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct ending ending;
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        request.scope = (char *)scope;
        request.fix = checking->fix;
        /* A repair may be a rewrite that takes an hour; the controller ends each at its own deadline. */
        session_call(session, "Check", &request.base, checking->fix ? 0 : CHECK_DEADLINE_US, on_update,
                     checking, &ending);
        if (ending.interrupted)
                return cli_fail(CLI_PART, "interrupted; a repair that was begun goes on at its host");
        exit = ending_exit(&ending);
        if (exit != CLI_DONE)
                return exit;
        /* All repaired, and nothing remains: the rounds' counts are of what was found first. */
        if (checking->repaired + checking->repair_failed > 0 && !checking->in_remaining)
                checking->informs = checking->warns = checking->blocks = 0;
        if (checking->json)
                exit = finish_json(checking);
        else
                finish_text(checking);
        if (exit != CLI_DONE)
                return exit;
        return checking->blocks ? CLI_FAILED : checking->repair_failed ? CLI_PART : CLI_DONE;
}

static int run(const struct cli *cli, int argc, char **argv)
{
        struct checking checking = {0};
        const struct option list[] = {
                {"fix", &checking.fix, NULL, NULL, "repair what can be repaired, then check again"},
                {"json", &checking.json, NULL, NULL, "as JSON: findings, repairs, remaining"},
        };
        const struct options options = {"check", "[SCOPE]",          list, ELEMENTS(list),
                                        0,       ARGUMENT_WORDS_MAX, false};
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit))
                return exit;
        terminal_read(&checking.terminal, stdout);
        checking.found = json_array();
        checking.repairs = json_array();
        checking.remaining = json_array();
        if (checking.found && checking.repairs && checking.remaining)
                exit = check(cli, &checking, scope);
        else
                exit = cli_fail(CLI_FAILED, "out of memory");
        json_decref(checking.found);
        json_decref(checking.repairs);
        json_decref(checking.remaining);
        return exit;
}

const struct command command_check = {
        .name = "check",
        .usage = "[SCOPE] [--fix] [--json]",
        .summary = "what would go wrong, and its repair",
        .run = run,
};
