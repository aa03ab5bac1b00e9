/* A user who starts another plan than the one that was shown: start_driver IDENTITY. Asks for the plan of a
 * restart, then starts it with its digest changed in one bit, and without any; a line for each answer: the
 * status, a blank, the text. What the command line never does can be asked for in no other way. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"
#include "common/rpc/rpc.h"
#include "proto/fleet.pb-c.h"

enum { PLAN, CHANGED, NONE, END };

struct driver {
        sd_event *event;
        rpc_peer *peer;
        int step;
        uint8_t digest[64];
        size_t size;
};

static void step_start(struct driver *driver);

static void on_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__PlanReply *plan = (const Muster__V1__PlanReply *)message;
        struct driver *driver = userdata;

        if (driver->step != PLAN)
                return;
        driver->size = plan->digest.len < sizeof(driver->digest) ? plan->digest.len : 0;
        memcpy(driver->digest, plan->digest.data, driver->size);
        if (driver->size)
                driver->digest[driver->size - 1] ^= 1;
}

static void on_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct driver *driver = userdata;

        printf("%s %s\n", rpc_status_name(code), text);
        if (++driver->step == END)
                sd_event_exit(driver->event, 0);
        else
                step_start(driver);
}

static void step_start(struct driver *driver)
{
        Muster__V1__PlanRequest plan = MUSTER__V1__PLAN_REQUEST__INIT;
        Muster__V1__StartRequest start = MUSTER__V1__START_REQUEST__INIT;
        bool asks = driver->step == PLAN;
        int r;

        plan.kind = start.kind = MUSTER__V1__PLAN_KIND__PLAN_KIND_RESTART;
        start.force = true;
        if (driver->step == CHANGED)
                start.digest = (ProtobufCBinaryData){driver->size, driver->digest};
        r = rpc_call_start(NULL, driver->peer, &muster__v1__fleet__descriptor, asks ? "Plan" : "Start",
                           asks ? &plan.base : &start.base, 20 * USEC_PER_SEC, on_message, on_end, driver);
        if (r < 0)
                sd_event_exit(driver->event, r);
}

static void on_up(rpc_peer *peer, void *userdata)
{
        struct driver *driver = userdata;

        driver->peer = peer;
        step_start(driver);
}

static void on_failed(enum rpc_status code, const char *text, void *userdata)
{
        struct driver *driver = userdata;

        fprintf(stderr, "start_driver: %s\n", text);
        sd_event_exit(driver->event, -ECONNREFUSED);
}

int main(int argc, char **argv)
{
        const struct rpc_node_events events = {.up = on_up};
        struct driver driver = {0};
        struct rpc_dial_options options = {.once = true, .failed = on_failed, .userdata = &driver};
        struct identity identity;
        struct noise_keypair key;
        struct error error = {0};
        rpc_node *node = NULL;
        int r;

        if (argc != 2 || sodium_init() < 0)
                return 2;
        r = identity_read(&identity, argv[1], &error);
        if (r == 0)
                r = noise_keypair_from_secret(&key, identity.secret);
        if (r == 0)
                r = sd_event_new(&driver.event);
        if (r >= 0)
                r = rpc_node_new(&node, driver.event, RPC_USER, &key, NULL, 0, &events, &driver);
        options.address = identity.address;
        memcpy(options.remote_key, identity.controller, sizeof(options.remote_key));
        if (r == 0)
                r = rpc_node_dial(node, &options, &error);
        if (r == 0)
                r = sd_event_loop(driver.event);
        if (r < 0)
                fprintf(stderr, "start_driver: %s\n", error_text(&error, r));
        rpc_node_free(node);
        sd_event_unref(driver.event);
        return r < 0 ? 1 : 0;
}
