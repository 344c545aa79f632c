/* file.c: see file.h. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_read(const char *path, size_t max, struct buf *out, const char **reason)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;

    if (fd < 0) {
        *reason = strerror(errno);
        return -1;
    }
    do {
        got = read(fd, buf_reserve(out, 4096), 4096);
        if (got > 0) {
            buf_grew(out, (size_t)got);
        }
    } while ((got > 0 && out->size <= max) || (got < 0 && errno == EINTR));
    *reason = NULL;
    if (got < 0) {
        *reason = strerror(errno);
    } else if (out->size > max) {
        *reason = "is too large";
    } else if (out->size > 0 && memchr(out->at, '\0', out->size) != NULL) {
        *reason = "has a NUL byte";
    }
    close(fd);
    return *reason == NULL ? 0 : -1;
}
