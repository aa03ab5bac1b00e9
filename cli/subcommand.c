/* See subcommand.h. */
#include "cli/subcommand.h"

#include <stdio.h>

#include "common/base/suggest.h"
#include "common/base/text.h"

int subcommand_run(const char *command, const struct subcommand *list, size_t count, const struct cli *cli,
                   int argc, char **argv)
{
        struct suggest suggest;
        char names[256] = "";
        size_t used = 0;

        for (size_t i = 0; i < count && used < sizeof(names); i++)
                used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
                                         list[i].name);
        if (argc < 2)
                return cli_fail(CLI_USAGE, "%s: something is missing; it takes %s", command, names);
        if (text_equal(argv[1], "--help") || text_equal(argv[1], "-h")) {
                printf("usage: muster %s %s\n", command, names);
                return CLI_DONE;
        }
        suggest_begin(&suggest, argv[1]);
        for (size_t i = 0; i < count; i++) {
                if (text_equal(list[i].name, argv[1]))
                        return list[i].run(cli, argc - 1, argv + 1);
                suggest_offer(&suggest, list[i].name);
        }
        return cli_fail(CLI_USAGE, "%s: unknown '%s'; it takes %s%s", command, argv[1], names,
                        suggest_text(&suggest));
}
