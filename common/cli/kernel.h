/* SPDX-License-Identifier: MIT
 *
 * kernel - what the sandbox of the command's workers can expect of this kernel.
 *
 * Runs in: the master, which says once what is missing; and the workers, which do
 * without it.  Asks, and changes nothing.
 */
#ifndef COMMON_CLI_KERNEL_H
#define COMMON_CLI_KERNEL_H

#include <stdbool.h>

/* The version of Landlock's interface; 0: there is none, or it is switched off. */
int kernel_landlock_abi(void);

/* Filters of system calls. */
bool kernel_has_seccomp(void);

/* Is this a build or a run that a sandbox would blind?  The sanitizers look for leaks
 * by ptrace(2) and run programs, valgrind reads and writes files of its own. */
bool kernel_is_watched(void);

#endif
