/* The controller's store: keys, invitations, runs, their journal, learned rates, the audit trail.
 *
 * Everything written in one turn of the loop is one transaction: the first write opens it, store_commit ends
 * it durably (fsynced) before any frame of the turn leaves. One connection, exclusive: a second controller on
 * the same file is refused. A failed write or commit is final (-EIO …): the program exits and recovers by
 * reading; until then every call returns that error. Callbacks get what is valid during the callback only,
 * and must not start the listing that calls them again (-EDEADLK). -EBADMSG: the file is damaged, or others
 * wrote to it. Times are realtime microseconds. The backend is SQLite (sqlite*.c). */
#pragma once

#include "common/base/error.h"
#include "common/model/service.h"

typedef struct store store;

/* Opens or creates. -EBUSY: another process has it; -EPROTO: made by a newer muster. */
int store_open(store **ret, const char *path, struct error *error);
/* Rolls back what was not committed. */
store *store_close(store *store);
/* 0 also when there was nothing to commit. */
int store_commit(store *store, struct error *error);

/* --- keys: who may connect. role is an rpc_role bit (agent or user). ---------------------------------- */
struct store_key {
        char name[NAME_SIZE];
        unsigned role;
        uint8_t key[32];
        uint64_t added_us;
};
/* -ENOENT if the key is unknown. */
int store_key_find(store *store, const uint8_t key[32], struct store_key *ret);
/* -ENOENT if that name has none. */
int store_key_named(store *store, unsigned role, const char *name, struct store_key *ret);
/* Replaces the key that name had. -EEXIST: the key is that of another name or role already. */
int store_key_put(store *store, const struct store_key *key);
/* -ENOENT if there was none. */
int store_key_remove(store *store, unsigned role, const char *name);
int store_key_list(store *store, int (*each)(const struct store_key *key, void *userdata), void *userdata);

/* --- invitations: only the token's SHA-256 is kept ---------------------------------------------------- */
/* Replaces an earlier invitation of the same name and role. */
int store_invite_put(store *store, unsigned role, const char *name, const uint8_t hash[32],
                     uint64_t expires_us);
/* Whoever holds the invitation of that name cannot use it any more. -ENOENT: there is none. */
int store_invite_void(store *store, unsigned role, const char *name);
/* Looks only: -ENOENT unknown or used before, -ETIME expired. */
int store_invite_find(store *store, unsigned role, const uint8_t hash[32], uint64_t now_us,
                      char ret_name[NAME_SIZE]);
/* Uses it up: -ENOENT unknown or used before, -ETIME expired (and gone now). */
int store_invite_take(store *store, unsigned role, const uint8_t hash[32], uint64_t now_us,
                      char ret_name[NAME_SIZE]);

/* --- runs ---------------------------------------------------------------------------------------------- */
struct store_run {
        char id[NAME_SIZE];
        char kind[NAME_SIZE]; /* "reboot", "restart" */
        char scope[TEXT_SIZE];
        char user[NAME_SIZE];
        char state[NAME_SIZE]; /* "running" until store_run_finish */
        uint64_t started_us, finished_us;
};
/* Adds the run with its plan (JSON) and locks its hosts, or -EBUSY with the holder in ret_holder, -EEXIST
 * where that run is there already, -EINVAL for a host named twice. */
int store_run_add(store *store, const struct store_run *run, const char *plan_json, const char *const *hosts,
                  size_t host_count, char ret_holder[NAME_SIZE]);
/* The run's last state; its locks end. -ENOENT. */
int store_run_finish(store *store, const char *run, const char *state, uint64_t finished_us);
/* -ENOENT. ret_plan_json (may be NULL) is the caller's to free. */
int store_run_get(store *store, const char *run, struct store_run *ret, char **ret_plan_json);
/* Newest first, at most limit. */
int store_run_list(store *store, size_t limit, int (*each)(const struct store_run *run, void *userdata),
                   void *userdata);
/* The run that holds a host, -ENOENT if none. */
int store_lock_holder(store *store, const char *host, char ret_run[NAME_SIZE]);

/* The hosts that a run holds, by name. */
int store_lock_list(store *store, const char *run, int (*each)(const char *host, void *userdata),
                    void *userdata);

/* --- the journal: events of a run, numbered from 1 without gaps ---------------------------------------- */
/* -EINVAL: not the run's next number, or no such run; nothing was written, and the store goes on. */
int store_journal_append(store *store, const char *run, uint64_t event, uint64_t time_us, const char *json);
/* Calls each for events from first on, in order; what each returns other than 0 ends it and is returned. */
int store_journal_read(store *store, const char *run, uint64_t first,
                       int (*each)(uint64_t event, uint64_t time_us, const char *json, void *userdata),
                       void *userdata);

/* --- learned load rates, a service ---------------------------------------------------------------------- */
struct store_rate {
        double base_bytes_per_s;        /* 0: not known */
        double incremental_bytes_per_s; /* 0: not known */
        unsigned loads;                 /* how many were watched */
        double course[3]; /* of the base's time, after each quarter of its bytes; 0: not known */
};
int store_rate_get(store *store, const char *service, struct store_rate *ret); /* -ENOENT */
int store_rate_put(store *store, const char *service, const struct store_rate *rate);

/* --- how long reboots take, a host -----------------------------------------------------------------------
 */
struct store_reboot {
        uint64_t mean_us, spread_us;
        unsigned reboots; /* how many were learned from */
};
int store_reboot_get(store *store, const char *host, struct store_reboot *ret); /* -ENOENT */
int store_reboot_put(store *store, const char *host, const struct store_reboot *reboot);

/* --- audit: who did what; each entry carries the hash of the one before ----------------------------------
 */
struct store_audit {
        uint64_t number, time_us;
        char user[NAME_SIZE];
        char action[NAME_SIZE];
        char text[1024];
};
int store_audit_add(store *store, uint64_t time_us, const char *user, const char *action, const char *text);
/* Newest first. */
int store_audit_list(store *store, size_t limit, int (*each)(const struct store_audit *entry, void *userdata),
                     void *userdata);
/* How far a chain was recomputed; zero it to begin. */
struct store_audit_chain {
        uint64_t entries; /* found whole, from the first on */
        uint8_t hash[32]; /* of the last of them */
        uint64_t bad;     /* the first that is not as it was written, or is missing; 0: none */
        uint64_t known;   /* set by the caller: an entry whose hash was kept elsewhere; 0: none */
        uint8_t known_hash[32];
};
/* Recomputes at most limit entries from where chain stands. 1: there are more; 0: all are whole; -EBADMSG:
 * bad says which is not. */
int store_audit_verify(store *store, struct store_audit_chain *chain, size_t limit);
