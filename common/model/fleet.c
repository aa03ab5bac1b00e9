/* See fleet.h. */
#include "common/model/fleet.h"

#include <stdlib.h>

#include "common/base/text.h"
#include "common/model/finding.h"

struct fleet *fleet_free(struct fleet *fleet)
{
        if (!fleet)
                return NULL;
        free(fleet->hosts);
        free(fleet->services);
        free(fleet);
        return NULL;
}

int fleet_host_find(const struct fleet *fleet, const char *name)
{
        for (size_t i = 0; i < fleet->host_count; i++)
                if (text_equal(fleet->hosts[i].name, name))
                        return (int)i;
        return -1;
}

int fleet_service_find(const struct fleet *fleet, const char *name)
{
        for (size_t i = 0; i < fleet->service_count; i++)
                if (text_equal(fleet->services[i].spec.name, name))
                        return (int)i;
        return -1;
}

const char *severity_name(enum severity severity)
{
        static const char *const names[] = {"none", "informs", "warns", "blocks"};

        return (unsigned)severity < sizeof(names) / sizeof(names[0]) ? names[severity] : "none";
}
