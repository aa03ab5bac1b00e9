/* Room for the journal. A controller that starts on a full disk begins nothing: it waits for room. */
#pragma once

#include "common/base/error.h"

/* 0: folder's file system takes another megabyte, and what the store has not copied into its file yet (given
 * back at once). -ENOSPC or -EDQUOT: it does not. */
int room_probe(const char *folder, struct error *error);
