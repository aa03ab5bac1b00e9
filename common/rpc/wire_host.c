/* What hosts are compared by, to messages and back; see wire.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/rpc/wire.h"

#define WORDS_MAX      1024u
#define INHIBITORS_MAX 64u

static char **write_words(struct wire_arena *arena, const char *words, size_t size, size_t count)
{
        char **list = wire_alloc(arena, (count + 1) * sizeof(*list));

        for (size_t i = 0; list && i < count; i++)
                list[i] = wire_text(arena, words + i * size);
        return list;
}

static void write_inhibitors(struct wire_arena *arena, Muster__V1__HostFacts *message,
                             const struct host_facts *facts)
{
        message->inhibitors = wire_alloc(arena, (facts->inhibitor_count + 1) * sizeof(*message->inhibitors));
        for (size_t i = 0; message->inhibitors && i < facts->inhibitor_count; i++) {
                Muster__V1__Inhibitor *inhibitor = wire_alloc(arena, sizeof(*inhibitor));

                if (!inhibitor)
                        return;
                muster__v1__inhibitor__init(inhibitor);
                inhibitor->who = wire_text(arena, facts->inhibitors[i].who);
                inhibitor->why = wire_text(arena, facts->inhibitors[i].why);
                inhibitor->mode = wire_text(arena, facts->inhibitors[i].mode);
                message->inhibitors[message->n_inhibitors++] = inhibitor;
        }
}

Muster__V1__HostFacts *wire_host_facts(struct wire_arena *arena, const struct host_facts *facts)
{
        Muster__V1__HostFacts *message = facts->known ? wire_alloc(arena, sizeof(*message)) : NULL;

        if (!message)
                return NULL;
        muster__v1__host_facts__init(message);
        message->looked_ms = facts->looked_ms;
        message->kernel_newest = wire_text(arena, facts->kernel_newest);
        message->system_state = wire_text(arena, facts->system_state);
        message->clock_sync = (Muster__V1__ClockSync)facts->clock_sync;
        message->mounts_cut = facts->mounts_cut;
        message->listeners_cut = facts->listeners_cut;
        message->mounts = write_words(arena, (const char *)facts->mounts, WORD_SIZE, facts->mount_count);
        message->n_mounts = message->mounts ? facts->mount_count : 0;
        message->listeners =
                write_words(arena, (const char *)facts->listeners, ADDRESS_SIZE, facts->listener_count);
        message->n_listeners = message->listeners ? facts->listener_count : 0;
        message->stopping =
                write_words(arena, (const char *)facts->stopping, UNIT_SIZE, facts->stopping_count);
        message->n_stopping = message->stopping ? facts->stopping_count : 0;
        write_inhibitors(arena, message, facts);
        return message;
}

/* 0, -EBADMSG or -ENOMEM; a word is one: a blank in it becomes '?', like all that is not printed. */
static int read_words(void *ret, size_t *ret_count, size_t size, char *const *words, size_t count)
{
        char *list;

        if (count > WORDS_MAX)
                return -EBADMSG;
        list = calloc(count + 1, size);
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                char *word = list + i * size;

                text_copy_clean(word, size, words[i]);
                for (char *c = word; *c; c++)
                        if (*c == ' ')
                                *c = '?';
        }
        memcpy(ret, &list, sizeof(list));
        *ret_count = count;
        return 0;
}

static int read_inhibitors(struct host_facts *facts, const Muster__V1__HostFacts *message)
{
        if (message->n_inhibitors > INHIBITORS_MAX)
                return -EBADMSG;
        facts->inhibitors = calloc(message->n_inhibitors + 1, sizeof(*facts->inhibitors));
        if (!facts->inhibitors)
                return -ENOMEM;
        for (size_t i = 0; i < message->n_inhibitors; i++) {
                struct inhibitor_state *inhibitor = &facts->inhibitors[facts->inhibitor_count++];

                text_copy_clean(inhibitor->who, sizeof(inhibitor->who), message->inhibitors[i]->who);
                text_copy_clean(inhibitor->why, sizeof(inhibitor->why), message->inhibitors[i]->why);
                text_copy_clean(inhibitor->mode, sizeof(inhibitor->mode), message->inhibitors[i]->mode);
        }
        return 0;
}

int wire_read_host_facts(struct host_facts *facts, const Muster__V1__HostFacts *message)
{
        int r;

        if (!message)
                return 0;
        if ((unsigned)message->clock_sync > CLOCK_UNSYNCHRONISED ||
            TEXT_COPY(facts->system_state, message->system_state) < 0)
                return -EBADMSG;
        facts->known = true;
        facts->looked_ms = message->looked_ms;
        facts->clock_sync = (enum clock_sync)message->clock_sync;
        facts->mounts_cut = message->mounts_cut;
        facts->listeners_cut = message->listeners_cut;
        text_copy_clean(facts->kernel_newest, sizeof(facts->kernel_newest), message->kernel_newest);
        r = read_words(&facts->mounts, &facts->mount_count, WORD_SIZE, message->mounts, message->n_mounts);
        if (r == 0)
                r = read_words(&facts->listeners, &facts->listener_count, ADDRESS_SIZE, message->listeners,
                               message->n_listeners);
        if (r == 0)
                r = read_words(&facts->stopping, &facts->stopping_count, UNIT_SIZE, message->stopping,
                               message->n_stopping);
        return r < 0 ? r : read_inhibitors(facts, message);
}
