/*
 * proxy.c: see proxy.h.
 *
 *     12 bytes  signature
 *      1        version (4 bits), command (4 bits)
 *      1        family (4 bits), transport (4 bits)
 *      2        how many bytes follow
 *      n        source, destination, their ports; then type-length-value fields
 */
#include "gateway/edge/proxy.h"

#include <errno.h>

#define COMMAND_LOCAL 0x20 /* version 2 */
#define COMMAND_PROXY 0x21
#define FAMILY_NONE 0x00
#define FAMILY_TCP4 0x11
#define FAMILY_UDP4 0x12
#define FAMILY_TCP6 0x21
#define FAMILY_UDP6 0x22
#define FAMILY_UNIX_STREAM 0x31
#define FAMILY_UNIX_DATAGRAM 0x32
#define ADDRESSES4 12 /* bytes */
#define ADDRESSES6 36
#define FIELD_CRC32C 0x03

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t get16(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* CRC32c of the header with the checksum's own four bytes as 0. */
static uint32_t checksum(const uint8_t *at, size_t size, size_t own)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= i >= own && i < own + 4 ? 0 : at[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

/* The fields behind the addresses are whole, and a checksum among them is right. */
static bool fields_are_good(const uint8_t *at, size_t size, size_t from)
{
    while (from < size) {
        if (size - from < 3 || size - from - 3 < get16(at + from + 1)) {
            return false;
        }
        size_t value = from + 3, length = get16(at + from + 1);
        if (at[from] == FIELD_CRC32C) {
            uint32_t sum = checksum(at, size, value);
            if (length != 4 || get16(at + value) != sum >> 16 ||
                get16(at + value + 2) != (sum & 0xffff)) {
                return false;
            }
        }
        from = value + length;
    }
    return true;
}

/* The bytes of its addresses; 0: they are none that we know of, and ignored. -EPROTO: no family. */
static int addresses_of(uint8_t family)
{
    switch (family) {
    case FAMILY_TCP4:
        return ADDRESSES4;
    case FAMILY_TCP6:
        return ADDRESSES6;
    case FAMILY_NONE:
    case FAMILY_UDP4:
    case FAMILY_UDP6:
    case FAMILY_UNIX_STREAM:
    case FAMILY_UNIX_DATAGRAM:
        return 0;
    default:
        return -EPROTO;
    }
}

int proxy_read(const uint8_t *at, size_t size, size_t *need, struct net_addr *client)
{
    *need = PROXY_FIXED;
    if (memcmp(at, signature, MIN(size, sizeof(signature))) != 0 ||
        (size > 12 && at[12] != COMMAND_LOCAL && at[12] != COMMAND_PROXY)) {
        return -EPROTO;
    }
    if (size < PROXY_FIXED) {
        return PROXY_MORE;
    }
    *need = PROXY_FIXED + get16(at + 14);
    if (*need > PROXY_HEADER_MAX) {
        return -EPROTO;
    }
    int addresses = addresses_of(at[13]);
    if (at[12] == COMMAND_PROXY && (addresses < 0 || *need - PROXY_FIXED < (size_t)addresses)) {
        return -EPROTO;
    }
    if (size < *need) {
        return PROXY_MORE;
    }
    assert(size == *need);
    if (at[12] == COMMAND_LOCAL || addresses == 0) {
        return PROXY_LOCAL; /* the rest is to be ignored */
    }
    if (!fields_are_good(at, size, PROXY_FIXED + (size_t)addresses)) {
        return -EPROTO;
    }
    bool is_v6 = at[13] == FAMILY_TCP6;
    const uint8_t *port = at + PROXY_FIXED + (is_v6 ? 32 : 8);
    net_from_ip(client, is_v6, at + PROXY_FIXED, (uint16_t)get16(port));
    return PROXY_CLIENT;
}
