/* Between generated messages and the model: the one place where both are known.
 *
 * Reading checks everything (enums, lengths, counts, names) and fails with -EBADMSG; what came is never
 * trusted. Writing builds messages on an arena that the caller frees in one go after packing. */
#pragma once

#include "common/model/finding.h"
#include "common/model/fleet.h"
#include "common/model/operation.h"
#include "common/model/state.h"
#include "proto/agent.pb-c.h"
#include "proto/fleet.pb-c.h"

/* Memory for one outgoing message. Zero it before use; clear it after the message was packed. */
struct wire_arena {
        struct wire_block *blocks;
        bool failed; /* an allocation failed: the message must not be sent */
};
void wire_arena_clear(struct wire_arena *arena);
/* Zeroed memory, or NULL with failed set. */
void *wire_alloc(struct wire_arena *arena, size_t size);
/* A copy of text, bytes that are no UTF-8 replaced; "" for NULL. Never NULL (a static "" if memory is out).
 */
char *wire_text(struct wire_arena *arena, const char *text);

/* NULL with arena->failed if memory is out. */
Muster__V1__ServiceSpec *wire_spec(struct wire_arena *arena, const struct service_spec *spec);
Muster__V1__HostState *wire_host(struct wire_arena *arena, const struct host_state *state);
/* NULL also where nothing is known; of hosts, for wire_host. */
Muster__V1__HostFacts *wire_host_facts(struct wire_arena *arena, const struct host_facts *facts);
Muster__V1__ServiceState *wire_service(struct wire_arena *arena, const struct service_state *state);
Muster__V1__OperationReport *wire_report(struct wire_arena *arena, const struct operation_report *report);
/* count of them. */
Muster__V1__Figure **wire_figures(struct wire_arena *arena, const struct figure *figures, size_t count);
Muster__V1__OperateRequest *wire_request(struct wire_arena *arena, const struct operation_request *request);
Muster__V1__Finding *wire_finding(struct wire_arena *arena, const struct finding *finding);

/* 0, -EBADMSG or -ENOMEM. ret must be zeroed; on failure it owns nothing. */
int wire_read_spec(struct service_spec *ret, const Muster__V1__ServiceSpec *message);
int wire_read_host(struct host_state *ret, const Muster__V1__HostState *message);
/* For wire_read_host, which also clears what a failure leaves. */
int wire_read_host_facts(struct host_facts *facts, const Muster__V1__HostFacts *message);
int wire_read_service(struct service_state *ret, const Muster__V1__ServiceState *message);
int wire_read_report(struct operation_report *ret, const Muster__V1__OperationReport *message);
int wire_read_request(struct operation_request *ret, const Muster__V1__OperateRequest *message);
