/* What the files of common/rpc share: nodes, links (peers), calls.
 *
 * One struct rpc_peer is a link from its first byte to its last, whoever dialled. Its life:
 *
 *     GREETING -> (handshake) -> ADMITTING -> UP -> CLOSED -> freed when nng gave both operations back
 *
 * node.c     the node and the turn's end: commit, flush, receive again, reap
 * link.c     bytes: nng's stream, buffers, frames, ciphers
 * handshake.c, rekey.c
 * peer.c     what a frame means in each state; records; credit; heartbeat; the end
 * call*.c    streams
 * dial.c, listen.c, method.c, health.c, unpack.c, records.c, timer.c, status.c */
#pragma once

#include <arpa/inet.h>
#include <nng/nng.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/time.h"
#include "common/loop/wake.h"
#include "common/rpc/records.h"
#include "common/rpc/rpc.h"
#include "common/rpc/timer.h"
#include "common/rpc/unpack.h"

#define RPC_PREFACE_SIZE  16u
#define RPC_PROLOGUE_SIZE 41u
#define RPC_ADDRESS_SIZE  64u
#define RPC_REASON_SIZE   512u

/* Numbers that tests move (rpc_node_limits). Bytes, microseconds, counts. */
struct rpc_limits {
        unsigned pending;         /* handshakes under way on the listening side, in all */
        unsigned pending_address; /* of one address, silent: no first message made for our key has come */
        unsigned pending_known;   /* of one address, after that message */
        unsigned pending_own;     /* of one of this machine's own addresses, silent or not */
        uint64_t handshake_us;
        uint64_t silent_us; /* so long an unspeaking connection keeps its place when places are short */
        uint64_t known_us;  /* and so long one that has sent its first message */
        uint64_t ping_us;
        uint64_t dead_us;
        uint64_t rekey_us;
        uint64_t rekey_messages;
        uint32_t window;         /* credit of a stream of answers */
        size_t queued_call;      /* packed messages that wait on one call */
        size_t buffered;         /* what waits on one link, both directions */
        size_t out_soft;         /* streams' messages wait in their calls beyond this */
        size_t out_hard;         /* nothing is read beyond this */
        unsigned streams;        /* of a caller of role agent or user */
        unsigned streams_large;  /* of a controller */
        uint64_t backoff_low_us; /* between tries to dial */
        uint64_t backoff_high_us;
        uint64_t backoff_reset_us; /* a link that lived so long starts the backoff anew */
        uint64_t dial_us;          /* one connect */
};

enum peer_state { PEER_GREETING, PEER_HANDSHAKE, PEER_ADMITTING, PEER_UP, PEER_REFUSED, PEER_CLOSED };

struct rpc_dial;
struct rpc_listener;

TAILQ_HEAD(peer_list, rpc_peer);
TAILQ_HEAD(call_list, rpc_call);

struct stream_table {
        struct rpc_call **buckets; /* chains by rpc_call.next */
        size_t size;               /* a power of two, or 0 */
        size_t count;
};

struct rpc_peer {
        rpc_node *node;
        TAILQ_ENTRY(rpc_peer) link;  /* node->peers */
        TAILQ_ENTRY(rpc_peer) dirty; /* node->dirty while is_dirty */
        enum peer_state state;
        bool is_dirty, is_closing, dialled, was_up;
        bool refused;                  /* the other side said no: reason_code is its code */
        struct rpc_dial *dial;         /* whom to tell about the end; NULL on the listening side */
        struct rpc_listener *listener; /* counts this handshake; NULL otherwise */
        TAILQ_ENTRY(rpc_peer) pending; /* in the listener's list while listener is set */
        char address[RPC_ADDRESS_SIZE];
        uint8_t host[16]; /* the address without the port, for counting */
        char name[RPC_NAME_SIZE];
        char reason[RPC_REASON_SIZE];
        enum rpc_status reason_code;
        enum rpc_role role;
        uint8_t key[NOISE_KEY_SIZE];
        void *data;

        /* link.c */
        nng_stream *stream;
        nng_aio *receive_aio, *send_aio;
        struct wake_item received, sent;
        bool receiving, sending, want_receive;
        uint8_t *in;
        size_t in_size, in_room;
        unsigned in_small;  /* receives in a row that a small buffer would have held */
        struct buffer out;  /* frames; the last one may be open: not sealed yet */
        size_t out_open;    /* where the open frame begins; SIZE_MAX: none is open */
        struct buffer wire; /* what nng has */
        size_t wire_at;
        struct noise_cipher seal, open;
        uint64_t last_received, last_sent, came_up;

        /* handshake.c, rekey.c */
        noise_handshake *handshake;
        uint8_t channel[NOISE_HASH_SIZE]; /* the last handshake's hash */
        struct noise_cipher next_open;    /* after a rekey: ours from the other side's DONE on */
        uint64_t keys_made, rekey_started;
        bool rekey_wanted; /* listening side: the other side was asked to renew the keys */

        /* peer.c and call*.c */
        struct timer timer; /* handshake deadline, then heartbeat */
        bool pong_queued;
        struct stream_table streams;
        uint32_t next_stream, seen_stream;
        unsigned calls_made, calls_served;
        size_t charged;         /* of limits.buffered */
        struct call_list ready; /* calls with something to send and the credit for it */
};

struct health_watch;

struct rpc_call {
        rpc_node *node;
        rpc_peer *peer; /* NULL when its link is gone */
        uint32_t stream;
        bool serving;
        struct rpc_call *next;          /* in a bucket */
        TAILQ_ENTRY(rpc_call) ready;    /* peer->ready while is_ready */
        TAILQ_ENTRY(rpc_call) notified; /* node->notify while is_notified */
        TAILQ_ENTRY(rpc_call) orphan;   /* node->orphans while is_orphan */
        bool is_ready, is_notified, is_orphan;
        bool listed;   /* in the stream table */
        bool counted;  /* in calls_made or calls_served */
        bool asked;    /* the request is there whole */
        bool ending;   /* ended by its handler; what is queued still goes out */
        bool gone;     /* the caller is; the handler has not ended it yet */
        bool finished; /* freed when the last pin goes */
        bool held;
        bool is_stream; /* else exactly one message answers it, if it ends well */
        bool answered;  /* a message of the answer was sent, or came */
        bool starved;   /* was not writable when asked; writable is called when it is */
        unsigned pins;
        const ProtobufCMessageDescriptor *expects; /* the type of what comes in */
        const struct method_entry *entry;          /* serving */
        struct timer deadline;
        uint64_t deadline_us;
        struct buffer partial; /* the parts of an incoming message */
        struct buffer queue;   /* u32 size, packed message, and so on */
        size_t queue_at;
        size_t queue_left; /* of the message at queue_at */
        bool queue_open;   /* that message was begun: its size is read */
        uint32_t credit;   /* serving: what may be sent */
        uint32_t window;   /* calling: what the other side may still send */
        uint32_t grant;    /* calling: consumed, not granted again yet */
        rpc_on_message on_message;
        rpc_on_end on_end;
        void (*cancelled)(rpc_call *call, void *userdata);
        void (*writable)(rpc_call *call, void *userdata);
        void *userdata;
        enum rpc_status end_code;
        char *end_text;
        struct health_watch *health;
};

/* A method by its path; descriptor is the method's own. */
struct method_entry {
        char *path; /* "package.Service/Method" */
        const struct rpc_method *method;
        const ProtobufCMethodDescriptor *descriptor;
        bool is_stream;
        void *userdata;
};

struct rpc_node {
        sd_event *event;
        enum rpc_role role;
        struct noise_keypair key;
        struct rpc_node_events events;
        void *userdata;
        struct rpc_limits limits;
        struct method_entry *methods;
        size_t method_count;
        wake *wake;
        sd_event_source *turn, *again;
        struct timers timers;
        struct peer_list peers, dirty;
        struct call_list notify, orphans;
        LIST_HEAD(, rpc_listener) listeners;
        LIST_HEAD(, rpc_dial) dials;
        LIST_HEAD(, health_watch) health;
        struct unpack_space space;
        unsigned refused; /* links since the last line in the log */
        uint64_t refused_logged;
        bool serving, halted, in_wake, settling, closing_some, freeing;
};

/* node.c */
struct rpc_limits *rpc_node_limits(rpc_node *node);
/* Something is to be done at the turn's end. */
void node_again(rpc_node *node);
void peer_mark_dirty(rpc_peer *peer);
/* For the log: one line a second at most, and a count of the others. */
void node_log_refused(rpc_node *node, const char *address, const char *why);
const struct method_entry *node_find_method(const rpc_node *node, const char *path);
uint64_t node_now(const rpc_node *node);
int nng_errno(int code);

/* method.c */
/* path: "package.Service/Method". */
bool method_is_stream(const char *path);

/* link.c */
int link_open(rpc_peer *peer, nng_stream *stream); /* takes stream, also on failure */
void link_shut(rpc_peer *peer);                    /* nng gives both operations back soon */
/* What counts as one address: of IPv6 the first half, but for mapped IPv4 and the loopback. */
void link_place(uint8_t ret[16], const uint8_t address[16]);
bool link_idle(const rpc_peer *peer); /* it has */
void link_free(rpc_peer *peer);
void link_receive(rpc_peer *peer);
void link_send(rpc_peer *peer);
int link_write(rpc_peer *peer, const void *bytes, size_t size); /* as they are */
int link_write_frame(rpc_peer *peer, const void *bytes, size_t size);
/* Place for size bytes of plaintext in the open frame; else as link_record. */
uint8_t *link_plain(rpc_peer *peer, size_t size);
/* Place for a record's payload, valid until the next write, or NULL if memory is out (the link is closed). */
uint8_t *link_record(rpc_peer *peer, uint32_t stream, enum record_type type, unsigned flags, size_t length);
int link_seal(rpc_peer *peer); /* closes the open frame */

/* handshake.c */
int handshake_begin(rpc_peer *peer);
/* One frame, or the preface. Sets the state; a negative errno closes the link, error says why. */
int handshake_frame(rpc_peer *peer, uint8_t *frame, size_t size, struct error *error);
int handshake_preface(rpc_peer *peer, const uint8_t *preface, struct error *error);
void handshake_prologue(uint8_t prologue[RPC_PROLOGUE_SIZE], const rpc_peer *peer);
/* Starts peer->handshake with a fresh ephemeral key; handshake_take ends it and gives its ciphers. */
int handshake_open(rpc_peer *peer, const void *prologue, size_t size);
int handshake_take(rpc_peer *peer, struct noise_cipher *ret_seal, struct noise_cipher *ret_open);
void handshake_forget(rpc_peer *peer);

/* rekey.c */
bool rekey_due(const rpc_peer *peer, uint64_t now);
bool rekey_is_late(const rpc_peer *peer, uint64_t now);
int rekey_begin(rpc_peer *peer); /* or asks the other side to */
int rekey_record(rpc_peer *peer, const struct record *record, bool last, struct error *error);

/* peer.c */
int peer_new(rpc_peer **ret, rpc_node *node, nng_stream *stream, struct rpc_dial *dial,
             struct rpc_listener *listener);
/* One preface or frame off the wire. */
void peer_frame(rpc_peer *peer, uint8_t *frame, size_t size);
void peer_up(rpc_peer *peer);
void peer_fail(rpc_peer *peer, enum rpc_status code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void peer_end(rpc_peer *peer); /* of a closed one: calls, down, and the rest when nng is done */
void peer_destroy(rpc_peer *peer);
void peer_fill(rpc_peer *peer); /* moves what calls have queued into out */
bool peer_charge(rpc_peer *peer, size_t size);
void peer_uncharge(rpc_peer *peer, size_t size);
unsigned peer_stream_limit(const rpc_peer *peer, bool serving);

/* call.c */
rpc_call *call_new(rpc_peer *peer, uint32_t stream, bool serving);
rpc_call *call_find(const rpc_peer *peer, uint32_t stream);
int call_list_add(rpc_call *call);
void call_leave(rpc_call *call);  /* off the link, but not over */
void call_finish(rpc_call *call); /* off every list; freed when no callback uses it */
void call_pin(rpc_call *call);
void call_unpin(rpc_call *call);
int call_queue(rpc_call *call, const ProtobufCMessage *message, size_t size);
int call_put(rpc_call *call, const ProtobufCMessage *message, size_t size);
void call_send_part(rpc_call *call); /* one part of what waits, which there is */
void call_set_ready(rpc_call *call);
/* Adds a part. 1: *ret_bytes is a whole message (until call_message_done); 0: more is to come; -ENOBUFS. */
int call_message_part(rpc_call *call, const struct record *record, const uint8_t **ret_bytes,
                      size_t *ret_size);
void call_message_done(rpc_call *call);
size_t call_queued(const rpc_call *call);
void call_notify(rpc_call *call);

/* call_client.c */
int client_record(rpc_peer *peer, rpc_call *call, const struct record *record);
void client_end(rpc_call *call, enum rpc_status code, const char *text);
void client_grant(rpc_call *call); /* what was consumed may be sent again */

/* call_server.c */
int server_head(rpc_peer *peer, const struct record *record);
int server_record(rpc_peer *peer, rpc_call *call, const struct record *record);
void server_drained(rpc_call *call);
void server_gone(rpc_call *call);

/* dial.c, listen.c, health.c */
void dial_over(struct rpc_dial *dial, rpc_peer *peer);
void dial_admitted(struct rpc_dial *dial);
const uint8_t *dial_token(const struct rpc_dial *dial);
const uint8_t *dial_key(const struct rpc_dial *dial);
void dial_free(struct rpc_dial *dial);
void listener_released(rpc_peer *peer);
void listener_free(struct rpc_listener *listener);
extern const struct rpc_method health_methods[];
extern const size_t health_method_count;
void health_forget(rpc_call *call);
