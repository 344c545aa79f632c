/*
 * net.c: numeric addresses and TCP sockets that never block.
 */
#include "common/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

/* Decimal digits only, 0..65535. -1 otherwise. */
static int parse_port(const char *text)
{
    int port = 0;

    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        port = port * 10 + (*text - '0');
        if (port > UINT16_MAX) {
            return -1;
        }
    }
    return port;
}

static int parse_v6(struct net_addr *a, const char *host, uint16_t port)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET6, host, &in.sin6_addr) != 1) {
        return -1;
    }
    memcpy(&a->ss, &in, sizeof(in));
    a->size = sizeof(in);
    return 0;
}

static int parse_v4(struct net_addr *a, const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (*host == '\0' || strcmp(host, "*") == 0) {
        in.sin_addr.s_addr = htonl(INADDR_ANY);
    } else if (inet_pton(AF_INET, host, &in.sin_addr) != 1) {
        return -1;
    }
    memcpy(&a->ss, &in, sizeof(in));
    a->size = sizeof(in);
    return 0;
}

int net_parse(struct net_addr *a, const char *text)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    bool is_v6 = text[0] == '[';

    *a = (struct net_addr){0};
    if (colon == NULL) {
        return -1;
    }
    int port = parse_port(colon + 1);
    size_t size = (size_t)(colon - text);
    if (is_v6) {
        if (size < 2 || text[size - 1] != ']') {
            return -1;
        }
        text++;
        size -= 2;
    }
    if (port < 0 || size >= sizeof(host)) {
        return -1;
    }
    memcpy(host, text, size);
    host[size] = '\0';
    return is_v6 ? parse_v6(a, host, (uint16_t)port) : parse_v4(a, host, (uint16_t)port);
}

int net_parse_ip(struct net_addr *a, const char *text)
{
    *a = (struct net_addr){0};
    if (strchr(text, ':') != NULL) {
        return parse_v6(a, text, 0);
    }
    return text[0] >= '0' && text[0] <= '9' ? parse_v4(a, text, 0) : -1;
}

bool net_ip(const struct net_addr *a, uint8_t ip[NET_IP_SIZE])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(ip, 0, NET_IP_SIZE);
    if (a->ss.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &a->ss, sizeof(in));
        memcpy(ip, &in.sin6_addr, NET_IP_SIZE);
        return true;
    }
    if (a->ss.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->ss, sizeof(in));
        memcpy(ip, mapped, sizeof(mapped));
        memcpy(ip + sizeof(mapped), &in.sin_addr, sizeof(in.sin_addr));
        return true;
    }
    return false;
}

void net_from_ip(struct net_addr *a, bool is_v6, const uint8_t *ip, uint16_t port)
{
    *a = (struct net_addr){0};
    if (is_v6) {
        struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&in.sin6_addr, ip, sizeof(in.sin6_addr));
        memcpy(&a->ss, &in, sizeof(in));
        a->size = sizeof(in);
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, ip, sizeof(in.sin_addr));
        memcpy(&a->ss, &in, sizeof(in));
        a->size = sizeof(in);
    }
}

int net_listen(const struct net_addr *a, bool shared)
{
    int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
        bind(fd, (const struct sockaddr *)&a->ss, a->size) < 0 || listen(fd, NET_BACKLOG) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

void net_defer_accept(int listener, int64_t ms)
{
    int seconds = (int)((ms + 999) / 1000);
    int r = setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
    (void)r; /* all connections are accepted at once then */
}

void net_limit_silence(int fd, int64_t ms)
{
    unsigned limit = (unsigned)ms;
    int r = setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
    (void)r; /* no TCP, then; or the peer is gone, which shows at the first read */
}

void net_close_resets(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    int r = setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    (void)r; /* no socket, or one that is gone: there is nothing to reset */
}

int net_accept(int listener, struct net_addr *peer)
{
    int fd;

    do {
        peer->size = sizeof(peer->ss);
        fd = accept4(listener, (struct sockaddr *)&peer->ss, &peer->size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return -errno;
    }
    const int on = 1;
    int r = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)r; /* only a matter of speed; a peer that is gone already shows at the first read */
    return fd;
}

static void put_text(char text[NET_TEXT_MAX], const char *before, const char *host,
                     const char *after, unsigned port)
{
    if (port == 0) {
        snprintf(text, NET_TEXT_MAX, "%s%s%s", before, host, after);
    } else {
        snprintf(text, NET_TEXT_MAX, "%s%s%s:%u", before, host, after, port);
    }
}

const char *net_text(const struct net_addr *a, char text[NET_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (a->ss.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &a->ss, sizeof(in));
        inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof(host));
        put_text(text, "[", host, "]", ntohs(in.sin6_port));
    } else if (a->ss.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->ss, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        put_text(text, "", host, "", ntohs(in.sin_port));
    } else {
        snprintf(text, NET_TEXT_MAX, "unknown");
    }
    return text;
}
