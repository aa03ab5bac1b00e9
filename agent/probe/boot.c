/* See boot.h. */
#include "agent/probe/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/probe/host_bus.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/model/service.h"

/* "01234567-89ab-cdef-…\n" without the dashes. A constant or empty id would let a reboot look done. */
static int read_boot_id(char ret[ID_SIZE], struct error *error)
{
        static const char path[] = "/proc/sys/kernel/random/boot_id";
        cleanup_free char *text = NULL;
        unsigned char binary[16];
        char id[ID_SIZE];
        size_t size = 0;
        int r = file_read(path, 128, &text, NULL, error);

        if (r < 0)
                return r;
        for (const char *c = text; *c && *c != '\n'; c++)
                if (*c != '-') {
                        if (size == ID_SIZE - 1)
                                return error_set(error, -EBADMSG, "%s holds no boot id", path);
                        id[size++] = *c;
                }
        id[size] = '\0';
        if (text_unhex(binary, sizeof(binary), id) < 0 || strspn(id, "0") == ID_SIZE - 1)
                return error_set(error, -EBADMSG, "%s holds no boot id", path);
        memcpy(ret, id, ID_SIZE);
        return 0;
}

/* Field 22 of /proc/1/stat; the name in field 2 may hold spaces and brackets. */
static int read_pid1_start(uint64_t *ret, struct error *error)
{
        cleanup_free char *text = NULL;
        char *at, *save = NULL;
        int r = file_read("/proc/1/stat", 4096, &text, NULL, error);

        if (r < 0)
                return r;
        at = strrchr(text, ')');
        if (!at)
                return error_set(error, -EBADMSG, "/proc/1/stat cannot be read");
        at = strtok_r(at + 1, " ", &save);
        for (int field = 3; at && field < 22; field++)
                at = strtok_r(NULL, " ", &save);
        if (!at || text_to_u64(at, ret) < 0)
                return error_set(error, -EBADMSG, "/proc/1/stat has no start time");
        return 0;
}

int probe_boot(struct boot *ret, struct error *error)
{
        struct boot boot = {.id = ""};
        int r = read_boot_id(boot.id, error);

        if (r == 0)
                r = read_pid1_start(&boot.pid1_start_ticks, error);
        if (r == 0)
                *ret = boot;
        return r;
}

int probe_boot_userspace(uint64_t *ret_us, sd_bus *bus, struct error *error)
{
        cleanup_with(sd_bus_error_free) sd_bus_error failure = SD_BUS_ERROR_NULL;
        int r = sd_bus_get_property_trivial(bus, SYSTEMD, SYSTEMD_PATH "/unit/sysinit_2etarget",
                                            SYSTEMD ".Unit", "ActiveEnterTimestampMonotonic", &failure, 't',
                                            ret_us);

        return r < 0 ? error_set(error, r, "systemd does not say when sysinit.target was reached: %s",
                                 failure.message ? failure.message : strerror(-r))
                     : 0;
}

/* The boot is the one that the folder knows; its userspace may be another. */
static int check_known(struct boot *boot, uint64_t start_ticks, uint64_t first_us, struct error *error)
{
        size_t length = strlen(boot->id);

        if (start_ticks != boot->pid1_start_ticks)
                return error_set(error, -ESTALE,
                                 "it is the same as on an earlier boot: PID 1 was started at tick %" PRIu64
                                 " then, at %" PRIu64 " now",
                                 start_ticks, boot->pid1_start_ticks);
        boot->tells_soft = boot->userspace_us > 0;
        boot->soft = boot->tells_soft && boot->userspace_us != first_us;
        if (boot->soft)
                snprintf(boot->id + length, sizeof(boot->id) - length, "+%" PRIu64, boot->userspace_us);
        return 0;
}

int probe_boot_check(const char *folder, struct boot *boot, struct error *error)
{
        cleanup_free char *text = NULL;
        char path[PATH_SIZE + 8], line[ID_SIZE + 64], known[ID_SIZE] = "";
        uint64_t start = 0, first_us = 0;
        int r, n = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 "\n", boot->id,
                            boot->pid1_start_ticks, boot->userspace_us);

        snprintf(path, sizeof(path), "%s/boot", folder);
        r = file_read(path, 256, &text, NULL, NULL);
        if (r < 0 && r != -ENOENT && r != -E2BIG) /* what is there may be read the next time */
                return error_set(error, r, "cannot read %s: %s", path, strerror(-r));
        if (r == 0 && sscanf(text, "%32[0-9a-f] %" SCNu64 " %" SCNu64, known, &start, &first_us) >= 2 &&
            text_equal(known, boot->id) &&
            (start != boot->pid1_start_ticks || first_us || !boot->userspace_us))
                return check_known(boot, start, first_us, error);
        r = file_write_atomic(path, line, (size_t)n, 0600, error);
        boot->tells_soft = r == 0 && boot->userspace_us > 0;
        return r;
}
