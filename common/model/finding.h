/* A finding: what a preflight check has to say of one host or service. Plain data. */
#pragma once

#include "common/model/operation.h"

enum severity {
        SEVERITY_NONE = 0,
        SEVERITY_INFORMS = 1,
        SEVERITY_WARNS = 2,
        SEVERITY_BLOCKS = 3,
};

struct finding {
        char id[NAME_SIZE]; /* the check: "autostart", "aof-growth" */
        char host[NAME_SIZE];
        char service[NAME_SIZE]; /* "": the host itself */
        enum severity severity;
        char evidence[TEXT_SIZE * 2];
        char advice[TEXT_SIZE * 2];
        enum operation_kind fix; /* OPERATION_NONE: a person has to */
        struct service_spec fix_service;
};

/* "informs", "warns", "blocks". */
const char *severity_name(enum severity severity);
