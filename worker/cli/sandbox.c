/* SPDX-License-Identifier: MIT
 *
 * sandbox - see sandbox.h.
 *
 * The order matters: limits and privileges first, as the filters forbid to change
 * them; then the files; the system calls last, as the steps before need some.
 */
#include "worker/cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cli/kernel.h"
#include "common/poolmap.h"

static bool sealed = true; /* there is nothing to seal */

/* Standard output is the master's: results may go there. */
static int leave_stdout(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0) {
		return -1;
	}
	int err = dup2(null, STDOUT_FILENO) < 0 ? -1 : 0;
	close(null);
	return err;
}

static int limit(int which, uint64_t most)
{
	struct rlimit now;
	if (getrlimit(which, &now) < 0) {
		return -1;
	}
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) {
		most = now.rlim_max;
	}
	struct rlimit wanted = {.rlim_cur = most, .rlim_max = most};
	return setrlimit(which, &wanted);
}

static int set_limits(uint64_t file_bytes)
{
	return limit(RLIMIT_CORE, 0) < 0 ? -1 : limit(RLIMIT_FSIZE, file_bytes);
}

/* Of root's privileges only those over files stay: a directory for bodies may belong
 * to another user. */
static int drop_privileges(void)
{
	const unsigned kept =
		1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_capget, &head, caps) < 0) {
		return -1;
	}
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		unsigned mask = i == 0 ? kept : 0;
		caps[i].permitted &= mask;
		caps[i].effective &= mask;
		caps[i].inheritable = 0;
	}
	return (int)syscall(SYS_capset, &head, caps);
}

static int enter(const struct sandbox *sandbox, const char **what)
{
	int abi = kernel_landlock_abi();
	*what = "standard output";
	int bad = leave_stdout();
	if (!bad) {
		*what = "limits";
		bad = set_limits(sandbox->file_bytes);
	}
	if (!bad) {
		*what = "privileges";
		bad = drop_privileges();
	}
	if (!bad && abi) {
		*what = "Landlock";
		bad = sandbox_files(sandbox, abi);
	}
	if (!bad && kernel_has_seccomp()) {
		*what = "seccomp";
		bad = sandbox_calls(sandbox->dir >= 0);
		sealed = false;
	}
	return bad;
}

int sandbox_enter(const struct sandbox *sandbox, const char **what)
{
	if (kernel_is_watched()) {
		return 0;
	}
	return enter(sandbox, what) ? PM_ESYSTEM : 0;
}

void sandbox_seal(void)
{
	if (!sealed) {
		sealed = true;
		(void)sandbox_calls_seal(); /* it holds without */
	}
}
