/* States of hosts and services, to messages and back; see wire.h. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/rpc/wire.h"

#define DISKS_MAX 64u
#define UNITS_MAX 1024u
#define APPS_MAX  10000u

static void write_disks(struct wire_arena *arena, Muster__V1__HostState *message,
                        const struct host_state *state)
{
        message->disks = wire_alloc(arena, state->disk_count * sizeof(*message->disks));
        for (size_t i = 0; message->disks && i < state->disk_count; i++) {
                Muster__V1__Disk *disk = wire_alloc(arena, sizeof(*disk));

                if (!disk)
                        return;
                muster__v1__disk__init(disk);
                disk->mount = wire_text(arena, state->disks[i].mount);
                disk->total_bytes = state->disks[i].total_bytes;
                disk->available_bytes = state->disks[i].available_bytes;
                message->disks[message->n_disks++] = disk;
        }
}

static void write_failed_units(struct wire_arena *arena, Muster__V1__HostState *message,
                               const struct host_state *state)
{
        message->failed_units = wire_alloc(arena, state->failed_unit_count * sizeof(*message->failed_units));
        for (size_t i = 0; message->failed_units && i < state->failed_unit_count; i++)
                message->failed_units[message->n_failed_units++] = wire_text(arena, state->failed_units[i]);
}

Muster__V1__HostState *wire_host(struct wire_arena *arena, const struct host_state *state)
{
        Muster__V1__HostState *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__host_state__init(message);
        message->boot_id = wire_text(arena, state->boot_id);
        message->boot_error = wire_text(arena, state->boot_error);
        message->tells_soft = state->tells_soft;
        message->pid1_start_ticks = state->pid1_start_ticks;
        message->uptime_ms = state->uptime_ms;
        message->clock_us = state->clock_us;
        message->memory_total = state->memory_total;
        message->memory_available = state->memory_available;
        message->swap_total = state->swap_total;
        message->swap_free = state->swap_free;
        message->load1 = state->load1;
        message->load5 = state->load5;
        message->load15 = state->load15;
        message->processors = state->processors;
        message->kernel = wire_text(arena, state->kernel);
        message->hostname = wire_text(arena, state->hostname);
        message->agent_version = wire_text(arena, state->agent_version);
        message->agent_enabled = wire_text(arena, state->agent_enabled);
        message->systemd = wire_text(arena, state->systemd);
        message->overcommit = state->overcommit;
        message->commit_limited = state->commit_limited;
        message->commit_left = state->commit_left;
        message->stopping = state->stopping;
        message->disks_hung = state->disks_hung;
        write_disks(arena, message, state);
        write_failed_units(arena, message, state);
        message->facts = wire_host_facts(arena, &state->facts);
        return message;
}

static Muster__V1__UnitState *wire_unit(struct wire_arena *arena, const struct unit_state *state)
{
        Muster__V1__UnitState *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__unit_state__init(message);
        message->present = state->present;
        message->load_state = wire_text(arena, state->load_state);
        message->active_state = wire_text(arena, state->active_state);
        message->sub_state = wire_text(arena, state->sub_state);
        message->unit_file_state = wire_text(arena, state->unit_file_state);
        message->id = wire_text(arena, state->id);
        message->result = wire_text(arena, state->result);
        message->type = wire_text(arena, state->type);
        message->main_pid = state->main_pid;
        message->active_enter_us = state->active_enter_us;
        message->timeout_stop_us = state->timeout_stop_us;
        message->timeout_start_us = state->timeout_start_us;
        message->restarts = state->restarts;
        return message;
}

static Muster__V1__RedisState *wire_redis(struct wire_arena *arena, const struct redis_state *state)
{
        Muster__V1__RedisState *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__redis_state__init(message);
        message->answering = state->answering;
        message->loading = state->loading;
        message->pong = state->pong;
        message->error = wire_text(arena, state->error);
        message->version = wire_text(arena, state->version);
        message->run_id = wire_text(arena, state->run_id);
        message->role = wire_text(arena, state->role);
        message->master_link_up = state->master_link_up;
        message->master_offset = state->master_offset;
        message->replica_offset = state->replica_offset;
        message->used_memory = state->used_memory;
        message->max_memory = state->max_memory;
        message->keys = state->keys;
        message->aof_enabled = state->aof_enabled;
        message->aof_current_size = state->aof_current_size;
        message->aof_base_size = state->aof_base_size;
        message->aof_rewrites = state->aof_rewrites;
        message->aof_rewrite_in_progress = state->aof_rewrite_in_progress;
        message->aof_rewrite_scheduled = state->aof_rewrite_scheduled;
        message->aof_last_rewrite_status = wire_text(arena, state->aof_last_rewrite_status);
        message->aof_last_write_status = wire_text(arena, state->aof_last_write_status);
        message->rdb_last_save_status = wire_text(arena, state->rdb_last_save_status);
        message->rdb_save_in_progress = state->rdb_save_in_progress;
        message->loading_total_bytes = state->loading_total_bytes;
        message->loading_loaded_bytes = state->loading_loaded_bytes;
        message->save_points = state->save_points;
        message->config_refused = wire_text(arena, state->config_refused);
        message->directory = wire_text(arena, state->directory);
        message->directory_available = state->directory_available;
        message->directory_hung = state->directory_hung;
        message->disk = wire_text(arena, state->disk);
        message->sync_in_progress = state->sync_in_progress;
        message->sync_total_bytes = state->sync_total_bytes;
        message->sync_read_bytes = state->sync_read_bytes;
        message->incremental_bytes = state->incremental_bytes;
        message->base_bytes = state->base_bytes;
        message->base_file = wire_text(arena, state->base_file);
        message->replication_lag_bytes = state->replication_lag_bytes;
        message->master_address = wire_text(arena, state->master_address);
        message->replication_id = wire_text(arena, state->replication_id);
        return message;
}

static Muster__V1__Tile38State *wire_tile38(struct wire_arena *arena, const struct tile38_state *state)
{
        Muster__V1__Tile38State *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__tile38_state__init(message);
        message->answering = state->answering;
        message->ready = state->ready;
        message->error = wire_text(arena, state->error);
        message->version = wire_text(arena, state->version);
        message->id = wire_text(arena, state->id);
        message->aof_size = state->aof_size;
        message->follower = state->follower;
        message->caught_up = state->caught_up;
        message->aof_rewrite_in_progress = state->aof_rewrite_in_progress;
        message->aof_inode = state->aof_inode;
        message->loaded_bytes = state->loaded_bytes;
        message->objects = state->objects;
        message->leftover = wire_text(arena, state->leftover);
        message->leftover_bytes = state->leftover_bytes;
        message->memory_bytes = state->memory_bytes;
        message->directory_hung = state->directory_hung;
        message->disk = wire_text(arena, state->disk);
        message->directory = wire_text(arena, state->directory);
        return message;
}

static void write_apps(struct wire_arena *arena, Muster__V1__Pm2State *message, const struct pm2_state *state)
{
        message->apps = wire_alloc(arena, state->app_count * sizeof(*message->apps));
        for (size_t i = 0; message->apps && i < state->app_count; i++) {
                Muster__V1__Pm2App *app = wire_alloc(arena, sizeof(*app));

                if (!app)
                        return;
                muster__v1__pm2_app__init(app);
                app->name = wire_text(arena, state->apps[i].name);
                app->pm_id = state->apps[i].pm_id;
                app->status = wire_text(arena, state->apps[i].status);
                app->restarts = state->apps[i].restarts;
                app->uptime_ms = state->apps[i].uptime_ms;
                message->apps[message->n_apps++] = app;
        }
}

static Muster__V1__Pm2State *wire_pm2(struct wire_arena *arena, const struct pm2_state *state)
{
        Muster__V1__Pm2State *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__pm2_state__init(message);
        message->reachable = state->reachable;
        message->error = wire_text(arena, state->error);
        message->version = wire_text(arena, state->version);
        message->online = state->online;
        message->stopped = state->stopped;
        message->errored = state->errored;
        message->other = state->other;
        message->last_snapshot = wire_text(arena, state->last_snapshot);
        message->boot_unit = wire_text(arena, state->boot_unit);
        message->held_unit = wire_text(arena, state->held_unit);
        message->held_run = wire_text(arena, state->held_run);
        message->held_since_us = state->held_since_us;
        write_apps(arena, message, state);
        return message;
}

Muster__V1__ServiceState *wire_service(struct wire_arena *arena, const struct service_state *state)
{
        Muster__V1__ServiceState *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__service_state__init(message);
        message->name = wire_text(arena, state->name);
        message->kind = (Muster__V1__ServiceKind)state->kind;
        message->phase = (Muster__V1__ServicePhase)state->phase;
        message->ready_for_ms = state->ready_for_ms;
        message->detail = wire_text(arena, state->detail);
        message->progress_done = state->progress_done;
        message->progress_total = state->progress_total;
        message->progress_still_ms = state->progress_still_ms;
        message->unit = wire_unit(arena, &state->unit);
        if (state->kind == SERVICE_REDIS || state->kind == SERVICE_UNIT)
                message->redis = wire_redis(arena, &state->redis);
        if (state->kind == SERVICE_TILE38)
                message->tile38 = wire_tile38(arena, &state->tile38);
        if (state->kind == SERVICE_PM2)
                message->pm2 = wire_pm2(arena, &state->pm2);
        return message;
}

static int read_host_fields(struct host_state *ret, const Muster__V1__HostState *message)
{
        if ((message->boot_id[0] && !boot_id_is_sound(message->boot_id)) ||
            TEXT_COPY(ret->boot_id, message->boot_id) < 0 ||
            TEXT_COPY(ret->boot_error, message->boot_error) < 0 ||
            TEXT_COPY(ret->kernel, message->kernel) < 0 || TEXT_COPY(ret->hostname, message->hostname) < 0 ||
            TEXT_COPY(ret->agent_version, message->agent_version) < 0 ||
            TEXT_COPY(ret->agent_enabled, message->agent_enabled) < 0 ||
            TEXT_COPY(ret->systemd, message->systemd) < 0)
                return -EBADMSG;
        ret->tells_soft = message->tells_soft;
        ret->pid1_start_ticks = message->pid1_start_ticks;
        ret->uptime_ms = message->uptime_ms;
        ret->clock_us = message->clock_us;
        ret->memory_total = message->memory_total;
        ret->memory_available = message->memory_available;
        ret->swap_total = message->swap_total;
        ret->swap_free = message->swap_free;
        ret->load1 = message->load1;
        ret->load5 = message->load5;
        ret->load15 = message->load15;
        ret->processors = message->processors;
        ret->overcommit = message->overcommit;
        ret->commit_limited = message->commit_limited;
        ret->commit_left = message->commit_left;
        ret->stopping = message->stopping;
        return 0;
}

int wire_read_host(struct host_state *ret, const Muster__V1__HostState *message)
{
        struct host_state state = {0};
        int r;

        if (message->n_disks > DISKS_MAX || message->n_failed_units > UNITS_MAX)
                return -EBADMSG;
        r = read_host_fields(&state, message);
        if (r < 0)
                return r;
        state.disks_hung = message->disks_hung;
        state.disks = calloc(message->n_disks + 1, sizeof(*state.disks));
        state.failed_units = calloc(message->n_failed_units + 1, sizeof(*state.failed_units));
        if (!state.disks || !state.failed_units) {
                host_state_clear(&state);
                return -ENOMEM;
        }
        for (size_t i = 0; i < message->n_disks; i++, state.disk_count++) {
                struct disk_state *disk = &state.disks[i];

                text_copy_cut(disk->mount, sizeof(disk->mount), message->disks[i]->mount);
                disk->total_bytes = message->disks[i]->total_bytes;
                disk->available_bytes = message->disks[i]->available_bytes;
        }
        for (size_t i = 0; i < message->n_failed_units; i++, state.failed_unit_count++)
                text_copy_cut(state.failed_units[i], sizeof(state.failed_units[i]), message->failed_units[i]);
        r = wire_read_host_facts(&state.facts, message->facts);
        if (r < 0) {
                host_state_clear(&state);
                return r;
        }
        *ret = state;
        return 0;
}

static int read_unit(struct unit_state *ret, const Muster__V1__UnitState *message)
{
        if (TEXT_COPY(ret->load_state, message->load_state) < 0 ||
            TEXT_COPY(ret->active_state, message->active_state) < 0 ||
            TEXT_COPY(ret->sub_state, message->sub_state) < 0 ||
            TEXT_COPY(ret->unit_file_state, message->unit_file_state) < 0 ||
            TEXT_COPY(ret->id, message->id) < 0 || TEXT_COPY(ret->result, message->result) < 0 ||
            TEXT_COPY(ret->type, message->type) < 0)
                return -EBADMSG;
        ret->present = message->present;
        ret->main_pid = message->main_pid;
        ret->active_enter_us = message->active_enter_us;
        ret->timeout_stop_us = message->timeout_stop_us;
        ret->timeout_start_us = message->timeout_start_us;
        ret->restarts = message->restarts;
        return 0;
}

static int read_redis(struct redis_state *ret, const Muster__V1__RedisState *message)
{
        if (TEXT_COPY(ret->error, message->error) < 0 || TEXT_COPY(ret->version, message->version) < 0 ||
            TEXT_COPY(ret->run_id, message->run_id) < 0 || TEXT_COPY(ret->role, message->role) < 0 ||
            TEXT_COPY(ret->aof_last_rewrite_status, message->aof_last_rewrite_status) < 0 ||
            TEXT_COPY(ret->aof_last_write_status, message->aof_last_write_status) < 0 ||
            TEXT_COPY(ret->rdb_last_save_status, message->rdb_last_save_status) < 0 ||
            TEXT_COPY(ret->directory, message->directory) < 0 ||
            TEXT_COPY(ret->config_refused, message->config_refused) < 0 ||
            TEXT_COPY(ret->base_file, message->base_file) < 0 || TEXT_COPY(ret->disk, message->disk) < 0 ||
            TEXT_COPY(ret->master_address, message->master_address) < 0 ||
            TEXT_COPY(ret->replication_id, message->replication_id) < 0)
                return -EBADMSG;
        ret->answering = message->answering;
        ret->loading = message->loading;
        ret->pong = message->pong;
        ret->master_link_up = message->master_link_up;
        ret->master_offset = message->master_offset;
        ret->replica_offset = message->replica_offset;
        ret->used_memory = message->used_memory;
        ret->max_memory = message->max_memory;
        ret->keys = message->keys;
        ret->aof_enabled = message->aof_enabled;
        ret->aof_current_size = message->aof_current_size;
        ret->aof_base_size = message->aof_base_size;
        ret->aof_rewrites = message->aof_rewrites;
        ret->aof_rewrite_in_progress = message->aof_rewrite_in_progress;
        ret->aof_rewrite_scheduled = message->aof_rewrite_scheduled;
        ret->rdb_save_in_progress = message->rdb_save_in_progress;
        ret->loading_total_bytes = message->loading_total_bytes;
        ret->loading_loaded_bytes = message->loading_loaded_bytes;
        ret->save_points = message->save_points;
        ret->directory_available = message->directory_available;
        ret->directory_hung = message->directory_hung;
        ret->sync_in_progress = message->sync_in_progress;
        ret->sync_total_bytes = message->sync_total_bytes;
        ret->sync_read_bytes = message->sync_read_bytes;
        ret->incremental_bytes = message->incremental_bytes;
        ret->base_bytes = message->base_bytes;
        ret->replication_lag_bytes = message->replication_lag_bytes;
        return 0;
}

static int read_tile38(struct tile38_state *ret, const Muster__V1__Tile38State *message)
{
        if (TEXT_COPY(ret->error, message->error) < 0 || TEXT_COPY(ret->version, message->version) < 0 ||
            TEXT_COPY(ret->id, message->id) < 0 || TEXT_COPY(ret->leftover, message->leftover) < 0 ||
            TEXT_COPY(ret->directory, message->directory) < 0 || TEXT_COPY(ret->disk, message->disk) < 0)
                return -EBADMSG;
        ret->answering = message->answering;
        ret->ready = message->ready;
        ret->aof_size = message->aof_size;
        ret->follower = message->follower;
        ret->caught_up = message->caught_up;
        ret->aof_rewrite_in_progress = message->aof_rewrite_in_progress;
        ret->aof_inode = message->aof_inode;
        ret->loaded_bytes = message->loaded_bytes;
        ret->directory_hung = message->directory_hung;
        ret->objects = message->objects;
        ret->leftover_bytes = message->leftover_bytes;
        ret->memory_bytes = message->memory_bytes;
        return 0;
}

static int read_pm2_fields(struct pm2_state *ret, const Muster__V1__Pm2State *message)
{
        if (TEXT_COPY(ret->error, message->error) < 0 || TEXT_COPY(ret->version, message->version) < 0 ||
            TEXT_COPY(ret->last_snapshot, message->last_snapshot) < 0 ||
            TEXT_COPY(ret->boot_unit, message->boot_unit) < 0 ||
            TEXT_COPY(ret->held_unit, message->held_unit) < 0 ||
            TEXT_COPY(ret->held_run, message->held_run) < 0)
                return -EBADMSG;
        ret->held_since_us = message->held_since_us;
        ret->reachable = message->reachable;
        ret->online = message->online;
        ret->stopped = message->stopped;
        ret->errored = message->errored;
        ret->other = message->other;
        return 0;
}

static int read_pm2(struct pm2_state *ret, const Muster__V1__Pm2State *message)
{
        int r;

        if (message->n_apps > APPS_MAX)
                return -EBADMSG;
        r = read_pm2_fields(ret, message);
        if (r < 0)
                return r;
        ret->apps = calloc(message->n_apps + 1, sizeof(*ret->apps));
        if (!ret->apps)
                return -ENOMEM;
        for (size_t i = 0; i < message->n_apps; i++, ret->app_count++) {
                struct pm2_app_state *app = &ret->apps[i];

                text_copy_cut(app->name, sizeof(app->name), message->apps[i]->name);
                text_copy_cut(app->status, sizeof(app->status), message->apps[i]->status);
                app->pm_id = message->apps[i]->pm_id;
                app->restarts = message->apps[i]->restarts;
                app->uptime_ms = message->apps[i]->uptime_ms;
        }
        return 0;
}

int wire_read_service(struct service_state *ret, const Muster__V1__ServiceState *message)
{
        struct service_state state = {0};
        int r = 0;

        if (TEXT_COPY(state.name, message->name) < 0 || !text_is_name(state.name) ||
            message->kind < MUSTER__V1__SERVICE_KIND__SERVICE_KIND_UNIT ||
            message->kind > MUSTER__V1__SERVICE_KIND__SERVICE_KIND_PM2 ||
            (unsigned)message->phase > PHASE_FAILED)
                return -EBADMSG;
        state.kind = (enum service_kind)message->kind;
        state.phase = (enum service_phase)message->phase;
        state.ready_for_ms = message->ready_for_ms;
        state.progress_done = message->progress_done;
        state.progress_total = message->progress_total;
        state.progress_still_ms = message->progress_still_ms;
        text_copy_cut(state.detail, sizeof(state.detail), message->detail);
        if (message->unit)
                r = read_unit(&state.unit, message->unit);
        if (r == 0 && message->redis)
                r = read_redis(&state.redis, message->redis);
        if (r == 0 && message->tile38)
                r = read_tile38(&state.tile38, message->tile38);
        if (r == 0 && message->pm2)
                r = read_pm2(&state.pm2, message->pm2);
        if (r < 0) {
                service_state_clear(&state);
                return r;
        }
        *ret = state;
        return 0;
}
