/* Our end of a live Noise XK session with the Go implementation (peer.go), in both roles, with random keys:
 * handshake with payloads, transcript hash and static key compared, transport messages of many sizes both
 * ways, and then one altered message, which the peer must refuse.
 *
 *     driver PEER-PROGRAM     exit 0 when all of it holds, 1 with a line that says what did not */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/noise/noise.h"

#define PROLOGUE        "muster/1 test"
#define HANDSHAKE       3u
#define ROUNDS          300u
#define EXIT_REFUSED    3
#define SILENCE_SECONDS 20
#define PLAIN_MAX       (NOISE_MESSAGE_MAX - NOISE_TAG_SIZE)

struct peer {
        const char *role; /* the peer's, not ours */
        pid_t pid;
        int fd; /* its stdin and stdout */
        struct noise_keypair local;
        uint8_t key[NOISE_KEY_SIZE]; /* the peer's static key, as it says itself */
        noise_handshake *handshake;
        struct noise_cipher send, receive;
};

/* A check that stays in optimised builds and says where it failed. */
#define NEED(condition, peer)                                                                                \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "driver: Go as %s: line %d: not so: %s\n", (peer)->role, __LINE__,   \
                                #condition);                                                                 \
                        return false;                                                                        \
                }                                                                                            \
        } while (0)

static bool bytes_move(int fd, uint8_t *bytes, size_t size, bool out)
{
        while (size > 0) {
                ssize_t n = out ? send(fd, bytes, size, MSG_NOSIGNAL) : recv(fd, bytes, size, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return false;
                bytes += n;
                size -= (size_t)n;
        }
        return true;
}

static bool frame_send(const struct peer *peer, uint8_t *bytes, size_t size)
{
        uint8_t head[2] = {(uint8_t)(size >> 8), (uint8_t)size};

        return bytes_move(peer->fd, head, sizeof head, true) && bytes_move(peer->fd, bytes, size, true);
}

static bool frame_receive(const struct peer *peer, uint8_t bytes[NOISE_MESSAGE_MAX], size_t *ret_size)
{
        uint8_t head[2];

        if (!bytes_move(peer->fd, head, sizeof head, false))
                return false;
        *ret_size = (size_t)head[0] << 8 | head[1];
        return bytes_move(peer->fd, bytes, *ret_size, false);
}

/* The peer dies with us, however we end. */
static bool peer_spawn(struct peer *peer, const char *program)
{
        const struct timeval silence = {.tv_sec = SILENCE_SECONDS};
        char key[2 * NOISE_KEY_SIZE + 1];
        pid_t parent = getpid();
        int ends[2];

        text_hex(key, peer->local.public, NOISE_KEY_SIZE);
        NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, peer);
        peer->fd = ends[0];
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
        setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
        peer->pid = fork();
        if (peer->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent || dup2(ends[1], STDIN_FILENO) < 0 ||
                    dup2(ends[1], STDOUT_FILENO) < 0)
                        _exit(127);
                execl(program, program, peer->role, PROLOGUE,
                      text_equal(peer->role, "initiator") ? key : NULL, NULL);
                fprintf(stderr, "driver: %s does not start: %m\n", program);
                _exit(127);
        }
        close(ends[1]);
        NEED(peer->pid > 0, peer);
        return true;
}

static bool peer_handshake(struct peer *peer)
{
        static uint8_t message[NOISE_MESSAGE_MAX], payload[NOISE_MESSAGE_MAX];
        bool initiator = text_equal(peer->role, "responder");
        struct noise_keypair ephemeral;
        uint8_t secret[NOISE_KEY_SIZE];
        char expected[16];
        size_t size;

        NEED(frame_receive(peer, message, &size) && size == NOISE_KEY_SIZE, peer);
        memcpy(peer->key, message, NOISE_KEY_SIZE);
        randombytes_buf(secret, sizeof secret);
        NEED(noise_keypair_from_secret(&ephemeral, secret) == 0, peer);
        NEED(noise_handshake_new(&peer->handshake, initiator, PROLOGUE, strlen(PROLOGUE), &peer->local,
                                 &ephemeral, initiator ? peer->key : NULL) == 0,
             peer);
        for (unsigned i = 0; i < HANDSHAKE; i++) {
                bool ours = noise_handshake_writes(peer->handshake);

                snprintf(expected, sizeof expected, "%s %u", ours ? "c" : "go", i);
                if (ours) {
                        NEED(noise_handshake_write(peer->handshake, expected, strlen(expected), message,
                                                   sizeof message, &size) == 0,
                             peer);
                        NEED(frame_send(peer, message, size), peer);
                        continue;
                }
                NEED(frame_receive(peer, message, &size), peer);
                NEED(noise_handshake_read(peer->handshake, message, size, payload, sizeof payload, &size) ==
                             0,
                     peer);
                NEED(size == strlen(expected) && memcmp(payload, expected, size) == 0, peer);
        }
        NEED(noise_handshake_done(peer->handshake), peer);
        NEED(memcmp(noise_handshake_remote(peer->handshake), peer->key, NOISE_KEY_SIZE) == 0, peer);
        NEED(noise_handshake_split(peer->handshake, &peer->send, &peer->receive) == 0, peer);

        NEED(frame_receive(peer, message, &size) && size == NOISE_HASH_SIZE + NOISE_TAG_SIZE, peer);
        NEED(noise_cipher_open(&peer->receive, NULL, 0, message, size, payload) == 0, peer);
        NEED(memcmp(payload, noise_handshake_hash(peer->handshake), NOISE_HASH_SIZE) == 0, peer);
        return true;
}

/* One message there and back, reversed by the peer. */
static bool peer_exchange(struct peer *peer, size_t size)
{
        static uint8_t plain[PLAIN_MAX], sealed[NOISE_MESSAGE_MAX], opened[PLAIN_MAX];
        size_t back;

        randombytes_buf(plain, size);
        NEED(noise_cipher_seal(&peer->send, NULL, 0, plain, size, sealed) == 0, peer);
        NEED(frame_send(peer, sealed, size + NOISE_TAG_SIZE), peer);
        NEED(frame_receive(peer, sealed, &back) && back == size + NOISE_TAG_SIZE, peer);
        NEED(noise_cipher_open(&peer->receive, NULL, 0, sealed, back, opened) == 0, peer);
        for (size_t i = 0; i < size; i++)
                NEED(opened[i] == plain[size - 1 - i], peer);
        return true;
}

static bool peer_refuses(struct peer *peer)
{
        uint8_t sealed[8 + NOISE_TAG_SIZE] = {0}, answer;
        int status;

        NEED(noise_cipher_seal(&peer->send, NULL, 0, sealed, 8, sealed) == 0, peer);
        sealed[3] ^= 1;
        NEED(frame_send(peer, sealed, sizeof sealed), peer);
        NEED(recv(peer->fd, &answer, 1, 0) == 0, peer);
        NEED(waitpid(peer->pid, &status, 0) == peer->pid, peer);
        peer->pid = 0;
        NEED(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED, peer);
        return true;
}

static void peer_end(struct peer *peer)
{
        if (peer->fd >= 0)
                close(peer->fd);
        if (peer->pid > 0) {
                kill(peer->pid, SIGKILL);
                waitpid(peer->pid, NULL, 0);
        }
        noise_handshake_free(peer->handshake);
        noise_cipher_wipe(&peer->send);
        noise_cipher_wipe(&peer->receive);
}

static bool role_run(const char *program, const char *role)
{
        cleanup_with(peer_end) struct peer peer = {.role = role, .fd = -1};
        uint8_t secret[NOISE_KEY_SIZE];

        randombytes_buf(secret, sizeof secret);
        NEED(noise_keypair_from_secret(&peer.local, secret) == 0, &peer);
        if (!peer_spawn(&peer, program) || !peer_handshake(&peer))
                return false;
        for (unsigned i = 0; i < ROUNDS; i++) {
                size_t size = i == 0 ? 0 : i == 1 ? PLAIN_MAX : randombytes_uniform(4096);

                if (!peer_exchange(&peer, size))
                        return false;
        }
        if (!peer_refuses(&peer))
                return false;
        printf("Go as %s: handshake, %u messages each way, an altered one refused\n", role, ROUNDS);
        return true;
}

int main(int argc, char **argv)
{
        if (argc != 2) {
                fprintf(stderr, "usage: driver PEER-PROGRAM\n");
                return 2;
        }
        if (sodium_init() < 0) {
                fprintf(stderr, "driver: libsodium does not start\n");
                return 1;
        }
        return role_run(argv[1], "initiator") && role_run(argv[1], "responder") ? 0 : 1;
}
