/*
 * fuzz_conf.c: a file of settings: it is refused, or it holds what its table allows.
 */
#include <unistd.h>

#include "common/file.h"
#include "gateway/conf.h"
#include "tests/fuzz/fuzz.h"

#define PATH "the input"

static struct slice input;

/* In place of file_read() (see meson.build): there is one file, the input. */
int __wrap_file_read(const char *path, size_t max, struct buf *out, const char **reason)
{
    FUZZ_CHECK(strcmp(path, PATH) == 0);
    FUZZ_CHECK(input.size <= max);
    buf_add_slice(out, input);
    if (input.size > 0 && memchr(input.at, '\0', input.size) != NULL) {
        *reason = "has a NUL byte";
        return -1;
    }
    return 0;
}

static ssize_t forget(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    (void)text;
    return (ssize_t)size;
}

/* Only the sanitizers speak: what is refused is refused with a line for a person. */
static void be_quiet(void)
{
    static bool is_quiet;

    if (!is_quiet) {
        stderr = fopencookie(NULL, "w", (cookie_io_functions_t){.write = forget});
        FUZZ_CHECK(stderr != NULL);
        is_quiet = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gateway_conf c;

    if (memmem(data, size, "file", 4) != NULL) {
        return 0; /* it may name another one */
    }
    be_quiet();
    input = (struct slice){(const char *)data, size};
    if (gateway_conf_load(&c, PATH) == 0) {
        FUZZ_CHECK(c.partitions >= 1 && c.partitions <= PARTITIONS_MAX);
        FUZZ_CHECK(c.pong_ms < c.ping_ms && c.max_payload <= PAYLOAD_CEILING);
        FUZZ_CHECK(rules_find(&c.rules, SLICE_LIT("support:1"))->subscribe != NULL);
        gateway_conf_free(&c);
    }
    return 0;
}
