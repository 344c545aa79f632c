/*
 * fuzz_conf.c: a file of settings: it is refused, or it holds what its table allows.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/conf.h"
#include "tests/fuzz/fuzz.h"

/* Only the sanitizers speak: what is refused is refused with a line for a person. */
static void be_quiet(void)
{
    static bool is_quiet;

    if (!is_quiet) {
        stderr = fopen("/dev/null", "w");
        FUZZ_CHECK(stderr != NULL);
        is_quiet = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one for all inputs: making a file costs as much as reading it */
    struct gateway_conf c = {.partitions = 0};
    char path[64];

    if (memmem(data, size, "file", 4) != NULL) {
        return 0; /* it may name one that never ends */
    }
    be_quiet();
    fd = fd >= 0 ? fd : memfd_create("conf", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (gateway_conf_load(&c, path) == 0) {
        FUZZ_CHECK(c.partitions >= 1 && c.partitions <= PARTITIONS_MAX);
        FUZZ_CHECK(c.pong_ms < c.ping_ms && c.max_payload <= PAYLOAD_CEILING);
        FUZZ_CHECK(rules_find(&c.rules, SLICE_LIT("support:1"))->subscribe != NULL);
        gateway_conf_free(&c);
    }
    return 0;
}
