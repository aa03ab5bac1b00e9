/* The operations there are, one file each. */
#pragma once

#include "agent/op/op.h"

extern const struct op_type op_unit_start;
extern const struct op_type op_unit_stop;
extern const struct op_type op_unit_enable;
extern const struct op_type op_redis_rewrite;
extern const struct op_type op_tile38_shrink;
extern const struct op_type op_pm2_save;
extern const struct op_type op_pm2_stop;
extern const struct op_type op_pm2_restore;
extern const struct op_type op_pm2_verify;
extern const struct op_type op_pm2_release;
extern const struct op_type op_host_reboot;
