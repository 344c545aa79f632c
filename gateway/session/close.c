/*
 * close.c: see close.h.
 */
#include "gateway/session/close.h"

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
