/*
 * ws_rules.h: what RFC 6455 says of a frame's header, of a close code and of text. Pure.
 */
#ifndef WARREN_GATEWAY_WS_WS_RULES_H
#define WARREN_GATEWAY_WS_WS_RULES_H

#include "common/base.h"

#define WS_HEAD_MAX 14      /* bytes: 2, a length of 8, a mask of 4 */
#define WS_CONTROL_SIZE 125 /* bytes of a control frame's payload at most */
#define WS_FIN 0x80
#define WS_RSV1 0x40

enum ws_opcode {
    WS_OPCODE_CONTINUATION = 0x0,
    WS_OPCODE_TEXT = 0x1,
    WS_OPCODE_BINARY = 0x2,
    WS_OPCODE_CLOSE = 0x8,
    WS_OPCODE_PING = 0x9,
    WS_OPCODE_PONG = 0xa,
};

/* A header as it comes. */
struct ws_head {
    unsigned char at[WS_HEAD_MAX];
    uint8_t size; /* bytes so far */
};

/* Of the first two bytes. */
enum ws_opcode ws_head_opcode(const struct ws_head *h);
bool ws_head_is_control(const struct ws_head *h);
bool ws_head_is_final(const struct ws_head *h);
bool ws_head_is_packed(const struct ws_head *h);

/* The size of the whole header, as far as it is known; 2 before two bytes are there. */
size_t ws_head_wanted(const struct ws_head *h);

/* What the first two bytes show. `in_message`: a data frame came and the final one did not.
 * `may_packed`: RSV1 has a meaning (RFC 7692 6: on the first frame of a message). */
bool ws_head_start_is_legal(const struct ws_head *h, bool in_message, bool may_packed);

/* Of the whole header: the payload's size; false: it does not stand there in its shortest form. */
bool ws_head_payload(const struct ws_head *h, uint64_t *size);

/* XORs with the header's mask; `at` is the payload's beginning. */
void ws_head_unmask(const struct ws_head *h, unsigned char *at, size_t size);

/* The codes that may be sent (RFC 6455 7.4 and IANA's registry). */
bool ws_close_code_is_legal(uint16_t code);

/* True if the bytes are UTF-8 (RFC 3629). */
bool ws_text_is_legal(struct slice text);

#endif
