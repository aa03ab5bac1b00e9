/* Runs the public vectors of our one suite through both sides: every handshake message, its payload, and the
 * transport messages after it, in both directions. The file is the one that Debian ships with the Go
 * implementation, in that implementation's format: KEY=HEX lines, vectors separated by empty lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/noise/noise.h"

#define SUITE           "Noise_XK_25519_ChaChaPoly_SHA256"
#define VECTORS_DEFAULT "/usr/share/gocode/src/github.com/flynn/noise/vectors.txt"
#define BYTES_MAX       512u
#define MESSAGES_MAX    10u
#define HANDSHAKE       3u

struct bytes {
        uint8_t data[BYTES_MAX];
        size_t size;
        bool given;
};

struct vector {
        char suite[64];
        unsigned line;
        struct bytes init_static, resp_static, init_ephemeral, resp_ephemeral, prologue;
        struct bytes payloads[MESSAGES_MAX], ciphertexts[MESSAGES_MAX];
};

static void bytes_read(struct bytes *ret, const char *hex, unsigned line)
{
        size_t digits = strlen(hex);

        if (digits / 2 > BYTES_MAX || text_unhex(ret->data, digits / 2, hex) < 0)
                fail_msg("vectors, line %u: not hex, or more than %u bytes", line, BYTES_MAX);
        ret->size = digits / 2;
        ret->given = true;
}

static struct bytes *vector_field(struct vector *vector, const char *key)
{
        unsigned index;
        char kind[16];

        if (text_equal(key, "init_static"))
                return &vector->init_static;
        if (text_equal(key, "resp_static"))
                return &vector->resp_static;
        if (text_equal(key, "gen_init_ephemeral"))
                return &vector->init_ephemeral;
        if (text_equal(key, "gen_resp_ephemeral"))
                return &vector->resp_ephemeral;
        if (text_equal(key, "prologue"))
                return &vector->prologue;
        if (sscanf(key, "msg_%u_%15s", &index, kind) == 2 && index < MESSAGES_MAX)
                return text_equal(kind, "payload")      ? &vector->payloads[index]
                       : text_equal(kind, "ciphertext") ? &vector->ciphertexts[index]
                                                        : NULL;
        return NULL;
}

/* Reads up to the next empty line. False at the end of the file. */
static bool vector_read(FILE *file, unsigned *line, struct vector *ret)
{
        char text[4096];
        bool ours, any = false;

        memset(ret, 0, sizeof *ret);
        while (fgets(text, sizeof text, file)) {
                char *value;
                struct bytes *field;

                (*line)++;
                text[strcspn(text, "\r\n")] = '\0';
                if (text[0] == '#')
                        continue;
                if (text[0] == '\0') {
                        if (any)
                                return true;
                        continue;
                }
                value = strchr(text, '=');
                if (!value)
                        fail_msg("vectors, line %u: no '='", *line);
                *value++ = '\0';
                if (!any)
                        ret->line = *line;
                any = true;
                if (text_equal(text, "handshake")) {
                        text_copy_cut(ret->suite, sizeof ret->suite, value);
                        continue;
                }
                ours = text_equal(ret->suite, SUITE);
                field = ours ? vector_field(ret, text) : NULL;
                if (ours && !field)
                        fail_msg("vectors, line %u: unknown key %s", *line, text);
                if (field)
                        bytes_read(field, value, *line);
        }
        return any;
}

static void pair_make(struct noise_keypair *ret, const struct bytes *secret)
{
        assert_int_equal(secret->size, NOISE_KEY_SIZE);
        assert_int_equal(noise_keypair_from_secret(ret, secret->data), 0);
}

static void vector_handshake(const struct vector *vector, noise_handshake *sides[2])
{
        for (unsigned i = 0; i < HANDSHAKE; i++) {
                const struct bytes *payload = &vector->payloads[i], *expected = &vector->ciphertexts[i];
                noise_handshake *writer = sides[i % 2], *reader = sides[1 - i % 2];
                uint8_t message[BYTES_MAX], opened[BYTES_MAX];
                size_t size = 0;

                assert_true(payload->given && expected->given);
                assert_true(noise_handshake_writes(writer));
                assert_false(noise_handshake_writes(reader));
                assert_int_equal(noise_handshake_write(writer, payload->data, payload->size, message,
                                                       sizeof message, &size),
                                 0);
                assert_int_equal(size, expected->size);
                assert_memory_equal(message, expected->data, size);
                assert_int_equal(noise_handshake_read(reader, message, size, opened, sizeof opened, &size),
                                 0);
                assert_int_equal(size, payload->size);
                assert_memory_equal(opened, payload->data, size);
        }
}

/* Transport messages alternate, the initiator's first. Returns how many there were. */
static unsigned vector_transport(const struct vector *vector, noise_handshake *sides[2])
{
        struct noise_cipher send[2], receive[2];
        unsigned i;

        for (i = 0; i < 2; i++)
                assert_int_equal(noise_handshake_split(sides[i], &send[i], &receive[i]), 0);
        for (i = HANDSHAKE; i < MESSAGES_MAX && vector->ciphertexts[i].given; i++) {
                const struct bytes *payload = &vector->payloads[i], *expected = &vector->ciphertexts[i];
                unsigned from = (i - HANDSHAKE) % 2;
                uint8_t sealed[BYTES_MAX + NOISE_TAG_SIZE], opened[BYTES_MAX];

                assert_int_equal(payload->size + NOISE_TAG_SIZE, expected->size);
                assert_int_equal(
                        noise_cipher_seal(&send[from], NULL, 0, payload->data, payload->size, sealed), 0);
                assert_memory_equal(sealed, expected->data, expected->size);
                assert_int_equal(
                        noise_cipher_open(&receive[1 - from], NULL, 0, sealed, expected->size, opened), 0);
                assert_memory_equal(opened, payload->data, payload->size);
        }
        return i - HANDSHAKE;
}

static unsigned vector_run(const struct vector *vector)
{
        struct noise_keypair statics[2], ephemerals[2];
        noise_handshake *sides[2];
        unsigned transports;

        pair_make(&statics[0], &vector->init_static);
        pair_make(&statics[1], &vector->resp_static);
        pair_make(&ephemerals[0], &vector->init_ephemeral);
        pair_make(&ephemerals[1], &vector->resp_ephemeral);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(noise_handshake_new(&sides[i], i == 0, vector->prologue.data,
                                                     vector->prologue.size, &statics[i], &ephemerals[i],
                                                     i == 0 ? statics[1].public : NULL),
                                 0);

        vector_handshake(vector, sides);
        assert_true(noise_handshake_done(sides[0]) && noise_handshake_done(sides[1]));
        assert_memory_equal(noise_handshake_remote(sides[1]), statics[0].public, NOISE_KEY_SIZE);
        assert_memory_equal(noise_handshake_hash(sides[0]), noise_handshake_hash(sides[1]), NOISE_HASH_SIZE);
        transports = vector_transport(vector, sides);
        noise_handshake_free(sides[0]);
        noise_handshake_free(sides[1]);
        return transports;
}

static void test_every_vector_of_the_suite(void **state)
{
        const char *path = getenv("MUSTER_NOISE_VECTORS") ?: VECTORS_DEFAULT;
        cleanup_free struct vector *vector = calloc(1, sizeof *vector);
        cleanup_file FILE *file = fopen(path, "re");
        unsigned line = 0, ran = 0, transports = 0;

        assert_non_null(vector);
        if (!file)
                fail_msg("no vectors at %s: install Debian's golang-github-flynn-noise-dev, or set "
                         "MUSTER_NOISE_VECTORS to a copy",
                         path);
        while (vector_read(file, &line, vector)) {
                unsigned seen;

                if (!text_equal(vector->suite, SUITE))
                        continue;
                seen = vector_run(vector);
                if (seen < 2)
                        fail_msg("the vector at line %u has no transport message for each direction",
                                 vector->line);
                transports += seen;
                ran++;
        }
        printf("%u vectors of %s: %u handshake and %u transport messages\n", ran, SUITE, ran * HANDSHAKE,
               transports);
        if (ran == 0)
                fail_msg("no vector of %s in %s", SUITE, path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_vector_of_the_suite),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
