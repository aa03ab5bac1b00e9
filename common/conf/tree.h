/* The YAML that muster's own files are written in, as a tree in which everything knows its line.
 *
 * A small, strict part of YAML: one document of maps, lists and texts. Anchors, aliases, tags, duplicate
 * keys, keys that are no text, and bytes that are not UTF-8 are errors, and so is whatever passes the limits
 * below. Every error is one line: FILE:LINE: what is wrong; what to do. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

#define CONF_FILE_MAX  (4u << 20) /* bytes of a file */
#define CONF_NODES_MAX 200000u    /* maps, lists and texts in a file */
#define CONF_DEPTH_MAX 8u         /* maps and lists inside one another */

enum conf_type {
        CONF_TEXT = 1,
        CONF_LIST = 2,
        CONF_MAP = 3,
};

struct conf_node {
        enum conf_type type;
        bool empty;              /* CONF_TEXT: nothing, ~ or null was written, without quotes */
        unsigned line;           /* where the value starts */
        unsigned key_line;       /* where its key stands; the value's own line outside of maps */
        char *key;               /* owned; NULL outside of maps */
        char *text;              /* owned; CONF_TEXT only, has no NUL inside */
        struct conf_node *first; /* owned: children, linked by next, in the file's order */
        struct conf_node *last;
        struct conf_node *next;
        size_t count; /* children */
};

struct conf_tree {
        char *file;             /* owned: its name in errors */
        struct conf_node *root; /* owned: never NULL, a map */
        struct error *error;    /* borrowed: where conf_fail writes; may be NULL */
};

/* name is what errors call the text. error is kept for conf_fail and must outlive the tree. -EINVAL with a
 * text, -ENOMEM. */
int conf_tree_parse(struct conf_tree **ret, const char *text, size_t size, const char *name,
                    struct error *error);
/* The same from a file; besides: errors of opening and reading, -E2BIG. */
int conf_tree_read(struct conf_tree **ret, const char *path, struct error *error);
/* Overwrites all texts before freeing them: a file may hold a key. */
struct conf_tree *conf_tree_free(struct conf_tree *tree);

/* The child with that key, or NULL. */
const struct conf_node *conf_node_get(const struct conf_node *map, const char *key);

/* Writes "FILE:LINE: " and the text to the tree's error; returns -EINVAL. */
int conf_fail(const struct conf_tree *tree, unsigned line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Outside text as it may stand in an error: cut after CONF_SHOWN_MAX bytes, control bytes replaced. */
#define CONF_SHOWN_MAX 60u
struct conf_shown {
        char text[CONF_SHOWN_MAX + 8];
};
struct conf_shown conf_show(const char *text);
#define CONF_SHOW(source) (conf_show(source).text)
