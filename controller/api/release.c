/* Units that pm2.stop has held back and no restore has enabled again: its run was left, or the step skipped.
 * They are released when no run holds their host any more. What counts is what agents report now, not what a
 * run remembers: nothing is forgotten with a controller that ends, or a host that was away. One try, until a
 * run holds the host again or it comes anew; what is held after that the check pm2-boot-unit-held tells. */
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "controller/api/batch.h"
#include "controller/api/handlers.h"

struct place {
        struct batch *batch; /* NULL: none under way */
        bool tried;
};

struct api_releases {
        struct api_context *context;
        struct api_listener listener;
        struct place places[]; /* by the fleet's services */
};

/* The batch tells the log how it went. */
static void on_ended(size_t work, const struct batch_end *end, void *userdata)
{
}

static void on_done(void *userdata)
{
        struct place *place = userdata;

        place->batch = NULL;
}

static void release(struct api_releases *self, const struct fleet_service *service, struct place *place,
                    const struct pm2_state *pm2)
{
        struct batch_events events = {.ended = on_ended, .done = on_done, .userdata = place};
        struct batch_work work = {.kind = OPERATION_PM2_RELEASE, .spec = service->spec};
        char why[sizeof(work.why) + NAME_SIZE];
        int r;

        place->tried = true;
        TEXT_COPY(work.host, self->context->fleet->hosts[service->host].name);
        TEXT_COPY(work.service, service->spec.name);
        snprintf(why, sizeof(why), "for run %s, which is over", pm2->held_run);
        text_copy_cut(work.why, sizeof(work.why), why);
        r = batch_start(&place->batch, self->context, "controller", "release", &work, 1, &events);
        if (r < 0)
                log_warning("%s/%s: %s stays disabled: out of memory", work.host, work.service,
                            pm2->held_unit);
}

static void on_news(size_t host, void *userdata)
{
        struct api_releases *self = userdata;
        const struct fleet *fleet = self->context->fleet;
        struct agent_view view;

        agents_view(self->context->agents, host, &view);
        for (size_t i = 0; i < fleet->service_count; i++) {
                const struct fleet_service *service = &fleet->services[i];
                const struct service_state *state =
                        view.connected && view.state ? agent_state_service(view.state, service->spec.name)
                                                     : NULL;

                if (service->host != host || service->spec.kind != SERVICE_PM2)
                        continue;
                if (!state || !state->pm2.held_unit[0] || batch_host_free(self->context, view.name, NULL) < 0)
                        self->places[i].tried = false;
                else if (!self->places[i].tried && !self->places[i].batch)
                        release(self, service, &self->places[i], &state->pm2);
        }
}

int api_releases_new(struct api_releases **ret, struct api_context *context)
{
        struct api_releases *self =
                calloc(1, sizeof(*self) + context->fleet->service_count * sizeof(self->places[0]));

        if (!self)
                return -ENOMEM;
        self->context = context;
        self->listener = (struct api_listener){.news = on_news, .userdata = self};
        api_listen(context, &self->listener);
        *ret = self;
        return 0;
}

struct api_releases *api_releases_free(struct api_releases *self)
{
        if (!self)
                return NULL;
        for (size_t i = 0; i < self->context->fleet->service_count; i++)
                batch_leave(self->places[i].batch);
        api_unlisten(self->context, &self->listener);
        free(self);
        return NULL;
}
