/* See home.h. */
#include "agent/pm2/home.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/time.h"

#define TAIL_BYTES 8192
#define TAIL_LINES 3

/* Cuts the line into its fields: exactly seven. */
static int cut_fields(char *line, char *fields[7])
{
        for (size_t count = 0; count < 7; count++) {
                char *colon = strchr(line, ':');

                if ((colon == NULL) != (count == 6))
                        return -EBADMSG;
                fields[count] = line;
                if (colon) {
                        *colon = '\0';
                        line = colon + 1;
                }
        }
        return 0;
}

int pm2_home_from_entry(struct pm2_home *ret, const char *entry, const char *path, struct error *error)
{
        struct pm2_home home = {0};
        char line[PATH_SIZE * 2], *fields[7];
        uint64_t uid, gid;
        size_t length;
        int r;

        r = text_copy(line, sizeof(line), entry);
        if (r == 0)
                r = cut_fields(line, fields);
        if (r == 0 && (text_to_u64(fields[2], &uid) < 0 || text_to_u64(fields[3], &gid) < 0 ||
                       uid >= UINT32_MAX || gid >= UINT32_MAX))
                r = -EBADMSG;
        if (r == 0 && (TEXT_COPY(home.user, fields[0]) < 0 || TEXT_COPY(home.user_home, fields[5]) < 0))
                r = -ENAMETOOLONG;
        if (r < 0)
                return error_set(error, r, "the user database has an entry that cannot be understood");
        home.uid = (uid_t)uid;
        home.gid = (gid_t)gid;
        if (path && *path)
                r = TEXT_COPY(home.path, path);
        else if (snprintf(home.path, sizeof(home.path), "%s/.pm2", home.user_home) >= (int)sizeof(home.path))
                r = -ENAMETOOLONG;
        if (r < 0)
                return error_set(error, r, "the path of the PM2 home is too long");
        for (length = strlen(home.path); length > 1 && home.path[length - 1] == '/'; length--)
                home.path[length - 1] = '\0';
        if (home.path[0] != '/')
                return error_set(error, -EINVAL, "PM2 home %s: give an absolute path", home.path);
        *ret = home;
        return 0;
}

void pm2_home_id(const struct pm2_home *home, char ret[PM2_HOME_ID_SIZE])
{
        unsigned char hash[crypto_hash_sha256_BYTES];

        crypto_hash_sha256(hash, (const unsigned char *)home->path, strlen(home->path));
        text_hex(ret, hash, (PM2_HOME_ID_SIZE - 1) / 2);
}

struct line {
        const char *text;
        size_t size;
};

/* Nothing that a person would look for: what node prints around an error, the stack and the object's members'
 * frame. */
static bool is_filler(const struct line *line)
{
        size_t begin = 0;

        while (begin < line->size && (line->text[begin] == ' ' || line->text[begin] == '\t'))
                begin++;
        if (begin == line->size || (begin && line->size - begin > 3 && !memcmp(line->text + begin, "at ", 3)))
                return true;
        if (line->size > 9 && !memcmp(line->text, "Node.js v", 9))
                return true;
        while (begin < line->size && memchr("{}[](),;^~ \t\r", line->text[begin], 13))
                begin++;
        return begin == line->size;
}

static bool names_an_error(const struct line *line)
{
        return memmem(line->text, line->size, "Error", 5) || memmem(line->text, line->size, "FATAL", 5) ||
               memmem(line->text, line->size, "Cannot", 6);
}

/* The last line that names an error, else the last few that say anything; returns how many, newest last. */
static size_t choose_lines(const char *text, size_t size, struct line ret[TAIL_LINES])
{
        struct line kept[TAIL_LINES];
        size_t count = 0;

        while (size > 0) {
                const char *before = memrchr(text, '\n', size - 1);
                struct line line = {before ? before + 1 : text, 0};

                line.size = (size_t)(text + size - line.text);
                size -= line.size;
                while (line.size && (line.text[line.size - 1] == '\n' || line.text[line.size - 1] == ' '))
                        line.size--;
                if (is_filler(&line))
                        continue;
                if (names_an_error(&line)) {
                        ret[0] = line;
                        return 1;
                }
                if (count < TAIL_LINES)
                        kept[count++] = line;
        }
        for (size_t i = 0; i < count; i++)
                ret[i] = kept[count - 1 - i];
        return count;
}

static void join_lines(const struct line *lines, size_t count, char *ret, size_t ret_size)
{
        size_t used = 0, wanted = count * strlen(" | ");

        for (size_t i = 0; i < count; i++)
                wanted += lines[i].size;
        for (; count > 1 && wanted > ret_size; lines++, count--)
                wanted -= lines->size + strlen(" | "); /* the newest counts most */
        for (size_t i = 0; i < count; i++) {
                if (i && used + 4 < ret_size) {
                        memcpy(ret + used, " | ", 3);
                        used += 3;
                }
                for (const char *c = lines[i].text; c < lines[i].text + lines[i].size && used + 1 < ret_size;
                     c++)
                        ret[used++] = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
        }
        while (used > 0 && !text_is_utf8(ret, used))
                used--;
        ret[used] = '\0';
}

static uint64_t written_us(const struct stat *status)
{
        return (uint64_t)status->st_mtim.tv_sec * USEC_PER_SEC + (uint64_t)status->st_mtim.tv_nsec / 1000u;
}

int pm2_home_tail(const struct pm2_home *home, const char *path, uint64_t since_us, char *ret, size_t size)
{
        struct line lines[TAIL_LINES];
        cleanup_close int fd = -1;
        char bytes[TAIL_BYTES];
        struct stat status;
        off_t start;
        ssize_t n;

        ret[0] = '\0';
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) || status.st_uid != home->uid)
                return -EPERM;
        if (written_us(&status) < since_us)
                return 0;
        start = status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0;
        n = pread(fd, bytes, sizeof(bytes), start);
        if (n < 0)
                return -errno;
        join_lines(lines, choose_lines(bytes, (size_t)n, lines), ret, size);
        return 0;
}
