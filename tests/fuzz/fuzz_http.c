/*
 * fuzz_http.c: a request head: however it is cut, the verdict and what was read are the same.
 */
#include "common/http.h"
#include "tests/fuzz/fuzz.h"

#define BYTEWISE_MAX 2048 /* bytes: longer ones are cut at random only, which is faster */

/* Feeds the head in parts: 0 for one byte at a time, SIZE_MAX for all at once, else at random. */
static int feed(struct http_head *h, const char *at, size_t size, uint64_t cuts)
{
    int answer = HTTP_MORE;

    http_head_init(h);
    while (size > 0 && answer == HTTP_MORE) {
        size_t part = cuts == 0 ? 1 : cuts == SIZE_MAX ? size : fuzz_part(&cuts, size);
        const char one = *at, *copy = part == 1 ? &one : fuzz_copy(at, part);

        answer = http_head_feed(h, copy, part);
        if (copy != &one) {
            fuzz_free(copy);
        }
        at += part;
        size -= part;
    }
    return answer;
}

static void check_fields(const struct http_head *h)
{
    static const char *const names[] = {"Host", "Upgrade", "Connection", "Cookie",
                                        "Sec-WebSocket-Protocol"};
    const struct slice whole = {h->bytes.at, h->head_size};

    FUZZ_CHECK(h->head_size <= h->bytes.size && h->head_size <= HTTP_HEAD_MAX);
    FUZZ_CHECK(h->field_count <= HTTP_FIELDS_MAX);
    FUZZ_CHECK(fuzz_within(h->method, whole) && fuzz_within(h->target, whole));
    FUZZ_CHECK(fuzz_within(h->path, h->target) && fuzz_within(h->query, h->target));
    for (size_t i = 0; i < h->field_count; i++) {
        FUZZ_CHECK(fuzz_within(h->fields[i].name, whole));
        FUZZ_CHECK(fuzz_within(h->fields[i].value, whole));
        FUZZ_CHECK(h->fields[i].name.size > 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool is_repeated = false;
        const struct slice *value = http_find(h, names[i], &is_repeated);

        FUZZ_CHECK(value != NULL || !is_repeated);
        FUZZ_CHECK(value != NULL || !http_has_token(h, names[i], "websocket"));
    }
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
    FUZZ_CHECK(slice_equal(a->method, b->method) && slice_equal(a->target, b->target));
    FUZZ_CHECK(slice_equal(a->path, b->path) && slice_equal(a->query, b->query));
    FUZZ_CHECK(a->is_http_1_1 == b->is_http_1_1 && a->head_size == b->head_size);
    FUZZ_CHECK(a->field_count == b->field_count);
    for (size_t i = 0; i < a->field_count; i++) {
        FUZZ_CHECK(slice_equal(a->fields[i].name, b->fields[i].name));
        FUZZ_CHECK(slice_equal(a->fields[i].value, b->fields[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head whole, parts; /* they are large */
    uint64_t seed = fuzz_seed(data, size);
    const uint64_t cuts[] = {seed, size > BYTEWISE_MAX ? seed / 2 | 1 : 0};
    int want = feed(&whole, (const char *)data, size, SIZE_MAX);

    FUZZ_CHECK(want == HTTP_MORE || want == HTTP_DONE ||
               (http_reason(want) != NULL && want >= 400 && want < 600));
    if (want == HTTP_DONE) {
        check_fields(&whole);
    }
    for (struct fuzz_ways cut = fuzz_ways(&seed, ARRAY_LEN(cuts)); cut.is < cut.end; cut.is++) {
        FUZZ_CHECK(feed(&parts, (const char *)data, size, cuts[cut.is]) == want);
        if (want == HTTP_DONE) {
            check_same(&whole, &parts);
        }
        http_head_deinit(&parts);
    }
    http_head_deinit(&whole);
    return 0;
}
