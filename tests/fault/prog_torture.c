/* SPDX-License-Identifier: MIT
 *
 * prog_torture - a host that uses each door of the library once, while torture.so lets
 * a call of one of its processes fail.
 *
 *   prog_torture DIR [base]    pools below DIR; with a base of the host's own
 *
 * Each function works, or says why not by its error; whatever became of the ones
 * before, the next ones may be called.  Every job that was taken has one result, and a
 * success has the bytes of its job.  Exits with 0 when all worked, with 3 when some
 * call or job failed and said so, with 1 when something was wrong.
 *
 * Runs by itself; started by tests/fault/long/torture.sh.
 */
#include <poolmap.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WORKERS = 2,
	JOBS = 20,
	FUTURES = 8,
	LANES = 3,
	CHILDREN = 2,
	PATIENCE_S = 30 /* for all of it */
};

static const char *dir;
static bool on_base;
static struct event_base *base;
static unsigned failed_ct; /* calls and jobs that failed and said so */

_Noreturn static void wrong(const char *step, const char *what)
{
	fprintf(stderr, "prog_torture: %s: %s (%s)\n", step, what, pm_last_error());
	exit(1);
}

/* Did it work?  An error has a name, and words. */
static bool works(const char *step, int err)
{
	if (!err) {
		return true;
	}
	if (err > 0 || strcmp(pm_error_name(err), "unknown") == 0) {
		wrong(step, "an error that there is not");
	}
	fprintf(stderr, "prog_torture: %s: %s: %s\n", step, pm_error_name(err),
		*pm_last_error() ? pm_last_error() : pm_error_text(err));
	failed_ct++;
	return false;
}

/* -------------------------------------------------------------------- jobs */

struct order {
	unsigned number;
	bool family; /* has children */
};

static int child(pm_task *task, const void *arg, size_t len)
{
	return pm_return(task, arg, len);
}

static int raise_family(pm_task *task, const struct order *o)
{
	pm_task *children[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		int err = pm_spawn(task, child, o, sizeof *o, &children[i]);
		if (err) {
			return err;
		}
	}
	int err = pm_gather(task, children, CHILDREN);
	for (int i = 0; i < CHILDREN && !err; i++) {
		err = pm_child_result(children[i])->error;
	}
	return err;
}

static int task(pm_task *t, const void *arg, size_t len)
{
	struct order o;
	memcpy(&o, arg, len < sizeof o ? len : sizeof o);
	int err = o.family ? raise_family(t, &o) : pm_sleep(t, 1);
	unsigned result = o.number * 3 + 1;
	return err ? err : pm_return(t, &result, sizeof result);
}

static struct order order_of(unsigned i)
{
	return (struct order){.number = i, .family = i % 4 == 1};
}

static void check(const char *step, const struct pm_result *r, unsigned number)
{
	unsigned expected = number * 3 + 1;
	if (r->error) {
		(void)works(step, r->error);
	} else if (r->len != sizeof expected ||
		   memcmp(r->bytes, &expected, sizeof expected) != 0) {
		wrong(step, "a result that is not that of its job");
	}
}

/* ------------------------------------------------------------------ streams */

struct stream {
	const char *step;
	struct order order;
	unsigned pulled, delivered;
};

static int source(void *ctx, struct pm_job *job)
{
	static const char *const lanes[LANES] = {"one", "two", "three"};
	struct stream *s = ctx;
	if (s->pulled == JOBS) {
		return PM_SOURCE_END;
	}
	s->order = order_of(s->pulled);
	*job = (struct pm_job){.arg = &s->order,
		.len = sizeof s->order,
		.lane = lanes[s->pulled % LANES],
		.lane_len = strlen(lanes[s->pulled % LANES])};
	s->pulled++;
	return PM_SOURCE_JOB;
}

static int sink(void *ctx, const struct pm_result *r)
{
	struct stream *s = ctx;
	if (r->index != s->delivered) {
		wrong(s->step, "out of order, lost or double");
	}
	check(s->step, r, s->delivered++);
	return PM_SINK_TAKEN;
}

static void lane_new(void *ctx, const char *lane, struct pm_lane_limits *limits)
{
	(void)ctx;
	(void)lane;
	limits->concurrency = 2;
}

/* Once each. */
static bool retry(void *ctx, const struct pm_result *r, struct pm_retry *how)
{
	(void)ctx;
	how->delay_ms = 1;
	return r->attempts == 1 && (r->error || r->index % 5 == 0);
}

static struct pm_stream stream_of(struct stream *s)
{
	return (struct pm_stream){.task = task,
		.source = source,
		.sink = sink,
		.ctx = s,
		.lane_new = lane_new,
		.retry = retry};
}

static void check_ended(const struct stream *s, int err)
{
	if (works(s->step, err) && (s->pulled != JOBS || s->delivered != JOBS)) {
		wrong(s->step, "results are missing");
	}
}

static void map_stream(pm_pool *pool)
{
	struct stream s = {.step = "map_stream"};
	struct pm_stream stream = stream_of(&s);
	check_ended(&s, pm_map_stream(pool, &stream));
}

static void map_async(pm_pool *pool)
{
	struct stream s = {.step = "map_async"};
	struct pm_stream stream = stream_of(&s);
	pm_future *future = NULL;
	int err = pm_map_async(pool, &stream, &future);
	if (works(s.step, err)) {
		err = pm_wait(&future, 1, PM_ALL, PM_FOREVER, NULL);
		if (works(s.step, err)) {
			check_ended(&s, pm_future_result(future)->error);
		} else {
			(void)pm_future_cancel(future);
			pm_pool_terminate(&pool); /* it has our stack */
			exit(3);
		}
	}
	pm_future_free(&future);
}

static void imap(pm_pool *pool)
{
	struct stream s = {.step = "imap"};
	struct pm_stream stream = stream_of(&s);
	const struct pm_result *r;
	pm_iter *iter = NULL;
	stream.sink = NULL;
	int err = pm_imap(pool, &stream, &iter);
	while (!err && (err = pm_next(iter, PM_FOREVER, &r)) == PM_NEXT_RESULT) {
		err = sink(&s, r) == PM_SINK_TAKEN ? 0 : PM_ESTATE;
	}
	check_ended(&s, err);
	pm_iter_close(&iter);
}

/* ---------------------------------------------------------- maps and futures */

static void map(pm_pool *pool)
{
	struct order orders[JOBS];
	struct pm_job jobs[JOBS];
	struct pm_result results[JOBS];
	for (unsigned i = 0; i < JOBS; i++) {
		orders[i] = order_of(i);
		jobs[i] = PM_JOB(orders[i]);
	}
	if (works("map", pm_map(pool, task, jobs, JOBS, results))) {
		for (unsigned i = 0; i < JOBS; i++) {
			check("map", &results[i], i);
		}
		pm_results_clear(results, JOBS);
	}
}

static void count(pm_future *future, void *ctx)
{
	unsigned *called = ctx;
	if (!pm_future_result(future)) {
		wrong("submit", "called back without a result");
	}
	(*called)++;
}

static void submit(pm_pool *pool)
{
	pm_future *futures[FUTURES];
	unsigned numbers[FUTURES], called[FUTURES] = {0}, asked[FUTURES] = {0};
	size_t ct = 0;
	for (unsigned i = 0; i < FUTURES; i++) {
		struct order o = order_of(i);
		struct pm_job job = PM_JOB(o);
		if (works("submit", pm_submit(pool, task, &job, &futures[ct]))) {
			asked[ct] = !pm_future_on_done(futures[ct], count, &called[ct]);
			numbers[ct++] = i;
		}
	}
	bool done = works("wait", pm_wait(futures, ct, PM_ALL, PM_FOREVER, NULL));
	/* A wait that had no memory: a second one has. */
	done = done || works("wait", pm_wait(futures, ct, PM_ALL, PM_FOREVER, NULL));
	for (size_t i = 0; i < ct; i++) {
		if (done) {
			check("submit", pm_future_result(futures[i]), numbers[i]);
		}
		if (called[i] > asked[i] || (done && called[i] != asked[i])) {
			wrong("submit", "not called back once");
		}
		if (!done) {
			(void)pm_future_cancel(futures[i]);
		}
	}
	if (!done) {
		pm_pool_terminate(&pool); /* the callbacks have our stack */
		exit(3);
	}
	for (size_t i = 0; i < ct; i++) {
		pm_future_free(&futures[i]);
	}
}

static void process(void)
{
	struct order o = order_of(7);
	pm_process *p = NULL;
	if (works("process", pm_process_start(&p, task, &o, sizeof o, "one"))) {
		if (works("process", pm_process_join(p, PM_FOREVER))) {
			check("process", pm_process_result(p), 7);
		}
	}
	(void)pm_process_close(&p);
}

/* -------------------------------------------------------------------- main */

static void use_pool(void)
{
	pm_pool *pool = NULL;
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	o.workers = WORKERS;
	o.concurrency = 2 * WORKERS;
	o.runtime_dir = dir;
	o.base = base;
	if (!works("open", pm_pool_open(&pool, &o))) {
		return;
	}
	map(pool);
	map_stream(pool);
	imap(pool);
	submit(pool);
	map_async(pool);
	pm_pool_close(&pool);
	if (pool) {
		wrong("close", "it is still there");
	}
}

/* libevent ends the process when it gets no descriptors for a base.  The library asks
 * for some before, but they may be gone a moment later. */
_Noreturn static void no_base(int unused)
{
	(void)unused;
	fprintf(stderr, "prog_torture: libevent: cannot go on\n");
	_exit(3);
}

static void say_nothing(int unused, const char *text)
{
	(void)unused;
	(void)text;
}

int main(int argc, char **argv)
{
	event_set_fatal_callback(no_base);
	event_set_log_callback(say_nothing);
	dir = argc > 1 ? argv[1] : NULL;
	on_base = argc > 2;
	alarm(PATIENCE_S);
	if (on_base) {
		base = event_base_new();
		if (!base) {
			no_base(0);
		}
	}
	use_pool();
	process();
	if (base) {
		event_base_free(base);
	}
	return failed_ct ? 3 : 0;
}
