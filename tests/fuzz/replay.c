/* A fuzz target without its fuzzer: runs the one function over every file of the folders and files that are
 * named, so that what the fuzzers once found stays found in each ordinary test run. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define INPUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, unsigned *count)
{
        cleanup_free char *bytes = NULL;
        cleanup_free uint8_t *exact = NULL;
        struct error error = {0};
        size_t size;
        int r;

        r = file_read(path, INPUT_MAX, &bytes, &size, &error);
        if (r < 0) {
                fprintf(stderr, "replay: %s\n", error_text(&error, r));
                return r;
        }
        /* as a fuzzer hands it over: no room behind the last byte */
        exact = malloc(size > 0 ? size : 1);
        if (!exact)
                return -ENOMEM;
        memcpy(exact, bytes, size);
        fprintf(stderr, "%s\n", path); /* stderr: the last line before a crash names the input */
        LLVMFuzzerTestOneInput(exact, size);
        (*count)++;
        return 0;
}

static int replay_folder(const char *path, unsigned *count)
{
        cleanup_dir DIR *folder = opendir(path);
        struct dirent *entry;
        int r;

        if (!folder) {
                fprintf(stderr, "replay: %s: %m\n", path);
                return -errno;
        }
        while ((entry = readdir(folder))) {
                cleanup_free char *name = NULL;

                if (entry->d_name[0] == '.')
                        continue;
                r = text_format(&name, "%s/%s", path, entry->d_name);
                if (r == 0)
                        r = replay_file(name, count);
                if (r < 0)
                        return r;
        }
        return 0;
}

int main(int argc, char **argv)
{
        unsigned count = 0;

        for (int i = 1; i < argc; i++) {
                struct stat status;
                int r = stat(argv[i], &status);

                if (r == 0 && S_ISDIR(status.st_mode))
                        r = replay_folder(argv[i], &count);
                else
                        r = replay_file(argv[i], &count);
                if (r < 0)
                        return 1;
        }
        printf("%u inputs replayed\n", count);
        if (count == 0)
                fprintf(stderr,
                        "replay: no input: name the corpus folder, and put at least one file there\n");
        return count > 0 ? 0 : 1;
}
