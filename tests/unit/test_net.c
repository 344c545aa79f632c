/* test_net.c: addresses and sockets, on loopback. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/net.h"

static void good_addresses_come_back_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080"},
        {"0.0.0.0:0", "0.0.0.0"},
        {"*:8080", "0.0.0.0:8080"},
        {":65535", "0.0.0.0:65535"},
        {"[::1]:8080", "[::1]:8080"},
        {"[::]:1", "[::]:1"},
        {"[2001:db8::ff00:42:8329]:443", "[2001:db8::ff00:42:8329]:443"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_addr a;
        char text[NET_TEXT_MAX];
        assert_int_equal(net_parse(&a, cases[i].text), 0);
        assert_string_equal(net_text(&a, text), cases[i].want);
    }
}

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ":",
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:80a",
        "127.0.0.1:-1",
        "127.0.0.1: 80",
        "127.0.0.1:+80",
        "127.0.0.1 :80",
        "127.0.0.256:80",
        "127.1:80",
        "localhost:80",
        "::1:80",
        "[::1]",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1]80",
        "[::1] :80",
        "[::1%lo]:80",
        "[fe80:fe80:fe80:fe80:fe80:fe80:fe80:fe80:fe80:fe80:fe80]:80",
        "**:80",
        "[*]:80",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_addr a;
        assert_int_equal(net_parse(&a, cases[i]), -1);
    }
}

static void an_address_of_nobody_has_a_text_too(void **state)
{
    (void)state;
    struct net_addr a = {0};
    char text[NET_TEXT_MAX];
    assert_string_equal(net_text(&a, text), "unknown");
}

/* Listens on a free port, which goes into `a`. */
static int listen_somewhere(struct net_addr *a, bool shared)
{
    assert_int_equal(net_parse(a, "127.0.0.1:0"), 0);
    int fd = net_listen(a, shared);
    assert_true(fd >= 0);
    a->size = sizeof(a->ss);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a->ss, &a->size), 0);
    return fd;
}

static void assert_no_wait_no_leak(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void a_connection_is_accepted_without_blocking_and_with_its_peer(void **state)
{
    (void)state;
    struct net_addr address, peer, ours;
    int listener = listen_somewhere(&address, false);
    char a[NET_TEXT_MAX], b[NET_TEXT_MAX];

    assert_no_wait_no_leak(listener);
    assert_int_equal(net_accept(listener, &peer), -EAGAIN);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address.ss, address.size), 0);
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
    int fd = net_accept(listener, &peer);
    assert_true(fd >= 0);
    assert_no_wait_no_leak(fd);

    int on = 0;
    socklen_t size = sizeof(on);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    assert_int_not_equal(on, 0);
    ours.size = sizeof(ours.ss);
    assert_int_equal(getsockname(client, (struct sockaddr *)&ours.ss, &ours.size), 0);
    assert_string_equal(net_text(&peer, a), net_text(&ours, b));
    close(fd);
    close(client);
    close(listener);
}

/* Both ends of a connection. */
static void connect_both(int ends[2])
{
    struct net_addr address, peer;
    int listener = listen_somewhere(&address, false);

    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], (struct sockaddr *)&address.ss, address.size), 0);
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
    ends[1] = net_accept(listener, &peer);
    assert_true(ends[1] >= 0);
    close(listener);
}

static void closing_resets_when_it_was_asked_to(void **state)
{
    (void)state;
    char byte;

    for (int resets = 0; resets < 2; resets++) {
        int ends[2];

        connect_both(ends);
        if (resets) {
            net_close_resets(ends[1]);
        }
        close(ends[1]);
        assert_int_equal(recv(ends[0], &byte, 1, 0), resets ? -1 : 0); /* it blocks */
        assert_true(!resets || errno == ECONNRESET);
        close(ends[0]);
    }
    net_close_resets(-1); /* of what is no socket nothing is said */
}

static void a_port_is_taken_once_unless_it_is_shared(void **state)
{
    (void)state;
    struct net_addr address;

    int alone = listen_somewhere(&address, false);
    assert_int_equal(net_listen(&address, false), -EADDRINUSE);
    close(alone);

    int first = listen_somewhere(&address, true);
    int second = net_listen(&address, true);
    assert_true(second >= 0);
    assert_int_equal(net_listen(&address, false), -EADDRINUSE);
    close(first);
    close(second);
}

static void an_address_of_another_host_cannot_be_listened_on(void **state)
{
    (void)state;
    struct net_addr address;
    assert_int_equal(net_parse(&address, "192.0.2.1:0"), 0);
    assert_int_equal(net_listen(&address, false), -EADDRNOTAVAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_come_back_as_text),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(an_address_of_nobody_has_a_text_too),
        cmocka_unit_test(a_connection_is_accepted_without_blocking_and_with_its_peer),
        cmocka_unit_test(closing_resets_when_it_was_asked_to),
        cmocka_unit_test(a_port_is_taken_once_unless_it_is_shared),
        cmocka_unit_test(an_address_of_another_host_cannot_be_listened_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
