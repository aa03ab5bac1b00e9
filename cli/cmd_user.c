/* muster user: who may give commands. Each person has a key of their own, made where they sit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/cmd_invitation.h"
#include "cli/options.h"
#include "cli/subcommand.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/rpc/join.h"
#include "proto/fleet.pb-c.h"

static int users_table(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__UsersReply *reply = (const Muster__V1__UsersReply *)message;
        static const char *const heads[] = {"USER", "SINCE (UTC)", "LINKS"};
        cleanup_with(table_freep) table *table = NULL;
        struct terminal terminal;
        int r = table_new(&table, heads, ELEMENTS(heads));

        if (r < 0)
                return r;
        for (size_t i = 0; i < reply->n_users; i++) {
                char when[TIME_TEXT_SIZE];

                time_text(when, reply->users[i]->added_us);
                table_cell(table, STYLE_BOLD, "%s", reply->users[i]->name);
                table_cell(table, STYLE_DIM, "%s", when);
                table_cell(table, STYLE_PLAIN, "%u", reply->users[i]->links);
        }
        terminal_read(&terminal, stdout);
        return table_print(table, stdout, &terminal);
}

static int list_users(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__UsersRequest request = MUSTER__V1__USERS_REQUEST__INIT;
        struct answer answer = {.method = "Users", .request = &request.base, .view = users_table};
        const struct option list[] = {{"json", &answer.json, NULL, NULL, "as JSON"}};
        const struct options options = {"user ls", "", list, ELEMENTS(list), 0, 0, false};
        struct arguments arguments;
        int exit;

        return options_read(&options, argc, argv, &arguments, &exit) ? answer_show(cli, &answer) : exit;
}

static int add_user(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__AddUserRequest request = MUSTER__V1__ADD_USER_REQUEST__INIT;
        const struct invitation invitation = {
                .command = "user add",
                .word = "NAME",
                .reaches = "under which they reach the controller",
                .method = "AddUser",
                .request = &request.base,
                .name = &request.user,
                .address = &request.address,
                .role = RPC_USER,
                .before = "where",
                .behind = " sits",
                .use = "muster user join LINE",
        };

        return invitation_command(cli, argc, argv, &invitation);
}

/* Where the identity goes: --folder, else ~/.config/muster. One that is there is somebody: it stays. */
static int own_folder(char ret[PATH_SIZE], const char *folder, struct error *error)
{
        const char *home = getenv("HOME");
        char path[PATH_SIZE + 16];
        int n = folder          ? snprintf(ret, PATH_SIZE, "%s", folder)
                : home && *home ? snprintf(ret, PATH_SIZE, "%s/.config/muster", home)
                                : -1;

        if (n < 0)
                return error_set(error, -EINVAL, "there is no $HOME; give --folder DIR");
        if (n >= (int)PATH_SIZE)
                return error_set(error, -ENAMETOOLONG, "the folder's name is too long");
        snprintf(path, sizeof(path), "%s/identity", ret);
        if (access(path, F_OK) == 0)
                return error_set(error, -EEXIST,
                                 "%s is there already and stays; move it away, or give --folder DIR", path);
        return 0;
}

static int join_user(const struct cli *cli, int argc, char **argv)
{
        const char *folder = NULL;
        const struct option list[] = {
                {"folder", NULL, &folder, "DIR", "for the identity file (default ~/.config/muster)"}};
        const struct options options = {"user join", "LINE", list, ELEMENTS(list), 1, 1, false};
        struct arguments arguments;
        struct error error = {0};
        struct join_line line;
        char own[PATH_SIZE];
        int exit, r;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        r = join_line_parse(&line, RPC_USER, arguments.words[0], &error);
        if (r < 0)
                return cli_fail(CLI_USAGE, "user join: %s", error_text(&error, r));
        r = own_folder(own, folder, &error);
        if (r == 0)
                r = join_with_line(&line, own, &error);
        if (r < 0)
                return cli_fail(r == -EACCES || r == -EHOSTUNREACH ? CLI_UNREACHABLE : CLI_FAILED, "%s",
                                error_text(&error, r));
        printf("you are %s now, by %s/identity\n", line.name, own);
        if (folder)
                printf("use it: muster --identity %s/identity COMMAND\n", own);
        return CLI_DONE;
}

static int revoke_user(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__RevokeUserRequest request = MUSTER__V1__REVOKE_USER_REQUEST__INIT;
        const struct revocation revocation = {
                .command = "user revoke",
                .word = "NAME",
                .method = "RevokeUser",
                .request = &request.base,
                .name = &request.user,
                .done = "may give no more commands",
                .again = "user add",
                .effect = "lets them in again",
        };

        return revocation_command(cli, argc, argv, &revocation);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        static const struct subcommand list[] = {
                {"ls", list_users}, {"add", add_user}, {"join", join_user}, {"revoke", revoke_user}};

        return subcommand_run("user", list, ELEMENTS(list), cli, argc, argv);
}

const struct command command_user = {
        .name = "user",
        .usage = "ls|add|join|revoke",
        .summary = "who may give commands",
        .run = run,
};
