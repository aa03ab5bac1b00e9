/* See register.h. */
#include "agent/pm2/register.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"

#define WINDOW 64 /* registrations under way at once, where the sequence is known */

/* One registration under way: which app (or none: a filler) and the id it must get. */
struct step {
        struct step *next;
        pm2_register *self;
        size_t index; /* of the app; SIZE_MAX: a filler */
        int64_t id;   /* expected; -1: unknown */
};

struct pm2_register {
        pm2_client *client;
        const struct pm2_list *wanted;
        const struct pm2_plan *plan;
        struct pm2_plan_options options;
        struct pm2_refused *refused;
        uint64_t timeout_us;
        pm2_register_progress progress;
        pm2_register_done done;
        void *userdata;
        enum pm2_entry *entries;
        int64_t next_id; /* that PM2 will give; -1: unknown */
        size_t at;       /* the app to be looked at next */
        size_t registered;
        int64_t *fillers; /* ids to be deleted in the end */
        size_t filler_count, filler_room;
        struct step *steps;
        size_t under_way;
        bool removing;
        int failure; /* told when nothing is under way any more */
        struct error failure_text;
};

pm2_register *pm2_register_free(pm2_register *self)
{
        if (!self)
                return NULL;
        while (self->steps) {
                struct step *step = self->steps;

                self->steps = step->next;
                free(step);
        }
        free(self->fillers);
        free(self->entries);
        free(self);
        return NULL;
}
DEFINE_CLEANUP(pm2_register *, pm2_register_free);

static void fail(pm2_register *self, int r, const struct error *error)
{
        if (self->failure)
                return;
        self->failure = r;
        self->failure_text = error ? *error : (struct error){0};
}

/* The callee may free it: nothing is touched after. */
static void finish(pm2_register *self)
{
        self->done(self->userdata, self->failure, self->entries, &self->failure_text);
}

static void step_end(struct step *step)
{
        for (struct step **at = &step->self->steps; *at; at = &(*at)->next)
                if (*at == step) {
                        *at = step->next;
                        break;
                }
        step->self->under_way--;
        free(step);
}

static int add_filler(pm2_register *self, int64_t id)
{
        if (self->filler_count == self->filler_room) {
                size_t room = self->filler_room ? self->filler_room * 2 : 16;
                int64_t *larger = reallocarray(self->fillers, room, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                self->fillers = larger;
                self->filler_room = room;
        }
        self->fillers[self->filler_count++] = id;
        return 0;
}

/* Without a pid file: PM2 unlinks that of what ends. */
static json_t *filler_env(void)
{
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:{}}", "name", "muster-filler", "namespace",
                         "muster", "status", "stopped", "exec_mode", "fork_mode", "pm_exec_path",
                         "/bin/false", "pm_cwd", "/", "env");
}

static void advance(pm2_register *self);

/* Where the id is not the one expected. The app that is there now serves as a filler. */
static int wrong_id(pm2_register *self, const struct step *step, int64_t id, struct error *error)
{
        int r;

        if (step->id >= 0)
                return error_set(error, -EAGAIN,
                                 "PM2 gave id %" PRId64 " instead of %" PRId64
                                 ": somebody else is registering apps; try again when that has ended",
                                 id, step->id);
        r = add_filler(self, id);
        self->next_id = id + 1;
        return r;
}

static void on_registered(void *userdata, int r, json_t *answer, const struct error *cause)
{
        struct step *step = userdata;
        pm2_register *self = step->self;
        struct error error = cause ? *cause : (struct error){0};
        int64_t id = -1, meant = step->id;
        size_t index = step->index;

        if (r == 0) {
                id = json_number(json_object_get(json_array_get(answer, 0), "pm2_env"), "pm_id", -1);
                if (id < 0)
                        r = error_set(&error, -EBADMSG, "PM2's answer to a registration has no pm_id");
        }
        if (r == 0 && meant < 0)
                meant = self->wanted->apps[index].pm_id;
        if (r == 0 && id != meant)
                r = wrong_id(self, step, id, &error);
        else if (r == 0 && index == SIZE_MAX)
                r = add_filler(self, id);
        else if (r == 0) {
                self->registered++;
                self->next_id = self->next_id < 0 ? id + 1 : self->next_id;
                self->at = step->id < 0 ? self->at + 1 : self->at;
        }
        step_end(step);
        if (r == -EREMOTEIO && index != SIZE_MAX) {
                r = pm2_refused_add(self->refused, self->wanted->apps[index].pm_id, &error);
                r = r < 0 ? r : -EAGAIN;
        }
        if (r < 0) {
                if (index != SIZE_MAX)
                        error_prefix(&error, r, "registering app %s", self->wanted->apps[index].name);
                fail(self, r, &error);
        }
        advance(self);
}

static int send_step(pm2_register *self, size_t index, int64_t id)
{
        struct step *step = calloc(1, sizeof(*step));
        json_t *env;
        int r;

        if (!step)
                return -ENOMEM;
        *step = (struct step){.next = self->steps, .self = self, .index = index, .id = id};
        env = index == SIZE_MAX ? filler_env() : pm2_entry_env(&self->wanted->apps[index]);
        r = pm2_client_call(self->client, "prepare", env ? json_pack("[o]", env) : NULL, self->timeout_us,
                            on_registered, step);
        if (r < 0) {
                free(step);
                return r;
        }
        self->steps = step;
        self->under_way++;
        return 0;
}

static void on_filler_gone(void *userdata, int r, json_t *answer, const struct error *error)
{
        struct step *step = userdata;
        pm2_register *self = step->self;

        step_end(step);
        if (r < 0 && r != -EREMOTEIO) /* one that stays is seen in the end */
                fail(self, r, error);
        advance(self);
}

static int remove_fillers(pm2_register *self)
{
        self->removing = true;
        while (self->filler_count > 0 && self->under_way < WINDOW) {
                json_int_t id = self->fillers[self->filler_count - 1];
                struct step *step = calloc(1, sizeof(*step));
                int r;

                if (!step)
                        return -ENOMEM;
                *step = (struct step){.next = self->steps, .self = self, .index = SIZE_MAX};
                r = pm2_client_call(self->client, "deleteProcessId", json_pack("[I]", id), self->timeout_us,
                                    on_filler_gone, step);
                if (r < 0) {
                        free(step);
                        return r;
                }
                self->steps = step;
                self->under_way++;
                self->filler_count--;
        }
        return 0;
}

static enum pm2_entry entry_for(const pm2_register *self, const struct pm2_app *app, bool has_passed)
{
        if (!app->watch && !has_passed)
                return PM2_ENTRY_PLAIN;
        return pm2_plan_runs(app, &self->options) ? PM2_ENTRY_PLACE : PM2_ENTRY_PARK;
}

/* Sends what can be sent now for the app at hand. 1: sent or settled, go on; 0: wait for an answer. */
static int next_step(pm2_register *self)
{
        const struct pm2_app *app = &self->wanted->apps[self->at];
        enum pm2_action action = self->plan->actions[self->at];
        bool has_passed =
                app->pm_id <= self->plan->highest || (self->next_id >= 0 && app->pm_id < self->next_id);
        int r;

        if (action == PM2_ADD || action == PM2_AGAIN)
                self->entries[self->at] = entry_for(self, app, has_passed);
        if (action != PM2_ADD || has_passed) {
                self->at++;
                return 1;
        }
        if (self->next_id < 0) {
                if (self->under_way == 0) {
                        r = send_step(self, self->at, -1);
                        return r < 0 ? r : 0;
                }
                return 0;
        }
        if (self->under_way >= WINDOW)
                return 0;
        r = send_step(self, app->pm_id == self->next_id ? self->at : SIZE_MAX, self->next_id);
        if (r < 0)
                return r;
        self->at += app->pm_id == self->next_id;
        self->next_id++;
        return 1;
}

static int go_on(pm2_register *self)
{
        int r = 1;

        while (!self->removing && r > 0 && self->at < self->wanted->count)
                r = next_step(self);
        if (r >= 0 && self->at == self->wanted->count && (self->removing || self->under_way == 0))
                r = remove_fillers(self);
        return r < 0 ? r : 0;
}

static void advance(pm2_register *self)
{
        struct error error = {0};
        int r = 0;

        if (self->progress)
                self->progress(self->userdata, self->registered, self->plan->add_count);
        if (self->failure == 0)
                r = go_on(self);
        if (r < 0)
                fail(self, r, &error);
        if (self->under_way == 0)
                finish(self);
}

int pm2_register_new(pm2_register **ret, pm2_client *client, const struct pm2_list *wanted,
                     const struct pm2_plan *plan, const struct pm2_plan_options *options,
                     struct pm2_refused *refused, uint64_t timeout_us, pm2_register_progress progress,
                     pm2_register_done done, void *userdata)
{
        cleanup_with(pm2_register_freep) pm2_register *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (pm2_register){.client = client,
                               .wanted = wanted,
                               .plan = plan,
                               .options = *options,
                               .refused = refused,
                               .timeout_us = timeout_us,
                               .progress = progress,
                               .done = done,
                               .userdata = userdata,
                               .next_id = plan->highest < 0 ? 0 : -1};
        self->entries = calloc(wanted->count + 1, sizeof(*self->entries));
        if (!self->entries)
                return -ENOMEM;
        *ret = self;
        advance(TAKE(self));
        return 0;
}
