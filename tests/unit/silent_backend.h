/*
 * silent_backend.h: a backend for hooks that takes connections and says nothing.
 */
#ifndef WARREN_TESTS_UNIT_SILENT_BACKEND_H
#define WARREN_TESTS_UNIT_SILENT_BACKEND_H

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static char url[64];
static int backend;

/* For the group of tests: it is there, at `url`. */
static int backend_begin(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    (void)state;

    backend = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (backend < 0 || bind(backend, (struct sockaddr *)&a, size) != 0 ||
        listen(backend, 16) != 0 || getsockname(backend, (struct sockaddr *)&a, &size) != 0) {
        return -1;
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(a.sin_port));
    return 0;
}

static int backend_end(void **state)
{
    (void)state;
    return close(backend);
}

#endif
