/*
 * fuzz_trust.c: whom trusted balancers speak for: fields say the same when they are joined to one,
 * and a client that was found is found again when it is told once more.
 *
 * The input is lines: the list of those who are trusted, then a value of X-Forwarded-For in each.
 */
#include "gateway/edge/trust.h"
#include "tests/fuzz/fuzz.h"

#define LIST_MAX 2000 /* bytes */

static void add_field(struct http_head *h, struct slice value)
{
    h->fields[h->field_count++] = (struct http_field){SLICE_LIT("X-Forwarded-For"), value};
}

static void check_same(const struct trust *t, const struct http_head *h, bool is_found,
                       const char *want)
{
    char text[NET_TEXT_MAX];
    struct net_addr client;

    FUZZ_CHECK(trust_forwarded(t, h, &client) == is_found);
    FUZZ_CHECK(!is_found || strcmp(net_text(&client, text), want) == 0);
}

/* The fields as one (RFC 9110 5.3). */
static void check_joined(const struct trust *t, const struct http_head *h, bool is_found,
                         const char *want)
{
    static struct http_head joined;
    static struct buf all;

    buf_clear(&all);
    for (size_t i = 0; i < h->field_count; i++) {
        if (i > 0) {
            buf_add_lit(&all, " , ");
        }
        buf_add_slice(&all, h->fields[i].value);
    }
    const char *copy = fuzz_copy(all.at, all.size);
    joined.field_count = 0;
    add_field(&joined, (struct slice){copy, all.size});
    check_same(t, &joined, is_found, want);
    fuzz_free(copy);
}

static void check_forwarded(const struct trust *t, struct http_head *h)
{
    struct net_addr client;
    char text[NET_TEXT_MAX] = "";
    uint8_t ip[NET_IP_SIZE];
    bool is_found = trust_forwarded(t, h, &client);

    if (is_found) {
        FUZZ_CHECK(net_ip(&client, ip));
        (void)net_text(&client, text);
    }
    if (h->field_count > 0) {
        check_joined(t, h, is_found, text);
    }
    if (is_found && h->field_count < HTTP_FIELDS_MAX) {
        add_field(h, slice_of(text));
        check_same(t, h, true, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h; /* it is large */
    struct slice rest = {(const char *)data, size};
    struct slice line = fuzz_take_line(&rest);
    char list[LIST_MAX + 1], error[200] = "";
    size_t list_size = MIN(line.size, (size_t)LIST_MAX);

    if (list_size > 0) {
        memcpy(list, line.at, list_size);
    }
    list[list_size] = '\0';
    struct trust *t = trust_new(list, error, sizeof(error));
    FUZZ_CHECK((t == NULL) == (error[0] != '\0'));
    if (t == NULL) {
        return 0;
    }
    h.field_count = 0;
    while (rest.size > 0 && h.field_count < HTTP_FIELDS_MAX) {
        add_field(&h, slice_trim(fuzz_take_line(&rest)));
    }
    check_forwarded(t, &h);
    trust_free(t);
    return 0;
}
