/* Which disk a file is on, as a name that tells disks of one host apart: its file system's device, "8:1". */
#pragma once

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/model/state.h"

static inline void disk_name(char out[DISK_SIZE], const struct stat *info)
{
        snprintf(out, DISK_SIZE, "%u:%u", major(info->st_dev), minor(info->st_dev));
}
