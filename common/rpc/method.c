/* Which methods answer with a stream; all others are unary. The list is made from the .proto files. */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/rpc/internal.h"

static const char *const streams[] = {
#include <proto/streams.inc>
};

bool method_is_stream(const char *path)
{
        for (size_t i = 0; i < ELEMENTS(streams); i++)
                if (text_equal(streams[i], path))
                        return true;
        return false;
}
