/* Values of a conf_tree, read strictly: each function checks type and form, and says in the tree's error what
 * was expected and where. They write through ret only on success and return 0, -EINVAL or -ENOMEM. */
#pragma once

#include <stdint.h>

#include "common/conf/tree.h"
#include "common/model/service.h"

/* The node must be a map or a list; example shows how to write it: "needs: [bds]". */
int conf_want_map(const struct conf_tree *tree, const struct conf_node *node, const char *example);
int conf_want_list(const struct conf_tree *tree, const struct conf_node *node, const char *example);

/* A text that is not empty and shorter than size, into an array. */
int conf_text(const struct conf_tree *tree, const struct conf_node *node, char *ret, size_t size);
/* A name as text_is_name() has it. */
int conf_name(const struct conf_tree *tree, const struct conf_node *node, char ret[NAME_SIZE]);
/* An absolute path without "..". */
int conf_path(const struct conf_tree *tree, const struct conf_node *node, char *ret, size_t size);
/* A numeric IP address. */
int conf_address(const struct conf_tree *tree, const struct conf_node *node, char ret[ADDRESS_SIZE]);
/* 1 to 65535. */
int conf_port(const struct conf_tree *tree, const struct conf_node *node, uint16_t *ret);
/* A length of time from 0 to max. */
int conf_duration(const struct conf_tree *tree, const struct conf_node *node, uint64_t max_us, uint64_t *ret);
/* A number of bytes: "500000", "64MB", "1.5GB"; powers of ten, as sizes are shown. */
int conf_bytes(const struct conf_tree *tree, const struct conf_node *node, uint64_t *ret);
/* A share of a whole, "95%" or "0.95". */
int conf_share(const struct conf_tree *tree, const struct conf_node *node, double *ret);
/* Exactly size bytes in hex. What was written is not repeated in errors: it may be a secret. */
int conf_hex(const struct conf_tree *tree, const struct conf_node *node, void *ret, size_t size);
/* One of words (count of them), as its index. */
int conf_choice(const struct conf_tree *tree, const struct conf_node *node, const char *const *words,
                size_t count, unsigned *ret);
/* An address to listen on or to dial: "HOST:PORT", "[IPV6]:PORT". */
/* HOST:PORT or [IPV6]:PORT, in plain characters; names are not looked up. */
bool conf_is_endpoint(const char *text);
int conf_endpoint(const struct conf_tree *tree, const struct conf_node *node, char *ret, size_t size);

/* Fails at the node: unknown key, with the nearest of the known ones, whose names are
 * offered by known(i) until it returns NULL (an empty string is passed over). */
int conf_unknown_key(const struct conf_tree *tree, const struct conf_node *node, const char *of,
                     const char *(*known)(size_t i, const void *userdata), const void *userdata);
