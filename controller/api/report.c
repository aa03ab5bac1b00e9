/* Report: what a run did, as a document; made from its journal by controller/report. */
#include "controller/report/report.h"

#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "controller/api/handlers.h"

static const struct {
        const char *name;
        int (*make)(store *store, const char *run, char **ret, struct error *error);
} formats[] = {
        {"md", report_markdown},
        {"html", report_html},
        {"json", report_json},
};

void api_report(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__ReportRequest *wanted = (const Muster__V1__ReportRequest *)request;
        const struct api_context *context = userdata;
        Muster__V1__ReportReply reply = MUSTER__V1__REPORT_REPLY__INIT;
        cleanup_free char *text = NULL;
        struct error error = {0};
        size_t format = 0;
        int r;

        while (format < ELEMENTS(formats) && !text_equal(wanted->format, formats[format].name))
                format++;
        if (format == ELEMENTS(formats)) {
                rpc_call_end(call, RPC_INVALID_ARGUMENT,
                             "there is no report as '%s'; there are md, html and json", wanted->format);
                return;
        }
        r = formats[format].make(context->store, wanted->run, &text, &error);
        if (r < 0) {
                rpc_call_end(call,
                             r == -ENOENT   ? RPC_NOT_FOUND
                             : r == -ENOMEM ? RPC_RESOURCE_EXHAUSTED
                                            : RPC_INTERNAL,
                             "%s", error_text(&error, r));
                return;
        }
        reply.text = text;
        rpc_call_reply(call, &reply.base);
}
