/* muster redis watch: the loads of a scope's Redis, live, until all are ready.
 *
 * On a terminal a table that is drawn over itself; elsewhere a line whenever an instance changes its phase or
 * its file, or has loaded another tenth. Exit: 0 all are ready, 2 the scope holds no Redis, 3 left before. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd_redis.h"
#include "cli/connect.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/table.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/model/scope.h"

/* What was said of an instance last. */
struct told {
        Muster__V1__ServicePhase phase;
        char file[16];
        unsigned tenth;
        bool connected, any;
};

struct watching {
        session *session;
        struct terminal terminal;
        bool json;
        struct told *told; /* owned; by the order of the status, which is the fleet's */
        size_t told_count, index;
        size_t ready, all;
        unsigned drawn; /* lines on the terminal */
        table *table;   /* while a status is drawn */
        int failure;
};

static const char *phase_word(Muster__V1__ServicePhase phase)
{
        const ProtobufCEnumValue *value =
                protobuf_c_enum_descriptor_get_value(&muster__v1__service_phase__descriptor, (int)phase);
        static const char prefix[] = "SERVICE_PHASE_";

        return value && text_starts(value->name, prefix) ? value->name + strlen(prefix) : "UNKNOWN";
}

static void lower(char *text)
{
        for (; *text; text++)
                if (*text >= 'A' && *text <= 'Z')
                        *text = (char)(*text - 'A' + 'a');
}

static void line_phase(const struct redis_line *line, char *out, size_t size)
{
        text_copy_cut(out, size, line->host->connected ? phase_word(line->service->phase) : "UNREACHABLE");
        lower(out);
}

/* Whether there is something new to say of it. */
static bool is_news(struct watching *watching, const struct redis_line *line)
{
        const Muster__V1__ServiceState *service = line->service;
        struct told now = {.phase = service->phase, .connected = line->host->connected, .any = true}, *told;
        bool news;

        if (watching->index == watching->told_count) {
                told = reallocarray(watching->told, watching->told_count + 1, sizeof(*told));
                if (!told) {
                        watching->failure = -1;
                        return false;
                }
                watching->told = told;
                told[watching->told_count++] = (struct told){0};
        }
        told = &watching->told[watching->index++];
        text_copy_cut(now.file, sizeof(now.file), line->forecast ? line->forecast->file : "");
        if (service->progress_total)
                now.tenth = (unsigned)(10 * (double)service->progress_done / (double)service->progress_total);
        news = !told->any || told->phase != now.phase || told->connected != now.connected ||
               told->tenth != now.tenth || !text_equal(told->file, now.file);
        *told = now;
        return news;
}

static void print_json(struct watching *watching, const struct redis_line *line)
{
        json_t *object = json_object(),
               *forecast = line->forecast ? json_message(&line->forecast->base) : json_null();
        char phase[32];

        line_phase(line, phase, sizeof(phase));
        if (json_object_set_new(object, "host", json_string(line->host->name)) < 0 ||
            json_object_set_new(object, "service", json_string(line->service->name)) < 0 ||
            json_object_set_new(object, "phase", json_string(phase)) < 0 ||
            json_object_set_new(object, "loaded", json_integer((json_int_t)line->service->progress_done)) <
                    0 ||
            json_object_set_new(object, "total", json_integer((json_int_t)line->service->progress_total)) <
                    0 ||
            json_object_set_new(object, "load", forecast) < 0 || json_dumpf(object, stdout, JSON_COMPACT) < 0)
                watching->failure = -1;
        putchar('\n');
        json_decref(object);
}

static void on_line(const struct redis_line *line, void *userdata)
{
        struct watching *watching = userdata;
        bool ready = redis_line_is_ready(line), tty = watching->terminal.tty && !watching->json;
        char text[512], phase[32], name[2 * 64 + 2];

        watching->all++;
        watching->ready += ready;
        line_phase(line, phase, sizeof(phase));
        redis_line_text(line, text, sizeof(text));
        if (tty) {
                table_cell(watching->table, STYLE_PLAIN, "%.63s", line->host->name);
                table_cell(watching->table, STYLE_PLAIN, "%.63s", line->service->name);
                table_cell(watching->table, ready ? STYLE_GOOD : STYLE_WARN, "%s", phase);
                table_cell(watching->table, STYLE_PLAIN, "%s", text);
                return;
        }
        if (watching->json) {
                print_json(watching, line);
                return;
        }
        if (!is_news(watching, line))
                return;
        snprintf(name, sizeof(name), "%.63s/%.63s", line->host->name, line->service->name);
        clean_text(name);
        printf("%s %s: %s\n", name, phase, text);
}

static void draw(struct watching *watching, const Muster__V1__StatusReply *status)
{
        static const char *const heads[] = {"HOST", "REDIS", "PHASE", "LOAD"};

        if (table_new(&watching->table, heads, ELEMENTS(heads)) < 0) {
                watching->failure = -1;
                return;
        }
        redis_lines(status, on_line, watching);
        if (watching->all > 0) {
                if (watching->drawn)
                        printf("\033[%uA\r\033[J", watching->drawn);
                if (table_print(watching->table, stdout, &watching->terminal) < 0)
                        watching->failure = -1;
                watching->drawn = (unsigned)watching->all + 1;
        }
        watching->table = table_free(watching->table);
}

static void on_status(const ProtobufCMessage *message, void *userdata)
{
        const Muster__V1__StatusReply *status = (const Muster__V1__StatusReply *)message;
        struct watching *watching = userdata;

        watching->all = watching->ready = watching->index = 0;
        if (watching->terminal.tty && !watching->json)
                draw(watching, status);
        else
                redis_lines(status, on_line, watching);
        fflush(stdout);
        if (watching->failure < 0 || watching->ready == watching->all)
                session_stop(watching->session);
}

int redis_watch(const struct cli *cli, int argc, char **argv)
{
        struct watching watching = {0};
        const struct option list[] = {{"json", &watching.json, NULL, NULL, "as JSON, one object a line"}};
        const struct options options = {"redis watch",      "[SCOPE]", list, ELEMENTS(list), 0,
                                        ARGUMENT_WORDS_MAX, false};
        Muster__V1__StatusRequest request = MUSTER__V1__STATUS_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        char scope[SCOPE_TEXT_MAX];
        struct arguments arguments;
        struct ending ending;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit) ||
            !arguments_scope(&arguments, 0, scope, sizeof(scope), &exit) ||
            !session_open(&session, cli, &exit))
                return exit;
        terminal_read(&watching.terminal, stdout);
        watching.session = session;
        request.scope = scope;
        session_call(session, "Watch", &request.base, 0, on_status, &watching, &ending);
        free(watching.told);
        if (watching.failure < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        if (ending.stopped && watching.all == 0)
                return cli_fail(CLI_USAGE, "%s holds no Redis; muster status shows what there is",
                                scope[0] ? scope : "the fleet");
        if (ending.interrupted)
                return cli_fail(CLI_PART, "%zu of %zu were ready", watching.ready, watching.all);
        return ending_exit(&ending);
}
