/*
 * breaker.h: whom asking has not helped for some time is left alone for a while. Pure.
 *
 *     closed ──(failures in a row)──► open ──(wait is over)──► one probe is let through
 *        ▲                              ▲                          │ fails: open again
 *        └──────────── any success ─────┴──────────────────────────┘
 *
 * `now_ms` is an argument, on a clock that never goes back.
 */
#ifndef WARREN_GATEWAY_HOOK_BREAKER_H
#define WARREN_GATEWAY_HOOK_BREAKER_H

#include "common/base.h"

struct breaker_terms {
    int64_t failures; /* in a row until it opens */
    int64_t wait_ms;  /* that it stays open before a probe */
};

/* Zeros are closed. */
struct breaker {
    int64_t failures;
    int64_t until_ms; /* of the wait */
    bool is_open, is_probing;
};

enum breaker_leave { BREAKER_NO, BREAKER_YES, BREAKER_PROBE };

/* Whether somebody may ask now; who may tells how it went, once, with one of the functions below,
 * as a probe or not. */
enum breaker_leave breaker_ask(struct breaker *b, int64_t now_ms) MUST_CHECK;

/* True: it has opened just now (or again). */
bool breaker_failed(struct breaker *b, const struct breaker_terms *terms, bool was_probe,
                    int64_t now_ms);

/* True: it has closed just now. */
bool breaker_succeeded(struct breaker *b, bool was_probe);

/* Nobody will know how it went. */
void breaker_dropped(struct breaker *b, bool was_probe);

#endif
