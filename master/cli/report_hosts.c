/* SPDX-License-Identifier: MIT
 *
 * report_hosts - what came of the jobs of each host, see report_hosts.h.
 */
#include "master/cli/report_hosts.h"

#include <stdlib.h>
#include <string.h>

#include "common/name_hash.h"
#include "common/poolmap.h"

/* So many numbers take as much memory as an eighth of a histogram. */
enum { FEW_MIN = 4, FEW_MAX = 256 };

int report_hosts_init(struct report_hosts *h)
{
	*h = (struct report_hosts){.list = calloc(REPORT_HOSTS_MAX, sizeof *h->list),
		.slots = calloc(REPORT_HOSTS_SLOTS, sizeof *h->slots)};
	h->others.latency = calloc(1, sizeof *h->others.latency);
	return h->list && h->slots && h->others.latency ? 0 : PM_ENOMEM;
}

static void fini_host(struct report_host *host)
{
	free(host->name);
	free(host->few);
	free(host->latency);
	*host = (struct report_host){0};
}

void report_hosts_fini(struct report_hosts *h)
{
	for (size_t i = 0; i < h->ct; i++) {
		fini_host(&h->list[i]);
	}
	fini_host(&h->others);
	free(h->list);
	free(h->slots);
	*h = (struct report_hosts){0};
}

/* ------------------------------------------------------------------ latencies */

static void join_latency(struct histogram *to, const struct report_host *host)
{
	for (size_t i = 0; i < host->few_ct; i++) {
		histogram_add(to, host->few[i]);
	}
	if (host->latency) {
		histogram_join(to, host->latency);
	}
}

static int change_to_histogram(struct report_host *host)
{
	struct histogram *latency = calloc(1, sizeof *latency);
	if (!latency) {
		return PM_ENOMEM;
	}
	join_latency(latency, host);
	free(host->few);
	host->few = NULL;
	host->few_ct = 0;
	host->latency = latency;
	return 0;
}

/* Is there no room behind so many? */
static bool is_full(size_t ct)
{
	return ct == 0 || (ct >= FEW_MIN && (ct & (ct - 1)) == 0);
}

static int add_few(struct report_host *host, uint64_t us)
{
	if (is_full(host->few_ct)) {
		size_t room = host->few_ct ? 2 * host->few_ct : FEW_MIN;
		uint64_t *few = realloc(host->few, room * sizeof *few);
		if (!few) {
			return PM_ENOMEM;
		}
		host->few = few;
	}
	/* NOLINTNEXTLINE(gcc-malloc-leak): the host keeps it */
	host->few[host->few_ct++] = us;
	return 0;
}

static int add_latency(struct report_host *host, uint64_t us)
{
	/* NOLINTNEXTLINE(gcc-malloc-leak): the host keeps it */
	if (host->few_ct == FEW_MAX && change_to_histogram(host)) {
		return PM_ENOMEM;
	}
	if (host->latency) {
		histogram_add(host->latency, us);
		return 0;
	}
	return add_few(host, us);
}

/* ---------------------------------------------------------------------- hosts */

static size_t slot_of(const struct report_hosts *h, const char *name, size_t len)
{
	size_t at = name_hash(name, len) % REPORT_HOSTS_SLOTS;
	for (; h->slots[at]; at = (at + 1) % REPORT_HOSTS_SLOTS) {
		const char *its = h->list[h->slots[at] - 1].name;
		if (strncmp(its, name, len) == 0 && !its[len]) {
			break;
		}
	}
	return at;
}

static int by_jobs(const void *a, const void *b)
{
	const struct report_host *x = a, *y = b;
	int order = (x->jobs < y->jobs) - (x->jobs > y->jobs);
	return order ? order : strcmp(x->name, y->name);
}

static void join_others(struct report_hosts *h, struct report_host *host)
{
	h->others.jobs += host->jobs;
	h->others.ok += host->ok;
	join_latency(h->others.latency, host);
	h->passed_ct++;
	fini_host(host);
}

/* It takes as long as REPORT_HOSTS_MAX / 2 new hosts, and is needed once for as many.
 */
static void make_room(struct report_hosts *h)
{
	report_hosts_sort(h);
	while (h->ct > REPORT_HOSTS_MAX / 2) {
		join_others(h, &h->list[--h->ct]);
	}
	memset(h->slots, 0, REPORT_HOSTS_SLOTS * sizeof *h->slots);
	for (size_t i = 0; i < h->ct; i++) {
		const char *name = h->list[i].name;
		h->slots[slot_of(h, name, strlen(name))] = (uint32_t)i + 1;
	}
}

static struct report_host *new_host(
	struct report_hosts *h, const char *name, size_t len)
{
	if (h->ct == REPORT_HOSTS_MAX) {
		make_room(h);
	}
	struct report_host *host = &h->list[h->ct];
	*host = (struct report_host){.name = strndup(name, len)};
	/* NOLINTNEXTLINE(gcc-malloc-leak): the host keeps it */
	if (!host->name) {
		return NULL;
	}
	h->ct++;
	h->slots[slot_of(h, name, len)] = (uint32_t)h->ct;
	return host;
}

int report_hosts_add(
	struct report_hosts *h, const char *name, size_t len, bool ok, uint64_t us)
{
	uint32_t place = h->slots[slot_of(h, name, len)];
	struct report_host *host = place ? &h->list[place - 1] : new_host(h, name, len);
	if (!host || (us && add_latency(host, us))) {
		return PM_ENOMEM;
	}
	host->jobs++;
	host->ok += ok;
	return 0;
}

/* --------------------------------------------------------------------- result */

void report_hosts_sort(struct report_hosts *h)
{
	qsort(h->list, h->ct, sizeof *h->list, by_jobs);
}

void report_host_sum(struct report_sum *all, const struct report_host *host)
{
	all->jobs += host->jobs;
	all->ok += host->ok;
	join_latency(&all->latency, host);
}

void report_hosts_rest(
	struct report_sum *all, const struct report_hosts *h, size_t shown)
{
	for (size_t i = shown; i < h->ct; i++) {
		report_host_sum(all, &h->list[i]);
	}
	report_host_sum(all, &h->others);
}
