/*
 * fuzz_proxy.c: headers of the PROXY protocol: however the bytes arrive, the verdict and the client
 * are the same; no byte behind the header is asked for, and a header made of the client tells it.
 */
#include <errno.h>
#include <netinet/in.h>

#include "gateway/edge/proxy.h"
#include "tests/fuzz/fuzz.h"

struct verdict {
    int answer;
    size_t used; /* bytes */
    struct net_addr client;
};

/* As the gateway reads: no more bytes than are asked for; at once with SIZE_MAX, one by one with
 * 0, else in parts at random. */
static struct verdict feed(const uint8_t *at, size_t size, uint64_t cuts)
{
    struct verdict v = {.used = 0};
    size_t need;

    v.answer = proxy_read(at, 0, &need, &v.client);
    while (v.answer == PROXY_MORE && v.used < size) {
        FUZZ_CHECK(need > v.used && need <= PROXY_HEADER_MAX);
        size_t left = MIN(need, size) - v.used;
        v.used += cuts == 0 ? 1 : cuts == SIZE_MAX ? left : fuzz_part(&cuts, left);
        const char *copy = fuzz_copy(at, v.used);
        v.answer = proxy_read((const uint8_t *)copy, v.used, &need, &v.client);
        fuzz_free(copy);
    }
    return v;
}

static void check_same(const struct net_addr *a, const struct net_addr *b)
{
    char text[2][NET_TEXT_MAX];

    FUZZ_CHECK(strcmp(net_text(a, text[0]), net_text(b, text[1])) == 0);
}

/* The shortest header that tells the client. */
static void check_again(const struct net_addr *client)
{
    static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";
    bool is_v6 = client->ss.ss_family == AF_INET6;
    uint8_t header[PROXY_FIXED + 36] = {0}, ip[NET_IP_SIZE], *port = header + PROXY_FIXED;
    size_t size = PROXY_FIXED + (is_v6 ? 36 : 12);

    FUZZ_CHECK(net_ip(client, ip));
    memcpy(header, signature, sizeof(signature));
    header[12] = 0x21;
    header[13] = is_v6 ? 0x21 : 0x11;
    header[15] = (uint8_t)(size - PROXY_FIXED);
    if (is_v6) {
        memcpy(port, ip, NET_IP_SIZE);
        memcpy(port + 32, &((const struct sockaddr_in6 *)(const void *)&client->ss)->sin6_port, 2);
    } else {
        memcpy(port, ip + NET_IP_SIZE - 4, 4);
        memcpy(port + 8, &((const struct sockaddr_in *)(const void *)&client->ss)->sin_port, 2);
    }
    struct verdict v = feed(header, size, SIZE_MAX);
    FUZZ_CHECK(v.answer == PROXY_CLIENT && v.used == size);
    check_same(client, &v.client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t seed = fuzz_seed(data, size);
    const uint64_t cuts[] = {seed, 0};
    struct verdict whole = feed(data, size, SIZE_MAX);
    bool is_good = whole.answer == PROXY_CLIENT || whole.answer == PROXY_LOCAL;

    FUZZ_CHECK(is_good || whole.answer == PROXY_MORE || whole.answer == -EPROTO);
    FUZZ_CHECK(!is_good || whole.used >= PROXY_FIXED);
    FUZZ_CHECK(whole.answer != PROXY_MORE || whole.used == size);
    for (struct fuzz_ways cut = fuzz_ways(&seed, ARRAY_LEN(cuts)); cut.is < cut.end; cut.is++) {
        struct verdict parts = feed(data, size, cuts[cut.is]);

        FUZZ_CHECK(parts.answer == whole.answer);
        FUZZ_CHECK(whole.answer == -EPROTO ? parts.used <= whole.used : parts.used == whole.used);
        if (whole.answer == PROXY_CLIENT) {
            check_same(&whole.client, &parts.client);
        }
    }
    if (whole.answer == PROXY_CLIENT) {
        check_again(&whole.client);
    }
    return 0;
}
