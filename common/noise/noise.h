/* Noise_XK_25519_ChaChaPoly_SHA256 (Noise specification, revision 34) on libsodium. Pure: bytes in, bytes
 * out; no sockets, no clock, no random (the caller gives the ephemeral key), so that vectors run through it.
 *
 * A handshake is three messages: initiator, responder, initiator; then split into two ciphers. Any error is
 * final: the state is wiped, every later call returns -EPROTO. All sizes are bytes.
 *
 * A program calls sodium_init() once before (it picks the fast code for its processor; results are the same).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY_SIZE     32u
#define NOISE_TAG_SIZE     16u
#define NOISE_HASH_SIZE    32u
#define NOISE_MESSAGE_MAX  65535u
#define NOISE_XK_OVERHEAD1 48u /* message 1: e, tag of the payload */
#define NOISE_XK_OVERHEAD2 48u
#define NOISE_XK_OVERHEAD3 64u /* message 3: s sealed (32 + 16), tag of the payload */

struct noise_keypair {
        uint8_t secret[NOISE_KEY_SIZE];
        uint8_t public[NOISE_KEY_SIZE];
};

/* The key pair of a secret key. Returns 0, or -EINVAL where libsodium refuses the key. */
int noise_keypair_from_secret(struct noise_keypair *ret, const uint8_t secret[NOISE_KEY_SIZE]);

/* One direction of a session: a key and a strict counter. */
struct noise_cipher {
        uint8_t key[NOISE_KEY_SIZE];
        uint64_t counter;
        bool ready;
};

/* Seals size bytes of plain into sealed (size + NOISE_TAG_SIZE bytes; may overlap exactly: sealed == plain).
 * associated may be NULL with size 0. Returns 0, -EPROTO without a key, -EOVERFLOW when the counter is used
 * up. */
int noise_cipher_seal(struct noise_cipher *cipher, const void *associated, size_t associated_size,
                      const void *plain, size_t size, uint8_t *sealed);
/* Opens size bytes (tag included) into plain (size - NOISE_TAG_SIZE bytes; plain == sealed allowed).
 * Returns 0 or -EBADMSG; after -EBADMSG the cipher has no key any more. */
int noise_cipher_open(struct noise_cipher *cipher, const void *associated, size_t associated_size,
                      const void *sealed, size_t size, uint8_t *plain);
void noise_cipher_wipe(struct noise_cipher *cipher);

typedef struct noise_handshake noise_handshake;

/* Starts a handshake. local is this side's static pair (copied). remote is the responder's public key: needed
 * by the initiator, NULL for the responder. ephemeral is this side's ephemeral pair, fresh for each
 * handshake. prologue (copied by hashing) must be the same on both sides. -ENOMEM, -EINVAL. */
int noise_handshake_new(noise_handshake **ret, bool initiator, const void *prologue, size_t prologue_size,
                        const struct noise_keypair *local, const struct noise_keypair *ephemeral,
                        const uint8_t remote[NOISE_KEY_SIZE]);
noise_handshake *noise_handshake_free(noise_handshake *handshake);

/* Whether this side writes the next message; false also when all three are done. */
bool noise_handshake_writes(const noise_handshake *handshake);
bool noise_handshake_done(const noise_handshake *handshake);

/* Writes the next message with payload (may be NULL, 0). room is the space at message; *ret_size what was
 * written. -ENOBUFS if room is too small (nothing changed), -EMSGSIZE over 65535, -EPROTO out of turn or on a
 * low-order key. */
int noise_handshake_write(noise_handshake *handshake, const void *payload, size_t payload_size,
                          uint8_t *message, size_t room, size_t *ret_size);
/* Reads the next message; payload needs room for size - overhead bytes. -EBADMSG for anything that does not
 * authenticate, is too short or carries a low-order key, -EPROTO out of turn, -ENOBUFS (nothing changed). The
 * payload must not overlap the message. */
int noise_handshake_read(noise_handshake *handshake, const uint8_t *message, size_t size, uint8_t *payload,
                         size_t room, size_t *ret_size);

/* The peer's static public key: the initiator knows it from the start, the responder after message 3, NULL
 * before and after a failure. Valid as long as the handshake, also after split. */
const uint8_t *noise_handshake_remote(const noise_handshake *handshake);
/* The handshake hash (channel binding), valid when done; NULL before and after a failure. */
const uint8_t *noise_handshake_hash(const noise_handshake *handshake);

/* After the third message: the two ciphers, once. -EPROTO before the end or a second time. */
int noise_handshake_split(noise_handshake *handshake, struct noise_cipher *ret_send,
                          struct noise_cipher *ret_receive);
