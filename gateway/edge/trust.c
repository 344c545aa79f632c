/*
 * trust.c: see trust.h.
 */
#include "gateway/edge/trust.h"

#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#include "common/log.h"
#include "common/mem.h"

#define NETWORKS_MAX 64
#define ENTRY_SIZE 64 /* bytes that hold any address with its mask or port */

struct network {
    uint8_t ip[NET_IP_SIZE];
    unsigned bits;
};

struct trust {
    struct network networks[NETWORKS_MAX];
    size_t count;
};

static bool is_in(const struct network *n, const uint8_t ip[NET_IP_SIZE])
{
    unsigned bytes = n->bits / 8, rest = n->bits % 8;

    return memcmp(n->ip, ip, bytes) == 0 &&
           (rest == 0 || (n->ip[bytes] ^ ip[bytes]) >> (8 - rest) == 0);
}

/* 1 to 3 digits, at most `max`. -1 otherwise. */
static int parse_bits(const char *text, int max)
{
    int bits = 0;
    size_t size = strlen(text);

    if (size == 0 || size > 3 || strspn(text, "0123456789") != size) {
        return -1;
    }
    for (; *text != '\0'; text++) {
        bits = bits * 10 + (*text - '0');
    }
    return bits <= max ? bits : -1;
}

static bool parse_network(struct network *n, struct slice text)
{
    char entry[ENTRY_SIZE];
    struct net_addr a;

    if (text.size >= sizeof(entry)) {
        return false;
    }
    memcpy(entry, text.at, text.size);
    entry[text.size] = '\0';
    char *slash = strchr(entry, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (net_parse_ip(&a, entry) != 0 || !net_ip(&a, n->ip)) {
        return false;
    }
    int width = a.ss.ss_family == AF_INET6 ? 128 : 32;
    int bits = slash != NULL ? parse_bits(slash + 1, width) : width;
    n->bits = (unsigned)(bits + 128 - width);
    return bits >= 0;
}

struct trust *trust_new(const char *list, char *error, size_t size)
{
    static const char separators[] = " ,\t";
    struct trust *t = mem_new(struct trust);

    for (const char *at = list + strspn(list, separators); *at != '\0';
         at += strspn(at, separators)) {
        struct slice entry = {at, strcspn(at, separators)};

        at += entry.size;
        if (t->count == NETWORKS_MAX) {
            (void)snprintf(error, size, "[gateway] trusted: more than %d networks", NETWORKS_MAX);
            return trust_free(t);
        }
        if (!parse_network(&t->networks[t->count++], entry)) {
            (void)snprintf(error, size,
                           "[gateway] trusted: %s is no address or network (10.0.0.0/8)",
                           log_quote(entry.at, entry.size));
            return trust_free(t);
        }
    }
    return t;
}

struct trust *trust_free(struct trust *t)
{
    mem_free(t);
    return NULL;
}

bool trust_has(const struct trust *t, const struct net_addr *a)
{
    uint8_t ip[NET_IP_SIZE];

    if (!net_ip(a, ip)) {
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (is_in(&t->networks[i], ip)) {
            return true;
        }
    }
    return false;
}

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80". */
static bool parse_hop(struct net_addr *a, struct slice text)
{
    char hop[ENTRY_SIZE];

    text = slice_trim(text);
    if (text.size == 0 || text.size >= sizeof(hop) || memchr(text.at, '\0', text.size) != NULL) {
        return false;
    }
    memcpy(hop, text.at, text.size);
    hop[text.size] = '\0';
    const char *colon = strchr(hop, ':');
    if (hop[0] == '[' && hop[text.size - 1] == ']') {
        hop[text.size - 1] = '\0';
        return strchr(hop, ':') != NULL && net_parse_ip(a, hop + 1) == 0;
    }
    if (hop[0] == '[' || (colon != NULL && strchr(colon + 1, ':') == NULL)) {
        uint8_t ip[NET_IP_SIZE];
        bool is_good = hop[0] != ':' && hop[0] != '*' && net_parse(a, hop) == 0 && net_ip(a, ip);
        bool is_v6 = a->ss.ss_family == AF_INET6;
        if (is_good) {
            net_from_ip(a, is_v6, is_v6 ? ip : ip + NET_IP_SIZE - 4, 0);
        }
        return is_good;
    }
    return net_parse_ip(a, hop) == 0;
}

/* From the right; false when the search is over. */
static bool walk_field(const struct trust *t, struct slice list, struct net_addr *client, bool *any)
{
    for (;;) {
        const char *comma = list.size > 0 ? memrchr(list.at, ',', list.size) : NULL;
        size_t start = comma != NULL ? (size_t)(comma + 1 - list.at) : 0;
        struct net_addr hop;

        if (!parse_hop(&hop, (struct slice){list.at + start, list.size - start})) {
            return false;
        }
        *client = hop;
        *any = true;
        if (!trust_has(t, &hop)) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        list.size = start - 1;
    }
}

bool trust_forwarded(const struct trust *t, const struct http_head *h, struct net_addr *client)
{
    static const char name[] = "X-Forwarded-For";
    bool any = false;

    for (size_t i = h->field_count; i-- > 0;) {
        const struct http_field *f = &h->fields[i];

        if (f->name.size == sizeof(name) - 1 &&
            strncasecmp(f->name.at, name, sizeof(name) - 1) == 0 &&
            !walk_field(t, f->value, client, &any)) {
            break;
        }
    }
    return any;
}
