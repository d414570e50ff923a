/* SPDX-License-Identifier: MIT
 *
 * address - see address.h.
 *
 * Runs in: the worker.  The ranges are those of the registries of special-purpose
 * addresses (RFC 6890) that are not globally reachable.  For IPv6 it is the other
 * way round: only 2000::/3 is given out, so everything else is refused.
 */
#include "worker/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* ------------------------------------------------------------------ conversions */

bool address_parse(struct address *out, const char *text, size_t len)
{
	char copy[ADDRESS_TEXT_MAX];
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (!len || len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	struct address a = {.family = AF_INET6};
	if (strlen(copy) != len) {
		return false;
	}
	if (!bracketed && inet_pton(AF_INET, copy, a.bytes) == 1) {
		a.family = AF_INET;
	} else if (inet_pton(AF_INET6, copy, a.bytes) != 1) {
		return false;
	}
	*out = a;
	return true;
}

bool address_parse_any(struct address *out, const char *text)
{
	struct in_addr v4;
	if (address_parse(out, text, strlen(text))) {
		return true;
	}
	/* It would stop at a blank. */
	if (strpbrk(text, " \t\r\n\v\f") || !inet_aton(text, &v4)) {
		return false;
	}
	*out = (struct address){.family = AF_INET};
	memcpy(out->bytes, &v4, sizeof(v4));
	return true;
}

bool address_of_sockaddr(struct address *out, const struct sockaddr *from)
{
	struct address a = {0};
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)from;
		memcpy(a.bytes, &v4->sin_addr, 4);
	} else if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)from;
		memcpy(a.bytes, &v6->sin6_addr, 16);
	} else {
		return false;
	}
	a.family = (uint8_t)from->sa_family;
	*out = a;
	return true;
}

/* Through memcpy(): *out need not be aligned for more than a struct sockaddr. */
socklen_t address_to_sockaddr(
	const struct address *a, uint16_t port, struct sockaddr *out)
{
	if (a->family == AF_INET) {
		struct sockaddr_in v4 = {
			.sin_family = AF_INET, .sin_port = htons(port)};
		memcpy(&v4.sin_addr, a->bytes, 4);
		memcpy((void *)out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&v6.sin6_addr, a->bytes, 16);
	memcpy((void *)out, &v6, sizeof(v6));
	return sizeof(v6);
}

bool address_equal(const struct address *a, const struct address *b)
{
	size_t n = a->family == AF_INET ? 4 : 16;
	return a->family == b->family && memcmp(a->bytes, b->bytes, n) == 0;
}

const char *address_text(const struct address *a, char *out)
{
	if (!inet_ntop(a->family, a->bytes, out, ADDRESS_TEXT_MAX)) {
		out[0] = '\0';
	}
	return out;
}

/* ---------------------------------------------------------------------- private */

struct range {
	uint8_t bits;
	uint8_t prefix[16];
};

static const struct range private_v4[] = {
	{8, {0}},             /* this network */
	{8, {10}},            /* RFC 1918 */
	{10, {100, 64}},      /* carrier-grade NAT */
	{8, {127}},           /* loopback */
	{16, {169, 254}},     /* link-local, and the metadata services of clouds */
	{12, {172, 16}},      /* RFC 1918 */
	{24, {192, 0, 0}},    /* protocol assignments */
	{24, {192, 0, 2}},    /* documentation */
	{24, {192, 88, 99}},  /* 6to4 relays, withdrawn */
	{16, {192, 168}},     /* RFC 1918 */
	{15, {198, 18}},      /* benchmarks */
	{24, {198, 51, 100}}, /* documentation */
	{24, {203, 0, 113}},  /* documentation */
	{4, {224}},           /* groups */
	{4, {240}},           /* reserved, and broadcast */
};

/* Within 2000::/3. */
static const struct range private_v6[] = {
	{23, {0x20, 0x01, 0x00}},       /* Teredo, ORCHID and the like */
	{32, {0x20, 0x01, 0x0d, 0xb8}}, /* documentation */
	{20, {0x3f, 0xff, 0x00}},       /* documentation */
};

static const struct range given_out = {3, {0x20}};
static const struct range mapped = {96, {[10] = 0xff, 0xff}};
static const struct range nat64 = {96, {0x00, 0x64, 0xff, 0x9b}};
static const struct range six_to_four = {16, {0x20, 0x02}};

static bool is_in(const struct range *r, const uint8_t *bytes)
{
	size_t whole = r->bits / 8;
	unsigned rest = r->bits % 8;
	if (memcmp(r->prefix, bytes, whole) != 0) {
		return false;
	}
	return !rest || ((r->prefix[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

static bool is_in_some(const struct range *ranges, size_t ct, const uint8_t *bytes)
{
	for (size_t i = 0; i < ct; i++) {
		if (is_in(&ranges[i], bytes)) {
			return true;
		}
	}
	return false;
}

static bool is_private_v4(const uint8_t *bytes)
{
	return is_in_some(
		private_v4, sizeof(private_v4) / sizeof(private_v4[0]), bytes);
}

/* Some of them are IPv4 addresses in another dress: they reach what those reach. */
static bool is_private_v6(const uint8_t *bytes)
{
	if (is_in(&mapped, bytes) || is_in(&nat64, bytes)) {
		return is_private_v4(bytes + 12);
	}
	if (is_in(&six_to_four, bytes)) {
		return is_private_v4(bytes + 2);
	}
	return !is_in(&given_out, bytes) ||
	       is_in_some(
		       private_v6, sizeof(private_v6) / sizeof(private_v6[0]), bytes);
}

bool address_is_private(const struct address *a)
{
	return a->family == AF_INET ? is_private_v4(a->bytes) : is_private_v6(a->bytes);
}
