/* muster audit: who did what, newest first. */
#include <stdio.h>

#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "proto/fleet.pb-c.h"

#define ENTRIES_SHOWN 50
#define ENTRIES_MOST  10000

struct showing {
        bool json;
        int failure;
};

static int entries_table(const Muster__V1__AuditReply *reply)
{
        static const char *const heads[] = {"TIME (UTC)", "WHO", "DID", "WHAT"};
        cleanup_with(table_freep) table *table = NULL;
        struct terminal terminal;
        int r = table_new(&table, heads, ELEMENTS(heads));

        if (r < 0)
                return r;
        for (size_t i = 0; i < reply->n_entries; i++) {
                const Muster__V1__AuditEntry *entry = reply->entries[i];
                char when[TIME_TEXT_SIZE];

                time_text(when, entry->time_us);
                table_cell(table, STYLE_DIM, "%s", when);
                table_cell(table, STYLE_BOLD, "%s", entry->user);
                table_cell(table, STYLE_PLAIN, "%s", entry->action);
                table_cell(table, STYLE_PLAIN, "%s", entry->text);
        }
        terminal_read(&terminal, stdout);
        return table_print(table, stdout, &terminal);
}

static void on_audit(const ProtobufCMessage *message, void *userdata)
{
        struct showing *showing = userdata;

        showing->failure = showing->json ? json_print(message, false)
                                         : entries_table((const Muster__V1__AuditReply *)message);
}

static int list_entries(const struct cli *cli, int argc, char **argv)
{
        struct showing showing = {0};
        const char *limit = NULL;
        const struct option list[] = {
                {"limit", NULL, &limit, "N", "how many of the newest (default 50)"},
                {"json", &showing.json, NULL, NULL, "as JSON"},
        };
        const struct options options = {"audit ls", "", list, ELEMENTS(list), 0, 0, false};
        Muster__V1__AuditRequest request = MUSTER__V1__AUDIT_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        uint64_t number = ENTRIES_SHOWN;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (limit && (text_to_u64(limit, &number) < 0 || number < 1 || number > ENTRIES_MOST))
                return cli_fail(CLI_USAGE, "audit ls: --limit '%s' is not a number from 1 to %d", limit,
                                ENTRIES_MOST);
        if (!session_open(&session, cli, &exit))
                return exit;
        request.limit = (uint32_t)number;
        session_call(session, "Audit", &request.base, CALL_DEADLINE_US, on_audit, &showing, &ending);
        if (showing.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return ending_exit(&ending);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list[] = {{"ls", list_entries}};

        return subcommand_run("audit", list, ELEMENTS(list), cli, argc, argv);
}

const struct command command_audit = {
        .name = "audit",
        .usage = "ls [--limit N] [--json]",
        .summary = "who did what",
        .run = run,
};
