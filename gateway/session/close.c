/*
 * close.c: see close.h.
 */
#include "gateway/session/close.h"

#define CLOSE_PROTOCOL_FIRST 3000 /* those below are RFC 6455's */

static const struct {
    uint16_t code;
    const char *label;
    const char *text;
} table[CLOSE_REASON_COUNT] = {
#define CLOSE(name, code, label, text) [CLOSE_##name] = {code, label, text},
#include "gateway/session/close.def"
};

uint16_t close_code(enum close_reason reason)
{
    assert(reason < CLOSE_REASON_COUNT);
    return table[reason].code;
}

const char *close_text(enum close_reason reason)
{
    assert(reason < CLOSE_REASON_COUNT);
    return table[reason].text;
}

const char *close_label(enum close_reason reason)
{
    assert(reason < CLOSE_REASON_COUNT);
    return table[reason].label;
}

const char *close_words(uint16_t code)
{
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        if (table[i].code == code && code >= CLOSE_PROTOCOL_FIRST) {
            return table[i].text;
        }
    }
    return NULL;
}
