/* For LD_PRELOAD: one system call below a folder does not end as the program expects.
 *
 * The calls below the folder are counted from 1, in each process by itself. These variables are read
 * at each call, so that a fork may have others than its parent:
 *
 *   FAULT_FOLDER   the folder; nothing is counted without it
 *   FAULT_LOG      a file to which each call adds a line: process, kind, name, path
 *   FAULT_AT       the number of the call
 *   FAULT_KILL     the signal that the process gets before that call; half of a write is done
 *   FAULT_ERRNO    the error that the call fails with instead; close closes the file all the same
 *   FAULT_STAYS    if set, all later calls of the kinds fail too
 *   FAULT_KINDS    the kinds that fail: r(ead), w(rite), d(elete), c(lose); all by default
 *
 * set_clock() changes what clock_gettime tells this process from then on.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long counted;

static const char *text_of(const char *variable) {
    const char *text = getenv(variable);
    return text && *text ? text : NULL;
}

static int is_below(const char *path, char *whole) {
    const char *folder = text_of("FAULT_FOLDER");
    if (!folder || !path)
        return 0;
    if (path[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
    } else {
        char here[PATH_MAX / 2];
        if (!getcwd(here, sizeof here))
            return 0;
        snprintf(whole, PATH_MAX, "%s/%s", here, path);
    }
    return !strncmp(whole, folder, strlen(folder));
}

static int path_of(int handle, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static void note(char kind, const char *name, const char *path) {
    const char *log = text_of("FAULT_LOG");
    char line[PATH_MAX + 96];
    if (!log)
        return;
    int size = snprintf(line, sizeof line, "%d %c %s %s\n", getpid(), kind, name, path);
    int handle = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (handle >= 0) {
        syscall(SYS_write, handle, line, size);
        syscall(SYS_close, handle);
    }
}

/* Count a call; return whether it must fail, with errno set. `half` is done before a signal. */
static int fails(char kind, const char *name, const char *path, int handle, const void *half,
                 size_t size) {
    const char *at = text_of("FAULT_AT"), *error = text_of("FAULT_ERRNO"), *kinds;
    note(kind, name, path);
    long number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (!at || number < atol(at) || (number > atol(at) && !text_of("FAULT_STAYS")))
        return 0;
    if (!error) {
        if (half && size > 1)
            syscall(SYS_write, handle, half, size / 2);
        kill(getpid(), atoi(text_of("FAULT_KILL")));
        return 0;
    }
    kinds = text_of("FAULT_KINDS");
    if (kinds && !strchr(kinds, kind))
        return 0;
    errno = atoi(error);
    return 1;
}

static int path_fails(char kind, const char *name, const char *path) {
    char whole[PATH_MAX];
    int before = errno;
    if (!is_below(path, whole))
        return 0;
    errno = before;
    return fails(kind, name, whole, -1, NULL, 0);
}

static int file_fails(char kind, const char *name, int handle, const void *half, size_t size) {
    char path[PATH_MAX], whole[PATH_MAX];
    int before = errno;
    if (!text_of("FAULT_FOLDER") || !path_of(handle, path) || !is_below(path, whole))
        return 0;
    errno = before;
    return fails(kind, name, whole, handle, half, size);
}

#define OPEN(name, parameters, given)                                                             \
    VISIBLE int name parameters {                                                                  \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list more;                                                                          \
            va_start(more, flags);                                                                 \
            mode = va_arg(more, mode_t);                                                           \
            va_end(more);                                                                          \
        }                                                                                          \
        if (path_fails(flags & (O_WRONLY | O_RDWR) ? 'w' : 'r', "open", path))                     \
            return -1;                                                                             \
        return REAL(name) given;                                                                   \
    }
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

#define OF_PATH(kind, type, failed, name, parameters, given, path)                                 \
    VISIBLE type name parameters {                                                                 \
        return path_fails(kind, #name, path) ? (type)failed : REAL(name) given;                    \
    }
OF_PATH('r', DIR *, NULL, opendir, (const char *path), (path), path)
OF_PATH('w', int, -1, mkdir, (const char *path, mode_t mode), (path, mode), path)
OF_PATH('w', int, -1, rename, (const char *from, const char *to), (from, to), to)
OF_PATH('w', int, -1, link, (const char *from, const char *to), (from, to), to)
OF_PATH('w', int, -1, symlink, (const char *from, const char *to), (from, to), to)
OF_PATH('d', int, -1, unlink, (const char *path), (path), path)
OF_PATH('d', int, -1, rmdir, (const char *path), (path), path)
OF_PATH('d', int, -1, chmod, (const char *path, mode_t mode), (path, mode), path)

#define OF_FILE(kind, type, name, parameters, given, half, size)                                   \
    VISIBLE type name parameters {                                                                 \
        return file_fails(kind, #name, handle, half, size) ? (type)-1 : REAL(name) given;          \
    }
OF_FILE('r', ssize_t, read, (int handle, void *data, size_t size), (handle, data, size), NULL, 0)
OF_FILE('w', ssize_t, write, (int handle, const void *data, size_t size), (handle, data, size),
        data, size)
OF_FILE('w', ssize_t, pwrite, (int handle, const void *data, size_t size, off_t at),
        (handle, data, size, at), NULL, 0)
OF_FILE('w', ssize_t, pwrite64, (int handle, const void *data, size_t size, off64_t at),
        (handle, data, size, at), NULL, 0)
OF_FILE('w', int, fsync, (int handle), (handle), NULL, 0)
OF_FILE('w', int, ftruncate, (int handle, off_t size), (handle, size), NULL, 0)
OF_FILE('w', int, ftruncate64, (int handle, off64_t size), (handle, size), NULL, 0)
OF_FILE('d', int, fchmod, (int handle, mode_t mode), (handle, mode), NULL, 0)

VISIBLE int close(int handle) {
    int failed = file_fails('c', "close", handle, NULL, 0), error = errno;
    int closed = REAL(close)(handle);
    if (failed)
        errno = error;
    return failed ? -1 : closed;
}

/* --- clocks ---------------------------------------------------------------------------------- */

enum { CLOCKS = 16 };
static struct {
    int frozen;
    double step_s;
    struct timespec at;
} clocks[CLOCKS];

/* Let a clock stand still from now on, or step by seconds and go on; 0 and 0 put it right. */
VISIBLE void set_clock(int clock, int frozen, double step_s) {
    clocks[clock].frozen = 0;
    clocks[clock].step_s = step_s;
    clock_gettime(clock, &clocks[clock].at);
    clocks[clock].frozen = frozen;
}

VISIBLE int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock < 0 || clock >= CLOCKS)
        return REAL(clock_gettime)(clock, now);
    if (clocks[clock].frozen) {
        *now = clocks[clock].at;
        return 0;
    }
    int failed = REAL(clock_gettime)(clock, now);
    double step_s = clocks[clock].step_s;
    if (!failed && step_s != 0) {
        long long ns = now->tv_sec * 1000000000LL + now->tv_nsec + (long long)(step_s * 1e9);
        now->tv_sec = ns / 1000000000LL;
        now->tv_nsec = ns % 1000000000LL;
    }
    return failed;
}
