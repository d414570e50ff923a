/* SPDX-License-Identifier: MIT
 *
 * kernel - see kernel.h.
 */
#include "common/cli/kernel.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The numbers are the same on every architecture; old headers lack the names. */
enum { NR_LANDLOCK_CREATE_RULESET = 444, CREATE_RULESET_VERSION = 1 };

int kernel_landlock_abi(void)
{
	long abi = syscall(NR_LANDLOCK_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	return abi > 0 ? (int)abi : 0;
}

bool kernel_has_seccomp(void)
{
	unsigned action = SECCOMP_RET_ERRNO;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

bool kernel_is_watched(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	const char *preload = getenv("LD_PRELOAD"); /* as valgrind's children see it */
	return preload && strstr(preload, "/vgpreload_");
#endif
}
