/* The XK pattern (specification, section 7.5) as a table of tokens, walked by one writer and one reader:
 *
 *     <- s
 *     ...
 *     -> e, es
 *     <- e, ee
 *     -> s, se
 *
 * A failure wipes the whole state, so that nothing can be tried twice against the same ephemeral key. Only a
 * caller's buffer that is too small leaves it untouched. */
#include "common/noise/noise.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/noise/symmetric.h"

#define MESSAGES        3u
#define TOKENS          2u
#define SEALED_KEY_SIZE (NOISE_KEY_SIZE + NOISE_TAG_SIZE)

_Static_assert(crypto_scalarmult_BYTES == NOISE_KEY_SIZE, "X25519");
_Static_assert(crypto_scalarmult_SCALARBYTES == NOISE_KEY_SIZE, "X25519");

enum token { TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE };

/* Even messages are the initiator's. */
static const struct {
        enum token tokens[TOKENS];
        size_t overhead;
} messages[MESSAGES] = {
        {{TOKEN_E, TOKEN_ES}, NOISE_XK_OVERHEAD1},
        {{TOKEN_E, TOKEN_EE}, NOISE_XK_OVERHEAD2},
        {{TOKEN_S, TOKEN_SE}, NOISE_XK_OVERHEAD3},
};

enum phase { PHASE_TALKING, PHASE_DONE, PHASE_SPLIT, PHASE_FAILED };

struct noise_handshake {
        enum phase phase;
        bool initiator;
        bool remote_known; /* remote_static is the peer's: given, or opened from message 3 */
        unsigned next;     /* index of the next message */
        struct noise_keypair local;
        struct noise_keypair ephemeral;
        uint8_t remote_static[NOISE_KEY_SIZE];
        uint8_t remote_ephemeral[NOISE_KEY_SIZE];
        struct noise_symmetric symmetric;
};

int noise_keypair_from_secret(struct noise_keypair *ret, const uint8_t secret[NOISE_KEY_SIZE])
{
        uint8_t public[NOISE_KEY_SIZE];

        if (crypto_scalarmult_base(public, secret) != 0)
                return -EINVAL;
        memmove(ret->secret, secret, NOISE_KEY_SIZE);
        memcpy(ret->public, public, NOISE_KEY_SIZE);
        return 0;
}

int noise_handshake_new(noise_handshake **ret, bool initiator, const void *prologue, size_t prologue_size,
                        const struct noise_keypair *local, const struct noise_keypair *ephemeral,
                        const uint8_t remote[NOISE_KEY_SIZE])
{
        noise_handshake *handshake;

        if (!local || !ephemeral || initiator != (remote != NULL) || (!prologue && prologue_size > 0))
                return -EINVAL;
        handshake = calloc(1, sizeof *handshake);
        if (!handshake)
                return -ENOMEM;

        handshake->phase = PHASE_TALKING;
        handshake->initiator = initiator;
        handshake->local = *local;
        handshake->ephemeral = *ephemeral;
        noise_symmetric_init(&handshake->symmetric, prologue, prologue_size);
        if (initiator) {
                memcpy(handshake->remote_static, remote, NOISE_KEY_SIZE);
                handshake->remote_known = true;
        }
        /* the pre-message: both know the responder's key */
        noise_symmetric_mix_hash(&handshake->symmetric, initiator ? remote : local->public, NOISE_KEY_SIZE);
        *ret = handshake;
        return 0;
}

noise_handshake *noise_handshake_free(noise_handshake *handshake)
{
        if (handshake) {
                sodium_memzero(handshake, sizeof *handshake);
                free(handshake);
        }
        return NULL;
}

static int handshake_fail(noise_handshake *handshake, int code)
{
        sodium_memzero(handshake, sizeof *handshake);
        handshake->phase = PHASE_FAILED;
        return code;
}

/* What a call that does not fit the moment gets: the end of a handshake under way, nothing more after one. */
static int handshake_refuse(noise_handshake *handshake)
{
        return handshake->phase == PHASE_SPLIT ? -EPROTO : handshake_fail(handshake, -EPROTO);
}

static bool handshake_reads(const noise_handshake *handshake)
{
        return handshake->phase == PHASE_TALKING && !noise_handshake_writes(handshake);
}

static void handshake_advance(noise_handshake *handshake)
{
        handshake->next++;
        if (handshake->next == MESSAGES)
                handshake->phase = PHASE_DONE;
}

/* Mixes in the Diffie-Hellman result of ee, es or se: the first letter is the initiator's key, the second the
 * responder's. -EPROTO on a point of low order, whose result everyone would know. */
static int handshake_mix_shared(noise_handshake *handshake, enum token token)
{
        bool local_static = token == (handshake->initiator ? TOKEN_SE : TOKEN_ES);
        bool remote_static = token == (handshake->initiator ? TOKEN_ES : TOKEN_SE);
        uint8_t shared[NOISE_KEY_SIZE];
        int r;

        r = crypto_scalarmult(shared, local_static ? handshake->local.secret : handshake->ephemeral.secret,
                              remote_static ? handshake->remote_static : handshake->remote_ephemeral);
        if (r == 0)
                noise_symmetric_mix_key(&handshake->symmetric, shared);
        sodium_memzero(shared, sizeof shared);
        return r == 0 ? 0 : -EPROTO;
}

/* Carries out a token while writing; *at moves behind what was written. */
static int token_write(noise_handshake *handshake, enum token token, uint8_t **at)
{
        int r;

        switch (token) {
        case TOKEN_E:
                memcpy(*at, handshake->ephemeral.public, NOISE_KEY_SIZE);
                noise_symmetric_mix_hash(&handshake->symmetric, *at, NOISE_KEY_SIZE);
                *at += NOISE_KEY_SIZE;
                return 0;
        case TOKEN_S:
                r = noise_symmetric_seal(&handshake->symmetric, handshake->local.public, NOISE_KEY_SIZE, *at);
                *at += SEALED_KEY_SIZE;
                return r;
        default:
                return handshake_mix_shared(handshake, token);
        }
}

/* The same while reading; the message was checked to hold its overhead. */
static int token_read(noise_handshake *handshake, enum token token, const uint8_t **at)
{
        int r;

        switch (token) {
        case TOKEN_E:
                memcpy(handshake->remote_ephemeral, *at, NOISE_KEY_SIZE);
                noise_symmetric_mix_hash(&handshake->symmetric, *at, NOISE_KEY_SIZE);
                *at += NOISE_KEY_SIZE;
                return 0;
        case TOKEN_S:
                r = noise_symmetric_open(&handshake->symmetric, *at, SEALED_KEY_SIZE,
                                         handshake->remote_static);
                *at += SEALED_KEY_SIZE;
                return r;
        default:
                return handshake_mix_shared(handshake, token);
        }
}

bool noise_handshake_writes(const noise_handshake *handshake)
{
        return handshake->phase == PHASE_TALKING && (handshake->next % 2 == 0) == handshake->initiator;
}

bool noise_handshake_done(const noise_handshake *handshake)
{
        return handshake->phase == PHASE_DONE || handshake->phase == PHASE_SPLIT;
}

int noise_handshake_write(noise_handshake *handshake, const void *payload, size_t payload_size,
                          uint8_t *message, size_t room, size_t *ret_size)
{
        size_t overhead;
        uint8_t *at = message;
        int r;

        if (!noise_handshake_writes(handshake))
                return handshake_refuse(handshake);
        overhead = messages[handshake->next].overhead;
        if (payload_size > NOISE_MESSAGE_MAX - overhead)
                return handshake_fail(handshake, -EMSGSIZE);
        if (room < overhead + payload_size)
                return -ENOBUFS;

        for (unsigned i = 0; i < TOKENS; i++) {
                r = token_write(handshake, messages[handshake->next].tokens[i], &at);
                if (r < 0)
                        return handshake_fail(handshake, r);
        }
        r = noise_symmetric_seal(&handshake->symmetric, payload, payload_size, at);
        if (r < 0)
                return handshake_fail(handshake, r);
        handshake_advance(handshake);
        *ret_size = overhead + payload_size;
        return 0;
}

int noise_handshake_read(noise_handshake *handshake, const uint8_t *message, size_t size, uint8_t *payload,
                         size_t room, size_t *ret_size)
{
        size_t overhead;
        const uint8_t *at = message;

        if (!handshake_reads(handshake))
                return handshake_refuse(handshake);
        overhead = messages[handshake->next].overhead;
        if (size < overhead || size > NOISE_MESSAGE_MAX)
                return handshake_fail(handshake, -EBADMSG);
        if (room < size - overhead)
                return -ENOBUFS;

        /* whatever is wrong inside, a key of low order too, is a message that does not authenticate */
        for (unsigned i = 0; i < TOKENS; i++) {
                if (token_read(handshake, messages[handshake->next].tokens[i], &at) < 0)
                        return handshake_fail(handshake, -EBADMSG);
        }
        if (noise_symmetric_open(&handshake->symmetric, at, size - (size_t)(at - message), payload) < 0)
                return handshake_fail(handshake, -EBADMSG);
        handshake_advance(handshake);
        if (handshake->phase == PHASE_DONE)
                handshake->remote_known = true;
        *ret_size = size - overhead;
        return 0;
}

const uint8_t *noise_handshake_remote(const noise_handshake *handshake)
{
        return handshake->remote_known ? handshake->remote_static : NULL;
}

const uint8_t *noise_handshake_hash(const noise_handshake *handshake)
{
        return noise_handshake_done(handshake) ? handshake->symmetric.hash : NULL;
}

int noise_handshake_split(noise_handshake *handshake, struct noise_cipher *ret_send,
                          struct noise_cipher *ret_receive)
{
        if (handshake->phase != PHASE_DONE)
                return handshake_refuse(handshake);
        if (handshake->initiator)
                noise_symmetric_split(&handshake->symmetric, ret_send, ret_receive);
        else
                noise_symmetric_split(&handshake->symmetric, ret_receive, ret_send);
        sodium_memzero(&handshake->local, sizeof handshake->local);
        sodium_memzero(&handshake->ephemeral, sizeof handshake->ephemeral);
        handshake->phase = PHASE_SPLIT;
        return 0;
}
