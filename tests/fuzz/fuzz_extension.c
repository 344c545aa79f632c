/*
 * fuzz_extension.c: values of Sec-WebSocket-Extensions: what is answered is within the rules, was
 * asked for, and would be accepted as an offer.
 */
#include "gateway/ws/deflate.h"
#include "gateway/ws/extension.h"
#include "tests/fuzz/fuzz.h"

#define NAME "Sec-WebSocket-Extensions"

static int choose(struct slice one, struct slice two, struct extension *chosen)
{
    static struct http_head h; /* it is large */

    h = (struct http_head){.field_count = 2};
    h.fields[0] = (struct http_field){SLICE_LIT(NAME), one};
    h.fields[1] = (struct http_field){SLICE_LIT(NAME), two};
    return extension_choose(&h, chosen);
}

static void check_answer(struct slice offers, const struct extension *chosen)
{
    struct buf answer = BUF_EMPTY;
    struct extension again;

    FUZZ_CHECK(chosen->window >= DEFLATE_WINDOW_MIN && chosen->window <= DEFLATE_WINDOW_MAX);
    FUZZ_CHECK(chosen->limits_window || chosen->window == DEFLATE_WINDOW_MAX);
    FUZZ_CHECK(memmem(offers.at, offers.size, "permessage-deflate", 18) != NULL);
    extension_add_answer(&answer, chosen);
    FUZZ_CHECK(answer.size > sizeof(NAME ": ") - 1);
    struct slice value = {answer.at + sizeof(NAME ": ") - 1, answer.size - sizeof(NAME ": ") + 1};
    FUZZ_CHECK(choose(value, SLICE_NONE, &again) == 0);
    FUZZ_CHECK(again.window == chosen->window && again.limits_window == chosen->limits_window);
    buf_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *copy = fuzz_copy(data, size);
    struct slice offers = slice_trim((struct slice){copy, size});
    struct extension chosen, other;
    int r = choose(offers, SLICE_NONE, &chosen);

    FUZZ_CHECK(r == 0 || (r == EXTENSION_MALFORMED && chosen.window == 0));
    if (chosen.window != 0) {
        check_answer(offers, &chosen);
    }
    FUZZ_CHECK(choose(SLICE_NONE, offers, &other) == r && other.window == chosen.window);
    fuzz_free(copy);
    return 0;
}
