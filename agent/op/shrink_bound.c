/* See shrink_bound.h. */
#include "agent/op/shrink_bound.h"

#include <errno.h>

#include "common/base/text.h"
#include "common/base/time.h"

#define STALL_MOST_USEC                                                                                      \
        (300 * USEC_PER_SEC) /* syncing gigabytes takes its time, and nothing grows meanwhile */
/* tile38 writes in pieces of 4 MB; small files may come out a little larger than they were, by the form in
 * which objects are written. */
#define SLACK_BYTES (8u << 20)
#define DISK_SHARE  64u /* of the file's size has to stay free */

void shrink_bound_begin(struct shrink_bound *bound, uint64_t now_us, uint64_t deadline_us)
{
        *bound = (struct shrink_bound){
                .began_us = now_us,
                .limit_us = deadline_us - deadline_us / 16,
                .stall_us = deadline_us / 4 < STALL_MOST_USEC ? deadline_us / 4 : STALL_MOST_USEC,
                .grew_us = now_us,
        };
}

int shrink_bound_look(struct shrink_bound *bound, uint64_t now_us, const struct shrink_sight *sight,
                      struct error *error)
{
        uint64_t most = sight->aof_bytes + sight->aof_bytes / 8 + SLACK_BYTES;
        char one[32], other[32];

        if (sight->work_bytes != bound->work_bytes) {
                bound->work_bytes = sight->work_bytes;
                bound->grew_us = now_us;
        }
        if (sight->files && sight->work_bytes > most) {
                text_bytes(one, sizeof(one), sight->work_bytes);
                text_bytes(other, sizeof(other), sight->aof_bytes);
                return error_set(error, -EFBIG, "has written %s, more than the %s that it is to replace", one,
                                 other);
        }
        if (sight->disk_known && sight->disk_available < sight->aof_bytes / DISK_SHARE) {
                text_bytes(one, sizeof(one), sight->disk_available);
                return error_set(error, -ENOSPC, "is about to fill its disk, %s are left on it", one);
        }
        if (sight->files && now_us - bound->grew_us >= bound->stall_us) {
                time_duration_text(one, sizeof(one), now_us - bound->grew_us);
                return error_set(error, -ETIMEDOUT, "has not written anything for %s", one);
        }
        if (now_us - bound->began_us >= bound->limit_us) {
                time_duration_text(one, sizeof(one), now_us - bound->began_us);
                return error_set(error, -ETIMEDOUT, "has not ended within %s", one);
        }
        return 0;
}
