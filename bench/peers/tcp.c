/* The floor: 64 bytes there and back over a bare TCP socket, blocking, no framing, no calls.
 *
 *     peer_tcp serve PORT single|batched
 *     peer_tcp call PORT single|batched IN-FLIGHT SECONDS
 *
 * single: each message is a write of its own, as a library would make it. batched: whatever came in one read
 * leaves in one write; with one in flight both are the same. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/measure.h"

#define FLIGHT_MAX 1024u

static int fail(const char *what)
{
        fprintf(stderr, "peer_tcp: %s: %s\n", what, strerror(errno));
        return 1;
}

static bool send_all(int fd, const uint8_t *bytes, size_t size, size_t step)
{
        while (size > 0) {
                ssize_t n = send(fd, bytes, size < step ? size : step, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                bytes += n;
                size -= (size_t)n;
        }
        return true;
}

static int serve(const struct sockaddr_in *address, size_t step)
{
        const int one = 1;
        int listener = socket(AF_INET, SOCK_STREAM, 0);

        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(listener, (const struct sockaddr *)address, sizeof *address) < 0 || listen(listener, 8) < 0)
                return fail("listen");
        printf("ready\n");
        fflush(stdout);
        for (;;) {
                uint8_t bytes[FLIGHT_MAX * MEASURE_PAYLOAD];
                int fd = accept(listener, NULL, NULL);
                ssize_t n;

                if (fd < 0)
                        return fail("accept");
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0 && send_all(fd, bytes, (size_t)n, step))
                        ;
                close(fd);
        }
}

static int call(const struct sockaddr_in *address, size_t step, unsigned flight, double seconds)
{
        static uint8_t bytes[FLIGHT_MAX * MEASURE_PAYLOAD];
        uint64_t began[FLIGHT_MAX];
        const int one = 1;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct measure measure;
        size_t held = 0;
        unsigned first = 0;

        if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
                return fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        measure_start(&measure, seconds);
        for (unsigned i = 0; i < flight; i++)
                began[i] = measure_now();
        if (!send_all(fd, bytes, flight * MEASURE_PAYLOAD, step))
                return fail("send");
        for (;;) {
                ssize_t n = recv(fd, bytes + held, sizeof bytes - held, 0);
                size_t whole;

                if (n <= 0)
                        return fail("recv");
                held += (size_t)n;
                whole = held / MEASURE_PAYLOAD;
                for (size_t i = 0; i < whole; i++) {
                        if (!measure_call(&measure, began[first]))
                                return measure_print(&measure);
                        began[first] = measure_now();
                        first = (first + 1) % flight;
                }
                if (!send_all(fd, bytes, whole * MEASURE_PAYLOAD, step))
                        return fail("send");
                held -= whole * MEASURE_PAYLOAD;
                memmove(bytes, bytes + whole * MEASURE_PAYLOAD, held);
        }
}

int main(int argc, char **argv)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        size_t step;

        if (argc < 4) {
                fprintf(stderr, "usage: peer_tcp serve PORT MODE | call PORT MODE IN-FLIGHT SECONDS\n");
                return 2;
        }
        address.sin_port = htons((uint16_t)atoi(argv[2]));
        step = strcmp(argv[3], "single") == 0 ? MEASURE_PAYLOAD : SIZE_MAX;
        if (argc == 6 && strcmp(argv[1], "call") == 0 && atoi(argv[4]) > 0 &&
            atoi(argv[4]) <= (int)FLIGHT_MAX)
                return call(&address, step, (unsigned)atoi(argv[4]), atof(argv[5]));
        return serve(&address, step);
}
