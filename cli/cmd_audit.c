/* muster audit: who did what, newest first; and whether what is on record is what was written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"
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
#define HASH_SIZE     32u

#define VERIFY_DEADLINE_US (600 * USEC_PER_SEC)

static int entries_table(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__AuditReply *reply = (const Muster__V1__AuditReply *)message;
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

static int list_entries(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__AuditRequest request = MUSTER__V1__AUDIT_REQUEST__INIT;
        struct answer answer = {.method = "Audit", .request = &request.base, .view = entries_table};
        const char *limit = NULL;
        const struct option list[] = {
                {"limit", NULL, &limit, "N", "how many of the newest (default 50)"},
                {"json", &answer.json, NULL, NULL, "as JSON"},
        };
        const struct options options = {"audit ls", "", list, ELEMENTS(list), 0, 0, false};
        struct arguments arguments;
        int exit;

        request.limit = ENTRIES_SHOWN;
        return options_read(&options, argc, argv, &arguments, &exit) &&
                               option_number("audit ls: --limit", limit, ENTRIES_MOST, &request.limit, &exit)
                       ? answer_show(cli, &answer)
                       : exit;
}

struct verifying {
        bool json;
        int failure;
        uint64_t bad;
};

static void on_verified(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__AuditVerifyReply *reply = (const Muster__V1__AuditVerifyReply *)message;
        struct verifying *verifying = userdata;
        char hash[2 * HASH_SIZE + 1] = "";

        verifying->bad = reply->bad;
        if (verifying->json) {
                verifying->failure = json_print(message, false);
                return;
        }
        if (reply->hash.len == HASH_SIZE)
                text_hex(hash, reply->hash.data, HASH_SIZE);
        if (reply->bad)
                return;
        printf("%llu entries, each as it was written\n", (unsigned long long)reply->entries);
        if (reply->entries)
                printf("to see later that none was cut off, keep this elsewhere: --known %llu:%s\n",
                       (unsigned long long)reply->entries, hash);
}

/* NUMBER:HASH, as an earlier verification said. */
static int known_parse(const char *text, uint64_t *ret_number, uint8_t ret_hash[HASH_SIZE])
{
        const char *colon = strchr(text, ':');
        char number[24];

        if (!colon || (size_t)(colon - text) >= sizeof(number))
                return -EINVAL;
        memcpy(number, text, (size_t)(colon - text));
        number[colon - text] = '\0';
        return text_to_u64(number, ret_number) < 0 || *ret_number == 0 ||
                               text_unhex(ret_hash, HASH_SIZE, colon + 1) < 0
                       ? -EINVAL
                       : 0;
}

static int verify_entries(const struct cli *cli, int argc, char **argv)
{
        struct verifying verifying = {0};
        const char *known = NULL;
        const struct option list[] = {
                {"known", NULL, &known, "NUMBER:HASH", "an entry that an earlier verification named"},
                {"json", &verifying.json, NULL, NULL, "as JSON"},
        };
        const struct options options = {"audit verify", "", list, ELEMENTS(list), 0, 0, false};
        Muster__V1__AuditVerifyRequest request = MUSTER__V1__AUDIT_VERIFY_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        uint8_t hash[HASH_SIZE];
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (known && known_parse(known, &request.known_number, hash) < 0)
                return cli_fail(CLI_USAGE,
                                "audit verify: --known takes NUMBER:HASH, as audit verify prints it");
        if (known)
                request.known_hash = (ProtobufCBinaryData){sizeof(hash), hash};
        if (!session_open(&session, cli, &exit))
                return exit;
        session_call(session, "AuditVerify", &request.base, VERIFY_DEADLINE_US, on_verified, &verifying,
                     &ending);
        if (verifying.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        if (verifying.bad)
                return cli_fail(
                        CLI_FAILED,
                        "entry %llu of the audit trail is not as it was written, or is missing; the %llu "
                        "before it are whole",
                        (unsigned long long)verifying.bad, (unsigned long long)verifying.bad - 1);
        return ending_exit(&ending);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list[] = {{"ls", list_entries}, {"verify", verify_entries}};

        return subcommand_run("audit", list, ELEMENTS(list), cli, argc, argv);
}

const struct command command_audit = {
        .name = "audit",
        .usage = "ls|verify",
        .summary = "who did what",
        .run = run,
};
