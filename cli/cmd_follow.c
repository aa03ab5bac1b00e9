/* See cmd_follow.h. */
#include "cli/cmd_follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/live.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define RETURN_WAIT_US (60 * USEC_PER_SEC)

struct following {
        session *session;
        const struct follow_options *options;
        struct live live;
        char run[80];           /* clean; once it is known */
        char state[32];         /* of the newest summary */
        char waiting_for[1024]; /* clean */
        char *way_up;           /* owned: from what it left down; NULL or "" nothing */
        uint64_t next_event;
        unsigned
                summaries; /* since the link is up; from the second on what came is of now, not of the past */
        bool failed;
};

static enum style state_style(const char *state)
{
        if (text_equal(state, "done"))
                return STYLE_GOOD;
        if (text_equal(state, "failed") || text_equal(state, "aborted"))
                return STYLE_BAD;
        if (text_equal(state, "paused") || text_equal(state, "skipped") || text_equal(state, "part"))
                return STYLE_WARN;
        return STYLE_PLAIN;
}

static void print_event(struct following *following, const Muster__V1__RunUpdate *update)
{
        const struct terminal *terminal = &following->live.terminal;
        enum style style = state_style(update->step_state);
        char when[TIME_TEXT_SIZE], text[768], step[16] = "";

        time_text(when, update->time_us);
        text_copy_cut(text, sizeof(text), update->text);
        clean_text(text);
        /* The step's number is what retry and skip take. */
        if (update->step >= 0)
                snprintf(step, sizeof(step), "%d", update->step);
        live_erase(&following->live);
        printf("%s%.8s %4s%s  %s%s%s\n", style_begin(terminal, STYLE_DIM), when + 11, step,
               style_end(terminal, STYLE_DIM), style_begin(terminal, style), text,
               style_end(terminal, style));
}

char *way_up_text(const Muster__V1__RunSummary *summary, const char *indent)
{
        size_t size = 1;
        char *text;

        for (size_t i = 0; i < summary->n_way_up; i++)
                size += strlen(indent) + strlen(summary->way_up[i]) + 1;
        text = calloc(1, size);
        for (size_t i = 0, used = 0; i < summary->n_way_up && text; i++) {
                char *line = text + used;

                used += (size_t)sprintf(line, "%s%s", indent, summary->way_up[i]);
                clean_text(line);
                used = (size_t)(line - text) + strlen(line);
                text[used++] = '\n';
        }
        return text;
}

static void take_summary(struct following *following, const Muster__V1__RunSummary *summary)
{
        following->summaries++;
        text_copy_cut(following->run, sizeof(following->run), summary->run);
        clean_text(following->run);
        text_copy_cut(following->state, sizeof(following->state), summary->state);
        text_copy_cut(following->waiting_for, sizeof(following->waiting_for), summary->waiting_for);
        clean_text(following->waiting_for);
        free(following->way_up);
        following->way_up = way_up_text(summary, "  ");
        following->failed |= !following->way_up;
        following->live.total = summary->steps_total;
}

static void on_update(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__RunUpdate *update = (const Muster__V1__RunUpdate *)message;
        struct following *following = userdata;

        if (update->event) {
                if (update->event < following->next_event)
                        return;
                following->next_event = update->event + 1;
        }
        if (update->summary)
                take_summary(following, update->summary);
        if (following->options->json) {
                following->failed |= json_print(message, true) < 0;
        } else {
                live_step(&following->live, update->step, update->step_state, update->event == 0,
                          update->text, update->progress_done, update->progress_total);
                following->live.left_low_ms = update->left_low_ms;
                following->live.left_high_ms = update->left_high_ms;
                if (update->event && update->text[0])
                        print_event(following, update);
                if (following->summaries > 1)
                        live_draw(&following->live, update->event != 0);
                if (!following->live.terminal.tty)
                        fflush(stdout);
        }
        if (following->summaries > 1 && (following->options->once || text_equal(following->state, "paused")))
                session_stop(following->session);
}

/* What moves it, or brings up what it left down. */
static void print_more(const struct following *following)
{
        if (following->options->json)
                return;
        if (following->waiting_for[0])
                printf("  %s\n", following->waiting_for);
        if (following->way_up)
                fputs(following->way_up, stdout);
}

/* How the run stands now, as an exit code and a last line. */
static int conclude(struct following *following)
{
        const struct terminal *terminal = &following->live.terminal;
        static const struct {
                const char *state;
                enum cli_exit code;
                const char *text;
        } ends[] = {
                {"done", CLI_DONE, "done"},
                {"part", CLI_PART, "done in part: something was skipped or failed on the way"},
                {"failed", CLI_FAILED, "failed"},
                {"aborted", CLI_FAILED, "aborted"},
                {"paused", CLI_PAUSED, "paused"},
        };

        for (size_t i = 0; i < ELEMENTS(ends); i++) {
                enum style style = state_style(ends[i].state);

                if (!text_equal(ends[i].state, following->state))
                        continue;
                if (!following->options->json)
                        printf("%srun %s: %s%s\n", style_begin(terminal, style), following->run, ends[i].text,
                               style_end(terminal, style));
                print_more(following);
                return ends[i].code;
        }
        return cli_fail(CLI_FAILED, "the controller ended the stream while run %s is %s", following->run,
                        following->state[0] ? following->state : "unknown");
}

/* The same without the verdict: showing is no failure, whatever is shown. */
static int show_state(const struct following *following)
{
        if (following->options->json)
                return CLI_DONE;
        printf("run %s: %s\n", following->run, following->state);
        print_more(following);
        return CLI_DONE;
}

static int leave(const struct following *following)
{
        const char *run = following->run;

        fprintf(stderr, "left run %s, which goes on; back to it: muster run watch%s%s\n", run,
                run[0] ? " " : "", run);
        return CLI_PART;
}

/* The link is gone, the run is not: back to it, or say how to come back. True: the stream can be taken up. */
static bool come_back(struct following *following, int *ret_exit)
{
        struct error error = {0};
        int r;

        fprintf(stderr, "the link to the controller was lost; the run does not need it: dialling again\n");
        r = session_reopen(following->session, RETURN_WAIT_US, &error);
        if (r == 0)
                return true;
        if (r == -EINTR)
                *ret_exit = leave(following);
        else
                *ret_exit = cli_fail(CLI_UNREACHABLE, "%s; back to the run: muster run watch %s",
                                     error_text(&error, r), following->run);
        return false;
}

static int follow(struct following *following)
{
        for (;;) {
                Muster__V1__WatchRunRequest request = MUSTER__V1__WATCH_RUN_REQUEST__INIT;
                struct ending ending;
                int exit;

                request.run = following->run;
                request.from_event = following->next_event;
                following->summaries = 0;
                session_call(following->session, "WatchRun", &request.base, 0, on_update, following, &ending);
                live_erase(&following->live);
                if (following->failed)
                        return cli_fail(CLI_FAILED, "out of memory");
                if (ending.interrupted)
                        return leave(following);
                if (following->options->once && (ending.stopped || ending.code == RPC_OK))
                        return show_state(following);
                if (ending.code == RPC_OK)
                        return conclude(following);
                if (ending.code != RPC_UNAVAILABLE || !following->run[0])
                        return ending_exit(&ending);
                if (!come_back(following, &exit))
                        return exit;
        }
}

int follow_run(session *session, const struct follow_options *options)
{
        struct following following = {.session = session, .options = options};
        int exit;

        /* Which run it is may be known before a word of it has come: the link may break first. */
        text_copy_cut(following.run, sizeof(following.run), options->run);
        clean_text(following.run);
        terminal_read(&following.live.terminal, stdout);
        exit = follow(&following);
        live_clear(&following.live);
        free(following.way_up);
        return exit;
}
