/* Reads the state of a PM2 home again and again, for the bench pm2-state.
 *
 *   bench_pm2_state HOME brief|state|raw COUNT
 *
 * brief: names and states, as the agent's probe reads them; state: all that a snapshot is made of; raw: the
 * request and its answer's bytes by plain blocking calls, nothing read out of them: what the daemon itself
 * takes. Prints one line of medians: wall_ms, cpu_ms (this process's own), apps. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/pm2/client.h"
#include "agent/pm2/find.h"
#include "agent/pm2/scan.h"
#include "agent/pm2/state.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define COUNT_MAX 1000
#define TIMEOUT   (10 * USEC_PER_SEC)

struct bench {
        sd_event *event;
        const char *path;
        struct pm2_home home;
        size_t apps;
        int result;
        struct error error;
};

static void on_brief(void *userdata, int r, const char *text, size_t size, const struct error *error)
{
        struct bench *bench = userdata;
        cleanup_free struct pm2_brief *apps = NULL;

        if (r < 0 && error)
                bench->error = *error;
        bench->result = r < 0 ? r : pm2_scan(text, size, &apps, &bench->apps);
        sd_event_exit(bench->event, 0);
}

static int read_brief(struct bench *bench)
{
        cleanup_with(pm2_client_freep) pm2_client *client = NULL;
        int r = pm2_client_new(&client, bench->event, &bench->home, 0, &bench->error);

        if (r == 0)
                r = pm2_client_call_raw(client, "getMonitorData", json_pack("[{}]"), TIMEOUT, on_brief,
                                        bench);
        if (r < 0)
                return r;
        sd_event_loop(bench->event);
        return bench->result;
}

static void on_state(void *userdata, int r, struct pm2_list *list, struct pm2_daemon_facts *facts,
                     const struct error *error)
{
        struct bench *bench = userdata;

        (void)facts;
        if (r < 0 && error)
                bench->error = *error;
        bench->result = r;
        bench->apps = list->count;
        sd_event_exit(bench->event, 0);
}

static int read_state(struct bench *bench)
{
        pm2_read *read = NULL;
        int r = pm2_read_new(&read, bench->event, &bench->home, true, TIMEOUT, on_state, bench,
                             &bench->error);

        if (r < 0)
                return r;
        sd_event_loop(bench->event);
        pm2_read_free(read);
        return bench->result;
}

static void on_found(void *userdata, int r, const struct pm2_home *home, const struct error *error)
{
        struct bench *bench = userdata;

        bench->result = r;
        if (r == 0)
                bench->home = *home;
        else if (error)
                bench->error = *error;
        sd_event_exit(bench->event, 0);
}

static int find_home(struct bench *bench)
{
        pm2_find *find = NULL;
        int r = pm2_find_new(&find, bench->event, NULL, bench->path, 0, NULL, on_found, bench, &bench->error);

        if (r < 0)
                return r;
        sd_event_loop(bench->event);
        pm2_find_free(find);
        return bench->result;
}

/* With an event loop of its own each time: nothing of the one before may help. */
static int on_loop(struct bench *bench, int (*reading)(struct bench *bench))
{
        int r = sd_event_new(&bench->event);

        if (r < 0)
                return r;
        r = reading(bench);
        bench->event = sd_event_unref(bench->event);
        return r;
}

static int connect_to(const char *home)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd, length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/rpc.sock", home);

        if (length < 0 || (size_t)length >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        return fd;
}

static int read_whole(int fd, void *to, size_t size)
{
        for (size_t had = 0; had < size;) {
                ssize_t n = read(fd, (char *)to + had, size - had);

                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                had += (size_t)n;
        }
        return 0;
}

static int read_raw(struct bench *bench)
{
        static const char call[] = "j:{\"type\":\"call\",\"method\":\"getMonitorData\",\"args\":[{}]}";
        static const char id[] = "s:1";
        static char buffer[1 << 16];
        char message[1 + 4 + sizeof(call) + 4 + sizeof(id)], *to = message;
        uint32_t length = htonl(sizeof(call) - 1);
        cleanup_close int fd = connect_to(bench->home.path);
        int r;

        if (fd < 0)
                return fd;
        *to++ = 0x12; /* version 1, two arguments */
        to = mempcpy(to, &length, 4);
        to = mempcpy(to, call, sizeof(call) - 1);
        length = htonl(sizeof(id) - 1);
        to = mempcpy(to, &length, 4);
        to = mempcpy(to, id, sizeof(id) - 1);
        if (write(fd, message, (size_t)(to - message)) != to - message)
                return -EIO;
        r = read_whole(fd, buffer, 1);
        for (int left = r == 0 ? buffer[0] & 0x0f : 0; left > 0 && r == 0; left--) {
                r = read_whole(fd, &length, 4);
                length = r == 0 ? ntohl(length) : 0;
                while (length && r == 0) {
                        uint32_t now = length < sizeof(buffer) ? length : sizeof(buffer);

                        r = read_whole(fd, buffer, now);
                        length -= now;
                }
        }
        return r;
}

static double own_cpu_ms(void)
{
        struct rusage usage;

        getrusage(RUSAGE_SELF, &usage);
        return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static int compare(const void *a, const void *b)
{
        double left = *(const double *)a, right = *(const double *)b;

        return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
        static double wall[COUNT_MAX], cpu[COUNT_MAX];
        struct bench bench = {0};
        uint64_t count = 0;
        int r;

        if (argc != 4 || text_to_u64(argv[3], &count) < 0 || count < 1 || count > COUNT_MAX ||
            (!text_equal(argv[2], "brief") && !text_equal(argv[2], "state") && !text_equal(argv[2], "raw"))) {
                fprintf(stderr, "usage: bench_pm2_state HOME brief|state|raw COUNT (1 to %d)\n", COUNT_MAX);
                return 2;
        }
        bench.path = argv[1];
        r = on_loop(&bench, find_home);
        for (uint64_t i = 0; i < count && r == 0; i++) {
                uint64_t began = time_monotonic_us();

                cpu[i] = own_cpu_ms();
                r = text_equal(argv[2], "raw")
                            ? read_raw(&bench)
                            : on_loop(&bench, text_equal(argv[2], "brief") ? read_brief : read_state);
                cpu[i] = own_cpu_ms() - cpu[i];
                wall[i] = (double)(time_monotonic_us() - began) / 1e3;
        }
        if (r < 0) {
                fprintf(stderr, "bench_pm2_state: %s\n", error_text(&bench.error, r));
                return 1;
        }
        qsort(wall, count, sizeof(*wall), compare);
        qsort(cpu, count, sizeof(*cpu), compare);
        printf("wall_ms=%.3f cpu_ms=%.3f apps=%zu\n", wall[count / 2], cpu[count / 2], bench.apps);
        return 0;
}
