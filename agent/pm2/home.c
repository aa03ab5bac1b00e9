/* See home.h. */
#include "agent/pm2/home.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"

#define TAIL_BYTES 4096
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

/* Where the last lines of the text begin. */
static const char *last_lines(const char *text, size_t size, unsigned lines)
{
        const char *start = text + size;

        while (start > text) {
                if (start[-1] == '\n' && start != text + size && lines-- <= 1)
                        break;
                start--;
        }
        return start;
}

/* As last_lines but without the line that was cut by the window. */
static void join_lines(const char *text, size_t size, char *ret, size_t ret_size)
{
        const char *start;
        size_t used = 0;

        while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
                size--;
        start = last_lines(text, size, TAIL_LINES);
        for (const char *c = start; c < text + size && used + 4 < ret_size; c++) {
                if (*c == '\n') {
                        memcpy(ret + used, " | ", 3);
                        used += 3;
                } else {
                        ret[used++] = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
                }
        }
        while (used > 0 && !text_is_utf8(ret, used))
                used--;
        ret[used] = '\0';
}

int pm2_home_tail(const struct pm2_home *home, const char *path, char *ret, size_t size)
{
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
        start = status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0;
        n = pread(fd, bytes, sizeof(bytes), start);
        if (n < 0)
                return -errno;
        join_lines(bytes, (size_t)n, ret, size);
        return 0;
}
