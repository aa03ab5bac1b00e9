/* See connect.h. */
#include "cli/connect.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/identity_file.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/conf/settings.h"
#include "proto/fleet.pb-c.h"

#define DIAL_WAIT_US (5 * USEC_PER_SEC)

struct session {
        sd_event *event;
        sd_event_source *interrupt, *terminate;
        rpc_node *node;
        rpc_peer *peer;      /* NULL while there is no link */
        char path[PATH_MAX]; /* of the identity file */
        struct identity identity;
        bool interrupted;

        /* the dial under way */
        bool dialled;
        enum rpc_status refusal;
        char why[ERROR_TEXT_SIZE];

        /* the call under way */
        rpc_call *call;
        void (*on_message)(const ProtobufCMessage *message, void *userdata);
        void *userdata;
        bool stop;
        struct ending *ending;
};

/* --- the node's events --- */

static void on_up(rpc_peer *peer, void *userdata)
{
        struct session *session = userdata;

        session->peer = peer;
        session->dialled = true;
}

static void on_down(rpc_peer *peer, const char *reason, void *userdata)
{
        struct session *session = userdata;

        session->peer = NULL;
        text_copy_cut(session->why, sizeof(session->why), reason);
}

static void on_dial_failed(enum rpc_status code, const char *text, void *userdata)
{
        struct session *session = userdata;

        session->dialled = true;
        session->refusal = code;
        text_copy_cut(session->why, sizeof(session->why), text);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct session *session = userdata;

        session->interrupted = true;
        return 0;
}

static int on_wait_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        bool *over = userdata;

        *over = true;
        return 0;
}

/* --- opening --- */

static int dial(struct session *session, struct error *error)
{
        struct rpc_dial_options options = {
                .address = session->identity.address,
                .once = true,
                .failed = on_dial_failed,
                .userdata = session,
        };

        memcpy(options.remote_key, session->identity.controller, NOISE_KEY_SIZE);
        session->dialled = false;
        session->refusal = RPC_OK;
        session->why[0] = '\0';
        return rpc_node_dial(session->node, &options, error);
}

/* Waits for the dial's outcome: 0 linked, -ETIME, -EINTR, or -EACCES / -ECONNREFUSED with session->why. */
static int dial_wait(struct session *session, uint64_t wait_us)
{
        sd_event_source *timer = NULL;
        bool over = false;
        int r;

        r = sd_event_add_time_relative(session->event, &timer, CLOCK_BOOTTIME, wait_us, 0, on_wait_over,
                                       &over);
        if (r < 0)
                return r;
        while (r >= 0 && !session->dialled && !over && !session->interrupted)
                r = sd_event_run(session->event, UINT64_MAX);
        sd_event_source_disable_unref(timer);
        if (r < 0)
                return r;
        if (session->interrupted)
                return -EINTR;
        if (!session->dialled)
                return -ETIME;
        if (session->peer)
                return 0;
        return session->refusal == RPC_UNAVAILABLE ? -ECONNREFUSED : -EACCES;
}

static int set_up(struct session *session, struct error *error)
{
        static const struct rpc_node_events events = {.up = on_up, .down = on_down};
        struct noise_keypair keys;
        int r;

        r = noise_keypair_from_secret(&keys, session->identity.secret);
        if (r < 0)
                return error_set(error, r, "the secret in the identity file is not a usable key");
        r = sd_event_new(&session->event);
        if (r == 0)
                r = sd_event_add_signal(session->event, &session->interrupt, SIGINT, on_signal, session);
        if (r >= 0)
                r = sd_event_add_signal(session->event, &session->terminate, SIGTERM, on_signal, session);
        if (r >= 0)
                r = rpc_node_new(&session->node, session->event, RPC_USER, &keys, NULL, 0, &events, session);
        explicit_bzero(&keys, sizeof(keys));
        if (r < 0)
                return error_set(error, r, "cannot set up the link: %s", strerror(-r));
        return dial(session, error);
}

bool session_open(session **ret, const struct cli *cli, int *ret_exit)
{
        cleanup_with(session_freep) struct session *session = calloc(1, sizeof(*session));
        struct error error = {0};
        const char *address;
        int r;

        if (!session) {
                *ret_exit = cli_fail(CLI_FAILED, "out of memory");
                return false;
        }
        r = identity_file_find(session->path, cli->identity, &error);
        if (r == 0)
                r = identity_read(&session->identity, session->path, &error);
        if (r < 0) {
                *ret_exit = cli_fail(CLI_UNREACHABLE, "%s", error_text(&error, r));
                return false;
        }
        r = set_up(session, &error);
        if (r < 0) {
                *ret_exit = cli_fail(CLI_UNREACHABLE, "%s", error_text(&error, r));
                return false;
        }
        r = dial_wait(session, DIAL_WAIT_US);
        address = session->identity.address;
        if (r == 0) {
                *ret = TAKE(session);
                return true;
        }
        if (r == -EINTR)
                *ret_exit = cli_fail(CLI_UNREACHABLE, "interrupted before the controller at %s answered",
                                     address);
        else if (r == -ETIME)
                *ret_exit = cli_fail(CLI_UNREACHABLE,
                                     "the controller at %s did not answer within 5 s: is that host up, and "
                                     "is muster-controller running there?",
                                     address);
        else if (r == -ECONNREFUSED)
                *ret_exit = cli_fail(
                        CLI_UNREACHABLE, "cannot reach the controller at %s: %s%s", address, session->why,
                        strstr(session->why, "it refused us: ") ? "" : " (is muster-controller running?)");
        else
                *ret_exit = cli_fail(CLI_UNREACHABLE,
                                     "the controller at %s does not accept this identity (%s): %s", address,
                                     session->path, session->why[0] ? session->why : strerror(-r));
        return false;
}

int session_reopen(session *session, uint64_t wait_us, struct error *error)
{
        uint64_t until = time_monotonic_us() + wait_us, pause_us = 100 * USEC_PER_MSEC;

        for (;;) {
                uint64_t now = time_monotonic_us();
                sd_event_source *timer = NULL;
                bool over = false;
                int r;

                if (now >= until)
                        return error_set(error, -ETIME, "the controller at %s did not come back: %s",
                                         session->identity.address, session->why);
                r = dial(session, error);
                if (r < 0)
                        return r;
                r = dial_wait(session, until - now);
                if (r == 0 || r == -EINTR)
                        return r;
                if (r == -EACCES)
                        return error_set(error, r, "the controller at %s refused the link: %s",
                                         session->identity.address, session->why);
                if (r != -ECONNREFUSED)
                        continue;
                r = sd_event_add_time_relative(session->event, &timer, CLOCK_BOOTTIME, pause_us, 0,
                                               on_wait_over, &over);
                while (r >= 0 && !over && !session->interrupted)
                        r = sd_event_run(session->event, UINT64_MAX);
                sd_event_source_disable_unref(timer);
                if (r < 0)
                        return error_set(error, r, "%s", strerror(-r));
                if (session->interrupted)
                        return -EINTR;
                if (pause_us < 2 * USEC_PER_SEC)
                        pause_us *= 2;
        }
}

session *session_free(session *session)
{
        if (!session)
                return NULL;
        if (session->call)
                rpc_call_cancel(session->call);
        if (session->node)
                rpc_node_free(session->node);
        sd_event_source_disable_unref(session->interrupt);
        sd_event_source_disable_unref(session->terminate);
        sd_event_unref(session->event);
        explicit_bzero(&session->identity, sizeof(session->identity));
        free(session);
        return NULL;
}

/* --- calling --- */

static void on_call_message(rpc_call *call, const ProtobufCMessage *message, void *userdata)
{
        struct session *session = userdata;

        if (session->on_message && !session->stop)
                session->on_message(message, session->userdata);
}

static void on_call_end(rpc_call *call, enum rpc_status code, const char *text, void *userdata)
{
        struct session *session = userdata;

        session->call = NULL;
        session->ending->code = code;
        text_copy_cut(session->ending->text, sizeof(session->ending->text), text);
}

void session_stop(session *session)
{
        session->stop = true;
}

void session_call(session *session, const char *method, const ProtobufCMessage *request, uint64_t deadline_us,
                  void (*on_message)(const ProtobufCMessage *message, void *userdata), void *userdata,
                  struct ending *ret)
{
        int r;

        *ret = (struct ending){.code = RPC_UNAVAILABLE};
        if (!session->peer) {
                text_copy_cut(ret->text, sizeof(ret->text), "the link to the controller was lost");
                return;
        }
        session->on_message = on_message;
        session->userdata = userdata;
        session->stop = false;
        session->interrupted = false;
        session->ending = ret;
        r = rpc_call_start(&session->call, session->peer, &muster__v1__fleet__descriptor, method, request,
                           deadline_us, on_call_message, on_call_end, session);
        if (r < 0) {
                session->call = NULL;
                ret->code = r == -EMSGSIZE ? RPC_INVALID_ARGUMENT : RPC_UNAVAILABLE;
                snprintf(ret->text, sizeof(ret->text), "cannot call %s: %s", method, strerror(-r));
                return;
        }
        while (session->call && !session->stop && !session->interrupted && r >= 0)
                r = sd_event_run(session->event, UINT64_MAX);
        if (!session->call)
                return;
        rpc_call_cancel(TAKE(session->call));
        if (session->stop) {
                *ret = (struct ending){.code = RPC_OK, .stopped = true};
        } else if (session->interrupted) {
                *ret = (struct ending){.code = RPC_CANCELLED, .interrupted = true};
                text_copy_cut(ret->text, sizeof(ret->text), "interrupted");
        } else {
                snprintf(ret->text, sizeof(ret->text), "the event loop failed: %s", strerror(-r));
        }
}

/* --- asking --- */

static int on_stdin(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        bool *ready = userdata;

        *ready = true;
        return 0;
}

int session_read_line(session *session, char *line, size_t size)
{
        size_t used = 0;

        session->interrupted = false;
        for (;;) {
                sd_event_source *source = NULL;
                bool ready = false;
                ssize_t n;
                char c;
                int r;

                r = sd_event_add_io(session->event, &source, STDIN_FILENO, EPOLLIN, on_stdin, &ready);
                while (r >= 0 && !ready && !session->interrupted && session->peer)
                        r = sd_event_run(session->event, UINT64_MAX);
                sd_event_source_disable_unref(source);
                if (r < 0 && r != -EPERM)
                        return r;
                if (session->interrupted)
                        return -EINTR;
                if (!session->peer)
                        return -ENOTCONN;
                n = read(STDIN_FILENO, &c, 1);
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                if (c == '\n') {
                        line[used] = '\0';
                        return 0;
                }
                if (used + 1 < size)
                        line[used++] = c;
        }
}

int ending_exit(const struct ending *ending)
{
        switch (ending->code) {
        case RPC_OK:
                return CLI_DONE;
        case RPC_INVALID_ARGUMENT:
        case RPC_OUT_OF_RANGE:
                return cli_fail(CLI_USAGE, "%s", ending->text);
        case RPC_PERMISSION_DENIED:
        case RPC_UNAUTHENTICATED:
        case RPC_UNAVAILABLE:
                return cli_fail(CLI_UNREACHABLE, "%s", ending->text);
        case RPC_DEADLINE_EXCEEDED:
                return cli_fail(CLI_UNREACHABLE, "no answer in time: %s", ending->text);
        case RPC_CANCELLED:
                return cli_fail(CLI_FAILED, "%s", ending->text);
        default:
                return cli_fail(CLI_FAILED, "%s",
                                ending->text[0] ? ending->text : rpc_status_name(ending->code));
        }
}
