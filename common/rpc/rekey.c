/* New keys for a link that lives: another Noise handshake inside it, while calls go on. The dialling side
 * begins it, when its keys have been used for long enough or when the listening side, whose keys have, asks
 * for it.
 *
 *     dialling side                       listening side
 *                                   <-    (REKEY 5: please begin)
 *     REKEY 1 (message 1)           ->
 *                                   <-    REKEY 2 (message 2)
 *     REKEY 3 (message 3), then           opens with the new key from here on
 *     seals with the new key        ->
 *                                   <-    REKEY 4 (empty), then seals with the new key
 *     opens with the new key from here on
 *
 * REKEY 3 and 4 are the last records of their frames, so that a frame has one key. The prologue holds the
 * hash of the handshake before, and the static keys must be the same: it is the same session with fresh
 * secrets. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/rpc/internal.h"

enum { REKEY_ASK = 1, REKEY_ANSWER, REKEY_PROVE, REKEY_DONE, REKEY_WANT };

bool rekey_due(const rpc_peer *peer, uint64_t now)
{
        const struct rpc_limits *limits = &peer->node->limits;

        if (peer->handshake || peer->next_open.ready || peer->rekey_wanted)
                return false;
        return (now && now - peer->keys_made >= limits->rekey_us) ||
               peer->seal.counter >= limits->rekey_messages || peer->open.counter >= limits->rekey_messages;
}

static int rekey_open(rpc_peer *peer)
{
        uint8_t prologue[RPC_PROLOGUE_SIZE + NOISE_HASH_SIZE];

        handshake_prologue(prologue, peer);
        memcpy(prologue + RPC_PROLOGUE_SIZE, peer->channel, NOISE_HASH_SIZE);
        peer->rekey_started = node_now(peer->node);
        return handshake_open(peer, prologue, sizeof(prologue));
}

static int rekey_say(rpc_peer *peer, unsigned step)
{
        uint8_t message[NOISE_XK_OVERHEAD3];
        size_t size = 0;
        uint8_t *at;
        int r = 0;

        if (step != REKEY_DONE && step != REKEY_WANT)
                r = noise_handshake_write(peer->handshake, NULL, 0, message, sizeof(message), &size);
        if (r < 0)
                return r;
        at = link_record(peer, 0, RECORD_REKEY, step, size);
        if (!at)
                return -ENOMEM;
        memcpy(at, message, size);
        return 0;
}

bool rekey_is_late(const rpc_peer *peer, uint64_t now)
{
        return (peer->handshake || peer->rekey_wanted) &&
               now - peer->rekey_started >= peer->node->limits.dead_us;
}

int rekey_begin(rpc_peer *peer)
{
        int r;

        if (peer->dialled) {
                r = rekey_open(peer);
                if (r == 0)
                        r = rekey_say(peer, REKEY_ASK);
        } else {
                peer->rekey_wanted = true;
                peer->rekey_started = node_now(peer->node);
                r = rekey_say(peer, REKEY_WANT);
        }
        if (r < 0)
                peer_fail(peer, RPC_INTERNAL, "renewing the keys failed: %s", strerror(-r));
        return r;
}

static int rekey_read(rpc_peer *peer, const struct record *record)
{
        uint8_t plain[NOISE_XK_OVERHEAD3];
        size_t size;

        return noise_handshake_read(peer->handshake, record->payload, record->length, plain, sizeof(plain),
                                    &size);
}

/* The dialling side has the answer: proves itself under the old key and goes on under the new one. */
static int rekey_prove(rpc_peer *peer, const struct record *record)
{
        struct noise_cipher seal = {0};
        int r = rekey_read(peer, record);

        if (r == 0)
                r = rekey_say(peer, REKEY_PROVE);
        if (r == 0)
                r = link_seal(peer);
        if (r == 0)
                r = handshake_take(peer, &seal, &peer->next_open);
        if (r == 0)
                peer->seal = seal;
        sodium_memzero(&seal, sizeof(seal));
        return r;
}

/* The listening side has the proof. */
static int rekey_finish(rpc_peer *peer, const struct record *record)
{
        struct noise_cipher seal = {0};
        int r = rekey_read(peer, record);

        if (r == 0 && sodium_memcmp(noise_handshake_remote(peer->handshake), peer->key, NOISE_KEY_SIZE) != 0)
                return -EBADMSG;
        if (r == 0)
                r = handshake_take(peer, &seal, &peer->open);
        if (r == 0)
                r = rekey_say(peer, REKEY_DONE);
        if (r == 0)
                r = link_seal(peer);
        if (r == 0)
                peer->seal = seal;
        sodium_memzero(&seal, sizeof(seal));
        return r;
}

int rekey_record(rpc_peer *peer, const struct record *record, bool last, struct error *error)
{
        int r = -EBADMSG;

        if (record->flags == REKEY_ASK && !peer->dialled && !peer->handshake) {
                r = rekey_open(peer);
                if (r == 0)
                        r = rekey_read(peer, record);
                if (r == 0)
                        r = rekey_say(peer, REKEY_ANSWER);
        } else if (record->flags == REKEY_ANSWER && peer->dialled && peer->handshake) {
                r = rekey_prove(peer, record);
        } else if (record->flags == REKEY_PROVE && !peer->dialled && peer->handshake && last) {
                r = rekey_finish(peer, record);
        } else if (record->flags == REKEY_WANT && peer->dialled && record->length == 0) {
                /* one that is under way already is what was wanted */
                r = peer->handshake || peer->next_open.ready ? 0 : rekey_begin(peer);
        } else if (record->flags == REKEY_DONE && peer->next_open.ready && last && record->length == 0) {
                peer->open = peer->next_open;
                noise_cipher_wipe(&peer->next_open);
                r = 0;
        }
        return r < 0 ? error_set(error, r, "renewing the keys failed: %s", strerror(-r)) : 0;
}
