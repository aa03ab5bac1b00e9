/* See reaper.h. */
#include "agent/pm2/reaper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "common/base/time.h"

#define AFTER_KILL_US (10 * USEC_PER_SEC)

struct victim {
        struct victim *next;
        reaper *self;
        int fd;
        sd_event_source *end, *timer;
        bool killed, stuck;
};

struct reaper {
        sd_event *event;
        sd_event_source *later;
        struct victim *victims;
        size_t total, left, killed, stuck; /* stuck of left */
        reaper_progress progress;
        reaper_done done;
        void *userdata;
        bool waiting;
};

static void victim_free(struct victim *victim)
{
        sd_event_source_disable_unref(victim->end);
        sd_event_source_disable_unref(victim->timer);
        close(victim->fd);
        free(victim);
}

reaper *reaper_free(reaper *self)
{
        if (!self)
                return NULL;
        while (self->victims) {
                struct victim *victim = self->victims;

                self->victims = victim->next;
                victim_free(victim);
        }
        sd_event_source_disable_unref(self->later);
        sd_event_unref(self->event);
        free(self);
        return NULL;
}

int reaper_new(reaper **ret, sd_event *event, reaper_progress progress, reaper_done done, void *userdata)
{
        reaper *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (reaper){
                .event = sd_event_ref(event), .progress = progress, .done = done, .userdata = userdata};
        *ret = self;
        return 0;
}

static void remove_victim(struct victim *victim)
{
        reaper *self = victim->self;

        for (struct victim **at = &self->victims; *at; at = &(*at)->next)
                if (*at == victim) {
                        *at = victim->next;
                        break;
                }
        victim_free(victim);
        self->left--;
}

static int on_later(sd_event_source *source, uint64_t now, void *userdata)
{
        reaper *self = userdata;

        self->done(self->userdata, self->killed, self->left);
        return 0;
}

/* Once nothing is left that may still end: those that are stuck are told together, after the others. */
static int finish_when_over(reaper *self)
{
        if (!self->waiting || self->later || self->left > self->stuck)
                return 0;
        return sd_event_add_time_relative(self->event, &self->later, CLOCK_BOOTTIME, 0, 1, on_later, self);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct victim *victim = userdata;
        reaper *self = victim->self;

        self->killed += victim->killed;
        self->stuck -= victim->stuck;
        remove_victim(victim);
        if (self->progress)
                self->progress(self->userdata, self->total - self->left, self->total);
        return finish_when_over(self);
}

static int on_time(sd_event_source *source, uint64_t now, void *userdata)
{
        struct victim *victim = userdata;
        reaper *self = victim->self;
        int r;

        if (victim->killed) { /* not even SIGKILL: stuck in the kernel */
                victim->stuck = true;
                self->stuck++;
                return finish_when_over(self);
        }
        victim->killed = true;
        process_signal(victim->fd, SIGKILL);
        r = sd_event_source_set_time_relative(source, AFTER_KILL_US);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int reaper_add(reaper *self, const struct process_fact *fact, int signal, uint64_t grace_us)
{
        struct victim *victim;
        int fd = process_open(fact), r;

        if (fd < 0)
                return fd == -ESRCH ? 0 : fd;
        victim = calloc(1, sizeof(*victim));
        if (!victim) {
                close(fd);
                return -ENOMEM;
        }
        *victim = (struct victim){.next = self->victims, .self = self, .fd = fd};
        self->victims = victim;
        self->total++;
        self->left++;
        r = sd_event_add_io(self->event, &victim->end, fd, EPOLLIN, on_end, victim);
        if (r >= 0)
                r = sd_event_add_time_relative(self->event, &victim->timer, CLOCK_BOOTTIME, grace_us, 1000,
                                               on_time, victim);
        if (r >= 0)
                r = process_signal(fd, signal);
        if (r < 0 && r != -ESRCH) {
                self->total--;
                remove_victim(victim);
                return r;
        }
        return 0;
}

int reaper_wait(reaper *self)
{
        self->waiting = true;
        return finish_when_over(self);
}
