/* What a process asks of its disk, written down: to be loaded with LD_PRELOAD.

   Of each file directly in the folder POWER_LOSS_FOLDER, every change and every sync is appended
   to the file POWER_LOSS_LOG: a header, a name, data. Syncs are written down, and not done: what
   they promise is decided when the log is replayed. A sync has two lines, because only what was
   written before it began is safe when it ends. Anything may happen in between.

   Not seen are changes through a memory map, and duplicates of file descriptors. A test compares
   the replayed files with the real ones, so what was missed is found.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FILES 4096
#define SYNC_MICROSECONDS 300 /* so that others join a commit, as on a disk */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FILE_MODE (flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0)

struct header {
    uint64_t inode, offset, name_length, data_length;
    char kind; /* of C: created, O: opened, W: written, T: truncated, B: a sync begins, S: it ends,
                  U: unlinked, R: renamed, with the new name as data */
    char padding[7];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int log_fd = -1;
static uint64_t inodes[MOST_FILES]; /* of watched file descriptors; 0 for others */
static uint64_t syncs;

__attribute__((constructor)) static void begin(void)
{
    folder = getenv("POWER_LOSS_FOLDER");
    const char *path = getenv("POWER_LOSS_LOG");
    if (folder && path)
        log_fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The name in the folder; "" for the folder itself; NULL for what is not watched. */
static const char *watched_name(const char *path)
{
    size_t length = folder ? strlen(folder) : 0;
    if (log_fd < 0 || !path || strncmp(path, folder, length) != 0)
        return NULL;
    if (path[length] == 0)
        return "";
    if (path[length] != '/' || strchr(path + length + 1, '/'))
        return NULL;
    const char *dash = strrchr(path, '-'); /* the shared memory is no content of the database */
    return dash && strcmp(dash, "-shm") == 0 ? NULL : path + length + 1;
}

static uint64_t watched_fd(int fd)
{
    return fd >= 0 && fd < MOST_FILES ? inodes[fd] : 0;
}

static void put(const void *bytes, size_t length)
{
    for (const char *next = bytes; length > 0;) {
        ssize_t written = syscall(SYS_write, log_fd, next, length);
        if (written <= 0)
            abort();
        next += written, length -= written;
    }
}

/* With the mutex held. */
static void note(char kind, uint64_t inode, uint64_t offset, const char *name, const void *data,
                 size_t length)
{
    struct header header = {inode, offset, strlen(name), length, kind, {0}};
    put(&header, sizeof header);
    put(name, header.name_length);
    put(data, length);
}

static int opened(int at, const char *path, int flags, mode_t mode)
{
    const char *name = watched_name(path);
    if (!name)
        return syscall(SYS_openat, at, path, flags, mode);
    struct stat status;
    pthread_mutex_lock(&mutex);
    int is_new = lstat(path, &status) != 0;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < MOST_FILES && fstat(fd, &status) == 0) {
        inodes[fd] = status.st_ino;
        note(is_new ? 'C' : 'O', status.st_ino, 0, name, "", 0);
        if (flags & O_TRUNC)
            note('T', status.st_ino, 0, "", "", 0);
    }
    pthread_mutex_unlock(&mutex);
    return fd;
}

#define OPEN(name)                                  \
    int name(const char *path, int flags, ...)      \
    {                                               \
        va_list arguments;                          \
        va_start(arguments, flags);                 \
        mode_t mode = FILE_MODE;                    \
        va_end(arguments);                          \
        return opened(AT_FDCWD, path, flags, mode); \
    }
#define OPEN_AT(name)                                  \
    int name(int at, const char *path, int flags, ...) \
    {                                                  \
        va_list arguments;                             \
        va_start(arguments, flags);                    \
        mode_t mode = FILE_MODE;                       \
        va_end(arguments);                             \
        return opened(at, path, flags, mode);          \
    }
OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)

int close(int fd)
{
    if (watched_fd(fd))
        inodes[fd] = 0;
    return syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *data, size_t length)
{
    uint64_t inode = watched_fd(fd);
    if (!inode)
        return REAL(write)(fd, data, length);
    pthread_mutex_lock(&mutex);
    ssize_t written = syscall(SYS_write, fd, data, length);
    if (written > 0)
        note('W', inode, lseek(fd, 0, SEEK_CUR) - written, "", data, written);
    pthread_mutex_unlock(&mutex);
    return written;
}

static ssize_t written_at(int fd, const void *data, size_t length, off_t offset)
{
    uint64_t inode = watched_fd(fd);
    if (!inode)
        return syscall(SYS_pwrite64, fd, data, length, offset);
    pthread_mutex_lock(&mutex);
    ssize_t written = syscall(SYS_pwrite64, fd, data, length, offset);
    if (written > 0)
        note('W', inode, offset, "", data, written);
    pthread_mutex_unlock(&mutex);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    return written_at(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    return written_at(fd, data, length, offset);
}

static int truncated(int fd, off_t length)
{
    uint64_t inode = watched_fd(fd);
    pthread_mutex_lock(&mutex);
    int failed = syscall(SYS_ftruncate, fd, length);
    if (!failed && inode)
        note('T', inode, length, "", "", 0);
    pthread_mutex_unlock(&mutex);
    return failed;
}

int ftruncate(int fd, off_t length)
{
    return truncated(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return truncated(fd, length);
}

static int synced(int fd, long number)
{
    uint64_t inode = watched_fd(fd);
    if (!inode)
        return syscall(number, fd);
    pthread_mutex_lock(&mutex);
    uint64_t sync = ++syncs;
    note('B', inode, sync, "", "", 0);
    pthread_mutex_unlock(&mutex);
    usleep(SYNC_MICROSECONDS);
    pthread_mutex_lock(&mutex);
    note('S', inode, sync, "", "", 0);
    pthread_mutex_unlock(&mutex);
    return 0;
}

int fsync(int fd)
{
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, SYS_fdatasync);
}

int unlink(const char *path)
{
    const char *name = watched_name(path);
    pthread_mutex_lock(&mutex);
    int failed = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!failed && name)
        note('U', 0, 0, name, "", 0);
    pthread_mutex_unlock(&mutex);
    return failed;
}

int rename(const char *from, const char *to)
{
    const char *name = watched_name(from), *new_name = watched_name(to);
    pthread_mutex_lock(&mutex);
    int failed = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (!failed && name && new_name)
        note('R', 0, 0, name, new_name, strlen(new_name));
    pthread_mutex_unlock(&mutex);
    return failed;
}
