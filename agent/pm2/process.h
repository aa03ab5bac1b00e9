/* Processes below a PM2 daemon, by the kernel's own word: trees, signals that cannot hit a reused id, and
 * whether a process that was just started has come to rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_fact {
        pid_t pid, parent;
        char state;       /* R, S, D, Z, … */
        uint64_t ticks;   /* processor time, user and system, in clock ticks */
        uint64_t started; /* clock ticks since boot */
};

/* One process, from /proc/PID/stat. -ESRCH: there is none. */
int process_read(pid_t pid, struct process_fact *ret);

/* The same, but for the state, which is that of its busiest thread (R, then D, then the first's own): a
 * process may wait for a thread of its own that the kernel has not let run, or whose file is still being
 * read. */
int process_read_busiest(pid_t pid, struct process_fact *ret);

/* How long ago it was started, by the kernel's clock, which nobody sets. */
uint64_t process_age_us(const struct process_fact *fact);

/* All processes of the host, by pid. The caller frees *ret. */
int process_read_all(struct process_fact **ret, size_t *ret_count);

/* Whether pid has ancestor above it, in what process_read_all gave (bounded by the table's size). */
bool process_is_below(const struct process_fact *all, size_t count, pid_t pid, pid_t ancestor);

/* A pidfd of the process, if it is still the one that started then. -ESRCH otherwise. */
int process_open(const struct process_fact *fact);
int process_signal(int pidfd, int signal);

/* Watches one start: fed with samples of process_read_busiest, says when the process has come to rest (all of
 * it asleep, no processor time used since the last samples), which for an app means that it is up as far as
 * the kernel can tell. */
struct process_rest {
        uint64_t ticks;
        unsigned calm;
};
bool process_rest_sample(struct process_rest *rest, const struct process_fact *fact);
