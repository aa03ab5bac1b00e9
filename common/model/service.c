/* See service.h. */
#include "common/model/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/base/text.h"

static const char *const kind_names[] = {"none", "unit", "redis", "tile38", "pm2"};

const char *service_kind_name(enum service_kind kind)
{
        return (unsigned)kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind] : "none";
}

enum service_kind service_kind_parse(const char *word)
{
        for (unsigned i = 1; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
                if (text_equal(word, kind_names[i]))
                        return (enum service_kind)i;
        return SERVICE_NONE;
}

const char *redis_role_name(enum redis_role role)
{
        return role == REDIS_MASTER ? "master" : role == REDIS_REPLICA ? "replica" : "any";
}

/* systemd's characters for unit names, with a suffix; escapes (\x2d) included. */
static bool is_unit_name(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        if (!dot || dot == unit || !dot[1] || strlen(unit) >= UNIT_SIZE)
                return false;
        for (const char *c = unit; *c; c++)
                if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                      strchr(":-_.\\@", *c)))
                        return false;
        return true;
}

static bool is_address(const char *address)
{
        unsigned char binary[16];

        return inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1;
}

static bool is_path(const char *path)
{
        return path[0] == '/' && !strstr(path, "/../") && !text_ends(path, "/..");
}

int service_spec_check(const struct service_spec *spec)
{
        if (!text_is_name(spec->name) || spec->kind < SERVICE_UNIT || spec->kind > SERVICE_PM2)
                return -EINVAL;
        if (spec->unit[0] ? !is_unit_name(spec->unit) : spec->kind == SERVICE_UNIT)
                return -EINVAL;
        if (spec->address[0] && !is_address(spec->address))
                return -EINVAL;
        if (spec->probe_address[0] && !is_address(spec->probe_address))
                return -EINVAL;
        if (spec->socket[0] && !is_path(spec->socket))
                return -EINVAL;
        if ((spec->kind == SERVICE_REDIS || spec->kind == SERVICE_TILE38) && !spec->port && !spec->socket[0])
                return -EINVAL;
        if (spec->kind == SERVICE_PM2 && (!is_path(spec->home) || !text_is_name(spec->user)))
                return -EINVAL;
        return 0;
}
