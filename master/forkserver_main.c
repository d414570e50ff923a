/* SPDX-License-Identifier: MIT
 *
 * forkserver_main - the forkserver process: forks workers on request, reports
 * their end, and takes everything with it when the host process dies.
 *
 * Runs in: the forkserver; single-threaded, without nanomsg, without libevent,
 * so that its children start from a clean image.  Serves forkserver.c (ATTACH)
 * and spawn.c of each pool.  Decides nothing: who is replaced and when is
 * respawn.c's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/list.h"
#include "master/control.h"
#include "master/forkserver.h"

enum {
	CLIENTS_MAX = PM_POOLS_MAX,
	RETRY_MS = 20, /* a pool's control socket is full: try again */
};

struct client {
	int socket;   /* -1: free */
	int blackbox; /* for the next worker; -1: none came */
	char rundir[RUNDIR_PATH_MAX + 1];
};

struct child {
	struct list_node link;
	struct client *client; /* NULL: its pool is gone */
	uint32_t slot, generation;
	pid_t pid;
	bool exited; /* but not reported yet */
	int status;
};

static struct {
	int door, host_pidfd, signal_fd;
	pid_t host;
	struct client clients[CLIENTS_MAX];
	struct list children;
} self;

/* ---------------------------------------------------------------- children */

static struct child *find(struct client *client, uint32_t slot, uint32_t generation)
{
	struct list_node *n = self.children.head.next;
	for (; n != &self.children.head; n = n->next) {
		struct child *c = list_entry(n, struct child, link);
		if (c->client == client && c->slot == slot &&
			c->generation == generation) {
			return c;
		}
	}
	return NULL;
}

static _Noreturn void be_worker(
	const struct boot *boot, int lifeline, int blackbox, pid_t parent)
{
	int keep[] = {lifeline, blackbox};
	boot_clean(keep, 2);
	boot_tie_to(parent);
	char name[16];
	snprintf(name, sizeof name, "poolmap-%u", boot->route.slot);
	prctl(PR_SET_NAME, name);
	worker_main(boot, lifeline, blackbox);
}

static void tell(struct client *client, enum control_type type, const struct boot *boot,
	pid_t pid, int status)
{
	struct control_event event = {.type = type,
		.slot = boot->route.slot,
		.generation = boot->route.generation,
		.pid = pid,
		.status = status};
	/* A full socket holds thousands of these; a lost SPAWNED is a start that
	 * times out, and is replaced. */
	(void)control_send(client->socket, &event, sizeof event, -1);
}

static void spawn(struct client *client, const struct boot *boot, int lifeline)
{
	/* NOLINTNEXTLINE(gcc-malloc-leak): self.children keeps it */
	struct child *child = calloc(1, sizeof *child);
	pid_t parent = getpid();
	pid_t pid = child ? fork() : -1;
	if (pid == 0) {
		be_worker(boot, lifeline, client->blackbox, parent);
	}
	if (pid < 0) {
		tell(client, CONTROL_SPAWNED, boot, 0, child ? errno : ENOMEM);
		free(child);
		return;
	}
	child->client = client;
	child->slot = boot->route.slot;
	child->generation = boot->route.generation;
	child->pid = pid;
	list_push_back(&self.children, &child->link);
	tell(client, CONTROL_SPAWNED, boot, pid, 0);
}

/* Report an end; false when it has to wait for room in the socket. */
static bool report(struct child *child)
{
	struct control_event event = {.type = CONTROL_EXITED,
		.slot = child->slot,
		.generation = child->generation,
		.pid = child->pid,
		.status = child->status};
	return !child->client || control_send(child->client->socket, &event,
					 sizeof event, -1) != CONTROL_AGAIN;
}

static void mark_exited(pid_t pid, int status)
{
	struct list_node *n = self.children.head.next;
	for (; n != &self.children.head; n = n->next) {
		struct child *c = list_entry(n, struct child, link);
		if (c->pid == pid) {
			c->exited = true;
			c->status = status;
		}
	}
}

/* Reap, then report what was reaped; false when some reports must wait. */
static bool reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		mark_exited(pid, status);
	}
	bool all = true;
	struct list_node *n = self.children.head.next;
	while (n != &self.children.head) {
		struct child *c = list_entry(n, struct child, link);
		n = n->next;
		if (c->exited && report(c)) {
			list_remove(&self.children, &c->link);
			free(c);
		} else if (c->exited) {
			all = false;
		}
	}
	return all;
}

/* ----------------------------------------------------------------- clients */

static void attach(const struct control_request *request, int socket)
{
	for (int i = 0; i < CLIENTS_MAX && socket >= 0; i++) {
		struct client *c = &self.clients[i];
		if (c->socket < 0) {
			c->socket = socket;
			c->blackbox = -1;
			memcpy(c->rundir, request->rundir, sizeof c->rundir);
			c->rundir[RUNDIR_PATH_MAX] = '\0';
			return;
		}
	}
	if (socket >= 0) {
		close(socket); /* the pool sees the end of file */
	}
}

static void keep_blackbox(struct client *client, int blackbox)
{
	if (client->blackbox >= 0) {
		close(client->blackbox);
	}
	client->blackbox = blackbox;
}

/* The pool is gone: so are its workers, now, and its directory. */
static void detach(struct client *client)
{
	struct list_node *n = self.children.head.next;
	for (; n != &self.children.head; n = n->next) {
		struct child *c = list_entry(n, struct child, link);
		if (c->client == client) {
			kill(c->pid, SIGKILL);
			c->client = NULL;
		}
	}
	close(client->socket);
	client->socket = -1;
	keep_blackbox(client, -1);
	if (client->rundir[0]) {
		rundir_remove(client->rundir);
	}
}

static void serve(struct client *client)
{
	struct control_request request;
	int fd = -1;
	int err = control_receive(client->socket, &request, sizeof request, &fd);
	if (err == CONTROL_AGAIN) {
		return;
	}
	if (err) {
		detach(client);
		return;
	}
	if (request.type == CONTROL_BLACKBOX) {
		keep_blackbox(client, fd);
		return;
	}
	if (request.type == CONTROL_SPAWN && (fd < 0 || client->blackbox < 0)) {
		/* No room for a descriptor: the kernel drops it in silence. */
		tell(client, CONTROL_SPAWNED, &request.boot, 0, EMFILE);
	} else if (request.type == CONTROL_SPAWN) {
		spawn(client, &request.boot, fd);
		keep_blackbox(client, -1);
	} else if (request.type == CONTROL_KILL) {
		struct child *c = find(
			client, request.boot.route.slot, request.boot.route.generation);
		if (c && !c->exited) {
			kill(c->pid, request.signal);
		}
	}
	if (fd >= 0) {
		close(fd);
	}
}

/* Pools that the host was opening when it died: their directories are left to
 * us. */
static void attach_waiting(void)
{
	struct control_request request;
	int fd = -1;
	(void)fcntl(self.door, F_SETFL, O_NONBLOCK);
	while (control_receive(self.door, &request, sizeof request, &fd) == 0) {
		if (request.type == CONTROL_ATTACH) {
			attach(&request, fd);
		} else if (fd >= 0) {
			close(fd);
		}
	}
}

static _Noreturn void end(void)
{
	attach_waiting();
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (self.clients[i].socket >= 0) {
			detach(&self.clients[i]);
		}
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
	}
	_exit(0);
}

static void serve_door(void)
{
	struct control_request request;
	int fd = -1;
	int err = control_receive(self.door, &request, sizeof request, &fd);
	if (err < 0 || (!err && request.type == CONTROL_END)) {
		end();
	}
	if (!err && request.type == CONTROL_ATTACH) {
		attach(&request, fd);
	} else if (fd >= 0) {
		close(fd);
	}
}

/* -------------------------------------------------------------------- loop */

static void init(int door, pid_t host)
{
	boot_clean(&door, 1);
	prctl(PR_SET_NAME, "poolmap-fork");
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	self.signal_fd = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
	self.door = door;
	self.host = host;
	/* The door's end of file is not enough: a child that the host forks may
	 * hold the other end.  Where pidfd_open() is missing, it has to be. */
	self.host_pidfd = (int)syscall(SYS_pidfd_open, host, 0);
	list_init(&self.children);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		self.clients[i].socket = -1;
	}
	if (self.signal_fd < 0) {
		_exit(1);
	}
	if (getppid() != host) {
		end(); /* it is dead already */
	}
}

static void turn(bool retry)
{
	struct pollfd fds[CLIENTS_MAX + 3];
	struct client *who[CLIENTS_MAX + 3];
	nfds_t ct = 0;
	fds[ct++] = (struct pollfd){.fd = self.door, .events = POLLIN};
	fds[ct++] = (struct pollfd){.fd = self.signal_fd, .events = POLLIN};
	fds[ct++] = (struct pollfd){.fd = self.host_pidfd, .events = POLLIN};
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (self.clients[i].socket >= 0) {
			who[ct] = &self.clients[i];
			fds[ct++] = (struct pollfd){
				.fd = self.clients[i].socket, .events = POLLIN};
		}
	}
	if (poll(fds, ct, retry ? RETRY_MS : -1) < 0) {
		if (errno == EINVAL) {
			end(); /* more than RLIMIT_NOFILE allows now: it is deaf */
		}
		return;
	}
	if (fds[2].revents) {
		end();
	}
	if (fds[1].revents) {
		struct signalfd_siginfo info;
		while (read(self.signal_fd, &info, sizeof info) > 0) {
		}
	}
	for (nfds_t i = 3; i < ct; i++) {
		if (fds[i].revents) {
			serve(who[i]);
		}
	}
	if (fds[0].revents) {
		serve_door();
	}
}

void forkserver_main(int door, pid_t host)
{
	init(door, host);
	bool all_reported = true;
	for (;;) {
		turn(!all_reported);
		all_reported = reap();
	}
}
