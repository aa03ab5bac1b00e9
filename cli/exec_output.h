/* What a command on many hosts prints, made readable: whole lines, each with its host in front, stdout and
 * stderr kept apart; or raw, for one host. What a host holds back of a line is bounded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/terminal.h"
#include "common/base/buffer.h"

#define EXEC_HOSTS_MAX 1024u
#define EXEC_LINE_MAX  8192u /* a longer line is printed in pieces */

enum exec_stream {
        EXEC_OUT = 0,
        EXEC_ERR = 1,
};

struct exec_host {
        char name[64]; /* clean */
        struct buffer partial[2];
        bool finished;
        bool not_run;  /* no exit code is known */
        int exit_code; /* valid when finished and not not_run */
        char failure[512];
};

struct exec_output {
        bool raw;
        struct terminal terminals[2];
        struct exec_host *hosts; /* owned */
        size_t count;
        size_t width; /* of the longest name so far */
};

void exec_output_init(struct exec_output *output, bool raw);
void exec_output_clear(struct exec_output *output);

/* The host of that name, made when it is new. NULL if memory is out or there are too many. */
struct exec_host *exec_output_host(struct exec_output *output, const char *name);
/* Bytes of one of its streams: prints the lines that are whole. -ENOMEM. */
int exec_output_bytes(struct exec_output *output, struct exec_host *host, enum exec_stream stream,
                      const void *bytes, size_t size);
/* The host's command has ended: what is left of its lines is printed. */
void exec_output_finish(struct exec_output *output, struct exec_host *host, int exit_code,
                        const char *failure);
/* Says on stderr which hosts failed and how; the exit code (command.h) of them all. */
int exec_output_conclude(const struct exec_output *output);
