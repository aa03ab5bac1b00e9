/* See answer.h. */
#include "cli/answer.h"

#include "cli/connect.h"
#include "cli/json.h"
#include "common/base/cleanup.h"

struct showing {
        const struct answer *answer;
        int failure;
};

static void on_message(const ProtobufCMessage *message, void *userdata)
{
        struct showing *showing = userdata;
        const struct answer *answer = showing->answer;

        showing->failure =
                answer->json ? json_print(message, false) : answer->view(message, answer->userdata);
}

int answer_show(const struct cli *cli, const struct answer *answer)
{
        struct showing showing = {.answer = answer};
        cleanup_with(session_freep) session *session = NULL;
        struct ending ending;
        int exit;

        if (!session_open(&session, cli, &exit))
                return exit;
        session_call(session, answer->method, answer->request, CALL_DEADLINE_US, on_message, &showing,
                     &ending);
        if (showing.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        return ending_exit(&ending);
}
