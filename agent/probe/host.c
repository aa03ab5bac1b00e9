/* See host.h. */
#include "agent/probe/host.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/probe/boot.h"
#include "agent/probe/host_bus.h"
#include "agent/probe/host_facts.h"
#include "agent/probe/memory.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"
#include "common/loop/aside.h"

#define DEADLINE_USEC (2 * USEC_PER_SEC)
#define DISKS_MOST    32u

/* A question of host_questions that has not been answered. */
struct asked {
        host_reader *reader;
        sd_bus_slot *slot;
};

struct host_reader {
        sd_bus *bus;
        aside *aside;
        const char *folder;
        uint64_t userspace_us;
        char boot_checked[BOOT_ID_SIZE]; /* the kernel's id that was compared with the last boot's */
        char boot_repeated[TEXT_SIZE];
        struct boot boot; /* what came of that */
        struct asked asked[HOST_QUESTIONS];
        sd_bus_slot *shutdown_slot, *stopping_slot, *begun_slot, *ended_slot;
        struct host_state state, reading;
        uint64_t looked_us; /* when the reading that is state's began; monotonic */
        uint64_t begun_us;
        unsigned pending; /* answers of the bus and of the disks that are still to come */
        bool again;       /* a reading was asked for while one was under way */
        bool stopping;
        host_read read;
        void *userdata;
};

/* --- /proc ---------------------------------------------------------------------------------------------- */

static void read_memory(struct host_state *state)
{
        struct memory_facts memory;

        memory_read(&memory);
        state->memory_total = memory.total;
        state->memory_available = memory.available;
        state->swap_total = memory.swap_total;
        state->swap_free = memory.swap_free;
        state->overcommit = memory.overcommit;
        state->commit_limited = memory.commit_limited;
        state->commit_left = memory.commit_left;
}

static void read_kernel(struct host_state *state)
{
        struct utsname names;
        double load[3] = {0};

        if (uname(&names) == 0) {
                text_copy_cut(state->kernel, sizeof(state->kernel), names.release);
                text_copy_cut(state->hostname, sizeof(state->hostname), names.nodename);
        }
        if (getloadavg(load, 3) == 3) {
                state->load1 = load[0];
                state->load5 = load[1];
                state->load15 = load[2];
        }
        state->processors = (uint32_t)get_nprocs();
        state->clock_us = time_realtime_us();
}

/* Of a soft reboot userspace's own; else since PID 1's start: inside a container that is its own, not the
 * kernel's. */
static uint64_t uptime_ms(const struct boot *boot)
{
        long ticks = sysconf(_SC_CLK_TCK);

        if (boot->soft)
                return (time_monotonic_us() - boot->userspace_us) / USEC_PER_MSEC;
        return ticks > 0
                       ? time_monotonic_us() / USEC_PER_MSEC - boot->pid1_start_ticks * 1000 / (uint64_t)ticks
                       : 0;
}

static void read_boot(host_reader *reader, struct host_state *state)
{
        struct error error = {0};
        struct boot boot;
        int r = probe_boot(&boot, &error);

        if (r < 0) {
                text_copy_cut(state->boot_error, sizeof(state->boot_error), error_text(&error, r));
                return;
        }
        if (!text_equal(reader->boot_checked, boot.id)) {
                TEXT_COPY(reader->boot_checked, boot.id);
                boot.userspace_us = reader->userspace_us;
                r = probe_boot_check(reader->folder, &boot, &error);
                text_copy_cut(reader->boot_repeated, sizeof(reader->boot_repeated),
                              r == -ESTALE ? error.text : "");
                reader->boot = boot;
        }
        TEXT_COPY(state->boot_id, reader->boot.id);
        TEXT_COPY(state->boot_error, reader->boot_repeated);
        state->tells_soft = reader->boot.tells_soft;
        state->pid1_start_ticks = reader->boot.pid1_start_ticks;
        state->uptime_ms = uptime_ms(&reader->boot);
}

/* --- file systems --------------------------------------------------------------------------------------- */

/* Every file system once: the same one may be mounted in many places, parts of it too. */
static bool is_known(dev_t devices[], size_t count, dev_t device)
{
        for (size_t i = 0; i < count; i++)
                if (devices[i] == device)
                        return true;
        return false;
}

struct disks_look {
        struct disk_state disks[DISKS_MOST];
        size_t count;
};

/* On a thread of its own: a disk that does not answer must not hold up the agent. */
static void read_disks(void *data)
{
        struct disks_look *state = data;
        dev_t devices[DISKS_MOST];
        struct mntent mount;
        char strings[4096];
        FILE *mounts = setmntent("/proc/self/mounts", "re");

        while (mounts && state->count < DISKS_MOST && getmntent_r(mounts, &mount, strings, sizeof(strings))) {
                struct disk_state *disk = &state->disks[state->count];
                struct statvfs space;
                struct stat info;

                if (!host_facts_is_disk(&mount) || stat(mount.mnt_dir, &info) < 0 ||
                    is_known(devices, state->count, info.st_dev) || statvfs(mount.mnt_dir, &space) < 0 ||
                    space.f_blocks == 0)
                        continue;
                devices[state->count++] = info.st_dev;
                text_copy_clean(disk->mount, sizeof(disk->mount), mount.mnt_dir);
                disk->total_bytes = space.f_blocks * space.f_frsize;
                disk->available_bytes = space.f_bavail * space.f_frsize;
        }
        if (mounts)
                endmntent(mounts);
}

/* --- systemd and logind --------------------------------------------------------------------------------- */

static void answered(host_reader *reader)
{
        if (--reader->pending > 0)
                return;
        reader->reading.stopping =
                reader->stopping || text_equal(reader->reading.facts.system_state, "stopping");
        host_state_clear(&reader->state);
        reader->state = reader->reading;
        reader->looked_us = reader->begun_us;
        reader->reading = (struct host_state){0};
        reader->read(false, reader->userdata);
        if (reader->again)
                host_reader_start(reader);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct asked *asked = userdata;
        host_reader *reader = asked->reader;
        size_t index = (size_t)(asked - reader->asked);
        bool failed = sd_bus_message_is_method_error(reply, NULL);

        asked->slot = sd_bus_slot_unref(asked->slot);
        host_questions[index].take(&reader->reading, failed ? NULL : reply);
        answered(reader);
        return 0;
}

/* Nobody is started only to be asked. */
static int ask(host_reader *reader, size_t index)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        const struct host_question *question = &host_questions[index];
        int r = sd_bus_message_new_method_call(reader->bus, &call, question->service, question->path,
                                               question->interface, question->member);

        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, 0);
        if (r >= 0 && question->arguments)
                r = question->arguments(call);
        return r < 0 ? r
                     : sd_bus_call_async(reader->bus, &reader->asked[index].slot, call, on_answer,
                                         &reader->asked[index], DEADLINE_USEC);
}

static void note_shutdown(host_reader *reader, bool begun)
{
        if (reader->stopping == begun)
                return;
        reader->stopping = begun;
        reader->state.stopping = begun;
        reader->read(true, reader->userdata);
        host_reader_start(reader);
}

/* logind says when a shutdown begins, and says false should it be taken back. */
static int on_shutdown(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
        int begins = 0;

        if (sd_bus_message_read(message, "b", &begins) >= 0)
                note_shutdown(userdata, begins);
        return 0;
}

/* The signal may have come before this agent did. */
static int on_shutdown_known(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        host_reader *reader = userdata;
        int begun = 0;

        if (!sd_bus_message_is_method_error(reply, NULL) &&
            sd_bus_message_read(reply, "v", "b", &begun) >= 0 && begun)
                reader->stopping = true;
        reader->stopping_slot = sd_bus_slot_unref(reader->stopping_slot);
        return 0;
}

/* Every way down has a job for this target: also the one that does not go through logind. */
static int on_shutdown_job(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
        note_shutdown(userdata, true);
        return 0;
}

static int on_shutdown_job_ended(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
        const char *result;

        if (sd_bus_message_read(message, "uoss", NULL, NULL, NULL, &result) >= 0 &&
            text_equal(result, "canceled"))
                note_shutdown(userdata, false);
        return 0;
}

static int watch_shutdown(host_reader *reader)
{
        static const char job[] = "type='signal',sender='" SYSTEMD "',path='" SYSTEMD_PATH
                                  "',interface='" SYSTEMD ".Manager',member='%s',arg2='shutdown.target'";
        char match[512];
        int r = sd_bus_match_signal_async(reader->bus, &reader->shutdown_slot, LOGIND, LOGIND_PATH,
                                          LOGIND ".Manager", "PrepareForShutdown", on_shutdown, NULL, reader);

        snprintf(match, sizeof(match), job, "JobNew");
        if (r >= 0)
                r = sd_bus_add_match_async(reader->bus, &reader->begun_slot, match, on_shutdown_job, NULL,
                                           reader);
        snprintf(match, sizeof(match), job, "JobRemoved");
        if (r >= 0)
                r = sd_bus_add_match_async(reader->bus, &reader->ended_slot, match, on_shutdown_job_ended,
                                           NULL, reader);
        if (r < 0)
                return r;
        return sd_bus_call_method_async(reader->bus, &reader->stopping_slot, LOGIND, LOGIND_PATH,
                                        "org.freedesktop.DBus.Properties", "Get", on_shutdown_known, reader,
                                        "ss", LOGIND ".Manager", "PreparingForShutdown");
}

int host_reader_new(host_reader **ret, sd_event *event, sd_bus *bus, const char *folder,
                    uint64_t userspace_us, host_read read, void *userdata)
{
        host_reader *reader = calloc(1, sizeof(*reader));
        int r = 0;

        if (!reader)
                return -ENOMEM;
        reader->bus = bus;
        for (size_t i = 0; i < HOST_QUESTIONS; i++)
                reader->asked[i].reader = reader;
        r = aside_new(&reader->aside, event);
        reader->folder = folder;
        reader->userspace_us = userspace_us;
        reader->read = read;
        reader->userdata = userdata;
        if (r >= 0 && bus)
                r = watch_shutdown(reader);
        if (r < 0) {
                host_reader_free(reader);
                return r;
        }
        *ret = reader;
        return 0;
}

host_reader *host_reader_free(host_reader *reader)
{
        if (!reader)
                return NULL;
        for (size_t i = 0; i < HOST_QUESTIONS; i++)
                sd_bus_slot_unref(reader->asked[i].slot);
        sd_bus_slot_unref(reader->shutdown_slot);
        sd_bus_slot_unref(reader->stopping_slot);
        aside_free(reader->aside);
        sd_bus_slot_unref(reader->begun_slot);
        sd_bus_slot_unref(reader->ended_slot);
        host_state_clear(&reader->state);
        host_state_clear(&reader->reading);
        free(reader);
        return NULL;
}

static void keep_disks(struct host_state *state, const struct disk_state *disks, size_t count)
{
        state->disks = calloc(count + 1, sizeof(*state->disks));
        if (!state->disks)
                return;
        if (count)
                memcpy(state->disks, disks, count * sizeof(*disks));
        state->disk_count = count;
}

/* What hangs now has been seen before, if the agent is older than that. */
static void keep_last_disks(host_reader *reader)
{
        reader->reading.disks_hung = true;
        keep_disks(&reader->reading, reader->state.disks, reader->state.disk_count);
}

static void on_disks(int result, void *data, void *userdata)
{
        const struct disks_look *look = data;
        host_reader *reader = userdata;

        if (look)
                keep_disks(&reader->reading, look->disks, look->count);
        else
                keep_last_disks(reader);
        answered(reader);
}

int host_reader_start(host_reader *reader)
{
        static const struct disks_look nothing;
        int r;

        reader->again = reader->pending > 0;
        if (reader->pending)
                return 0;
        host_state_clear(&reader->reading);
        reader->begun_us = time_monotonic_us();
        text_copy_cut(reader->reading.agent_version, sizeof(reader->reading.agent_version), MUSTER_VERSION);
        read_boot(reader, &reader->reading);
        read_memory(&reader->reading);
        read_kernel(&reader->reading);
        host_facts_read(&reader->reading.facts, reader->reading.kernel);
        reader->pending = 1;
        for (size_t i = 0; reader->bus && i < HOST_QUESTIONS; i++)
                if (ask(reader, i) >= 0)
                        reader->pending++;
        r = aside_run(reader->aside, &nothing, sizeof(nothing), read_disks, DEADLINE_USEC, on_disks, reader);
        if (r >= 0)
                reader->pending++;
        else if (r == -EBUSY)
                keep_last_disks(reader); /* the look before still hangs */
        answered(reader);
        return 0;
}

const struct host_state *host_reader_state(host_reader *reader)
{
        reader->state.facts.looked_ms = (time_monotonic_us() - reader->looked_us) / USEC_PER_MSEC;
        return &reader->state;
}

uint64_t host_reader_looked_us(const host_reader *reader)
{
        return reader->looked_us;
}
