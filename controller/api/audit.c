/* Audit: who did what, newest first. */
#include "common/base/text.h"
#include "controller/api/handlers.h"

#define ENTRIES_MOST 10000u

struct listing {
        struct wire_arena arena;
        Muster__V1__AuditReply reply;
        size_t room;
};

static int add_entry(const struct store_audit *entry, void *userdata)
{
        struct listing *listing = userdata;
        Muster__V1__AuditEntry *message = wire_alloc(&listing->arena, sizeof(*message));
        char text[sizeof(entry->text)];

        if (!message)
                return -ENOMEM;
        if (listing->reply.n_entries == listing->room)
                return 0;
        muster__v1__audit_entry__init(message);
        message->time_us = entry->time_us;
        message->user = wire_text(&listing->arena, entry->user);
        message->action = wire_text(&listing->arena, entry->action);
        /* An entry is stored as it was made; one that is no text must not keep all others from being read. */
        text_copy_clean(text, sizeof(text), entry->text);
        message->text = wire_text(&listing->arena, text);
        listing->reply.entries[listing->reply.n_entries++] = message;
        return 0;
}

void api_audit(rpc_call *call, const ProtobufCMessage *request, void *userdata)
{
        const Muster__V1__AuditRequest *wanted = (const Muster__V1__AuditRequest *)request;
        const struct api_context *context = userdata;
        struct listing listing = {.reply = MUSTER__V1__AUDIT_REPLY__INIT};
        int r = -ENOMEM;

        listing.room = wanted->limit && wanted->limit < ENTRIES_MOST ? wanted->limit : ENTRIES_MOST;
        listing.reply.entries = wire_alloc(&listing.arena, listing.room * sizeof(*listing.reply.entries));
        if (listing.reply.entries)
                r = store_audit_list(context->store, listing.room, add_entry, &listing);
        if (r < 0) {
                wire_arena_clear(&listing.arena);
                api_fail(call, "the audit trail cannot be read", r);
                return;
        }
        api_reply(call, &listing.arena, &listing.reply.base);
}
