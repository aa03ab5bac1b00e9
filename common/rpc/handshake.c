/* How a link begins. The dialling side sends a preface in the clear, then both exchange the three messages of
 * Noise_XK, then the listening side says Admit, sealed.
 *
 *     preface: "muster/1", the dialling side's role, seven zero bytes
 *     prologue: "muster/1", that role, SHA-256 of the listening side's public key
 *
 * Whoever does not know the listening side's public key cannot make the first message, so junk ends here
 * before anything was allocated for it but a buffer. The token is in the third message, which only the holder
 * of that key can read. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/base/text.h"
#include "common/rpc/internal.h"
#include "proto/link.pb-c.h"

#define GREETING      "muster/1"
#define GREETING_SIZE 8u
#define PLAIN_MAX     1024u
#define VERSION_MAX   64u
#define REFUSED_US    (1 * USEC_PER_SEC) /* so long a refused side may read why before the link is cut */

_Static_assert(RPC_PROLOGUE_SIZE == GREETING_SIZE + 1 + crypto_hash_sha256_BYTES, "prologue");

void handshake_prologue(uint8_t prologue[RPC_PROLOGUE_SIZE], const rpc_peer *peer)
{
        enum rpc_role dialler = peer->dialled ? peer->node->role : peer->role;
        const uint8_t *key = peer->dialled ? peer->key : peer->node->key.public;

        memcpy(prologue, GREETING, GREETING_SIZE);
        prologue[GREETING_SIZE] = (uint8_t)dialler;
        crypto_hash_sha256(prologue + GREETING_SIZE + 1, key, NOISE_KEY_SIZE);
}

int handshake_open(rpc_peer *peer, const void *prologue, size_t size)
{
        uint8_t secret[NOISE_KEY_SIZE];
        struct noise_keypair ephemeral;
        int r;

        randombytes_buf(secret, sizeof(secret));
        r = noise_keypair_from_secret(&ephemeral, secret);
        if (r == 0)
                r = noise_handshake_new(&peer->handshake, peer->dialled, prologue, size, &peer->node->key,
                                        &ephemeral, peer->dialled ? peer->key : NULL);
        sodium_memzero(secret, sizeof(secret));
        sodium_memzero(&ephemeral, sizeof(ephemeral));
        return r;
}

void handshake_forget(rpc_peer *peer)
{
        peer->handshake = noise_handshake_free(peer->handshake);
}

/* Opens with the peer's own prologue. */
static int handshake_start(rpc_peer *peer)
{
        uint8_t prologue[RPC_PROLOGUE_SIZE];

        handshake_prologue(prologue, peer);
        return handshake_open(peer, prologue, sizeof(prologue));
}

static int handshake_say(rpc_peer *peer, const void *payload, size_t payload_size)
{
        uint8_t message[PLAIN_MAX];
        size_t size;
        int r = noise_handshake_write(peer->handshake, payload, payload_size, message, sizeof(message),
                                      &size);

        if (r == 0)
                r = link_write_frame(peer, message, size);
        sodium_memzero(message, sizeof(message));
        return r;
}

/* The ciphers, and what binds later handshakes to this one. */
int handshake_take(rpc_peer *peer, struct noise_cipher *ret_seal, struct noise_cipher *ret_open)
{
        int r;

        memcpy(peer->channel, noise_handshake_hash(peer->handshake), NOISE_HASH_SIZE);
        r = noise_handshake_split(peer->handshake, ret_seal, ret_open);
        handshake_forget(peer);
        peer->rekey_wanted = false;
        peer->keys_made = node_now(peer->node);
        return r;
}

/* --- the dialling side --------------------------------------------------------------------------------- */

int handshake_begin(rpc_peer *peer)
{
        uint8_t preface[RPC_PREFACE_SIZE] = GREETING;
        int r;

        preface[GREETING_SIZE] = (uint8_t)peer->node->role;
        memcpy(peer->key, dial_key(peer->dial), NOISE_KEY_SIZE);
        peer->role = peer->node->role == RPC_CONTROLLER ? RPC_AGENT : RPC_CONTROLLER;
        peer->state = PEER_HANDSHAKE;
        r = handshake_start(peer);
        if (r == 0)
                r = link_write(peer, preface, sizeof(preface));
        return r < 0 ? r : handshake_say(peer, NULL, 0);
}

static int handshake_hello(rpc_peer *peer, struct error *error)
{
        Muster__V1__Hello hello = MUSTER__V1__HELLO__INIT;
        const uint8_t *token = dial_token(peer->dial);
        uint8_t packed[RPC_TOKEN_SIZE + VERSION_MAX + 16];
        size_t size;
        int r;

        hello.version = (char *)MUSTER_VERSION;
        if (token) {
                hello.token.data = (uint8_t *)token;
                hello.token.len = RPC_TOKEN_SIZE;
        }
        if (muster__v1__hello__get_packed_size(&hello) > sizeof(packed))
                return error_set(error, -EMSGSIZE, "its version's text is too long");
        size = muster__v1__hello__pack(&hello, packed);
        r = handshake_say(peer, packed, size);
        sodium_memzero(packed, sizeof(packed));
        if (r < 0)
                return error_set(error, r, "the handshake failed: %s", strerror(-r));
        r = handshake_take(peer, &peer->seal, &peer->open);
        if (r < 0)
                return error_set(error, r, "the handshake failed: %s", strerror(-r));
        peer->state = PEER_ADMITTING;
        return 0;
}

/* Message 2 from the listening side. */
static int handshake_answered(rpc_peer *peer, const uint8_t *frame, size_t size, struct error *error)
{
        uint8_t plain[PLAIN_MAX];
        size_t plain_size;

        if (noise_handshake_read(peer->handshake, frame, size, plain, sizeof(plain), &plain_size) < 0)
                return error_set(error, -EBADMSG,
                                 "its answer to the handshake is not that of the expected key");
        return handshake_hello(peer, error);
}

static int handshake_admitted(rpc_peer *peer, uint8_t *frame, size_t size, struct error *error)
{
        const ProtobufCMessage *message;
        const Muster__V1__Admit *admit;
        int r;

        if (noise_cipher_open(&peer->open, NULL, 0, frame, size, frame) < 0)
                return error_set(error, -EBADMSG, "its first frame does not authenticate");
        r = unpack_message(&peer->node->space, &muster__v1__admit__descriptor, frame, size - NOISE_TAG_SIZE,
                           &message, error);
        if (r < 0)
                return r;
        admit = (const Muster__V1__Admit *)message;
        if (admit->code != RPC_OK) {
                peer->refused = true;
                peer_fail(
                        peer, admit->code <= RPC_UNAUTHENTICATED ? (enum rpc_status)admit->code : RPC_UNKNOWN,
                        "it refused us: %s", *admit->message ? admit->message : rpc_status_name(admit->code));
                return 0;
        }
        if (TEXT_COPY(peer->name, admit->name) < 0)
                return error_set(error, -EBADMSG, "it admitted us under a name that is too long");
        dial_admitted(peer->dial);
        peer_up(peer);
        return 0;
}

/* --- the listening side -------------------------------------------------------------------------------- */

int handshake_preface(rpc_peer *peer, const uint8_t *preface, struct error *error)
{
        static const uint8_t zeros[RPC_PREFACE_SIZE - GREETING_SIZE - 1];
        uint8_t role = preface[GREETING_SIZE];

        if (memcmp(preface, GREETING, GREETING_SIZE) != 0 ||
            memcmp(preface + GREETING_SIZE + 1, zeros, sizeof(zeros)) != 0 ||
            (role != RPC_AGENT && role != RPC_USER && role != RPC_CONTROLLER))
                return error_set(error, -EBADMSG, "it does not speak " GREETING);
        peer->role = (enum rpc_role)role;
        peer->state = PEER_HANDSHAKE;
        if (handshake_start(peer) < 0)
                return error_set(error, -ENOMEM, "memory is out");
        return 0;
}

/* Message 1 from the dialling side. */
static int handshake_asked(rpc_peer *peer, const uint8_t *frame, size_t size, struct error *error)
{
        uint8_t plain[PLAIN_MAX];
        size_t plain_size;
        int r;

        if (noise_handshake_read(peer->handshake, frame, size, plain, sizeof(plain), &plain_size) < 0)
                return error_set(error, -EBADMSG, "its first message was not made for our key");
        r = handshake_say(peer, NULL, 0);
        if (r < 0)
                return error_set(error, r, "the handshake failed: %s", strerror(-r));
        peer->state = PEER_ADMITTING;
        return 0;
}

static enum rpc_status handshake_ask(rpc_peer *peer, const Muster__V1__Hello *hello, struct error *error)
{
        rpc_node *node = peer->node;
        enum rpc_status code;

        if (!node->events.admit) {
                error_set(error, -EPERM, "nobody is admitted here");
                return RPC_PERMISSION_DENIED;
        }
        code = node->events.admit(node, peer->role, peer->key, hello->token.len ? hello->token.data : NULL,
                                  hello->version, peer->name, error, node->userdata);
        if (code > RPC_UNAUTHENTICATED)
                code = RPC_UNKNOWN;
        if (code != RPC_OK && !*error->text)
                error_set(error, -EPERM, "%s", rpc_status_name(code));
        return code;
}

/* Seals Admit as a frame of its own. */
static int handshake_admit(rpc_peer *peer, enum rpc_status code, const char *text)
{
        Muster__V1__Admit admit = MUSTER__V1__ADMIT__INIT;
        char cut[ERROR_TEXT_SIZE];
        uint8_t *at;

        text_copy_cut(cut, sizeof(cut), text_is_utf8(text, strlen(text)) ? text : rpc_status_name(code));
        peer->name[RPC_NAME_SIZE - 1] = '\0';
        admit.code = code;
        admit.message = cut;
        admit.name = code == RPC_OK && text_is_utf8(peer->name, strlen(peer->name)) ? peer->name : (char *)"";
        at = link_plain(peer, muster__v1__admit__get_packed_size(&admit));
        if (!at)
                return -ENOMEM;
        muster__v1__admit__pack(&admit, at);
        return link_seal(peer);
}

/* Message 3: who it is, and whether it may. */
static int handshake_identified(rpc_peer *peer, const uint8_t *frame, size_t size, struct error *error)
{
        uint8_t plain[PLAIN_MAX];
        size_t plain_size;
        const ProtobufCMessage *message;
        const Muster__V1__Hello *hello;
        enum rpc_status code;
        int r;

        if (noise_handshake_read(peer->handshake, frame, size, plain, sizeof(plain), &plain_size) < 0)
                return error_set(error, -EBADMSG, "its third message does not authenticate");
        memcpy(peer->key, noise_handshake_remote(peer->handshake), NOISE_KEY_SIZE);
        r = handshake_take(peer, &peer->seal, &peer->open);
        if (r == 0)
                r = unpack_message(&peer->node->space, &muster__v1__hello__descriptor, plain, plain_size,
                                   &message, error);
        sodium_memzero(plain, sizeof(plain));
        if (r < 0)
                return r;
        hello = (const Muster__V1__Hello *)message;
        if ((hello->token.len != 0 && hello->token.len != RPC_TOKEN_SIZE) ||
            strlen(hello->version) > VERSION_MAX)
                return error_set(error, -EBADMSG, "its greeting is malformed");

        code = handshake_ask(peer, hello, error);
        if (hello->token.len)
                sodium_memzero(hello->token.data, hello->token.len);
        r = handshake_admit(peer, code, code == RPC_OK ? "" : error->text);
        if (r < 0)
                return error_set(error, r, "memory is out");
        if (code == RPC_OK) {
                peer_up(peer);
                return 0;
        }
        node_log_refused(peer->node, peer->address, error->text);
        peer->state = PEER_REFUSED;
        peer->name[0] = '\0';
        return timer_set(&peer->node->timers, &peer->timer, node_now(peer->node) + REFUSED_US);
}

int handshake_frame(rpc_peer *peer, uint8_t *frame, size_t size, struct error *error)
{
        switch (peer->state) {
        case PEER_HANDSHAKE:
                return peer->dialled ? handshake_answered(peer, frame, size, error)
                                     : handshake_asked(peer, frame, size, error);
        case PEER_ADMITTING:
                return peer->dialled ? handshake_admitted(peer, frame, size, error)
                                     : handshake_identified(peer, frame, size, error);
        default:
                return error_set(error, -EBADMSG, "it went on speaking after it was refused");
        }
}
