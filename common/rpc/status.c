/* See status.h. */
#include "common/rpc/status.h"

#include "common/base/cleanup.h"

const char *rpc_status_name(unsigned code)
{
        static const char *const names[] = {
                [RPC_OK] = "OK",
                [RPC_CANCELLED] = "CANCELLED",
                [RPC_UNKNOWN] = "UNKNOWN",
                [RPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
                [RPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
                [RPC_NOT_FOUND] = "NOT_FOUND",
                [RPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
                [RPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
                [RPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
                [RPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
                [RPC_ABORTED] = "ABORTED",
                [RPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
                [RPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
                [RPC_INTERNAL] = "INTERNAL",
                [RPC_UNAVAILABLE] = "UNAVAILABLE",
                [RPC_DATA_LOSS] = "DATA_LOSS",
                [RPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
        };

        return code < ELEMENTS(names) ? names[code] : "UNKNOWN";
}
