/*
 * verdicts.h: tokens whose signature was found good, remembered until they expire.
 *
 * A returning crowd brings the tokens it had: their signatures need not be
 * checked again. Only that is remembered; times, audience and revocation are
 * judged each time. For signatures that are dear: an HMAC costs no more than
 * finding a token here.
 *
 * A token is known by the SHA-256 of a random secret of this process and the token:
 * nobody outside can tell where it is kept, and how long a comparison takes says
 * nothing about any token. There is no other copy of it.
 */
#ifndef WARREN_GATEWAY_TOKEN_VERDICTS_H
#define WARREN_GATEWAY_TOKEN_VERDICTS_H

#include "common/base.h"
#include "gateway/metrics.h"

struct verdicts;

/* Room for `entries` tokens (rounded up to what is practical; 0: none is remembered): 40 bytes
 * each, used when needed. `m` is borrowed. */
struct verdicts *verdicts_new(size_t entries, struct metrics *m) MUST_CHECK;
/* Accepts NULL; returns NULL. */
struct verdicts *verdicts_free(struct verdicts *v);

/* Whether the token was good, and has not expired since. Counted. */
bool verdicts_has(struct verdicts *v, struct slice token, int64_t now_s);

/* The signature was good; of a full neighbourhood the token that ends first is forgotten. */
void verdicts_add(struct verdicts *v, struct slice token, int64_t expires_s);

/* The keys are others now. */
void verdicts_clear(struct verdicts *v);

#endif
