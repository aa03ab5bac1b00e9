/* Specs, operations and findings, to messages and back; see wire.h. */
#include <errno.h>

#include "common/base/text.h"
#include "common/rpc/wire.h"

#define SETTLE_MOST_MS (24 * 3600 * UINT64_C(1000)) /* beyond any hold */

Muster__V1__ServiceSpec *wire_spec(struct wire_arena *arena, const struct service_spec *spec)
{
        Muster__V1__ServiceSpec *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__service_spec__init(message);
        message->name = wire_text(arena, spec->name);
        message->kind = (Muster__V1__ServiceKind)spec->kind;
        message->unit = wire_text(arena, spec->unit);
        message->address = wire_text(arena, spec->address);
        message->port = spec->port;
        message->socket = wire_text(arena, spec->socket);
        message->role = (Muster__V1__RedisRole)spec->role;
        message->user = wire_text(arena, spec->user);
        message->home = wire_text(arena, spec->home);
        message->probe_port = spec->probe_port;
        message->probe_address = wire_text(arena, spec->probe_address);
        message->probe_run_id = wire_text(arena, spec->probe_run_id);
        return message;
}

int wire_read_spec(struct service_spec *ret, const Muster__V1__ServiceSpec *message)
{
        struct service_spec spec = {0};

        if (message->kind < MUSTER__V1__SERVICE_KIND__SERVICE_KIND_UNIT ||
            message->kind > MUSTER__V1__SERVICE_KIND__SERVICE_KIND_PM2 ||
            (unsigned)message->role > REDIS_REPLICA || message->port > UINT16_MAX ||
            message->probe_port > UINT16_MAX)
                return -EBADMSG;
        if (TEXT_COPY(spec.name, message->name) < 0 || TEXT_COPY(spec.unit, message->unit) < 0 ||
            TEXT_COPY(spec.address, message->address) < 0 || TEXT_COPY(spec.socket, message->socket) < 0 ||
            TEXT_COPY(spec.user, message->user) < 0 || TEXT_COPY(spec.home, message->home) < 0 ||
            TEXT_COPY(spec.probe_address, message->probe_address) < 0 ||
            TEXT_COPY(spec.probe_run_id, message->probe_run_id) < 0)
                return -EBADMSG;
        spec.kind = (enum service_kind)message->kind;
        spec.role = (enum redis_role)message->role;
        spec.port = (uint16_t)message->port;
        spec.probe_port = (uint16_t)message->probe_port;
        if (service_spec_check(&spec) < 0)
                return -EBADMSG;
        *ret = spec;
        return 0;
}

Muster__V1__Figure **wire_figures(struct wire_arena *arena, const struct figure *figures, size_t count)
{
        Muster__V1__Figure **list = wire_alloc(arena, (count + 1) * sizeof(*list));

        for (size_t i = 0; list && i < count; i++) {
                list[i] = wire_alloc(arena, sizeof(**list));
                if (!list[i])
                        return NULL;
                muster__v1__figure__init(list[i]);
                list[i]->name = wire_text(arena, figures[i].name);
                list[i]->value = wire_text(arena, figures[i].value);
        }
        return list;
}

Muster__V1__OperationReport *wire_report(struct wire_arena *arena, const struct operation_report *report)
{
        Muster__V1__OperationReport *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__operation_report__init(message);
        message->operation_id = wire_text(arena, report->id);
        message->kind = (Muster__V1__OperationKind)report->kind;
        message->state = (Muster__V1__OperationState)report->state;
        message->text = wire_text(arena, report->text);
        message->boot_id = wire_text(arena, report->boot_id);
        message->accepted_us = report->accepted_us;
        message->finished_us = report->finished_us;
        message->figures = wire_figures(arena, report->figures, report->figure_count);
        message->n_figures = message->figures ? report->figure_count : 0;
        return message;
}

int wire_read_report(struct operation_report *ret, const Muster__V1__OperationReport *message)
{
        struct operation_report report = {0};
        unsigned char id[16];

        /* A damaged ledger does not know the kind of what it cannot account for. */
        if ((message->kind == MUSTER__V1__OPERATION_KIND__OPERATION_KIND_UNSPECIFIED &&
             message->state != MUSTER__V1__OPERATION_STATE__OPERATION_STATE_INTERRUPTED) ||
            (unsigned)message->kind >= OPERATION_KIND_END ||
            message->state <= MUSTER__V1__OPERATION_STATE__OPERATION_STATE_UNSPECIFIED ||
            (unsigned)message->state > OPERATION_INTERRUPTED || message->n_figures > FIGURE_MAX)
                return -EBADMSG;
        if (text_unhex(id, sizeof(id), message->operation_id) < 0 ||
            TEXT_COPY(report.id, message->operation_id) < 0 ||
            (message->boot_id[0] && !boot_id_is_sound(message->boot_id)) ||
            TEXT_COPY(report.boot_id, message->boot_id) < 0)
                return -EBADMSG;
        report.kind = (enum operation_kind)message->kind;
        report.state = (enum operation_state)message->state;
        report.accepted_us = message->accepted_us;
        report.finished_us = message->finished_us;
        text_copy_cut(report.text, sizeof(report.text), message->text);
        for (size_t i = 0; i < message->n_figures; i++) {
                struct figure *figure = &report.figures[report.figure_count++];

                text_copy_cut(figure->name, sizeof(figure->name), message->figures[i]->name);
                text_copy_cut(figure->value, sizeof(figure->value), message->figures[i]->value);
        }
        *ret = report;
        return 0;
}

Muster__V1__OperateRequest *wire_request(struct wire_arena *arena, const struct operation_request *request)
{
        Muster__V1__OperateRequest *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__operate_request__init(message);
        message->operation_id = wire_text(arena, request->id);
        message->kind = (Muster__V1__OperationKind)request->kind;
        if (request->service.kind != SERVICE_NONE)
                message->service = wire_spec(arena, &request->service);
        message->snapshot = wire_text(arena, request->snapshot);
        message->deadline_ms = request->deadline_us / 1000;
        message->boot_id = wire_text(arena, request->boot_id);
        message->soft = request->soft;
        message->start_errored = request->start_errored;
        message->settle_ms = request->settle_us / 1000;
        return message;
}

int wire_read_request(struct operation_request *ret, const Muster__V1__OperateRequest *message)
{
        struct operation_request request = {0};

        if ((unsigned)message->kind >= OPERATION_KIND_END || message->deadline_ms > UINT64_MAX / 1000 ||
            message->settle_ms > SETTLE_MOST_MS)
                return -EBADMSG;
        if (TEXT_COPY(request.id, message->operation_id) < 0 ||
            TEXT_COPY(request.snapshot, message->snapshot) < 0 ||
            TEXT_COPY(request.boot_id, message->boot_id) < 0)
                return -EBADMSG;
        if (message->service && wire_read_spec(&request.service, message->service) < 0)
                return -EBADMSG;
        request.kind = (enum operation_kind)message->kind;
        request.deadline_us = message->deadline_ms * 1000;
        request.soft = message->soft;
        request.start_errored = message->start_errored;
        request.settle_us = message->settle_ms * 1000;
        if (operation_request_check(&request, NULL) < 0)
                return -EBADMSG;
        *ret = request;
        return 0;
}

Muster__V1__Finding *wire_finding(struct wire_arena *arena, const struct finding *finding)
{
        Muster__V1__Finding *message = wire_alloc(arena, sizeof(*message));

        if (!message)
                return NULL;
        muster__v1__finding__init(message);
        message->id = wire_text(arena, finding->id);
        message->host = wire_text(arena, finding->host);
        message->service = wire_text(arena, finding->service);
        message->severity = (Muster__V1__FindingSeverity)finding->severity;
        message->evidence = wire_text(arena, finding->evidence);
        message->advice = wire_text(arena, finding->advice);
        message->fixable = finding->fix != OPERATION_NONE;
        message->fix = (Muster__V1__OperationKind)finding->fix;
        return message;
}
