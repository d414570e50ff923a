/* SPDX-License-Identifier: MIT
 *
 * prog_chaos - a host whose workers are killed, crash and are stopped all the time.
 *
 *   prog_chaos kills CT EVERY_MS TIMES_MAX
 *       A random worker gets SIGKILL every so often, until all jobs have their results.
 *       To be slower than TIMES_MAX times the same jobs in peace is a failure; 0: not.
 *
 *   prog_chaos crashes CT BAD
 *       BAD of the jobs touch what they may not.
 *
 *   prog_chaos stops STOPS LATE_MS
 *       Workers are stopped one after the other; some go on before they are found, some
 *       after it.  To be found so late is a failure; 0: not.
 *
 *   prog_chaos frozen SECONDS
 *       Print the pid, run so long, and fail when a worker was lost: for those who stop
 *       all of it.
 *
 * Runs by itself; started by tests and by tests/fault/long.  Prints its figures on one
 * line, and exits with 0 when nothing was lost, doubled or out of order.  What is
 * random comes from a seed, which is in the line; POOLMAP_TEST_SEED sets it.
 */
#include <poolmap.h>

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS = 2,
	CONCURRENCY = 64,
	ROUNDS = 2000,     /* of a job's work: some 10 us */
	SLEEPS_EVERY = 64, /* jobs, of which one waits */
	HANG_MS = 1000,    /* a silent worker is killed */
	LATE_MS = 1500     /* within so much more: three heartbeats */
};

static struct event_base *base;
static pm_pool *pool;
static uint64_t dice_state, seed;

/* ----------------------------------------------------------------- plumbing */

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "prog_chaos: %s: %s (POOLMAP_TEST_SEED=%" PRIu64 ")\n", what,
		pm_last_error(), seed);
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void seed_dice(void)
{
	const char *given = getenv("POOLMAP_TEST_SEED");
	seed = given ? strtoull(given, NULL, 10) : (uint64_t)(now_s() * 1e6);
	dice_state = seed;
}

/* 0 ... below - 1 */
static unsigned dice(unsigned below)
{
	dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((dice_state >> 33) % below);
}

static void open_pool(void)
{
	struct pm_pool_options o;
	base = event_base_new();
	pm_pool_options_init(&o);
	o.workers = WORKERS;
	o.concurrency = CONCURRENCY;
	o.hang_timeout_ms = HANG_MS;
	o.base = base;
	if (!base || pm_pool_open(&pool, &o)) {
		die("open");
	}
}

static void close_pool(void)
{
	pm_pool_close(&pool);
	event_base_free(base);
}

static struct pm_pool_stats stats_now(void)
{
	struct pm_pool_stats stats;
	pm_pool_stats(pool, &stats);
	return stats;
}

/* The process in a random slot; 0: there is none that is ready. */
static pid_t random_worker(void)
{
	struct pm_worker_info info;
	if (pm_worker_info(pool, dice(WORKERS), &info) || !info.ready) {
		return 0;
	}
	return (pid_t)info.pid;
}

/* --------------------------------------------------------------------- jobs */

struct order {
	uint64_t number;
	bool crash;
};

/* Nothing that a compiler leaves out, and a result that only work can give. */
static uint64_t work(uint64_t number)
{
	uint64_t x = number + 1;
	for (int i = 0; i < ROUNDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static int task(pm_task *t, const void *arg, size_t len)
{
	struct order o;
	(void)len;
	memcpy(&o, arg, sizeof o);
	if (o.number % SLEEPS_EVERY == 0) {
		int err = pm_sleep(t, 1);
		if (err) {
			return err;
		}
	}
	if (o.crash) {
		/* Not NULL: there are machines with memory at 0.
		 * NOLINTNEXTLINE(gcc-write-to-string-literal): that is the crash */
		*(volatile char *)(uintptr_t) "constant" = 1;
	}
	uint64_t result[2] = {o.number, work(o.number)};
	return pm_return(t, result, sizeof result);
}

struct batch {
	uint64_t ct;  /* jobs; no more are taken then */
	uint64_t bad; /* of them crash */
	bool endless; /* until somebody says otherwise */
	struct order order;
	uint64_t pulled, delivered;
	uint64_t crashed; /* as they should */
};

/* `bad` of them, at equal distances. */
static bool is_bad(const struct batch *b, uint64_t i)
{
	return b->bad && i % (b->ct / b->bad) == 7;
}

static int source(void *ctx, struct pm_job *job)
{
	struct batch *b = ctx;
	if (!b->endless && b->pulled >= b->ct) {
		return PM_SOURCE_END;
	}
	b->order = (struct order){.number = b->pulled, .crash = is_bad(b, b->pulled)};
	b->pulled++;
	job->arg = &b->order;
	job->len = sizeof b->order;
	return PM_SOURCE_JOB;
}

_Noreturn static void wrong(const struct pm_result *r, const char *what)
{
	fprintf(stderr,
		"prog_chaos: result %" PRIu64 ": %s: %s, %s %d, %s, %u attempts "
		"(POOLMAP_TEST_SEED=%" PRIu64 ")\n",
		r->index, what, pm_error_name(r->error), pm_domain_name(r->domain),
		r->code, r->message ? r->message : "-", r->attempts, seed);
	exit(1);
}

/* In order, each once, and what the job gives. */
static int sink(void *ctx, const struct pm_result *r)
{
	struct batch *b = ctx;
	if (r->index != b->delivered++) {
		wrong(r, "out of order, lost or double");
	}
	if (is_bad(b, r->index)) {
		if (r->error != PM_EWORKERLOST || r->domain != PM_DOMAIN_SIGNAL ||
			r->code != SIGSEGV) {
			wrong(r, "should be lost by SIGSEGV");
		}
		b->crashed++;
		return PM_SINK_TAKEN;
	}
	uint64_t expected[2] = {r->index, work(r->index)};
	if (r->error || r->len != sizeof expected ||
		memcmp(r->bytes, expected, sizeof expected) != 0) {
		wrong(r, "is not that of its job");
	}
	return PM_SINK_TAKEN;
}

/* Returns seconds. */
static double run(struct batch *b)
{
	struct pm_stream stream = {
		.task = task, .source = source, .sink = sink, .ctx = b};
	double begin = now_s();
	if (pm_map_stream(pool, &stream)) {
		die("map");
	}
	if (b->delivered != b->pulled) {
		die("results are missing");
	}
	return now_s() - begin;
}

static struct event *every(unsigned ms, event_callback_fn cb, void *ctx)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct event *timer = event_new(base, -1, EV_PERSIST, cb, ctx);
	if (!timer || event_add(timer, &tv)) {
		die("timer");
	}
	return timer;
}

/* -------------------------------------------------------------------- kills */

static void kill_cb(evutil_socket_t fd, short what, void *ctx)
{
	uint64_t *kills = ctx;
	pid_t pid = random_worker();
	(void)fd;
	(void)what;
	*kills += pid && kill(pid, SIGKILL) == 0;
}

static double run_in_peace(uint64_t ct)
{
	struct batch b = {.ct = ct};
	open_pool();
	double took = run(&b);
	close_pool();
	return took;
}

/* Peace before and after, as the machine may have other things to do. */
static int kills(uint64_t ct, unsigned every_ms, double times_max)
{
	struct batch b = {.ct = ct};
	uint64_t kill_ct = 0;
	double peace = run_in_peace(ct);
	open_pool();
	struct event *timer = every(every_ms, kill_cb, &kill_ct);
	double took = run(&b);
	event_free(timer);
	struct pm_pool_stats s = stats_now();
	close_pool();
	peace = (peace + run_in_peace(ct)) / 2;
	printf("kills: %" PRIu64 " results in order, 0 lost, 0 double; %" PRIu64
	       " workers killed, one every %u ms; %" PRIu64 " jobs ran again; %.2f s, "
	       "in peace %.2f s: %.2f times; seed %" PRIu64 "\n",
		b.delivered, s.workers_lost, every_ms, s.jobs_rerun, took, peace,
		took / peace, seed);
	/* a signal may come to one that is dead already */
	if (!s.workers_lost || s.workers_lost > kill_ct) {
		fprintf(stderr, "prog_chaos: %" PRIu64 " killed, %" PRIu64 " lost\n",
			kill_ct, s.workers_lost);
		return 1;
	}
	return times_max > 0 && took > peace * times_max;
}

/* ------------------------------------------------------------------ crashes */

static int crashes(uint64_t ct, uint64_t bad)
{
	struct batch b = {.ct = ct, .bad = bad};
	open_pool();
	double took = run(&b);
	struct pm_pool_stats s = stats_now();
	close_pool();
	printf("crashes: %" PRIu64 " of %" PRIu64
	       " jobs failed as worker_lost by SIGSEGV, %" PRIu64 " ok; %" PRIu64
	       " workers lost, %" PRIu64 " jobs ran again; %.2f s\n",
		b.crashed, b.delivered, b.delivered - b.crashed, s.workers_lost,
		s.jobs_rerun, took);
	return b.crashed != bad;
}

/* -------------------------------------------------------------------- stops */

/* One worker after the other is stopped.  Every second one goes on, at a moment
 * that may be before or after the pool has had enough of it; the others never. */
struct stops {
	struct batch batch;
	unsigned wanted, begun, killed, survived;
	int pidfd; /* of the stopped one; -1: none is */
	unsigned slot;
	struct pm_worker_info then; /* when it was stopped; or when it went on */
	double at, go_on_at;        /* 0: never */
	bool went_on;
	double longest;
};

static struct pm_worker_info info_of(unsigned slot)
{
	struct pm_worker_info info;
	if (pm_worker_info(pool, slot, &info)) {
		die("pm_worker_info");
	}
	return info;
}

static void stop_one(struct stops *s)
{
	s->slot = dice(WORKERS);
	s->then = info_of(s->slot);
	s->pidfd = s->then.ready ? (int)syscall(SYS_pidfd_open, s->then.pid, 0) : -1;
	if (s->pidfd < 0 ||
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGSTOP, NULL, 0)) {
		die("cannot stop a worker");
	}
	s->at = now_s();
	s->went_on = false;
	s->go_on_at = ++s->begun % 2 ? 0 : s->at + dice(HANG_MS + LATE_MS) / 1e3;
}

static void end_stop(struct stops *s)
{
	close(s->pidfd);
	s->pidfd = -1;
	s->batch.endless = s->begun < s->wanted;
}

static void go_on(struct stops *s)
{
	(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGCONT, NULL, 0);
	s->then = info_of(s->slot);
	s->went_on = true;
	s->go_on_at = 0;
}

/* A worker that was replaced cannot go on, and nobody else does in its place. */
static void replaced(struct stops *s)
{
	double late = now_s() - s->at;
	if (!syscall(SYS_pidfd_send_signal, s->pidfd, SIGCONT, NULL, 0) ||
		errno != ESRCH) {
		die("a replaced worker is still there");
	}
	s->longest = !s->went_on && late > s->longest ? late : s->longest;
	s->killed++;
	end_stop(s);
}

static void watch_stopped(struct stops *s)
{
	struct pm_worker_info now = info_of(s->slot);
	if (now.starts != s->then.starts) {
		replaced(s);
	} else if (s->go_on_at > 0 && now_s() >= s->go_on_at) {
		go_on(s);
	} else if (s->went_on && now.taken > s->then.taken + CONCURRENCY) {
		s->survived++; /* it works */
		end_stop(s);
	} else if (now_s() - s->at > 30) {
		die("a stopped worker is not replaced");
	}
}

static void stops_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct stops *s = ctx;
	(void)fd;
	(void)what;
	if (s->pidfd >= 0) {
		watch_stopped(s);
	} else if (s->begun < s->wanted && stats_now().workers_ready == WORKERS) {
		stop_one(s);
	}
}

static int stops(unsigned wanted, unsigned late_ms)
{
	struct stops s = {.wanted = wanted, .pidfd = -1, .batch.endless = true};
	open_pool();
	struct event *timer = every(5, stops_cb, &s);
	double took = run(&s.batch);
	event_free(timer);
	struct pm_pool_stats stats = stats_now();
	close_pool();
	printf("stops: %u workers stopped, %u replaced, after at most %.2f s with a "
	       "limit "
	       "of %.2f s, %u went on in time; %" PRIu64 " results in order, 0 lost, 0 "
	       "double; %.2f s; seed %" PRIu64 "\n",
		s.begun, s.killed, s.longest, HANG_MS / 1e3, s.survived,
		s.batch.delivered, took, seed);
	return stats.workers_lost != s.killed || s.killed < wanted / 2 ||
	       (late_ms && s.longest * 1e3 > HANG_MS + late_ms);
}

/* ------------------------------------------------------------------- frozen */

static void end_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct batch *b = ctx;
	(void)fd;
	(void)what;
	b->endless = false;
}

/* Counted by the clock that goes on while it is stopped. */
static int frozen(unsigned seconds)
{
	struct batch b = {.endless = true};
	open_pool();
	printf("pid %ld\n", (long)getpid());
	fflush(stdout);
	struct event *timer = every(seconds * 1000, end_cb, &b);
	double took = run(&b);
	event_free(timer);
	struct pm_pool_stats s = stats_now();
	close_pool();
	printf("frozen: %" PRIu64 " results in order, %" PRIu64
	       " workers lost; %.2f s\n",
		b.delivered, s.workers_lost, took);
	return s.workers_lost != 0;
}

/* --------------------------------------------------------------------- main */

static unsigned long number(char **argv, int argc, int i)
{
	return argc > i ? strtoul(argv[i], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";
	unsigned long first = number(argv, argc, 2), second = number(argv, argc, 3);
	if (pm_forkserver_start()) {
		die("forkserver");
	}
	seed_dice();
	if (strcmp(mode, "kills") == 0 && second) {
		return kills(
			first, (unsigned)second, argc > 4 ? strtod(argv[4], NULL) : 0);
	}
	if (strcmp(mode, "crashes") == 0 && second) {
		return crashes(first, second);
	}
	if (strcmp(mode, "stops") == 0) {
		return stops((unsigned)first, (unsigned)second);
	}
	if (strcmp(mode, "frozen") == 0) {
		return frozen((unsigned)first);
	}
	fprintf(stderr, "usage: prog_chaos kills|crashes|stops|frozen NUMBER...\n");
	return 2;
}
