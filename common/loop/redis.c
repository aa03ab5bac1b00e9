/* See redis.h. */
#include "common/loop/redis.h"

#include <errno.h>
#include <hiredis/async.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

struct redis_link {
        sd_event *event;
        char address[64];
        char socket[108];
        uint16_t port;
        redisAsyncContext *context; /* NULL: not connected */
        sd_event_source *io, *timer;
        uint32_t wanted; /* epoll events that hiredis asked for */
        size_t open;     /* commands without an answer */
        int failure;     /* why the connection is being closed */
        bool freeing;
        bool busy; /* on_io is on the stack */
};

struct question {
        redis_link *link;
        redis_answer answer;
        void *userdata;
};

/* --- limits ----------------------------------------------------------------------------------------------
 */

/* hiredis's own functions with a bounded createArray; written once, from what the first reader came with. */
static redisReplyObjectFunctions limited;
static void *(*create_any_array)(const redisReadTask *task, int elements);

static void *create_array(const redisReadTask *task, int elements)
{
        /* NULL ends the reader with an error: a header alone must not make us allocate gigabytes. */
        if (elements < 0 || (unsigned)elements > REDIS_ELEMENTS_MOST)
                return NULL;
        return create_any_array(task, elements);
}

void redis_limit_reader(redisReader *reader)
{
        if (!create_any_array) {
                limited = *reader->fn;
                create_any_array = limited.createArray;
                limited.createArray = create_array;
        }
        reader->fn = &limited;
}

/* --- hiredis on sd-event ------------------------------------------------------------------------------- */

static void destroy(redis_link *link)
{
        sd_event_source_disable_unref(link->io);
        sd_event_source_disable_unref(link->timer);
        free(link);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        redis_link *link = userdata;

        link->busy = true;
        if (revents & EPOLLOUT && link->context)
                redisAsyncHandleWrite(link->context);
        if (revents & ~(uint32_t)EPOLLOUT && link->context)
                redisAsyncHandleRead(link->context);
        if (link->context && link->context->c.reader && link->context->c.reader->len > REDIS_REPLY_MOST) {
                link->failure = -EPROTO;
                redisAsyncFree(link->context);
        }
        link->busy = false;
        /* An answer may have freed the link: hiredis let go of it just now. */
        if (link->freeing && !link->context)
                destroy(link);
        return 0;
}

static void want(redis_link *link, uint32_t events)
{
        link->wanted = events;
        if (link->io)
                (void)sd_event_source_set_io_events(link->io, events);
        else if (link->context && events)
                (void)sd_event_add_io(link->event, &link->io, link->context->c.fd, events, on_io, link);
}

static void add_read(void *data)
{
        redis_link *link = data;

        want(link, link->wanted | EPOLLIN);
}

static void drop_read(void *data)
{
        redis_link *link = data;

        want(link, link->wanted & ~(uint32_t)EPOLLIN);
}

static void add_write(void *data)
{
        redis_link *link = data;

        want(link, link->wanted | EPOLLOUT);
}

static void drop_write(void *data)
{
        redis_link *link = data;

        want(link, link->wanted & ~(uint32_t)EPOLLOUT);
}

/* hiredis lets go of the context: whatever the reason was, it is gone after this. */
static void clean_up(void *data)
{
        redis_link *link = data;

        if (link->context && link->context->err && !link->failure) {
                const redisContext *c = &link->context->c;

                link->failure = c->err == REDIS_ERR_IO         ? (errno ? -errno : -EIO)
                                : c->err == REDIS_ERR_EOF      ? -ECONNRESET
                                : c->err == REDIS_ERR_PROTOCOL ? -EPROTO
                                : c->err == REDIS_ERR_OOM      ? -EPROTO
                                                               : -ECONNREFUSED;
        }
        sd_event_source_disable_unref(TAKE(link->io));
        link->wanted = 0;
        link->context = NULL;
        if (link->freeing && !link->busy)
                destroy(link);
}

static void on_connected(const redisAsyncContext *context, int status)
{
        redis_link *link = context->data;

        if (status != REDIS_OK && !link->failure)
                link->failure = context->c.err == REDIS_ERR_IO && errno ? -errno : -ECONNREFUSED;
}

static int open_context(redis_link *link)
{
        redisAsyncContext *context = link->socket[0] ? redisAsyncConnectUnix(link->socket)
                                                     : redisAsyncConnect(link->address, link->port);

        if (!context)
                return -ENOMEM;
        if (context->err) {
                int r = context->c.err == REDIS_ERR_IO && errno ? -errno : -ECONNREFUSED;

                redisAsyncFree(context);
                return r;
        }
        link->failure = 0;
        link->context = context;
        context->data = link;
        context->ev.data = link;
        context->ev.addRead = add_read;
        context->ev.delRead = drop_read;
        context->ev.addWrite = add_write;
        context->ev.delWrite = drop_write;
        context->ev.cleanup = clean_up;
        redis_limit_reader(context->c.reader);
        redisAsyncSetConnectCallback(context, on_connected);
        return 0;
}

/* --- commands ------------------------------------------------------------------------------------------ */

static void on_reply(redisAsyncContext *context, void *reply, void *userdata)
{
        struct question question = *(struct question *)userdata;
        redis_link *link = question.link;

        free(userdata);
        if (--link->open == 0)
                sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        if (link->freeing)
                return;
        if (!reply && !link->failure)
                link->failure = context->c.err == REDIS_ERR_EOF        ? -ECONNRESET
                                : context->c.err == REDIS_ERR_PROTOCOL ? -EPROTO
                                : context->c.err == REDIS_ERR_OOM      ? -EPROTO
                                : context->c.err == REDIS_ERR_IO       ? -ECONNRESET
                                                                       : -ECONNREFUSED;
        question.answer(link, reply ? 0 : link->failure, reply, question.userdata);
}

static int on_deadline(sd_event_source *source, uint64_t now_us, void *userdata)
{
        redis_link *link = userdata;

        if (link->context) {
                link->failure = -ETIMEDOUT;
                redisAsyncFree(link->context);
        }
        return 0;
}

int redis_link_new(redis_link **ret, sd_event *event, const char *address, uint16_t port, const char *socket)
{
        redis_link *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return -ENOMEM;
        link->event = event;
        link->port = port;
        r = TEXT_COPY(link->address, address[0] ? address : "127.0.0.1");
        if (r == 0)
                r = TEXT_COPY(link->socket, socket);
        if (r == 0)
                r = sd_event_add_time(event, &link->timer, CLOCK_BOOTTIME, UINT64_MAX, 0, on_deadline, link);
        if (r >= 0)
                r = sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        if (r < 0) {
                redis_link_free(link);
                return r;
        }
        *ret = link;
        return 0;
}

redis_link *redis_link_free(redis_link *link)
{
        if (!link)
                return NULL;
        link->freeing = true;
        if (link->context)
                redisAsyncFree(link->context); /* clean_up ends it, within an answer a little later */
        else if (!link->busy)
                destroy(link);
        return NULL;
}

int redis_link_ask(redis_link *link, const char *const *argv, size_t count, uint64_t deadline_us,
                   redis_answer answer, void *userdata)
{
        const char *words[REDIS_ARGV_MOST];
        size_t sizes[REDIS_ARGV_MOST];
        struct question *question;
        int r;

        if (count < 1 || count > REDIS_ARGV_MOST)
                return -EINVAL;
        for (size_t i = 0; i < count; i++) {
                words[i] = argv[i];
                sizes[i] = strlen(argv[i]);
        }
        if (!link->context) {
                r = open_context(link);
                if (r < 0)
                        return r;
        }
        question = malloc(sizeof(*question));
        if (!question)
                return -ENOMEM;
        *question = (struct question){.link = link, .answer = answer, .userdata = userdata};
        if (link->open == 0) {
                r = sd_event_source_set_time_relative(link->timer, deadline_us);
                if (r >= 0)
                        r = sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
                if (r < 0) {
                        free(question);
                        return r;
                }
        }
        if (redisAsyncCommandArgv(link->context, on_reply, question, (int)count, words, sizes) != REDIS_OK) {
                free(question);
                return -ECONNRESET;
        }
        link->open++;
        return 0;
}
