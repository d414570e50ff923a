/* SPDX-License-Identifier: MIT
 *
 * dns_server - the DNS server of the tests as a program, for the measurements.
 *
 * Prints "ADDRESS:PORT" and serves until its standard input ends; then it says how
 * often it was asked, and how often for what it had been asked before.
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/support/dns.h"

int main(void)
{
	char bytes[256];
	struct dns *dns = dns_start();
	puts(dns_servers(dns));
	fflush(stdout);
	while (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0) {
	}
	printf("asked %u repeated %u\n", dns_query_ct(dns), dns_repeat_ct(dns));
	dns_stop(dns);
	return 0;
}
