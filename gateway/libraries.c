/*
 * libraries.c: see libraries.h.
 */
#include "gateway/libraries.h"

#include <jansson.h>
#include <openssl/crypto.h>

#include "common/base.h"
#include "common/mem.h"

static void *crypto_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_alloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        mem_free(old);
        return NULL;
    }
    return mem_realloc(old, size);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(p);
}

void libraries_init(void)
{
    int done = CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free);

    assert(done == 1); /* OpenSSL has not allocated anything yet */
    json_set_alloc_funcs(mem_alloc, mem_free);
}
