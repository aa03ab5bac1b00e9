/* Dialling: one nng dialer for each address, opened once and closed at exit, and the backoff between tries.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/rpc/internal.h"

#define DIAL_OF(item, member) ((struct rpc_dial *)((char *)(item)-offsetof(struct rpc_dial, member)))

struct rpc_dial {
        LIST_ENTRY(rpc_dial) link;
        rpc_node *node;
        char *address;
        nng_stream_dialer *dialer;
        nng_aio *aio;
        struct wake_item connected;
        struct timer retry;
        uint8_t key[NOISE_KEY_SIZE];
        uint8_t token[RPC_TOKEN_SIZE];
        bool has_token, once, dialling;
        uint64_t backoff_us; /* before the next try; 0: the lowest */
        rpc_peer *peer;
        void (*failed)(enum rpc_status code, const char *text, void *userdata);
        void *userdata;
};

const uint8_t *dial_token(const struct rpc_dial *dial)
{
        return dial->has_token ? dial->token : NULL;
}

const uint8_t *dial_key(const struct rpc_dial *dial)
{
        return dial->key;
}

/* A token is good for one admission: it is not shown again. */
void dial_admitted(struct rpc_dial *dial)
{
        sodium_memzero(dial->token, sizeof(dial->token));
        dial->has_token = false;
}

/* The next try after the backoff, less up to half of it by chance, so that a thousand do not come together.
 */
static void dial_later(struct rpc_dial *dial)
{
        const struct rpc_limits *limits = &dial->node->limits;
        uint64_t wait = dial->backoff_us;

        if (dial->once || dial->node->freeing)
                return;
        if (wait < limits->backoff_low_us)
                wait = limits->backoff_low_us;
        dial->backoff_us = wait * 2 < limits->backoff_high_us ? wait * 2 : limits->backoff_high_us;
        wait -= randombytes_uniform((uint32_t)(wait / 2) + 1);
        /* only a first arming can fail, and that was tried when the dial was made */
        timer_set(&dial->node->timers, &dial->retry, node_now(dial->node) + wait);
}

static void dial_failed(struct rpc_dial *dial, enum rpc_status code, const char *why)
{
        char text[RPC_REASON_SIZE + 300];

        snprintf(text, sizeof(text), "%s: %s", dial->address, why);
        dial_later(dial);
        if (dial->failed && !dial->node->freeing)
                dial->failed(code, text, dial->userdata);
}

static void dial_try(struct rpc_dial *dial)
{
        dial->dialling = true;
        nng_aio_set_timeout(dial->aio, (nng_duration)(dial->node->limits.dial_us / USEC_PER_MSEC));
        nng_stream_dialer_dial(dial->dialer, dial->aio);
}

static void dial_on_retry(struct timer *timer)
{
        dial_try(DIAL_OF(timer, retry));
}

static void dial_on_connected(struct wake_item *item)
{
        struct rpc_dial *dial = DIAL_OF(item, connected);
        int result = nng_aio_result(dial->aio);

        dial->dialling = false;
        if (result) {
                dial_failed(dial, RPC_UNAVAILABLE,
                            result == NNG_EADDRINVAL ? "there is no such host or port"
                                                     : nng_strerror(result));
                return;
        }
        if (peer_new(&dial->peer, dial->node, nng_aio_get_output(dial->aio, 0), dial, NULL) < 0) {
                dial->peer = NULL;
                dial_failed(dial, RPC_UNAVAILABLE, "memory is out");
        }
}

static void dial_post_connected(void *argument)
{
        struct rpc_dial *dial = argument;

        wake_post(dial->node->wake, &dial->connected);
}

void dial_over(struct rpc_dial *dial, rpc_peer *peer)
{
        uint64_t lived = peer->was_up ? node_now(dial->node) - peer->came_up : 0;

        dial->peer = NULL;
        if (lived >= dial->node->limits.backoff_reset_us)
                dial->backoff_us = 0;
        if (peer->was_up)
                dial_later(dial);
        else
                dial_failed(dial, peer->refused ? peer->reason_code : RPC_UNAVAILABLE, peer->reason);
}

void dial_free(struct rpc_dial *dial)
{
        if (dial->aio)
                nng_aio_stop(dial->aio);
        if (dial->dialling && nng_aio_result(dial->aio) == 0 && nng_aio_get_output(dial->aio, 0))
                nng_stream_free(nng_aio_get_output(dial->aio, 0));
        wake_forget(dial->node->wake, &dial->connected);
        timer_stop(&dial->node->timers, &dial->retry);
        if (dial->dialer) {
                nng_stream_dialer_close(dial->dialer);
                nng_stream_dialer_free(dial->dialer);
        }
        nng_aio_free(dial->aio);
        LIST_REMOVE(dial, link);
        sodium_memzero(dial->token, sizeof(dial->token));
        free(dial->address);
        free(dial);
}

int rpc_node_dial(rpc_node *node, const struct rpc_dial_options *options, struct error *error)
{
        struct rpc_dial *dial = calloc(1, sizeof(*dial));
        char url[300];
        int r;

        if (!dial)
                return error_set(error, -ENOMEM, "memory is out");
        dial->node = node;
        LIST_INSERT_HEAD(&node->dials, dial, link);
        dial->connected.run = dial_on_connected;
        dial->retry.fire = dial_on_retry;
        dial->once = options->once;
        dial->failed = options->failed;
        dial->userdata = options->userdata;
        memcpy(dial->key, options->remote_key, NOISE_KEY_SIZE);
        if (options->token) {
                memcpy(dial->token, options->token, RPC_TOKEN_SIZE);
                dial->has_token = true;
        }
        dial->address = strdup(options->address);
        r = snprintf(url, sizeof(url), "tcp://%s", options->address);
        r = r < 0 || (size_t)r >= sizeof(url) || !strrchr(options->address, ':')
                    ? NNG_EADDRINVAL
                    : nng_stream_dialer_alloc(&dial->dialer, url);
        if (r == 0)
                r = nng_aio_alloc(&dial->aio, dial_post_connected, dial);
        if (r == 0 && (!dial->address || timer_set(&node->timers, &dial->retry, UINT64_MAX) < 0))
                r = NNG_ENOMEM;
        if (r != 0) {
                dial_free(dial);
                return error_set(error, nng_errno(r), "%s: %s", options->address,
                                 r == NNG_EADDRINVAL ? "is not an address of the form host:port"
                                                     : nng_strerror(r));
        }
        timer_stop(&node->timers, &dial->retry);
        dial_try(dial);
        return 0;
}
