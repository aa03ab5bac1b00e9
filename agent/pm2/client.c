/* See client.h. */
#include "agent/pm2/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/pm2/amp.h"
#include "agent/pm2/json.h"
#include "common/base/buffer.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define READ_SIZE (256u << 10)

struct call {
        struct call *next;
        pm2_client *client;
        uint64_t id;
        pm2_reply reply; /* one of the two, or neither for pm2_client_tell */
        pm2_raw_reply raw;
        void *userdata;
        sd_event_source *timer;
        char method[48];
};

struct pm2_client {
        sd_event *event;
        sd_event_source *source;
        int fd;
        struct pm2_home home;
        pid_t pid;
        size_t limit;
        struct buffer in, out;
        struct call *calls;
        size_t call_count;
        uint64_t next_id;
        unsigned depth; /* callbacks on the stack: freeing waits for them */
        bool freed;
};

static struct call *call_free(struct call *call)
{
        if (!call)
                return NULL;
        sd_event_source_disable_unref(call->timer);
        free(call);
        return NULL;
}

static void disconnect(pm2_client *client)
{
        client->source = sd_event_source_disable_unref(client->source);
        if (client->fd >= 0)
                close(client->fd);
        client->fd = -1;
        buffer_clear(&client->out);
}

static void destroy(pm2_client *client)
{
        disconnect(client);
        while (client->calls) {
                struct call *call = client->calls;

                client->calls = call->next;
                call_free(call);
        }
        buffer_clear(&client->in);
        sd_event_unref(client->event);
        free(client);
}

pm2_client *pm2_client_free(pm2_client *client)
{
        if (!client)
                return NULL;
        if (client->depth > 0) {
                client->freed = true;
                disconnect(client);
                while (client->calls) {
                        struct call *call = client->calls;

                        client->calls = call->next;
                        call_free(call);
                }
        } else {
                destroy(client);
        }
        return NULL;
}

static void enter(pm2_client *client)
{
        client->depth++;
}

/* Whether the client is still there. */
static bool leave(pm2_client *client)
{
        if (--client->depth > 0 || !client->freed)
                return !client->freed;
        destroy(client);
        return false;
}

static struct call *take_call(pm2_client *client, uint64_t id)
{
        for (struct call **at = &client->calls; *at; at = &(*at)->next)
                if ((*at)->id == id) {
                        struct call *call = *at;

                        *at = call->next;
                        client->call_count--;
                        return call;
                }
        return NULL;
}

/* Ends a call that was taken out of the list. Only within enter and leave. */
static void end_call(struct call *call, int r, json_t *answer, const struct error *error)
{
        if (call->raw)
                call->raw(call->userdata, r < 0 ? r : -EBADMSG, NULL, 0, error);
        else if (call->reply)
                call->reply(call->userdata, r, answer, error);
        call_free(call);
}

static void fail_all(pm2_client *client, int r, const char *text)
{
        struct error error = {0};

        disconnect(client);
        error_set(&error, r, "PM2 of %s: %s", client->home.path, text);
        enter(client);
        while (client->calls && !client->freed) {
                struct call *call = client->calls;

                client->calls = call->next;
                client->call_count--;
                end_call(call, r, NULL, &error);
        }
        leave(client);
}

/* PM2 passes an error as a text or as an object with a msg. */
static void remote_error(const struct call *call, json_t *cause, struct error *error)
{
        const char *text = json_string_value(cause);

        if (!text)
                text = json_string_value(json_object_get(cause, "msg"));
        if (!text)
                text = json_string_value(json_object_get(cause, "message"));
        error_set(error, -EREMOTEIO, "PM2 refused %s: %s", call->method, text ? text : "(no reason given)");
}

static void answer_parsed(struct call *call, const struct amp_argument *body)
{
        struct error error = {0};
        json_t *message = NULL, *cause, *args;
        int r;

        if (body->size > call->client->limit / PM2_TREE_SHARE)
                r = error_set(&error, -E2BIG, "PM2's answer to %s has %zu bytes, %zu at most are read here",
                              call->method, body->size, call->client->limit / PM2_TREE_SHARE);
        else
                r = pm2_json_parse(&message, (const char *)body->bytes, body->size, &error);
        if (r < 0) {
                end_call(call, r, NULL, &error);
                return;
        }
        cause = json_object_get(message, "error");
        args = json_object_get(message, "args");
        if (cause) {
                remote_error(call, cause, &error);
                end_call(call, -EREMOTEIO, NULL, &error);
        } else if (!json_is_array(args)) {
                error_set(&error, -EBADMSG, "PM2's answer to %s has no args", call->method);
                end_call(call, -EBADMSG, NULL, &error);
        } else {
                json_t *answer = json_array_get(args, 0);

                end_call(call, 0, answer ? answer : json_null(), NULL);
        }
        json_decref(message);
}

static void answer_raw(struct call *call, const struct amp_argument *body)
{
        static const char start[] = "{\"args\":[";
        size_t length = sizeof(start) - 1;

        if (body->size < length + 2 || memcmp(body->bytes, start, length) != 0) {
                answer_parsed(call, body); /* an error: its end passes r < 0 to the raw callback */
                return;
        }
        call->raw(call->userdata, 0, (const char *)body->bytes + length, body->size - length - 2, NULL);
        call_free(call);
}

/* The id is the last argument, as we sent it: "s:" and a number. */
static int message_id(const struct amp_message *message, uint64_t *ret)
{
        struct amp_argument body;
        char digits[24];

        if (message->count != 2 || amp_argument_body(&message->arguments[1], "s:", &body) < 0 ||
            body.size >= sizeof(digits))
                return -EBADMSG;
        memcpy(digits, body.bytes, body.size);
        digits[body.size] = '\0';
        return text_to_u64(digits, ret);
}

static int dispatch_message(pm2_client *client, const struct amp_message *message)
{
        struct amp_argument body;
        struct call *call;
        uint64_t id;

        if (message_id(message, &id) < 0 || amp_argument_body(&message->arguments[0], "j:", &body) < 0)
                return -EBADMSG;
        call = take_call(client, id);
        if (!call)
                return 0; /* its deadline has passed */
        if (call->raw)
                answer_raw(call, &body);
        else
                answer_parsed(call, &body);
        return 0;
}

/* Returns 0, or what ends the connection. Within enter and leave. */
static int dispatch_input(pm2_client *client)
{
        while (!client->freed) {
                struct amp_message message;
                ssize_t n = amp_decode(client->in.data, client->in.size, client->limit, &message);
                int r;

                if (n == 0)
                        return 0;
                if (n < 0)
                        return (int)n;
                r = dispatch_message(client, &message);
                if (r < 0)
                        return r;
                buffer_consume(&client->in, (size_t)n);
        }
        return 0;
}

static int flush(pm2_client *client)
{
        while (client->out.size > 0) {
                ssize_t n = send(client->fd, client->out.data, client->out.size, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0)
                        return -errno;
                buffer_consume(&client->out, (size_t)n);
        }
        return sd_event_source_set_io_events(client->source, client->out.size ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* 1: the other side has closed. */
static int read_some(pm2_client *client)
{
        for (unsigned turns = 0; turns < 8; turns++) {
                ssize_t n;
                int r = buffer_reserve(&client->in, READ_SIZE);

                if (r < 0)
                        return r;
                n = recv(client->fd, client->in.data + client->in.size, READ_SIZE, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                if (n == 0)
                        return 1;
                client->in.size += (size_t)n;
        }
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        pm2_client *client = userdata;
        int r = 0, end = 0;

        if (events & EPOLLOUT)
                r = flush(client);
        if (r == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                end = read_some(client);
                enter(client);
                r = dispatch_input(client);
                if (!leave(client))
                        return 0;
                if (client->in.size == 0)
                        buffer_clear(&client->in); /* a megabyte is not kept for the next time */
        }
        if (r == -EMSGSIZE)
                fail_all(client, r, "an answer larger than allowed");
        else if (r < 0)
                fail_all(client, r, r == -EBADMSG ? "an answer that is not its protocol" : strerror(-r));
        else if (end < 0)
                fail_all(client, end, strerror(-end));
        else if (end > 0)
                fail_all(client, -ECONNRESET, "the daemon closed the connection");
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t now, void *userdata)
{
        struct call *call = userdata;
        pm2_client *client = call->client;
        struct error error = {0};

        take_call(client, call->id);
        error_set(&error, -ETIMEDOUT, "PM2 of %s did not answer %s in time", client->home.path, call->method);
        enter(client);
        end_call(call, -ETIMEDOUT, NULL, &error);
        leave(client);
        return 0;
}

static int connect_socket(pm2_client *client, struct error *error)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct ucred peer;
        socklen_t size = sizeof(peer);
        int fd;

        if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/rpc.sock", client->home.path) >=
            (int)sizeof(address.sun_path))
                return error_set(error, -ENAMETOOLONG, "PM2 home %s: too long for a socket's path",
                                 client->home.path);
        fd = client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return error_set(error, -errno, "no PM2 daemon answers at %s: %s", address.sun_path,
                                 strerror(errno));
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid != client->home.uid)
                return error_set(error, -EPERM,
                                 "%s is served by uid %u, not by %s (uid %u): not talking to it",
                                 address.sun_path, peer.uid, client->home.user, client->home.uid);
        client->pid = peer.pid;
        return 0;
}

int pm2_client_new(pm2_client **ret, sd_event *event, const struct pm2_home *home, size_t limit,
                   struct error *error)
{
        cleanup_with(pm2_client_freep) pm2_client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        *client = (pm2_client){.event = sd_event_ref(event), .fd = -1, .home = *home, .next_id = 1};
        client->limit = limit ? limit : PM2_MESSAGE_LIMIT;
        r = connect_socket(client, error);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &client->source, client->fd, EPOLLIN, on_io, client);
        if (r < 0)
                return r;
        *ret = TAKE(client);
        return 0;
}

/* json_dump_callback's sink: straight into the message. */
static int dump_into(const char *text, size_t size, void *data)
{
        return buffer_append(data, text, size) < 0 ? -1 : 0;
}

static int append_call(pm2_client *client, const char *method, json_t *args, uint64_t id)
{
        cleanup_buffer struct buffer text = {0};
        struct amp_argument arguments[2];
        char tag[32];
        json_t *call;
        int length, r;

        call = json_pack("{s:s, s:s, s:O}", "type", "call", "method", method, "args", args);
        if (!call)
                return -ENOMEM;
        r = buffer_append(&text, "j:", 2);
        if (r == 0 && json_dump_callback(call, dump_into, &text, JSON_COMPACT) < 0)
                r = -ENOMEM;
        json_decref(call);
        if (r < 0)
                return r;
        length = snprintf(tag, sizeof(tag), "s:%llu", (unsigned long long)id);
        arguments[0] = (struct amp_argument){text.data, text.size};
        arguments[1] = (struct amp_argument){(const uint8_t *)tag, (size_t)length};
        return amp_encode(&client->out, arguments, 2);
}

static int start_call(pm2_client *client, const char *method, json_t *args, uint64_t timeout_us,
                      const struct call *model)
{
        struct call *call;
        int r;

        if (client->fd < 0)
                return -ENOTCONN;
        if (client->call_count >= PM2_CALLS_MAX)
                return -EBUSY;
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        *call = *model;
        call->client = client;
        call->id = client->next_id;
        text_copy_cut(call->method, sizeof(call->method), method);
        r = sd_event_add_time_relative(client->event, &call->timer, CLOCK_BOOTTIME, timeout_us, 0, on_timeout,
                                       call);
        if (r >= 0)
                r = append_call(client, method, args, call->id);
        if (r < 0) {
                call_free(call);
                return r;
        }
        client->next_id++;
        call->next = client->calls;
        client->calls = call;
        client->call_count++;
        /* Written in the next turn of the loop, together with what else is called in this one. */
        return sd_event_source_set_io_events(client->source, EPOLLIN | EPOLLOUT);
}

int pm2_client_call(pm2_client *client, const char *method, json_t *args, uint64_t timeout_us,
                    pm2_reply callback, void *userdata)
{
        struct call model = {.reply = callback, .userdata = userdata};
        int r;

        if (!args)
                return -ENOMEM;
        r = start_call(client, method, args, timeout_us, &model);
        json_decref(args);
        return r < 0 ? r : 0;
}

int pm2_client_call_raw(pm2_client *client, const char *method, json_t *args, uint64_t timeout_us,
                        pm2_raw_reply callback, void *userdata)
{
        struct call model = {.raw = callback, .userdata = userdata};
        int r;

        if (!args)
                return -ENOMEM;
        r = start_call(client, method, args, timeout_us, &model);
        json_decref(args);
        return r < 0 ? r : 0;
}

int pm2_client_tell(pm2_client *client, const char *method, json_t *args)
{
        int r;

        if (!args)
                return -ENOMEM;
        r = client->fd < 0 ? -ENOTCONN : append_call(client, method, args, 0);
        json_decref(args);
        if (r < 0)
                return r;
        return sd_event_source_set_io_events(client->source, EPOLLIN | EPOLLOUT);
}

pid_t pm2_client_pid(const pm2_client *client)
{
        return client->pid;
}
