/* The proof of a boot: the kernel's boot id and the start of PID 1. See probe.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/probe/probe.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

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

int probe_boot(char ret_boot_id[ID_SIZE], uint64_t *ret_pid1_start_ticks, struct error *error)
{
        char id[ID_SIZE];
        uint64_t start;
        int r = read_boot_id(id, error);

        if (r == 0)
                r = read_pid1_start(&start, error);
        if (r < 0)
                return r;
        memcpy(ret_boot_id, id, ID_SIZE);
        if (ret_pid1_start_ticks)
                *ret_pid1_start_ticks = start;
        return 0;
}

void probe_boot_mark(char ret[BOOT_MARK_SIZE])
{
        char id[ID_SIZE];
        uint64_t start;

        ret[0] = '\0';
        if (probe_boot(id, &start, NULL) == 0)
                snprintf(ret, BOOT_MARK_SIZE, "%s-%" PRIu64, id, start);
}

int probe_boot_check(const char *folder, const char *boot_id, uint64_t pid1_start_ticks, struct error *error)
{
        cleanup_free char *text = NULL;
        char path[PATH_SIZE + 8], line[ID_SIZE + 32], known[ID_SIZE] = "";
        uint64_t start = 0;
        int n = snprintf(line, sizeof(line), "%s %" PRIu64 "\n", boot_id, pid1_start_ticks);

        snprintf(path, sizeof(path), "%s/boot", folder);
        if (file_read(path, 256, &text, NULL, NULL) == 0 &&
            sscanf(text, "%32[0-9a-f] %" SCNu64, known, &start) == 2 && text_equal(known, boot_id)) {
                if (start == pid1_start_ticks)
                        return 0;
                return error_set(error, -ESTALE,
                                 "it is the same as on an earlier boot: PID 1 was started at tick %" PRIu64
                                 " then, at %" PRIu64 " now",
                                 start, pid1_start_ticks);
        }
        return file_write_atomic(path, line, (size_t)n, 0600, error);
}
