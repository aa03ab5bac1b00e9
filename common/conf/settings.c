/* See settings.h. */
#include "common/conf/settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"
#include "common/conf/tree.h"
#include "common/conf/value.h"

#define SECRET_FILE_MAX 4096u

DEFINE_CLEANUP(struct conf_tree *, conf_tree_free);

/* One key of a settings file: where its value goes. */
struct setting {
        const char *name;
        enum setting_form { SETTING_ENDPOINT, SETTING_PATH, SETTING_KEY } form;
        bool required;
        void *target;
};

static const char *known_setting(size_t i, const void *settings)
{
        return ((const struct setting *)settings)[i].name;
}

static int read_setting(const struct conf_tree *tree, const struct conf_node *node,
                        const struct setting *setting)
{
        if (setting->form == SETTING_ENDPOINT)
                return conf_endpoint(tree, node, setting->target, SETTINGS_ENDPOINT_SIZE);
        if (setting->form == SETTING_PATH)
                return conf_path(tree, node, setting->target, PATH_SIZE);
        return conf_hex(tree, node, setting->target, SETTINGS_KEY_SIZE);
}

/* settings ends with an entry without a name. */
static int read_settings(const struct conf_tree *tree, const char *of, const struct setting *settings)
{
        for (const struct conf_node *child = tree->root->first; child; child = child->next) {
                const struct setting *setting = settings;
                int r;

                while (setting->name && !text_equal(setting->name, child->key))
                        setting++;
                r = setting->name ? read_setting(tree, child, setting)
                                  : conf_unknown_key(tree, child, of, known_setting, settings);
                if (r < 0)
                        return r;
        }
        for (const struct setting *setting = settings; setting->name; setting++)
                if (setting->required && !conf_node_get(tree->root, setting->name))
                        return conf_fail(tree, tree->root->line, "%s has no %s; add it", of, setting->name);
        return 0;
}

/* A file that only its owner may read, with a NUL behind it. The mode is that of what was opened. */
static int read_secret_file(const char *path, char ret[SECRET_FILE_MAX], size_t *ret_size,
                            struct error *error)
{
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct stat status;
        size_t size = 0;

        if (fd < 0)
                return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
        if (fstat(fd, &status) < 0)
                return error_set(error, -errno, "cannot look at %s: %s", path, strerror(errno));
        if (status.st_mode & 077)
                return error_set(error, -EACCES,
                                 "%s holds a secret key but others may use it (mode %04o); chmod 600 it, and "
                                 "make a new one if others may have read it",
                                 path, (unsigned)status.st_mode & 07777);
        for (;;) {
                ssize_t n = read(fd, ret + size, SECRET_FILE_MAX - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
                if (n == 0)
                        break;
                size += (size_t)n;
                if (size == SECRET_FILE_MAX)
                        return error_set(error, -E2BIG, "%s is larger than %u bytes: not a key file", path,
                                         SECRET_FILE_MAX - 1);
        }
        ret[size] = '\0';
        *ret_size = size;
        return 0;
}

static int parse_identity(struct identity *identity, const char *text, size_t size, const char *path,
                          struct error *error)
{
        cleanup_with(conf_tree_freep) struct conf_tree *tree = NULL;
        const struct setting settings[] = {
                {"controller", SETTING_ENDPOINT, true, identity->address},
                {"controller_key", SETTING_KEY, true, identity->controller},
                {"secret_key", SETTING_KEY, true, identity->secret},
                {NULL},
        };
        int r = conf_tree_parse(&tree, text, size, path, error);

        return r < 0 ? r : read_settings(tree, "an identity", settings);
}

int identity_read(struct identity *ret, const char *path, struct error *error)
{
        struct identity identity = {0};
        char text[SECRET_FILE_MAX];
        size_t size;
        int r = read_secret_file(path, text, &size, error);

        if (r == 0)
                r = parse_identity(&identity, text, size, path, error);
        if (r == 0)
                *ret = identity;
        explicit_bzero(text, sizeof(text));
        explicit_bzero(&identity, sizeof(identity));
        return r;
}

int identity_write(const struct identity *identity, const char *path, struct error *error)
{
        char controller[2 * SETTINGS_KEY_SIZE + 1], secret[2 * SETTINGS_KEY_SIZE + 1], text[1024];
        struct identity again = {0};
        int n, r;

        text_hex(controller, identity->controller, sizeof(identity->controller));
        text_hex(secret, identity->secret, sizeof(identity->secret));
        n = snprintf(text, sizeof(text), "controller: \"%s\"\ncontroller_key: \"%s\"\nsecret_key: \"%s\"\n",
                     identity->address, controller, secret);
        /* An address that would not read back is found now, not at the next start. */
        r = parse_identity(&again, text, (size_t)n, path, error);
        if (r == 0)
                r = file_write_atomic(path, text, (size_t)n, 0600, error);
        explicit_bzero(&again, sizeof(again));
        explicit_bzero(secret, sizeof(secret));
        explicit_bzero(text, sizeof(text));
        return r;
}

static int make_key(uint8_t secret[SETTINGS_KEY_SIZE], const char *path, struct error *error)
{
        char hex[2 * SETTINGS_KEY_SIZE + 2];
        ssize_t n;
        int r;

        do
                n = getrandom(secret, SETTINGS_KEY_SIZE, 0);
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)SETTINGS_KEY_SIZE)
                return error_set(error, -EIO, "the kernel gives no random bytes: %s", strerror(errno));
        text_hex(hex, secret, SETTINGS_KEY_SIZE);
        hex[sizeof(hex) - 2] = '\n';
        r = file_write_atomic(path, hex, sizeof(hex) - 1, 0600, error);
        explicit_bzero(hex, sizeof(hex));
        return r;
}

int settings_key(uint8_t ret_secret[SETTINGS_KEY_SIZE], const char *path, struct error *error)
{
        uint8_t secret[SETTINGS_KEY_SIZE];
        char text[SECRET_FILE_MAX];
        size_t size;
        int r = read_secret_file(path, text, &size, error);

        if (r == -ENOENT) {
                r = make_key(secret, path, error);
        } else if (r == 0) {
                if (size > 0 && text[size - 1] == '\n')
                        text[--size] = '\0';
                if (strlen(text) != size || text_unhex(secret, sizeof(secret), text) < 0)
                        r = error_set(
                                error, -EINVAL,
                                "%s is not a key (64 hex digits); restore it from a copy: a new one is a "
                                "new identity, and would have to be joined again",
                                path);
        }
        if (r == 0)
                memcpy(ret_secret, secret, sizeof(secret));
        explicit_bzero(text, sizeof(text));
        explicit_bzero(secret, sizeof(secret));
        return r;
}

int controller_settings_read(struct controller_settings *ret, const char *path, struct error *error)
{
        cleanup_with(conf_tree_freep) struct conf_tree *tree = NULL;
        struct controller_settings read = *ret;
        const struct setting settings[] = {
                {"listen", SETTING_ENDPOINT, false, read.listen},
                {"advertise", SETTING_ENDPOINT, false, read.advertise},
                {"fleet", SETTING_PATH, false, read.fleet},
                {"state", SETTING_PATH, false, read.state},
                {NULL},
        };
        int r = conf_tree_read(&tree, path, error);

        if (r == 0)
                r = read_settings(tree, "the controller's settings", settings);
        if (r == 0)
                *ret = read;
        return r;
}
