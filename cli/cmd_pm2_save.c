/* muster pm2 save: a snapshot of each PM2 home in scope, under one name.
 *
 * Exit: 0 all were saved, 3 some were, 5 none because their hosts are away, 1 none. */
#include "cli/cmd_operation.h"
#include "cli/cmd_pm2.h"
#include "proto/fleet.pb-c.h"

int pm2_save(const struct cli *cli, int argc, char **argv)
{
        Muster__V1__FleetPm2SaveRequest request = MUSTER__V1__FLEET_PM2_SAVE_REQUEST__INIT;

        return operations_command(cli, argc, argv, "pm2 save", "Pm2Save", &request.base, &request.scope,
                                  operations_on_message, "muster pm2 diff");
}
