/* See host_facts.h. */
#include "agent/probe/host_facts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

#define MOUNTS_MOST    256u
#define LISTENERS_MOST 512u
#define ROWS_MOST      4096u /* of a table that is looked through */
#define KERNELS_MOST   256u
#define LISTENING      0x0a /* TCP_LISTEN, as the tables have it */

/* --- mounts ----------------------------------------------------------------------------------------------
 */

/* Container engines mount by the dozen, and what they mount goes and comes with the containers. */
static bool is_of_container(const struct mntent *mount)
{
        static const char *const places[] = {"/var/lib/docker/", "/var/lib/containers/", "/var/lib/kubelet/"};

        for (size_t i = 0; i < ELEMENTS(places); i++)
                if (text_starts(mount->mnt_dir, places[i]))
                        return true;
        return false;
}

bool host_facts_is_disk(const struct mntent *mount)
{
        static const char *const kinds[] = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "overlay"};

        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                if (text_equal(mount->mnt_type, kinds[i]))
                        return !is_of_container(mount);
        return false;
}

/* Whether somebody mounted it for a purpose of this host's own. */
static bool is_purposeful(const struct mntent *mount)
{
        static const char *const kinds[] = {
                "proc",       "sysfs",     "cgroup",    "cgroup2",  "devpts",      "devtmpfs",
                "mqueue",     "debugfs",   "hugetlbfs", "tracefs",  "pstore",      "securityfs",
                "configfs",   "fusectl",   "bpf",       "efivarfs", "binfmt_misc", "autofs",
                "rpc_pipefs", "selinuxfs", "nsfs",      "ramfs",
        };
        static const char *const places[] = {
                "/proc/",
                "/sys/",
                "/dev/",
                "/run/",
        };

        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                if (text_equal(mount->mnt_type, kinds[i]))
                        return false;
        for (size_t i = 0; i < ELEMENTS(places); i++)
                if (text_starts(mount->mnt_dir, places[i]))
                        return false;
        return !is_of_container(mount) && !text_equal(mount->mnt_dir, "/dev") &&
               !text_equal(mount->mnt_dir, "/run") && !text_equal(mount->mnt_dir, "/sys");
}

/* One word: blanks and the like stay as the kernel writes them, \040. */
static void write_mount(char out[WORD_SIZE], const struct mntent *mount)
{
        char *at = out + snprintf(out, WORD_SIZE, "%.60s:", mount->mnt_type);

        for (const char *c = mount->mnt_dir; *c && at + 5 < out + WORD_SIZE; c++) {
                if ((unsigned char)*c <= ' ' || *c == '\\')
                        at += sprintf(at, "\\%03o", (unsigned char)*c);
                else
                        *at++ = *c;
        }
        *at = '\0';
}

void host_facts_mounts(struct host_facts *facts, FILE *mounts)
{
        struct mntent mount;
        char strings[4096];

        facts->mounts = calloc(MOUNTS_MOST, sizeof(*facts->mounts));
        for (unsigned rows = 0; facts->mounts && getmntent_r(mounts, &mount, strings, sizeof(strings));
             rows++) {
                bool counts = is_purposeful(&mount);

                if (rows >= ROWS_MOST || (counts && facts->mount_count == MOUNTS_MOST)) {
                        facts->mounts_cut = true;
                        return;
                }
                if (!counts)
                        continue;
                write_mount(facts->mounts[facts->mount_count++], &mount);
        }
}

/* --- who listens -----------------------------------------------------------------------------------------
 */

/* "0100007F:18EB": bytes as they lie in memory, in words of 32 bits. False: not an address. */
static bool read_address(const char *hex, char *out, size_t size, unsigned *ret_port)
{
        unsigned char bytes[16];
        char text[INET6_ADDRSTRLEN];
        size_t length = strcspn(hex, ":");
        bool is_six = length == 32;
        uint32_t word[4];

        if ((length != 8 && !is_six) || sscanf(hex + length, ":%4x", ret_port) != 1)
                return false;
        for (size_t i = 0; i < length / 8; i++)
                if (sscanf(hex + i * 8, "%8x", &word[i]) != 1)
                        return false;
        memcpy(bytes, word, length / 2);
        if (!inet_ntop(is_six ? AF_INET6 : AF_INET, bytes, text, sizeof(text)))
                return false;
        snprintf(out, size, is_six ? "[%s]:%u" : "%s:%u", text, *ret_port);
        return true;
}

void host_facts_listeners(struct host_facts *facts, FILE *table, unsigned low, unsigned high)
{
        char line[512];

        if (!facts->listeners)
                facts->listeners = calloc(LISTENERS_MOST, sizeof(*facts->listeners));
        if (!facts->listeners || !fgets(line, sizeof(line), table))
                return;
        for (unsigned rows = 0; fgets(line, sizeof(line), table); rows++) {
                char local[64], word[ADDRESS_SIZE];
                unsigned state, port;

                if (sscanf(line, " %*[0-9]: %63s %*s %x", local, &state) != 2 || state != LISTENING)
                        return;
                if (!read_address(local, word, sizeof(word), &port) || (port >= low && port <= high))
                        continue;
                if (facts->listener_count == LISTENERS_MOST || rows >= ROWS_MOST) {
                        facts->listeners_cut = true;
                        return;
                }
                memcpy(facts->listeners[facts->listener_count++], word, sizeof(word));
        }
}

static void read_listeners(struct host_facts *facts)
{
        static const char *const tables[] = {"/proc/self/net/tcp", "/proc/self/net/tcp6"};
        cleanup_file FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
        unsigned low, high;

        if (!range || fscanf(range, "%u %u", &low, &high) != 2) {
                low = 32768;
                high = 60999;
        }
        for (size_t i = 0; i < ELEMENTS(tables); i++) {
                cleanup_file FILE *table = fopen(tables[i], "re");

                if (table)
                        host_facts_listeners(facts, table, low, high);
        }
}

/* --- kernels ---------------------------------------------------------------------------------------------
 */

int host_facts_kernel_order(const char *a, const char *b)
{
        while (*a && *b) {
                if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
                        char *after_a, *after_b;
                        unsigned long long left = strtoull(a, &after_a, 10),
                                           right = strtoull(b, &after_b, 10);

                        if (left != right)
                                return left < right ? -1 : 1;
                        a = after_a;
                        b = after_b;
                } else if (*a != *b) {
                        return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
                } else {
                        a++;
                        b++;
                }
        }
        return *a ? 1 : *b ? -1 : 0;
}

/* What follows the first "-" before a letter. */
static const char *flavour_of(const char *release)
{
        for (const char *c = release; *c; c++)
                if (*c == '-' && isalpha((unsigned char)c[1]))
                        return c + 1;
        return "";
}

bool host_facts_same_flavour(const char *a, const char *b)
{
        return text_equal(flavour_of(a), flavour_of(b));
}

static void take_kernel(struct host_facts *facts, const char *running, const char *release)
{
        if (isdigit((unsigned char)release[0]) && strlen(release) < sizeof(facts->kernel_newest) &&
            host_facts_same_flavour(running, release) &&
            host_facts_kernel_order(facts->kernel_newest, release) < 0)
                text_copy_clean(facts->kernel_newest, sizeof(facts->kernel_newest), release);
}

/* /boot says what can be booted; where nothing is in it (or it is not mounted) the modules do. */
static void read_kernels(struct host_facts *facts, const char *running)
{
        static const struct {
                const char *folder, *prefix;
        } places[] = {{"/boot", "vmlinuz-"}, {"/lib/modules", ""}};

        for (size_t i = 0; i < ELEMENTS(places) && !facts->kernel_newest[0]; i++) {
                cleanup_dir DIR *folder = opendir(places[i].folder);
                const struct dirent *entry;

                for (unsigned n = 0; folder && n < KERNELS_MOST && (entry = readdir(folder)); n++)
                        if (text_starts(entry->d_name, places[i].prefix))
                                take_kernel(facts, running, entry->d_name + strlen(places[i].prefix));
        }
}

/* The running one may have been removed since it was booted. */
static void read_newest(struct host_facts *facts, const char *running)
{
        read_kernels(facts, running);
        if (facts->kernel_newest[0] && host_facts_kernel_order(facts->kernel_newest, running) < 0)
                text_copy_clean(facts->kernel_newest, sizeof(facts->kernel_newest), running);
}

/* --- the clock -------------------------------------------------------------------------------------------
 */

static void read_clock(struct host_facts *facts)
{
        struct timex clock = {0};
        int r = adjtimex(&clock);

        if (r >= 0)
                facts->clock_sync = r == TIME_ERROR || (clock.status & STA_UNSYNC) ? CLOCK_UNSYNCHRONISED
                                                                                   : CLOCK_SYNCHRONISED;
}

void host_facts_read(struct host_facts *facts, const char *running_kernel)
{
        cleanup_file FILE *mounts = setmntent("/proc/self/mounts", "re");

        if (mounts)
                host_facts_mounts(facts, mounts);
        read_listeners(facts);
        read_newest(facts, running_kernel);
        read_clock(facts);
        facts->known = true;
}
