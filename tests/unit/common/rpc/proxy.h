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
        sd_event_source *source, *room; /* from has bytes; to has room again, while held does not fit */
        struct buffer held;
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

/* Sends what is held; while the rest does not fit, nothing more is taken. */
static inline void proxy_flush(struct proxy_way *way)
{
        ssize_t count = send(way->to, way->held.data, way->held.size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (count < 0 && errno != EAGAIN)
                count = (ssize_t)way->held.size; /* that side is gone; the reader hears of it */
        if (count > 0)
                buffer_consume(&way->held, (size_t)count);
        sd_event_source_set_enabled(way->source, way->held.size ? SD_EVENT_OFF : SD_EVENT_ON);
        sd_event_source_set_enabled(way->room, way->held.size ? SD_EVENT_ON : SD_EVENT_OFF);
}

static inline int proxy_on_room(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        proxy_flush(userdata);
        return 0;
}

static inline void proxy_way_close(struct proxy_way *way)
{
        way->source = sd_event_source_disable_unref(way->source);
        way->room = sd_event_source_disable_unref(way->room);
        buffer_clear(&way->held);
}

static inline void proxy_cut(struct proxy *proxy)
{
        proxy_way_close(&proxy->up);
        proxy_way_close(&proxy->down);
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
        if (count <= 0 && way->proxy->frozen)
                return sd_event_source_set_enabled(way->source, SD_EVENT_OFF); /* nobody hears of it */
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
        assert_int_equal(buffer_append(&way->held, bytes, (size_t)count), 0);
        if (way->repeat)
                assert_int_equal(buffer_append(&way->held, bytes, (size_t)count), 0);
        way->repeat = false;
        proxy_flush(way);
        return 0;
}

static inline void proxy_way_open(struct proxy_way *way, struct proxy *proxy, int from, int to)
{
        int again = dup(to); /* the loop watches each descriptor once, and the other way watches this one */

        assert_true(again >= 0);
        *way = (struct proxy_way){.proxy = proxy, .from = from, .to = to};
        assert_true(sd_event_add_io(proxy->event, &way->source, from, EPOLLIN, proxy_on_bytes, way) >= 0);
        assert_true(sd_event_add_io(proxy->event, &way->room, again, EPOLLOUT, proxy_on_room, way) >= 0);
        assert_true(sd_event_source_set_io_fd_own(way->room, true) >= 0);
        assert_true(sd_event_source_set_enabled(way->room, SD_EVENT_OFF) >= 0);
}

static inline int proxy_on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct proxy *proxy = userdata;
        struct sockaddr_in address = raw_address(proxy->target);
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC), server = raw_socket(), room = 65536;

        assert_true(client >= 0);
        /* small, so that a proxy that does not read is felt soon */
        assert_int_equal(setsockopt(server, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
        assert_int_equal(connect(server, (struct sockaddr *)&address, sizeof(address)), 0);
        proxy_cut(proxy);
        proxy->accepted++;
        proxy_way_open(&proxy->up, proxy, client, server);
        proxy_way_open(&proxy->down, proxy, server, client);
        return 0;
}

/* Stops or goes on taking what the server sends, so that its socket fills up. */
static inline void proxy_stall(struct proxy *proxy, bool stall)
{
        assert_true(sd_event_source_set_enabled(proxy->down.source, stall ? SD_EVENT_OFF : SD_EVENT_ON) >= 0);
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
