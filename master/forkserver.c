/* SPDX-License-Identifier: MIT
 *
 * forkserver - its start, and the door to it; see forkserver.h.
 *
 * Runs in: the host process.  Process-wide state, because the forkserver is
 * one per process: the door, and the map of what was loaded when it started.
 * A mutex guards it, for hosts with a pool in each of several threads.
 */
#include "master/forkserver.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/wire.h"
#include "master/control.h"

enum { SEGMENTS_MAX = 1024 };

struct segment {
	uintptr_t from, to;
};

static struct {
	pthread_mutex_t mutex;
	pid_t host; /* process that the door belongs to; 0: not started */
	pid_t pid;  /* of the forkserver */
	int door;
	int pool_ct;                           /* attached now */
	struct segment segments[SEGMENTS_MAX]; /* executable, at the start */
	size_t segment_ct;
} server = {.mutex = PTHREAD_MUTEX_INITIALIZER, .door = -1};

static int add_segments(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD && (p->p_flags & PF_X) &&
			server.segment_ct < SEGMENTS_MAX) {
			struct segment *s = &server.segments[server.segment_ct++];
			s->from = info->dlpi_addr + p->p_vaddr;
			s->to = s->from + p->p_memsz;
		}
	}
	return 0;
}

bool forkserver_knows(pm_task_fn *task)
{
	uintptr_t at = (uintptr_t)task;
	for (size_t i = 0; i < server.segment_ct; i++) {
		if (at >= server.segments[i].from && at < server.segments[i].to) {
			return true;
		}
	}
	return false;
}

/* No signal handler of the host may run in the child: block all signals until
 * the child has reset them. */
static pid_t fork_quietly(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid != 0) {
		int number = errno;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		errno = number;
	}
	return pid;
}

/* Descriptors 0 to 2 may be closed in the host; a control socket must not take
 * their place, because the forkserver's children write to them. */
static int above_stdio(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return high;
}

static int start(void)
{
	if (wire_any_live()) {
		return error_note(PM_ENANOMSG,
			"a nanomsg socket is open already, and nanomsg does not "
			"survive "
			"fork(): call pm_forkserver_start() first thing in main()");
	}
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot start the forkserver");
	}
	ends[0] = above_stdio(ends[0]);
	ends[1] = above_stdio(ends[1]);
	server.segment_ct = 0;
	dl_iterate_phdr(add_segments, NULL);
	pid_t host = getpid();
	pid_t pid = ends[0] < 0 || ends[1] < 0 ? -1 : fork_quietly();
	if (pid == 0) {
		forkserver_main(ends[1], host);
	}
	if (pid < 0) {
		int err = error_note_errno(PM_ESYSTEM, "cannot start the forkserver");
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	close(ends[1]);
	server.door = ends[0];
	server.host = host;
	server.pid = pid;
	server.pool_ct = 0;
	return 0;
}

int pm_forkserver_start(void)
{
	int err = 0;
	pthread_mutex_lock(&server.mutex);
	if (server.host != getpid()) { /* never, or by the parent of this process */
		err = start();
	}
	pthread_mutex_unlock(&server.mutex);
	return err;
}

/* At the end of the host process: end the forkserver and reap it, so that not
 * even a zombie is left to whoever inherits it.  The end of file of the door
 * would end it, too, but a child of the host may hold the other end; and a
 * forkserver that does not go must not keep its host. */
__attribute__((destructor)) static void stop(void)
{
	enum { PATIENCE_MS = 1000 };
	if (server.host != getpid()) {
		return;
	}
	struct control_request request = {.type = CONTROL_END};
	(void)control_send(server.door, &request, sizeof request, -1);
	close(server.door);
	struct pollfd gone = {
		.fd = (int)syscall(SYS_pidfd_open, server.pid, 0), .events = POLLIN};
	if (gone.fd >= 0 && poll(&gone, 1, PATIENCE_MS) > 0) {
		(void)waitpid(server.pid, NULL, WNOHANG);
	}
	if (gone.fd >= 0) {
		close(gone.fd);
	}
	server.host = 0;
}

/* One more pool, or PM_ELIMIT. */
static int count_pool(void)
{
	int err = 0;
	pthread_mutex_lock(&server.mutex);
	if (server.pool_ct < PM_POOLS_MAX) {
		server.pool_ct++;
	} else {
		err = error_note(PM_ELIMIT,
			"%d pools are open in this process: close one first",
			PM_POOLS_MAX);
	}
	pthread_mutex_unlock(&server.mutex);
	return err;
}

void forkserver_detach(int socket)
{
	close(socket);
	pthread_mutex_lock(&server.mutex);
	server.pool_ct--;
	pthread_mutex_unlock(&server.mutex);
}

static int attach(const char *rundir, int *socket)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		    ends) < 0) {
		return error_note_errno(PM_ESYSTEM, "cannot reach the forkserver");
	}
	struct control_request request = {.type = CONTROL_ATTACH};
	size_t len = strlen(rundir);
	memcpy(request.rundir, rundir, len < RUNDIR_PATH_MAX ? len : RUNDIR_PATH_MAX);
	int err = control_send(server.door, &request, sizeof request, ends[1]);
	close(ends[1]);
	if (err) {
		close(ends[0]);
		return err < 0 ? err : error_note(PM_ESYSTEM, "the forkserver is busy");
	}
	*socket = ends[0];
	return 0;
}

int forkserver_attach(const char *rundir, int *socket)
{
	int err = count_pool();
	if (err) {
		return err;
	}
	err = attach(rundir, socket);
	if (err) {
		pthread_mutex_lock(&server.mutex);
		server.pool_ct--;
		pthread_mutex_unlock(&server.mutex);
	}
	return err;
}
