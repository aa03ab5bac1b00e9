/* Checks of a host and its agent: is it there, would it come back, could that be proven. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/time.h"
#include "controller/core/check.h"

#define AGENT_UNIT "muster-agent.service"

/* An agent puts its clock into a state as it sends it; on a busy link that may be read a moment later. */
#define CLOCK_LIMIT_US (3 * USEC_PER_SEC)

void check_connected(struct checking *checking)
{
        const char *name = checking->host->name;
        struct finding *finding;

        if (checking->agent && !checking->fact->late)
                return;
        finding = finding_add(checking, checking->agent ? SEVERITY_WARNS : SEVERITY_BLOCKS);
        if (checking->agent) {
                uint64_t then = checking->fact->state_us, now = checking->now_us;

                finding_evidence(finding, "%s did not look anew in time; what is said of it was so %s ago",
                                 name, CHECK_SPAN(then < now ? now - then : 0));
                finding_advice(
                        finding,
                        "muster status %s shows what does not answer; journalctl -u muster-agent there "
                        "says more",
                        name);
        } else if (checking->fact->state) {
                finding_evidence(finding, "the agent of %s is not connected; nothing of it could be checked",
                                 name);
                finding_advice(finding,
                               "on %s: systemctl start muster-agent; journalctl -u muster-agent says why "
                               "it does not connect",
                               name);
        } else {
                finding_evidence(finding, "%s has never been seen", name);
                finding_advice(finding, "muster host invite %s, then on %s: muster-agent join LINE", name,
                               name);
        }
}

void check_boot_id(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;
        struct finding *finding;

        if (host->stopping) {
                finding = finding_add(checking, SEVERITY_BLOCKS);
                finding_evidence(finding, "a shutdown of %s is under way", checking->host->name);
                finding_advice(finding, "wait until it is back: muster status %s --watch",
                               checking->host->name);
        }
        if (host->boot_id[0])
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding, "the boot id cannot be read (%s): that %s was rebooted could not be proven",
                         host->boot_error[0] ? host->boot_error : "no reason given", checking->host->name);
        finding_advice(finding,
                       "on %s: cat /proc/sys/kernel/random/boot_id, and mend what keeps the agent from "
                       "reading it",
                       checking->host->name);
}

/* An id that does not change with a boot, or that another host has too, proves no reboot. */
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

void check_agent_autostart(struct checking *checking)
{
        const char *enabled = checking->agent->host.agent_enabled, *host = checking->host->name;
        struct finding *finding;

        if (text_equal(enabled, "enabled"))
                return;
        finding = finding_add(checking, SEVERITY_BLOCKS);
        finding_evidence(finding,
                         "muster-agent itself is %s: after a reboot of %s nothing would report from there",
                         enabled[0] ? enabled : "not known to systemd as a unit", host);
        finding_advice(finding, "on %s: systemctl enable muster-agent", host);
        if (!enabled[0] || text_starts(enabled, "masked"))
                return;
        finding->fix = OPERATION_UNIT_ENABLE;
        finding->fix_service = (struct service_spec){.kind = SERVICE_UNIT};
        TEXT_COPY(finding->fix_service.name, "muster-agent");
        TEXT_COPY(finding->fix_service.unit, AGENT_UNIT);
}

void check_agent_version(struct checking *checking)
{
        const char *version = checking->agent->host.agent_version;
        struct finding *finding;

        if (text_equal(version, MUSTER_VERSION))
                return;
        finding = finding_add(checking, SEVERITY_INFORMS);
        finding_evidence(finding, "the agent of %s is version %s, the controller %s", checking->host->name,
                         version[0] ? version : "unknown", MUSTER_VERSION);
        finding_advice(finding, "install muster %s on %s, then there: systemctl restart muster-agent",
                       MUSTER_VERSION, checking->host->name);
}

void check_clock(struct checking *checking)
{
        uint64_t theirs = checking->agent->host.clock_us, ours = checking->fact->state_us;
        uint64_t apart = theirs > ours ? theirs - ours : ours - theirs;
        struct finding *finding;

        if (ours == 0 || apart <= CLOCK_LIMIT_US)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "the clock of %s is %s %s the controller's", checking->host->name,
                         CHECK_SPAN(apart), theirs > ours ? "ahead of" : "behind");
        finding_advice(finding,
                       "on %s: timedatectl set-ntp true; times in logs cannot be compared until then",
                       checking->host->name);
}

void check_disk(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;

        if (host->disks_hung) {
                struct finding *hung = finding_add(checking, SEVERITY_BLOCKS);

                finding_evidence(hung,
                                 "a file system of %s does not answer; what is said of its disks is old",
                                 checking->host->name);
                finding_advice(hung,
                               "on %s: dmesg | tail; mount; mend the disk or the network file system first",
                               checking->host->name);
        }
        for (size_t i = 0; i < host->disk_count; i++) {
                const struct disk_state *disk = &host->disks[i];
                double free_share =
                        disk->total_bytes ? (double)disk->available_bytes / (double)disk->total_bytes : 1;
                struct finding *finding;

                if (free_share >= 0.10)
                        continue;
                finding = finding_add(checking, free_share < 0.02 ? SEVERITY_BLOCKS : SEVERITY_WARNS);
                finding_evidence(finding, "%s on %s has %s free of %s (%.1f%%)", disk->mount,
                                 checking->host->name, CHECK_BYTES(disk->available_bytes),
                                 CHECK_BYTES(disk->total_bytes), free_share * 100);
                finding_advice(finding, "on %s: du -xh --max-depth=2 %s | sort -h | tail, and make room",
                               checking->host->name, check_plain(disk->mount, "MOUNT"));
        }
}

void check_failed_units(struct checking *checking)
{
        const struct host_state *host = &checking->agent->host;
        struct finding *finding;
        char names[TEXT_SIZE] = "";
        size_t shown = 0, n = 0;

        if (host->failed_unit_count == 0)
                return;
        for (; shown < host->failed_unit_count && shown < 5; shown++) {
                int wanted = snprintf(names + n, sizeof(names) - n, "%s%s", shown ? ", " : "",
                                      host->failed_units[shown]);

                if (wanted < 0 || (size_t)wanted >= sizeof(names) - n)
                        break;
                n += (size_t)wanted;
        }
        names[n] = '\0';
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding, "%zu failed unit%s: %s%s", host->failed_unit_count,
                         host->failed_unit_count == 1 ? "" : "s", names,
                         shown < host->failed_unit_count ? ", ..." : "");
        finding_advice(finding, "on %s: systemctl status %s; mend it, or systemctl reset-failed",
                       checking->host->name, check_plain(host->failed_units[0], "UNIT"));
}

/* What the Redis instances of a host may grow to, against its memory: by maxmemory where it is set, else by
 * what they use now. */
void check_memory(struct checking *checking)
{
        const struct agent_state *agent = checking->agent;
        uint64_t promised = 0, total = agent->host.memory_total, unlimited = 0, count = 0;
        struct finding *finding;

        for (size_t i = 0; i < agent->service_count; i++) {
                const struct redis_state *redis = &agent->services[i].redis;
                uint64_t bytes = redis->max_memory ? redis->max_memory : redis->used_memory;

                if (agent->services[i].kind != SERVICE_REDIS || !redis->answering)
                        continue;
                count++;
                unlimited += redis->max_memory == 0;
                if (__builtin_add_overflow(promised, bytes, &promised))
                        promised = UINT64_MAX;
        }
        if (total == 0 || count == 0 || (double)promised <= 0.9 * (double)total)
                return;
        finding = finding_add(checking, SEVERITY_WARNS);
        finding_evidence(finding,
                         "%" PRIu64 " Redis on %s may use %s of its %s memory (%" PRIu64
                         " without a maxmemory counted as they are now)",
                         count, checking->host->name, CHECK_BYTES(promised), CHECK_BYTES(total), unlimited);
        finding_advice(finding,
                       "lower maxmemory (redis-cli CONFIG SET maxmemory BYTES, and in its file), or give "
                       "%s more memory: a reload that does not fit is killed by the kernel",
                       checking->host->name);
}
