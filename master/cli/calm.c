/* SPDX-License-Identifier: MIT
 *
 * calm - see calm.h.
 */
#include "master/cli/calm.h"

#include <stdlib.h>
#include <string.h>

/* The place of a lane; what is there may be another one's. */
static struct calm_host *place(const struct calm *c, const char *lane)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
	for (; *lane; lane++) {
		hash = (hash ^ (unsigned char)*lane) * UINT64_C(1099511628211);
	}
	return &c->hosts[(hash ^ hash >> 32) % CALM_HOSTS];
}

static struct calm_host *find(const struct calm *c, const char *lane)
{
	struct calm_host *h = c->ct ? place(c, lane) : NULL;
	return h && h->limit && strcmp(h->lane, lane) == 0 ? h : NULL;
}

void calm_fini(struct calm *c)
{
	free(c->hosts);
	*c = (struct calm){0};
}

unsigned calm_limit(const struct calm *c, const char *lane)
{
	const struct calm_host *h = find(c, lane);
	return h ? h->limit : 0;
}

static struct calm_host *add(
	struct calm *c, const char *lane, unsigned most, char gone[PM_LANE_MAX + 1])
{
	if (!c->hosts && !(c->hosts = calloc(CALM_HOSTS, sizeof *c->hosts))) {
		return NULL;
	}
	struct calm_host *h = place(c, lane);
	if (h->limit) {
		memcpy(gone, h->lane, sizeof h->lane);
	} else {
		c->ct++;
	}
	*h = (struct calm_host){.limit = most};
	memcpy(h->lane, lane, strlen(lane) + 1);
	return h;
}

unsigned calm_refused(struct calm *c, const char *lane, unsigned most, uint64_t now_ms,
	uint64_t gate_ms, char gone[PM_LANE_MAX + 1])
{
	*gone = '\0';
	struct calm_host *h = find(c, lane);
	h = h ? h : add(c, lane, most, gone);
	if (!h) {
		return 0;
	}
	if (now_ms >= h->gate_ms) { /* else it was on its way already */
		h->half = h->limit > 1 ? h->limit / 2 : 1;
		h->limit = 1;
		h->ended = 0;
	}
	h->gate_ms = gate_ms > h->gate_ms ? gate_ms : h->gate_ms;
	return h->limit;
}

static void grow(struct calm_host *h)
{
	h->ended++;
	if (h->limit < h->half || h->ended >= h->limit) {
		h->limit++;
		h->ended = 0;
	}
}

unsigned calm_answered(struct calm *c, const char *lane, unsigned most, uint64_t now_ms)
{
	struct calm_host *h = find(c, lane);
	if (!h) {
		return 0;
	}
	if (now_ms >= h->gate_ms) {
		grow(h);
	}
	if (h->limit < most) {
		return h->limit;
	}
	h->limit = 0;
	c->ct--;
	return 0;
}
