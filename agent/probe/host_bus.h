/* What systemd and logind are asked about the host at each reading, and what their answers mean: one table.
 * For the host reader. */
#pragma once

#include <systemd/sd-bus.h>

#include "common/model/state.h"

#define SYSTEMD      "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define LOGIND       "org.freedesktop.login1"
#define LOGIND_PATH  "/org/freedesktop/login1"

struct host_question {
        const char *service, *path, *interface, *member;
        /* Adds the arguments. < 0: a negative errno. NULL: there are none. */
        int (*arguments)(sd_bus_message *call);
        /* Takes the answer into the state; NULL for reply: there was none, or an error. */
        void (*take)(struct host_state *state, sd_bus_message *reply);
};

/* Who holds a shutdown back, by the answer to ListInhibitors; facts owns the list. Who blocks is never left
 * out for who delays. -EBADMSG or the like: not such an answer; -ENOMEM. */
int host_take_inhibitors(struct host_facts *facts, sd_bus_message *reply);

#define HOST_QUESTIONS 6
extern const struct host_question host_questions[HOST_QUESTIONS];
