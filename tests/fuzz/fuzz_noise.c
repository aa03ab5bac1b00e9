/* Bytes from a peer into the handshake, at each of its steps and on both sides, and into an open session.
 *
 * The first byte says what gets the rest. 0 to 2: the reader of that handshake message. 3: an open session.
 * 4: two honest sides carry it as the payload of a handshake, 5: as a message of a session, and it must
 * arrive. 6: the responder again and again, the rest being messages with a length byte each, as a stranger
 * who keeps talking. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/noise/noise.h"

#define MESSAGES 3u
#define ROOM     (NOISE_MESSAGE_MAX + 1u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
        struct noise_keypair statics[2], ephemerals[2];
        noise_handshake *sides[2];
};

static uint8_t message[ROOM], payload[ROOM];

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void talk_start(struct talk *talk)
{
        uint8_t secret[NOISE_KEY_SIZE];

        for (unsigned i = 0; i < 4; i++) {
                memset(secret, (int)(0x21 + i), sizeof secret);
                demand(noise_keypair_from_secret(i < 2 ? &talk->statics[i] : &talk->ephemerals[i - 2],
                                                 secret) == 0);
        }
        for (unsigned i = 0; i < 2; i++) {
                if (noise_handshake_new(&talk->sides[i], i == 0, NULL, 0, &talk->statics[i],
                                        &talk->ephemerals[i], i == 0 ? talk->statics[1].public : NULL) < 0)
                        abort();
        }
}

static void talk_end(struct talk *talk)
{
        for (unsigned i = 0; i < 2; i++)
                talk->sides[i] = noise_handshake_free(talk->sides[i]);
}

static void talk_carry(struct talk *talk, unsigned from, unsigned to, const uint8_t *data, size_t size)
{
        for (unsigned i = from; i < to; i++) {
                size_t got;

                demand(noise_handshake_write(talk->sides[i % 2], data, size, message, sizeof message, &got) ==
                       0);
                demand(noise_handshake_read(talk->sides[1 - i % 2], message, got, payload, sizeof payload,
                                            &got) == 0);
                demand(got == size && (size == 0 || memcmp(payload, data, size) == 0));
        }
}

/* Whoever refuses is dead. The room is exact, so that a
 * sanitizer sees one byte too many. */
static int step_refuses(noise_handshake *reader, const uint8_t *data, size_t size)
{
        cleanup_free uint8_t *exact = malloc(size > 0 ? size : 1);
        bool turn;
        size_t got;
        int r;

        if (!exact)
                return 0;
        turn = !noise_handshake_done(reader) && !noise_handshake_writes(reader);
        r = noise_handshake_read(reader, data, size, exact, size, &got);
        if (r < 0)
                demand(r == (turn ? -EBADMSG : -EPROTO) &&
                       noise_handshake_read(reader, data, size, exact, size, &got) == -EPROTO);
        return r;
}

static void session_make(struct talk *talk, struct noise_cipher send[2], struct noise_cipher receive[2])
{
        talk_carry(talk, 0, MESSAGES, NULL, 0);
        for (unsigned i = 0; i < 2; i++)
                demand(noise_handshake_split(talk->sides[i], &send[i], &receive[i]) == 0);
}

static void session_refuses(struct talk *talk, const uint8_t *data, size_t size)
{
        struct noise_cipher send[2], receive[2];
        cleanup_free uint8_t *exact = malloc(size > NOISE_TAG_SIZE ? size - NOISE_TAG_SIZE : 1);

        if (!exact)
                return;
        session_make(talk, send, receive);
        demand(noise_cipher_open(&receive[1], NULL, 0, data, size, exact) < 0);
        demand(noise_cipher_open(&receive[1], NULL, 0, data, size, exact) < 0 && !receive[1].ready);
}

static void session_carries(struct talk *talk, const uint8_t *data, size_t size)
{
        struct noise_cipher send[2], receive[2];

        session_make(talk, send, receive);
        for (unsigned from = 0; from < 2; from++) {
                demand(noise_cipher_seal(&send[from], data, size, data, size, message) == 0);
                demand(noise_cipher_open(&receive[1 - from], data, size, message, size + NOISE_TAG_SIZE,
                                         payload) == 0);
                demand(size == 0 || memcmp(payload, data, size) == 0);
        }
}

static void stranger_speaks(struct talk *talk, const uint8_t *data, size_t size)
{
        size_t written;

        while (size > 0) {
                size_t length = data[0] < size ? data[0] : size - 1;

                if (step_refuses(talk->sides[1], data + 1, length) < 0)
                        return;
                if (noise_handshake_writes(talk->sides[1]))
                        demand(noise_handshake_write(talk->sides[1], NULL, 0, message, sizeof message,
                                                     &written) == 0);
                data += 1 + length;
                size -= 1 + length;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_with(talk_end) struct talk talk = {0};
        unsigned what;

        if (size == 0 || size > NOISE_MESSAGE_MAX - NOISE_XK_OVERHEAD3)
                return 0;
        what = data[0] % 7;
        data++;
        size--;
        talk_start(&talk);
        if (what < MESSAGES) {
                talk_carry(&talk, 0, what, NULL, 0);
                step_refuses(talk.sides[1 - what % 2], data, size);
        } else if (what == 3) {
                session_refuses(&talk, data, size);
        } else if (what == 4) {
                talk_carry(&talk, 0, MESSAGES, data, size);
        } else if (what == 5) {
                session_carries(&talk, data, size);
        } else {
                stranger_speaks(&talk, data, size);
        }
        return 0;
}
