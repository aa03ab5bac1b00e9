/* Boot ids: which life of a host's userspace. Normally that of its kernel, 32 hex digits. A soft reboot
 * begins userspace anew under the same kernel; such a life has the kernel's id, "+", and when it began, in
 * microseconds of the monotonic clock. Two lives with the same id do not exist: whoever asks whether a host
 * was booted anew compares whole ids. */
#pragma once

#include <stdbool.h>

#define BOOT_ID_SIZE 56

bool boot_id_is_sound(const char *id);

/* Whether both are lives under one kernel: between them there were soft reboots alone, or none. */
bool boot_id_same_kernel(const char *a, const char *b);
