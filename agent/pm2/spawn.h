/* A child process that is never waited for by blocking: held by a pidfd. */
#pragma once

#include <systemd/sd-event.h>

/* Runs argv[0] with input and output as its standard files (-1: /dev/null), no other file, no signal blocked
 * or ignored, and nothing but a PATH in its environment. ret_pidfd is the caller's. */
int spawn_child(int *ret_pidfd, char *const argv[], int input, int output);

/* How it ended, once the pidfd is readable: its exit status, or -ECHILD where a signal ended it. */
int spawn_status(int pidfd);

/* Kills it and leaves it to the loop to clear away. Takes the pidfd over. */
void spawn_abandon(sd_event *event, int pidfd);
