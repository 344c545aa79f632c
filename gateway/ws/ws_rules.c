/*
 * ws_rules.c: see ws_rules.h.
 */
#include "gateway/ws/ws_rules.h"

#include "proto/scan.h"

enum ws_opcode ws_head_opcode(const struct ws_head *h)
{
    return (enum ws_opcode)(h->at[0] & 0x0f);
}

bool ws_head_is_control(const struct ws_head *h)
{
    return (h->at[0] & 0x8) != 0;
}

bool ws_head_is_final(const struct ws_head *h)
{
    return (h->at[0] & WS_FIN) != 0;
}

bool ws_head_is_packed(const struct ws_head *h)
{
    return (h->at[0] & WS_RSV1) != 0;
}

static size_t mask_size(const struct ws_head *h)
{
    return (h->at[1] & 0x80) != 0 ? 4 : 0;
}

size_t ws_head_wanted(const struct ws_head *h)
{
    if (h->size < 2) {
        return 2;
    }
    switch (h->at[1] & 0x7f) {
    case 126:
        return 4 + mask_size(h);
    case 127:
        return 10 + mask_size(h);
    default:
        return 2 + mask_size(h);
    }
}

bool ws_head_start_is_legal(const struct ws_head *h, bool in_message, bool may_packed)
{
    unsigned size = h->at[1] & 0x7f;
    int reserved = h->at[0] & 0x70;
    assert(h->size == 2);

    if (mask_size(h) == 0) {
        return false;
    }
    switch (ws_head_opcode(h)) {
    case WS_OPCODE_CONTINUATION:
        return reserved == 0 && in_message;
    case WS_OPCODE_TEXT:
    case WS_OPCODE_BINARY:
        return (reserved == 0 || (reserved == WS_RSV1 && may_packed)) && !in_message;
    case WS_OPCODE_CLOSE:
        return reserved == 0 && ws_head_is_final(h) && size <= WS_CONTROL_SIZE && size != 1;
    case WS_OPCODE_PING:
    case WS_OPCODE_PONG:
        return reserved == 0 && ws_head_is_final(h) && size <= WS_CONTROL_SIZE;
    }
    return false;
}

bool ws_head_payload(const struct ws_head *h, uint64_t *size)
{
    int form = h->at[1] & 0x7f;
    int length_bytes = form == 126 ? 2 : form == 127 ? 8 : 0;

    *size = length_bytes > 0 ? 0 : (uint64_t)form;
    for (int i = 0; i < length_bytes; i++) {
        *size = *size << 8 | h->at[2 + i];
    }
    switch (length_bytes) {
    case 2:
        return *size > 125;
    case 8:
        return *size > UINT16_MAX && *size <= INT64_MAX;
    default:
        return true;
    }
}

void ws_head_unmask(const struct ws_head *h, unsigned char *at, size_t size)
{
    const unsigned char *mask = h->at + h->size - 4;

    for (size_t i = 0; i < size; i++) {
        at[i] ^= mask[i % 4];
    }
}

bool ws_close_code_is_legal(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

bool ws_text_is_legal(struct slice text)
{
    for (size_t at = 0; at < text.size;) {
        size_t size = scan_utf8(text.at + at, text.at + text.size);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}
