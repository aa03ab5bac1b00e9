/* See refusal.h; the texts are of PM2's God/ActionMethods.js. */
#include "agent/pm2/refusal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

enum pm2_refusal pm2_refusal_of(int r, const struct error *error)
{
        static const struct {
                const char *text;
                enum pm2_refusal refusal;
        } known[] = {
                {"id unknown", PM2_REFUSAL_GONE},
                {"already exists", PM2_REFUSAL_LIVES}, /* Process with pid … already exists */
                {"PM2 is being killed", PM2_REFUSAL_ENDS},
        };

        if (r != -EREMOTEIO)
                return PM2_REFUSAL_NONE;
        for (size_t i = 0; i < ELEMENTS(known) && error; i++)
                if (strstr(error->text, known[i].text))
                        return known[i].refusal;
        return PM2_REFUSAL_OTHER;
}

const char *pm2_refused_reason(const struct pm2_refused *refused, int64_t pm_id)
{
        for (size_t i = 0; refused && i < refused->count; i++)
                if (refused->apps[i].pm_id == pm_id)
                        return refused->apps[i].reason;
        return NULL;
}

int pm2_refused_add(struct pm2_refused *refused, int64_t pm_id, const struct error *error)
{
        struct pm2_refused_app *larger;

        if (pm2_refused_reason(refused, pm_id))
                return 0;
        larger = reallocarray(refused->apps, refused->count + 1, sizeof(*larger));
        if (!larger)
                return -ENOMEM;
        refused->apps = larger;
        larger[refused->count].pm_id = pm_id;
        text_copy_cut(larger[refused->count++].reason, TEXT_SIZE, error_text(error, -EREMOTEIO));
        return 0;
}

void pm2_refused_clear(struct pm2_refused *refused)
{
        free(refused->apps);
        *refused = (struct pm2_refused){0};
}
