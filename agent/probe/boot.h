/* Which boot this is, and what proves it. A boot is one life of userspace: a soft reboot (systemd 254 and
 * later) keeps the kernel's boot id, PID 1's start and even systemd's own timestamps; what it does begin anew
 * is sysinit.target, which is left otherwise only for emergency.target, which stops everything too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/base/error.h"
#include "common/model/boot.h"

struct boot {
        char id[BOOT_ID_SIZE];
        uint64_t pid1_start_ticks; /* clock ticks since the kernel's boot, from /proc/1/stat */
        uint64_t userspace_us;     /* monotonic: when userspace began; 0 not known */
        bool soft;                 /* its id is of a soft reboot */
        bool tells_soft;           /* the id of a soft reboot to come would be another one */
};

/* The kernel's part, without a word to anybody: id is the kernel's, userspace_us stays 0. An unreadable or
 * malformed id is an error. */
int probe_boot(struct boot *ret, struct error *error);

/* When userspace began, as systemd has it; it does not change in the life of a process. Waits for the answer.
 */
int probe_boot_userspace(uint64_t *ret_us, sd_bus *bus, struct error *error);

/* Holds a boot as probe_boot and probe_boot_userspace found it against what the folder's file "boot" says of
 * the last one, and puts down what was seen first of a new one. Where userspace began anew under the same
 * kernel, id becomes that of a soft reboot. 0; -ESTALE with a text: the id was there on an earlier boot
 * already, by PID 1's start, so it proves no reboot, as in a container that has its host's; other errors of
 * the folder, and then the boot is as it was. */
int probe_boot_check(const char *folder, struct boot *boot, struct error *error);
