/* boot-constant: an id that does not change with a boot, or that another host has too, proves no reboot. */
#include "common/model/boot.h"
#include "controller/checks/check.h"

void check_boot_constant(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;
        const char *name = checking->host->name, *twin = NULL;
        struct finding *finding;

        for (size_t i = 0; i < checking->fleet->host_count && !twin; i++) {
                const struct plan_host_fact *other = &checking->facts->hosts[i];

                if (other != checking->fact && other->connected && other->state &&
                    boot_id_same_kernel(other->state->host.boot_id, host->boot_id))
                        twin = checking->fleet->hosts[i].name;
        }
        if (!host->boot_id[0] || (!twin && !host->boot_error[0]))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        if (twin)
                finding_evidence(finding,
                                 "%s and %s have the same boot id, %.8s…: that either was rebooted could "
                                 "not be proven",
                                 name, twin, host->boot_id);
        else
                finding_evidence(finding,
                                 "the boot id proves nothing (%s): that %s was rebooted could not be proven",
                                 host->boot_error, name);
        finding_advice(finding,
                       "on %s: cat /proc/sys/kernel/random/boot_id; a container needs one of its own "
                       "(systemd-nspawn gives it), or restart its services only: muster restart %s",
                       name, name);
}
