/* The set: when it tells, what it keeps, how long "ready" is; and what a Redis's answers mean. The server is
 * a stand-in, because a real one cannot be told when to be slow or to be another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/probe/probe.h"
#include "common/base/text.h"
#include "common/base/time.h"

struct bench {
        sd_event *event;
        char folder[64], path[96];
        int listener, peer;
        sd_event_source *accepting, *serving, *later;
        const char *info, *ping, *health, *server;
        uint64_t delay_us;
        char heard[2048];
        probe_set *set;
        unsigned told, answered; /* told: with all that was to be read anew */
        unsigned halves;         /* told while some of that was still being read */
        uint64_t asked_us;       /* of the last refresh; 0: none */
        uint64_t looked_us; /* when what was told of the host last was read; to the millisecond, rounded up */
};

#define INFO_READY                                                                                           \
        "role:master\r\nloading:0\r\nrun_id:1111111111111111111111111111111111111111\r\ndb0:keys=1\r\n"

/* --- the stand-in --------------------------------------------------------------------------------------- */

static void hang_up(struct bench *bench)
{
        sd_event_source_disable_unref(bench->serving);
        sd_event_source_disable_unref(bench->later);
        bench->serving = bench->later = NULL;
        if (bench->peer >= 0)
                close(bench->peer);
        bench->peer = -1;
}

/* An answer to each command; an error line where info is one. */
static void answer(struct bench *bench)
{
        char reply[8192], *at = reply;
        char *save = NULL;

        for (char *word = strtok_r(bench->heard, "\r\n", &save); word; word = strtok_r(NULL, "\r\n", &save))
                if (text_equal(word, "INFO") && bench->info[0] == '-')
                        at += sprintf(at, "%s\r\n", bench->info);
                else if (text_equal(word, "INFO"))
                        at += sprintf(at, "$%zu\r\n%s\r\n", strlen(bench->info), bench->info);
                else if (text_equal(word, "PING"))
                        at += sprintf(at, "%s\r\n", bench->ping);
                else if (text_equal(word, "HEALTHZ"))
                        at += sprintf(at, "%s\r\n", bench->health);
                else if (text_equal(word, "SERVER"))
                        at += sprintf(at, "%s", bench->server);
                else if (text_equal(word, "CONFIG"))
                        at += sprintf(at, "*0\r\n");
                else if (text_equal(word, "AUTH"))
                        at += sprintf(at, "-WRONGPASS invalid username-password pair\r\n");
        bench->heard[0] = '\0';
        bench->answered++;
        assert_int_equal(send(bench->peer, reply, (size_t)(at - reply), MSG_NOSIGNAL), at - reply);
}

static int on_later(sd_event_source *source, uint64_t now_us, void *userdata)
{
        answer(userdata);
        return 0;
}

static int on_asked(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct bench *bench = userdata;
        size_t used = strlen(bench->heard);
        ssize_t n = read(fd, bench->heard + used, sizeof(bench->heard) - used - 1);

        if (n <= 0) {
                hang_up(bench);
                return 0;
        }
        bench->heard[used + (size_t)n] = '\0';
        if (!bench->delay_us) {
                answer(bench);
                return 0;
        }
        sd_event_source_disable_unref(bench->later);
        bench->later = NULL;
        assert_true(sd_event_add_time_relative(bench->event, &bench->later, CLOCK_BOOTTIME, bench->delay_us,
                                               1, on_later, bench) >= 0);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct bench *bench = userdata;

        hang_up(bench);
        bench->heard[0] = '\0';
        bench->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(sd_event_add_io(bench->event, &bench->serving, bench->peer, EPOLLIN, on_asked, bench) >=
                    0);
        return 0;
}

static void on_changed(probe_set *set, void *userdata)
{
        struct bench *bench = userdata;
        const struct agent_state *state = probe_set_state(set);

        assert_true(probe_set_seen_us(set) > 0);
        if (probe_set_seen_us(set) >= bench->asked_us)
                bench->told++;
        else
                bench->halves++;
        bench->looked_us = time_monotonic_us() - state->host.facts.looked_ms * USEC_PER_MSEC;
        assert_string_not_equal(state->host.boot_id, "");
        for (size_t i = 0; i < state->service_count; i++)
                assert_string_not_equal(state->services[i].detail, ""); /* each was read once */
}

static int setup(void **state)
{
        struct bench *bench = calloc(1, sizeof(*bench));
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        assert_non_null(bench);
        bench->peer = -1;
        bench->info = INFO_READY;
        bench->ping = "+PONG";
        assert_true(sd_event_new(&bench->event) >= 0);
        strcpy(bench->folder, "/tmp/muster-probe-XXXXXX");
        assert_non_null(mkdtemp(bench->folder));
        snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
        TEXT_COPY(address.sun_path, bench->path);
        bench->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(bench->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(bench->listener, 8), 0);
        assert_true(sd_event_add_io(bench->event, &bench->accepting, bench->listener, EPOLLIN, on_connection,
                                    bench) >= 0);
        assert_true(probe_set_new(&bench->set, bench->event, NULL, bench->folder, 0, on_changed, bench) >= 0);
        *state = bench;
        return 0;
}

static int teardown(void **state)
{
        struct bench *bench = *state;
        char logins[128];

        probe_set_free(bench->set);
        hang_up(bench);
        sd_event_source_disable_unref(bench->accepting);
        close(bench->listener);
        unlink(bench->path);
        snprintf(logins, sizeof(logins), "%s/redis-logins", bench->folder);
        unlink(logins);
        rmdir(bench->folder);
        sd_event_unref(bench->event);
        free(bench);
        return 0;
}

#define RUN_UNTIL(bench, condition)                                                                          \
        while (!(condition))                                                                                 \
        assert_true(sd_event_run((bench)->event, UINT64_MAX) >= 0)

static struct service_spec spec_of(const struct bench *bench, const char *name, enum service_kind kind)
{
        struct service_spec spec = {.kind = kind};

        TEXT_COPY(spec.name, name);
        if (kind == SERVICE_UNIT)
                TEXT_COPY(spec.unit, "some.service");
        else
                TEXT_COPY(spec.socket, bench->path);
        assert_int_equal(service_spec_check(&spec), 0);
        return spec;
}

static void watch(struct bench *bench, const struct service_spec *specs, size_t count)
{
        assert_int_equal(probe_set_configure(bench->set, specs, count), 0);
}

static const struct service_state *seen(const struct bench *bench, size_t index)
{
        return &probe_set_state(bench->set)->services[index];
}

static void ask_anew(struct bench *bench)
{
        bench->asked_us = time_monotonic_us();
        probe_set_refresh(bench->set);
}

/* --- telling -------------------------------------------------------------------------------------------- */

static void test_tells_when_all_are_known(void **state)
{
        struct bench *bench = *state;
        struct service_spec specs[2] = {spec_of(bench, "unit", SERVICE_UNIT),
                                        spec_of(bench, "redis", SERVICE_REDIS)};

        bench->delay_us = 150 * USEC_PER_MSEC;
        watch(bench, specs, 2);
        RUN_UNTIL(bench, bench->told);
        assert_int_equal(seen(bench, 0)->phase, PHASE_UNKNOWN); /* there is no systemd here */
        assert_string_equal(seen(bench, 0)->detail, "systemd cannot be asked");
        assert_int_equal(seen(bench, 1)->phase, PHASE_READY);
        assert_string_equal(seen(bench, 1)->name, "redis");
}

static void test_nothing_to_watch(void **state)
{
        struct bench *bench = *state;

        watch(bench, NULL, 0);
        ask_anew(bench);
        RUN_UNTIL(bench, bench->told);
        assert_int_equal(probe_set_state(bench->set)->service_count, 0);
}

/* A reading of the host that is under way when one is asked for is no answer to that. */
static void test_host_after_the_question(void **state)
{
        struct bench *bench = *state;
        uint64_t asked_us;

        watch(bench, NULL, 0);
        assert_true(sd_event_run(bench->event, UINT64_MAX) >= 0); /* it has begun */
        assert_int_equal(bench->told, 0);
        usleep(20000);
        asked_us = time_monotonic_us();
        ask_anew(bench);
        RUN_UNTIL(bench, bench->told);
        assert_true(bench->looked_us >= asked_us);
}

/* What is told after a refresh was read after it. */
static void test_refresh(void **state)
{
        struct bench *bench = *state;
        struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);

        watch(bench, &spec, 1);
        RUN_UNTIL(bench, bench->told);
        for (unsigned keys = 2; keys < 5; keys++) {
                char info[512], wanted[32];
                unsigned told;

                /* Also when a reading is under way, which sees what was before. */
                bench->delay_us = 150 * USEC_PER_MSEC;
                if (keys == 3) {
                        ask_anew(bench);
                        RUN_UNTIL(bench, bench->heard[0]);
                        answer(bench);
                }
                snprintf(info, sizeof(info), "role:master\r\nrun_id:1\r\ndb0:keys=%u\r\n", keys);
                snprintf(wanted, sizeof(wanted), "master, %u keys", keys);
                bench->info = info;
                told = bench->told;
                ask_anew(bench);
                RUN_UNTIL(bench, bench->told > told);
                assert_true(text_starts(seen(bench, 0)->detail, wanted));
                bench->info = INFO_READY;
        }
}

/* While one server takes its time the set tells what it sees elsewhere; no question waits for later ones. */
static void test_refresh_again_and_again(void **state)
{
        struct bench *bench = *state;
        struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);
        uint64_t first_us;

        watch(bench, &spec, 1);
        RUN_UNTIL(bench, bench->told);
        bench->delay_us = 300 * USEC_PER_MSEC;
        first_us = time_monotonic_us();
        for (unsigned i = 0; i < 20; i++) {
                uint64_t now_us = time_monotonic_us();

                ask_anew(bench);
                while (time_monotonic_us() < now_us + 100 * USEC_PER_MSEC)
                        assert_true(sd_event_run(bench->event, 20 * USEC_PER_MSEC) >= 0);
        }
        assert_true(bench->halves > 0);
        assert_true(probe_set_seen_us(bench->set) >= first_us);
}

/* What stays as it is is read, not told; what else happens on this machine may be. */
static void test_no_news(void **state)
{
        struct bench *bench = *state;
        struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);
        unsigned told = 0, answered;

        spec.role = REDIS_REPLICA; /* not as declared: read each second */
        watch(bench, &spec, 1);
        for (unsigned tries = 0; tries < 6 && (!told || bench->told != told); tries++) {
                told = bench->told;
                answered = bench->answered;
                RUN_UNTIL(bench, bench->answered == answered + 2);
        }
        assert_true(told && bench->told == told);
}

static void test_freed_while_reading(void **state)
{
        struct bench *bench = *state;
        struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);

        bench->delay_us = 3600 * USEC_PER_SEC;
        watch(bench, &spec, 1);
        RUN_UNTIL(bench, bench->heard[0]);
        bench->set = probe_set_free(bench->set);
        RUN_UNTIL(bench, bench->peer < 0); /* it hung up */
        assert_int_equal(bench->told, 0);
}

/* --- keeping -------------------------------------------------------------------------------------------- */

static void test_configure_keeps(void **state)
{
        struct bench *bench = *state;
        struct service_spec first[2] = {spec_of(bench, "redis", SERVICE_REDIS),
                                        spec_of(bench, "gone", SERVICE_UNIT)};
        struct service_spec second[3] = {spec_of(bench, "new", SERVICE_UNIT), first[0], first[0]};
        struct service_spec wrong[2] = {first[0], {.kind = SERVICE_NONE}};

        watch(bench, first, 2);
        RUN_UNTIL(bench, bench->told);
        assert_int_equal(probe_set_configure(bench->set, wrong, 2), -EINVAL);
        assert_int_equal(probe_set_state(bench->set)->service_count, 2);
        watch(bench, second, 3);
        assert_int_equal(probe_set_state(bench->set)->service_count, 2);
        assert_string_equal(seen(bench, 0)->name, "new");
        assert_int_equal(seen(bench, 0)->phase, PHASE_UNKNOWN);
        assert_string_equal(seen(bench, 1)->name, "redis");
        assert_int_equal(seen(bench, 1)->phase, PHASE_READY);
}

/* --- ready ---------------------------------------------------------------------------------------------- */

static void make_ready(struct bench *bench)
{
        struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);

        watch(bench, &spec, 1);
        RUN_UNTIL(bench, bench->told && seen(bench, 0)->ready_for_ms >= 20);
}

static void refresh(struct bench *bench)
{
        unsigned told = bench->told;

        ask_anew(bench);
        RUN_UNTIL(bench, bench->told > told);
}

static void test_ready_grows(void **state)
{
        struct bench *bench = *state;
        uint64_t before;

        make_ready(bench);
        before = seen(bench, 0)->ready_for_ms;
        refresh(bench);
        assert_true(seen(bench, 0)->ready_for_ms >= before);
}

static void test_ready_ends_and_begins(void **state)
{
        struct bench *bench = *state;
        uint64_t since_us;

        make_ready(bench);
        bench->info = "role:master\r\nloading:1\r\nloading_total_bytes:100\r\nloading_loaded_bytes:25\r\n";
        bench->ping = "-LOADING Redis is loading the dataset in memory";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_LOADING);
        assert_int_equal(seen(bench, 0)->ready_for_ms, 0);
        assert_int_equal(seen(bench, 0)->progress_done, 25);
        assert_int_equal(seen(bench, 0)->progress_total, 100);
        RUN_UNTIL(bench, probe_set_state(bench->set)->services[0].progress_still_ms >= 20);
        since_us = time_monotonic_us();
        bench->info = "role:master\r\nloading:1\r\nloading_total_bytes:100\r\nloading_loaded_bytes:26\r\n";
        RUN_UNTIL(bench, probe_set_state(bench->set)->services[0].progress_done == 26);
        assert_true(probe_set_state(bench->set)->services[0].progress_still_ms <=
                    (time_monotonic_us() - since_us) / 1000);
        since_us = time_monotonic_us();
        bench->info = INFO_READY;
        bench->ping = "+PONG";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_READY);
        assert_true(seen(bench, 0)->ready_for_ms <= (time_monotonic_us() - since_us) / 1000);
}

/* Restarted between two readings: both say ready, but it was not ready all the while. */
static void test_ready_is_of_one_run(void **state)
{
        struct bench *bench = *state;
        uint64_t since_us;

        make_ready(bench);
        since_us = time_monotonic_us();
        bench->info = "role:master\r\nrun_id:2222222222222222222222222222222222222222\r\n";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_READY);
        assert_true(seen(bench, 0)->ready_for_ms <= (time_monotonic_us() - since_us) / 1000);
}

/* --- meaning -------------------------------------------------------------------------------------------- */

#define SYNCING "role:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nmaster_sync_"

static void test_meanings(void **state)
{
        static const struct {
                const char *info, *ping;
                enum redis_role role;
                enum service_phase phase;
                const char *detail;
        } cases[] = {
                {INFO_READY, "+PONG", REDIS_MASTER, PHASE_READY, "master, 1 keys"},
                {INFO_READY, "+PONG", REDIS_REPLICA, PHASE_DEGRADED, "is a master, declared replica"},
                {"role:slave\r\nmaster_link_status:up\r\n", "+PONG", REDIS_REPLICA, PHASE_READY, "slave"},
                {"role:slave\r\nmaster_link_status:up\r\n", "+PONG", REDIS_MASTER, PHASE_DEGRADED,
                 "is a replica, declared master"},
                {"role:slave\r\nmaster_link_status:down\r\n", "+PONG", REDIS_ANY_ROLE, PHASE_DEGRADED,
                 "replica, link to its master is down"},
                {SYNCING "total_bytes:-1\r\n", "+PONG", REDIS_REPLICA, PHASE_LOADING,
                 "full sync, its master is preparing it"},
                {SYNCING "read_bytes:4096\r\n", "-MASTERDOWN Link with MASTER is down", REDIS_ANY_ROLE,
                 PHASE_LOADING, "full sync from its master, 4.1 kB so far"},
                {SYNCING "read_bytes:4096\r\nmaster_sync_total_bytes:8000\r\n", "+PONG", REDIS_REPLICA,
                 PHASE_LOADING, "full sync from its master, 4.1 kB of 8.0 kB"},
                {SYNCING "read_bytes:4096\r\n", "+PONG", REDIS_MASTER, PHASE_DEGRADED,
                 "is a replica, declared master"},
                {INFO_READY, "-LOADING Redis is loading", REDIS_ANY_ROLE, PHASE_LOADING, "loading"},
                {INFO_READY, "-BUSY Redis is busy\x1b running a script", REDIS_ANY_ROLE, PHASE_DEGRADED,
                 "no PONG: BUSY Redis is busy? running a script"},
                {INFO_READY, "$4\r\nPONG", REDIS_ANY_ROLE, PHASE_DEGRADED, "no PONG: no answer"},
                {"-DENIED protected mode", "-DENIED protected mode", REDIS_ANY_ROLE, PHASE_DEGRADED,
                 "DENIED protected mode"},
                {"-NOAUTH Authentication required.", "-NOAUTH Authentication required.", REDIS_ANY_ROLE,
                 PHASE_DEGRADED, "NOAUTH Authentication required.: put \"redis [USER] PASSWORD\" into /tmp/"},
        };
        struct bench *bench = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);

                bench->info = cases[i].info;
                bench->ping = cases[i].ping;
                spec.role = cases[i].role;
                watch(bench, &spec, 1);
                refresh(bench);
                if (!text_starts(seen(bench, 0)->detail, cases[i].detail) ||
                    seen(bench, 0)->phase != cases[i].phase)
                        fail_msg("case %zu: %s, %s", i, service_phase_name(seen(bench, 0)->phase),
                                 seen(bench, 0)->detail);
        }
}

/* --- passwords ------------------------------------------------------------------------------------------ */

static void write_logins(const struct bench *bench, const char *text, mode_t mode)
{
        char path[128];
        FILE *file;

        snprintf(path, sizeof(path), "%s/redis-logins", bench->folder);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fputs(text, file) < 0, 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(path, mode), 0);
}

/* Of a tile38 from before HEALTHZ, which cannot be had any more: what SERVER says of its leader decides. */
static void test_old_tile38(void **state)
{
#define SERVER(caught_up)                                                                                    \
        "*6\r\n$2\r\nid\r\n$2\r\nab\r\n$9\r\nfollowing\r\n$9\r\ndb1:9851x\r\n$9\r\ncaught_up\r\n" caught_up
        struct bench *bench = *state;
        struct service_spec spec = spec_of(bench, "geo", SERVICE_TILE38);

        bench->info = "aof_rewrite_in_progress:0\r\n";
        bench->health = "-ERR unknown command 'HEALTHZ'";
        bench->server = SERVER("$5\r\nfalse\r\n");
        watch(bench, &spec, 1);
        RUN_UNTIL(bench, bench->told);
        assert_int_equal(seen(bench, 0)->phase, PHASE_DEGRADED);
        assert_string_equal(seen(bench, 0)->detail, "follower, not caught up");
        bench->server = SERVER("$4\r\ntrue\r\n");
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_READY);
        bench->server = "*0\r\n";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_DEGRADED);
#undef SERVER
}

/* One that listens first answers PING while it loads; an old one in its place refuses connections. */
static void test_tile38_that_loads(void **state)
{
        struct bench *bench = *state;
        struct service_spec spec = spec_of(bench, "geo", SERVICE_TILE38);

        bench->info = "aof_rewrite_in_progress:0\r\n";
        bench->server = "*2\r\n$2\r\nid\r\n$2\r\nab\r\n";
        bench->health = "-LOADING Tile38 is loading the dataset in memory";
        watch(bench, &spec, 1);
        RUN_UNTIL(bench, bench->told);
        assert_int_equal(seen(bench, 0)->phase, PHASE_LOADING);
        bench->health = "-ERR not caught up";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_DEGRADED);
        bench->health = "+OK";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_READY);
}

static void test_logins(void **state)
{
        static const struct {
                const char *text;
                mode_t mode;
                enum service_phase phase;
                const char *detail;
        } cases[] = {
                {"# nothing for it\n\nother secret\n", 0600, PHASE_READY, "master, 1 keys"},
                {"redis secret\n", 0640, PHASE_UNKNOWN, "holds passwords and others may read"},
                {"redis secret\n", 0602, PHASE_UNKNOWN, "holds passwords and others may read"},
                {"other x\nredis\n", 0600, PHASE_UNKNOWN, "redis-logins:2: a line is SERVICE"},
                {"redis a b c\n", 0600, PHASE_UNKNOWN, "redis-logins:1: a line is SERVICE"},
                {"redis user secret", 0600, PHASE_READY, "master, 1 keys"},
        };
        struct bench *bench = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct service_spec spec = spec_of(bench, "redis", SERVICE_REDIS);

                watch(bench, NULL, 0);
                write_logins(bench, cases[i].text, cases[i].mode);
                watch(bench, &spec, 1);
                refresh(bench);
                if (!strstr(seen(bench, 0)->detail, cases[i].detail) ||
                    seen(bench, 0)->phase != cases[i].phase)
                        fail_msg("case %zu: %s, %s", i, service_phase_name(seen(bench, 0)->phase),
                                 seen(bench, 0)->detail);
                assert_null(strstr(seen(bench, 0)->detail, "secret"));
        }
        /* What the server thinks of our password is said, not the password. */
        bench->info = "-NOAUTH Authentication required.";
        refresh(bench);
        assert_int_equal(seen(bench, 0)->phase, PHASE_DEGRADED);
        assert_true(text_starts(seen(bench, 0)->detail, "WRONGPASS invalid username-password pair: put"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_tells_when_all_are_known),
                TEST(test_nothing_to_watch),
                TEST(test_host_after_the_question),
                TEST(test_refresh),
                TEST(test_refresh_again_and_again),
                TEST(test_no_news),
                TEST(test_freed_while_reading),
                TEST(test_configure_keeps),
                TEST(test_ready_grows),
                TEST(test_ready_ends_and_begins),
                TEST(test_ready_is_of_one_run),
                TEST(test_meanings),
                TEST(test_old_tile38),
                TEST(test_tile38_that_loads),
                TEST(test_logins),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
