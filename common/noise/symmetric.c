/* HKDF, MixKey and MixHash over SHA-256. Each intermediate secret is wiped where it stops being needed. */
#include "common/noise/symmetric.h"

#include <sodium.h>
#include <string.h>

/* A name of at most a hash's length is the first hash itself (section 5.2); this one fits exactly. */
static const char protocol_name[] = "Noise_XK_25519_ChaChaPoly_SHA256";
_Static_assert(sizeof(protocol_name) - 1 == NOISE_HASH_SIZE, "the name is the first hash as it stands");
_Static_assert(crypto_auth_hmacsha256_BYTES == NOISE_HASH_SIZE, "HMAC-SHA-256");
_Static_assert(crypto_hash_sha256_BYTES == NOISE_HASH_SIZE, "SHA-256");

static void hmac(uint8_t out[NOISE_HASH_SIZE], const uint8_t key[NOISE_HASH_SIZE], const void *data,
                 size_t size, const uint8_t *last)
{
        crypto_auth_hmacsha256_state state;

        crypto_auth_hmacsha256_init(&state, key, NOISE_HASH_SIZE);
        if (size > 0)
                crypto_auth_hmacsha256_update(&state, data, size);
        if (last)
                crypto_auth_hmacsha256_update(&state, last, 1);
        crypto_auth_hmacsha256_final(&state, out);
        sodium_memzero(&state, sizeof state);
}

/* HKDF with two outputs (section 4.3). first may be the chaining key itself. */
static void derive(const uint8_t chaining_key[NOISE_HASH_SIZE], const void *input, size_t size,
                   uint8_t first[NOISE_HASH_SIZE], uint8_t second[NOISE_HASH_SIZE])
{
        static const uint8_t one = 1, two = 2;
        uint8_t key[NOISE_HASH_SIZE];

        hmac(key, chaining_key, input, size, NULL);
        hmac(first, key, NULL, 0, &one);
        hmac(second, key, first, NOISE_HASH_SIZE, &two);
        sodium_memzero(key, sizeof key);
}

static void cipher_start(struct noise_cipher *cipher, const uint8_t key[NOISE_KEY_SIZE])
{
        memcpy(cipher->key, key, NOISE_KEY_SIZE);
        cipher->counter = 0;
        cipher->ready = true;
}

void noise_symmetric_init(struct noise_symmetric *state, const void *prologue, size_t prologue_size)
{
        memcpy(state->hash, protocol_name, NOISE_HASH_SIZE);
        memcpy(state->chaining_key, protocol_name, NOISE_HASH_SIZE);
        noise_cipher_wipe(&state->cipher);
        noise_symmetric_mix_hash(state, prologue, prologue_size);
}

void noise_symmetric_mix_hash(struct noise_symmetric *state, const void *data, size_t size)
{
        crypto_hash_sha256_state sha;

        crypto_hash_sha256_init(&sha);
        crypto_hash_sha256_update(&sha, state->hash, NOISE_HASH_SIZE);
        if (size > 0)
                crypto_hash_sha256_update(&sha, data, size);
        crypto_hash_sha256_final(&sha, state->hash);
}

void noise_symmetric_mix_key(struct noise_symmetric *state, const uint8_t secret[NOISE_KEY_SIZE])
{
        uint8_t key[NOISE_HASH_SIZE];

        derive(state->chaining_key, secret, NOISE_KEY_SIZE, state->chaining_key, key);
        cipher_start(&state->cipher, key);
        sodium_memzero(key, sizeof key);
}

int noise_symmetric_seal(struct noise_symmetric *state, const void *plain, size_t size, uint8_t *sealed)
{
        int r = noise_cipher_seal(&state->cipher, state->hash, NOISE_HASH_SIZE, plain, size, sealed);

        if (r == 0)
                noise_symmetric_mix_hash(state, sealed, size + NOISE_TAG_SIZE);
        return r;
}

int noise_symmetric_open(struct noise_symmetric *state, const uint8_t *sealed, size_t size, uint8_t *plain)
{
        int r = noise_cipher_open(&state->cipher, state->hash, NOISE_HASH_SIZE, sealed, size, plain);

        if (r == 0)
                noise_symmetric_mix_hash(state, sealed, size);
        return r;
}

void noise_symmetric_split(struct noise_symmetric *state, struct noise_cipher *ret_initiator,
                           struct noise_cipher *ret_responder)
{
        uint8_t first[NOISE_HASH_SIZE], second[NOISE_HASH_SIZE];

        derive(state->chaining_key, NULL, 0, first, second);
        cipher_start(ret_initiator, first);
        cipher_start(ret_responder, second);
        sodium_memzero(first, sizeof first);
        sodium_memzero(second, sizeof second);
        sodium_memzero(state->chaining_key, sizeof state->chaining_key);
        noise_cipher_wipe(&state->cipher);
}
