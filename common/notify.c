/*
 * notify.c: see notify.h.
 */
#include "common/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_say(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t size = path != NULL ? strlen(path) : 0;

    if (size < 2 || size >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, path, size);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* a name of the kernel's, in no folder */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    socklen_t to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, to_size);
    (void)sent; /* who does not listen is not told */
    close(fd);
}

/* Half of the watchdog's time; 0: there is none for us. */
static int64_t watchdog_ms(void)
{
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (time == NULL || (pid != NULL && strtoimax(pid, NULL, 10) != getpid())) {
        return 0;
    }
    int64_t us = strtoimax(time, NULL, 10);
    return us > 0 ? MAX(us / 2000, 1) : 0;
}

void notify_alive(int64_t now_ms)
{
    static int64_t every_ms = -1, due_ms;

    if (every_ms < 0) {
        every_ms = watchdog_ms();
    }
    if (every_ms > 0 && now_ms >= due_ms) {
        due_ms = now_ms + every_ms;
        notify_say("WATCHDOG=1");
    }
}
