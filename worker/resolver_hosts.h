/* SPDX-License-Identifier: MIT
 *
 * resolver_hosts - which names are in /etc/hosts, so that the file is read for those
 * only: c-ares reads it again for every name.
 *
 * Runs in: the worker.  Called by resolver_ares.c.
 */
#ifndef WORKER_RESOLVER_HOSTS_H
#define WORKER_RESOLVER_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct hosts {
	const char *path;
	uint64_t *hashes; /* of its names; 0: free.  NULL: not read yet */
	size_t cap, ct;
	uint64_t looked_ms; /* at the file, last */
	struct timespec changed;
	bool unread; /* it could not be read: every name may be in it */
};

void hosts_init(struct hosts *h, const char *path);
void hosts_fini(struct hosts *h);

/* Perhaps; but "no" is sure, a second after the file's last change.  `name` is in lower
 * case. */
bool hosts_may_have(struct hosts *h, const char *name, uint64_t now_ms);

#endif
