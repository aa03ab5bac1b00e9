/* host.reboot: asks for a reboot and never finishes when it is granted: the next boot's id is the only proof,
 * and only the next life of this agent can tell it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/op/op.h"
#include "agent/op/table.h"
#include "agent/probe/host_bus.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* logind waits for inhibitors that ask for a delay (5 s by default). */
#define CALL_USEC (60 * USEC_PER_SEC)

/* org.freedesktop.login1(5): RebootWithFlags. */
#define SD_LOGIND_SOFT_REBOOT (UINT64_C(1) << 2)

static int append_not_interactive(sd_bus_message *call)
{
        return sd_bus_message_append(call, "b", 0);
}

static int append_soft(sd_bus_message *call)
{
        return sd_bus_message_append(call, "t", SD_LOGIND_SOFT_REBOOT);
}

/* Onto the root file system that is there. */
static int append_no_root(sd_bus_message *call)
{
        return sd_bus_message_append(call, "s", "");
}

struct way {
        const char *name, *service, *path, *interface;
        struct {
                const char *method;
                int (*append)(sd_bus_message *call); /* NULL: takes no arguments */
        } full, soft;
};

/* logind first: it tells those who asked to hear of a shutdown. A host without it has systemd itself. */
static const struct way ways[] = {
        {"logind",
         LOGIND,
         LOGIND_PATH,
         LOGIND ".Manager",
         {"Reboot", append_not_interactive},
         {"RebootWithFlags", append_soft}},
        {"systemd",
         SYSTEMD,
         SYSTEMD_PATH,
         SYSTEMD ".Manager",
         {"Reboot", NULL},
         {"SoftReboot", append_no_root}},
};

struct reboot {
        sd_bus_slot *call;
        size_t way;
        char delays[TEXT_SIZE]; /* who asked logind for a delay; "" nobody */
};

static struct reboot *reboot_free(struct reboot *self)
{
        if (!self)
                return NULL;
        sd_bus_slot_unref(self->call);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(struct reboot *, reboot_free);

static int call_way(struct op *op);

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct op *op = userdata;
        struct reboot *self = op->state;
        const struct way *way = &ways[self->way];
        const sd_bus_error *cause = sd_bus_message_get_error(reply);
        const char *why;
        int r;

        if (!cause) {
                op_progress(op, 0, 0, "%sreboot requested (%s)%s%s", op->request.soft ? "soft " : "",
                            way->name, self->delays[0] ? "; delayed by " : "", self->delays);
                return 0;
        }
        why = cause->message ? cause->message : cause->name;
        r = -sd_bus_error_get_errno(cause);
        /* No answer is no refusal: it may well be going down. The boot that follows or the deadline tells. */
        if (r == -ETIMEDOUT || r == -ECONNRESET) {
                op_progress(op, 0, 0, "no answer from %s (%s); waiting for the reboot", way->name, why);
                return 0;
        }
        if (self->way + 1 < ELEMENTS(ways)) {
                op_progress(op, 0, 0, "%s does not reboot this host (%s); asking the next", way->name, why);
                self->way++;
                r = call_way(op);
                if (r == 0)
                        return 0;
                why = "cannot ask it";
        }
        op->state = reboot_free(self);
        op_finish(op, r, "%s did not reboot this host: %s", way->name, why);
        return 0;
}

static int call_way(struct op *op)
{
        cleanup_with(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        struct reboot *self = op->state;
        const struct way *way = &ways[self->way];
        const char *method = op->request.soft ? way->soft.method : way->full.method;
        int (*append)(sd_bus_message *) = op->request.soft ? way->soft.append : way->full.append;
        int r = sd_bus_message_new_method_call(op->bus, &call, way->service, way->path, way->interface,
                                               method);

        if (r >= 0 && append)
                r = append(call);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(call, 0);
        if (r < 0)
                return r;
        self->call = sd_bus_slot_unref(self->call);
        r = sd_bus_call_async(op->bus, &self->call, call, on_answer, op, CALL_USEC);
        return r < 0 ? r : 0;
}

static bool is_without_logind(const sd_bus_error *failure)
{
        static const char *const names[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,          SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                SD_BUS_ERROR_UNKNOWN_METHOD,           SD_BUS_ERROR_UNKNOWN_OBJECT,
                "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.UnitMasked",
        };

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (sd_bus_error_has_name(failure, names[i]))
                        return true;
        return text_starts(failure->name ? failure->name : "", "org.freedesktop.DBus.Error.Spawn.");
}

/* root's own request would go through whatever is inhibited: it is this operation that respects it. */
static int on_inhibitors(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        struct op *op = userdata;
        struct reboot *self = op->state;
        struct host_state host = {0};
        char blocks[TEXT_SIZE] = "";
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        int r = 0;

        if (!failure)
                r = host_take_inhibitors(&host.facts, reply);
        else if (!is_without_logind(failure))
                r = -sd_bus_error_get_errno(failure);
        if (r < 0) {
                host_state_clear(&host);
                op->state = reboot_free(self);
                op_finish(op, r, "logind does not say who holds a shutdown back: %s; nothing was done",
                          strerror(-r));
                return 0;
        }
        for (size_t i = 0; i < host.facts.inhibitor_count; i++) {
                const struct inhibitor_state *inhibitor = &host.facts.inhibitors[i];
                char *list = text_equal(inhibitor->mode, "delay") ? self->delays : blocks;
                size_t used = strlen(list);

                snprintf(list + used, TEXT_SIZE - used, "%s%s (%s)", used ? ", " : "", inhibitor->who,
                         inhibitor->why);
        }
        host_state_clear(&host);
        if (blocks[0]) {
                op->state = reboot_free(self);
                op_finish(op, -EBUSY,
                          "a shutdown of this host is inhibited by %s; there: systemd-inhibit --list; when "
                          "that has ended, try again",
                          blocks);
                return 0;
        }
        r = call_way(op);
        if (r < 0) {
                op->state = reboot_free(self);
                op_finish(op, r, "cannot ask for a reboot: %s", strerror(-r));
        }
        return 0;
}

/* A host without logind has no inhibitors. */
static int ask_inhibitors(struct op *op)
{
        struct reboot *self = op->state;
        int r = sd_bus_call_method_async(op->bus, &self->call, LOGIND, LOGIND_PATH, LOGIND ".Manager",
                                         "ListInhibitors", on_inhibitors, op, "");

        return r < 0 ? r : 0;
}

/* The request must be meant for this boot: a repeated one must never reboot the host that has come back. */
static int check_boot(const struct op *op, struct error *error)
{
        struct boot boot;
        int r;

        if (!op->request.boot_id[0])
                return error_set(error, -EINVAL, "the request does not say which boot it means to end");
        r = probe_boot(&boot, error);
        if (r < 0)
                return error_prefix(error, r, "this boot's id cannot be read, so no reboot could be proven");
        if (!text_equal(op->boot->id, op->request.boot_id) || !boot_id_same_kernel(boot.id, op->boot->id))
                return error_set(error, -ESTALE, "the request means boot %s, this is boot %s",
                                 op->request.boot_id, boot.id);
        if (op->request.soft && !op->boot->tells_soft)
                return error_set(
                        error, -ENOTSUP,
                        "no soft reboot of this host could be proven: when its userspace began is not "
                        "known");
        return 0;
}

static int start(struct op *op, struct error *error)
{
        cleanup_with(reboot_freep) struct reboot *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        if (!op->bus)
                return error_set(error, -ENOTCONN, "no system bus: is systemd running on this host?");
        r = check_boot(op, error);
        if (r < 0)
                return r;
        if (op->request.soft) {
                op_note(op, FIGURE_SOFT, "yes");
                r = op_commit_notes(op, error);
                if (r < 0)
                        return r;
        }
        log_info("%srebooting this host, as operation %s asks", op->request.soft ? "soft " : "",
                 op->request.id);
        op->state = self;
        r = ask_inhibitors(op);
        if (r < 0) {
                op->state = NULL;
                return error_prefix(error, r, "cannot ask for a reboot");
        }
        TAKE(self);
        return 0;
}

static void cancel(struct op *op)
{
        op->state = reboot_free(op->state);
}

const struct op_type op_host_reboot = {OPERATION_HOST_REBOOT, start, cancel};
