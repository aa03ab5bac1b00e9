/* The set of what is watched: when each reader runs, what is newest, when somebody is told. See probe.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/probe/host.h"
#include "agent/probe/probe.h"
#include "agent/probe/unit_facts.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define TELL_AFTER_USEC (100 * USEC_PER_MSEC)
#define TELL_EVERY_USEC (10 * USEC_PER_SEC)
#define HOST_EVERY_USEC (10 * USEC_PER_SEC)
#define HOST_FRESH_USEC (1 * USEC_PER_SEC)   /* while something has just changed, or is about to */
#define FRESH_USEC      (15 * USEC_PER_SEC)  /* how long a service that became ready is looked at closely */
#define SOON_USEC       (20 * USEC_PER_MSEC) /* changes of a unit come in bunches */
#define EVERY_MOVING    (250 * USEC_PER_MSEC)
#define EVERY_FRESH     (500 * USEC_PER_MSEC)
#define EVERY_NOT_READY (1 * USEC_PER_SEC)
#define EVERY_AT_REST   (5 * USEC_PER_SEC)
#define EVERY_LIST      (15 * USEC_PER_SEC) /* PM2's at rest: a megabyte, and its daemon's work more than ours */
#define EVERY_FACTS     (30 * USEC_PER_SEC) /* of units at rest; systemd says when they change */

struct entry {
        struct probe probe; /* first: probe_done finds its entry by it */
        const struct probe_reader *reader;
        unit_facts *facts; /* being asked */
        sd_bus_slot *changes;
        uint64_t facts_us; /* when they were asked for; 0: they have to be now */
        sd_event_source *timer;
        uint64_t due_us; /* when the timer ends; monotonic */
        struct service_state state;
        uint64_t ready_since_us; /* monotonic; 0 not ready */
        uint64_t moved_us;       /* monotonic: when its progress last moved */
        bool reading, again, known;
        uint64_t begun_us, seen_us; /* monotonic: the newest reading's begin, and state's own */
};

struct probe_set {
        sd_event *event;
        sd_bus *bus;
        char *folder;
        probe_changed changed;
        void *userdata;
        host_reader *host;
        bool host_known, host_wanted;
        uint64_t host_seen_us; /* when the reading that is known began; monotonic */
        uint64_t host_print;   /* of what host_fingerprint looks at */
        uint64_t awaited_us; /* readings that begin from then on are awaited by whoever asked for a refresh */
        sd_event_source *host_timer, *tell_timer;
        sd_bus_slot *jobs, *files, *reloads;
        uint64_t told_us;
        struct entry **entries; /* of their own: probes are pointed at */
        size_t count;
        struct agent_state view; /* what probe_set_state shows; services point into entries' states */
};

static const struct probe_reader *reader_of(enum service_kind kind)
{
        static const struct probe_reader *const readers[] = {&probe_unit, &probe_redis, &probe_tile38,
                                                             &probe_pm2};

        for (size_t i = 0; i < ELEMENTS(readers); i++)
                if (readers[i]->kind == kind)
                        return readers[i];
        return NULL;
}

/* --- telling ----------------------------------------------------------------------------------------------
 */

uint64_t probe_set_seen_us(const probe_set *set)
{
        uint64_t seen_us = set->host_seen_us;

        if (!set->host_known)
                return 0;
        for (size_t i = 0; i < set->count; i++) {
                const struct entry *entry = set->entries[i];

                if (!entry->known)
                        return 0;
                if (entry->seen_us < seen_us)
                        seen_us = entry->seen_us;
        }
        return seen_us;
}

static int on_tell(sd_event_source *source, uint64_t now_us, void *userdata)
{
        probe_set *set = userdata;

        set->told_us = time_monotonic_us();
        sd_event_source_set_time_relative(set->tell_timer, TELL_EVERY_USEC);
        sd_event_source_set_enabled(set->tell_timer, SD_EVENT_ONESHOT);
        if (probe_set_seen_us(set))
                set->changed(set, set->userdata);
        return 0;
}

/* Tells soon, but not more often than every TELL_AFTER_USEC. */
static void tell_soon(probe_set *set)
{
        uint64_t since = time_monotonic_us() - set->told_us;

        sd_event_source_set_time_relative(set->tell_timer,
                                          since >= TELL_AFTER_USEC ? 0 : TELL_AFTER_USEC - since);
        sd_event_source_set_enabled(set->tell_timer, SD_EVENT_ONESHOT);
}

/* Whether a reading that began at seen_us is the first to answer the newest refresh. One that was under way
 * when that was asked for may have seen what was before. */
static bool is_awaited(const probe_set *set, uint64_t before_us, uint64_t seen_us)
{
        return before_us < set->awaited_us && seen_us >= set->awaited_us;
}

static uint64_t print_bytes(uint64_t print, const void *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                print = (print ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3; /* FNV-1a */
        return print;
}

/* What people and runs would want to hear of at once when it changes. */
static uint64_t host_fingerprint(const struct host_state *host)
{
        const struct host_facts *facts = &host->facts;
        uint64_t print = 0xcbf29ce484222325;

        for (size_t i = 0; i < host->failed_unit_count; i++)
                print = print_bytes(print, host->failed_units[i], strlen(host->failed_units[i]) + 1);
        for (size_t i = 0; i < facts->mount_count; i++)
                print = print_bytes(print, facts->mounts[i], strlen(facts->mounts[i]) + 1);
        for (size_t i = 0; i < facts->listener_count; i++)
                print = print_bytes(print, facts->listeners[i], strlen(facts->listeners[i]) + 1);
        for (size_t i = 0; i < facts->inhibitor_count; i++)
                print = print_bytes(print, facts->inhibitors[i].who, strlen(facts->inhibitors[i].who) + 1);
        for (size_t i = 0; i < facts->stopping_count; i++)
                print = print_bytes(print, facts->stopping[i], strlen(facts->stopping[i]) + 1);
        return print_bytes(print, facts->system_state, strlen(facts->system_state));
}

/* Just booted, on its way down, or with a service that has just changed. */
static bool is_moving(const probe_set *set)
{
        const struct host_state *host = host_reader_state(set->host);

        if (!set->host_known || host->stopping || text_equal(host->facts.system_state, "starting"))
                return true;
        for (size_t i = 0; i < set->count; i++) {
                const struct entry *entry = set->entries[i];

                if (entry->ready_since_us && time_monotonic_us() - entry->ready_since_us < FRESH_USEC)
                        return true;
        }
        return false;
}

static void on_host_read(bool urgent, void *userdata)
{
        probe_set *set = userdata;
        uint64_t print = host_fingerprint(host_reader_state(set->host));
        uint64_t seen_us = host_reader_looked_us(set->host);
        bool awaited = is_awaited(set, set->host_seen_us, seen_us);

        if (!set->host_known || awaited || set->host_wanted || urgent || print != set->host_print ||
            is_moving(set))
                tell_soon(set);
        set->host_print = print;
        set->host_known = true;
        set->host_seen_us = seen_us;
        if (!urgent)
                set->host_wanted = false;
}

static int on_host_timer(sd_event_source *source, uint64_t now_us, void *userdata)
{
        probe_set *set = userdata;

        host_reader_start(set->host);
        sd_event_source_set_time_relative(source, is_moving(set) ? HOST_FRESH_USEC : HOST_EVERY_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void probe_set_look_at_host(probe_set *set)
{
        set->host_wanted = true;
        sd_event_source_set_time_relative(set->host_timer, 0);
        sd_event_source_set_enabled(set->host_timer, SD_EVENT_ONESHOT);
}

/* --- reading one service ----------------------------------------------------------------------------------
 */

/* At rest the exact moment does not matter, and timers that may wait for others cost less. */
static void read_later(struct entry *entry, uint64_t delay_us)
{
        entry->due_us = time_monotonic_us() + delay_us;
        sd_event_source_set_time(entry->timer, entry->due_us);
        sd_event_source_set_time_accuracy(entry->timer,
                                          delay_us < EVERY_NOT_READY ? USEC_PER_MSEC : 100 * USEC_PER_MSEC);
        sd_event_source_set_enabled(entry->timer, SD_EVENT_ONESHOT);
}

/* Its unit changed: soon, and not later for being said again. */
static void read_soon(struct entry *entry)
{
        entry->facts_us = 0;
        if (entry->reading)
                entry->again = true;
        else if (entry->due_us > time_monotonic_us() + SOON_USEC)
                read_later(entry, SOON_USEC);
}

static bool is_at_rest(const struct entry *entry)
{
        return entry->state.phase == PHASE_READY && time_monotonic_us() - entry->ready_since_us >= FRESH_USEC;
}

static uint64_t pause_after(const struct entry *entry)
{
        if (is_at_rest(entry))
                return entry->probe.spec.kind == SERVICE_PM2 ? EVERY_LIST : EVERY_AT_REST;
        switch (entry->state.phase) {
        case PHASE_LOADING:
        case PHASE_STARTING:
                return EVERY_MOVING;
        case PHASE_READY:
                return EVERY_FRESH;
        default:
                return EVERY_NOT_READY;
        }
}

/* Whether people or gates would want to know; numbers that always move (memory, offsets) do not count. */
static bool is_news(const struct entry *entry, const struct service_state *now)
{
        const struct service_state *before = &entry->state;

        return !entry->known || before->phase != now->phase || !text_equal(before->detail, now->detail) ||
               before->progress_done != now->progress_done ||
               !text_equal(before->unit.active_state, now->unit.active_state) ||
               !text_equal(before->unit.unit_file_state, now->unit.unit_file_state) ||
               !text_equal(before->redis.run_id, now->redis.run_id) ||
               (now->phase == PHASE_READY && time_monotonic_us() - entry->ready_since_us < FRESH_USEC);
}

/* Whether it was started anew between two readings that both found it ready. */
static bool is_another(const struct service_state *before, const struct service_state *now)
{
        return (before->redis.run_id[0] && now->redis.run_id[0] &&
                !text_equal(before->redis.run_id, now->redis.run_id)) ||
               (before->unit.main_pid && now->unit.main_pid && before->unit.main_pid != now->unit.main_pid) ||
               (before->unit.active_enter_us && now->unit.active_enter_us &&
                before->unit.active_enter_us != now->unit.active_enter_us);
}

void probe_done(struct probe *probe, struct service_state *state)
{
        struct entry *entry = (struct entry *)probe;
        bool news;

        TEXT_COPY(state->name, probe->spec.name);
        state->kind = probe->spec.kind;
        state->unit = probe->unit;
        if (state->phase != PHASE_READY)
                entry->ready_since_us = 0;
        else if (!entry->ready_since_us || is_another(&entry->state, state))
                entry->ready_since_us = time_monotonic_us();
        if (!entry->known || state->progress_done != entry->state.progress_done ||
            state->progress_total != entry->state.progress_total)
                entry->moved_us = time_monotonic_us();
        news = is_news(entry, state) || is_awaited(probe->set, entry->seen_us, entry->begun_us);
        entry->seen_us = entry->begun_us;
        service_state_clear(&entry->state);
        entry->state = *state;
        *state = (struct service_state){0};
        entry->known = true;
        entry->reading = false;
        read_later(entry, entry->again ? 0 : pause_after(entry));
        entry->again = false;
        if (news)
                tell_soon(probe->set);
}

/* A reader that cannot even begin says so in the state. */
static void read_service(struct entry *entry)
{
        struct service_state state = {.phase = PHASE_UNKNOWN};
        int r = entry->reader->read(&entry->probe);

        if (r >= 0)
                return;
        snprintf(state.detail, sizeof(state.detail), "cannot be read: %s", strerror(-r));
        probe_done(&entry->probe, &state);
}

static void on_unit(int result, const struct unit_state *unit, void *userdata)
{
        struct entry *entry = userdata;

        entry->facts = NULL;
        /* What was true of it before is no answer now. */
        entry->probe.unit = result < 0 ? (struct unit_state){0} : *unit;
        read_service(entry);
}

/* Asking systemd costs it more than the rest of a reading: at rest it tells us itself. */
static bool wants_facts(const struct entry *entry)
{
        return entry->probe.bus && entry->probe.spec.unit[0] &&
               (!entry->facts_us || is_awaited(entry->probe.set, entry->seen_us, entry->begun_us) ||
                !entry->probe.unit.load_state[0] || !is_at_rest(entry) ||
                time_monotonic_us() - entry->facts_us >= EVERY_FACTS);
}

static int on_due(sd_event_source *source, uint64_t now_us, void *userdata)
{
        struct entry *entry = userdata;

        if (entry->reading) {
                entry->again = true;
                return 0;
        }
        entry->reading = true;
        entry->begun_us = time_monotonic_us();
        if (wants_facts(entry)) {
                entry->facts_us = time_monotonic_us();
                if (unit_facts_ask(&entry->facts, entry->probe.bus, entry->probe.spec.unit, on_unit, entry) >=
                    0)
                        return 0;
                entry->probe.unit = (struct unit_state){0};
        }
        read_service(entry);
        return 0;
}

void probe_set_look_at_service(probe_set *set, const char *name)
{
        for (size_t i = 0; i < set->count; i++)
                if (text_equal(set->entries[i]->probe.spec.name, name))
                        read_soon(set->entries[i]);
        probe_set_look_at_host(set);
}

/* systemd finished a job: whoever has that unit is read again at once. */
static int on_job(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
        probe_set *set = userdata;
        const char *unit;
        uint32_t id;

        if (sd_bus_message_read(message, "uos", &id, NULL, &unit) < 0)
                return 0;
        for (size_t i = 0; i < set->count; i++)
                if (text_equal(set->entries[i]->probe.spec.unit, unit) ||
                    text_equal(set->entries[i]->probe.unit.id, unit))
                        read_soon(set->entries[i]);
        if (host_reader_state(set->host)->stopping)
                probe_set_look_at_host(set); /* one thing less that the shutdown waits for */
        return 0;
}

/* Something about its unit changed: a process died, a job of somebody else's began. */
static int on_unit_changed(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
        read_soon(userdata);
        return 0;
}

static int watch_unit(struct entry *entry)
{
        cleanup_free char *path = NULL;
        int r;

        if (!entry->probe.bus || !entry->probe.spec.unit[0])
                return 0;
        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", entry->probe.spec.unit, &path);
        return r < 0 ? r
                     : sd_bus_match_signal_async(entry->probe.bus, &entry->changes,
                                                 "org.freedesktop.systemd1", path,
                                                 "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                                 on_unit_changed, NULL, entry);
}

/* --- the set ----------------------------------------------------------------------------------------------
 */

static struct entry *entry_free(struct entry *entry)
{
        if (!entry)
                return NULL;
        unit_facts_cancel(entry->facts);
        sd_bus_slot_unref(entry->changes);
        entry->reader->cancel(&entry->probe);
        sd_event_source_disable_unref(entry->timer);
        service_state_clear(&entry->state);
        free(entry);
        return NULL;
}

static int entry_new(struct entry **ret, probe_set *set, const struct service_spec *spec)
{
        struct entry *entry = calloc(1, sizeof(*entry));
        int r;

        if (!entry)
                return -ENOMEM;
        entry->reader = reader_of(spec->kind);
        entry->probe = (struct probe){
                .set = set,
                .event = set->event,
                .bus = set->bus,
                .agent_folder = set->folder,
                .spec = *spec,
        };
        r = entry->reader ? sd_event_add_time_relative(set->event, &entry->timer, CLOCK_BOOTTIME, 0,
                                                       USEC_PER_MSEC, on_due, entry)
                          : -EINVAL;
        if (r >= 0)
                r = watch_unit(entry);
        if (r < 0) {
                sd_event_source_disable_unref(entry->timer);
                free(entry);
                return r;
        }
        *ret = entry;
        return 0;
}

/* Unit files were changed or read again: what is enabled may be another thing now. */
static int on_files_changed(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
        probe_set *set = userdata;

        for (size_t i = 0; i < set->count; i++)
                if (set->entries[i]->probe.spec.unit[0])
                        read_soon(set->entries[i]);
        return 0;
}

static int watch_systemd(probe_set *set)
{
        const struct {
                sd_bus_slot **slot;
                const char *signal;
                sd_bus_message_handler_t handler;
        } table[] = {
                {&set->jobs, "JobRemoved", on_job},
                {&set->files, "UnitFilesChanged", on_files_changed},
                {&set->reloads, "Reloading", on_files_changed},
        };

        for (size_t i = 0; i < ELEMENTS(table); i++) {
                int r = sd_bus_match_signal_async(
                        set->bus, table[i].slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager", table[i].signal, table[i].handler, NULL, set);

                if (r < 0)
                        return r;
        }
        return sd_bus_call_method_async(set->bus, NULL, "org.freedesktop.systemd1",
                                        "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                        "Subscribe", NULL, NULL, "");
}

int probe_set_new(probe_set **ret, sd_event *event, sd_bus *bus, const char *agent_folder,
                  uint64_t userspace_us, probe_changed changed, void *userdata)
{
        probe_set *set = calloc(1, sizeof(*set));
        int r;

        if (!set)
                return -ENOMEM;
        set->event = event;
        set->bus = bus;
        set->changed = changed;
        set->userdata = userdata;
        set->folder = strdup(agent_folder);
        r = set->folder
                    ? host_reader_new(&set->host, event, bus, set->folder, userspace_us, on_host_read, set)
                    : -ENOMEM;
        if (r >= 0)
                r = sd_event_add_time_relative(event, &set->host_timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC,
                                               on_host_timer, set);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &set->tell_timer, CLOCK_BOOTTIME, TELL_EVERY_USEC,
                                               USEC_PER_MSEC, on_tell, set);
        if (r >= 0 && bus)
                r = watch_systemd(set);
        if (r < 0) {
                probe_set_free(set);
                return r;
        }
        *ret = set;
        return 0;
}

probe_set *probe_set_free(probe_set *set)
{
        if (!set)
                return NULL;
        for (size_t i = 0; i < set->count; i++)
                entry_free(set->entries[i]);
        free(set->entries);
        free(set->view.services);
        host_reader_free(set->host);
        sd_event_source_disable_unref(set->host_timer);
        sd_event_source_disable_unref(set->tell_timer);
        sd_bus_slot_unref(set->jobs);
        sd_bus_slot_unref(set->files);
        sd_bus_slot_unref(set->reloads);
        free(set->folder);
        free(set);
        return NULL;
}

/* The entry that watches exactly this already, taken out of the set; NULL if there is none. */
static struct entry *take_same(probe_set *set, const struct service_spec *spec)
{
        for (size_t i = 0; i < set->count; i++)
                if (set->entries[i] && memcmp(&set->entries[i]->probe.spec, spec, sizeof(*spec)) == 0)
                        return TAKE(set->entries[i]);
        return NULL;
}

int probe_set_configure(probe_set *set, const struct service_spec *services, size_t count)
{
        cleanup_free struct entry **entries = calloc(count + 1, sizeof(struct entry *));
        struct service_state *view = calloc(count + 1, sizeof(*view));
        int r = entries && view ? 0 : -ENOMEM;

        /* New ones first: a failure must leave the set as it was. */
        for (size_t i = 0; i < count && r == 0; i++) {
                bool kept = false;

                for (size_t k = 0; k < set->count && !kept; k++)
                        kept = memcmp(&set->entries[k]->probe.spec, &services[i], sizeof(services[i])) == 0;
                if (!kept)
                        r = entry_new(&entries[i], set, &services[i]);
        }
        if (r < 0) {
                for (size_t i = 0; entries && i < count; i++)
                        entry_free(entries[i]);
                free(view);
                return r;
        }
        for (size_t i = 0; i < count; i++)
                if (!entries[i])
                        entries[i] = take_same(set, &services[i]);
        for (size_t i = 0; i < set->count; i++)
                entry_free(set->entries[i]);
        free(set->entries);
        free(set->view.services);
        set->entries = TAKE(entries);
        set->view.services = view;
        set->count = 0;
        for (size_t i = 0; i < count; i++)
                if (set->entries[i]) /* NULL: the same service named twice */
                        set->entries[set->count++] = set->entries[i];
        return 0;
}

void probe_set_refresh(probe_set *set)
{
        set->awaited_us = time_monotonic_us();
        sd_event_source_set_time_relative(set->host_timer, 0);
        sd_event_source_set_enabled(set->host_timer, SD_EVENT_ONESHOT);
        for (size_t i = 0; i < set->count; i++)
                read_later(set->entries[i],
                           0); /* once more where a reading is under way: on_due sees to it */
}

const struct agent_state *probe_set_state(const probe_set *set)
{
        struct agent_state *view = &((probe_set *)set)->view; /* a cache of what the entries hold */
        uint64_t now = time_monotonic_us();

        view->host = *host_reader_state(set->host);
        view->host.clock_us = time_realtime_us();
        view->service_count = set->count;
        for (size_t i = 0; i < set->count; i++) {
                const struct entry *entry = set->entries[i];

                view->services[i] = entry->state;
                view->services[i].ready_for_ms =
                        entry->ready_since_us ? (now - entry->ready_since_us) / 1000 : 0;
                view->services[i].progress_still_ms =
                        entry->state.progress_total || entry->state.progress_done
                                ? (now - entry->moved_us) / 1000
                                : 0;
                TEXT_COPY(view->services[i].name, entry->probe.spec.name);
                view->services[i].kind = entry->probe.spec.kind;
        }
        return view;
}
