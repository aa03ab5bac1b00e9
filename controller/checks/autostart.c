/* autostart: would the service's systemd unit start by itself. */
#include <string.h>

#include "common/base/text.h"
#include "controller/checks/check.h"

/* What each UnitFileState (systemctl(1), is-enabled) means for the next boot. */
static const struct autostart {
        const char *state;
        enum severity severity; /* NONE: it will start */
        bool fixable;
        const char *meaning;
} autostarts[] = {
        {"enabled", SEVERITY_NONE, false, ""},
        {"alias", SEVERITY_NONE, false, ""},
        {"generated", SEVERITY_NONE, false, ""},
        {"disabled", SEVERITY_BLOCKS, true, "it will not start at boot"},
        {"linked", SEVERITY_BLOCKS, true, "it will not start at boot"},
        {"indirect", SEVERITY_WARNS, false,
         "its [Install] section enables other units only (Also=): it starts at boot if one of those starts "
         "it"},
        {"enabled-runtime", SEVERITY_BLOCKS, true, "the next reboot forgets it"},
        {"linked-runtime", SEVERITY_BLOCKS, false, "the next reboot forgets the unit itself"},
        {"transient", SEVERITY_BLOCKS, false, "the next reboot forgets the unit itself"},
        {"static", SEVERITY_INFORMS, false, "it starts at boot only if another unit wants it"},
        {"masked", SEVERITY_BLOCKS, false, "it cannot be started at all"},
        {"masked-runtime", SEVERITY_BLOCKS, false, "it cannot be started until the next reboot"},
};

/* "u@bds.service": enabling makes a link of its own. A unit that is no instance stays indirect whatever one
 * enables. */
static bool is_instance(const char *name)
{
        const char *at = strchr(name, '@');

        return at && at[1] && at[1] != '.';
}

static const struct autostart *find_autostart(const char *state, const char *name)
{
        static const struct autostart of_instance = {
                "indirect", SEVERITY_BLOCKS, true,
                "other instances or units of it start at boot, this one does not"};

        if (text_equal(state, "indirect") && is_instance(name))
                return &of_instance;
        for (size_t i = 0; i < sizeof(autostarts) / sizeof(autostarts[0]); i++)
                if (text_equal(autostarts[i].state, state))
                        return &autostarts[i];
        return NULL;
}

void check_autostart(struct checking *checking)
{
        const struct unit_state *unit = &checking->state->unit;
        /* systemd enables nothing by an alias, and an alias says nothing of what it stands for. */
        const char *name = check_plain(unit->id, checking->service->spec.unit),
                   *state = unit->unit_file_state;
        const char *host = checking->host->name;
        const struct autostart *autostart = find_autostart(state, name);
        struct finding *finding;

        if (!checking->service->spec.unit[0] || !unit->present)
                return;
        if (autostart && autostart->severity == SEVERITY_NONE)
                return;
        finding = finding_add(checking, autostart ? autostart->severity : SEVERITY_WARNS);
        finding_evidence(finding, "%s on %s is %s: %s", name, host,
                         state[0] ? state : "of unknown enablement",
                         autostart ? autostart->meaning : "whether it starts at boot is not known");
        if (text_starts(state, "masked"))
                finding_advice(finding, "on %s: systemctl unmask %s && systemctl enable %s", host, name,
                               name);
        else if (text_equal(state, "static"))
                finding_advice(finding,
                               "on %s: systemctl list-dependencies --reverse %s shows who wants it; if "
                               "nobody does, give the unit an [Install] section",
                               host, name);
        else if (text_equal(state, "indirect") && !autostart->fixable)
                finding_advice(finding,
                               "on %s: systemctl cat %s, and see that what Also= names is enabled and starts "
                               "it; else give it a WantedBy= (systemctl edit %s), then systemctl enable %s",
                               host, name, name, name);
        else if (autostart && autostart->fixable)
                finding_advice(finding, "muster check %s --fix, or on %s: systemctl enable %s",
                               checking->service->spec.name, host, name);
        else
                finding_advice(finding,
                               "on %s: put the unit's file into /etc/systemd/system, then systemctl "
                               "enable %s",
                               host, name);
        if (autostart && autostart->fixable) {
                finding_fix(finding, checking, OPERATION_UNIT_ENABLE);
                TEXT_COPY(finding->fix_service.unit, name);
        }
}
