/* SPDX-License-Identifier: MIT
 *
 * address - IP addresses as plain data: from and to text and socket addresses, and
 * which of them are private.
 *
 * Runs in: the worker.  Called by the resolver and the engine.  Never asks anybody:
 * a name is not an address here.
 */
#ifndef WORKER_ADDRESS_H
#define WORKER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 46 }; /* bytes of the longest text, NUL included */

struct address {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t bytes[16];
};

/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]"; no other spelling, no zone. */
bool address_parse(struct address *out, const char *text, size_t len);

/* The other spellings of IPv4, too, that the C library takes for an address: short
 * ones, octal, hexadecimal. */
bool address_parse_any(struct address *out, const char *text);

/* False: neither IPv4 nor IPv6. */
bool address_of_sockaddr(struct address *out, const struct sockaddr *from);

/* Returns the length of *out; *out has room for either family. */
socklen_t address_to_sockaddr(
	const struct address *a, uint16_t port, struct sockaddr *out);

bool address_equal(const struct address *a, const struct address *b);

/* Writes into `out`, which has ADDRESS_TEXT_MAX bytes, and returns it. */
const char *address_text(const struct address *a, char *out);

/* Is it anything but a host of the public Internet: this machine, a private network,
 * a link, a group, a test range, or an IPv6 address that stands for one of those. */
bool address_is_private(const struct address *a);

#endif
