/* See tree.h. Built from libyaml's events, not from its documents: those would follow aliases, which lets a
 * short file grow beyond any bound, and would not say that a key is there twice. */
#include "common/conf/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

DEFINE_CLEANUP(struct conf_tree *, conf_tree_free);

struct building {
        struct conf_tree *tree;
        yaml_parser_t *parser;
        const char *text;
        size_t size;
        size_t nodes;
};

static int build_value(struct building *building, const yaml_event_t *event, unsigned depth,
                       struct conf_node **ret);

struct conf_shown conf_show(const char *text)
{
        struct conf_shown shown;

        text_copy_cut(shown.text, CONF_SHOWN_MAX, text);
        if (strlen(text) >= CONF_SHOWN_MAX)
                strcat(shown.text, "...");
        for (char *c = shown.text; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = '?';
        return shown;
}

int conf_fail(const struct conf_tree *tree, unsigned line, const char *format, ...)
{
        char text[ERROR_TEXT_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (tree->error)
                tree->error->text[0] = '\0';
        return error_set(tree->error, -EINVAL, "%s:%u: %s", tree->file, line, text);
}

static struct conf_node *node_free(struct conf_node *node)
{
        while (node) {
                struct conf_node *next = node->next;

                node_free(node->first);
                if (node->text)
                        explicit_bzero(node->text, strlen(node->text));
                free(node->text);
                free(node->key);
                free(node);
                node = next;
        }
        return NULL;
}
DEFINE_CLEANUP(struct conf_node *, node_free);

struct conf_tree *conf_tree_free(struct conf_tree *tree)
{
        if (!tree)
                return NULL;
        node_free(tree->root);
        free(tree->file);
        free(tree);
        return NULL;
}

const struct conf_node *conf_node_get(const struct conf_node *map, const char *key)
{
        for (const struct conf_node *child = map->first; child; child = child->next)
                if (text_equal(child->key, key))
                        return child;
        return NULL;
}

static unsigned event_line(const yaml_event_t *event)
{
        return (unsigned)event->start_mark.line + 1;
}

/* The scanner knows lines; the reader below it, which refuses control characters, knows only offsets. */
static unsigned problem_line(const struct building *building)
{
        const yaml_parser_t *parser = building->parser;
        unsigned line = 1;

        if (parser->error != YAML_READER_ERROR)
                return (unsigned)parser->problem_mark.line + 1;
        for (size_t i = 0; i < building->size && i < parser->problem_offset; i++)
                line += building->text[i] == '\n';
        return line;
}

static int next_event(struct building *building, yaml_event_t *event)
{
        const yaml_parser_t *parser = building->parser;

        if (yaml_parser_parse(building->parser, event))
                return 0;
        if (parser->error == YAML_MEMORY_ERROR)
                return error_set(building->tree->error, -ENOMEM, "%s: out of memory", building->tree->file);
        return conf_fail(building->tree, problem_line(building),
                         "not valid YAML: %s%s%s; check the indentation, the colons and the brackets before "
                         "this line's end",
                         parser->problem ? parser->problem : "cannot be read", parser->context ? " " : "",
                         parser->context ? parser->context : "");
}

/* What only full YAML has. */
static int refuse_foreign(struct building *building, const yaml_event_t *event)
{
        const yaml_char_t *anchor = NULL, *tag = NULL;

        if (event->type == YAML_ALIAS_EVENT)
                return conf_fail(building->tree, event_line(event),
                                 "*%s is an alias, which is not allowed here; write the value out",
                                 CONF_SHOW((const char *)event->data.alias.anchor));
        if (event->type == YAML_SCALAR_EVENT) {
                anchor = event->data.scalar.anchor;
                tag = event->data.scalar.tag;
        } else if (event->type == YAML_SEQUENCE_START_EVENT) {
                anchor = event->data.sequence_start.anchor;
                tag = event->data.sequence_start.tag;
        } else if (event->type == YAML_MAPPING_START_EVENT) {
                anchor = event->data.mapping_start.anchor;
                tag = event->data.mapping_start.tag;
        }
        if (anchor)
                return conf_fail(building->tree, event_line(event),
                                 "&%s is an anchor, which is not allowed here; remove it",
                                 CONF_SHOW((const char *)anchor));
        if (tag)
                return conf_fail(building->tree, event_line(event),
                                 "'%s' is a tag, which is not allowed here; remove it",
                                 CONF_SHOW((const char *)tag));
        return 0;
}

static int node_new(struct building *building, const yaml_event_t *event, enum conf_type type,
                    struct conf_node **ret)
{
        if (++building->nodes > CONF_NODES_MAX)
                return conf_fail(building->tree, event_line(event),
                                 "more than %u values; split the fleet into smaller ones", CONF_NODES_MAX);
        *ret = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        (*ret)->type = type;
        (*ret)->line = (*ret)->key_line = event_line(event);
        return 0;
}

static int copy_scalar(struct building *building, const yaml_event_t *event, char **ret)
{
        const char *value = (const char *)event->data.scalar.value;

        if (memchr(value, 0, event->data.scalar.length))
                return conf_fail(building->tree, event_line(event), "a NUL byte in a text; remove it");
        *ret = strndup(value, event->data.scalar.length);
        return *ret ? 0 : -ENOMEM;
}

static int build_text(struct building *building, const yaml_event_t *event, struct conf_node **ret)
{
        cleanup_with(node_freep) struct conf_node *node = NULL;
        int r = node_new(building, event, CONF_TEXT, &node);

        if (r < 0)
                return r;
        r = copy_scalar(building, event, &node->text);
        if (r < 0)
                return r;
        node->empty = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                      (!node->text[0] || text_equal(node->text, "~") || text_equal(node->text, "null"));
        *ret = TAKE(node);
        return 0;
}

static void append(struct conf_node *parent, struct conf_node *child)
{
        if (parent->last)
                parent->last->next = child;
        else
                parent->first = child;
        parent->last = child;
        parent->count++;
}

/* The value behind a key whose event was just read. */
static int build_pair(struct building *building, const yaml_event_t *key, unsigned depth,
                      struct conf_node *map)
{
        cleanup_with(node_freep) struct conf_node *node = NULL;
        cleanup_free char *name = NULL;
        yaml_event_t event;
        int r = refuse_foreign(building, key);

        if (r < 0)
                return r;
        if (key->type != YAML_SCALAR_EVENT)
                return conf_fail(building->tree, event_line(key),
                                 "a key has to be a word, not a list or a map; write KEY: VALUE");
        r = copy_scalar(building, key, &name);
        if (r < 0)
                return r;
        if (!name[0])
                return conf_fail(building->tree, event_line(key), "a value without a key; write KEY: VALUE");
        r = next_event(building, &event);
        if (r < 0)
                return r;
        r = build_value(building, &event, depth, &node);
        yaml_event_delete(&event);
        if (r < 0)
                return r;
        node->key = TAKE(name);
        node->key_line = event_line(key);
        append(map, TAKE(node));
        return 0;
}

static int compare_keys(const void *a, const void *b)
{
        const struct conf_node *x = *(const struct conf_node *const *)a,
                               *y = *(const struct conf_node *const *)b;
        int order = strcmp(x->key, y->key);

        return order ? order : (x->key_line > y->key_line) - (x->key_line < y->key_line);
}

static int refuse_duplicates(struct building *building, const struct conf_node *map)
{
        cleanup_free const struct conf_node **sorted = NULL;
        size_t n = 0;

        if (map->count < 2)
                return 0;
        sorted = calloc(map->count, sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        for (const struct conf_node *child = map->first; child; child = child->next)
                sorted[n++] = child;
        qsort(sorted, n, sizeof(*sorted), compare_keys);
        for (size_t i = 1; i < n; i++)
                if (text_equal(sorted[i - 1]->key, sorted[i]->key))
                        return conf_fail(building->tree, sorted[i]->key_line,
                                         "'%s' is here twice, first in line %u; rename or remove one",
                                         CONF_SHOW(sorted[i]->key), sorted[i - 1]->key_line);
        return 0;
}

/* A map or a list, whose start event is given. */
static int build_collection(struct building *building, const yaml_event_t *start, unsigned depth,
                            struct conf_node **ret)
{
        bool map = start->type == YAML_MAPPING_START_EVENT;
        yaml_event_type_t end = map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
        cleanup_with(node_freep) struct conf_node *node = NULL;
        int r;

        if (depth >= CONF_DEPTH_MAX)
                return conf_fail(building->tree, event_line(start), "nested deeper than %u; flatten it",
                                 CONF_DEPTH_MAX);
        r = node_new(building, start, map ? CONF_MAP : CONF_LIST, &node);
        while (r == 0) {
                struct conf_node *child = NULL;
                yaml_event_t event;
                bool ended;

                r = next_event(building, &event);
                if (r < 0)
                        break;
                ended = event.type == end;
                if (!ended && map) {
                        r = build_pair(building, &event, depth + 1, node);
                } else if (!ended) {
                        r = build_value(building, &event, depth + 1, &child);
                        if (child)
                                append(node, child);
                }
                yaml_event_delete(&event);
                if (ended)
                        break;
        }
        if (r == 0 && map)
                r = refuse_duplicates(building, node);
        if (r < 0)
                return r;
        *ret = TAKE(node);
        return 0;
}

static int build_value(struct building *building, const yaml_event_t *event, unsigned depth,
                       struct conf_node **ret)
{
        int r = refuse_foreign(building, event);

        if (r < 0)
                return r;
        if (event->type == YAML_SCALAR_EVENT)
                return build_text(building, event, ret);
        return build_collection(building, event, depth, ret);
}

/* From the stream's start to its end: one document, a map. */
static int build_tree(struct building *building)
{
        struct conf_tree *tree = building->tree;

        for (;;) {
                yaml_event_t event;
                yaml_event_type_t type;
                int r = next_event(building, &event);

                if (r < 0)
                        return r;
                type = event.type;
                if (type == YAML_DOCUMENT_START_EVENT && tree->root)
                        r = conf_fail(tree, event_line(&event), "a second document; keep one a file");
                else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                         type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
                        r = build_value(building, &event, 0, &tree->root);
                yaml_event_delete(&event);
                if (r < 0)
                        return r;
                if (type == YAML_STREAM_END_EVENT)
                        break;
        }
        if (!tree->root || (tree->root->type == CONF_TEXT && tree->root->empty))
                return conf_fail(tree, 1, "the file is empty; docs and samples show what belongs in it");
        if (tree->root->type != CONF_MAP)
                return conf_fail(tree, tree->root->line, "no keys in it; write KEY: VALUE lines");
        return 0;
}

/* The line of the first byte that is not part of well-formed UTF-8. */
static unsigned bad_utf8_line(const char *text, size_t size)
{
        unsigned line = 1;

        while (size > 0) {
                const char *end = memchr(text, '\n', size);
                size_t length = end ? (size_t)(end - text) + 1 : size;

                if (!text_is_utf8(text, length))
                        break;
                text += length;
                size -= length;
                line++;
        }
        return line;
}

int conf_tree_parse(struct conf_tree **ret, const char *text, size_t size, const char *name,
                    struct error *error)
{
        cleanup_with(conf_tree_freep) struct conf_tree *tree = calloc(1, sizeof(*tree));
        yaml_parser_t parser;
        int r;

        if (!tree)
                return -ENOMEM;
        tree->error = error;
        tree->file = strdup(name);
        if (!tree->file)
                return -ENOMEM;
        if (size > CONF_FILE_MAX)
                return error_set(error, -E2BIG, "%s: larger than %u bytes; split the fleet into smaller ones",
                                 name, CONF_FILE_MAX);
        if (!text_is_utf8(text, size))
                return conf_fail(tree, bad_utf8_line(text, size),
                                 "not UTF-8 text; save the file as UTF-8, without NUL bytes");
        if (!yaml_parser_initialize(&parser))
                return -ENOMEM;
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        r = build_tree(&(struct building){.tree = tree, .parser = &parser, .text = text, .size = size});
        yaml_parser_delete(&parser);
        if (r < 0)
                return r;
        *ret = TAKE(tree);
        return 0;
}

int conf_tree_read(struct conf_tree **ret, const char *path, struct error *error)
{
        cleanup_free char *text = NULL;
        size_t size;
        int r = file_read(path, CONF_FILE_MAX, &text, &size, error);

        if (r < 0)
                return r;
        return conf_tree_parse(ret, text, size, path, error);
}
