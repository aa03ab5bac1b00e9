/* The one table of operations: to add one is to add a file and a line here. */
#include "agent/op/table.h"

#include "common/base/cleanup.h"

static const struct op_type *const table[] = {
        &op_unit_start, &op_unit_stop,   &op_unit_enable, &op_redis_rewrite, &op_tile38_shrink, &op_pm2_save,
        &op_pm2_stop,   &op_pm2_restore, &op_pm2_verify,  &op_pm2_release,   &op_host_reboot,
};

const struct op_type *op_type_find(enum operation_kind kind)
{
        for (size_t i = 0; i < ELEMENTS(table); i++)
                if (table[i]->kind == kind)
                        return table[i];
        return NULL;
}
