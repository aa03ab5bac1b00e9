/* A question with one answer: asked, and shown by the command's own view or as JSON. */
#pragma once

#include <stdbool.h>

#include "cli/command.h"
#include "common/rpc/rpc.h"

struct answer {
        const char *method;
        const ProtobufCMessage *request;
        bool json;
        int (*view)(const ProtobufCMessage *message, void *userdata); /* 0, or -ENOMEM */
        void *userdata;
};

/* Opens a session, asks, shows. The exit code; what went wrong is printed. */
int answer_show(const struct cli *cli, const struct answer *answer);
