/*
 * mint.h: tokens with any claims, signed with the key of gateway_kit.c by the tests' own HMAC.
 */
#ifndef WARREN_TESTS_UNIT_MINT_H
#define WARREN_TESTS_UNIT_MINT_H

#include "common/buf.h"
#include "gateway/token/base64.h"
#include "tests/unit/hmac_sha256.h"

#define MINT_KEY "0123456789abcdef0123456789abcdef"
#define MINT_SIZE 4096

/* Writes a token; `claims` is a JSON object. Returns `to`. */
static inline const char *mint(char to[MINT_SIZE], const char *claims)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    unsigned char mac[SHA256_SIZE];
    struct buf token = BUF_EMPTY;

    base64url_encode(&token, header, sizeof(header) - 1);
    buf_add_char(&token, '.');
    base64url_encode(&token, claims, strlen(claims));
    hmac_sha256(MINT_KEY, buf_slice(&token), mac);
    buf_add_char(&token, '.');
    base64url_encode(&token, mac, sizeof(mac));
    assert(token.size < MINT_SIZE);
    memcpy(to, token.at, token.size);
    to[token.size] = '\0';
    buf_deinit(&token);
    return to;
}

#endif
