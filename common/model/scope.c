/* See scope.h. Terms are expanded to names (ranges), each name marks what it stands for in one of two sets,
 * what is meant and what is taken away; the scope is the difference. */
#include "common/model/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/suggest.h"
#include "common/base/text.h"

#define TERM_MAX   256u  /* bytes of a term */
#define EXPAND_MAX 8192u /* names that all ranges of a SCOPE may make */

struct marks {
        bool *hosts, *services;
};

struct parsing {
        const struct fleet *fleet;
        struct marks wanted, taken;
        bool any_wanted;   /* a term without '!' was there */
        unsigned expanded; /* names made by ranges so far */
        struct error *error;
};

/* The nearest name that a bare term could have meant. */
static int unknown_name(struct parsing *parsing, const char *name)
{
        struct suggest suggest;

        suggest_begin(&suggest, name);
        for (size_t i = 0; i < parsing->fleet->host_count; i++)
                suggest_offer(&suggest, parsing->fleet->hosts[i].name);
        for (size_t i = 0; i < parsing->fleet->service_count; i++)
                suggest_offer(&suggest, parsing->fleet->services[i].spec.name);
        for (size_t i = 0; i < parsing->fleet->host_count; i++)
                for (size_t k = 0; k < parsing->fleet->hosts[i].group_count; k++)
                        if (text_equal(parsing->fleet->hosts[i].groups[k], name))
                                return error_set(parsing->error, -EINVAL, "scope: '%s' is a group; write @%s",
                                                 name, name);
        return error_set(parsing->error, -EINVAL, "scope: fleet %s has no host or service '%s'%s",
                         parsing->fleet->name, name, suggest_text(&suggest));
}

static void mark_host(struct parsing *parsing, struct marks *marks, size_t host)
{
        marks->hosts[host] = true;
        for (size_t i = 0; i < parsing->fleet->service_count; i++)
                if (parsing->fleet->services[i].host == host)
                        marks->services[i] = true;
}

static int mark_name(struct parsing *parsing, struct marks *marks, const char *name)
{
        int i = fleet_host_find(parsing->fleet, name);

        if (i >= 0) {
                mark_host(parsing, marks, (size_t)i);
                return 0;
        }
        i = fleet_service_find(parsing->fleet, name);
        if (i < 0)
                return unknown_name(parsing, name);
        marks->services[i] = true;
        return 0;
}

static int mark_group(struct parsing *parsing, struct marks *marks, const char *group)
{
        struct suggest suggest;
        bool found = false;

        suggest_begin(&suggest, group);
        for (size_t i = 0; i < parsing->fleet->host_count; i++)
                for (size_t k = 0; k < parsing->fleet->hosts[i].group_count; k++) {
                        suggest_offer(&suggest, parsing->fleet->hosts[i].groups[k]);
                        if (!text_equal(parsing->fleet->hosts[i].groups[k], group))
                                continue;
                        found = true;
                        mark_host(parsing, marks, i);
                }
        if (found)
                return 0;
        return error_set(parsing->error, -EINVAL, "scope: fleet %s has no group '%s'%s", parsing->fleet->name,
                         group, suggest_text(&suggest));
}

/* %KIND or %redis:ROLE. That none of the fleet's services is of the kind is no error by itself. */
static int mark_kind(struct parsing *parsing, struct marks *marks, const char *word)
{
        char name[TERM_MAX];
        enum redis_role role = REDIS_ANY_ROLE;
        enum service_kind kind;
        char *colon;

        TEXT_COPY(name, word);
        colon = strchr(name, ':');
        if (colon)
                *colon++ = '\0';
        kind = service_kind_parse(name);
        if (kind == SERVICE_NONE)
                return error_set(
                        parsing->error, -EINVAL,
                        "scope: '%%%s' is no kind of service; kinds are %%unit, %%redis, %%tile38, %%pm2",
                        name);
        if (colon) {
                role = text_equal(colon, "master")    ? REDIS_MASTER
                       : text_equal(colon, "replica") ? REDIS_REPLICA
                                                      : REDIS_ANY_ROLE;
                if (kind != SERVICE_REDIS || role == REDIS_ANY_ROLE)
                        return error_set(parsing->error, -EINVAL,
                                         "scope: '%%%s' is not understood; roles are %%redis:master and "
                                         "%%redis:replica",
                                         word);
        }
        for (size_t i = 0; i < parsing->fleet->service_count; i++) {
                const struct service_spec *spec = &parsing->fleet->services[i].spec;

                if (spec->kind == kind && (role == REDIS_ANY_ROLE || spec->role == role))
                        marks->services[i] = true;
        }
        return 0;
}

/* One name, its ranges expanded. */
static int mark_word(struct parsing *parsing, struct marks *marks, const char *word)
{
        if (word[0] == '@')
                return mark_group(parsing, marks, word + 1);
        if (word[0] == '%')
                return mark_kind(parsing, marks, word + 1);
        return mark_name(parsing, marks, word);
}

static int mark_ranges(struct parsing *parsing, struct marks *marks, const char *term);

/* The names of one number or range A-B between brackets, with what stands before and after it. */
static int mark_range(struct parsing *parsing, struct marks *marks, const char *head, size_t head_size,
                      const char *range, const char *tail)
{
        const char *dash = strchr(range, '-');
        char first_text[16] = "", last_text[16] = "", name[TERM_MAX];
        size_t first_size = dash ? (size_t)(dash - range) : strlen(range);
        uint64_t first, last;
        int width = 0;

        if (first_size >= sizeof(first_text) || (dash && strlen(dash + 1) >= sizeof(last_text)))
                return error_set(parsing->error, -EINVAL, "scope: '%s' is too long for a range", range);
        memcpy(first_text, range, first_size);
        TEXT_COPY(last_text, dash ? dash + 1 : first_text);
        if (text_to_u64(first_text, &first) < 0 || text_to_u64(last_text, &last) < 0 || last < first)
                return error_set(parsing->error, -EINVAL,
                                 "scope: '[%s]' is no range; write numbers as in app[1-3] or app[1,3]",
                                 range);
        if (first_text[0] == '0')
                width = (int)first_size;
        for (uint64_t number = first; number <= last; number++) {
                int r;

                if (++parsing->expanded > EXPAND_MAX)
                        return error_set(parsing->error, -EINVAL, "scope: ranges of more than %u names",
                                         EXPAND_MAX);
                if (snprintf(name, sizeof(name), "%.*s%0*llu%s", (int)head_size, head, width,
                             (unsigned long long)number, tail) >= (int)sizeof(name))
                        return error_set(parsing->error, -EINVAL, "scope: '%s' is too long", head);
                r = mark_ranges(parsing, marks, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Expands the first bracket of a term; mark_range comes back here for the next one. Recursion is bounded: a
 * term has at most TERM_MAX / 3 brackets. */
static int mark_ranges(struct parsing *parsing, struct marks *marks, const char *term)
{
        const char *open = strchr(term, '['), *close = strchr(term, ']');
        char list[TERM_MAX], *rest = list, *part;
        int r = 0;

        if (!open && !close)
                return mark_word(parsing, marks, term);
        if (!open || !close || close < open)
                return error_set(parsing->error, -EINVAL, "scope: '%s': the brackets do not match", term);
        memcpy(list, open + 1, (size_t)(close - open - 1));
        list[close - open - 1] = '\0';
        while (r == 0 && (part = strsep(&rest, ",")))
                r = mark_range(parsing, marks, term, (size_t)(open - term), part, close + 1);
        return r;
}

static int read_term(struct parsing *parsing, const char *start, size_t size)
{
        char term[TERM_MAX];
        const char *word = term;

        if (size >= sizeof(term))
                return error_set(parsing->error, -EINVAL, "scope: '%.32s...' is too long for a name", start);
        memcpy(term, start, size);
        term[size] = '\0';
        if (word[0] == '!')
                word++;
        else
                parsing->any_wanted = true;
        if (!word[0] || ((word[0] == '@' || word[0] == '%') && !word[1]))
                return error_set(parsing->error, -EINVAL, "scope: '%s' lacks a name behind it", term);
        return mark_ranges(parsing, word > term ? &parsing->taken : &parsing->wanted, word);
}

/* Whether c ends a term; inside brackets a comma does not. */
static bool ends_term(char c, bool in_brackets)
{
        return c == '\0' || c == ' ' || c == '\t' || c == '\n' || (c == ',' && !in_brackets);
}

static int read_terms(struct parsing *parsing, const char *text)
{
        if (strlen(text) > SCOPE_TEXT_MAX)
                return error_set(parsing->error, -EINVAL, "scope: longer than %d bytes", SCOPE_TEXT_MAX);
        for (const char *c = text; *c; c++)
                if (!ends_term(*c, false) && ((unsigned char)*c < ' ' || (unsigned char)*c > '~'))
                        return error_set(parsing->error, -EINVAL,
                                         "scope: names are of letters, digits, '.', '_' and '-'");
        while (*text) {
                bool in_brackets = false;
                size_t size = 0;
                int r;

                for (; !ends_term(text[size], in_brackets); size++)
                        in_brackets = text[size] == '[' || (in_brackets && text[size] != ']');
                if (size > 0) {
                        r = read_term(parsing, text, size);
                        if (r < 0)
                                return r;
                }
                text += size + (text[size] != '\0');
        }
        return 0;
}

/* wanted less taken, into ret, whose arrays are there. Whether anything is left. */
static bool settle(const struct parsing *parsing, struct scope *ret)
{
        const struct fleet *fleet = parsing->fleet;
        bool any = false;

        for (size_t i = 0; i < fleet->host_count; i++) {
                ret->hosts_named[i] =
                        (parsing->wanted.hosts[i] || !parsing->any_wanted) && !parsing->taken.hosts[i];
                ret->hosts[i] = ret->hosts_named[i];
                any |= ret->hosts[i];
        }
        for (size_t i = 0; i < fleet->service_count; i++) {
                ret->services[i] =
                        (parsing->wanted.services[i] || !parsing->any_wanted) && !parsing->taken.services[i];
                if (ret->services[i])
                        ret->hosts[fleet->services[i].host] = true;
                any |= ret->services[i];
        }
        return any;
}

static bool *flags_new(size_t count)
{
        return calloc(count ? count : 1, sizeof(bool));
}

static int parse_into(struct scope *ret, struct parsing *parsing, const char *text)
{
        int r;

        if (!ret->hosts || !ret->services || !ret->hosts_named || !parsing->wanted.hosts ||
            !parsing->wanted.services || !parsing->taken.hosts || !parsing->taken.services)
                return error_set(parsing->error, -ENOMEM, "out of memory");
        r = read_terms(parsing, text ? text : "");
        if (r < 0)
                return r;
        if (!settle(parsing, ret))
                return error_set(parsing->error, -EINVAL, "scope: '%.200s' leaves no host and no service",
                                 text);
        return 0;
}

int scope_parse(struct scope *ret, const struct fleet *fleet, const char *text, struct error *error)
{
        size_t hosts = fleet->host_count, services = fleet->service_count;
        struct parsing parsing = {
                .fleet = fleet,
                .wanted = {flags_new(hosts), flags_new(services)},
                .taken = {flags_new(hosts), flags_new(services)},
                .error = error,
        };
        struct scope scope = {flags_new(hosts), flags_new(services), flags_new(hosts)};
        int r = parse_into(&scope, &parsing, text);

        free(parsing.wanted.hosts);
        free(parsing.wanted.services);
        free(parsing.taken.hosts);
        free(parsing.taken.services);
        if (r < 0) {
                scope_clear(&scope);
                return r;
        }
        *ret = scope;
        return 0;
}

int scope_check_whole_hosts(const struct scope *scope, const struct fleet *fleet, struct error *error)
{
        const bool *named = scope->hosts_named ? scope->hosts_named : scope->hosts;

        for (size_t i = 0; i < fleet->service_count; i++) {
                const char *service = fleet->services[i].spec.name;
                size_t host = fleet->services[i].host;

                if (scope->services[i] && !named[host])
                        return error_set(
                                error, -EINVAL,
                                "scope: '%s' is a service, and a reboot takes its whole host; write %s, or "
                                "restart %s instead",
                                service, fleet->hosts[host].name, service);
                if (!scope->services[i] && named[host])
                        return error_set(
                                error, -EINVAL,
                                "scope: %s cannot be rebooted without '%s', which runs there; leave both in "
                                "or both out",
                                fleet->hosts[host].name, service);
        }
        return 0;
}

void scope_clear(struct scope *scope)
{
        free(scope->hosts);
        free(scope->services);
        free(scope->hosts_named);
        *scope = (struct scope){0};
}
