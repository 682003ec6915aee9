/* The locked-memory limit as a DGX Spark tells it, for programs in a simulated desk.
 *
 * DGX OS lets users lock nearly all of the memory. A container's root often cannot raise that limit, so the file in which
 * the kernel tells it is shown with "unlimited" where the limit is the highest that this container can give; a lower one
 * (a fault that somebody set) is shown as it is. Only the telling changes: nothing here pins memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int is_limits_file(const char *path)
{
    const char *rest = path;
    if (!path || strncmp(path, "/proc/", 6) != 0)
        return 0;
    rest += 6;
    if (strncmp(rest, "self/", 5) == 0)
        rest += 4;
    else {
        size_t digits = strspn(rest, "0123456789");
        if (digits == 0)
            return 0;
        rest += digits;
    }
    return strcmp(rest, "/limits") == 0;
}

static long read_all(int file, char *text, size_t size)
{
    size_t done = 0;
    while (done < size - 1) {
        long got = syscall(SYS_read, file, text + done, size - 1 - done);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    text[done] = '\0';
    return (long)done;
}

/* Soft and hard limit as written in a limits file; 0 when the line is missing. */
static int locked_memory(const char *text, char soft[32], char hard[32])
{
    const char *line = strstr(text, "Max locked memory");
    return line && sscanf(line + strlen("Max locked memory"), "%31s %31s", soft, hard) == 2;
}

static int shown_limits(int file)
{
    char text[8192], first[8192], soft[32], hard[32], top_soft[32], top_hard[32];
    int copy, init = (int)syscall(SYS_openat, AT_FDCWD, "/proc/1/limits", O_RDONLY | O_CLOEXEC);
    if (init < 0)
        return file;
    read_all(init, first, sizeof first);
    syscall(SYS_close, init);
    if (read_all(file, text, sizeof text) <= 0 || !locked_memory(text, soft, hard) || !locked_memory(first, top_soft, top_hard)
        || strcmp(hard, top_hard) != 0 || strcmp(soft, hard) != 0) {
        syscall(SYS_lseek, file, 0, SEEK_SET);
        return file;
    }
    copy = (int)syscall(SYS_memfd_create, "limits", MFD_CLOEXEC);
    if (copy < 0) {
        syscall(SYS_lseek, file, 0, SEEK_SET);
        return file;
    }
    {
        char *line = strstr(text, "Max locked memory"), *end = strchr(line, '\n');
        dprintf(copy, "%.*s%-26s%-21s%-21s%-10s", (int)(line - text), text, "Max locked memory", "unlimited", "unlimited", "bytes");
        dprintf(copy, "%s", end ? end : "\n");
    }
    syscall(SYS_close, file);
    syscall(SYS_lseek, copy, 0, SEEK_SET);
    return copy;
}

static int opened(int folder, const char *path, int flags, mode_t mode)
{
    int saved, file = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (file < 0 || (flags & O_ACCMODE) != O_RDONLY || !is_limits_file(path))
        return file;
    saved = errno;
    file = shown_limits(file);
    errno = saved;
    return file;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE_OF(flags) return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE_OF(flags) return opened(folder, path, flags | O_LARGEFILE, mode); }
