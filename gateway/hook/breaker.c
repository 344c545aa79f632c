/*
 * breaker.c: see breaker.h.
 */
#include "gateway/hook/breaker.h"

enum breaker_leave breaker_ask(struct breaker *b, int64_t now_ms)
{
    if (!b->is_open) {
        return BREAKER_YES;
    }
    if (b->is_probing || now_ms < b->until_ms) {
        return BREAKER_NO;
    }
    b->is_probing = true;
    return BREAKER_PROBE;
}

bool breaker_failed(struct breaker *b, const struct breaker_terms *terms, bool was_probe,
                    int64_t now_ms)
{
    b->failures++;
    b->is_probing = b->is_probing && !was_probe;
    if (b->is_open ? !was_probe : b->failures < terms->failures) {
        return false; /* whoever asked before it opened has nothing new to say */
    }
    b->is_open = true;
    b->until_ms = now_ms + terms->wait_ms;
    return true;
}

bool breaker_succeeded(struct breaker *b, bool was_probe)
{
    bool was_open = b->is_open;

    b->failures = 0;
    b->is_open = false;
    b->is_probing = b->is_probing && !was_probe;
    return was_open;
}

void breaker_dropped(struct breaker *b, bool was_probe)
{
    if (was_probe) {
        b->is_probing = false;
    }
}
