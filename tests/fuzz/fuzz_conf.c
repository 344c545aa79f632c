/*
 * fuzz_conf.c: a file of settings: it is refused, or it holds what its table allows.
 *
 * What it names as files of secrets, keys and certificates are those of a folder in memory: no file
 * of the machine is looked at.
 */
#include <unistd.h>

#include "common/file.h"
#include "gateway/conf.h"
#include "gateway/libraries.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/key_pems.h"

#define PATH "the input"

static struct slice input;

#define CONTENTS(text)                                                                             \
    {                                                                                              \
        "" text, sizeof(text) - 1                                                                  \
    }

static const struct {
    const char *path;
    struct slice contents;
} files[] = {
    {"secret", CONTENTS("0123456789abcdef0123456789abcdef\n")},
    {"short", CONTENTS("0123456789abcdef \n\n")},
    {"empty", CONTENTS("")},
    {"binary", CONTENTS("0123456789abcdef\0"
                        "0123456789abcdef")},
    {"url", CONTENTS("amqp://u:p@127.0.0.1:5672/%2f")},
    {"key.pem", {pem_ed25519_public, sizeof(pem_ed25519_public) - 1}},
    {"ca.pem", CONTENTS("-----BEGIN CERTIFICATE-----\n")},
    {"keys.json", CONTENTS("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"alg\":\"HS256\","
                           "\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}]}")},
};

/* Also for the name of the input itself. NULL: there is no such file. */
static const struct slice *find_file(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (strcmp(path, files[i].path) == 0) {
            return &files[i].contents;
        }
    }
    return strcmp(path, PATH) == 0 ? &input : NULL;
}

/* In place of file_read() (see meson.build). */
int __wrap_file_read(const char *path, size_t max, struct buf *out, const char **reason)
{
    const struct slice *contents = find_file(path);

    *reason = NULL;
    if (contents == NULL) {
        *reason = "No such file or directory";
    } else if (contents->size > max) {
        *reason = "is too large";
    } else {
        buf_add_slice(out, *contents);
        if (contents->size > 0 && memchr(contents->at, '\0', contents->size) != NULL) {
            *reason = "has a NUL byte";
        }
    }
    return *reason == NULL ? 0 : -1;
}

static ssize_t forget(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    (void)text;
    return (ssize_t)size;
}

/* Only the sanitizers speak: what is refused is refused with a line for a person. */
static void begin(void)
{
    static bool is_quiet;

    if (!is_quiet) {
        libraries_init();
        stderr = fopencookie(NULL, "w", (cookie_io_functions_t){.write = forget});
        FUZZ_CHECK(stderr != NULL);
        is_quiet = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gateway_conf c;

    begin();
    input = (struct slice){(const char *)data, size};
    if (gateway_conf_load(&c, PATH) == 0) {
        FUZZ_CHECK(c.partitions >= 1 && c.partitions <= PARTITIONS_MAX);
        FUZZ_CHECK(c.pong_ms < c.ping_ms && c.max_payload <= PAYLOAD_CEILING);
        bool has_entry = keys_count(c.keys) > 0 || c.anonymous || hooks_has(&c, HOOK_CONNECT);
        FUZZ_CHECK((gateway_conf_check_entry(&c) == 0) == has_entry);
        FUZZ_CHECK(rules_find(&c.rules, SLICE_LIT("support:1"))->subscribe != NULL);
        gateway_conf_free(&c);
    }
    return 0;
}
