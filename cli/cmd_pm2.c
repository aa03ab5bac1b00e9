/* muster pm2: what PM2 homes run, saved, compared and brought back; and here, the list of what was saved.
 *
 * Exit of ls: 0 listed, 3 a host or more could not be asked, 5 none could. */
#include <stdio.h>

#include "cli/cmd_pm2.h"
#include "cli/cmd_pm2_view.h"
#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"
#include "proto/fleet.pb-c.h"

struct listing {
        json_t *services; /* with json; owned */
        table *table;     /* without; owned */
        unsigned listed, unlisted, snapshots;
        bool failed;
};

static void on_snapshots(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__FleetPm2Snapshots *listed = (const Muster__V1__FleetPm2Snapshots *)message;
        struct listing *listing = userdata;

        if (listed->failure) {
                listing->unlisted++;
                cli_fail(CLI_FAILED, "%.63s/%.63s: %s", listed->host, listed->service, listed->failure_text);
        } else {
                listing->listed++;
                listing->snapshots += (unsigned)listed->n_snapshots;
        }
        if (listing->services)
                listing->failed |= json_array_append_new(listing->services, json_message(message)) < 0;
        else
                pm2_snapshots_rows(listing->table, listed);
}

static int print_listing(const struct listing *listing)
{
        struct terminal terminal;
        json_t *all;
        int r;

        if (!listing->services) {
                terminal_read(&terminal, stdout);
                if (listing->snapshots)
                        return table_print(listing->table, stdout, &terminal);
                if (listing->listed)
                        puts("no snapshots; muster pm2 save takes one, and so does every reboot or restart");
                return 0;
        }
        all = json_pack("{s:O}", "services", listing->services);
        r = all && !listing->failed ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
        json_decref(all);
        putchar('\n');
        return r;
}

static int list(const struct cli *cli, struct listing *listing, const char *scope)
{
        Muster__V1__FleetPm2SnapshotsRequest request = MUSTER__V1__FLEET_PM2_SNAPSHOTS_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct ending ending;
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        request.scope = (char *)scope;
        session_call(session, "Pm2Snapshots", &request.base, CALL_DEADLINE_US, on_snapshots, listing,
                     &ending);
        exit = ending_exit(&ending);
        if (exit != CLI_DONE)
                return exit;
        if (print_listing(listing) < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return listing->unlisted == 0 ? CLI_DONE : listing->listed ? CLI_PART : CLI_UNREACHABLE;
}

static int list_snapshots(const struct cli *cli, int argc, char **argv)
{
        struct listing listing = {0};
        bool json = false;
        const struct option options_list[] = {{"json", &json, NULL, NULL, "as JSON"}};
        const struct options options = {"pm2 ls", "[SCOPE]",          options_list, ELEMENTS(options_list),
                                        0,        ARGUMENT_WORDS_MAX, false};
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        int exit, r;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit))
                return exit;
        if (json)
                r = (listing.services = json_array()) ? 0 : -ENOMEM;
        else
                r = pm2_snapshots_heads(&listing.table);
        exit = r < 0 ? cli_fail(CLI_FAILED, "out of memory") : list(cli, &listing, scope);
        json_decref(listing.services);
        table_free(listing.table);
        return exit;
}

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list_of_parts[] = {
                {"ls", list_snapshots},
                {"save", pm2_save},
                {"diff", pm2_diff},
                {"restore", pm2_restore},
        };

        return subcommand_run("pm2", list_of_parts, ELEMENTS(list_of_parts), cli, argc, argv);
}

const struct command command_pm2 = {
        .name = "pm2",
        .usage = "ls|save|diff|restore",
        .summary = "what PM2 runs: saved, compared, brought back",
        .run = run,
};
