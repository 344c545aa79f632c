/*
 * fuzz_deflate.c: compressed payloads: no more comes out than is allowed, nothing depends on what
 * was inflated before, and what we deflate is inflated to the same.
 */
#include "gateway/ws/deflate.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGE_MAX 5000

static struct deflate *deflate;

/* A message of ours. */
static void check_message(struct slice message, unsigned window)
{
    struct slice again = SLICE_NONE;
    struct slice packed = deflate_pack(deflate, message, window);

    FUZZ_CHECK(deflate_unpack(deflate, packed, message.size, &again) == 0);
    FUZZ_CHECK(slice_equal(again, message));
}

/* The payload as a client's; what comes out is deflated and inflated again. */
static void check_payload(struct slice payload, uint64_t *seed)
{
    struct slice message = SLICE_NONE, again = SLICE_NONE;
    int r = deflate_unpack(deflate, payload, MESSAGE_MAX, &message);

    if (r != 0) {
        FUZZ_CHECK(r == DEFLATE_BROKEN || r == DEFLATE_TOO_BIG);
        FUZZ_CHECK(deflate_unpack(deflate, payload, MESSAGE_MAX, &again) == r);
        return;
    }
    FUZZ_CHECK(message.size <= MESSAGE_MAX);
    static char kept[MESSAGE_MAX]; /* the next result takes its place */

    memcpy(kept, message.size > 0 ? message.at : "", message.size);
    const char *copy = fuzz_copy(kept, message.size);
    struct slice first = {copy, message.size};

    for (struct fuzz_ways way = fuzz_ways(seed, 3); way.is < way.end; way.is++) {
        if (way.is == 0) {
            FUZZ_CHECK(deflate_unpack(deflate, payload, first.size, &again) == 0);
            FUZZ_CHECK(slice_equal(again, first));
        } else if (way.is == 1 && first.size > 0) {
            FUZZ_CHECK(deflate_unpack(deflate, payload, first.size - 1, &again) == DEFLATE_TOO_BIG);
        } else if (first.size > 0) {
            check_message(first, DEFLATE_WINDOW_MAX);
        }
    }
    fuzz_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned windows = DEFLATE_WINDOW_MAX - DEFLATE_WINDOW_MIN + 1;
    const char *copy = fuzz_copy(data, size);
    uint64_t seed = fuzz_seed(data, size);

    if (deflate == NULL) {
        deflate = deflate_new(1, 1);
    }
    for (struct fuzz_ways way = fuzz_ways(&seed, 2); way.is < way.end; way.is++) {
        if (way.is == 0) {
            check_payload((struct slice){copy, size}, &seed);
        } else {
            check_message((struct slice){copy, size},
                          DEFLATE_WINDOW_MIN + (unsigned)size % windows);
        }
    }
    fuzz_free(copy);
    return 0;
}
