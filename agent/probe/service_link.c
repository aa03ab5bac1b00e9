/* See service_link.h. */
#include "agent/probe/service_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

#define FILE_MOST 65536u

struct login {
        char user[REDIS_WORD_SIZE], password[REDIS_WORD_SIZE];
};

/* The file's content; *ret stays NULL where there is no such file. */
static int read_secret_file(char **ret, const char *path, struct error *error)
{
        cleanup_file FILE *file = fopen(path, "re");
        cleanup_free char *text = NULL;
        struct stat info;
        size_t n;

        if (!file)
                return errno == ENOENT
                               ? 0
                               : error_set(error, -errno, "%s cannot be read: %s", path, strerror(errno));
        if (fstat(fileno(file), &info) < 0)
                return error_set(error, -errno, "%s cannot be read: %s", path, strerror(errno));
        if (!S_ISREG(info.st_mode) || (info.st_uid != geteuid() && info.st_uid != 0) ||
            (info.st_mode & (S_IRWXG | S_IRWXO)))
                return error_set(error, -EACCES,
                                 "%s holds passwords and others may read or write it: chown root %s; "
                                 "chmod 600 %s",
                                 path, path, path);
        text = malloc(FILE_MOST + 1);
        if (!text)
                return -ENOMEM;
        setvbuf(file, NULL, _IONBF, 0); /* no second copy of the passwords */
        n = fread(text, 1, FILE_MOST + 1, file);
        if (n > FILE_MOST) {
                explicit_bzero(text, n);
                return error_set(error, -E2BIG, "%s is larger than %u bytes", path, FILE_MOST);
        }
        text[n] = '\0';
        *ret = TAKE(text);
        return 0;
}

/* The words of one line; 0 for an empty one, -1 for too many. */
static int split(char *line, char *words[3])
{
        char *save = NULL;
        int count = 0;

        line[strcspn(line, "\r")] = '\0';
        for (char *word = strtok_r(line, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
                if (count == 0 && word[0] == '#')
                        return 0;
                if (count == 3)
                        return -1;
                words[count++] = word;
        }
        return count;
}

/* Looks for the service in text, which is taken apart. */
static int find_login(struct login *ret, char *text, const char *service, const char *path,
                      struct error *error)
{
        unsigned line = 0;

        for (char *at = text, *next; at; at = next) {
                char *words[3];
                int count;

                next = strchr(at, '\n');
                if (next)
                        *next++ = '\0';
                line++;
                count = split(at, words);
                if (count == 0)
                        continue;
                if (count != 2 && count != 3)
                        return error_set(error, -EBADMSG, "%s:%u: a line is SERVICE [USER] PASSWORD", path,
                                         line);
                if (!text_equal(words[0], service))
                        continue;
                if (TEXT_COPY(ret->user, count == 3 ? words[1] : "") < 0 ||
                    TEXT_COPY(ret->password, words[count - 1]) < 0)
                        return error_set(error, -EBADMSG, "%s:%u: user and password have at most %u bytes",
                                         path, line, REDIS_WORD_SIZE - 1);
                return 0;
        }
        return 0;
}

static int read_login(struct login *ret, const char *service, const char *folder, struct error *error)
{
        cleanup_free char *text = NULL;
        char path[PATH_MAX];
        size_t size;
        int r;

        if (snprintf(path, sizeof(path), "%s/%s", folder, SERVICE_LOGINS_FILE) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        r = read_secret_file(&text, path, error);
        if (r < 0 || !text)
                return r;
        size = strlen(text);
        r = find_login(ret, text, service, path, error);
        explicit_bzero(text, size);
        return r;
}

int service_link_new(redis_link **ret, sd_event *event, const struct service_spec *spec,
                     const char *agent_folder, struct error *error)
{
        struct login login = {0};
        redis_link *link = NULL;
        int r = read_login(&login, spec->name, agent_folder, error);

        if (r >= 0)
                r = spec->kind == SERVICE_UNIT
                            ? redis_link_new(&link, event, spec->probe_address, spec->probe_port, "")
                            : redis_link_new(&link, event, spec->address, spec->port, spec->socket);
        if (r >= 0)
                r = redis_link_login(link, login.user, login.password);
        explicit_bzero(&login, sizeof(login));
        if (r < 0) {
                redis_link_free(link);
                return r;
        }
        *ret = link;
        return 0;
}

void service_link_advice(char *out, size_t size, const redis_link *link, const char *said,
                         const struct service_spec *spec, const char *agent_folder)
{
        char clean[TEXT_SIZE], text[TEXT_SIZE * 3 + PATH_SIZE];
        const char *refusal = redis_link_refusal(link);

        text_copy_clean(clean, sizeof(clean), said);
        if (!text_starts(clean, "NOAUTH") && !text_starts(clean, "NOPERM") &&
            !strstr(clean, "authentication required") && !refusal[0])
                snprintf(text, sizeof(text), "%s", clean);
        else
                snprintf(text, sizeof(text), "%.80s: put \"%s [USER] PASSWORD\" into %s/%s (mode 600)",
                         refusal[0] ? refusal : clean, spec->name, agent_folder, SERVICE_LOGINS_FILE);
        text_copy_cut(out, size, text);
}
