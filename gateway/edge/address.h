/*
 * address.h: addresses and prefixes of IPv4 and IPv6 in one spelling each. Pure.
 *
 * An IPv4 address is the same one when it comes as an IPv6 address that stands for
 * it (::ffff:10.0.0.1; RFC 4291, 2.5.5.2). Text is as inet_ntop() writes it (RFC 5952):
 * lower case, without leading zeros, the longest run of zeros as "::". A prefix is
 * "10.0.0.0/8" or "2001:db8::/32"; what is behind its bits is taken for zeros.
 */
#ifndef WARREN_GATEWAY_EDGE_ADDRESS_H
#define WARREN_GATEWAY_EDGE_ADDRESS_H

#include "common/base.h"
#include "proto/order.h"

#define ADDRESS_BITS 128

struct address {
    uint8_t at[ADDRESS_BITS / 8]; /* IPv4: ::ffff:a.b.c.d */
    uint8_t bits;                 /* of the prefix; ADDRESS_BITS: one address */
};

/* Reads an address or a prefix in any spelling. False: it is neither. */
bool address_read(struct address *a, struct slice text) MUST_CHECK;

/* The one spelling; the slice points into `text`. */
struct slice address_text(const struct address *a, char text[ADDRESS_MAX + 1]) MUST_CHECK;

/* The prefix of so many bits that it is in; `bits` is not above its own. */
struct address address_cut(const struct address *a, unsigned bits);

/* The address of "10.0.0.1:4711" or "[fe80::1%eth0]:4711", as it is written there, without port and
 * zone. */
struct slice address_of_peer(const char *peer);

#endif
