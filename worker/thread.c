/* SPDX-License-Identifier: MIT
 *
 * thread - the threads of a worker, see thread.h.
 *
 * Runs in: the worker; thread_main() and what it calls on a thread, everything
 * else in the loop.  A thread takes a call from the queue, runs it, puts it among
 * those that are done and rings an eventfd.
 */
#include "worker/thread.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker/leak.h"
#include "worker/runner.h"

static struct {
	/* the loop's */
	bool open;
	int bell;
	struct event event;
	pthread_t threads[PM_THREADS_MAX];
	unsigned thread_ct;
	unsigned thread_max;

	/* everybody's, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t work; /* or the end */
	struct list queued;  /* calls */
	struct list running;
	struct list done;
	unsigned idle_ct;
	bool stop;
} self = {
	.bell = -1,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
};

/* --------------------------------------------------------------- on a thread */

static void move(struct thread_call *call, struct list *from, struct list *to,
	enum thread_call_state state)
{
	list_remove(from, &call->link);
	list_push_back(to, &call->link);
	call->state = state;
}

/* Under the lock, but for the call itself.  It rings for the first of several. */
static void run(struct thread_call *call)
{
	static const uint64_t one = 1;
	move(call, &self.queued, &self.running, THREAD_CALL_RUNNING);
	pthread_mutex_unlock(&self.lock);
	call->fn(call->arg);
	pthread_mutex_lock(&self.lock);
	bool first = list_empty(&self.done);
	move(call, &self.running, &self.done, THREAD_CALL_DONE);
	if (first) {
		(void)!write(self.bell, &one, sizeof one);
	}
}

static void *thread_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&self.lock);
	while (!self.stop) {
		struct list_node *n = list_first(&self.queued);
		if (n) {
			run(list_entry(n, struct thread_call, link));
			continue;
		}
		self.idle_ct++;
		pthread_cond_wait(&self.work, &self.lock);
		self.idle_ct--;
	}
	pthread_mutex_unlock(&self.lock);
	return NULL;
}

/* --------------------------------------------------------------- in the loop */

static struct thread_call *take_done(void)
{
	pthread_mutex_lock(&self.lock);
	struct list_node *n = list_pop_front(&self.done);
	pthread_mutex_unlock(&self.lock);
	return n ? list_entry(n, struct thread_call, link) : NULL;
}

static void deliver(void)
{
	struct thread_call *call;
	while ((call = take_done())) {
		call->done(call);
	}
}

static void on_bell(evutil_socket_t fd, short what, void *ctx)
{
	uint64_t ct;
	(void)what;
	(void)ctx;
	(void)!read(fd, &ct, sizeof ct); /* before, so that no ringing is lost */
	deliver();
}

static int open_bell(void)
{
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell < 0) {
		return errno;
	}
	event_assign(
		&self.event, worker_base(), bell, EV_READ | EV_PERSIST, on_bell, NULL);
	if (event_add(&self.event, NULL) < 0) {
		close(bell);
		return ENOMEM;
	}
	self.bell = bell;
	leak_keep(bell);
	return 0;
}

static unsigned most_threads(void)
{
	unsigned ct = pm_cpus() + 4;
	return ct < PM_THREADS_MAX ? ct : PM_THREADS_MAX;
}

static int open_all(void)
{
	int code = self.open ? 0 : open_bell();
	if (code || self.open) {
		return code;
	}
	list_init(&self.queued);
	list_init(&self.running);
	list_init(&self.done);
	self.thread_max = most_threads();
	self.stop = false;
	self.open = true;
	return 0;
}

/* Signals are the main thread's business, but for those that a thread brings upon
 * itself. */
static int start_thread(void)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	sigset_t others, before;
	sigfillset(&others);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		sigdelset(&others, own[i]);
	}
	pthread_sigmask(SIG_SETMASK, &others, &before); /* it inherits */
	int code =
		pthread_create(&self.threads[self.thread_ct], NULL, thread_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	self.thread_ct += code == 0;
	return code;
}

/* Enough threads for what is queued?  One that was woken and has not come yet counts as
 * idle, and its call as queued. */
static int provide_thread(void)
{
	pthread_mutex_lock(&self.lock);
	bool enough = self.idle_ct > self.queued.ct;
	pthread_mutex_unlock(&self.lock);
	if (enough || self.thread_ct == self.thread_max) {
		return 0;
	}
	int code = start_thread();
	return self.thread_ct ? 0 : code;
}

int thread_start(struct thread_call *call)
{
	int code = open_all();
	code = code ? code : provide_thread();
	if (code) {
		return code;
	}
	pthread_mutex_lock(&self.lock);
	call->state = THREAD_CALL_QUEUED;
	list_push_back(&self.queued, &call->link);
	pthread_cond_signal(&self.work);
	pthread_mutex_unlock(&self.lock);
	return 0;
}

bool thread_withdraw(struct thread_call *call)
{
	pthread_mutex_lock(&self.lock);
	bool running = call->state == THREAD_CALL_RUNNING;
	if (!running) {
		list_remove(call->state == THREAD_CALL_DONE ? &self.done : &self.queued,
			&call->link);
	}
	pthread_mutex_unlock(&self.lock);
	return !running;
}

int thread_descriptor(void)
{
	return self.bell;
}

/* ----------------------------------------------------------------------- end */

static bool is_running(void)
{
	pthread_mutex_lock(&self.lock);
	bool running = !list_empty(&self.running);
	self.stop = true;
	pthread_cond_broadcast(&self.work);
	pthread_mutex_unlock(&self.lock);
	return running;
}

/* The bell stays when somebody may still ring it. */
void thread_fini(void)
{
	if (!self.open) {
		return;
	}
	event_del(&self.event);
	deliver();
	if (is_running()) {
		return;
	}
	for (unsigned i = 0; i < self.thread_ct; i++) {
		pthread_join(self.threads[i], NULL);
	}
	close(self.bell);
	self.thread_ct = 0;
	self.bell = -1;
	self.open = false;
}
