/*
 * verdicts.c: see verdicts.h: a table of small neighbourhoods.
 */
#include "gateway/token/verdicts.h"

#include <openssl/evp.h>

#include "common/hash.h"
#include "common/mem.h"

#define DIGEST_SIZE 32
#define SECRET_SIZE 64 /* a block of the hash */
#define WAYS 8         /* places where one token can be */

struct verdict {
    unsigned char digest[DIGEST_SIZE];
    int64_t expires_s; /* 0: free */
};

struct verdicts {
    struct metrics *metrics; /* borrowed */
    struct verdict *at;      /* owns: WAYS for each neighbourhood; NULL: nothing yet */
    size_t entries, mask;    /* of neighbourhoods; entries 0: off */
    EVP_MD_CTX *begun;       /* owns: SHA-256 that has taken the secret */
    EVP_MD_CTX *work;        /* owns: scratch */
};

struct verdicts *verdicts_new(size_t entries, struct metrics *m)
{
    struct verdicts *v = mem_new(struct verdicts);
    unsigned char secret[SECRET_SIZE];
    size_t count = 1;

    while (count * WAYS < entries) {
        count *= 2;
    }
    v->metrics = m;
    v->entries = entries > 0 ? count * WAYS : 0;
    v->mask = count - 1;
    hash_random(secret, sizeof(secret));
    v->begun = EVP_MD_CTX_new();
    v->work = EVP_MD_CTX_new();
    assert(v->begun != NULL && v->work != NULL);
    int done = EVP_DigestInit_ex(v->begun, EVP_sha256(), NULL);
    assert(done == 1);
    done = EVP_DigestUpdate(v->begun, secret, sizeof(secret));
    assert(done == 1);
    explicit_bzero(secret, sizeof(secret));
    return v;
}

struct verdicts *verdicts_free(struct verdicts *v)
{
    if (v != NULL) {
        EVP_MD_CTX_free(v->begun);
        EVP_MD_CTX_free(v->work);
        mem_free(v->at);
        mem_free(v);
    }
    return NULL;
}

static void make_digest(const struct verdicts *v, struct slice token,
                        unsigned char digest[DIGEST_SIZE])
{
    int done = EVP_MD_CTX_copy_ex(v->work, v->begun);

    assert(done == 1);
    done = EVP_DigestUpdate(v->work, token.at, token.size);
    assert(done == 1);
    done = EVP_DigestFinal_ex(v->work, digest, NULL);
    assert(done == 1);
}

/* The first of the places where a token of that digest can be. */
static struct verdict *places(struct verdicts *v, const unsigned char digest[DIGEST_SIZE])
{
    uint64_t start;

    memcpy(&start, digest, sizeof(start));
    return v->at + (start & v->mask) * WAYS;
}

bool verdicts_has(struct verdicts *v, struct slice token, int64_t now_s)
{
    unsigned char digest[DIGEST_SIZE];

    if (v->at == NULL) {
        return false;
    }
    make_digest(v, token, digest);
    const struct verdict *place = places(v, digest);
    for (int i = 0; i < WAYS; i++) {
        if (place[i].expires_s > now_s && memcmp(place[i].digest, digest, DIGEST_SIZE) == 0) {
            stat_add(&v->metrics->verdicts_hit, 1);
            return true;
        }
    }
    return false;
}

void verdicts_add(struct verdicts *v, struct slice token, int64_t expires_s)
{
    unsigned char digest[DIGEST_SIZE];

    if (v->entries == 0) {
        return;
    }
    if (v->at == NULL) {
        v->at = mem_zalloc(v->entries, sizeof(v->at[0]));
    }
    make_digest(v, token, digest);
    struct verdict *place = places(v, digest), *best = place;
    for (int i = 0; i < WAYS; i++) {
        if (memcmp(place[i].digest, digest, DIGEST_SIZE) == 0) {
            best = &place[i];
            break;
        }
        best = place[i].expires_s < best->expires_s ? &place[i] : best;
    }
    memcpy(best->digest, digest, DIGEST_SIZE);
    best->expires_s = expires_s;
}

void verdicts_clear(struct verdicts *v)
{
    mem_free(v->at);
    v->at = NULL;
}
