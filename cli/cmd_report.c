/* muster report: what a run did, as a document. */
#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "proto/fleet.pb-c.h"

static void on_report(const ProtobufCMessage *message, void *userdata)
{
        const char *text = ((const Muster__V1__ReportReply *)message)->text;
        size_t size = strlen(text);
        cleanup_free char *copy = malloc(size + 1);
        bool *failed = userdata;

        if (!copy) {
                *failed = true;
                return;
        }
        memcpy(copy, text, size);
        fwrite(copy, 1, clean_bytes(copy, size, true), stdout);
}

static int run(const struct cli *cli, int argc, char **argv)
{
        const char *format = NULL;
        const struct option list[] = {
                {"format", NULL, &format, "FORMAT",
                 "md (Markdown, the default), html (one page, complete in itself) or json"}};
        const struct options options = {"report", "[RUN]", list, ELEMENTS(list), 0, 1, false};
        Muster__V1__ReportRequest request = MUSTER__V1__REPORT_REQUEST__INIT;
        cleanup_with(session_freep) session *session = NULL;
        struct arguments arguments;
        struct ending ending;
        bool failed = false;
        int exit;

        if (!options_read(&options, argc, argv, &arguments, &exit))
                return exit;
        if (format && !text_equal(format, "md") && !text_equal(format, "html") && !text_equal(format, "json"))
                return cli_fail(CLI_USAGE, "report: there is no format '%s'; it takes md, html or json",
                                format);
        if (!session_open(&session, cli, &exit))
                return exit;
        request.run = (char *)(arguments.words[0] ? arguments.words[0] : "");
        request.format = (char *)(format ? format : "md");
        session_call(session, "Report", &request.base, CALL_DEADLINE_US, on_report, &failed, &ending);
        if (failed)
                return cli_fail(CLI_FAILED, "out of memory");
        return ending_exit(&ending);
}

const struct command command_report = {
        .name = "report",
        .usage = "[RUN] [--format md|html|json]",
        .summary = "what a run did, as a document",
        .run = run,
};
