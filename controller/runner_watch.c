/* Watchers of runs: what is in the journal already, then what follows. A watcher may end its watch, or
 * another's, from within its callback: watches are swept when nobody walks over them. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/text.h"
#include "controller/runner_internal.h"

static void sweep(runner *runner)
{
        struct watch **link = &runner->watches;

        while (*link && !runner->telling) {
                struct watch *watch = *link;

                if (!watch->news) {
                        *link = watch->next;
                        free(watch);
                } else {
                        link = &watch->next;
                }
        }
}

bool runner_is_watched(const runner *runner, const char *run)
{
        for (const struct watch *watch = runner->watches; watch; watch = watch->next)
                if (watch->news && text_equal(watch->run, run))
                        return true;
        return false;
}

void runner_tell(runner *runner, const struct run_news *news)
{
        runner->telling++;
        for (struct watch *watch = runner->watches; watch; watch = watch->next)
                if (watch->news && text_equal(watch->run, news->run))
                        watch->news(news, watch->userdata);
        runner->telling--;
        sweep(runner);
}

struct reading {
        runner *runner;
        const char *run;
        runner_news news;
        void *userdata;
        const struct run_summary *summary; /* of a run that has ended; NULL otherwise */
};

static int tell_one(uint64_t number, uint64_t time_us, const char *json, void *userdata)
{
        const struct reading *reading = userdata;
        struct run_news news = {.run = reading->run, .event = number, .time_us = time_us};
        struct run_event event;
        int r = run_event_from_json(&event, json, NULL);

        if (r < 0)
                return r;
        news.text = event.text;
        news.step = event.step;
        news.step_state = run_event_step_state(&event);
        news.kind = run_event_kind_name(event.kind);
        news.host = event.host;
        news.figures = event.figures;
        news.figure_count = event.figure_count;
        news.summary = event.kind == EVENT_FINISHED ? reading->summary : NULL;
        reading->news(&news, reading->userdata);
        return 0;
}

int runner_watch(runner *runner, const char *run, uint64_t first, runner_news news, void *userdata,
                 uint64_t *ret_watch)
{
        struct run_summary summary;
        struct reading reading = {runner, summary.run, news, userdata, &summary};
        struct watch *watch = NULL;
        int r = runner_summary(runner, run, &summary);

        if (r < 0)
                return r;
        if (live_find(runner, summary.run)) {
                watch = calloc(1, sizeof(*watch));
                if (!watch)
                        return -ENOMEM;
        }
        r = store_journal_read(runner->store, summary.run, first ? first : 1, tell_one, &reading);
        if (r < 0) {
                free(watch);
                return r;
        }
        *ret_watch = 0;
        if (!watch)
                return 0;
        *watch = (struct watch){
                .handle = ++runner->last_handle,
                .news = news,
                .userdata = userdata,
                .next = runner->watches,
        };
        text_copy_cut(watch->run, sizeof(watch->run), summary.run);
        runner->watches = watch;
        *ret_watch = watch->handle;
        return 0;
}

void runner_unwatch(runner *runner, uint64_t handle)
{
        for (struct watch *watch = runner->watches; watch; watch = watch->next)
                if (watch->handle == handle)
                        watch->news = NULL;
        sweep(runner);
}

void runner_unwatch_all(runner *runner)
{
        for (struct watch *watch = runner->watches; watch; watch = watch->next)
                watch->news = NULL;
        sweep(runner);
}
