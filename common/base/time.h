/* Time: 64-bit microseconds. Monotonic (CLOCK_BOOTTIME) for measuring, realtime for saying when. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define USEC_PER_MSEC 1000ull
#define USEC_PER_SEC  1000000ull

uint64_t time_monotonic_us(void);
uint64_t time_realtime_us(void);

/* "2026-11-23T21:05:09.123Z" (RFC 3339, UTC, milliseconds). out needs TIME_TEXT_SIZE bytes. */
#define TIME_TEXT_SIZE 32
void time_text(char out[TIME_TEXT_SIZE], uint64_t realtime_us);

/* A length of time for people: "340 ms", "4.2 s", "2 min 05 s", "1 h 03 min". Writes at most size bytes. */
void time_duration_text(char *out, size_t size, uint64_t us);

/* "500ms", "30s", "5min" or "5m", "2h", or a bare number of seconds. Returns 0, -EINVAL or -ERANGE. */
int time_duration_parse(const char *text, uint64_t *ret_us);
