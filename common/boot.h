/* SPDX-License-Identifier: MIT
 *
 * boot - what a worker inherits: one struct and two descriptors, the lifeline
 * and the black box.
 *
 * The master fills it, the forkserver hands it to the child that it forks, and
 * worker/ alone knows what to do with it.  The three are images of one program,
 * so the struct travels as it is.
 */
#ifndef COMMON_BOOT_H
#define COMMON_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/proto.h"
#include "common/wire.h"

struct boot {
	struct proto_route route;
	uint32_t concurrency; /* tasks this worker runs at once */
	uint32_t heartbeat_ms;
	uint64_t max_bytes;                  /* of an argument or a result */
	uint64_t stack_bytes;                /* of a task */
	uint64_t init, fini, on_job_error;   /* the host's functions; 0: none */
	bool check_descriptors;              /* after each task, see poolmap.h */
	bool dies_of_sigterm;                /* a process of pm_process_start() */
	char job_path[WIRE_PATH_MAX + 1];    /* socket to pull jobs from */
	char result_path[WIRE_PATH_MAX + 1]; /* socket to push results to */
};

/* Be a worker until the end; called once, in a fresh child of the forkserver. */
_Noreturn void worker_main(const struct boot *boot, int lifeline, int blackbox);

/* Give a child of fork() a clean slate: default signal handlers, none blocked,
 * those of a terminal ignored, and no descriptor over 2 but `keep` (ct of
 * them).  Used by the forkserver and by each worker. */
void boot_clean(const int *keep, unsigned ct);

/* Ask the kernel to kill this process when its parent `parent` dies; ends the
 * process when it is dead already. */
void boot_tie_to(int parent);

#endif
