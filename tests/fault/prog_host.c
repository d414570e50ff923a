/* SPDX-License-Identifier: MIT
 *
 * prog_host - a host program, for tests that need one that is not Criterion's:
 * to kill it, to fork it, or to start it in odd surroundings.
 *
 *   prog_host sleepers DIR WORKERS   open a pool below DIR, print "open", then map
 *                                    tasks that sleep; say "job" for each begun one
 *   prog_host keeper DIR WORKERS     the same, with a child that has copies of all
 *                                    descriptors; prints "child PID" first
 *   prog_host MODE DIR               one of the modes below: open a pool, use it,
 *                                    and exit with 0 when all went well
 *
 * Runs by itself.  Its forkserver and workers have its command line, and so DIR,
 * by which a test finds them all.
 */
#include <poolmap.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *dir;

static int die(const char *what)
{
	fprintf(stderr, "prog_host: %s: %s\n", what, pm_last_error());
	return 1;
}

static int open_pool(pm_pool **pool, unsigned workers, unsigned concurrency)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	o.workers = workers;
	o.concurrency = concurrency;
	o.runtime_dir = dir;
	return pm_pool_open(pool, &o);
}

/* ----------------------------------------------------------------- sleepers */

static int task_sleep(pm_task *task, const void *arg, size_t len)
{
	unsigned ms;
	(void)len;
	memcpy(&ms, arg, sizeof ms);
	return pm_sleep(task, ms);
}

/* Every fourth job is short, so that there is always something going on. */
static int endless(void *ctx, struct pm_job *job)
{
	static unsigned ms;
	unsigned *ct = ctx;
	ms = ++*ct % 4 ? 60000 : 1;
	job->arg = &ms;
	job->len = sizeof ms;
	puts("job");
	fflush(stdout);
	return PM_SOURCE_JOB;
}

static int ignore(void *ctx, const struct pm_result *result)
{
	(void)ctx;
	(void)result;
	return PM_SINK_TAKEN;
}

static int sleepers(unsigned workers)
{
	pm_pool *pool;
	unsigned ct = 0;
	struct pm_stream stream = {
		.task = task_sleep, .source = endless, .sink = ignore, .ctx = &ct};
	puts("start");
	fflush(stdout);
	if (open_pool(&pool, workers, workers * 8)) {
		return die("open");
	}
	puts("open");
	fflush(stdout);
	return pm_map_stream(pool, &stream) ? die("map") : 0;
}

/* A child that holds copies of all that the host has open, for good. */
static void leave_child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		alarm(60); /* for good, but not for ever */
		for (;;) {
			pause();
		}
	}
	printf("child %d\n", (int)pid);
	fflush(stdout);
}

static int keep_then_sleep(void *ctx, struct pm_job *job)
{
	unsigned *ct = ctx;
	if (*ct == 0) {
		leave_child(); /* everything is open by now */
	}
	return endless(ctx, job);
}

static int keeper(unsigned workers)
{
	pm_pool *pool;
	unsigned ct = 0;
	struct pm_stream stream = {.task = task_sleep,
		.source = keep_then_sleep,
		.sink = ignore,
		.ctx = &ct};
	if (open_pool(&pool, workers, workers * 8)) {
		return die("open");
	}
	return pm_map_stream(pool, &stream) ? die("map") : 0;
}

/* -------------------------------------------------------------------- modes */

static int task_double(pm_task *task, const void *arg, size_t len)
{
	unsigned n;
	(void)len;
	memcpy(&n, arg, sizeof n);
	n *= 2;
	return pm_return(task, &n, sizeof n);
}

enum { JOBS = 200 };

/* Map and check; 0 when every result is right. */
static int use_pool(pm_pool *pool)
{
	unsigned numbers[JOBS], wrong = 0;
	struct pm_job jobs[JOBS];
	struct pm_result results[JOBS];
	for (unsigned i = 0; i < JOBS; i++) {
		numbers[i] = i;
		jobs[i] = (struct pm_job){.arg = &numbers[i], .len = sizeof numbers[i]};
	}
	if (pm_map(pool, task_double, jobs, JOBS, results)) {
		return die("map");
	}
	for (unsigned i = 0; i < JOBS; i++) {
		unsigned n = 0;
		if (results[i].error == 0 && results[i].len == sizeof n) {
			memcpy(&n, results[i].bytes, sizeof n);
		}
		wrong += n != 2 * i;
	}
	pm_results_clear(results, JOBS);
	return wrong ? die("wrong results") : 0;
}

static int open_use_close(void)
{
	pm_pool *pool;
	if (open_pool(&pool, 2, 8)) {
		return die("open");
	}
	int status = use_pool(pool);
	pm_pool_close(&pool);
	return status;
}

/* The forkserver is the parent's: the child must get one of its own.  Both use
 * a pool at the same time. */
static int fork_then_open(void)
{
	int status = 1;
	if (pm_forkserver_start()) {
		return die("forkserver");
	}
	pid_t pid = fork();
	if (pid == 0) {
		alarm(20);
		exit(open_use_close());
	}
	int own = open_use_close();
	waitpid(pid, &status, 0);
	return own || status ? die("child") : open_use_close();
}

/* A child forked while nanomsg is live in this process, and busy: all but the
 * first worker are just connecting.  nanomsg's thread, which the child does not
 * have, may hold its locks.  A refusal is the one right answer; an alarm ends a
 * child that gives none. */
static _Noreturn void be_child(void)
{
	pm_pool *none = NULL;
	alarm(3);
	_exit(open_pool(&none, 1, 1) == PM_ENANOMSG ? 0 : 1);
}

static int fork_with_pool(void)
{
	enum { TIMES = 60, WORKERS = 6 };
	int status = 0;
	for (int i = 0; i < TIMES && !status; i++) {
		pm_pool *pool;
		if (open_pool(&pool, WORKERS, WORKERS)) {
			return die("open");
		}
		pid_t pid = fork();
		if (pid == 0) {
			be_child();
		}
		waitpid(pid, &status, 0);
		if (status) {
			fprintf(stderr, "child %d: status %#x\n", i, (unsigned)status);
		}
		pm_pool_terminate(&pool);
	}
	return status ? 1 : open_use_close();
}

static atomic_int threads_run = 1;

static void *busy_thread(void *unused)
{
	while (threads_run) {
		free(malloc(1000)); /* holds locks of libc that a fork must survive */
	}
	return unused;
}

static int threads(void)
{
	enum { THREADS = 4 };
	pthread_t ids[THREADS];
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&ids[i], NULL, busy_thread, NULL)) {
			return die("thread");
		}
	}
	int status = pm_forkserver_start() ? die("forkserver") : 0;
	for (int i = 0; i < 3 && !status; i++) {
		status = open_use_close();
	}
	threads_run = 0;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
	}
	return status;
}

/* A pool in each of several threads; for ThreadSanitizer, too, under which no
 * test of Criterion's runs. */
static void *use_pools(void *result)
{
	for (int i = 0; i < 3 && !*(int *)result; i++) {
		*(int *)result = open_use_close();
	}
	return NULL;
}

static int in_threads(void *(*use)(void *result))
{
	enum { THREADS = 3 };
	pthread_t ids[THREADS];
	int results[THREADS] = {0}, status = 0;
	if (pm_forkserver_start()) {
		return die("forkserver");
	}
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&ids[i], NULL, use, &results[i])) {
			return die("thread");
		}
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
		status |= results[i];
	}
	return status;
}

static int pools_in_threads(void)
{
	return in_threads(use_pools);
}

/* Calls of another thread, and of a child process, are refused, whatever they are, and
 * change nothing. */
struct foreign {
	pm_pool *pool;
	pm_future *future;
	pm_iter *iter;
	int wrong; /* calls that were not refused */
};

static int one_job(void *ctx, struct pm_job *job)
{
	static const unsigned number = 21;
	unsigned *given = ctx;
	*job = PM_JOB(number);
	return ++*given > 1 ? PM_SOURCE_END : PM_SOURCE_JOB;
}

static void note_call(pm_future *future, void *ctx)
{
	(void)future;
	++*(unsigned *)ctx;
}

static int count_accepted(const int *errors, size_t ct)
{
	int accepted = 0;
	for (size_t i = 0; i < ct; i++) {
		if (errors[i] != PM_ESTATE) {
			fprintf(stderr, "call %zu: %s\n", i, pm_error_name(errors[i]));
			accepted++;
		}
	}
	return accepted;
}

static void use_foreign_pool(struct foreign *x)
{
	unsigned given = 0;
	struct pm_job job = {0};
	struct pm_result r;
	const struct pm_result *next;
	pm_future *f = NULL;
	pm_iter *it = NULL;
	struct pm_stream s = {.task = task_double, .source = one_job, .ctx = &given};
	int errors[] = {
		pm_submit(x->pool, task_double, &job, &f),
		pm_map(x->pool, task_double, &job, 1, &r),
		pm_apply(x->pool, task_double, NULL, 0, &r),
		pm_starmap(x->pool, task_double, &given, sizeof given, 1, &r),
		pm_imap(x->pool, &s, &it),
		pm_next(x->iter, 0, &next),
		pm_future_cancel(x->future),
		pm_future_on_done(x->future, note_call, &given),
		pm_wait(&x->future, 1, PM_ALL, 0, NULL),
		pm_pool_wait_room(x->pool, 0),
		pm_pool_fd(x->pool),
		pm_pool_step(x->pool),
		pm_pool_shutdown(x->pool, PM_CANCEL_ALL, 0),
		pm_pool_join(x->pool, 0),
	};
	s.sink = ignore;
	int more[] = {
		pm_map_stream(x->pool, &s),
		pm_map_async(x->pool, &s, &f),
	};
	pm_pool *same = x->pool;
	pm_iter *same_iter = x->iter;
	pm_iter_close(&same_iter);
	pm_pool_close(&same);
	pm_pool_terminate(&same);
	x->wrong = count_accepted(errors, sizeof errors / sizeof *errors) +
		   count_accepted(more, sizeof more / sizeof *more) +
		   (same != x->pool) + (same_iter != x->iter) + (f || it || given);
}

static void *visit(void *ctx)
{
	use_foreign_pool(ctx);
	return NULL;
}

static int visit_in_thread(struct foreign *x)
{
	pthread_t id;
	if (pthread_create(&id, NULL, visit, x)) {
		return die("thread");
	}
	pthread_join(id, NULL);
	return x->wrong;
}

static bool is_child;

#ifdef __SANITIZE_ADDRESS__
/* LeakSanitizer asks.  In a child of a process with threads it complains of those that
 * are not there.
 * NOLINTNEXTLINE(bugprone-reserved-identifier): its name */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
/* NOLINTNEXTLINE(bugprone-reserved-identifier) */
int __lsan_is_turned_off(void)
{
	return is_child;
}
#endif

/* It ends as a program does, destructors and all. */
static int visit_in_child(struct foreign *x)
{
	int status = 1;
	pid_t pid = fork();
	if (pid == 0) {
		is_child = true;
		alarm(20);
		use_foreign_pool(x);
		exit(x->wrong ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static int receive_foreign(int (*come)(struct foreign *x))
{
	struct foreign x = {0};
	unsigned number = 4, given = 0;
	struct pm_job job = PM_JOB(number);
	struct pm_stream s = {.task = task_double, .source = one_job, .ctx = &given};
	const struct pm_result *r;
	if (open_pool(&x.pool, 1, 4) ||
		pm_submit(x.pool, task_double, &job, &x.future) ||
		pm_imap(x.pool, &s, &x.iter)) {
		return die("open");
	}
	int status = come(&x) || pm_wait(&x.future, 1, PM_ALL, PM_FOREVER, NULL) ||
		     pm_future_result(x.future)->error ||
		     pm_next(x.iter, PM_FOREVER, &r) != PM_NEXT_RESULT ||
		     use_pool(x.pool);
	pm_iter_close(&x.iter);
	pm_future_free(&x.future);
	pm_pool_close(&x.pool);
	return status ? die("foreign calls") : 0;
}

static int foreign_thread(void)
{
	return receive_foreign(visit_in_thread);
}

static int foreign_process(void)
{
	return receive_foreign(visit_in_child);
}

/* Futures with callbacks, iterators and shutdowns, in several threads at once. */
static int use_futures(pm_pool *pool)
{
	enum { FUTURES = 300 };
	pm_future *futures[FUTURES];
	unsigned called = 0, given = 0, wrong = 0;
	struct pm_stream s = {.task = task_double, .source = one_job, .ctx = &given};
	const struct pm_result *r;
	pm_iter *it;
	if (pm_imap(pool, &s, &it)) {
		return die("imap");
	}
	for (unsigned i = 0; i < FUTURES; i++) {
		struct pm_job job = PM_JOB(i);
		if (pm_submit(pool, task_double, &job, &futures[i]) ||
			pm_future_on_done(futures[i], note_call, &called)) {
			return die("submit");
		}
	}
	wrong += pm_wait(futures, FUTURES, PM_ALL, PM_FOREVER, NULL) != 0;
	wrong += pm_next(it, PM_FOREVER, &r) != PM_NEXT_RESULT || r->error;
	pm_iter_close(&it);
	wrong += pm_pool_shutdown(pool, PM_DRAIN, PM_FOREVER) ||
		 pm_pool_join(pool, PM_FOREVER);
	for (unsigned i = 0; i < FUTURES; i++) {
		wrong += pm_future_result(futures[i])->error != 0;
		pm_future_free(&futures[i]);
	}
	return wrong || called != FUTURES ? die("futures") : 0;
}

static void *use_futures_in_thread(void *result)
{
	for (int i = 0; i < 3 && !*(int *)result; i++) {
		pm_pool *pool;
		if (open_pool(&pool, 2, 8)) {
			*(int *)result = die("open");
			break;
		}
		*(int *)result = use_futures(pool);
		pm_pool_close(&pool);
	}
	return NULL;
}

static int futures_in_threads(void)
{
	return in_threads(use_futures_in_thread);
}

static int twice(void)
{
	/* NOLINTNEXTLINE(misc-redundant-expression): the second does nothing */
	if (pm_forkserver_start() || pm_forkserver_start()) {
		return die("forkserver");
	}
	return open_use_close() || pm_forkserver_start() ? 1 : 0;
}

/* Whatever descriptors 0 to 2 are, the pool's are none of them. */
static int closed_stdio(void)
{
	close(0);
	close(1);
	close(2);
	return open_use_close();
}

static int chld_ignored(void)
{
	signal(SIGCHLD, SIG_IGN);
	return open_use_close();
}

static int signals_blocked(void)
{
	sigset_t all, after;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	int status = open_use_close();
	sigprocmask(SIG_SETMASK, NULL, &after);
	return status || !sigismember(&after, SIGTERM) || !sigismember(&after, SIGCHLD);
}

/* main() returns, and nobody has closed the pool. */
static int left_open(void)
{
	static pm_pool *pool; /* not lost, for those who look for leaks */
	return open_pool(&pool, 3, 8) ? die("open") : use_pool(pool);
}

static int left_by_underscore_exit(void)
{
	int status = left_open();
	_exit(status);
}

static const struct mode {
	const char *name;
	int (*run)(void);
} modes[] = {
	{"plain", open_use_close},
	{"fork-then-open", fork_then_open},
	{"fork-with-pool", fork_with_pool},
	{"threads", threads},
	{"pools-in-threads", pools_in_threads},
	{"futures-in-threads", futures_in_threads},
	{"foreign-thread", foreign_thread},
	{"foreign-process", foreign_process},
	{"twice", twice},
	{"closed-stdio", closed_stdio},
	{"chld-ignored", chld_ignored},
	{"signals-blocked", signals_blocked},
	{"left-open", left_open},
	{"left-by-exit", left_by_underscore_exit},
};

int main(int argc, char **argv)
{
	if (argc == 4) {
		unsigned workers = (unsigned)strtoul(argv[3], NULL, 10);
		dir = argv[2];
		return strcmp(argv[1], "keeper") == 0 ? keeper(workers)
						      : sleepers(workers);
	}
	dir = argc == 3 ? argv[2] : "";
	for (size_t i = 0; argc == 3 && i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(argv[1], modes[i].name) == 0) {
			return modes[i].run();
		}
	}
	fprintf(stderr, "usage: prog_host sleepers|keeper DIR WORKERS | MODE DIR\n");
	return 2;
}
