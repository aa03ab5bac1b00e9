/* See cmd_status_view.h. Written for somebody who was woken: what is wrong is coloured and named, numbers
 * carry their units, and a host that is down shows when it was last seen rather than what it said then. */
#include "cli/cmd_status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define NOTE_SIZE 512

/* Appends to out, parted by separator. */
__attribute__((format(printf, 4, 5))) static void add(char *out, size_t size, const char *separator,
                                                      const char *format, ...)
{
        size_t used = strlen(out);
        va_list arguments;

        if (used && used < size)
                used += (size_t)snprintf(out + used, size - used, "%s", separator);
        if (used >= size)
                return;
        va_start(arguments, format);
        vsnprintf(out + used, size - used, format, arguments);
        va_end(arguments);
}

/* "2 h 13 min ago"; "-" for a time that is not known. */
static void ago_text(char *out, size_t size, uint64_t now_us, uint64_t then_us)
{
        char length[40];

        if (then_us == 0) {
                snprintf(out, size, "never");
                return;
        }
        time_duration_text(length, sizeof(length), now_us > then_us ? now_us - then_us : 0);
        snprintf(out, size, "%s ago", length);
}

/* "2026-11-23 21:05:09" in UTC. */
static void clock_text(char *out, size_t size, uint64_t us)
{
        char full[TIME_TEXT_SIZE];

        time_text(full, us);
        full[19] = '\0';
        full[10] = ' ';
        snprintf(out, size, "%s", full);
}

/* --- services --- */

static void redis_detail(const Muster__V1__RedisState *redis, char *out, size_t size)
{
        char used[24], aof[24], base[24], more[24];

        if (!redis->answering) {
                add(out, size, ", ", "no answer%s%s", redis->error[0] ? ": " : "", redis->error);
                return;
        }
        add(out, size, ", ", "%s", text_equal(redis->role, "slave") ? "replica" : redis->role);
        if (text_equal(redis->role, "slave") && !redis->loading)
                add(out, size, ", ", "%s",
                    redis->sync_in_progress ? "in full sync"
                    : redis->master_link_up ? "in sync"
                                            : "NO LINK TO ITS MASTER");
        text_bytes(used, sizeof(used), redis->used_memory);
        if (!redis->loading)
                add(out, size, ", ", "%" PRIu64 " keys", redis->keys);
        add(out, size, ", ", "%s", used);
        if (!redis->aof_enabled) {
                add(out, size, ", ", "no AOF");
                return;
        }
        text_bytes(aof, sizeof(aof), redis->base_bytes + redis->incremental_bytes);
        text_bytes(base, sizeof(base), redis->base_bytes);
        text_bytes(more, sizeof(more), redis->incremental_bytes);
        if (redis->base_bytes || redis->incremental_bytes)
                add(out, size, ", ", "AOF %s (base %s + %s)", aof, base, more);
        else {
                text_bytes(aof, sizeof(aof), redis->aof_current_size);
                add(out, size, ", ", "AOF %s", aof);
        }
        if (redis->aof_rewrite_in_progress)
                add(out, size, ", ", "rewriting");
        if (redis->aof_last_write_status[0] && !text_equal(redis->aof_last_write_status, "ok"))
                add(out, size, ", ", "AOF WRITE %s", redis->aof_last_write_status);
}

static void tile38_detail(const Muster__V1__Tile38State *tile38, char *out, size_t size)
{
        char aof[24];

        if (!tile38->answering) {
                add(out, size, ", ", "no answer%s%s", tile38->error[0] ? ": " : "", tile38->error);
                return;
        }
        text_bytes(aof, sizeof(aof), tile38->aof_size);
        add(out, size, ", ", "%s", tile38->follower ? "follower" : "leader");
        if (tile38->follower && !tile38->caught_up)
                add(out, size, ", ", "not caught up");
        if (tile38->ready)
                add(out, size, ", ", "%" PRIu64 " objects", tile38->objects);
        add(out, size, ", ", "AOF %s", aof);
        if (tile38->aof_rewrite_in_progress)
                add(out, size, ", ", "shrinking");
        if (tile38->leftover[0])
                add(out, size, ", ", "left over: %s", tile38->leftover);
}

static void pm2_detail(const Muster__V1__Pm2State *pm2, char *out, size_t size)
{
        if (!pm2->reachable) {
                add(out, size, ", ", "PM2 not reachable%s%s", pm2->error[0] ? ": " : "", pm2->error);
                return;
        }
        add(out, size, ", ", "%u online", pm2->online);
        if (pm2->stopped)
                add(out, size, ", ", "%u stopped", pm2->stopped);
        if (pm2->errored)
                add(out, size, ", ", "%u ERRORED", pm2->errored);
        if (pm2->other)
                add(out, size, ", ", "%u in between", pm2->other);
        if (pm2->boot_unit[0])
                add(out, size, ", ", "%s starts apps at boot", pm2->boot_unit);
}

static void unit_detail(const Muster__V1__UnitState *unit, char *out, size_t size)
{
        if (!unit->present) {
                add(out, size, ", ", "systemd knows no such unit");
                return;
        }
        add(out, size, ", ", "%s (%s)", unit->active_state, unit->sub_state);
        if (unit->result[0] && !text_equal(unit->result, "success"))
                add(out, size, ", ", "result %s", unit->result);
}

void service_detail(const Muster__V1__ServiceState *service, char *out, size_t size)
{
        const Muster__V1__UnitState *unit = service->unit;

        out[0] = '\0';
        if (service->phase == MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_LOADING && service->progress_total) {
                char done[24], total[24];

                text_bytes(done, sizeof(done), service->progress_done);
                text_bytes(total, sizeof(total), service->progress_total);
                add(out, size, ", ", "loading %.0f%% (%s of %s)",
                    100.0 * (double)service->progress_done / (double)service->progress_total, done, total);
        }
        if (service->kind == MUSTER__V1__SERVICE_KIND__SERVICE_KIND_REDIS && service->redis)
                redis_detail(service->redis, out, size);
        else if (service->kind == MUSTER__V1__SERVICE_KIND__SERVICE_KIND_TILE38 && service->tile38)
                tile38_detail(service->tile38, out, size);
        else if (service->kind == MUSTER__V1__SERVICE_KIND__SERVICE_KIND_PM2 && service->pm2)
                pm2_detail(service->pm2, out, size);
        else if (service->detail[0])
                add(out, size, ", ", "%s", service->detail);
        else if (unit)
                unit_detail(unit, out, size);
        /* Not enabled means gone after the next boot: worth a word on any kind. */
        if (unit && unit->present && text_equal(unit->unit_file_state, "disabled"))
                add(out, size, ", ", "NOT ENABLED");
}

static const char *phase_word(Muster__V1__ServicePhase phase, enum style *ret_style)
{
        static const struct {
                const char *word;
                enum style style;
        } phases[] = {
                {"unknown", STYLE_WARN}, {"stopped", STYLE_BAD}, {"starting", STYLE_WARN},
                {"loading", STYLE_WARN}, {"ready", STYLE_GOOD},  {"degraded", STYLE_WARN},
                {"failed", STYLE_BAD},
        };
        unsigned i = (unsigned)phase < ELEMENTS(phases) ? (unsigned)phase : 0;

        *ret_style = phases[i].style;
        return phases[i].word;
}

static const char *kind_word(Muster__V1__ServiceKind kind)
{
        static const char *const words[] = {"?", "unit", "redis", "tile38", "pm2"};

        return (unsigned)kind < ELEMENTS(words) ? words[kind] : "?";
}

static void service_rows(const Muster__V1__HostStatus *host, table *table)
{
        for (size_t i = 0; i < host->n_services; i++) {
                const Muster__V1__ServiceState *service = host->services[i];
                char detail[NOTE_SIZE];
                enum style style;
                const char *word = phase_word(service->phase, &style);

                service_detail(service, detail, sizeof(detail));
                table_cell(table, STYLE_PLAIN, "%s", host->name);
                table_cell(table, STYLE_BOLD, "%s", service->name);
                table_cell(table, STYLE_PLAIN, "%s", kind_word(service->kind));
                if (host->connected) {
                        table_cell(table, style, "%s", word);
                        table_cell(table, STYLE_PLAIN, "%s", detail);
                } else {
                        table_cell(table, STYLE_BAD, "host %s", host->joined ? "down" : "not joined");
                        table_cell(table, STYLE_DIM, "%s%s", host->host ? "last: " : "",
                                   host->host ? detail : "");
                }
        }
}

/* --- hosts --- */

static void host_notes(const Muster__V1__HostStatus *host, char *out, size_t size)
{
        const Muster__V1__HostState *state = host->host;

        out[0] = '\0';
        if (host->held_by[0])
                add(out, size, "; ", "run %s", host->held_by);
        if (host->another[0])
                add(out, size, "; ", "%s", host->another);
        if (!state || !host->connected)
                return;
        if (!state->boot_id[0] || state->boot_error[0])
                add(out, size, "; ", "BOOT ID %s: %s", state->boot_id[0] ? "PROVES NOTHING" : "UNREADABLE",
                    state->boot_error);
        if (state->stopping)
                add(out, size, "; ", "shutting down");
        if (state->agent_enabled[0] && !text_equal(state->agent_enabled, "enabled") &&
            !text_equal(state->agent_enabled, "enabled-runtime"))
                add(out, size, "; ", "muster-agent is %s", state->agent_enabled);
        for (size_t i = 0; i < state->n_disks; i++) {
                const Muster__V1__Disk *disk = state->disks[i];

                if (disk->total_bytes && disk->available_bytes < disk->total_bytes / 10)
                        add(out, size, "; ", "disk %s %.0f%% full", disk->mount,
                            100.0 - 100.0 * (double)disk->available_bytes / (double)disk->total_bytes);
        }
        for (size_t i = 0; i < state->n_failed_units && i < 4; i++)
                add(out, size, i ? ", " : "; ", "%s%s", i ? "" : "failed: ", state->failed_units[i]);
        if (state->n_failed_units > 4)
                add(out, size, ", ", "%zu more", state->n_failed_units - 4);
}

static void host_cells(const Muster__V1__HostStatus *host, uint64_t now_us, table *table)
{
        const Muster__V1__HostState *state = host->connected ? host->host : NULL;
        char used[24] = "", total[24], swap[24], booted[96] = "", notes[NOTE_SIZE];

        table_cell(table, STYLE_BOLD, "%s", host->name);
        if (host->connected)
                table_cell(table, STYLE_GOOD, "up");
        else
                table_cell(table, host->joined ? STYLE_BAD : STYLE_WARN, "%s",
                           host->joined ? "DOWN" : "not joined");
        if (state) {
                /* By the host's own clock: the state may be some seconds old. */
                uint64_t boot_us = state->clock_us - state->uptime_ms * 1000;
                char when[40], up[40];

                clock_text(when, sizeof(when), boot_us);
                time_duration_text(up, sizeof(up), state->uptime_ms * 1000);
                snprintf(booted, sizeof(booted), "%s (%s ago)", when, up);
        } else if (host->joined) {
                char when[48];

                ago_text(when, sizeof(when), now_us, host->last_seen_us);
                snprintf(booted, sizeof(booted), "last seen %s", when);
        }
        table_cell(table, STYLE_PLAIN, "%s", booted);
        if (!state) {
                for (int i = 0; i < 2; i++)
                        table_cell(table, STYLE_PLAIN, "%s", "");
        } else {
                uint64_t in_use = state->memory_total > state->memory_available
                                          ? state->memory_total - state->memory_available
                                          : 0;
                uint64_t swapped =
                        state->swap_total > state->swap_free ? state->swap_total - state->swap_free : 0;

                table_cell(table, state->load1 > 2.0 * state->processors ? STYLE_WARN : STYLE_PLAIN,
                           "%.2f of %u", state->load1, state->processors);
                text_bytes(used, sizeof(used), in_use);
                text_bytes(total, sizeof(total), state->memory_total);
                text_bytes(swap, sizeof(swap), swapped);
                table_cell(table, in_use > state->memory_total / 10 * 9 ? STYLE_WARN : STYLE_PLAIN,
                           "%s of %s%s%s", used, total, swapped ? ", swap " : "", swapped ? swap : "");
        }
        host_notes(host, notes, sizeof(notes));
        table_cell(table, STYLE_WARN, "%s", notes);
}

/* --- the page --- */

static void count_line(const Muster__V1__StatusReply *status, FILE *file, const struct terminal *terminal)
{
        size_t services = 0, ready = 0, up = 0;
        enum style style;

        for (size_t i = 0; i < status->n_hosts; i++) {
                const Muster__V1__HostStatus *host = status->hosts[i];

                services += host->n_services;
                if (!host->connected)
                        continue;
                up++;
                for (size_t k = 0; k < host->n_services; k++)
                        ready += host->services[k]->phase == MUSTER__V1__SERVICE_PHASE__SERVICE_PHASE_READY;
        }
        style = up == status->n_hosts && ready == services ? STYLE_GOOD : STYLE_BAD;
        fprintf(file, "\n%s%zu of %zu hosts up, %zu of %zu services ready%s\n", style_begin(terminal, style),
                up, status->n_hosts, ready, services, style_end(terminal, style));
}

int status_view(const Muster__V1__StatusReply *status, FILE *file, const struct terminal *terminal)
{
        static const char *const host_heads[] = {"HOST", "STATE", "BOOTED (UTC)", "LOAD", "MEMORY", "NOTES"};
        static const char *const service_heads[] = {"HOST", "SERVICE", "KIND", "PHASE", "DETAIL"};
        cleanup_with(table_freep) table *hosts = NULL;
        cleanup_with(table_freep) table *services = NULL;
        char name[80], when[40];
        int r;

        r = table_new(&hosts, host_heads, ELEMENTS(host_heads));
        if (r == 0)
                r = table_new(&services, service_heads, ELEMENTS(service_heads));
        if (r < 0)
                return r;
        for (size_t i = 0; i < status->n_hosts; i++) {
                host_cells(status->hosts[i], status->clock_us, hosts);
                service_rows(status->hosts[i], services);
        }
        text_copy_cut(name, sizeof(name), status->fleet);
        clean_text(name);
        clock_text(when, sizeof(when), status->clock_us);
        fprintf(file, "fleet %s at %s UTC\n\n", name, when);
        r = table_print(hosts, file, terminal);
        if (r < 0)
                return r;
        fputc('\n', file);
        r = table_print(services, file, terminal);
        if (r < 0)
                return r;
        count_line(status, file, terminal);
        return 0;
}
