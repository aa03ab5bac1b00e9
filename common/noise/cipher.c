/* One direction of a session: ChaCha20-Poly1305 with the specification's nonce (4 zero bytes, then the
 * counter little-endian, section 12.3). The counter is strict: what does not open ends the direction. */
#include "common/noise/noise.h"

#include <errno.h>
#include <sodium.h>

_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == NOISE_KEY_SIZE, "key");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == NOISE_TAG_SIZE, "tag");

/* 2^64-1 is kept for rekeying (section 5.1), which this suite's users do by a new handshake. */
#define COUNTER_END UINT64_MAX

typedef uint8_t nonce_bytes[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

static void nonce_write(nonce_bytes nonce, uint64_t counter)
{
        for (unsigned i = 0; i < 4; i++)
                nonce[i] = 0;
        for (unsigned i = 0; i < 8; i++)
                nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

int noise_cipher_seal(struct noise_cipher *cipher, const void *associated, size_t associated_size,
                      const void *plain, size_t size, uint8_t *sealed)
{
        nonce_bytes nonce;

        if (!cipher->ready)
                return -EPROTO;
        if (cipher->counter == COUNTER_END)
                return -EOVERFLOW;

        nonce_write(nonce, cipher->counter);
        crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, plain, size, associated, associated_size,
                                                  NULL, nonce, cipher->key);
        cipher->counter++;
        return 0;
}

int noise_cipher_open(struct noise_cipher *cipher, const void *associated, size_t associated_size,
                      const void *sealed, size_t size, uint8_t *plain)
{
        nonce_bytes nonce;

        if (!cipher->ready)
                return -EBADMSG;
        if (size < NOISE_TAG_SIZE || cipher->counter == COUNTER_END) {
                noise_cipher_wipe(cipher);
                return -EBADMSG;
        }

        nonce_write(nonce, cipher->counter);
        if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed, size, associated,
                                                      associated_size, nonce, cipher->key) != 0) {
                noise_cipher_wipe(cipher);
                return -EBADMSG;
        }
        cipher->counter++;
        return 0;
}

void noise_cipher_wipe(struct noise_cipher *cipher)
{
        sodium_memzero(cipher, sizeof *cipher);
}
