/* See unit_facts.h. */
#include "agent/probe/unit_facts.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SYSTEMD       "org.freedesktop.systemd1"
#define DEADLINE_USEC (2 * USEC_PER_SEC)

struct unit_facts {
        sd_bus *bus;
        sd_bus_slot *slot;
        char *path;
        struct unit_state unit;
        unit_facts_ready ready;
        void *userdata;
};

unit_facts *unit_facts_cancel(unit_facts *facts)
{
        if (!facts)
                return NULL;
        sd_bus_slot_unref(facts->slot);
        free(facts->path);
        free(facts);
        return NULL;
}

static void finish(unit_facts *facts, int result)
{
        unit_facts_ready ready = facts->ready;
        struct unit_state unit = facts->unit;
        void *userdata = facts->userdata;

        unit_facts_cancel(facts);
        ready(result, &unit, userdata);
}

enum property_type { PROPERTY_TEXT, PROPERTY_U32, PROPERTY_U64 };

struct property {
        const char *name;
        enum property_type type;
        size_t offset, size;
};

#define MEMBER(type, name, member)                                                                           \
        {                                                                                                    \
                name, type, offsetof(struct unit_state, member), sizeof(((struct unit_state *)0)->member)    \
        }

static const struct property unit_properties[] = {
        MEMBER(PROPERTY_TEXT, "LoadState", load_state),
        MEMBER(PROPERTY_TEXT, "ActiveState", active_state),
        MEMBER(PROPERTY_TEXT, "SubState", sub_state),
        MEMBER(PROPERTY_TEXT, "UnitFileState", unit_file_state),
        MEMBER(PROPERTY_TEXT, "Id", id),
        MEMBER(PROPERTY_U64, "ActiveEnterTimestamp", active_enter_us),
        {0},
};

static const struct property service_properties[] = {
        MEMBER(PROPERTY_TEXT, "Type", type),
        MEMBER(PROPERTY_TEXT, "Result", result),
        MEMBER(PROPERTY_U32, "MainPID", main_pid),
        MEMBER(PROPERTY_U32, "NRestarts", restarts),
        MEMBER(PROPERTY_U64, "TimeoutStopUSec", timeout_stop_us),
        MEMBER(PROPERTY_U64, "TimeoutStartUSec", timeout_start_us),
        {0},
};

static int read_value(sd_bus_message *reply, const struct property *property, struct unit_state *unit)
{
        char *at = (char *)unit + property->offset;
        const char *text;
        int r;

        switch (property->type) {
        case PROPERTY_TEXT:
                r = sd_bus_message_read(reply, "v", "s", &text);
                if (r >= 0)
                        text_copy_cut(at, property->size, text);
                return r;
        case PROPERTY_U32:
                return sd_bus_message_read(reply, "v", "u", (uint32_t *)(void *)at);
        case PROPERTY_U64:
                return sd_bus_message_read(reply, "v", "t", (uint64_t *)(void *)at);
        }
        return -EINVAL;
}

/* The a{sv} of GetAll: what the table names is read, the rest passed over. */
static int read_properties(sd_bus_message *reply, const struct property *table, struct unit_state *unit)
{
        int r = sd_bus_message_enter_container(reply, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const struct property *wanted = table;
                const char *name;

                r = sd_bus_message_read(reply, "s", &name);
                if (r < 0)
                        return r;
                while (wanted->name && !text_equal(wanted->name, name))
                        wanted++;
                r = wanted->name ? read_value(reply, wanted, unit) : sd_bus_message_skip(reply, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r;
}

static int ask(unit_facts *facts, const char *interface, sd_bus_message_handler_t handler)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = sd_bus_message_new_method_call(facts->bus, &call, SYSTEMD, facts->path,
                                               "org.freedesktop.DBus.Properties", "GetAll");

        if (r >= 0)
                r = sd_bus_message_append(call, "s", interface);
        if (r < 0)
                return r;
        facts->slot = sd_bus_slot_unref(facts->slot);
        return sd_bus_call_async(facts->bus, &facts->slot, call, handler, facts, DEADLINE_USEC);
}

static int on_service(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        unit_facts *facts = userdata;

        /* Not a .service (a mount, a target): the unit's own facts are enough. */
        if (!sd_bus_message_is_method_error(reply, NULL))
                (void)read_properties(reply, service_properties, &facts->unit);
        finish(facts, 0);
        return 0;
}

static int on_unit(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        unit_facts *facts = userdata;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                finish(facts, -sd_bus_message_get_errno(reply));
                return 0;
        }
        r = read_properties(reply, unit_properties, &facts->unit);
        if (r < 0) {
                finish(facts, r);
                return 0;
        }
        facts->unit.present = !text_equal(facts->unit.load_state, "not-found");
        if (!text_ends(facts->path, "_2eservice") || ask(facts, SYSTEMD ".Service", on_service) < 0)
                finish(facts, 0);
        return 0;
}

int unit_facts_ask(unit_facts **ret, sd_bus *bus, const char *unit, unit_facts_ready ready, void *userdata)
{
        unit_facts *facts = calloc(1, sizeof(*facts));
        int r;

        if (!facts)
                return -ENOMEM;
        facts->bus = bus;
        facts->ready = ready;
        facts->userdata = userdata;
        /* The path names the unit; asking for its properties loads it, template instances too. */
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &facts->path);
        if (r >= 0)
                r = ask(facts, SYSTEMD ".Unit", on_unit);
        if (r < 0) {
                unit_facts_cancel(facts);
                return r;
        }
        *ret = facts;
        return 0;
}
