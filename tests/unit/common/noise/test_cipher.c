/* What a session must not take: altered, cut, repeated, skipped and misdirected messages, and a counter at
 * its end. After each refusal the direction must be dead. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/noise/noise.h"
#include "tests/unit/common/noise/talk.h"

static void session_make(struct noise_cipher send[2], struct noise_cipher receive[2])
{
        cleanup_talk struct talk talk;

        talk_start(&talk);
        talk_until(&talk, MESSAGES);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(noise_handshake_split(talk.sides[i], &send[i], &receive[i]), 0);
}

static void assert_cipher_dead(struct noise_cipher *cipher)
{
        const struct noise_cipher empty = {0};
        uint8_t bytes[ROOM] = {0};

        assert_memory_equal(cipher->key, empty.key, sizeof empty.key);
        assert_false(cipher->ready);
        assert_int_equal(noise_cipher_open(cipher, NULL, 0, bytes, 32, bytes), -EBADMSG);
        assert_int_equal(noise_cipher_seal(cipher, NULL, 0, bytes, 16, bytes), -EPROTO);
}

static void test_transport_is_strict(void **state)
{
        enum { ALTERED, CUT, REPEATED, SKIPPED, OTHER_DIRECTION, OTHER_ASSOCIATED, EMPTY, CASES };

        for (unsigned i = 0; i < CASES; i++) {
                struct noise_cipher send[2], receive[2], *reader;
                uint8_t first[32 + NOISE_TAG_SIZE] = {0}, second[32 + NOISE_TAG_SIZE] = {0}, plain[32];
                const uint8_t *given = first;
                size_t size = sizeof first;

                session_make(send, receive);
                reader = &receive[1];
                /* in place, with associated data */
                assert_int_equal(noise_cipher_seal(&send[0], "a", 1, first, 32, first), 0);
                assert_int_equal(noise_cipher_seal(&send[0], "a", 1, second, 32, second), 0);
                assert_memory_not_equal(first, second, sizeof first);
                switch (i) {
                case ALTERED:
                        first[5] ^= 1;
                        break;
                case CUT:
                        size--;
                        break;
                case REPEATED:
                        assert_int_equal(noise_cipher_open(reader, "a", 1, first, size, plain), 0);
                        break;
                case SKIPPED:
                        given = second;
                        break;
                case OTHER_DIRECTION:
                        reader = &receive[0];
                        break;
                case EMPTY:
                        size = 0;
                        break;
                default:
                        break;
                }
                assert_int_equal(
                        noise_cipher_open(reader, i == OTHER_ASSOCIATED ? "b" : "a", 1, given, size, plain),
                        -EBADMSG);
                assert_cipher_dead(reader);
        }
}

static void test_every_byte_of_a_transport_message(void **state)
{
        for (unsigned at = 0; at < 20 + NOISE_TAG_SIZE; at++) {
                struct noise_cipher send[2], receive[2];
                uint8_t sealed[20 + NOISE_TAG_SIZE], plain[20] = {0};

                session_make(send, receive);
                assert_int_equal(noise_cipher_seal(&send[1], NULL, 0, plain, sizeof plain, sealed), 0);
                sealed[at] ^= 0x80;
                assert_int_equal(noise_cipher_open(&receive[0], NULL, 0, sealed, sizeof sealed, plain),
                                 -EBADMSG);
                assert_cipher_dead(&receive[0]);
        }
}

static void test_the_counter_ends_before_it_wraps(void **state)
{
        struct noise_cipher send[2], receive[2];
        uint8_t sealed[4 + NOISE_TAG_SIZE], plain[4] = {1, 2, 3, 4};
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES] = {0};

        session_make(send, receive);
        send[0].counter = receive[1].counter = UINT64_MAX - 1;
        assert_int_equal(noise_cipher_seal(&send[0], NULL, 0, plain, sizeof plain, sealed), 0);
        assert_int_equal(noise_cipher_open(&receive[1], NULL, 0, sealed, sizeof sealed, plain), 0);
        assert_int_equal(noise_cipher_seal(&send[0], NULL, 0, plain, sizeof plain, sealed), -EOVERFLOW);
        assert_int_equal(noise_cipher_seal(&send[0], NULL, 0, plain, sizeof plain, sealed), -EOVERFLOW);
        assert_true(send[0].counter == UINT64_MAX);
        /* what a peer that does not stop there would send */
        memset(nonce + 4, 0xff, 8);
        crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, plain, sizeof plain, NULL, 0, NULL, nonce,
                                                  send[0].key);
        assert_int_equal(noise_cipher_open(&receive[1], NULL, 0, sealed, sizeof sealed, plain), -EBADMSG);
        assert_cipher_dead(&receive[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_transport_is_strict),
                cmocka_unit_test(test_every_byte_of_a_transport_message),
                cmocka_unit_test(test_the_counter_ends_before_it_wraps),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
