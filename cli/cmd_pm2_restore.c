/* muster pm2 restore: brings one PM2 home to a snapshot: shows what differs, asks, follows, and shows what
 * differs then. What is restored is the snapshot that was shown, also if a newer one comes meanwhile.
 *
 * Exit: 0 all is as saved, 3 in part, or left before the end; 1 failed, or no was said; 2 no such snapshot; 5
 * the host, its PM2 or the snapshot's file cannot be had. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cmd_operation.h"
#include "cli/cmd_pm2.h"
#include "cli/cmd_pm2_view.h"
#include "cli/confirm.h"
#include "cli/json.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

struct restoring {
        const char *service; /* as it was given */
        bool yes, json, start_errored;
        struct operations operations;
        char snapshot[80]; /* that is restored: set by the first look */
        char held_by[160]; /* the run that holds the host */
        json_t *looks;     /* with json: before and after; owned */
        uint32_t failure;  /* of the last look */
        uint32_t total, extra;
        bool more;     /* differences than were told: there may be more extra apps among them */
        unsigned seen; /* services in one look */
};

static void on_look(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetPm2Diff *diff = (const Muster__V1__FleetPm2Diff *)message;
        const Muster__V1__Pm2Comparison *comparison = diff->comparison;
        struct restoring *restoring = userdata;

        if (restoring->seen++)
                return;
        restoring->failure = diff->failure || !comparison ? diff->failure : comparison->failure;
        if (restoring->failure == 0 && (!comparison || !comparison->from))
                restoring->failure = RPC_DATA_LOSS;
        if (restoring->failure == 0) {
                text_copy_cut(restoring->snapshot, sizeof(restoring->snapshot), comparison->from->name);
                restoring->total = comparison->total;
                restoring->extra = 0;
                restoring->more = comparison->total > comparison->n_differences;
                for (size_t i = 0; i < comparison->n_differences; i++)
                        restoring->extra += text_equal(comparison->differences[i]->what, "extra");
        }
        if (restoring->failure && restoring->looks)
                cli_fail(CLI_FAILED, "%s",
                         diff->failure || !comparison ? diff->failure_text : comparison->failure_text);
        if (diff->held_by[0])
                snprintf(restoring->held_by, sizeof(restoring->held_by), "run %.63s holds %.63s",
                         diff->held_by, diff->host);
        if (restoring->looks)
                restoring->operations.out_of_memory |=
                        json_array_append_new(restoring->looks, json_message(message)) < 0;
        else
                restoring->operations.out_of_memory |=
                        pm2_diff_view(diff, stdout, &restoring->operations.terminal) < 0;
}

/* The snapshot against live. */
static int look(session *session, struct restoring *restoring)
{
        Muster__V1__FleetPm2DiffRequest request = MUSTER__V1__FLEET_PM2_DIFF_REQUEST__INIT;
        struct ending ending;
        int exit;

        restoring->seen = 0;
        request.scope = (char *)restoring->service;
        request.from = restoring->snapshot;
        session_call(session, "Pm2Diff", &request.base, CALL_DEADLINE_US, on_look, restoring, &ending);
        exit = ending_exit(&ending);
        if (exit != CLI_DONE)
                return exit;
        if (restoring->seen != 1)
                return cli_fail(CLI_USAGE,
                                "pm2 restore: one service is restored at a time; %s holds %u of kind pm2",
                                restoring->service, restoring->seen);
        return restoring->failure == 0               ? CLI_DONE
               : restoring->failure == RPC_NOT_FOUND ? CLI_USAGE
                                                     : CLI_UNREACHABLE;
}

static int restore(session *session, struct restoring *restoring)
{
        Muster__V1__FleetPm2RestoreRequest request = MUSTER__V1__FLEET_PM2_RESTORE_REQUEST__INIT;
        struct ending ending;
        char look_at[256];

        request.service = (char *)restoring->service;
        request.snapshot = restoring->snapshot;
        request.start_errored = restoring->start_errored;
        session_call(session, "Pm2Restore", &request.base, 0, operations_on_message, &restoring->operations,
                     &ending);
        snprintf(look_at, sizeof(look_at), "muster pm2 diff %s", restoring->service);
        return operations_ending(&ending, look_at);
}

static int print_json(const struct restoring *restoring)
{
        json_t *all = json_pack("{s:O, s:O?, s:O?}", "before", json_array_get(restoring->looks, 0), "result",
                                json_array_get(restoring->operations.ends, 0), "remaining",
                                json_array_get(restoring->looks, 1));
        int r = all && !restoring->operations.out_of_memory ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;

        json_decref(all);
        if (r < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        putchar('\n');
        return CLI_DONE;
}

/* Nothing to do, or not allowed: *ret_exit. True: go on. */
static bool go_on(session *session, const struct restoring *restoring, int *ret_exit)
{
        *ret_exit = CLI_DONE;
        if (restoring->held_by[0]) {
                *ret_exit = cli_fail(CLI_FAILED, "%s: nothing is restored by hand meanwhile (muster run ls)",
                                     restoring->held_by);
                return false;
        }
        if (restoring->total == 0 && !restoring->start_errored)
                return false;
        if (!restoring->json && restoring->extra)
                printf("\n%s%u app%s that the snapshot does not know will be deleted\n",
                       restoring->more ? "at least " : "", restoring->extra,
                       restoring->extra == 1 ? "" : "s");
        if (!restoring->json && restoring->start_errored)
                puts("\napps that were errored are started");
        return restoring->yes || confirm(session, "restore", "nothing was started", ret_exit);
}

static int look_ask_restore(const struct cli *cli, struct restoring *restoring)
{
        cleanup_with(session_freep) session *session = NULL;
        int exit, remaining;

        if (!session_open(&session, cli, &exit))
                return exit;
        exit = look(session, restoring);
        if (exit != CLI_DONE)
                return exit;
        if (!go_on(session, restoring, &exit)) {
                remaining = restoring->json && exit == CLI_DONE ? print_json(restoring) : CLI_DONE;
                return exit == CLI_DONE ? remaining : exit;
        }
        exit = restore(session, restoring);
        if (exit != CLI_DONE)
                return exit;
        exit = operations_exit(&restoring->operations);
        remaining = look(session, restoring);
        if (restoring->json && print_json(restoring) != CLI_DONE)
                return CLI_FAILED;
        return exit == CLI_DONE && remaining != CLI_DONE ? CLI_PART : exit;
}

int pm2_restore(const struct cli *cli, int argc, char **argv)
{
        struct restoring restoring = {0};
        const struct option list[] = {
                {"start-errored", &restoring.start_errored, NULL, NULL, "start what was errored too"},
                {"yes", &restoring.yes, NULL, NULL, "do not ask"},
                {"json", &restoring.json, NULL, NULL, "as JSON: before, result, remaining; needs --yes"},
        };
        const struct options options = {"pm2 restore", "SERVICE [SNAPSHOT]", list, ELEMENTS(list), 1, 2,
                                        false};
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (!restoring.yes && (restoring.json || !isatty(STDIN_FILENO)))
                return cli_fail(CLI_USAGE,
                                "pm2 restore: nobody can be asked here; give --yes if it may be done unseen");
        restoring.service = arguments.words[0];
        if (arguments.word_count > 1 &&
            (text_equal(arguments.words[1], "live") || text_equal(arguments.words[1], "dump") ||
             text_copy(restoring.snapshot, sizeof(restoring.snapshot), arguments.words[1]) < 0))
                return cli_fail(CLI_USAGE, "pm2 restore: '%s' is no snapshot (muster pm2 ls)",
                                arguments.words[1]);
        terminal_read(&restoring.operations.terminal, stdout);
        if (restoring.json &&
            (!(restoring.looks = json_array()) || !(restoring.operations.ends = json_array())))
                exit = cli_fail(CLI_FAILED, "out of memory");
        else
                exit = look_ask_restore(cli, &restoring);
        json_decref(restoring.looks);
        json_decref(restoring.operations.ends);
        return exit;
}
