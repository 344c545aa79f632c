/*
 * hmac_sha256.h: HMAC-SHA256 (RFC 2104, FIPS 180-4) for short texts, so that tests can sign tokens
 * without the code that they test.
 */
#ifndef WARREN_TESTS_UNIT_HMAC_SHA256_H
#define WARREN_TESTS_UNIT_HMAC_SHA256_H

#include "common/base.h"

#define SHA256_SIZE 32
#define SHA256_BLOCK 64
#define SHA256_TEXT_MAX 8192 /* bytes that a test signs at most */

static inline uint32_t sha256_turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static inline void sha256_block(uint32_t h[8], const unsigned char *block)
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    };
    uint32_t w[64], v[8];

    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (sha256_turn(a, 7) ^ sha256_turn(a, 18) ^ a >> 3) +
               (sha256_turn(b, 17) ^ sha256_turn(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof(v));
    for (int i = 0; i < 64; i += 8) {
        for (unsigned n = 0; n < 8; n++) { /* the eight take turns instead of moving */
#define TURN(at) v[((at)-n) % 8]
            uint32_t e = TURN(4u), a = TURN(0u);
            uint32_t one = TURN(7u) +
                           (sha256_turn(e, 6) ^ sha256_turn(e, 11) ^ sha256_turn(e, 25)) +
                           ((e & TURN(5u)) ^ (~e & TURN(6u))) + k[i + (int)n] + w[i + (int)n];
            uint32_t two = (sha256_turn(a, 2) ^ sha256_turn(a, 13) ^ sha256_turn(a, 22)) +
                           ((a & TURN(1u)) ^ (a & TURN(2u)) ^ (TURN(1u) & TURN(2u)));
            TURN(3u) += one;
            TURN(7u) = one + two;
#undef TURN
        }
    }
    for (int i = 0; i < 8; i++) {
        h[i] += v[i];
    }
}

static inline void sha256(const unsigned char *at, size_t size, unsigned char digest[SHA256_SIZE])
{
    static unsigned char padded[SHA256_TEXT_MAX + 3 * SHA256_BLOCK];
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    size_t whole = (size + 9 + SHA256_BLOCK - 1) / SHA256_BLOCK * SHA256_BLOCK;

    assert(whole <= sizeof(padded));
    memset(padded, 0, whole);
    memcpy(padded, at, size);
    padded[size] = 0x80;
    for (int i = 0; i < 8; i++) {
        padded[whole - 1 - (size_t)i] = (unsigned char)((uint64_t)size * 8 >> 8 * i & 0xff);
    }
    for (size_t i = 0; i < whole; i += SHA256_BLOCK) {
        sha256_block(h, padded + i);
    }
    for (int i = 0; i < SHA256_SIZE; i++) {
        digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)) & 0xff);
    }
}

/* `key` has at most 64 bytes. */
static inline void hmac_sha256(const char *key, struct slice text, unsigned char mac[SHA256_SIZE])
{
    static unsigned char inner[SHA256_BLOCK + SHA256_TEXT_MAX];
    unsigned char outer[SHA256_BLOCK + SHA256_SIZE];
    size_t key_size = strlen(key);

    assert(key_size <= SHA256_BLOCK && text.size <= SHA256_TEXT_MAX);
    for (size_t i = 0; i < SHA256_BLOCK; i++) {
        unsigned char c = i < key_size ? (unsigned char)key[i] : 0;
        inner[i] = c ^ 0x36;
        outer[i] = c ^ 0x5c;
    }
    memcpy(inner + SHA256_BLOCK, text.at, text.size);
    sha256(inner, SHA256_BLOCK + text.size, outer + SHA256_BLOCK);
    sha256(outer, sizeof(outer), mac);
}

#endif
