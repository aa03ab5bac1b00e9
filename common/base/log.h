/* Logging, for programs only: to the journal's stderr protocol under systemd, plain text elsewhere.
 * One line a message; control bytes are replaced, so that nothing a peer sent can forge a line. */
#pragma once

#include <stdbool.h>
#include <syslog.h>

/* The level up to which messages are printed (LOG_INFO at start). Not thread safe: set it in main. */
void log_set_level(int level);

void log_write(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
