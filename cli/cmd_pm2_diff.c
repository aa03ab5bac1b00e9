/* muster pm2 diff: a snapshot, what is live, PM2's own dump: what differs between two of them.
 *
 * Exit: 0 no difference, 1 there are some, 2 no such snapshot, 3 some services could not be compared, 5 none
 * could. */
#include <stdio.h>

#include "cli/cmd_pm2.h"
#include "cli/cmd_pm2_view.h"
#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

struct diffing {
        struct terminal terminal;
        json_t *services; /* with json; owned */
        const char *from, *to;
        unsigned equal, different, unknown, failed; /* services; unknown: there is no such snapshot */
        bool out_of_memory;
};

static void count(struct diffing *diffing, const Muster__V1__FleetPm2Diff *diff)
{
        uint32_t failure = diff->failure || !diff->comparison ? diff->failure : diff->comparison->failure;

        if (failure == RPC_NOT_FOUND)
                diffing->unknown++;
        else if (failure || !diff->comparison)
                diffing->failed++;
        else if (diff->comparison->total)
                diffing->different++;
        else
                diffing->equal++;
}

static void on_diff(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetPm2Diff *diff = (const Muster__V1__FleetPm2Diff *)message;
        struct diffing *diffing = userdata;

        count(diffing, diff);
        if (diffing->services)
                diffing->out_of_memory |= json_array_append_new(diffing->services, json_message(message)) < 0;
        else
                diffing->out_of_memory |= pm2_diff_view(diff, stdout, &diffing->terminal) < 0;
}

static int finish(struct diffing *diffing)
{
        unsigned compared = diffing->equal + diffing->different;

        if (diffing->services) {
                json_t *all = json_pack("{s:O}", "services", diffing->services);

                diffing->out_of_memory |= !all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0;
                json_decref(all);
                putchar('\n');
        }
        if (diffing->out_of_memory)
                return cli_fail(CLI_FAILED, "out of memory");
        if (compared && diffing->unknown + diffing->failed)
                return CLI_PART;
        if (diffing->failed)
                return CLI_UNREACHABLE;
        if (diffing->unknown)
                return CLI_USAGE;
        return diffing->different ? CLI_FAILED : CLI_DONE;
}

static int diff(const struct cli *cli, struct diffing *diffing, const char *scope)
{
        Muster__V1__FleetPm2DiffRequest request = MUSTER__V1__FLEET_PM2_DIFF_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct ending ending;
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        request.scope = (char *)scope;
        request.from = (char *)(diffing->from ? diffing->from : "");
        request.to = (char *)(diffing->to ? diffing->to : "");
        session_call(session, "Pm2Diff", &request.base, CALL_DEADLINE_US, on_diff, diffing, &ending);
        exit = ending_exit(&ending);
        return exit == CLI_DONE ? finish(diffing) : exit;
}

int pm2_diff(const struct cli *cli, int argc, char **argv)
{
        struct diffing diffing = {0};
        bool json = false;
        const struct option list[] = {
                {"from", NULL, &diffing.from, "SIDE",
                 "live, dump (PM2's own) or a snapshot; default: the newest"},
                {"to", NULL, &diffing.to, "SIDE", "the same; default: live"},
                {"json", &json, NULL, NULL, "as JSON"},
        };
        const struct options options = {"pm2 diff", "[SCOPE]",          list, ELEMENTS(list),
                                        0,          ARGUMENT_WORDS_MAX, false};
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit))
                return exit;
        terminal_read(&diffing.terminal, stdout);
        if (json && !(diffing.services = json_array()))
                return cli_fail(CLI_FAILED, "out of memory");
        exit = diff(cli, &diffing, scope);
        json_decref(diffing.services);
        return exit;
}
