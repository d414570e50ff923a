/* SPDX-License-Identifier: MIT
 *
 * memory - what workers take of memory, and too much of it; see pool.h.
 *
 * Runs in: the master, on its loop, when the host has set a limit.  The kernel's own
 * limits do not fit: RLIMIT_AS counts the stacks of tasks that never touch them, and a
 * cgroup needs rights.  So the master looks, and has the worker killed; what becomes of
 * its jobs is loss.c's, as after any other death.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/error.h"
#include "master/pool.h"

enum { LOOK_MS = 100, STATM_MAX = 256 };

/* "size resident shared ...", in pages. */
uint64_t memory_parse(const char *statm, uint64_t page_bytes)
{
	unsigned long long size, resident, shared;
	/* NOLINTNEXTLINE(cert-err34-c): numbers of the kernel, which are in range */
	if (sscanf(statm, "%llu %llu %llu", &size, &resident, &shared) != 3 ||
		shared > resident) {
		return 0;
	}
	return (resident - shared) * page_bytes;
}

/* 0: it has gone, or there is no /proc. */
static uint64_t memory_of(pid_t pid)
{
	char path[40], text[STATM_MAX];
	snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return 0;
	}
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return memory_parse(text, (uint64_t)sysconf(_SC_PAGESIZE));
}

static void look(struct slot *s)
{
	bool runs = s->state == SLOT_READY || s->state == SLOT_DRAINING;
	if (runs && s->pid > 0 &&
		memory_of(s->pid) > s->pool->options.worker_memory_bytes) {
		slot_doom(s, DOOM_MEMORY);
	}
}

static void look_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct pm_pool *pool = ctx;
	(void)fd;
	(void)what;
	for (unsigned i = 0; i < pool->slot_ct; i++) {
		look(&pool->slots[i]);
	}
}

int memory_watch(struct pm_pool *pool)
{
	struct timeval every = {.tv_usec = LOOK_MS * 1000L};
	pool->memory_timer = event_new(pool->base, -1, EV_PERSIST, look_cb, pool);
	if (!pool->memory_timer || event_add(pool->memory_timer, &every) < 0) {
		return error_note(PM_ENOMEM, "cannot watch the memory of workers");
	}
	return 0;
}
