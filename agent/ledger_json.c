/* See ledger_json.h. */
#include "agent/ledger_json.h"

#include <errno.h>
#include <jansson.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

/* Whatever the text is, it must not keep the record from being written. */
static json_t *clean_string(const char *text)
{
        char clean[sizeof(((struct operation_report *)0)->text)];

        text_copy_clean(clean, sizeof(clean), text);
        return json_string(clean);
}

int ledger_json_write(char **ret, const struct operation_report *report)
{
        const struct operation_type *type = operation_type(report->kind);
        cleanup_with(json_decrefp) json_t *figures = json_array();
        cleanup_with(json_decrefp) json_t *object = NULL;

        for (size_t i = 0; i < report->figure_count; i++)
                if (json_array_append_new(figures, json_pack("[o,o]", clean_string(report->figures[i].name),
                                                             clean_string(report->figures[i].value))) < 0)
                        return -ENOMEM;
        object = json_pack("{s:s,s:s,s:s,s:o,s:s,s:I,s:I,s:O}", "id", report->id, "kind",
                           type ? type->name : "", "state", operation_state_name(report->state), "text",
                           clean_string(report->text), "boot", report->boot_id, "accepted",
                           (json_int_t)report->accepted_us, "finished", (json_int_t)report->finished_us,
                           "figures", figures);
        if (!object)
                return -ENOMEM;
        *ret = json_dumps(object, JSON_COMPACT);
        return *ret ? 0 : -ENOMEM;
}

static enum operation_state state_named(const char *name)
{
        for (int state = OPERATION_ACCEPTED; state <= OPERATION_INTERRUPTED; state++)
                if (text_equal(name, operation_state_name((enum operation_state)state)))
                        return (enum operation_state)state;
        return OPERATION_UNKNOWN;
}

static int read_figures(struct operation_report *ret, json_t *figures)
{
        size_t i;
        json_t *pair;

        if (json_array_size(figures) > FIGURE_MAX)
                return -EBADMSG;
        json_array_foreach(figures, i, pair)
        {
                const char *name, *value;

                if (json_unpack(pair, "[s,s!]", &name, &value) < 0 ||
                    TEXT_COPY(ret->figures[i].name, name) < 0 || TEXT_COPY(ret->figures[i].value, value) < 0)
                        return -EBADMSG;
                ret->figure_count++;
        }
        return 0;
}

int ledger_json_read(struct operation_report *ret, const char *json, size_t size)
{
        cleanup_with(json_decrefp) json_t *object = json_loadb(json, size, 0, NULL);
        const char *id, *kind, *state, *text, *boot;
        struct operation_report report = {0};
        json_int_t accepted, finished;
        const struct operation_type *type;
        unsigned char binary[16];
        json_t *figures;

        if (!object || json_unpack(object, "{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:o!}", "id", &id, "kind", &kind,
                                   "state", &state, "text", &text, "boot", &boot, "accepted", &accepted,
                                   "finished", &finished, "figures", &figures) < 0)
                return -EBADMSG;
        type = operation_type_named(kind);
        report.state = state_named(state);
        if ((!type && kind[0]) || report.state == OPERATION_UNKNOWN || accepted < 0 || finished < 0 ||
            text_unhex(binary, sizeof(binary), id) < 0 || TEXT_COPY(report.id, id) < 0 ||
            TEXT_COPY(report.boot_id, boot) < 0 || TEXT_COPY(report.text, text) < 0 ||
            read_figures(&report, figures) < 0)
                return -EBADMSG;
        report.kind = type ? type->kind : OPERATION_NONE;
        report.accepted_us = (uint64_t)accepted;
        report.finished_us = (uint64_t)finished;
        *ret = report;
        return 0;
}
