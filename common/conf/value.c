/* See value.h. */
#include "common/conf/value.h"

#include <string.h>

#include "common/base/suggest.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

/* The key of a node as errors name it. */
static const char *name_of(const struct conf_node *node)
{
        return node->key ? node->key : "an entry";
}

int conf_want_map(const struct conf_tree *tree, const struct conf_node *node, const char *example)
{
        if (node->type == CONF_MAP)
                return 0;
        return conf_fail(tree, node->key_line, "%s has to be a map; write %s", CONF_SHOW(name_of(node)),
                         example);
}

int conf_want_list(const struct conf_tree *tree, const struct conf_node *node, const char *example)
{
        if (node->type == CONF_LIST)
                return 0;
        return conf_fail(tree, node->key_line, "%s has to be a list; write %s", CONF_SHOW(name_of(node)),
                         example);
}

/* One value with something in it, or an error that says what is expected. */
static int want_text(const struct conf_tree *tree, const struct conf_node *node, const char *expected)
{
        if (node->type != CONF_TEXT)
                return conf_fail(tree, node->key_line, "%s has to be one value, not a %s; write %s",
                                 CONF_SHOW(name_of(node)), node->type == CONF_LIST ? "list" : "map",
                                 expected);
        if (node->empty || !node->text[0])
                return conf_fail(tree, node->key_line, "%s has no value; write %s", CONF_SHOW(name_of(node)),
                                 expected);
        return 0;
}

static int refuse(const struct conf_tree *tree, const struct conf_node *node, const char *expected)
{
        return conf_fail(tree, node->line, "%s: '%s' is not %s", CONF_SHOW(name_of(node)),
                         CONF_SHOW(node->text), expected);
}

int conf_text(const struct conf_tree *tree, const struct conf_node *node, char *ret, size_t size)
{
        int r = want_text(tree, node, "a text");

        if (r < 0)
                return r;
        if (strlen(node->text) >= size)
                return conf_fail(tree, node->line, "%s: longer than %zu bytes; shorten it",
                                 CONF_SHOW(name_of(node)), size - 1);
        return text_copy(ret, size, node->text);
}

int conf_name(const struct conf_tree *tree, const struct conf_node *node, char ret[NAME_SIZE])
{
        static const char expected[] =
                "a name: 1 to 63 letters, digits, '.', '_' or '-', a letter or digit first";
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        if (!text_is_name(node->text))
                return refuse(tree, node, expected);
        return text_copy(ret, NAME_SIZE, node->text);
}

int conf_path(const struct conf_tree *tree, const struct conf_node *node, char *ret, size_t size)
{
        static const char expected[] = "an absolute path without '..'";
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        if (node->text[0] != '/' || strstr(node->text, "/../") || text_ends(node->text, "/.."))
                return refuse(tree, node, expected);
        for (const char *c = node->text; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        return refuse(tree, node, "a path without control characters");
        return conf_text(tree, node, ret, size);
}

int conf_address(const struct conf_tree *tree, const struct conf_node *node, char ret[ADDRESS_SIZE])
{
        static const char expected[] = "a numeric address like 10.0.0.5 or ::1";
        struct service_spec spec = {.name = "address", .kind = SERVICE_UNIT, .unit = "address.service"};
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        if (TEXT_COPY(spec.address, node->text) < 0 || service_spec_check(&spec) < 0)
                return refuse(tree, node, expected);
        return text_copy(ret, ADDRESS_SIZE, node->text);
}

int conf_port(const struct conf_tree *tree, const struct conf_node *node, uint16_t *ret)
{
        static const char expected[] = "a port: a number from 1 to 65535";
        uint64_t number;
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        if (text_to_u64(node->text, &number) < 0 || number < 1 || number > UINT16_MAX)
                return refuse(tree, node, expected);
        *ret = (uint16_t)number;
        return 0;
}

int conf_duration(const struct conf_tree *tree, const struct conf_node *node, uint64_t max_us, uint64_t *ret)
{
        static const char expected[] = "a length of time like 500ms, 30s, 5min or 2h";
        char limit[32];
        uint64_t us;
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        r = time_duration_parse(node->text, &us);
        if (r == -EINVAL)
                return refuse(tree, node, expected);
        time_duration_text(limit, sizeof(limit), max_us);
        if (r < 0 || us > max_us)
                return conf_fail(tree, node->line, "%s: '%s' is too long; at most %s",
                                 CONF_SHOW(name_of(node)), CONF_SHOW(node->text), limit);
        *ret = us;
        return 0;
}

/* DIGITS[.DIGITS], at most nine digits in all; by hand, because strtod() reads what the locale says. */
static int read_decimal(const char *text, size_t size, double *ret)
{
        double value = 0, unit = 1;
        size_t digits = 0;
        bool fraction = false;

        for (size_t i = 0; i < size; i++) {
                if (text[i] == '.' && !fraction && i > 0 && i + 1 < size) {
                        fraction = true;
                        continue;
                }
                if (text[i] < '0' || text[i] > '9' || ++digits > 9)
                        return -EINVAL;
                value = value * 10 + (text[i] - '0');
                if (fraction)
                        unit *= 10;
        }
        if (digits == 0)
                return -EINVAL;
        *ret = value / unit;
        return 0;
}

int conf_bytes(const struct conf_tree *tree, const struct conf_node *node, uint64_t *ret)
{
        static const char expected[] = "a number of bytes like 500000, 64MB or 1.5GB";
        static const struct {
                const char *name;
                double bytes;
        } units[] = {{"", 1}, {"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}};
        int r = want_text(tree, node, expected);
        size_t digits;
        double value;

        if (r < 0)
                return r;
        digits = strspn(node->text, "0123456789.");
        if (digits == 0 || read_decimal(node->text, digits, &value) < 0)
                return refuse(tree, node, expected);
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
                if (text_equal(node->text + digits, units[i].name) && value * units[i].bytes < 0x1p63) {
                        *ret = (uint64_t)(value * units[i].bytes);
                        return 0;
                }
        return refuse(tree, node, expected);
}

int conf_share(const struct conf_tree *tree, const struct conf_node *node, double *ret)
{
        static const char expected[] = "a share like 95% or 0.95";
        double value = 0;
        size_t size;
        bool percent;
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        percent = text_ends(node->text, "%");
        size = strlen(node->text) - percent;
        if (read_decimal(node->text, size, &value) < 0)
                return refuse(tree, node, expected);
        if (percent)
                value /= 100;
        if (value > 1 && !percent && value <= 100)
                return conf_fail(tree, node->line, "%s: '%s' is more than a whole; did you mean '%s%%'?",
                                 CONF_SHOW(name_of(node)), CONF_SHOW(node->text), CONF_SHOW(node->text));
        if (value > 1)
                return refuse(tree, node, expected);
        *ret = value;
        return 0;
}

int conf_hex(const struct conf_tree *tree, const struct conf_node *node, void *ret, size_t size)
{
        int r = want_text(tree, node, "it in hex");

        if (r < 0)
                return r;
        if (text_unhex(ret, size, node->text) < 0)
                return conf_fail(tree, node->line, "%s has to be %zu hex digits; these are %zu characters",
                                 CONF_SHOW(name_of(node)), 2 * size, strlen(node->text));
        return 0;
}

int conf_choice(const struct conf_tree *tree, const struct conf_node *node, const char *const *words,
                size_t count, unsigned *ret)
{
        char expected[256] = "one of ";
        struct suggest suggest;
        int r;

        for (size_t i = 0; i < count; i++) {
                if (i > 0)
                        strncat(expected, ", ", sizeof(expected) - strlen(expected) - 1);
                strncat(expected, words[i], sizeof(expected) - strlen(expected) - 1);
        }
        r = want_text(tree, node, expected);
        if (r < 0)
                return r;
        suggest_begin(&suggest, node->text);
        for (unsigned i = 0; i < count; i++) {
                if (text_equal(words[i], node->text)) {
                        *ret = i;
                        return 0;
                }
                suggest_offer(&suggest, words[i]);
        }
        strncat(expected, suggest_text(&suggest), sizeof(expected) - strlen(expected) - 1);
        return refuse(tree, node, expected);
}

bool conf_is_endpoint(const char *text)
{
        char host[256];
        struct service_spec spec = {.name = "address", .kind = SERVICE_UNIT, .unit = "address.service"};
        const char *colon = strrchr(text, ':');
        size_t length = colon ? (size_t)(colon - text) : 0;
        uint64_t port;

        if (length == 0 || length >= sizeof(host) || text_to_u64(colon + 1, &port) < 0 || port < 1 ||
            port > UINT16_MAX)
                return false;
        memcpy(host, text, length);
        host[length] = '\0';
        if (host[0] != '[')
                return host[0] != '-' && strspn(host, HOST_CHARACTERS) == length;
        if (host[length - 1] != ']' || length < 4)
                return false;
        host[length - 1] = '\0';
        return TEXT_COPY(spec.address, host + 1) == 0 && service_spec_check(&spec) == 0 && strchr(host, ':');
}

int conf_endpoint(const struct conf_tree *tree, const struct conf_node *node, char *ret, size_t size)
{
        static const char expected[] = "HOST:PORT, like 10.0.0.1:7117, bastion:7117 or [::1]:7117";
        int r = want_text(tree, node, expected);

        if (r < 0)
                return r;
        return conf_is_endpoint(node->text) && text_copy(ret, size, node->text) == 0
                       ? 0
                       : refuse(tree, node, expected);
}

int conf_unknown_key(const struct conf_tree *tree, const struct conf_node *node, const char *of,
                     const char *(*known)(size_t i, const void *userdata), const void *userdata)
{
        char all[256] = "";
        struct suggest suggest;
        const char *word;

        suggest_begin(&suggest, node->key);
        for (size_t i = 0; (word = known(i, userdata)); i++) {
                if (!word[0])
                        continue;
                suggest_offer(&suggest, word);
                if (all[0])
                        strncat(all, ", ", sizeof(all) - strlen(all) - 1);
                strncat(all, word, sizeof(all) - strlen(all) - 1);
        }
        if (suggest_text(&suggest)[0])
                return conf_fail(tree, node->key_line, "unknown key '%s' in %s%s", CONF_SHOW(node->key), of,
                                 suggest_text(&suggest));
        return conf_fail(tree, node->key_line, "unknown key '%s' in %s; known are %s", CONF_SHOW(node->key),
                         of, all);
}
