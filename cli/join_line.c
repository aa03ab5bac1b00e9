/* See join_line.h. */
#include "cli/join_line.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define PREFIX "muster-join:1:"

/* HOST:PORT, [IPV6]:PORT: a rough check that catches what was typed wrongly; the agent's dial is the proof.
 */
static bool is_endpoint(const char *address)
{
        const char *colon = strrchr(address, ':');
        uint64_t port;

        if (!colon || colon == address || text_to_u64(colon + 1, &port) < 0 || port < 1 || port > 65535)
                return false;
        if (address[0] == '[')
                return colon[-1] == ']' && colon - address > 2;
        for (const char *c = address; c < colon; c++)
                if (*c == ':' || (unsigned char)*c <= ' ' || *c == '\'' || *c == '"')
                        return false;
        return true;
}

int join_line_readdress(const char *line, const char *address, char *out, size_t size, struct error *error)
{
        const char *host = line + strlen(PREFIX), *tail;
        int colons = 0, n;

        if (!is_endpoint(address))
                return error_set(error, -EINVAL, "'%s' is not an address; write HOST:PORT", address);
        if (!text_starts(line, PREFIX) || !strchr(host, ':'))
                return error_set(error, -EINVAL, "the controller sent no invitation line");
        /* The last two fields are hex; the address before them may hold colons of its own. */
        for (tail = line + strlen(line); tail > host; tail--)
                if (*tail == ':' && ++colons == 2)
                        break;
        if (colons < 2 || tail <= strchr(host, ':'))
                return error_set(error, -EINVAL, "the controller sent no invitation line");
        n = snprintf(out, size, "%.*s:%s%s", (int)(strchr(host, ':') - line), line, address, tail);
        return n < 0 || (size_t)n >= size ? error_set(error, -ENAMETOOLONG, "the address is too long") : 0;
}

bool join_line_is_local(const char *line)
{
        static const char *const local[] = {"0.0.0.0:", "[::]:", "127.", "[::1]:", "localhost:"};
        const char *address = text_starts(line, PREFIX) ? strchr(line + strlen(PREFIX), ':') : NULL;

        for (size_t i = 0; address && i < sizeof(local) / sizeof(local[0]); i++)
                if (text_starts(address + 1, local[i]))
                        return true;
        return false;
}
