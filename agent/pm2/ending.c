/* See ending.h; what PM2 does with it is in its God.js (executeApp) and God/ActionMethods.js
 * (restartProcessId). */
#include "agent/pm2/ending.h"

#include "agent/pm2/state.h"

#define ID ((json_int_t)PM2_ID_MAX)

/* Without a pid file: PM2 unlinks that of what ends. */
static json_t *entry(void)
{
        return json_pack("[{s:I, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:s, s:{}}]", "pm_id", ID, "name",
                         "muster-question", "namespace", "muster", "status", "launching", "autostart", 0,
                         "autorestart", 0, "exec_mode", "fork_mode", "pm_exec_path", "/bin/false", "pm_cwd",
                         "/", "env");
}

int pm2_ending_ask(pm2_client *client, uint64_t timeout_us, pm2_reply callback, void *userdata)
{
        int r = pm2_client_tell(client, "prepare", entry());

        if (r == 0)
                r = pm2_client_call(client, "restartProcessId", json_pack("[{s:I, s:{}}]", "id", ID, "env"),
                                    timeout_us, callback, userdata);
        if (r == 0)
                r = pm2_client_tell(client, "deleteProcessId", json_pack("[I]", ID));
        return r;
}
