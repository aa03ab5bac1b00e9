/* muster host: which hosts the fleet has, and who of them may connect. */
#include <stdio.h>

#include "cli/connect.h"
#include "cli/join_line.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "proto/fleet.pb-c.h"

struct showing {
        bool json;
        int failure;
};

static void groups_text(const Muster__V1__HostStatus *host, char *out, size_t size)
{
        size_t used = 0;

        out[0] = '\0';
        for (size_t i = 0; i < host->n_groups && used < size; i++)
                used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", host->groups[i]);
}

static int hosts_table(const Muster__V1__StatusReply *status)
{
        static const char *const heads[] = {"HOST", "STATE", "GROUPS", "AGENT", "KERNEL", "BOOT ID"};
        cleanup_with(table_freep) table *table = NULL;
        struct terminal terminal;
        int r = table_new(&table, heads, ELEMENTS(heads));

        if (r < 0)
                return r;
        for (size_t i = 0; i < status->n_hosts; i++) {
                const Muster__V1__HostStatus *host = status->hosts[i];
                const Muster__V1__HostState *state = host->host;
                char groups[512];

                groups_text(host, groups, sizeof(groups));
                table_cell(table, STYLE_BOLD, "%s", host->name);
                table_cell(table, host->connected ? STYLE_GOOD : STYLE_BAD, "%s",
                           host->connected ? "up"
                           : host->joined  ? "down"
                                           : "not joined");
                table_cell(table, STYLE_PLAIN, "%s", groups);
                table_cell(table, STYLE_PLAIN, "%s", state ? state->agent_version : "");
                table_cell(table, STYLE_PLAIN, "%s", state ? state->kernel : "");
                table_cell(table, STYLE_DIM, "%s", state ? state->boot_id : "");
        }
        terminal_read(&terminal, stdout);
        return table_print(table, stdout, &terminal);
}

static void on_status(const ProtobufCMessage *message, void *userdata)
{
        struct showing *showing = userdata;

        showing->failure = showing->json ? json_print(message, false)
                                         : hosts_table((const Muster__V1__StatusReply *)message);
}

static int list_hosts(const struct cli *cli, int argc, char **argv)
{
        struct showing showing = {0};
        const struct option list[] = {{"json", &showing.json, NULL, NULL, "as JSON"}};
        const struct options options = {"host ls", "", list, ELEMENTS(list), 0, 0, false};
        Muster__V1__StatusRequest request = MUSTER__V1__STATUS_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) || !session_open(&session, cli, &exit))
                return exit;
        session_call(session, "Status", &request.base, CALL_DEADLINE_US, on_status, &showing, &ending);
        if (showing.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return ending_exit(&ending);
}

struct inviting {
        const char *host;
        const char *address; /* NULL: as the controller says */
        bool json;
        int exit;
};

/* The line alone goes to stdout, so that it can be handed on by a script. */
static void on_invited(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__InviteReply *reply = (const Muster__V1__InviteReply *)message;
        struct inviting *inviting = userdata;
        char line[1024], when[TIME_TEXT_SIZE];
        struct error error = {0};

        text_copy_cut(line, sizeof(line), reply->line);
        if (inviting->address) {
                int r = join_line_readdress(reply->line, inviting->address, line, sizeof(line), &error);

                if (r < 0) {
                        inviting->exit = cli_fail(CLI_USAGE, "host invite: %s", error_text(&error, r));
                        return;
                }
        }
        clean_text(line);
        if (!inviting->address && join_line_is_local(line))
                fprintf(stderr, "muster: this line only works on the controller's own machine: the "
                                "controller knows no other "
                                "address of itself; give --address HOST:PORT, or start it with --advertise "
                                "HOST:PORT\n");
        if (inviting->json) {
                printf("{\"line\": \"%s\", \"expires_us\": %llu}\n", line,
                       (unsigned long long)reply->expires_us);
                return;
        }
        time_text(when, reply->expires_us);
        puts(line);
        fflush(stdout);
        fprintf(stderr, "on %s, once, until %s: muster-agent join LINE\n", inviting->host, when);
}

static int invite_host(const struct cli *cli, int argc, char **argv)
{
        struct inviting inviting = {0};
        const struct option list[] = {
                {"address", NULL, &inviting.address, "HOST:PORT",
                 "under which that host reaches the controller"},
                {"json", &inviting.json, NULL, NULL, "as JSON"},
        };
        const struct options options = {"host invite", "HOST", list, ELEMENTS(list), 1, 1, false};
        Muster__V1__InviteRequest request = MUSTER__V1__INVITE_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        char probe[1024];
        struct arguments arguments;
        struct error error = {0};
        struct ending ending;
        int exit, r;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        /* Before a token is made. */
        if (inviting.address) {
                r = join_line_readdress("muster-join:1:h:a:1:k:t", inviting.address, probe, sizeof(probe),
                                        &error);
                if (r < 0)
                        return cli_fail(CLI_USAGE, "host invite: %s", error_text(&error, r));
        }
        if (!session_open(&session, cli, &exit))
                return exit;
        inviting.host = arguments.words[0];
        request.host = (char *)arguments.words[0];
        if (inviting.address)
                request.address = (char *)inviting.address;
        session_call(session, "Invite", &request.base, CALL_DEADLINE_US, on_invited, &inviting, &ending);
        exit = ending_exit(&ending);
        return exit == CLI_DONE ? inviting.exit : exit;
}

static int revoke_host(const struct cli *cli, int argc, char **argv)
{
        const struct options options = {"host revoke", "HOST", NULL, 0, 1, 1, false};
        Muster__V1__RevokeRequest request = MUSTER__V1__REVOKE_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) || !session_open(&session, cli, &exit))
                return exit;
        request.host = (char *)arguments.words[0];
        session_call(session, "Revoke", &request.base, CALL_DEADLINE_US, NULL, NULL, &ending);
        exit = ending_exit(&ending);
        if (exit == CLI_DONE)
                printf("%s may no longer connect; muster host invite %s lets it join again\n",
                       arguments.words[0], arguments.words[0]);
        return exit;
}

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list[] = {
                {"ls", list_hosts}, {"invite", invite_host}, {"revoke", revoke_host}};

        return subcommand_run("host", list, ELEMENTS(list), cli, argc, argv);
}

const struct command command_host = {
        .name = "host",
        .usage = "ls|invite|revoke",
        .summary = "who belongs to the fleet",
        .run = run,
};
