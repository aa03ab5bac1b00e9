/* muster run: the runs, what one did, and the words that steer it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/cmd_follow.h"
#include "cli/cmd_plan_view.h"
#include "cli/confirm.h"
#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "proto/fleet.pb-c.h"

#define RUNS_SHOWN 20
#define RUNS_MOST  1000

static enum style state_style(const char *state)
{
        if (text_equal(state, "done"))
                return STYLE_GOOD;
        if (text_equal(state, "failed") || text_equal(state, "aborted"))
                return STYLE_BAD;
        return text_equal(state, "paused") || text_equal(state, "part") ? STYLE_WARN : STYLE_PLAIN;
}

/* "2026-11-23 21:05:09"; "" for 0. */
static void when_text(char out[TIME_TEXT_SIZE], uint64_t us)
{
        out[0] = '\0';
        if (us == 0)
                return;
        time_text(out, us);
        out[10] = ' ';
        out[19] = '\0';
}

static void took_text(char *out, size_t size, const Muster__V1__RunSummary *run)
{
        out[0] = '\0';
        if (run->finished_us > run->started_us)
                time_duration_text(out, size, run->finished_us - run->started_us);
}

/* The hosts that nothing else may be started on meanwhile; none once it has ended. */
static void holds_text(char *out, size_t size, const Muster__V1__RunSummary *run)
{
        size_t used = 0, shown = 0;

        out[0] = '\0';
        while (shown < run->n_hosts && used + strlen(run->hosts[shown]) + 24 < size) {
                used += (size_t)snprintf(out + used, size - used, "%s%s", shown ? "," : "",
                                         run->hosts[shown]);
                shown++;
        }
        if (shown < run->n_hosts)
                snprintf(out + used, size - used, " and %zu more", run->n_hosts - shown);
}

static int runs_table(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__RunsReply *reply = (const Muster__V1__RunsReply *)message;
        static const char *const heads[] = {"RUN",  "KIND",          "SCOPE", "STATE", "STEPS",
                                            "USER", "STARTED (UTC)", "TOOK",  "HOLDS", "WAITING FOR"};
        cleanup_with(table_freep) table *table = NULL;
        struct terminal terminal;
        int r = table_new(&table, heads, ELEMENTS(heads));

        if (r < 0)
                return r;
        for (size_t i = 0; i < reply->n_runs; i++) {
                const Muster__V1__RunSummary *run = reply->runs[i];
                char when[TIME_TEXT_SIZE], took[40], holds[200];

                holds_text(holds, sizeof(holds), run);
                when_text(when, run->started_us);
                took_text(took, sizeof(took), run);
                table_cell(table, STYLE_BOLD, "%s", run->run);
                table_cell(table, STYLE_PLAIN, "%s", plan_word(run->kind));
                table_cell(table, STYLE_PLAIN, "%s", run->scope[0] ? run->scope : "(all)");
                table_cell(table, state_style(run->state), "%s", run->state);
                table_cell(table, STYLE_PLAIN, "%u/%u", run->steps_done, run->steps_total);
                table_cell(table, STYLE_PLAIN, "%s", run->user);
                table_cell(table, STYLE_PLAIN, "%s", when);
                table_cell(table, STYLE_PLAIN, "%s", took);
                table_cell(table, STYLE_PLAIN, "%s", holds);
                table_cell(table, STYLE_WARN, "%s", run->waiting_for);
        }
        terminal_read(&terminal, stdout);
        if (reply->n_runs == 0)
                puts("no runs yet");
        return reply->n_runs ? table_print(table, stdout, &terminal) : 0;
}

static int list_runs(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__RunsRequest request = MUSTER__V1__RUNS_REQUEST__INIT;
        struct answer answer = {.method = "Runs", .request = &request.base, .view = runs_table};
        const char *limit = NULL;
        const struct option list[] = {
                {"limit", NULL, &limit, "N", "how many of the newest (default 20)"},
                {"json", &answer.json, NULL, NULL, "as JSON"},
        };
        const struct options options = {"run ls", "", list, ELEMENTS(list), 0, 0, false};
        struct arguments arguments;
        int exit;

        request.limit = RUNS_SHOWN;
        return options_read(&options, argc, argv, &arguments, &exit) &&
                               option_number("run ls: --limit", limit, RUNS_MOST, &request.limit, &exit)
                       ? answer_show(cli, &answer)
                       : exit;
}

/* show and watch: the journal so far, or to the end. */
static int follow(const struct cli *cli, int argc, char **argv, const char *command, bool once)
{
        struct follow_options follow = {.run = "", .once = once};
        const struct option list[] = {{"json", &follow.json, NULL, NULL, "as JSON, one object a line"}};
        const struct options options = {command, "[RUN]", list, ELEMENTS(list), 0, 1, false};
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (arguments.words[0])
                follow.run = arguments.words[0];
        if (!session_open(&session, cli, &exit))
                return exit;
        return follow_run(session, &follow);
}

static int show(const struct cli *cli, int argc, char **argv)
{
        return follow(cli, argc, argv, "run show", true);
}

static int watch(const struct cli *cli, int argc, char **argv)
{
        return follow(cli, argc, argv, "run watch", false);
}

/* What an abort does, or would do. */
struct steering {
        bool leave, dry, yes;
};

static void print_left(const Muster__V1__SteerReply *reply, const struct steering *steering)
{
        cleanup_free char *way_up = NULL;
        char text[512], range[96];

        if (reply->n_left == 0) {
                if (steering->dry)
                        puts("nothing is down: there would be nothing to bring up");
                return;
        }
        range_text(range, sizeof(range), reply->estimate_low_ms, reply->estimate_high_ms);
        if (steering->leave) {
                way_up = way_up_text(reply->summary, "");
                printf("%s%s", steering->dry ? "would be " : "", way_up ? way_up : "(out of memory)\n");
                if (range[0])
                        printf("estimated at %s\n", range);
                return;
        }
        printf("what it took down %s brought up%s%s:\n", steering->dry ? "would be" : "is",
               range[0] ? ", in " : "", range);
        for (size_t i = 0; i < reply->n_left; i++) {
                text_copy_cut(text, sizeof(text), reply->left[i]->name);
                clean_text(text);
                range_text(range, sizeof(range), reply->left[i]->estimate_low_ms,
                           reply->left[i]->estimate_high_ms);
                printf("  %4u  %s%s%s\n", reply->left[i]->index, text, range[0] ? "  " : "", range);
        }
}

static void on_steered(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__RunSummary *summary = ((const Muster__V1__SteerReply *)message)->summary;
        char text[1024];

        if (!summary)
                return;
        snprintf(text, sizeof(text), "run %.63s is %.63s%s%.768s", summary->run, summary->state,
                 summary->waiting_for[0] ? ": " : "", summary->waiting_for);
        clean_text(text);
        puts(text);
        print_left((const Muster__V1__SteerReply *)message, userdata);
}

/* On a terminal: what it would bring up, and whether it is to go on. Both are copies. */
static bool ask_abort(session *session, Muster__V1__SteerRequest request, struct steering steering,
                      int *ret_exit)
{
        struct ending ending;

        request.dry_run = steering.dry = true;
        session_call(session, "Steer", &request.base, CALL_DEADLINE_US, on_steered, &steering, &ending);
        *ret_exit = ending_exit(&ending);
        return *ret_exit == CLI_DONE && confirm(session, "abort", "nothing was changed", ret_exit);
}

static int steer(const struct cli *cli, int argc, char **argv, const char *command,
                 Muster__V1__SteerAction action, bool with_step)
{
        const char *why = NULL;
        struct steering steering = {0};
        const struct option list[] = {
                {"why", NULL, &why, "TEXT", "kept in the journal and the audit trail"},
                {"leave", &steering.leave, NULL, NULL, "leave all as it is, also what the run took down"},
                {"dry-run", &steering.dry, NULL, NULL, "do nothing, only say what would be brought up"},
                {"yes", &steering.yes, NULL, NULL, "do not ask"},
        };
        bool aborts = action == MUSTER__V1__STEER_ACTION__STEER_ACTION_ABORT;
        const struct options options = {command,
                                        with_step ? "RUN STEP" : "RUN",
                                        list,
                                        aborts ? ELEMENTS(list) : 1,
                                        with_step ? 2 : 1,
                                        with_step ? 2 : 1,
                                        false};
        Muster__V1__SteerRequest request = MUSTER__V1__STEER_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        uint64_t step = 0;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (with_step && (text_to_u64(arguments.words[1], &step) < 0 || step > INT32_MAX))
                return cli_fail(CLI_USAGE, "%s: '%s' is not a step's number (muster run show %s names them)",
                                command, arguments.words[1], arguments.words[0]);
        if (!session_open(&session, cli, &exit))
                return exit;
        request.run = (char *)arguments.words[0];
        request.action = steering.leave ? MUSTER__V1__STEER_ACTION__STEER_ACTION_LEAVE : action;
        request.step = with_step ? (int32_t)step : -1;
        request.why = (char *)(why ? why : "");
        if (aborts && !steering.dry && !steering.yes && isatty(STDIN_FILENO) &&
            !ask_abort(session, request, steering, &exit))
                return exit;
        request.dry_run = steering.dry;
        session_call(session, "Steer", &request.base, CALL_DEADLINE_US, on_steered, &steering, &ending);
        return ending_exit(&ending);
}

static int pause_run(const struct cli *cli, int argc, char **argv)
{
        return steer(cli, argc, argv, "run pause", MUSTER__V1__STEER_ACTION__STEER_ACTION_PAUSE, false);
}

static int resume(const struct cli *cli, int argc, char **argv)
{
        return steer(cli, argc, argv, "run resume", MUSTER__V1__STEER_ACTION__STEER_ACTION_RESUME, false);
}

static int retry(const struct cli *cli, int argc, char **argv)
{
        return steer(cli, argc, argv, "run retry", MUSTER__V1__STEER_ACTION__STEER_ACTION_RETRY, true);
}

static int skip(const struct cli *cli, int argc, char **argv)
{
        return steer(cli, argc, argv, "run skip", MUSTER__V1__STEER_ACTION__STEER_ACTION_SKIP, true);
}

static int abort_run(const struct cli *cli, int argc, char **argv)
{
        return steer(cli, argc, argv, "run abort", MUSTER__V1__STEER_ACTION__STEER_ACTION_ABORT, false);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list[] = {
                {"ls", list_runs},  {"show", show},   {"watch", watch}, {"pause", pause_run},
                {"resume", resume}, {"retry", retry}, {"skip", skip},   {"abort", abort_run},
        };

        return subcommand_run("run", list, ELEMENTS(list), cli, argc, argv);
}

const struct command command_run = {
        .name = "run",
        .usage = "ls|show|watch|pause|resume|retry|skip|abort",
        .summary = "runs, and how to steer them",
        .run = run,
};
