/* uname(2) as an arm64 DGX Spark would answer, for programs in a simulated desk.
 *
 * Preloaded through /etc/ld.so.preload. Only what uname prints changes: the machine code is this computer's, and
 * dpkg says so. Release and version are read from /proc/sys/kernel, where a desk mounts its own kernel's over them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_line(const char *path, char *field, size_t size)
{
    char text[sizeof(((struct utsname *)0)->version)];
    int saved = errno;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        long got = syscall(SYS_read, file, text, sizeof text - 1);
        syscall(SYS_close, file);
        if (got > 1 && (size_t)got < size) {
            text[got] = '\0';
            text[strcspn(text, "\n")] = '\0';
            memcpy(field, text, strlen(text) + 1);
        }
    }
    errno = saved;
}

/* systemd's own programs stop when they meet a machine they were not compiled for; their shared library has this name. */
extern int uname_architecture(void) __attribute__((weak));

int uname(struct utsname *name)
{
    int result = (int)syscall(SYS_uname, name);
    if (result == 0) {
        if (!uname_architecture)
            memcpy(name->machine, "aarch64", sizeof "aarch64");
        read_line("/proc/sys/kernel/osrelease", name->release, sizeof name->release);
        read_line("/proc/sys/kernel/version", name->version, sizeof name->version);
    }
    return result;
}
