/* Calls between muster's programs: what gRPC gives, on an authenticated link.
 *
 * A node is a program's end of all its links: one key, one loop, one table of methods it serves. It listens
 * (the controller) or dials (agents, the command line); after the handshake and the Admit message there is a
 * peer, and either side may call the other. All functions are for the loop's thread. Nothing blocks.
 *
 * Messages that a call handed out are valid during the callback only. Frames written in one turn of the loop
 * leave together at its end, after the commit hook. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <systemd/sd-event.h>

#include "common/base/error.h"
#include "common/noise/noise.h"
#include "common/rpc/status.h"

/* Who is at the other end; also the bits of a method's mask of allowed callers. */
enum rpc_role {
        RPC_AGENT = 1u << 0,
        RPC_USER = 1u << 1,
        RPC_CONTROLLER = 1u << 2,
};

#define RPC_TOKEN_SIZE  32u
#define RPC_NAME_SIZE   64u
#define RPC_MESSAGE_MAX (4u << 20)

typedef struct rpc_node rpc_node;
typedef struct rpc_peer rpc_peer;
typedef struct rpc_call rpc_call;

/* --- a node ------------------------------------------------------------------------------------------- */

/* One method that a node serves. Whatever is not in the table is UNIMPLEMENTED; a caller outside the mask
 * gets PERMISSION_DENIED and its request is not unpacked. */
struct rpc_method {
        const ProtobufCServiceDescriptor *service;
        const char *name;
        unsigned callers; /* mask of rpc_role */
        /* Must end the call, now or later: rpc_call_reply, or sends and rpc_call_end. */
        void (*handle)(rpc_call *call, const ProtobufCMessage *request, void *userdata);
};

struct rpc_node_events {
        /* Listening side: may this key in? token is the 32 bytes it offered, NULL if none. Returns RPC_OK
         * with its name in ret_name, or a code with the text that the other side will be shown. The answer
         * may rest on writes that the commit hook makes durable before Admit leaves. NULL: nobody may. */
        enum rpc_status (*admit)(rpc_node *node, enum rpc_role role, const uint8_t key[NOISE_KEY_SIZE],
                                 const uint8_t *token, const char *version, char ret_name[RPC_NAME_SIZE],
                                 struct error *error, void *userdata);
        void (*up)(rpc_peer *peer, void *userdata);
        /* All calls of the peer have ended before; the peer is freed after. reason is for people. */
        void (*down)(rpc_peer *peer, const char *reason, void *userdata);
        /* Before any frame of this turn leaves. Negative errno: no frame leaves and the loop exits with it.
         */
        int (*commit)(void *userdata);
};

/* key and events are copied; methods (count of them, the node's own Health service comes on top) must outlive
 * the node. role is this program's own. */
int rpc_node_new(rpc_node **ret, sd_event *event, enum rpc_role role, const struct noise_keypair *key,
                 const struct rpc_method *methods, size_t count, const struct rpc_node_events *events,
                 void *userdata);
/* Ends every link (down is called), waits for nng, frees. Once, at exit. */
rpc_node *rpc_node_free(rpc_node *node);

/* address: "10.0.0.1:7117", "[::1]:7117". Port 0 takes a free one. ret_port may be NULL. */
int rpc_node_listen(rpc_node *node, const char *address, uint16_t *ret_port, struct error *error);

/* What Health answers: serving or not. */
void rpc_node_set_serving(rpc_node *node, bool serving);

/* How many links the key has now; and ends them. */
size_t rpc_node_links(const rpc_node *node, const uint8_t key[NOISE_KEY_SIZE]);
void rpc_node_close_key(rpc_node *node, const uint8_t key[NOISE_KEY_SIZE], const char *reason);

/* --- dialling ----------------------------------------------------------------------------------------- */

struct rpc_dial_options {
        const char *address;                /* host:port; a name is resolved at each try */
        uint8_t remote_key[NOISE_KEY_SIZE]; /* who must be there */
        const uint8_t *token;               /* RPC_TOKEN_SIZE bytes when joining, else NULL; copied */
        bool once;                          /* do not dial again after a failure or an end */
        /* A try failed, or (with a code other than UNAVAILABLE) the other side refused us: text says why.
         * May be NULL. */
        void (*failed)(enum rpc_status code, const char *text, void *userdata);
        void *userdata;
};

/* Dials now, and again with jittered backoff (100 ms to 30 s) until the node is freed, unless once. */
int rpc_node_dial(rpc_node *node, const struct rpc_dial_options *options, struct error *error);

/* --- a peer ------------------------------------------------------------------------------------------- */

const char *rpc_peer_name(
        const rpc_peer *peer); /* as admitted: ours at a dialler's end, theirs at a listener's */
enum rpc_role rpc_peer_role(const rpc_peer *peer);
const uint8_t *rpc_peer_key(const rpc_peer *peer); /* its static public key: the identity, and the only one */
const char *rpc_peer_address(const rpc_peer *peer); /* for logs only */
void rpc_peer_set_data(rpc_peer *peer, void *data);
void *rpc_peer_data(const rpc_peer *peer);
/* Ends the link; down is called from the loop, later. */
void rpc_peer_close(rpc_peer *peer, const char *reason);

/* --- calling ------------------------------------------------------------------------------------------ */

/* A message of the reply (one for a unary call). */
typedef void (*rpc_on_message)(rpc_call *call, const ProtobufCMessage *message, void *userdata);
/* The end; exactly once, never from within rpc_call_start, not after rpc_call_cancel; the call is freed after
 * it. A unary call that ends RPC_OK has had exactly one message; a peer that answers otherwise is not
 * believed: RPC_INTERNAL. */
typedef void (*rpc_on_end)(rpc_call *call, enum rpc_status code, const char *text, void *userdata);

/* deadline_us: a length of time; 0 none. ret may be NULL. -EMSGSIZE, -ENOTCONN, -ENOMEM, -EINVAL (no such
 * method, or a request of another type), -ENOBUFS (too many calls or bytes wait on the link already): then
 * on_end does not come. */
int rpc_call_start(rpc_call **ret, rpc_peer *peer, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, uint64_t deadline_us,
                   rpc_on_message on_message, rpc_on_end on_end, void *userdata);
/* The caller is no longer interested: CANCEL is sent, no callback comes, the call is freed. */
void rpc_call_cancel(rpc_call *call);

/* While held, the answer's stream gets no more credit: after 256 KiB the serving side's rpc_call_writable
 * turns false, and only this stream waits. For a caller that passes the messages on to something slow. */
void rpc_call_hold(rpc_call *call, bool hold);

/* --- serving ------------------------------------------------------------------------------------------ */

rpc_peer *rpc_call_peer(const rpc_call *call); /* who asks; NULL if its link is gone */
/* Whether the stream has credit left. */
bool rpc_call_writable(const rpc_call *call);
/* One message of the answer. Queued even without credit, until 4 MiB wait on the call or 16 MiB on the link:
 * then -ENOBUFS and nothing is queued (check rpc_call_writable first, or drop what is stale). -EMSGSIZE,
 * -ENOMEM; -EALREADY: a second message of a unary method, which is not sent; -ECANCELED if the caller is
 * gone: end the call all the same. */
int rpc_call_send(rpc_call *call, const ProtobufCMessage *message);
/* Ends the call, which is freed; queued messages go out first. A unary call that was not answered cannot end
 * well: RPC_OK becomes RPC_INTERNAL. */
void rpc_call_end(rpc_call *call, enum rpc_status code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The unary answer: send and end with RPC_OK. */
void rpc_call_reply(rpc_call *call, const ProtobufCMessage *message);
/* cancelled: the caller cancelled, its deadline passed or its link went down: the call is freed when the
 * callback returns and must not be ended by it. Without it the call stays until it is ended, and
 * rpc_call_peer is NULL once the link is gone. writable: it was not (rpc_call_writable or rpc_call_send said
 * so) and is again. Either may be NULL. */
void rpc_call_watch(rpc_call *call, void (*cancelled)(rpc_call *call, void *userdata),
                    void (*writable)(rpc_call *call, void *userdata), void *userdata);
