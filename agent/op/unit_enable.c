/* unit.enable: the links that make systemd start a unit at boot. What counts is what the unit files say
 * afterwards, read anew from disk: GetUnitFileState, not the property that a loaded unit remembers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/op.h"
#include "agent/op/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define SYSTEMD      "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define MANAGER      SYSTEMD ".Manager"
#define CALL_USEC    (60 * USEC_PER_SEC) /* Reload reads all units of the host */
#define LINKS_TOLD   6u

struct enable {
        char unit[UNIT_SIZE];
        sd_bus_slot *call;
        char state[NAME_SIZE]; /* before */
        unsigned links;
};

static struct enable *enable_free(struct enable *self)
{
        if (!self)
                return NULL;
        sd_bus_slot_unref(self->call);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(struct enable *, enable_free);

static void fail(struct op *op, int r, const struct error *error)
{
        op->state = enable_free(op->state);
        op_finish(op, r, "%s", error_text(error, r));
}

static void done(struct op *op, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void done(struct op *op, const char *format, ...)
{
        char text[TEXT_SIZE * 2];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        op->state = enable_free(op->state);
        op_finish(op, 0, "%s", text);
}

/* An error reply, told with what was asked. */
static int refused(const struct enable *self, sd_bus_message *reply, const char *what, struct error *error)
{
        const sd_bus_error *cause = sd_bus_message_get_error(reply);

        if (!cause)
                return 0;
        if (sd_bus_error_has_name(cause, "org.freedesktop.DBus.Error.FileNotFound") ||
            sd_bus_error_has_name(cause, SYSTEMD ".NoSuchUnit"))
                return error_set(error, -ENOENT, "there is no unit file for %s on this host", self->unit);
        return error_set(error, -sd_bus_error_get_errno(cause), "%s of %s: %s", what, self->unit,
                         cause->message ? cause->message : cause->name);
}

static int new_call(struct op *op, sd_bus_message **ret, const char *method)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = sd_bus_message_new_method_call(op->bus, &call, SYSTEMD, SYSTEMD_PATH, MANAGER, method);

        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(call, 0);
        if (r >= 0)
                *ret = TAKE(call);
        return r;
}

static int send_call(struct op *op, sd_bus_message *call, sd_bus_message_handler_t handler)
{
        struct enable *self = op->state;

        self->call = sd_bus_slot_unref(self->call);
        return sd_bus_call_async(op->bus, &self->call, call, handler, op, CALL_USEC);
}

static int ask_state(struct op *op, sd_bus_message_handler_t handler)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        const struct enable *self = op->state;
        int r = new_call(op, &call, "GetUnitFileState");

        if (r >= 0)
                r = sd_bus_message_append(call, "s", self->unit);
        return r < 0 ? r : send_call(op, call, handler);
}

static bool is_enabled(const char *state)
{
        return text_equal(state, "enabled");
}

/* States in which enabling changes nothing; NULL for the others. */
static const char *why_not(const char *state)
{
        static const struct {
                const char *state, *text;
        } table[] = {
                {"static",
                 "its unit file has no [Install] section, so nothing says when to start it; add one, "
                 "or let another unit want it"},
                {"masked", "it is masked; allow it again with systemctl unmask"},
                {"masked-runtime", "it is masked until the next boot; allow it again with systemctl unmask"},
                {"alias",
                 "it is only another name of a unit; whether that one starts at boot is another question: "
                 "enable it by its own name (systemctl show -p Id)"},
                {"generated", "its unit file is generated at boot; what generates it decides"},
                {"transient", "it is transient: it has no unit file that would survive a boot"},
                {"indirect", "its [Install] section only enables other units (Also=, or another instance)"},
                {"bad", "its unit file cannot be read"},
        };

        for (size_t i = 0; i < ELEMENTS(table); i++)
                if (text_equal(table[i].state, state))
                        return table[i].text;
        return NULL;
}

/* --- after ---------------------------------------------------------------------------------------------- */

static int on_state_after(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct op *op = userdata;
        const struct enable *self = op->state;
        struct error error = {0};
        const char *state = "", *why;
        int r = refused(self, reply, "reading the state", &error);

        if (r == 0)
                r = sd_bus_message_read(reply, "s", &state);
        if (r >= 0)
                op_figure(op, "unit-file-state", "%s -> %s", self->state, state);
        if (r >= 0 && !is_enabled(state)) {
                why = why_not(state);
                r = error_set(&error, -EREMOTEIO, "%s is %s after enabling it%s%s", self->unit, state,
                              why ? ": " : "", why ? why : "");
        }
        if (r < 0)
                fail(op, r, &error);
        else
                done(op, "%s is enabled, was %s (%u links)", self->unit, self->state, self->links);
        return 0;
}

static int on_reloaded(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct op *op = userdata;
        struct error error = {0};
        int r = refused(op->state, reply, "reloading systemd for the sake", &error);

        if (r == 0)
                r = ask_state(op, on_state_after);
        if (r < 0)
                fail(op, r, &error);
        return 0;
}

/* --- enabling ------------------------------------------------------------------------------------------- */

static int read_links(struct op *op, sd_bus_message *reply)
{
        struct enable *self = op->state;
        const char *type, *path, *source;
        int carries_install = 0;
        int r = sd_bus_message_read(reply, "b", &carries_install);

        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(sss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sss)", &type, &path, &source)) > 0)
                if (self->links++ < LINKS_TOLD)
                        op_figure(op, type, "%s -> %s", path, source);
        return r;
}

static int on_enabled(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        struct op *op = userdata;
        struct error error = {0};
        int r = refused(op->state, reply, "enabling", &error);

        if (r == 0)
                r = read_links(op, reply);
        if (r >= 0)
                r = new_call(op, &call, "Reload");
        if (r >= 0)
                r = send_call(op, call, on_reloaded);
        if (r < 0)
                fail(op, r, &error);
        return 0;
}

static int on_state_before(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        struct op *op = userdata;
        struct enable *self = op->state;
        struct error error = {0};
        const char *state = "";
        int r = refused(self, reply, "reading the state", &error);

        if (r == 0)
                r = sd_bus_message_read(reply, "s", &state);
        if (r >= 0 && is_enabled(state)) {
                op_figure(op, "unit-file-state", "%s", state);
                done(op, "%s was enabled already", self->unit);
                return 0;
        }
        if (r >= 0 && why_not(state) && !text_equal(state, "indirect"))
                r = error_set(&error, -EPERM, "%s cannot be enabled: %s", self->unit, why_not(state));
        if (r >= 0) {
                text_copy_cut(self->state, sizeof(self->state), state);
                r = new_call(op, &call, "EnableUnitFiles");
        }
        if (r >= 0)
                r = sd_bus_message_append(call, "asbb", 1, self->unit, 0, 0);
        if (r >= 0)
                r = send_call(op, call, on_enabled);
        if (r < 0)
                fail(op, r, &error);
        return 0;
}

static int start(struct op *op, struct error *error)
{
        cleanup_with(enable_freep) struct enable *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        if (!op->bus)
                return error_set(error, -ENOTCONN, "no system bus: is systemd running on this host?");
        if (!op->request.service.unit[0])
                return error_set(error, -EINVAL, "service %s has no unit", op->request.service.name);
        r = TEXT_COPY(self->unit, op->request.service.unit);
        if (r < 0)
                return r;
        op->state = self;
        r = ask_state(op, on_state_before);
        if (r < 0) {
                op->state = NULL;
                return error_prefix(error, r, "cannot ask systemd about %s", self->unit);
        }
        TAKE(self);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = enable_free(op->state);
}

const struct op_type op_unit_enable = {OPERATION_UNIT_ENABLE, start, cancel};
