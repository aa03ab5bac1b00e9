/* What a handshake must not take: altered, cut and reordered bytes, calls out of turn, keys of low order,
 * another responder or prologue. After each refusal the state must be dead. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/base/cleanup.h"
#include "common/noise/noise.h"
#include "common/noise/symmetric.h"
#include "tests/unit/common/noise/talk.h"

static void assert_dead(noise_handshake *handshake)
{
        struct noise_cipher send, receive;
        uint8_t bytes[ROOM] = {0};
        size_t size;

        assert_false(noise_handshake_writes(handshake));
        assert_false(noise_handshake_done(handshake));
        assert_null(noise_handshake_remote(handshake));
        assert_null(noise_handshake_hash(handshake));
        assert_int_equal(noise_handshake_write(handshake, NULL, 0, bytes, ROOM, &size), -EPROTO);
        assert_int_equal(noise_handshake_read(handshake, bytes, 64, bytes, ROOM, &size), -EPROTO);
        assert_int_equal(noise_handshake_split(handshake, &send, &receive), -EPROTO);
}

/* Gives message index, changed by the caller, to its reader, which must refuse and be dead after it. */
static void assert_refused(struct talk *talk, unsigned index, const uint8_t *message, size_t size)
{
        noise_handshake *reader = talk->sides[1 - index % 2];
        uint8_t payload[ROOM];
        size_t payload_size = 77;

        assert_int_equal(noise_handshake_read(reader, message, size, payload, ROOM, &payload_size), -EBADMSG);
        assert_int_equal(payload_size, 77);
        assert_dead(reader);
}

static void test_every_bit_of_every_byte_counts(void **state)
{
        size_t size = 1;

        for (unsigned index = 0; index < MESSAGES; index++) {
                for (size_t at = 0; at < size; at++) {
                        for (unsigned bit = 0; bit < 8; bit++) {
                                cleanup_talk struct talk talk;
                                uint8_t message[ROOM];

                                talk_start(&talk);
                                talk_until(&talk, index);
                                size = talk_write(&talk, index, message);
                                /* X25519 masks the top bit of a point, the transcript does not */
                                message[at] ^= (uint8_t)(1u << bit);
                                assert_refused(&talk, index, message, size);
                                if (at % 16 != 0)
                                        break; /* all bits of some bytes, one bit of every byte */
                        }
                }
        }
}

static void test_every_cut_and_one_byte_more(void **state)
{
        size_t size = 1;

        for (unsigned index = 0; index < MESSAGES; index++) {
                for (size_t cut = 0; cut <= size + 1; cut++) {
                        cleanup_talk struct talk talk;
                        uint8_t message[ROOM] = {0};

                        talk_start(&talk);
                        talk_until(&talk, index);
                        size = talk_write(&talk, index, message);
                        if (cut != size)
                                assert_refused(&talk, index, message, cut);
                }
        }
}

/* Message 1 as an honest initiator would make it, but for its size. */
static void test_larger_than_a_noise_message(void **state)
{
        const size_t size = NOISE_MESSAGE_MAX + 1;
        cleanup_free uint8_t *bytes = calloc(1, size), *payload = calloc(1, size);
        cleanup_talk struct talk talk;
        struct noise_symmetric forger;
        uint8_t shared[NOISE_KEY_SIZE];
        size_t ret_size;

        assert_true(bytes && payload);
        talk_start(&talk);
        noise_symmetric_init(&forger, "p", 1);
        noise_symmetric_mix_hash(&forger, talk.statics[1].public, NOISE_KEY_SIZE);
        memcpy(bytes, talk.ephemerals[0].public, NOISE_KEY_SIZE);
        noise_symmetric_mix_hash(&forger, bytes, NOISE_KEY_SIZE);
        assert_int_equal(crypto_scalarmult(shared, talk.ephemerals[0].secret, talk.statics[1].public), 0);
        noise_symmetric_mix_key(&forger, shared);
        assert_int_equal(
                noise_symmetric_seal(&forger, payload, size - NOISE_XK_OVERHEAD1, bytes + NOISE_KEY_SIZE), 0);
        assert_int_equal(noise_handshake_read(talk.sides[1], bytes, size, payload, size, &ret_size),
                         -EBADMSG);
        assert_dead(talk.sides[1]);
        assert_int_equal(noise_handshake_write(talk.sides[0], payload,
                                               NOISE_MESSAGE_MAX - NOISE_XK_OVERHEAD1 + 1, bytes, size,
                                               &ret_size),
                         -EMSGSIZE);
        assert_dead(talk.sides[0]);
}

static void test_the_largest_message(void **state)
{
        const size_t payload_size = NOISE_MESSAGE_MAX - NOISE_XK_OVERHEAD1;
        cleanup_free uint8_t *payload = calloc(1, NOISE_MESSAGE_MAX);
        cleanup_free uint8_t *message = calloc(1, NOISE_MESSAGE_MAX);
        cleanup_talk struct talk talk;
        size_t size = 0;

        assert_true(payload && message);
        talk_start(&talk);
        assert_int_equal(noise_handshake_write(talk.sides[0], payload, payload_size, message,
                                               NOISE_MESSAGE_MAX, &size),
                         0);
        assert_int_equal(size, NOISE_MESSAGE_MAX);
        assert_int_equal(noise_handshake_read(talk.sides[1], message, size, payload, payload_size, &size), 0);
        assert_int_equal(size, payload_size);
}

static void test_a_message_of_another_step(void **state)
{
        cleanup_talk struct talk talk, other;
        uint8_t message[ROOM];
        size_t size;

        /* message 1 again, where message 3 is due */
        talk_start(&talk);
        size = talk_write(&talk, 0, message);
        talk_start(&other);
        talk_until(&other, 2);
        assert_refused(&other, 2, message, size);
}

static void test_out_of_turn_is_the_end(void **state)
{
        for (unsigned index = 0; index < MESSAGES; index++) {
                cleanup_talk struct talk talk;
                noise_handshake *writer, *reader;
                struct noise_cipher send, receive;
                uint8_t message[ROOM] = {0};
                size_t size;

                talk_start(&talk);
                talk_until(&talk, index);
                writer = talk.sides[index % 2];
                reader = talk.sides[1 - index % 2];
                assert_int_equal(noise_handshake_read(writer, message, 64, message, ROOM, &size), -EPROTO);
                assert_dead(writer);
                assert_int_equal(noise_handshake_write(reader, NULL, 0, message, ROOM, &size), -EPROTO);
                assert_dead(reader);

                talk_end(&talk);
                talk_start(&talk);
                talk_until(&talk, index);
                assert_int_equal(noise_handshake_split(talk.sides[0], &send, &receive), -EPROTO);
                assert_dead(talk.sides[0]);
        }
}

static void test_split_happens_once(void **state)
{
        cleanup_talk struct talk talk;
        struct noise_cipher send, receive;
        uint8_t message[ROOM] = {0};
        size_t size;

        talk_start(&talk);
        talk_until(&talk, MESSAGES - 1);
        assert_null(noise_handshake_remote(talk.sides[1]));
        assert_null(noise_handshake_hash(talk.sides[1]));
        talk_end(&talk);
        talk_start(&talk);
        talk_until(&talk, MESSAGES);
        for (unsigned i = 0; i < 2; i++) {
                uint8_t hash[NOISE_HASH_SIZE];

                memcpy(hash, noise_handshake_hash(talk.sides[i]), sizeof hash);
                assert_int_equal(noise_handshake_split(talk.sides[i], &send, &receive), 0);
                assert_int_equal(noise_handshake_split(talk.sides[i], &send, &receive), -EPROTO);
                assert_int_equal(noise_handshake_write(talk.sides[i], NULL, 0, message, ROOM, &size),
                                 -EPROTO);
                assert_int_equal(noise_handshake_read(talk.sides[i], message, 64, message, ROOM, &size),
                                 -EPROTO);
                /* who it was stays known */
                assert_true(noise_handshake_done(talk.sides[i]));
                assert_memory_equal(noise_handshake_hash(talk.sides[i]), hash, sizeof hash);
                assert_memory_equal(noise_handshake_remote(talk.sides[i]), talk.statics[1 - i].public,
                                    NOISE_KEY_SIZE);
        }
}

static void test_too_little_room_changes_nothing(void **state)
{
        for (unsigned index = 0; index < MESSAGES; index++) {
                cleanup_talk struct talk talk;
                noise_handshake *writer, *reader;
                uint8_t message[ROOM], payload[ROOM];
                size_t size = 7, full;

                talk_start(&talk);
                talk_until(&talk, index);
                writer = talk.sides[index % 2];
                reader = talk.sides[1 - index % 2];
                full = sizeof payload_text + (index == 2 ? NOISE_XK_OVERHEAD3 : NOISE_XK_OVERHEAD1);
                assert_int_equal(noise_handshake_write(writer, payload_text, sizeof payload_text, message,
                                                       full - 1, &size),
                                 -ENOBUFS);
                assert_int_equal(size, 7);
                assert_int_equal(noise_handshake_write(writer, payload_text, sizeof payload_text, message,
                                                       full, &size),
                                 0);
                assert_int_equal(
                        noise_handshake_read(reader, message, full, payload, sizeof payload_text - 1, &size),
                        -ENOBUFS);
                assert_int_equal(
                        noise_handshake_read(reader, message, full, payload, sizeof payload_text, &size), 0);
                assert_memory_equal(payload, payload_text, sizeof payload_text);
        }
}

/* The points whose products everyone knows (RFC 7748, section 6.1): 0, 1, the two of order 8, p-1, p, p+1. */
static const uint8_t low_order[][NOISE_KEY_SIZE] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
         0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
         0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

static void test_low_order_points_are_refused(void **state)
{
        for (unsigned i = 0; i < ELEMENTS(low_order); i++) {
                cleanup_talk struct talk talk;
                noise_handshake *initiator;
                uint8_t message[ROOM] = {0};
                size_t size;

                /* as the responder's static key */
                talk_start(&talk);
                assert_int_equal(noise_handshake_new(&initiator, true, NULL, 0, &talk.statics[0],
                                                     &talk.ephemerals[0], low_order[i]),
                                 0);
                assert_int_equal(noise_handshake_write(initiator, NULL, 0, message, ROOM, &size), -EPROTO);
                assert_dead(initiator);
                noise_handshake_free(initiator);

                /* as the ephemeral of message 1 and of message 2 */
                memcpy(message, low_order[i], NOISE_KEY_SIZE);
                assert_refused(&talk, 0, message, 64);
                talk_end(&talk);
                talk_start(&talk);
                talk_until(&talk, 1);
                assert_refused(&talk, 1, message, 64);
        }
}

/* The next two forge what a responder that accepted low order would take: the product is zero, so everyone
 * can compute the keys and the tags are right. Only refusing the point itself passes. */
static void test_low_order_ephemeral_with_the_right_tag(void **state)
{
        const uint8_t zero[NOISE_KEY_SIZE] = {0};
        cleanup_talk struct talk talk;
        struct noise_symmetric forger;
        uint8_t message[NOISE_XK_OVERHEAD1];

        talk_start(&talk);
        noise_symmetric_init(&forger, "p", 1);
        noise_symmetric_mix_hash(&forger, talk.statics[1].public, NOISE_KEY_SIZE);
        memcpy(message, zero, sizeof zero);
        noise_symmetric_mix_hash(&forger, message, NOISE_KEY_SIZE);
        noise_symmetric_mix_key(&forger, zero);
        assert_int_equal(noise_symmetric_seal(&forger, NULL, 0, message + NOISE_KEY_SIZE), 0);
        assert_refused(&talk, 0, message, sizeof message);
}

static void test_low_order_static_with_the_right_tag(void **state)
{
        const uint8_t zero[NOISE_KEY_SIZE] = {0};
        cleanup_talk struct talk talk;
        struct noise_symmetric forger;
        struct noise_keypair *ephemeral;
        uint8_t message[NOISE_XK_OVERHEAD3], shared[NOISE_KEY_SIZE], payload[ROOM];
        size_t size;

        talk_start(&talk);
        ephemeral = &talk.ephemerals[0];
        noise_symmetric_init(&forger, "p", 1);
        noise_symmetric_mix_hash(&forger, talk.statics[1].public, NOISE_KEY_SIZE);
        memcpy(message, ephemeral->public, NOISE_KEY_SIZE);
        noise_symmetric_mix_hash(&forger, message, NOISE_KEY_SIZE);
        assert_int_equal(crypto_scalarmult(shared, ephemeral->secret, talk.statics[1].public), 0);
        noise_symmetric_mix_key(&forger, shared);
        assert_int_equal(noise_symmetric_seal(&forger, NULL, 0, message + NOISE_KEY_SIZE), 0);
        assert_int_equal(
                noise_handshake_read(talk.sides[1], message, NOISE_XK_OVERHEAD1, payload, ROOM, &size), 0);

        assert_int_equal(noise_handshake_write(talk.sides[1], NULL, 0, message, sizeof message, &size), 0);
        noise_symmetric_mix_hash(&forger, message, NOISE_KEY_SIZE);
        assert_int_equal(crypto_scalarmult(shared, ephemeral->secret, message), 0);
        noise_symmetric_mix_key(&forger, shared);
        assert_int_equal(noise_symmetric_open(&forger, message + NOISE_KEY_SIZE, NOISE_TAG_SIZE, payload), 0);

        assert_int_equal(noise_symmetric_seal(&forger, zero, sizeof zero, message), 0);
        noise_symmetric_mix_key(&forger, zero);
        assert_int_equal(noise_symmetric_seal(&forger, NULL, 0, message + NOISE_KEY_SIZE + NOISE_TAG_SIZE),
                         0);
        assert_refused(&talk, 2, message, sizeof message);
}

static void test_what_both_must_agree_on(void **state)
{
        const struct {
                const char *prologue;
                bool other_responder;
        } cases[] = {{"q", false}, {"", false}, {"p", true}};

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                cleanup_talk struct talk talk;
                struct noise_keypair other;
                uint8_t message[ROOM];
                size_t size;

                talk_start(&talk);
                pair_from_byte(&other, 0x77);
                noise_handshake_free(talk.sides[1]);
                assert_int_equal(noise_handshake_new(&talk.sides[1], false, cases[i].prologue,
                                                     strlen(cases[i].prologue),
                                                     cases[i].other_responder ? &other : &talk.statics[1],
                                                     &talk.ephemerals[1], NULL),
                                 0);
                size = talk_write(&talk, 0, message);
                assert_refused(&talk, 0, message, size);
        }
}

static void test_new_refuses_what_does_not_fit(void **state)
{
        struct noise_keypair pair;
        noise_handshake *handshake = NULL;

        pair_from_byte(&pair, 1);
        assert_int_equal(noise_handshake_new(&handshake, true, NULL, 0, &pair, &pair, NULL), -EINVAL);
        assert_int_equal(noise_handshake_new(&handshake, false, NULL, 0, &pair, &pair, pair.public), -EINVAL);
        assert_int_equal(noise_handshake_new(&handshake, false, NULL, 0, NULL, &pair, NULL), -EINVAL);
        assert_int_equal(noise_handshake_new(&handshake, false, NULL, 0, &pair, NULL, NULL), -EINVAL);
        assert_int_equal(noise_handshake_new(&handshake, false, NULL, 1, &pair, &pair, NULL), -EINVAL);
        assert_null(handshake);
        assert_null(noise_handshake_free(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_bit_of_every_byte_counts),
                cmocka_unit_test(test_every_cut_and_one_byte_more),
                cmocka_unit_test(test_larger_than_a_noise_message),
                cmocka_unit_test(test_the_largest_message),
                cmocka_unit_test(test_a_message_of_another_step),
                cmocka_unit_test(test_out_of_turn_is_the_end),
                cmocka_unit_test(test_split_happens_once),
                cmocka_unit_test(test_too_little_room_changes_nothing),
                cmocka_unit_test(test_low_order_points_are_refused),
                cmocka_unit_test(test_low_order_ephemeral_with_the_right_tag),
                cmocka_unit_test(test_low_order_static_with_the_right_tag),
                cmocka_unit_test(test_what_both_must_agree_on),
                cmocka_unit_test(test_new_refuses_what_does_not_fit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
