/* Two sides with fixed keys, and their messages carried between them: what the refusal tests start from. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/noise/noise.h"

#define MESSAGES 3u
#define ROOM     256u

static const char payload_text[] = "a payload of its own";

struct talk {
        struct noise_keypair statics[2], ephemerals[2];
        noise_handshake *sides[2]; /* initiator, responder */
};

static inline void pair_from_byte(struct noise_keypair *ret, uint8_t byte)
{
        uint8_t secret[NOISE_KEY_SIZE];

        memset(secret, byte, sizeof secret);
        assert_int_equal(noise_keypair_from_secret(ret, secret), 0);
}

static inline void talk_start(struct talk *talk)
{
        for (unsigned i = 0; i < 2; i++) {
                pair_from_byte(&talk->statics[i], (uint8_t)(0x11 + i));
                pair_from_byte(&talk->ephemerals[i], (uint8_t)(0x41 + i));
        }
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(noise_handshake_new(&talk->sides[i], i == 0, "p", 1, &talk->statics[i],
                                                     &talk->ephemerals[i],
                                                     i == 0 ? talk->statics[1].public : NULL),
                                 0);
}

static inline void talk_end(struct talk *talk)
{
        for (unsigned i = 0; i < 2; i++)
                talk->sides[i] = noise_handshake_free(talk->sides[i]);
}
#define cleanup_talk cleanup_with(talk_end)

static inline size_t talk_write(struct talk *talk, unsigned index, uint8_t message[ROOM])
{
        size_t size = 0;

        assert_int_equal(noise_handshake_write(talk->sides[index % 2], payload_text, sizeof payload_text,
                                               message, ROOM, &size),
                         0);
        return size;
}

/* Carries the first count messages over; returns with message index count up next. */
static inline void talk_until(struct talk *talk, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                uint8_t message[ROOM], payload[ROOM];
                size_t size = talk_write(talk, i, message);

                assert_int_equal(
                        noise_handshake_read(talk->sides[1 - i % 2], message, size, payload, ROOM, &size), 0);
                assert_int_equal(size, sizeof payload_text);
        }
}
