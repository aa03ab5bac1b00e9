/* See refusal.h; the texts are of PM2's God/ActionMethods.js. */
#include "agent/pm2/refusal.h"

#include <errno.h>
#include <string.h>

#include "common/base/cleanup.h"

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
