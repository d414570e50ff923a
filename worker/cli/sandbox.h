/* SPDX-License-Identifier: MIT
 *
 * sandbox - what a worker of the command gives up before its first job, so that a
 * server that takes it over has little of it.
 *
 * Runs in: the workers of the command, each for itself, while they have one thread.
 * Called by fetch_init.c, and for the last step by the tasks.
 *
 * After sandbox_enter() a worker can read the files that a fetch needs and write
 * beneath one directory at most; it runs no program, makes no process, signals and
 * traces nobody, and is no root any more.  What the kernel lacks is left out: who
 * starts the workers says so (common/cli/kernel.h).
 */
#ifndef WORKER_CLI_SANDBOX_H
#define WORKER_CLI_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox {
	const char *const *files; /* to be read, beside those of the system; an entry
				     may be NULL */
	size_t file_ct;
	int dir;             /* beneath which files may be made, read and removed; -1 */
	uint64_t file_bytes; /* largest file that is written; 0: none is */
};

/* There is no way back.  0, or PM_ESYSTEM with the reason in errno; *what is the step
 * that failed. */
int sandbox_enter(const struct sandbox *sandbox, const char **what);

/* The last step, when the worker is connected to the master: no more local sockets.
 * Costs something the first time only. */
void sandbox_seal(void);

/* ------------------------------------------------------------ its own parts */

/* sandbox_files.c: files, by Landlock.  0, or -1 and errno. */
int sandbox_files(const struct sandbox *sandbox, int abi);

/* sandbox_calls.c: system calls, by libseccomp.  0, or -1 and errno. */
int sandbox_calls(bool writes);
int sandbox_calls_seal(void);

#endif
