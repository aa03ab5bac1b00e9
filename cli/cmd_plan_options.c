/* See cmd_plan_options.h. */
#include "cli/cmd_plan_options.h"

void plan_options_fill(Muster__V1__PlanOptions *ret, const struct plan_asked *asked)
{
        muster__v1__plan_options__init(ret);
        ret->batch = (char *)(asked->batch ? asked->batch : "");
        ret->canary = (char *)(asked->canary ? asked->canary : "");
}
