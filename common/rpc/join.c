/* See join.h. */
#include "common/rpc/join.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define JOIN_LIMIT_USEC (15 * USEC_PER_SEC)

static const char *prefix_of(enum rpc_role role)
{
        return role == RPC_USER ? "muster-user:1:" : "muster-join:1:";
}

static const char *advice_for(enum rpc_role role)
{
        return role == RPC_USER ? "give the whole line that `muster user add NAME` printed, in quotes"
                                : "give the whole line that `muster host invite HOST` printed, in quotes";
}

int join_line_format(const struct join_line *line, char *out, size_t size)
{
        char token[2 * RPC_TOKEN_SIZE + 1], key[2 * NOISE_KEY_SIZE + 1];
        int n;

        text_hex(token, line->token, sizeof(line->token));
        text_hex(key, line->controller, sizeof(line->controller));
        n = snprintf(out, size, "%s%s:%s:%s:%s", prefix_of(line->role), line->name, line->address, key,
                     token);
        sodium_memzero(token, sizeof(token));
        return n < 0 || (size_t)n >= size ? -EMSGSIZE : 0;
}

/* Cuts the last ":FIELD" off text. NULL if there is no colon. */
static char *cut_last(char *text)
{
        char *colon = strrchr(text, ':');

        if (!colon)
                return NULL;
        *colon = '\0';
        return colon + 1;
}

int join_line_parse(struct join_line *ret, enum rpc_role role, const char *text, struct error *error)
{
        const char *advice = advice_for(role), *prefix = prefix_of(role);
        struct join_line parsed = {.role = role};
        char copy[JOIN_LINE_SIZE], *token, *key, *address;

        if (!text_starts(text, prefix) || TEXT_COPY(copy, text + strlen(prefix)) < 0)
                return error_set(error, -EINVAL, "this is not an invitation for a %s; %s",
                                 role == RPC_USER ? "person" : "host", advice);
        token = cut_last(copy);
        key = token ? cut_last(copy) : NULL;
        address = key ? strchr(copy, ':') : NULL;
        if (!address)
                return error_set(error, -EINVAL, "the invitation is cut short; %s", advice);
        *address++ = '\0';
        if (text_unhex(parsed.token, sizeof(parsed.token), token) < 0 ||
            text_unhex(parsed.controller, sizeof(parsed.controller), key) < 0 || !text_is_name(copy) ||
            TEXT_COPY(parsed.name, copy) < 0 || TEXT_COPY(parsed.address, address) < 0 || !parsed.address[0])
                return error_set(error, -EINVAL, "the invitation is damaged; %s", advice);
        *ret = parsed;
        return 0;
}

struct joining {
        sd_event *event;
        enum rpc_status code;
        struct error error;
        char name[RPC_NAME_SIZE];
};

static void on_up(rpc_peer *peer, void *userdata)
{
        struct joining *joining = userdata;

        text_copy_cut(joining->name, sizeof(joining->name), rpc_peer_name(peer));
        sd_event_exit(joining->event, 1);
}

static void on_failed(enum rpc_status code, const char *text, void *userdata)
{
        struct joining *joining = userdata;

        joining->code = code;
        error_set(&joining->error, 0, "%s", text);
        sd_event_exit(joining->event, 0);
}

static int on_late(sd_event_source *source, uint64_t now_us, void *userdata)
{
        on_failed(RPC_UNAVAILABLE, "no answer within 15 s", userdata);
        return 0;
}

/* Dials once. 1: admitted; 0: not, and joining says why. */
static int dial(struct joining *joining, const struct join_line *line, const struct noise_keypair *key,
                struct error *error)
{
        struct rpc_node_events events = {.up = on_up};
        struct rpc_dial_options options = {
                .address = line->address,
                .token = line->token,
                .once = true,
                .failed = on_failed,
                .userdata = joining,
        };
        sd_event_source *late = NULL;
        rpc_node *node = NULL;
        int r;

        memcpy(options.remote_key, line->controller, sizeof(options.remote_key));
        r = sd_event_new(&joining->event);
        if (r < 0)
                return r;
        r = rpc_node_new(&node, joining->event, line->role, key, NULL, 0, &events, joining);
        if (r == 0)
                r = rpc_node_dial(node, &options, error);
        if (r == 0)
                r = sd_event_add_time_relative(joining->event, &late, CLOCK_BOOTTIME, JOIN_LIMIT_USEC, 0,
                                               on_late, joining);
        if (r >= 0)
                r = sd_event_loop(joining->event);
        sd_event_source_disable_unref(late);
        rpc_node_free(node);
        sd_event_unref(joining->event);
        return r;
}

/* The key is on disk before it is shown: an agent that dies after being admitted must not lose it. */
static int own_key(struct noise_keypair *ret, const char *folder, struct error *error)
{
        uint8_t secret[NOISE_KEY_SIZE];
        char path[PATH_SIZE + 16];
        int r = file_make_folders(folder, 0700, error);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "%s/key", folder);
        r = settings_key(secret, path, error);
        if (r == 0)
                r = noise_keypair_from_secret(ret, secret);
        sodium_memzero(secret, sizeof(secret));
        return r;
}

int join_with_line(const struct join_line *line, const char *folder, struct error *error)
{
        struct joining joining = {.code = RPC_UNAVAILABLE};
        struct identity identity = {0};
        struct noise_keypair key;
        char path[PATH_SIZE + 16];
        int r = own_key(&key, folder, error);

        if (r < 0)
                return r;
        r = dial(&joining, line, &key, error);
        if (r == 0)
                r = error_set(error, joining.code == RPC_UNAVAILABLE ? -EHOSTUNREACH : -EACCES,
                              "the controller at %s did not let %s in: %s", line->address,
                              line->role == RPC_USER ? "you" : "this host", joining.error.text);
        if (r > 0)
                r = TEXT_COPY(identity.address, line->address);
        if (r == 0) {
                memcpy(identity.controller, line->controller, sizeof(identity.controller));
                memcpy(identity.secret, key.secret, sizeof(identity.secret));
                snprintf(path, sizeof(path), "%s/identity", folder);
                r = identity_write(&identity, path, error);
        }
        sodium_memzero(&identity, sizeof(identity));
        sodium_memzero(&key, sizeof(key));
        return r;
}
