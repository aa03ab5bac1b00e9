/* See redis.h. */
#include "common/loop/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

/* A command without an answer. hiredis answers in order, so they form a queue. */
struct question {
        struct question *next;
        redis_link *link;
        redis_answer answer;
        void *userdata;
        uint64_t due_us; /* monotonic */
};

struct redis_link {
        sd_event *event;
        char address[64];
        char socket[108];
        uint16_t port;
        char user[REDIS_WORD_SIZE], password[REDIS_WORD_SIZE];
        char refusal[REDIS_WORD_SIZE];
        redisAsyncContext *context; /* NULL: not connected */
        sd_event_source *io, *timer;
        uint32_t wanted; /* epoll events that hiredis asked for */
        struct redis_guard guard;
        struct question *first, *last;
        int failure; /* why the connection is being closed */
        bool freeing;
        bool busy; /* on_io is on the stack */
};

/* --- limits --------------------------------------------------------------------------------------------- */

/* hiredis's own functions, taken from the first reader, and ours around them; each written once. NULL from
 * one of them ends the reader with an error. */
static redisReplyObjectFunctions theirs, ours;

/* Whether size more bytes may be spent on the reply that task is part of. */
static bool guard_allows(const redisReadTask *task, size_t size)
{
        struct redis_guard *guard = task->privdata;

        if (!task->parent) {
                if (guard->awaited == 0)
                        return false;
                guard->used = 0;
        }
        guard->used += sizeof(redisReply) + size;
        return guard->used <= REDIS_REPLY_MOST;
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
        return guard_allows(task, size) ? theirs.createString(task, text, size) : NULL;
}

static void *create_array(const redisReadTask *task, int elements)
{
        if (elements < 0 || (unsigned)elements > REDIS_ELEMENTS_MOST ||
            !guard_allows(task, (size_t)elements * sizeof(void *)))
                return NULL;
        return theirs.createArray(task, elements);
}

static void *create_integer(const redisReadTask *task, long long value)
{
        return guard_allows(task, 0) ? theirs.createInteger(task, value) : NULL;
}

static void *create_nil(const redisReadTask *task)
{
        return guard_allows(task, 0) ? theirs.createNil(task) : NULL;
}

void redis_guard_reader(redisReader *reader, struct redis_guard *guard)
{
        if (!ours.freeObject) {
                theirs = *reader->fn;
                ours = (redisReplyObjectFunctions){
                        .createString = create_string,
                        .createArray = create_array,
                        .createInteger = create_integer,
                        .createNil = create_nil,
                        .freeObject = theirs.freeObject,
                };
        }
        reader->fn = &ours;
        reader->privdata = guard;
}

/* --- hiredis on sd-event -------------------------------------------------------------------------------- */

static void destroy(redis_link *link)
{
        sd_event_source_disable_unref(link->io);
        sd_event_source_disable_unref(link->timer);
        explicit_bzero(link->password, sizeof(link->password));
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
        /* hiredis leaves it open to the commands that this program starts. */
        (void)fcntl(context->c.fd, F_SETFD, FD_CLOEXEC);
        link->failure = 0;
        link->context = context;
        context->data = link;
        context->ev.data = link;
        context->ev.addRead = add_read;
        context->ev.delRead = drop_read;
        context->ev.addWrite = add_write;
        context->ev.delWrite = drop_write;
        context->ev.cleanup = clean_up;
        redis_guard_reader(context->c.reader, &link->guard);
        redisAsyncSetConnectCallback(context, on_connected);
        return 0;
}

/* --- questions ------------------------------------------------------------------------------------------ */

/* The timer follows the question that is due first. */
static int arm(redis_link *link)
{
        uint64_t due_us = UINT64_MAX;
        int r;

        for (const struct question *question = link->first; question; question = question->next)
                if (question->due_us < due_us)
                        due_us = question->due_us;
        if (due_us == UINT64_MAX)
                return sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(link->timer, due_us);
        return r < 0 ? r : sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
}

static void on_reply(redisAsyncContext *context, void *reply, void *userdata)
{
        struct question question = *(struct question *)userdata;
        redis_link *link = question.link;

        link->first = question.next;
        if (!link->first)
                link->last = NULL;
        link->guard.awaited--;
        free(userdata);
        if (link->freeing)
                return;
        (void)arm(link);
        if (!reply && !link->failure)
                link->failure = context->c.err == REDIS_ERR_PROTOCOL || context->c.err == REDIS_ERR_OOM
                                        ? -EPROTO
                                        : -ECONNRESET;
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

static int put(redis_link *link, const char *const *argv, size_t count, uint64_t deadline_us,
               redis_answer answer, void *userdata)
{
        uint64_t now_us = time_monotonic_us();
        const char *words[REDIS_ARGV_MOST];
        size_t sizes[REDIS_ARGV_MOST];
        struct question *question;

        for (size_t i = 0; i < count; i++) {
                words[i] = argv[i];
                sizes[i] = strlen(argv[i]);
        }
        question = malloc(sizeof(*question));
        if (!question)
                return -ENOMEM;
        *question = (struct question){
                .link = link,
                .answer = answer,
                .userdata = userdata,
                .due_us = deadline_us < UINT64_MAX - now_us ? now_us + deadline_us : UINT64_MAX - 1,
        };
        if (redisAsyncCommandArgv(link->context, on_reply, question, (int)count, words, sizes) != REDIS_OK) {
                free(question);
                return -ECONNRESET;
        }
        if (link->last)
                link->last->next = question;
        else
                link->first = question;
        link->last = question;
        link->guard.awaited++;
        (void)arm(link);
        return 0;
}

/* --- logging in ----------------------------------------------------------------------------------------- */

static void on_login(redis_link *link, int result, const redisReply *reply, void *userdata)
{
        if (result == 0 && reply->type == REDIS_REPLY_ERROR)
                text_copy_clean(link->refusal, sizeof(link->refusal), reply->str);
        else if (result == 0)
                link->refusal[0] = '\0';
}

static int log_in(redis_link *link, uint64_t deadline_us)
{
        if (!link->password[0])
                return 0;
        if (link->user[0])
                return put(link, (const char *const[]){"AUTH", link->user, link->password}, 3, deadline_us,
                           on_login, NULL);
        return put(link, (const char *const[]){"AUTH", link->password}, 2, deadline_us, on_login, NULL);
}

int redis_link_login(redis_link *link, const char *user, const char *password)
{
        if (strlen(user) >= sizeof(link->user) || strlen(password) >= sizeof(link->password))
                return -ENAMETOOLONG;
        TEXT_COPY(link->user, user);
        TEXT_COPY(link->password, password);
        return 0;
}

const char *redis_link_refusal(const redis_link *link)
{
        return link->refusal;
}

/* --- the link ------------------------------------------------------------------------------------------- */

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
                r = sd_event_add_time(event, &link->timer, CLOCK_BOOTTIME, UINT64_MAX, 10 * USEC_PER_MSEC,
                                      on_deadline, link);
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
        int r;

        if (count < 1 || count > REDIS_ARGV_MOST)
                return -EINVAL;
        if (link->guard.awaited >= REDIS_OPEN_MOST)
                return -ENOBUFS;
        if (!link->context) {
                r = open_context(link);
                if (r >= 0)
                        r = log_in(link, deadline_us);
                if (r < 0)
                        return r;
        }
        return put(link, argv, count, deadline_us, answer, userdata);
}
