/* See daemon.h. */
#include "common/loop/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/base/cleanup.h"
#include "common/base/log.h"

enum { OPTION_VERBOSE = 1000, OPTION_VERSION, OPTION_HELP, OPTION_OWN };

static const struct option common[] = {
        {"verbose", no_argument, NULL, OPTION_VERBOSE},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
};

static bool end(int *ret_exit, enum daemon_exit code)
{
        *ret_exit = code;
        return false;
}

/* The options as getopt wants them: those that all have, the program's own, an empty one. */
static bool table_make(struct option *table, size_t room, const struct daemon_option *list, size_t count)
{
        if (ELEMENTS(common) + count >= room)
                return false;
        memcpy(table, common, sizeof(common));
        for (size_t i = 0; i < count; i++)
                table[ELEMENTS(common) + i] =
                        (struct option){list[i].name, list[i].value ? required_argument : no_argument, NULL,
                                        OPTION_OWN + (int)i};
        return true;
}

bool daemon_options(const char *program, void (*usage)(FILE *out), const struct daemon_option *list,
                    size_t count, int argc, char **argv, int *ret_first, int *ret_exit)
{
        struct option table[ELEMENTS(common) + DAEMON_OPTIONS_MAX + 1] = {{0}};
        int option;

        if (!table_make(table, ELEMENTS(table), list, count))
                return end(ret_exit, DAEMON_FAILED);
        while ((option = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
                switch (option) {
                case OPTION_VERBOSE:
                        log_set_level(LOG_DEBUG);
                        break;
                case OPTION_VERSION:
                        printf("%s " MUSTER_VERSION "\n", program);
                        return end(ret_exit, DAEMON_OK);
                case OPTION_HELP:
                case 'h':
                        usage(stdout);
                        return end(ret_exit, DAEMON_OK);
                default:
                        if (option < OPTION_OWN) {
                                usage(stderr);
                                return end(ret_exit, DAEMON_USAGE);
                        }
                        if (list[option - OPTION_OWN].value)
                                *list[option - OPTION_OWN].value = optarg;
                        else
                                *list[option - OPTION_OWN].flag = true;
                }
        }
        *ret_first = optind;
        return true;
}

void daemon_block_signals(void)
{
        sigset_t blocked;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        sigaddset(&blocked, SIGINT);
        sigaddset(&blocked, SIGCHLD);
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        signal(SIGPIPE, SIG_IGN);
}

int daemon_event(sd_event **ret, sd_event_signal_handler_t terminate, void *userdata)
{
        sd_event *event = NULL;
        int r = sd_event_default(&event);

        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, terminate, userdata);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r < 0) {
                sd_event_unref(event);
                return r;
        }
        *ret = event;
        return 0;
}

enum daemon_exit daemon_run(sd_event *event)
{
        int r;

        sd_notify(0, "READY=1");
        r = sd_event_loop(event);
        if (r < 0)
                log_error("ends: %s", strerror(-r));
        sd_notify(0, "STOPPING=1");
        return r < 0 ? DAEMON_FAILED : DAEMON_OK;
}
