/* What stands between two nodes in the tests of broken links: passes bytes on, and can hold them, change them
 * or cut. On the test's own loop. A stand-in for a network that misbehaves. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/common/rpc/pair.h"

struct proxy;

struct proxy_way {
        struct proxy *proxy;
        int from, to;
        sd_event_source *source;
        uint64_t passed; /* bytes */
        bool tamper;     /* the next bytes get a bit changed */
        bool repeat;     /* the next bytes go twice */
};

struct proxy {
        sd_event *event;
        sd_event_source *source;
        int listener;
        uint16_t port, target;
        bool frozen; /* takes bytes and does not pass them on */
        unsigned accepted;
        struct proxy_way up, down; /* of the newest connection */
};

static inline int raw_socket(void)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        return fd;
}

static inline struct sockaddr_in raw_address(uint16_t port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
}

/* The kernel's queue takes it, so this does not wait for the loop; where that is full, it goes on by itself.
 */
static inline int raw_connect(uint16_t port)
{
        struct sockaddr_in address = raw_address(port);
        int fd = raw_socket(), on = 1;

        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                assert_int_equal(errno, EINPROGRESS);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return fd;
}

/* Whether the other side has closed. */
static inline bool raw_closed(int fd)
{
        char bytes[4096];
        ssize_t count = recv(fd, bytes, sizeof(bytes), 0);

        return count == 0 || (count < 0 && errno != EAGAIN);
}

static inline void proxy_write(struct proxy_way *way, const uint8_t *bytes, size_t size)
{
        while (size) {
                ssize_t count = send(way->to, bytes, size, MSG_NOSIGNAL);

                if (count < 0)
                        return; /* that side is gone; the reader hears of it */
                bytes += count;
                size -= (size_t)count;
        }
}

static inline void proxy_cut(struct proxy *proxy)
{
        proxy->up.source = sd_event_source_disable_unref(proxy->up.source);
        proxy->down.source = sd_event_source_disable_unref(proxy->down.source);
        if (proxy->up.from >= 0)
                close(proxy->up.from);
        if (proxy->up.to >= 0)
                close(proxy->up.to);
        proxy->up.from = proxy->up.to = -1;
}

static inline int proxy_on_bytes(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct proxy_way *way = userdata;
        uint8_t bytes[65536];
        ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (count < 0 && errno == EAGAIN)
                return 0;
        if (count <= 0) {
                proxy_cut(way->proxy);
                return 0;
        }
        way->passed += (uint64_t)count;
        if (way->proxy->frozen)
                return 0;
        if (way->tamper)
                bytes[count - 1] ^= 1;
        way->tamper = false;
        proxy_write(way, bytes, (size_t)count);
        if (way->repeat)
                proxy_write(way, bytes, (size_t)count);
        way->repeat = false;
        return 0;
}

static inline int proxy_on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct proxy *proxy = userdata;
        struct sockaddr_in address = raw_address(proxy->target);
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC), server = raw_socket();

        assert_true(client >= 0);
        assert_int_equal(connect(server, (struct sockaddr *)&address, sizeof(address)), 0);
        proxy_cut(proxy);
        proxy->accepted++;
        proxy->up = (struct proxy_way){.proxy = proxy, .from = client, .to = server};
        proxy->down = (struct proxy_way){.proxy = proxy, .from = server, .to = client};
        assert_true(sd_event_add_io(proxy->event, &proxy->up.source, client, EPOLLIN, proxy_on_bytes,
                                    &proxy->up) >= 0);
        assert_true(sd_event_add_io(proxy->event, &proxy->down.source, server, EPOLLIN, proxy_on_bytes,
                                    &proxy->down) >= 0);
        return 0;
}

/* Listens on a port of its own and passes on to target. */
static inline void proxy_start(struct proxy *proxy, sd_event *event, uint16_t target)
{
        struct sockaddr_in address = raw_address(0);
        socklen_t size = sizeof(address);

        *proxy = (struct proxy){.event = event, .target = target};
        proxy->up.from = proxy->up.to = -1;
        proxy->listener = raw_socket();
        assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(proxy->listener, 16), 0);
        assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&address, &size), 0);
        proxy->port = ntohs(address.sin_port);
        assert_true(sd_event_add_io(event, &proxy->source, proxy->listener, EPOLLIN, proxy_on_accept,
                                    proxy) >= 0);
}

static inline void proxy_stop(struct proxy *proxy)
{
        proxy_cut(proxy);
        proxy->source = sd_event_source_disable_unref(proxy->source);
        close(proxy->listener);
}
