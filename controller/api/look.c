/* Has hosts look at everything anew, all at once, so that what is then said of them is of now; see
 * handlers.h. */
#include <stdlib.h>

#include "controller/api/handlers.h"

struct api_look {
        api_looked looked; /* NULL: nobody waits any more */
        void *userdata;
        size_t open; /* hosts that have not answered; one more while asking */
        bool late[]; /* by the fleet's hosts */
};

static void answered(struct api_look *look)
{
        if (--look->open > 0)
                return;
        if (look->looked)
                look->looked(look->late, look->userdata);
        free(look);
}

static void on_looked(size_t host, enum rpc_status code, void *userdata)
{
        struct api_look *look = userdata;

        look->late[host] = code != RPC_OK;
        answered(look);
}

int api_look(struct api_look **ret, const struct api_context *context, const struct scope *scope,
             api_looked looked, void *userdata)
{
        size_t hosts = context->fleet->host_count;
        struct api_look *look = calloc(1, sizeof(*look) + hosts * sizeof(look->late[0]));

        if (!look)
                return -ENOMEM;
        *look = (struct api_look){.looked = looked, .userdata = userdata, .open = 1};
        *ret = look;
        for (size_t i = 0; i < hosts; i++) {
                int r = scope->hosts[i] ? agents_look(context->agents, i, API_LOOK_US, on_looked, look)
                                        : -ENOTCONN;

                if (r == 0)
                        look->open++;
                else
                        look->late[i] = r != -ENOTCONN;
        }
        if (look->open == 1)
                *ret = NULL;
        answered(look);
        return 0;
}

void api_look_leave(struct api_look *look)
{
        if (look)
                look->looked = NULL;
}
