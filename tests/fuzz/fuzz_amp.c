/* Bytes from a PM2 daemon: the framing, and what is in it. The first byte says how the rest is cut: the
 * decoder must give the same messages whether the bytes come at once or in pieces, and what it takes must
 * come out of the encoder again. The arguments go on to the readers of JSON, lists and reports. */
#include <stdlib.h>
#include <string.h>

#include "agent/pm2/amp.h"
#include "agent/pm2/scan.h"
#include "agent/pm2/state.h"
#include "common/base/cleanup.h"

#define LIMIT 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void check_lists(const char *text, size_t size)
{
        cleanup_free struct pm2_brief *apps = NULL;
        struct pm2_daemon_facts facts = {0};
        struct pm2_list list = {0};
        struct error error = {0};
        json_t *value = NULL;
        size_t count = 0;

        (void)pm2_scan(text, size, &apps, &count);
        if (pm2_json_parse(&value, text, size, &error) < 0)
                return;
        if (pm2_list_decode(&list, value, &error) == 0)
                pm2_list_clear(&list);
        if (pm2_daemon_facts_decode(&facts, value, &error) == 0)
                pm2_daemon_facts_clear(&facts);
        json_decref(value);
}

static void check_message(const uint8_t *bytes, size_t taken, const struct amp_message *message)
{
        cleanup_buffer struct buffer again = {0};

        demand(message->count >= 1 && message->count <= AMP_ARGUMENTS_MAX);
        demand(amp_encode(&again, message->arguments, message->count) == 0);
        demand(again.size == taken && memcmp(again.data, bytes, taken) == 0);
        for (size_t i = 0; i < message->count; i++) {
                struct amp_argument body;

                if (amp_argument_body(&message->arguments[i], "j:", &body) == 0)
                        check_lists((const char *)body.bytes, body.size);
        }
}

/* How far the messages in bytes reach, when they come in pieces of so many. Negative: refused. */
static ssize_t reach(const uint8_t *bytes, size_t size, size_t piece, bool check)
{
        size_t start = 0;

        for (size_t end = piece < size ? piece : size;; end = size - end < piece ? size : end + piece) {
                for (;;) {
                        struct amp_message message;
                        ssize_t n = amp_decode(bytes + start, end - start, LIMIT, &message);

                        if (n < 0)
                                return -1;
                        if (n == 0)
                                break;
                        if (check)
                                check_message(bytes + start, (size_t)n, &message);
                        start += (size_t)n;
                }
                if (end == size)
                        return (ssize_t)start;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t piece;

        if (size < 1)
                return 0;
        piece = (size_t)data[0] + 1;
        data++;
        size--;
        demand(reach(data, size, size ? size : 1, true) == reach(data, size, piece, false));
        check_lists((const char *)data, size);
        return 0;
}
