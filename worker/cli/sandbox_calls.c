/* SPDX-License-Identifier: MIT
 *
 * sandbox_calls - which system calls a worker of the command may use: the door to
 * libseccomp; see sandbox.h.
 *
 * Runs in: the workers of the command, once.  Allows what is listed.  The worst of the
 * rest is refused with EPERM; anything else does not exist (ENOSYS), so that a newer
 * libc that tries a call that we do not know falls back on one that we do.
 *
 * Arguments that decide are compared in full, or masked: a caller may set bits that the
 * kernel ignores, and they must not change the answer in its favour.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/cli/sandbox.h"

#define S(name) SCMP_SYS(name)

/* The loop, memory, threads, the network. */
static const int always[] = {
	S(read),
	S(write),
	S(readv),
	S(writev),
	S(pread64),
	S(pwrite64),
	S(preadv),
	S(pwritev),
	S(lseek),
	S(close),
	S(dup),
	S(dup2),
	S(dup3),
	S(pipe),
	S(pipe2),
	S(eventfd2),
	S(poll),
	S(ppoll),
	S(select),
	S(pselect6),
	S(epoll_create),
	S(epoll_create1),
	S(epoll_ctl),
	S(epoll_wait),
	S(epoll_pwait),
	S(epoll_pwait2),
	S(timerfd_create),
	S(timerfd_settime),
	S(timerfd_gettime),
	S(futex),
	S(nanosleep),
	S(clock_nanosleep),
	S(clock_gettime),
	S(clock_getres),
	S(gettimeofday),
	S(time),
	S(times),
	S(getrusage),
	S(sysinfo),
	S(uname),
	S(getcpu),
	S(mmap),
	S(munmap),
	S(mremap),
	S(mprotect),
	S(madvise),
	S(brk),
	S(membarrier),
	S(rt_sigaction),
	S(rt_sigprocmask),
	S(rt_sigreturn),
	S(rt_sigpending),
	S(rt_sigtimedwait),
	S(sigaltstack),
	S(restart_syscall),
	S(exit),
	S(exit_group),
	S(set_robust_list),
	S(get_robust_list),
	S(rseq),
	S(set_tid_address),
	S(arch_prctl),
	S(sched_yield),
	S(sched_getaffinity),
	S(sched_getparam),
	S(sched_getscheduler),
	S(getrandom),
	S(getpid),
	S(gettid),
	S(getppid),
	S(getuid),
	S(geteuid),
	S(getgid),
	S(getegid),
	S(getresuid),
	S(getresgid),
	S(capget),
	S(seccomp),
	S(connect),
	S(bind),
	S(sendto),
	S(sendmsg),
	S(sendmmsg),
	S(recvfrom),
	S(recvmsg),
	S(recvmmsg),
	S(getsockname),
	S(getpeername),
	S(getsockopt),
	S(setsockopt),
	S(shutdown),
	S(stat),
	S(lstat),
	S(fstat),
	S(newfstatat),
	S(fstatat64),
	S(statx),
	S(statfs),
	S(fstatfs),
	S(access),
	S(faccessat),
	S(faccessat2),
	S(readlink),
	S(readlinkat),
	S(getdents),
	S(getdents64),
	S(getcwd),
	S(fadvise64),
	S(flock),
	S(umask),
};

/* With bodies in files. */
static const int to_write[] = {
	S(open),
	S(openat),
	S(mkdir),
	S(mkdirat),
	S(unlink),
	S(unlinkat),
	S(rename),
	S(renameat),
	S(renameat2),
	S(link),
	S(linkat),
	S(fsync),
	S(fdatasync),
	S(ftruncate),
	S(fallocate),
	S(sync_file_range),
};

/* What an intruder would like best. */
static const int never[] = {
	S(execve),
	S(execveat),
	S(fork),
	S(vfork),
	S(ptrace),
	S(process_vm_readv),
	S(process_vm_writev),
	S(kill),
	S(tkill),
	S(rt_sigqueueinfo),
	S(rt_tgsigqueueinfo),
	S(pidfd_send_signal),
	S(pidfd_open),
	S(pidfd_getfd),
	S(mount),
	S(umount2),
	S(pivot_root),
	S(chroot),
	S(unshare),
	S(setns),
	S(bpf),
	S(perf_event_open),
	S(userfaultfd),
	S(io_uring_setup),
	S(keyctl),
	S(add_key),
	S(request_key),
	S(open_by_handle_at),
	S(init_module),
	S(finit_module),
	S(kexec_load),
	S(reboot),
	S(listen),
	S(accept),
	S(accept4),
};

static const int descriptor_commands[] = {
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_SETFD,
	F_GETFL,
	F_SETFL,
	F_GETLK,
	F_SETLK,
	F_SETLKW,
	F_OFD_GETLK,
	F_OFD_SETLK,
	F_OFD_SETLKW,
};

static const int ioctls[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TIOCOUTQ};

static const int prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_NO_NEW_PRIVS,
	PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, 0x53564d41 /* PR_SET_VMA: names */};

static const int families[] = {AF_UNIX, AF_INET, AF_INET6};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Calls that an architecture does not have are skipped by libseccomp. */
static int add_all(scmp_filter_ctx f, uint32_t action, const int *calls, size_t ct)
{
	int err = 0;
	for (size_t i = 0; !err && i < ct; i++) {
		err = seccomp_rule_add(f, action, calls[i], 0);
	}
	return err;
}

/* A call whose argument is one of these. */
static int add_with(
	scmp_filter_ctx f, int call, unsigned which, const int *values, size_t ct)
{
	int err = 0;
	for (size_t i = 0; !err && i < ct; i++) {
		struct scmp_arg_cmp is =
			SCMP_CMP(which, SCMP_CMP_EQ, (scmp_datum_t)values[i]);
		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &is);
	}
	return err;
}

static int add_masked(scmp_filter_ctx f, int call, unsigned which, scmp_datum_t mask,
	scmp_datum_t value)
{
	struct scmp_arg_cmp is = SCMP_CMP(which, SCMP_CMP_MASKED_EQ, mask, value);
	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &is);
}

/* Threads, but no processes; clone3() hides its flags from us, and libc can do
 * without. */
static int add_threads(scmp_filter_ctx f)
{
	const scmp_datum_t thread = CLONE_VM | CLONE_THREAD;
	const int self[] = {getpid()};
	int err = add_masked(f, S(clone), 0, thread, thread);
	return err ? err : add_with(f, S(tgkill), 0, self, 1); /* abort() */
}

/* To look at limits, one's own. */
static int add_limits(scmp_filter_ctx f)
{
	struct scmp_arg_cmp own[] = {
		SCMP_CMP(0, SCMP_CMP_EQ, 0), SCMP_CMP(2, SCMP_CMP_EQ, 0)};
	int err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, S(prlimit64), 2, own);
	return err ? err : seccomp_rule_add(f, SCMP_ACT_ALLOW, S(getrlimit), 0);
}

static int add_files(scmp_filter_ctx f, bool writes)
{
	const scmp_datum_t changes = O_ACCMODE | O_CREAT | O_TRUNC;
	if (writes) {
		return add_all(f, SCMP_ACT_ALLOW, to_write, COUNT(to_write));
	}
	int err = add_masked(f, S(open), 1, changes, O_RDONLY);
	return err ? err : add_masked(f, S(openat), 2, changes, O_RDONLY);
}

static int add_rules(scmp_filter_ctx f, bool writes)
{
	static const int pair[] = {AF_UNIX};
	int err = add_all(f, SCMP_ACT_ALLOW, always, COUNT(always));
	err = err ? err : add_all(f, SCMP_ACT_ERRNO(EPERM), never, COUNT(never));
	err = err ? err : add_files(f, writes);
	err = err ? err : add_threads(f);
	err = err ? err : add_limits(f);
	err = err ? err
		  : add_with(f, S(fcntl), 1, descriptor_commands,
			    COUNT(descriptor_commands));
	err = err ? err : add_with(f, S(ioctl), 1, ioctls, COUNT(ioctls));
	err = err ? err : add_with(f, S(prctl), 0, prctls, COUNT(prctls));
	err = err ? err : add_with(f, S(socket), 0, families, COUNT(families));
	return err ? err : add_with(f, S(socketpair), 0, pair, 1);
}

static int load(scmp_filter_ctx f, int err)
{
	if (!err) {
		err = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	}
	if (!err) {
		err = seccomp_load(f);
	}
	seccomp_release(f);
	errno = -err;
	return err ? -1 : 0;
}

int sandbox_calls(bool writes)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!f) {
		errno = ENOMEM;
		return -1;
	}
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree */
	return load(f, add_rules(f, writes));
}

/* On top of the other: both must agree. */
int sandbox_calls_seal(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	if (!f) {
		errno = ENOMEM;
		return -1;
	}
	struct scmp_arg_cmp local =
		SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, AF_UNIX);
	return load(f, seccomp_rule_add_array(
			       f, SCMP_ACT_ERRNO(EACCES), S(socket), 1, &local));
}
