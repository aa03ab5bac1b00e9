/* One connection to a PM2 daemon's rpc.sock: many calls at once, each with a deadline, nothing blocks.
 *
 * A call is the JSON {"type":"call","method":…,"args":[…]} and an id in one AMP message; the answer is
 * {"args":[…]} or {"error":…} with the same id (PM2's modules/pm2-axon-rpc). Calls are carried out by the
 * daemon in the order in which they were made; answers may come in any order. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "agent/pm2/home.h"
#include "common/base/cleanup.h"
#include "common/base/error.h"

typedef struct pm2_client pm2_client;

#define PM2_MESSAGE_LIMIT (64u << 20)
#define PM2_TREE_SHARE                                                                                       \
        4 /* an answer that is parsed, which takes ten times its size, may be so much smaller */
#define PM2_CALLS_MAX 16384

/* The end of a call. r 0: answer is the first value that PM2 passed (JSON null for none), borrowed for the
 * length of the callback. r negative: error says why; -EREMOTEIO is PM2's own refusal, -ETIMEDOUT, and
 * -ECONNRESET for all that were under way when the connection ended. The client may be freed from here. */
typedef void (*pm2_reply)(void *userdata, int r, json_t *answer, const struct error *error);

/* The same, with the answer as unparsed JSON: for reading large answers without building a tree. */
typedef void (*pm2_raw_reply)(void *userdata, int r, const char *text, size_t size,
                              const struct error *error);

/* Connects. Refuses a socket that is not served by the home's user. limit: bytes a message, 0 for
 * PM2_MESSAGE_LIMIT; a call's answer beyond limit / PM2_TREE_SHARE ends it with -E2BIG, unless it is a raw
 * one. -ENOENT or -ECONNREFUSED: no daemon; -EPERM: somebody else's. */
int pm2_client_new(pm2_client **ret, sd_event *event, const struct pm2_home *home, size_t limit,
                   struct error *error);
/* Calls that have not ended never do. */
pm2_client *pm2_client_free(pm2_client *client);
DEFINE_CLEANUP(pm2_client *, pm2_client_free);

/* Calls method; the callback comes once, from the loop, never from within. args is a JSON array, taken
 * over (also on failure; NULL counts as -ENOMEM, so that json_pack can stand in the call).
 * -ENOTCONN after the connection has ended, -EBUSY beyond PM2_CALLS_MAX. */
int pm2_client_call(pm2_client *client, const char *method, json_t *args, uint64_t timeout_us,
                    pm2_reply callback, void *userdata);
int pm2_client_call_raw(pm2_client *client, const char *method, json_t *args, uint64_t timeout_us,
                        pm2_raw_reply callback, void *userdata);
/* Calls a method whose answer nobody waits for. */
int pm2_client_tell(pm2_client *client, const char *method, json_t *args);

/* The daemon's process id, as the kernel knows it. */
pid_t pm2_client_pid(const pm2_client *client);
