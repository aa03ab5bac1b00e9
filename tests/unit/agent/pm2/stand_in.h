/* A stand-in for PM2's daemon: a socket where its own would be, one connection, and a client of ours on it.
 * What it says is each test's. */
#pragma once

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/pm2/client.h"
#include "tests/unit/agent/pm2/lists.h"

struct stand_in {
        sd_event *event;
        sd_event_source *listening, *reading;
        struct pm2_home home;
        int listener, peer;
        pm2_client *client;
        sd_event_io_handler_t on_peer; /* the client has sent something, or has hung up */
        void *userdata;
};

static inline int stand_in_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct stand_in *pm2 = userdata;

        pm2->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(pm2->peer >= 0);
        return sd_event_add_io(pm2->event, &pm2->reading, pm2->peer, EPOLLIN, pm2->on_peer, pm2->userdata);
}

static inline void stand_in_open(struct stand_in *pm2, sd_event_io_handler_t on_peer, void *userdata)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        *pm2 = (struct stand_in){.on_peer = on_peer, .userdata = userdata};
        strcpy(pm2->home.path, "/tmp/muster-pm2-stand-in.XXXXXX");
        assert_non_null(mkdtemp(pm2->home.path));
        pm2->home.uid = geteuid();
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/rpc.sock", pm2->home.path);
        pm2->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(pm2->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(pm2->listener, 8), 0);
        assert_true(sd_event_new(&pm2->event) >= 0);
        assert_true(sd_event_add_io(pm2->event, &pm2->listening, pm2->listener, EPOLLIN, stand_in_connection,
                                    pm2) >= 0);
        assert_int_equal(pm2_client_new(&pm2->client, pm2->event, &pm2->home, 1 << 20, NULL), 0);
}

static inline void stand_in_close(struct stand_in *pm2)
{
        char path[PATH_SIZE + 16];

        pm2_client_free(pm2->client);
        sd_event_source_disable_unref(pm2->reading);
        sd_event_source_disable_unref(pm2->listening);
        sd_event_unref(pm2->event);
        if (pm2->peer > 0)
                close(pm2->peer);
        close(pm2->listener);
        snprintf(path, sizeof(path), "%s/rpc.sock", pm2->home.path);
        unlink(path);
        rmdir(pm2->home.path);
}
