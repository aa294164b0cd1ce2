/* Makes the disk under one program sick, for trials: a library for LD_PRELOAD.
 *
 *   cc -shared -fPIC -O2 -o shim.so shim.c
 *
 * Each of these variables names a control file; the fault lasts while that file exists:
 *
 *   BASKETD_SHIM_STALL   writes and syncs of *.mcap do not return (the journal's disk hangs)
 *   BASKETD_SHIM_FULL    writes, and what makes a file grow, fail with ENOSPC, or with EROFS where
 *                        BASKETD_SHIM_READONLY is set
 *   BASKETD_SHIM_EIO     fsync, fdatasync and sync_file_range fail with EIO
 *
 * FULL and EIO concern *.mcap, *.mcap.new, *.db, *-wal and *-journal. BASKETD_SHIM_ONLY=.db narrows all three to
 * names that end so. Which file a descriptor is, is asked anew at every call, since descriptors are
 * reused and files are renamed and removed.
 *
 * Calls that do not pass through the C library are not seen: raw system calls (what `rustix` does),
 * io_uring, and writes to mapped memory. Nothing is sick before the control file is there, so
 * programs start as ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), of_end = strlen(end);
    return of_end > 0 && length >= of_end && strcmp(text + length - of_end, end) == 0;
}

/* Whether the variable is set and its control file exists. */
static bool on(const char *variable)
{
    const char *path = getenv(variable);
    return path != NULL && access(path, F_OK) == 0;
}

/* Whether the fault of that variable concerns this descriptor now. */
static bool hit(const char *variable, int fd)
{
    char link[40], path[4096];
    ssize_t length;
    int saved = errno;
    bool found = false;

    if (on(variable)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, path, sizeof path - 1);
        if (length > 0) {
            static const char gone[] = " (deleted)";
            const char *only = getenv("BASKETD_SHIM_ONLY");
            path[length] = '\0';
            if (ends_with(path, gone))
                path[length - (ssize_t)strlen(gone)] = '\0';
            found = ends_with(path, ".mcap") || ends_with(path, ".mcap.new");
            if (!found && strcmp(variable, "BASKETD_SHIM_STALL") != 0)
                found = ends_with(path, ".db") || ends_with(path, "-wal")
                    || ends_with(path, "-journal");
            if (only != NULL && !ends_with(path, only))
                found = false;
        }
    }
    errno = saved;
    return found;
}

static void stall(int fd)
{
    const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
    int saved = errno;

    while (hit("BASKETD_SHIM_STALL", fd))
        nanosleep(&moment, NULL);
    errno = saved;
}

/* The C library's own function of that name. */
static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "shim: no %s in the C library\n", name);
        abort();
    }
    return found;
}

/* What a write that fails is told: a full disk, or with BASKETD_SHIM_READONLY a read-only one. */
static int refusal(void)
{
    return getenv("BASKETD_SHIM_READONLY") != NULL ? EROFS : ENOSPC;
}

/* A function that is handed on unless its descriptor `fd` has the fault. Looking it up at every
 * call costs some hundred nanoseconds and needs no state. */
#define SICK(result, name, parameters, arguments, fd, fault, error)   \
    result name parameters                                            \
    {                                                                 \
        stall(fd);                                                    \
        if (hit(fault, fd)) {                                         \
            errno = error;                                            \
            return (result)-1;                                        \
        }                                                             \
        return ((result(*) parameters)next(#name)) arguments;         \
    }
#define FULL(result, name, parameters, arguments, fd) \
    SICK(result, name, parameters, arguments, fd, "BASKETD_SHIM_FULL", refusal())
#define UNSYNCED(name, parameters, arguments) \
    SICK(int, name, parameters, arguments, fd, "BASKETD_SHIM_EIO", EIO)

FULL(ssize_t, write, (int fd, const void *from, size_t count), (fd, from, count), fd)
FULL(ssize_t, pwrite, (int fd, const void *from, size_t count, off_t at), (fd, from, count, at), fd)
FULL(ssize_t, pwrite64, (int fd, const void *from, size_t count, off64_t at), (fd, from, count, at), fd)
FULL(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count), fd)
FULL(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), (fd, from, count, at), fd)
FULL(ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), (fd, from, count, at), fd)
FULL(ssize_t, pwritev2, (int fd, const struct iovec *from, int count, off_t at, int flags), (fd, from, count, at, flags), fd)
FULL(ssize_t, pwritev64v2, (int fd, const struct iovec *from, int count, off64_t at, int flags), (fd, from, count, at, flags), fd)
FULL(ssize_t, sendfile, (int fd, int in, off_t *at, size_t count), (fd, in, at, count), fd)
FULL(ssize_t, sendfile64, (int fd, int in, off64_t *at, size_t count), (fd, in, at, count), fd)
FULL(ssize_t, copy_file_range, (int in, off64_t *from, int fd, off64_t *to, size_t count, unsigned flags), (in, from, fd, to, count, flags), fd)
FULL(int, fallocate, (int fd, int mode, off_t at, off_t count), (fd, mode, at, count), fd)
FULL(int, fallocate64, (int fd, int mode, off64_t at, off64_t count), (fd, mode, at, count), fd)

/* These give the error back instead of setting it. */
int posix_fallocate(int fd, off_t at, off_t count)
{
    stall(fd);
    if (hit("BASKETD_SHIM_FULL", fd))
        return ENOSPC;
    return ((int (*)(int, off_t, off_t))next("posix_fallocate"))(fd, at, count);
}

int posix_fallocate64(int fd, off64_t at, off64_t count)
{
    stall(fd);
    if (hit("BASKETD_SHIM_FULL", fd))
        return ENOSPC;
    return ((int (*)(int, off64_t, off64_t))next("posix_fallocate64"))(fd, at, count);
}

UNSYNCED(fsync, (int fd), (fd))
UNSYNCED(fdatasync, (int fd), (fd))
UNSYNCED(sync_file_range, (int fd, off64_t at, off64_t count, unsigned flags), (fd, at, count, flags))
