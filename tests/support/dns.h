/* SPDX-License-Identifier: MIT
 *
 * dns - a scripted DNS server on a UDP port of 127.0.0.1, on a thread of the test,
 * which counts what it is asked.
 *
 * It answers by the first label of a name:
 *
 *	a-127-0-0-1, a-127-0-0-1-127-0-0-2   these IPv4 addresses; no IPv6 one
 *	hN             the Nth address from 127.1.0.1 on; no IPv6 address
 *	six            ::1; no IPv4 address
 *	both           127.0.0.1 and ::1
 *	mapped         ::ffff:127.0.0.1, as an IPv6 address
 *	alias          a CNAME of a-127-0-0-1, with that
 *	turns          1.1.1.1 and 127.0.0.1 in turn
 *	none           NXDOMAIN
 *	empty          no address at all
 *	fail           SERVFAIL
 *	silent         nothing comes
 *	garbage        bytes that are no answer
 *	slow           127.0.0.1, but only after dns_release()
 *
 * A label "ttl-N" anywhere in the name is the time to live, in seconds; else it is 60.
 */
#ifndef TESTS_SUPPORT_DNS_H
#define TESTS_SUPPORT_DNS_H

#include <stdbool.h>
#include <stdint.h>

struct dns;

struct dns *dns_start(void);
void dns_stop(struct dns *d);

/* "127.0.0.1:PORT"; lives as long as it. */
const char *dns_servers(const struct dns *d);

unsigned dns_query_ct(const struct dns *d);
/* Of them, those for a name and type that had been asked for before. */
unsigned dns_repeat_ct(const struct dns *d);
/* CPU time of its thread. */
uint64_t dns_cpu_us(const struct dns *d);
/* Questions for "slow" that came before dns_release(). */
unsigned dns_held_ct(const struct dns *d);

/* Answer what is held, and no longer hold anything. */
void dns_release(struct dns *d);

#endif
