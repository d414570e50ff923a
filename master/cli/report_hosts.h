/* SPDX-License-Identifier: MIT
 *
 * report_hosts - what came of the jobs of each host.
 *
 * REPORT_HOSTS_MAX hosts are told apart at a time.  When there are more, the half
 * with the fewest jobs is added to the others, so that the large ones stay,
 * wherever in the file they are; a host that comes back begins again.  Latencies of a
 * host are kept one by one while they are few, and counted in a histogram then:
 * 64 MB at the very most, and next to nothing for hosts of few jobs.
 *
 * Runs in: the master of the command; called by report_facts.
 */
#ifndef MASTER_CLI_REPORT_HOSTS_H
#define MASTER_CLI_REPORT_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/cli/histogram.h"

enum { REPORT_HOSTS_MAX = 4096, REPORT_HOSTS_SLOTS = 2 * REPORT_HOSTS_MAX };

struct report_host {
	char *name; /* "" for jobs without one */
	uint64_t jobs, ok;
	uint64_t *few; /* latencies; room for a power of two of them */
	size_t few_ct;
	struct histogram *latency; /* NULL: they are in `few` */
};

struct report_hosts {
	struct report_host *list; /* sorted after report_hosts_sort() */
	uint32_t *slots;          /* place in the list + 1, by the hash of the name */
	size_t ct;
	uint64_t passed_ct; /* of hosts that were added to the others */
	struct report_host others;
};

/* Returns 0 or PM_ENOMEM; report_hosts_fini() in any case. */
int report_hosts_init(struct report_hosts *h);
void report_hosts_fini(struct report_hosts *h);

/* Count a job; us 0: it was not sent.  Returns 0 or PM_ENOMEM. */
int report_hosts_add(
	struct report_hosts *h, const char *name, size_t len, bool ok, uint64_t us);

/* Most jobs first, then by name.  Nothing can be added any more. */
void report_hosts_sort(struct report_hosts *h);

/* The host itself as far as it is known, latencies included, into *all, to which they
 * are added. */
struct report_sum {
	uint64_t jobs, ok;
	struct histogram latency;
};
void report_host_sum(struct report_sum *all, const struct report_host *host);

/* The same of all behind the first `shown`. */
void report_hosts_rest(
	struct report_sum *all, const struct report_hosts *h, size_t shown);

#endif
