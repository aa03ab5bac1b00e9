/* The fleet file's reader against any bytes: a fleet or a one-line error that names the file, nothing else.
 * What comes out must keep the promises that the rest of muster rests on. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/conf/fleet_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void check_service(const struct fleet *fleet, const struct fleet_service *service)
{
        require(service->host < fleet->host_count && service->need_count <= NEEDS_MAX);
        require(service_spec_check(&service->spec) == 0);
        require(service->at_least >= 0 && service->at_least <= 1);
        require(service->of < (int)fleet->service_count && service->same_as < (int)fleet->service_count);
        for (size_t i = 0; i < service->need_count; i++)
                require(service->needs[i] < fleet->service_count);
        if (service->of >= 0)
                require(fleet->services[service->of].spec.kind == SERVICE_REDIS);
        if (service->same_as >= 0)
                require(fleet->services[service->same_as].spec.kind == SERVICE_REDIS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fleet *fleet = NULL;
        struct error error = {""};
        int r = fleet_file_parse(&fleet, (const char *)data, size, "f", &error);

        require((r == 0) == (fleet != NULL));
        if (r < 0) {
                require(text_starts(error.text, "f:") && !strchr(error.text, '\n'));
                require(text_is_utf8(error.text, strlen(error.text)));
                return 0;
        }
        require(text_is_name(fleet->name) && fleet->host_count >= 1 && fleet->host_count <= FLEET_HOSTS_MAX);
        require(fleet->service_count <= FLEET_SERVICES_MAX);
        for (size_t i = 0; i < fleet->host_count; i++)
                require(text_is_name(fleet->hosts[i].name) && fleet->hosts[i].group_count <= GROUPS_MAX);
        for (size_t i = 0; i < fleet->service_count; i++)
                check_service(fleet, &fleet->services[i]);
        fleet_free(fleet);
        return 0;
}
