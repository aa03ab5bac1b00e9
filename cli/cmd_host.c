/* muster host: which hosts the fleet has, and who of them may connect. */
#include <stdio.h>

#include "cli/answer.h"
#include "cli/cmd_invitation.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "proto/fleet.pb-c.h"

static void groups_text(const Muster__V1__HostStatus *host, char *out, size_t size)
{
        size_t used = 0;

        out[0] = '\0';
        for (size_t i = 0; i < host->n_groups && used < size; i++)
                used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", host->groups[i]);
}

static int hosts_table(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__StatusReply *status = (const Muster__V1__StatusReply *)message;
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

static int list_hosts(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__StatusRequest request = MUSTER__V1__STATUS_REQUEST__INIT;
        struct answer answer = {.method = "Status", .request = &request.base, .view = hosts_table};
        const struct option list[] = {{"json", &answer.json, NULL, NULL, "as JSON"}};
        const struct options options = {"host ls", "", list, ELEMENTS(list), 0, 0, false};
        struct arguments arguments;
        int exit;

        return options_read(&options, argc, argv, &arguments, &exit) ? answer_show(cli, &answer) : exit;
}

static int invite_host(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__InviteRequest request = MUSTER__V1__INVITE_REQUEST__INIT;
        const struct invitation invitation = {
                .command = "host invite",
                .word = "HOST",
                .reaches = "under which that host reaches the controller",
                .method = "Invite",
                .request = &request.base,
                .name = &request.host,
                .address = &request.address,
                .role = RPC_AGENT,
                .before = "on",
                .behind = "",
                .use = "muster-agent join LINE",
        };

        return invitation_command(cli, argc, argv, &invitation);
}

static int revoke_host(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__RevokeRequest request = MUSTER__V1__REVOKE_REQUEST__INIT;
        const struct revocation revocation = {
                .command = "host revoke",
                .word = "HOST",
                .method = "Revoke",
                .request = &request.base,
                .name = &request.host,
                .done = "may no longer connect",
                .again = "host invite",
                .effect = "lets it join again",
        };

        return revocation_command(cli, argc, argv, &revocation);
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
