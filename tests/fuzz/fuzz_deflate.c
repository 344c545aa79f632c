/*
 * fuzz_deflate.c: compressed payloads: no more comes out than is allowed, nothing depends on what
 * was inflated before, and what we deflate is inflated to the same.
 */
#include "gateway/ws/deflate.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGE_MAX 5000

static struct deflate *deflate;

/* The payload as a client's; what comes out is deflated and inflated again. */
static void check_payload(struct slice payload)
{
    struct slice message = SLICE_NONE, again = SLICE_NONE;
    int r = deflate_unpack(deflate, payload, MESSAGE_MAX, &message);

    if (r != 0) {
        FUZZ_CHECK(r == DEFLATE_BROKEN || r == DEFLATE_TOO_BIG);
        FUZZ_CHECK(deflate_unpack(deflate, payload, MESSAGE_MAX, &again) == r);
        return;
    }
    FUZZ_CHECK(message.size <= MESSAGE_MAX);
    char *copy = fuzz_copy(message.at, message.size);
    struct slice first = {copy, message.size};

    FUZZ_CHECK(deflate_unpack(deflate, payload, first.size, &again) == 0);
    FUZZ_CHECK(slice_equal(again, first));
    if (first.size > 0) {
        FUZZ_CHECK(deflate_unpack(deflate, payload, first.size - 1, &again) == DEFLATE_TOO_BIG);
        struct slice packed = deflate_pack(deflate, first, DEFLATE_WINDOW_MAX);
        FUZZ_CHECK(deflate_unpack(deflate, packed, MESSAGE_MAX, &again) == 0);
        FUZZ_CHECK(slice_equal(again, first));
    }
    free(copy);
}

/* The input as a message of ours. */
static void check_message(struct slice message, unsigned window)
{
    struct slice again = SLICE_NONE;
    struct slice packed = deflate_pack(deflate, message, window);

    FUZZ_CHECK(deflate_unpack(deflate, packed, message.size, &again) == 0);
    FUZZ_CHECK(slice_equal(again, message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned windows = DEFLATE_WINDOW_MAX - DEFLATE_WINDOW_MIN + 1;
    char *copy = fuzz_copy(data, size);

    if (deflate == NULL) {
        deflate = deflate_new(1, 1);
    }
    check_payload((struct slice){copy, size});
    check_message((struct slice){copy, size}, DEFLATE_WINDOW_MIN + (unsigned)size % windows);
    free(copy);
    return 0;
}
