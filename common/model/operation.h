/* Operations: typed, idempotent things an agent does, and the one table of their kinds. Plain data. */
#pragma once

#include "common/model/boot.h"
#include "common/model/service.h"

enum operation_kind {
        OPERATION_NONE = 0,
        OPERATION_UNIT_START = 1,
        OPERATION_UNIT_STOP = 2,
        OPERATION_UNIT_ENABLE = 3,
        OPERATION_REDIS_REWRITE = 4,
        OPERATION_TILE38_SHRINK = 5,
        OPERATION_PM2_SAVE = 6,
        OPERATION_PM2_STOP = 7,
        OPERATION_PM2_RESTORE = 8,
        OPERATION_PM2_VERIFY = 9,
        OPERATION_HOST_REBOOT = 10,
        OPERATION_PM2_RELEASE = 11,
        OPERATION_KIND_END,
};

/* How an operation that was interrupted is settled. */
enum operation_settle {
        SETTLE_REPEAT,  /* it begins by looking, and does only what is not so already: it is done again */
        SETTLE_LOOK,    /* its agent holds what it wrote down before the work against what is now, and says
                         * whether it was done; only if it was not, it is done again */
        SETTLE_BOOT_ID, /* done if and only if the boot id changed, by more than soft reboots unless soft */
};

struct operation_type {
        enum operation_kind kind;
        const char *name;       /* "redis.rewrite" */
        unsigned service_kinds; /* mask of 1u << service_kind; 0: the host itself */
        enum operation_settle settle;
        uint64_t deadline_us; /* unless the step says otherwise */
        uint32_t retries;     /* before the step's policy decides */
};

/* NULL for an unknown kind or name. */
const struct operation_type *operation_type(enum operation_kind kind);
const struct operation_type *operation_type_named(const char *name);

enum operation_state {
        OPERATION_UNKNOWN = 0,
        OPERATION_ACCEPTED = 1,
        OPERATION_DONE = 2,
        OPERATION_FAILED = 3,
        OPERATION_INTERRUPTED = 4,
};

const char *operation_state_name(enum operation_state state);

struct figure {
        char name[NAME_SIZE];
        char value[TEXT_SIZE];
};
#define FIGURE_MAX  32
#define FIGURE_SOFT "soft" /* what a soft host.reboot notes of itself before it is asked for */

struct operation_request {
        char id[ID_SIZE];
        enum operation_kind kind;
        struct service_spec service; /* kind SERVICE_NONE for host operations */
        char snapshot[NAME_SIZE];
        uint64_t deadline_us; /* a length of time from acceptance, anew with progress; 0: the type's own */
        char boot_id[BOOT_ID_SIZE];
        bool soft;          /* host.reboot: userspace alone */
        bool start_errored; /* pm2.restore: what was errored is started */
        uint64_t settle_us; /* pm2.restore, pm2.verify: no restart for so long; 0: the agent's default */
};

/* How long an operation of the kind may stand still, where nothing else says so: the type's own time and,
 * where it waits for apps to settle, time for that. */
uint64_t operation_deadline_us(enum operation_kind kind, uint64_t settle_us);

/* 0, or -EINVAL with a text: unknown kind, bad id, a service of the wrong kind, a bad spec,
 * soft what cannot be. */
struct error;
int operation_request_check(const struct operation_request *request, struct error *error);

struct operation_report {
        char id[ID_SIZE];
        enum operation_kind kind;
        enum operation_state state;
        char text[TEXT_SIZE * 2];
        struct figure figures[FIGURE_MAX];
        size_t figure_count;
        char boot_id[BOOT_ID_SIZE];
        uint64_t accepted_us; /* realtime */
        uint64_t finished_us;
};
