/* See exec_output.h. */
#include "cli/exec_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "common/base/text.h"

void exec_output_init(struct exec_output *output, bool raw)
{
        *output = (struct exec_output){.raw = raw};
        terminal_read(&output->terminals[EXEC_OUT], stdout);
        terminal_read(&output->terminals[EXEC_ERR], stderr);
}

void exec_output_clear(struct exec_output *output)
{
        for (size_t i = 0; i < output->count; i++) {
                buffer_clear(&output->hosts[i].partial[EXEC_OUT]);
                buffer_clear(&output->hosts[i].partial[EXEC_ERR]);
        }
        free(output->hosts);
        *output = (struct exec_output){0};
}

struct exec_host *exec_output_host(struct exec_output *output, const char *name)
{
        struct exec_host *larger, *host;
        char clean[sizeof(host->name)];

        text_copy_cut(clean, sizeof(clean), name);
        clean_text(clean);
        for (size_t i = 0; i < output->count; i++)
                if (text_equal(output->hosts[i].name, clean))
                        return &output->hosts[i];
        if (output->count == EXEC_HOSTS_MAX)
                return NULL;
        if ((output->count & (output->count - 1)) == 0) {
                larger = reallocarray(output->hosts, output->count ? output->count * 2 : 1, sizeof(*larger));
                if (!larger)
                        return NULL;
                output->hosts = larger;
        }
        host = &output->hosts[output->count++];
        *host = (struct exec_host){0};
        text_copy_cut(host->name, sizeof(host->name), clean);
        if (text_columns(clean) > output->width)
                output->width = text_columns(clean);
        return host;
}

static FILE *stream_file(enum exec_stream stream)
{
        return stream == EXEC_ERR ? stderr : stdout;
}

/* One line without its end; cleaned in place. */
static void print_line(const struct exec_output *output, const struct exec_host *host,
                       enum exec_stream stream, char *line, size_t size)
{
        const struct terminal *terminal = &output->terminals[stream];
        enum style style = stream == EXEC_ERR ? STYLE_WARN : STYLE_BOLD;
        FILE *file = stream_file(stream);

        if (size > 0 && line[size - 1] == '\r')
                size--;
        size = clean_bytes(line, size, false);
        fprintf(file, "%s%s:%s ", style_begin(terminal, style), host->name, style_end(terminal, style));
        fwrite(line, 1, size, file);
        fputc('\n', file);
}

int exec_output_bytes(struct exec_output *output, struct exec_host *host, enum exec_stream stream,
                      const void *bytes, size_t size)
{
        struct buffer *partial = &host->partial[stream];
        size_t at = 0;
        int r;

        if (output->raw) {
                fwrite(bytes, 1, size, stream_file(stream));
                return 0;
        }
        r = buffer_append(partial, bytes, size);
        if (r < 0)
                return r;
        while (at < partial->size) {
                char *line = (char *)partial->data + at;
                size_t left = partial->size - at;
                char *end = memchr(line, '\n', left < EXEC_LINE_MAX ? left : EXEC_LINE_MAX);

                if (!end && left < EXEC_LINE_MAX)
                        break;
                print_line(output, host, stream, line, end ? (size_t)(end - line) : EXEC_LINE_MAX);
                at += end ? (size_t)(end - line) + 1 : EXEC_LINE_MAX;
        }
        buffer_consume(partial, at);
        return 0;
}

void exec_output_finish(struct exec_output *output, struct exec_host *host, int exit_code,
                        const char *failure)
{
        if (host->finished)
                return;
        for (int i = 0; i < 2; i++) {
                struct buffer *partial = &host->partial[i];

                if (partial->size > 0)
                        print_line(output, host, (enum exec_stream)i, (char *)partial->data, partial->size);
                buffer_clear(partial);
        }
        host->finished = true;
        host->not_run = exit_code < 0;
        host->exit_code = exit_code;
        text_copy_cut(host->failure, sizeof(host->failure), failure);
        clean_text(host->failure);
}

int exec_output_conclude(const struct exec_output *output)
{
        size_t failed = 0, not_run = 0;

        fflush(stdout);
        for (size_t i = 0; i < output->count; i++) {
                const struct exec_host *host = &output->hosts[i];

                if (host->finished && !host->not_run && host->exit_code == 0 && !host->failure[0])
                        continue;
                failed++;
                not_run += !host->finished || host->not_run;
                if (!host->finished)
                        fprintf(stderr, "muster: %s: its end was not seen\n", host->name);
                else if (host->failure[0])
                        fprintf(stderr, "muster: %s: %s\n", host->name, host->failure);
                else
                        fprintf(stderr, "muster: %s: exit %d\n", host->name, host->exit_code);
        }
        if (failed == 0)
                return CLI_DONE;
        if (failed < output->count)
                return CLI_PART;
        return not_run == failed ? CLI_UNREACHABLE : CLI_FAILED;
}
