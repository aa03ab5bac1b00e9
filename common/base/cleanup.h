/* Ownership that ends by itself: a cleanup attribute on the line that allocates, TAKE to hand over. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup_with(f) __attribute__((cleanup(f)))

/* Defines NAMEp(), fit for cleanup_with(), from a function that takes a pointer and accepts NULL. */
#define DEFINE_CLEANUP(type, function)                                                                       \
        static inline void function##p(type *pointer)                                                        \
        {                                                                                                    \
                if (*pointer)                                                                                \
                        function(*pointer);                                                                  \
        }                                                                                                    \
        struct cleanup_semicolon

/* Hands ownership over: the value of the pointer, which becomes NULL. */
#define TAKE(pointer)                                                                                        \
        __extension__({                                                                                      \
                __typeof__(pointer) *take_from_ = &(pointer);                                                \
                __typeof__(pointer) taken_ = *take_from_;                                                    \
                *take_from_ = NULL;                                                                          \
                taken_;                                                                                      \
        })

/* The same for a file descriptor, which becomes -1. */
static inline int take_fd(int *fd)
{
        int taken = *fd;
        *fd = -1;
        return taken;
}

static inline void cleanup_freep(void *pointer)
{
        free(*(void **)pointer);
}
static inline void cleanup_closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}
DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define cleanup_free  cleanup_with(cleanup_freep)
#define cleanup_close cleanup_with(cleanup_closep)
#define cleanup_file  cleanup_with(fclosep)
#define cleanup_dir   cleanup_with(closedirp)

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
