/* The table of all commands; see command.h. To add one is to add a file and a line. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/terminal.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

static const struct command *const table[] = {
        &command_status, &command_check, &command_plan,  &command_reboot, &command_restart,
        &command_run,    &command_pm2,   &command_redis, &command_report, &command_exec,
        &command_host,   &command_user,  &command_audit,
};

const struct command *command_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTS(table); i++)
                if (text_equal(table[i]->name, name))
                        return table[i];
        return NULL;
}

const struct command *command_at(size_t index)
{
        return index < ELEMENTS(table) ? table[index] : NULL;
}

void command_help(void)
{
        puts("usage: muster [--identity FILE] COMMAND ...\n\n"
             "Restarts a fleet of hosts in the right order and proves that it worked.\n");
        for (size_t i = 0; i < ELEMENTS(table); i++)
                printf("  muster %-8s %-52s %s\n", table[i]->name, table[i]->usage, table[i]->summary);
        puts("\nSCOPE names hosts, groups and services: db1  @data  app[1-3]  bds  %redis:master  !app2\n"
             "(several are joined by commas; without a scope the whole fleet is meant)\n\n"
             "  --identity FILE  who you are: default $MUSTER_IDENTITY, ~/.config/muster/identity,\n"
             "                   /var/lib/muster/admin\n"
             "  --version        the program's version\n"
             "  --help           this text; after a command, that command's options\n\n"
             "exit: 0 done, 1 failed, 2 usage, 3 done in part, 4 paused, 5 not reachable or not allowed");
}

int cli_fail(enum cli_exit code, const char *format, ...)
{
        char text[ERROR_TEXT_SIZE + 128];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        clean_text(text);
        fprintf(stderr, "muster: %s\n", text);
        return code;
}
