/* See options.h. */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "common/base/text.h"

static void append(char *text, size_t size, const char *part)
{
        size_t length = strlen(text);

        snprintf(text + length, size - length, "%s", part);
}

/* "SCOPE, --json, --watch": what the command takes. */
static void list_allowed(const struct options *options, char *text, size_t size)
{
        text[0] = '\0';
        if (options->words[0])
                append(text, size, options->words);
        for (size_t i = 0; i < options->count; i++) {
                append(text, size, text[0] ? ", --" : "--");
                append(text, size, options->list[i].name);
                if (options->list[i].value) {
                        append(text, size, " ");
                        append(text, size, options->list[i].value_name);
                }
        }
        if (options->rest)
                append(text, size, text[0] ? ", -- COMMAND…" : "-- COMMAND…");
        if (!text[0])
                append(text, size, "nothing");
}

static int refuse(const struct options *options, struct error *error, const char *what, const char *word)
{
        char allowed[384];

        list_allowed(options, allowed, sizeof(allowed));
        return error_set(error, -EINVAL, "%s: %s '%s'; it takes %s", options->command, what, word, allowed);
}

static const struct option *find(const struct options *options, const char *name, size_t length)
{
        for (size_t i = 0; i < options->count; i++)
                if (strlen(options->list[i].name) == length &&
                    strncmp(options->list[i].name, name, length) == 0)
                        return &options->list[i];
        return NULL;
}

/* Reads the option at argv[*at]; moves *at to the last argument used. */
static int read_option(const struct options *options, int argc, char **argv, int *at, struct error *error)
{
        const char *word = argv[*at];
        const char *name = word + 2, *equals = strchr(name, '=');
        size_t length = equals ? (size_t)(equals - name) : strlen(name);
        const struct option *option = text_starts(word, "--") ? find(options, name, length) : NULL;

        if (!option)
                return refuse(options, error, "unknown option", word);
        if (option->flag) {
                if (equals)
                        return error_set(error, -EINVAL, "%s: --%s takes no value", options->command,
                                         option->name);
                *option->flag = true;
                return 0;
        }
        if (*option->value)
                return error_set(error, -EINVAL, "%s: --%s is given twice", options->command, option->name);
        if (!equals && *at + 1 >= argc)
                return error_set(error, -EINVAL, "%s: --%s needs a value: --%s %s", options->command,
                                 option->name, option->name, option->value_name);
        *option->value = equals ? equals + 1 : argv[++*at];
        return 0;
}

int options_parse(const struct options *options, int argc, char **argv, struct arguments *ret,
                  struct error *error)
{
        struct arguments arguments = {0};
        bool rest = false;
        int r;

        for (int i = 1; i < argc; i++) {
                if (text_equal(argv[i], "--help") || text_equal(argv[i], "-h"))
                        return 1;
                if (text_equal(argv[i], "--")) {
                        if (!options->rest)
                                return refuse(options, error, "unexpected", argv[i]);
                        rest = true;
                        arguments.rest = argv + i + 1;
                        arguments.rest_count = (size_t)(argc - i - 1);
                        break;
                }
                if (argv[i][0] == '-' && argv[i][1]) {
                        r = read_option(options, argc, argv, &i, error);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (arguments.word_count == options->words_max)
                        return refuse(options, error, "unexpected", argv[i]);
                arguments.words[arguments.word_count++] = argv[i];
        }
        if (arguments.word_count < options->words_min)
                return error_set(error, -EINVAL, "%s: something is missing: muster %s %s%s", options->command,
                                 options->command, options->words, options->rest ? " -- COMMAND…" : "");
        if (options->rest && (!rest || arguments.rest_count == 0))
                return error_set(error, -EINVAL, "%s: no command is given: muster %s %s -- COMMAND…",
                                 options->command, options->command, options->words);
        *ret = arguments;
        return 0;
}

bool arguments_scope(const struct arguments *arguments, size_t first, char *ret, size_t size, int *ret_exit)
{
        size_t used = 0;

        ret[0] = '\0';
        for (size_t i = first; i < arguments->word_count; i++) {
                int n = snprintf(ret + used, size - used, "%s%s", i > first ? "," : "", arguments->words[i]);

                if (n < 0 || (size_t)n >= size - used) {
                        *ret_exit = cli_fail(CLI_USAGE, "the scope is longer than %zu bytes", size - 1);
                        return false;
                }
                used += (size_t)n;
        }
        return true;
}

static void print_help(const struct options *options)
{
        printf("usage: muster %s%s%s%s%s\n", options->command, options->words[0] ? " " : "", options->words,
               options->count ? " [options]" : "", options->rest ? " -- COMMAND…" : "");
        for (size_t i = 0; i < options->count; i++) {
                const struct option *option = &options->list[i];
                char left[64];

                snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
                         option->value ? option->value_name : "");
                printf("  %-22s %s\n", left, option->help);
        }
}

bool options_read(const struct options *options, int argc, char **argv, struct arguments *ret, int *ret_exit)
{
        struct error error = {0};
        int r = options_parse(options, argc, argv, ret, &error);

        if (r == 0)
                return true;
        if (r > 0) {
                print_help(options);
                *ret_exit = CLI_DONE;
        } else {
                *ret_exit = cli_fail(CLI_USAGE, "%s", error_text(&error, r));
        }
        return false;
}

bool option_number(const char *what, const char *text, uint32_t most, uint32_t *value, int *ret_exit)
{
        uint64_t number = *value;

        if (text && (text_to_u64(text, &number) < 0 || number < 1 || number > most)) {
                *ret_exit = cli_fail(CLI_USAGE, "%s '%s' is not a number from 1 to %u", what, text, most);
                return false;
        }
        *value = (uint32_t)number;
        return true;
}
