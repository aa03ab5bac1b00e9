/* See cmd_invitation.h. */
#include "cli/cmd_invitation.h"

#include <stdio.h>

#include "cli/answer.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/value.h"
#include "common/rpc/join.h"
#include "proto/fleet.pb-c.h"

struct inviting {
        const struct invitation *invitation;
        const char *name;
};

bool invitation_is_local(const char *address)
{
        static const char *const local[] = {"0.0.0.0:", "[::]:", "127.", "[::1]:", "localhost:"};

        for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
                if (text_starts(address, local[i]))
                        return true;
        return false;
}

static int view(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__InviteReply *reply = (const Muster__V1__InviteReply *)message;
        const struct inviting *inviting = userdata;
        char when[TIME_TEXT_SIZE], text[JOIN_LINE_SIZE];
        struct error error = {0};
        struct join_line line;

        text_copy_cut(text, sizeof(text), reply->line);
        clean_text(text);
        if (join_line_parse(&line, inviting->invitation->role, text, &error) == 0 &&
            invitation_is_local(line.address))
                fprintf(stderr,
                        "muster: this line only works on the controller's own machine: the controller "
                        "knows no other address of itself; give --address HOST:PORT, or start it with "
                        "--advertise HOST:PORT\n");
        time_text(when, reply->expires_us);
        puts(text);
        fflush(stdout);
        fprintf(stderr, "%s %s%s, once, until %s: %s\n", inviting->invitation->before, inviting->name,
                inviting->invitation->behind, when, inviting->invitation->use);
        return 0;
}

int invitation_command(const struct cli *cli, int argc, char **argv, const struct invitation *invitation)
{
        struct inviting inviting = {.invitation = invitation};
        struct answer answer = {
                .method = invitation->method,
                .request = invitation->request,
                .view = view,
                .userdata = &inviting,
        };
        const char *address = NULL;
        const struct option list[] = {
                {"address", NULL, &address, "HOST:PORT", invitation->reaches},
                {"json", &answer.json, NULL, NULL, "as JSON"},
        };
        const struct options options = {
                invitation->command, invitation->word, list, ELEMENTS(list), 1, 1, false};
        struct arguments arguments;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (address && !conf_is_endpoint(address))
                return cli_fail(CLI_USAGE,
                                "--address: '%s' is not an address; write HOST:PORT, or [IPV6]:PORT",
                                address);
        inviting.name = arguments.words[0];
        *invitation->name = (char *)arguments.words[0];
        *invitation->address = (char *)(address ? address : "");
        return answer_show(cli, &answer);
}

int revocation_command(const struct cli *cli, int argc, char **argv, const struct revocation *revocation)
{
        const struct options options = {revocation->command, revocation->word, NULL, 0, 1, 1, false};
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        const char *name;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) || !session_open(&session, cli, &exit))
                return exit;
        name = arguments.words[0];
        *revocation->name = (char *)name;
        session_call(session, revocation->method, revocation->request, CALL_DEADLINE_US, NULL, NULL, &ending);
        exit = ending_exit(&ending);
        if (exit == CLI_DONE)
                printf("%s %s; muster %s %s %s\n", name, revocation->done, revocation->again, name,
                       revocation->effect);
        return exit;
}
