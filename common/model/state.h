/* What stands on a host, as its agent saw it at one moment. Twins of proto/state.proto; field comments are
 * there. Plain data of fixed size but for its owned arrays (of hosts, and the apps of pm2). */
#pragma once

#include "common/model/boot.h"
#include "common/model/service.h"

struct disk_state {
        char mount[PATH_SIZE];
        uint64_t total_bytes;
        uint64_t available_bytes;
};

enum clock_sync {
        CLOCK_SYNC_UNKNOWN = 0,
        CLOCK_SYNCHRONISED = 1,
        CLOCK_UNSYNCHRONISED = 2,
};

/* A process that asked logind to hold a shutdown back. */
struct inhibitor_state {
        char who[TEXT_SIZE];
        char why[TEXT_SIZE];
        char mode[NAME_SIZE]; /* "block" or "delay" */
};

#define DISK_SIZE 24
#define WORD_SIZE 320 /* a mount or a listener in one word */

/* What a host is compared by before and after a reboot, and what its shutdown waits for. */
struct host_facts {
        bool known;
        uint64_t looked_ms; /* how long ago, when this was sent */
        char kernel_newest[TEXT_SIZE];
        char system_state[NAME_SIZE];
        enum clock_sync clock_sync;
        bool mounts_cut, listeners_cut; /* there were more than fit */
        char (*mounts)[WORD_SIZE];      /* owned: "ext4:/srv/data" */
        size_t mount_count;
        char (*listeners)[ADDRESS_SIZE]; /* owned: "0.0.0.0:6379" */
        size_t listener_count;
        struct inhibitor_state *inhibitors; /* owned */
        size_t inhibitor_count;
        char (*stopping)[UNIT_SIZE]; /* owned: units whose stop is under way while the host shuts down */
        size_t stopping_count;
};

struct host_state {
        char boot_id[BOOT_ID_SIZE]; /* "" where it could not be read: an error, never a value */
        char boot_error[TEXT_SIZE]; /* why it could not be read, or proves nothing */
        bool tells_soft;            /* the boot id would tell a soft reboot */
        uint64_t pid1_start_ticks;
        uint64_t uptime_ms;
        uint64_t clock_us;
        uint64_t memory_total, memory_available; /* bytes */
        uint64_t swap_total, swap_free;
        double load1, load5, load15;
        uint32_t processors;
        char kernel[TEXT_SIZE];
        char hostname[TEXT_SIZE];
        char agent_version[NAME_SIZE];
        char agent_enabled[NAME_SIZE]; /* UnitFileState of muster-agent.service */
        char systemd[NAME_SIZE];       /* its version; "" not known */
        bool overcommit;               /* vm.overcommit_memory is 1 */
        bool commit_limited;           /* it is 2: what may be promised is limited */
        uint64_t commit_left;          /* of that limit, in bytes */
        bool stopping;
        struct disk_state *disks; /* owned */
        size_t disk_count;
        bool disks_hung;                 /* one did not answer in time: disks are as they were seen last */
        char (*failed_units)[UNIT_SIZE]; /* owned */
        size_t failed_unit_count;
        struct host_facts facts;
};

struct unit_state {
        bool present;
        char load_state[NAME_SIZE];
        char active_state[NAME_SIZE];
        char sub_state[NAME_SIZE];
        char unit_file_state[NAME_SIZE];
        char result[NAME_SIZE];
        char type[NAME_SIZE];
        uint32_t main_pid;
        uint64_t active_enter_us; /* realtime */
        uint64_t timeout_stop_us; /* UINT64_MAX: infinity */
        uint64_t timeout_start_us;
        uint32_t restarts;
        char id[UNIT_SIZE]; /* its own name, where it was asked for by another (an alias); "" not known */
};

struct redis_state {
        bool answering, loading, pong;
        char error[TEXT_SIZE];
        char version[NAME_SIZE];
        char run_id[48];
        char role[NAME_SIZE]; /* "master" or "slave", as INFO says */
        bool master_link_up;
        char master_address[ADDRESS_SIZE + 8]; /* of a replica: HOST:PORT that it follows */
        char replication_id[48];               /* of the history that offsets count in */
        uint64_t master_offset, replica_offset, replication_lag_bytes;
        uint64_t used_memory, max_memory, keys;
        bool aof_enabled;
        uint64_t aof_current_size, aof_base_size, aof_rewrites;
        bool aof_rewrite_in_progress, aof_rewrite_scheduled;
        char aof_last_rewrite_status[NAME_SIZE];
        char aof_last_write_status[NAME_SIZE];
        char rdb_last_save_status[NAME_SIZE];
        bool rdb_save_in_progress, save_points;
        char config_refused[TEXT_SIZE]; /* how CONFIG was: then save_points and directory are not known */
        uint64_t loading_total_bytes, loading_loaded_bytes;
        char directory[PATH_SIZE];
        uint64_t directory_available;
        bool directory_hung;       /* it did not answer: a disk or a network file system that hangs */
        char disk[DISK_SIZE];      /* what directory is on: "8:1", the file system's device; "" not known */
        bool sync_in_progress;     /* it gets all of its data from its master, or loads it */
        uint64_t sync_total_bytes; /* 0 not known (yet) */
        uint64_t sync_read_bytes;
        uint64_t incremental_bytes, base_bytes; /* of the manifest's files */
        char base_file[TEXT_SIZE];
};

struct tile38_state {
        bool answering, ready;
        char error[TEXT_SIZE];
        char version[NAME_SIZE];
        char id[NAME_SIZE];
        uint64_t aof_size, aof_inode, loaded_bytes, objects;
        bool follower, caught_up, aof_rewrite_in_progress;
        char leftover[PATH_SIZE];
        uint64_t leftover_bytes, memory_bytes;
        char directory[PATH_SIZE];
        bool directory_hung;  /* its files did not answer */
        char disk[DISK_SIZE]; /* what its AOF is on, as of a Redis */
};

struct pm2_app_state {
        char name[TEXT_SIZE];
        uint32_t pm_id;
        char status[NAME_SIZE];
        uint32_t restarts;
        uint64_t uptime_ms;
};

struct pm2_state {
        bool reachable;
        char error[TEXT_SIZE];
        char version[NAME_SIZE];
        uint32_t online, stopped, errored, other;
        struct pm2_app_state *apps; /* owned */
        size_t app_count;
        char last_snapshot[NAME_SIZE];
        char boot_unit[UNIT_SIZE];
        char held_unit[UNIT_SIZE]; /* disabled until the restore; "" none */
        char held_run[NAME_SIZE];
        uint64_t held_since_us; /* realtime */
};

enum service_phase {
        PHASE_UNKNOWN = 0,
        PHASE_STOPPED = 1,
        PHASE_STARTING = 2,
        PHASE_LOADING = 3,
        PHASE_READY = 4,
        PHASE_DEGRADED = 5,
        PHASE_FAILED = 6,
};

struct service_state {
        char name[NAME_SIZE];
        enum service_kind kind;
        enum service_phase phase;
        uint64_t ready_for_ms; /* how long ready without a break; 0 unless PHASE_READY */
        char detail[TEXT_SIZE];
        uint64_t progress_done, progress_total; /* bytes while loading */
        uint64_t progress_still_ms;             /* how long they have not moved */
        struct unit_state unit;
        struct redis_state redis; /* of kind redis, or what a unit's probe saw */
        struct tile38_state tile38;
        struct pm2_state pm2;
};

struct agent_state {
        struct host_state host;
        struct service_state *services; /* owned */
        size_t service_count;
};

const char *service_phase_name(enum service_phase phase);

/* What is left over is the file that a swap has put aside: it may be the only whole one. Another shrink would
 * overwrite it. */
bool tile38_keeps_backup(const struct tile38_state *state);
/* Its append-only file is large, and most of it is outdated: far more than what it holds now would be written
 * as. Not said of a follower, whose file has to go with its leader's, nor beside a backup. */
bool tile38_worth_shrinking(const struct tile38_state *state);

/* Free what a state owns and zero it. */
void host_state_clear(struct host_state *state);
void service_state_clear(struct service_state *state);
void agent_state_clear(struct agent_state *state);

/* Deep copies into ret, which must be zeroed or cleared. 0 or -ENOMEM (ret is then empty). */
int host_state_copy(struct host_state *ret, const struct host_state *state);
int service_state_copy(struct service_state *ret, const struct service_state *state);

/* The state of the named service, or NULL. */
const struct service_state *agent_state_service(const struct agent_state *state, const char *name);
