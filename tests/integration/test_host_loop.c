/* SPDX-License-Identifier: MIT
 *
 * Integration tests of pools in the host's own loop: on its libevent base, and as one
 * descriptor under poll().
 */
#include <fcntl.h>

#include "tests/support/host_rig.h"

enum { LIMIT = 60 }; /* seconds for each test */

/* What the host has: a base, a pool on it, and what its callbacks count. */
struct host {
	struct event_base *base;
	const char *dir;
	pm_pool *pool;
	size_t called, wanted, given, taken;
	int err, errs[8];
	enum errand_what what;
	uint32_t value;
	struct errand now;
	bool expired;
};

static void open_host(struct host *h, unsigned workers, unsigned concurrency)
{
	struct pm_pool_options o = rig_options(workers, concurrency);
	h->base = event_base_new();
	cr_assert(h->base);
	h->dir = o.runtime_dir;
	o.base = h->base;
	h->pool = rig_open(&o);
}

static void close_host(struct host *h)
{
	pm_pool_close(&h->pool);
	rig_check_nothing_left(h->dir);
	event_base_free(h->base);
}

static void too_late(evutil_socket_t fd, short what, void *ctx)
{
	struct host *h = ctx;
	(void)fd;
	(void)what;
	h->expired = true;
	event_base_loopbreak(h->base);
}

/* Run the host's loop until somebody breaks it, or for so long; false: that. */
static bool dispatch(struct host *h, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct event *timer = evtimer_new(h->base, too_late, h);
	h->expired = false;
	evtimer_add(timer, &tv);
	event_base_dispatch(h->base);
	event_free(timer);
	return !h->expired;
}

static void count_and_break(pm_future *f, void *ctx)
{
	struct host *h = ctx;
	cr_assert_eq(pm_future_state(f), PM_DONE);
	if (++h->called == h->wanted) {
		event_base_loopbreak(h->base);
	}
}

static int host_source(void *ctx, struct pm_job *job)
{
	struct host *h = ctx;
	if (h->given == 500) {
		return PM_SOURCE_END;
	}
	h->now = (struct errand){
		.number = (uint32_t)h->given++, .what = h->what, .value = h->value};
	*job = PM_JOB(h->now);
	return PM_SOURCE_JOB;
}

static int host_sink(void *ctx, const struct pm_result *r)
{
	struct host *h = ctx;
	cr_assert_eq(r->index, h->taken++);
	return PM_SINK_TAKEN;
}

static pm_future *host_map(struct host *h, unsigned timeout_ms)
{
	struct pm_stream s = {.task = task_errand,
		.source = host_source,
		.sink = host_sink,
		.ctx = h,
		.timeout_ms = timeout_ms};
	pm_future *f = NULL;
	cr_assert_eq(pm_map_async(h->pool, &s, &f), 0);
	return f;
}

/* ----------------------------------------------------------------- on a base */

Test(host_loop, futures_come_in_the_hosts_loop, .timeout = LIMIT)
{
	enum { JOBS = 200 };
	struct host h = {.wanted = JOBS};
	open_host(&h, 2, 8);
	pm_future *f[JOBS];
	for (uint32_t i = 0; i < JOBS; i++) {
		f[i] = submit(h.pool, DO_ECHO, i, 0);
		cr_assert_eq(pm_future_on_done(f[i], count_and_break, &h), 0);
	}
	cr_assert_eq(h.called, 0);
	cr_assert(dispatch(&h, 20000), "%zu of them came", h.called);
	for (uint32_t i = 0; i < JOBS; i++) {
		cr_assert_eq(report_of(pm_future_result(f[i])).number, i);
		pm_future_free(&f[i]);
	}
	close_host(&h);
}

Test(host_loop, maps_come_in_the_hosts_loop, .timeout = LIMIT)
{
	struct host h = {.wanted = 1};
	open_host(&h, 2, 8);
	pm_future *f = host_map(&h, 0);
	cr_assert_eq(pm_future_on_done(f, count_and_break, &h), 0);
	cr_assert(dispatch(&h, 20000));
	cr_assert_eq(h.taken, 500);
	cr_assert_eq(pm_future_result(f)->error, 0);
	cr_assert_eq(pm_future_result(f)->index, 500);
	pm_future_free(&f);
	close_host(&h);
}

Test(host_loop, time_limit_of_a_map, .timeout = LIMIT)
{
	struct host h = {.wanted = 1, .what = DO_NAP, .value = 60000};
	open_host(&h, 1, 4);
	pm_future *f = host_map(&h, 200);
	cr_assert_eq(pm_future_on_done(f, count_and_break, &h), 0);
	cr_assert(dispatch(&h, 20000));
	check_error(pm_future_result(f)->error, PM_ETIMEDOUT, "the map");
	cr_assert_eq(h.taken, h.given);
	pm_future_free(&f);
	close_host(&h);
}

/* Blocking calls from outside of the callbacks run the host's base. */
Test(host_loop, blocking_calls_run_the_base, .timeout = LIMIT)
{
	struct host h = {0};
	open_host(&h, 2, 8);
	rig_check_works(h.pool);
	pm_future *f = submit(h.pool, DO_ECHO, 1, 0);
	cr_assert_eq(end_of(&f), 0);
	check_error(pm_pool_step(h.pool), PM_ESTATE, "step on a base");
	check_error(pm_pool_fd(h.pool), PM_ESTATE, "fd on a base");
	close_host(&h);
}

/* Everything that would block, in a callback. */
static void try_to_block(pm_future *f, void *ctx)
{
	struct host *h = ctx;
	struct errand e = {0};
	struct pm_result r;
	const struct pm_result *next;
	struct pm_stream s = {.task = task_errand, .source = host_source, .ctx = h};
	pm_iter *it = NULL;
	pm_future *other = submit(h->pool, DO_NAP, 9, 50);
	h->errs[0] = pm_apply(h->pool, task_errand, &e, sizeof(e), &r);
	h->errs[1] = pm_wait(&other, 1, PM_ALL, PM_FOREVER, NULL);
	h->errs[2] = pm_wait(&other, 1, PM_ALL, 10, NULL);
	cr_assert_eq(pm_imap(h->pool, &s, &it), 0);
	h->errs[3] = pm_next(it, PM_FOREVER, &next);
	pm_iter_close(&it);
	s.sink = host_sink;
	h->errs[4] = pm_map_stream(h->pool, &s);
	cr_assert_eq(pm_wait(&f, 1, PM_ALL, PM_FOREVER, NULL), 0, "it is done");
	cr_assert_eq(pm_pool_wait_room(h->pool, PM_FOREVER), 0, "there is room");
	cr_assert_eq(pm_future_on_done(other, count_and_break, h), 0);
	pm_future_free(&other);
}

Test(host_loop, blocking_calls_in_callbacks_are_refused, .timeout = LIMIT)
{
	struct host h = {.wanted = 1};
	open_host(&h, 1, 4);
	pm_future *f = submit(h.pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_future_on_done(f, try_to_block, &h), 0);
	cr_assert(dispatch(&h, 20000), "it hangs");
	for (int i = 0; i < 5; i++) {
		check_error(h.errs[i], PM_ESTATE, keep_printf("call %d", i));
	}
	rig_check_works(h.pool);
	cr_assert_eq(h.taken, 0);
	pm_future_free(&f);
	close_host(&h);
}

static void close_pool(pm_future *f, void *ctx)
{
	struct host *h = ctx;
	(void)f;
	pm_pool_close(&h->pool);
	cr_assert_null(h->pool);
	h->called++;
}

static void terminate_pool(pm_future *f, void *ctx)
{
	struct host *h = ctx;
	(void)f;
	pm_pool_terminate(&h->pool);
	cr_assert_null(h->pool);
	h->called++;
}

/* The base runs dry when the last worker has gone and the pool is freed: that is how
 * event_base_dispatch() returns. */
static void check_ends(pm_done_fn *end, int error)
{
	struct host h = {0};
	open_host(&h, 2, 4);
	pm_future *f[10];
	for (uint32_t i = 0; i < 10; i++) {
		f[i] = submit(h.pool, i ? DO_NAP : DO_ECHO, i, error ? 60000 : 20);
	}
	cr_assert_eq(pm_future_on_done(f[0], end, &h), 0);
	event_base_dispatch(h.base);
	cr_assert_eq(h.called, 1);
	rig_check_nothing_left(h.dir);
	for (uint32_t i = 1; i < 10; i++) {
		check_error(pm_future_result(f[i])->error, error, "it");
	}
	for (int i = 0; i < 10; i++) {
		pm_future_free(&f[i]);
	}
	event_base_free(h.base);
}

Test(host_loop, closed_in_a_callback_it_is_freed_later, .timeout = LIMIT)
{
	check_ends(close_pool, 0);
}

Test(host_loop, terminated_in_a_callback_it_is_freed_later, .timeout = LIMIT)
{
	check_ends(terminate_pool, PM_ECANCELLED);
}

/* In a callback of the host's own, not of the pool's; and what the library does not
 * know how to do there it does not print, either. */
struct own_event {
	struct host *h;
	struct errand e;
	int apply, wait;
	pm_future *future;
};

static void own_cb(evutil_socket_t fd, short what, void *ctx)
{
	struct own_event *o = ctx;
	struct pm_result r;
	(void)fd;
	(void)what;
	o->apply = pm_apply(o->h->pool, task_errand, &o->e, sizeof(o->e), &r);
	o->wait = pm_wait(&o->future, 1, PM_ALL, 20, NULL);
	pm_pool_close(&o->h->pool);
}

static const char *errors_during_dispatch(struct host *h)
{
	const char *path = temp_file("stderr", "", 0);
	int kept = dup(2), fd = open(path, O_WRONLY | O_CLOEXEC);
	dup2(fd, 2);
	event_base_dispatch(h->base);
	dup2(kept, 2);
	close(kept);
	close(fd);
	return keep(read_file(path, NULL));
}

Test(host_loop, in_a_callback_of_the_hosts_own, .timeout = LIMIT)
{
	struct host h = {0};
	struct timeval soon = {.tv_usec = 1000};
	open_host(&h, 1, 4);
	struct own_event o = {.h = &h, .future = submit(h.pool, DO_NAP, 1, 50)};
	struct event *e = evtimer_new(h.base, own_cb, &o);
	evtimer_add(e, &soon);
	const char *said = errors_during_dispatch(&h);
	check_error(o.apply, PM_ESTATE, "apply");
	check_error(o.wait, PM_ESTATE, "wait");
	cr_assert_null(h.pool);
	rig_check_nothing_left(h.dir);
	cr_assert_eq(end_of(&o.future), 0);
	cr_assert_str_eq(said, "", "printed: %s", said);
	event_free(e);
	event_base_free(h.base);
}

/* Two pools on one base: each ends when it likes. */
static void close_the_other(pm_future *f, void *ctx)
{
	struct host *h = ctx;
	(void)f;
	pm_pool_close(&h->pool);
	h->called++;
}

Test(host_loop, two_pools_on_one_base, .timeout = LIMIT)
{
	struct host a = {0}, b = {0};
	open_host(&a, 1, 4);
	struct pm_pool_options o = rig_options(1, 4);
	o.base = b.base = a.base;
	b.dir = o.runtime_dir;
	b.pool = rig_open(&o);
	pm_future *fa = submit(a.pool, DO_ECHO, 0, 0);
	pm_future *fb = submit(b.pool, DO_NAP, 1, 30);
	cr_assert_eq(pm_future_on_done(fa, close_the_other, &b), 0);
	cr_assert_eq(pm_future_on_done(fb, close_the_other, &a), 0);
	event_base_dispatch(a.base);
	cr_assert_eq(a.called, 1);
	cr_assert_eq(b.called, 1);
	rig_check_nothing_left(a.dir);
	rig_check_nothing_left(b.dir);
	cr_assert_eq(end_of(&fa), 0);
	cr_assert_eq(end_of(&fb), 0);
	event_base_free(a.base);
}

/* ---------------------------------------------------------------- one descriptor */

struct polled {
	pm_pool *pool;
	int fd;
	unsigned steps;
};

static struct polled polled_open(const struct pm_pool_options *o)
{
	struct polled p = {.pool = rig_full_pool(o)};
	p.fd = pm_pool_fd(p.pool);
	cr_assert_geq(p.fd, 0, "%s", pm_error_name(p.fd));
	cr_assert_eq(pm_pool_fd(p.pool), p.fd, "one and the same");
	return p;
}

/* Wait for the descriptor and step, until it is done.  Never steps for nothing. */
static void polled_run(struct polled *p, const pm_future *f)
{
	while (pm_future_state(f) != PM_DONE) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
		cr_assert_eq(poll(&pfd, 1, 10000), 1, "nothing in 10 s");
		cr_assert_eq(pm_pool_step(p->pool), 0);
		p->steps++;
	}
}

Test(host_loop, fd_brings_all_results, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 16);
	struct polled p = polled_open(&o);
	struct host h = {.pool = p.pool};
	pm_future *f = host_map(&h, 0);
	polled_run(&p, f);
	cr_assert_eq(h.taken, 500);
	cr_assert_lt(p.steps, 4000, "%u steps for 500 results", p.steps);
	pm_future_free(&f);
	pm_pool_close(&p.pool);
	rig_check_nothing_left(o.runtime_dir);
}

/* A job that takes a second takes no more steps than the heartbeats cost. */
Test(host_loop, fd_is_quiet_while_nothing_happens, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 4);
	struct polled p = polled_open(&o);
	pm_future *f = submit(p.pool, DO_NAP, 0, 1200);
	polled_run(&p, f);
	cr_assert_lt(p.steps, 60, "%u steps in a second", p.steps);
	cr_assert_gt(p.steps, 0);
	pm_future_free(&f);
	pm_pool_close(&p.pool);
}

Test(host_loop, fd_is_woken_by_submit_cancel_and_shutdown, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 1);
	struct polled p = polled_open(&o);
	pm_future *a = submit(p.pool, DO_NAP, 0, 60000);
	pm_future *b = submit(p.pool, DO_NAP, 1, 60000);
	pm_future *c = submit(p.pool, DO_ECHO, 2, 0);
	cr_assert_eq(pm_future_cancel(b), 0);
	cr_assert_eq(pm_future_state(b), PM_DONE);
	run_until_inside(p.pool, 1);
	cr_assert_eq(pm_future_cancel(a), 0);
	polled_run(&p, a);
	polled_run(&p, c);
	pm_future *d = submit(p.pool, DO_NAP, 3, 60000);
	run_until_inside(p.pool, 1);
	cr_assert_eq(pm_pool_shutdown(p.pool, PM_DRAIN, 200), 0);
	polled_run(&p, d); /* the grace is a timer */
	cr_assert_eq(end_of(&a), PM_ECANCELLED);
	cr_assert_eq(end_of(&b), PM_ECANCELLED);
	cr_assert_eq(end_of(&c), 0);
	cr_assert_eq(end_of(&d), PM_ECANCELLED);
	pm_pool_close(&p.pool);
}

Test(host_loop, fd_is_woken_by_the_timer_of_a_map, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 4);
	struct polled p = polled_open(&o);
	struct host h = {.pool = p.pool, .what = DO_NAP, .value = 60000};
	uint64_t began = clock_now_ms();
	pm_future *f = host_map(&h, 200);
	polled_run(&p, f);
	uint64_t took = clock_now_ms() - began;
	check_error(pm_future_result(f)->error, PM_ETIMEDOUT, "the map");
	cr_assert_geq(took, 190);
	cr_assert_lt(
		took, RIG_SANITIZED ? 5000 : 1000, "%llu ms", (unsigned long long)took);
	pm_future_free(&f);
	pm_pool_close(&p.pool);
}

/* Workers come and go under it: their descriptors, too. */
Test(host_loop, fd_lives_through_deaths_and_recycling, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(2, 4);
	o.max_jobs_per_worker = 20;
	struct polled p = polled_open(&o);
	struct host h = {.pool = p.pool};
	pm_future *death = submit(p.pool, DO_KILL, 600, SIGKILL);
	pm_future *f = host_map(&h, 0);
	polled_run(&p, f);
	polled_run(&p, death);
	cr_assert_eq(h.taken, 500);
	check_error(pm_future_result(death)->error, PM_EWORKERLOST, "death");
	cr_assert_gt(rig_stats(p.pool).workers_recycled, 10);
	pm_future_free(&f);
	pm_future_free(&death);
	pm_pool_close(&p.pool);
	rig_check_nothing_left(o.runtime_dir);
}

static void step_inside(pm_future *f, void *ctx)
{
	struct host *h = ctx;
	(void)f;
	h->err = pm_pool_step(h->pool);
	h->called++;
}

Test(host_loop, no_step_in_a_callback, .timeout = LIMIT)
{
	struct pm_pool_options o = rig_options(1, 1);
	struct host h = {.pool = rig_open(&o)};
	pm_future *f = submit(h.pool, DO_ECHO, 0, 0);
	cr_assert_eq(pm_future_on_done(f, step_inside, &h), 0);
	pm_future *last = submit(h.pool, DO_ECHO, 1, 0);
	cr_assert_eq(end_of(&last), 0);
	cr_assert_eq(h.called, 1);
	check_error(h.err, PM_ESTATE, "step in a callback");
	pm_future_free(&f);
	pm_pool_close(&h.pool);
}
