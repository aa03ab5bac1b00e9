/* See cmd_invitation.h. */
#include "cli/cmd_invitation.h"

#include <stdio.h>

#include "cli/answer.h"
#include "cli/terminal.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/value.h"
#include "common/rpc/join.h"
#include "proto/fleet.pb-c.h"

struct inviting {
        enum rpc_role role;
        const char *where, *use;
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
        if (join_line_parse(&line, inviting->role, text, &error) == 0 && invitation_is_local(line.address))
                fprintf(stderr,
                        "muster: this line only works on the controller's own machine: the controller "
                        "knows no other address of itself; give --address HOST:PORT, or start it with "
                        "--advertise HOST:PORT\n");
        time_text(when, reply->expires_us);
        puts(text);
        fflush(stdout);
        fprintf(stderr, "%s, once, until %s: %s\n", inviting->where, when, inviting->use);
        return 0;
}

int invitation_show(const struct cli *cli, const char *method, const ProtobufCMessage *request, bool json,
                    enum rpc_role role, const char *address, const char *where, const char *use)
{
        struct inviting inviting = {.role = role, .where = where, .use = use};
        struct answer answer = {method, request, json, view, &inviting};

        if (address && !conf_is_endpoint(address))
                return cli_fail(CLI_USAGE,
                                "--address: '%s' is not an address; write HOST:PORT, or [IPV6]:PORT",
                                address);
        return answer_show(cli, &answer);
}
