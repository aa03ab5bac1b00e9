/* The symmetric half of a Noise handshake (specification, section 5.2): chaining key, transcript hash and the
 * handshake's own cipher, advanced with every token. Private to common/noise. */
#pragma once

#include "common/noise/noise.h"

struct noise_symmetric {
        uint8_t chaining_key[NOISE_HASH_SIZE];
        uint8_t hash[NOISE_HASH_SIZE];
        struct noise_cipher cipher;
};

/* InitializeSymmetric and MixHash(prologue). */
void noise_symmetric_init(struct noise_symmetric *state, const void *prologue, size_t prologue_size);
void noise_symmetric_mix_hash(struct noise_symmetric *state, const void *data, size_t size);
void noise_symmetric_mix_key(struct noise_symmetric *state, const uint8_t secret[NOISE_KEY_SIZE]);

/* EncryptAndHash: writes size + NOISE_TAG_SIZE bytes. Errors as of noise_cipher_seal. */
int noise_symmetric_seal(struct noise_symmetric *state, const void *plain, size_t size, uint8_t *sealed);
/* DecryptAndHash: writes size - NOISE_TAG_SIZE bytes, which must not overlap sealed. 0 or -EBADMSG. */
int noise_symmetric_open(struct noise_symmetric *state, const uint8_t *sealed, size_t size, uint8_t *plain);

/* Split: the keys of the two directions; wipes the chaining key and the cipher, keeps the hash. */
void noise_symmetric_split(struct noise_symmetric *state, struct noise_cipher *ret_initiator,
                           struct noise_cipher *ret_responder);
