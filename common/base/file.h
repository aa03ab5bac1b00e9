/* Small files, read bounded and written whole or not at all. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "common/base/error.h"

/* Reads a whole file of at most limit bytes; a NUL byte follows the content. The caller frees *ret.
 * -E2BIG if it is larger. ret_size may be NULL. */
int file_read(const char *path, size_t limit, char **ret, size_t *ret_size, struct error *error);

/* Writes a new file beside path, fsyncs it, renames it over path and fsyncs the folder: after any crash
 * path holds the old content or the new, whole. Needs the folder to exist. */
int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode, struct error *error);

/* fsync of a folder, so that a name made or removed in it survives a crash. */
int file_sync_folder(const char *path);

/* mkdir -p; folders that are made get mode, and survive a crash. */
int file_make_folders(const char *path, mode_t mode, struct error *error);
