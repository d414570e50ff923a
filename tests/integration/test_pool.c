/* SPDX-License-Identifier: MIT
 *
 * A pool as its host sees it: it opens or says why not, belongs to one thread,
 * shares a process with other pools, and leaves nothing behind.
 */
#include "tests/support/pool_rig.h"

#include <pthread.h>
#include <sys/resource.h>

static int task_sleep_a_little(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, 20);
	return err ? err : pm_return(task, arg, len);
}

/* -------------------------------------------------------------- open, close */

Test(pool, opens_with_defaults_works_and_closes, .timeout = 30)
{
	pm_pool *pool = NULL;
	int err = pm_pool_open(&pool, NULL);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_eq(rig_stats(pool).workers, pm_cpus());
	cr_assert_eq(rig_stats(pool).concurrency, 128);
	rig_check_works(pool);
	pm_pool_close(&pool);
	cr_assert_null(pool);
	cr_assert(wait_for(has_no_workers, NULL, 5000), "workers are left");
}

Test(pool, has_no_worker_any_more_when_close_returns, .timeout = 30)
{
	pm_pool *pool = rig_pool(3, 6);
	rig_check_works(pool);
	pm_pool_close(&pool);
	cr_assert_eq(rig_workers(NULL, 0), 0);
}

Test(pool, is_gone_after_terminate, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_terminate(&pool);
	cr_assert_null(pool);
	rig_check_nothing_left(o.runtime_dir);
}

Test(pool, closes_without_ever_having_been_used, .timeout = 30)
{
	struct pm_pool_options o = rig_options(4, 4);
	pm_pool *pool = rig_open(&o);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
	pool = rig_open(&o);
	pm_pool_terminate(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

Test(pool, takes_null_for_a_pool_that_is_closed, .timeout = 10)
{
	pm_pool *none = NULL;
	pm_pool_close(NULL);
	pm_pool_close(&none);
	pm_pool_terminate(NULL);
	pm_pool_terminate(&none);
	cr_assert_null(none);
}

/* ------------------------------------------------------------------ options */

struct bad_option {
	const char *name; /* what the message has to speak of */
	size_t at, size;  /* member of the options */
	uint64_t value;
};

#define MEMBER(m)                                                                      \
	offsetof(struct pm_pool_options, m), sizeof(((struct pm_pool_options *)0)->m)

static const struct bad_option bad_options[] = {
	{"pm_pool_options_init", MEMBER(size), 0},
	{"pm_pool_options_init", MEMBER(size), sizeof(struct pm_pool_options) + 8},
	{"workers", MEMBER(workers), PM_WORKERS_MAX + 1},
	{"workers", MEMBER(workers), UINT_MAX},
	{"concurrency", MEMBER(concurrency), 0},
	{"concurrency", MEMBER(concurrency), PM_CONCURRENCY_MAX + 1},
	{"max_bytes", MEMBER(max_bytes), 0},
	{"max_bytes", MEMBER(max_bytes), (uint64_t)PM_BYTES_MAX + 1},
	{"max_bytes", MEMBER(max_bytes), SIZE_MAX},
	{"stack_bytes", MEMBER(stack_bytes), 0},
	{"stack_bytes", MEMBER(stack_bytes), 1000},
	{"stack_bytes", MEMBER(stack_bytes), SIZE_MAX},
};

static void set_member(struct pm_pool_options *o, const struct bad_option *bad)
{
	unsigned small = (unsigned)bad->value;
	char *at = (char *)o + bad->at;
	if (bad->size == sizeof(small)) {
		memcpy(at, &small, sizeof(small));
	} else {
		memcpy(at, &bad->value, sizeof(bad->value));
	}
}

Test(pool, refuses_options_out_of_range_and_names_them, .timeout = 30)
{
	for (size_t i = 0; i < sizeof(bad_options) / sizeof(*bad_options); i++) {
		const struct bad_option *bad = &bad_options[i];
		struct pm_pool_options o = rig_options(1, 1);
		pm_pool *untouched = (pm_pool *)(uintptr_t)0x10, *pool = untouched;
		set_member(&o, bad);
		int err = pm_pool_open(&pool, &o);
		cr_assert_eq(err, PM_EINVAL, "%s = %llu: %s", bad->name,
			(unsigned long long)bad->value, pm_error_name(err));
		cr_assert(strstr(pm_last_error(), bad->name), "%s = %llu: \"%s\"",
			bad->name, (unsigned long long)bad->value, pm_last_error());
		cr_assert_eq(pool, untouched, "%s: the out parameter has changed",
			bad->name);
		rig_check_nothing_left(o.runtime_dir);
	}
	cr_assert_eq(pm_pool_open(NULL, NULL), PM_EINVAL);
}

Test(pool, takes_options_at_the_ends_of_their_ranges, .timeout = 30)
{
	struct pm_pool_options o = rig_options(PM_WORKERS_MAX, 1);
	o.max_bytes = 1;
	o.stack_bytes = 16 * 1024;
	pm_pool *pool = rig_open(&o);
	struct pm_result r;
	struct pm_job job = {.arg = "x", .len = 1};
	cr_assert_eq(pm_map(pool, task_echo, &job, 1, &r), 0);
	cr_assert_eq(r.len, 1);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);

	o = rig_options(1, 1);
	o.max_bytes = PM_BYTES_MAX;
	o.hang_timeout_ms = 0;
	pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(pool, has_no_more_workers_than_tasks_at_once, .timeout = 30)
{
	pm_pool *pool = rig_pool(8, 3);
	cr_assert_eq(rig_stats(pool).workers, 3);
	rig_check_works(pool);
	cr_assert_leq(rig_workers(NULL, 0), 3);
	pm_pool_close(&pool);
}

Test(pool, has_as_many_workers_as_cpus_by_default, .timeout = 30)
{
	pm_pool *pool = rig_pool(0, 100);
	cr_assert_eq(rig_stats(pool).workers, pm_cpus());
	pm_pool_close(&pool);
}

/* -------------------------------------------------------- limits of the system */

static void limit_files(rlim_t soft, rlim_t hard)
{
	struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0, "%s", strerror(errno));
}

static void expect_limit(
	const struct pm_pool_options *o, const char *need, const char *have)
{
	pm_pool *pool = NULL;
	int err = pm_pool_open(&pool, o);
	cr_assert_eq(err, PM_ELIMIT, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_null(pool);
	cr_assert(strstr(pm_last_error(), need), "no %s in: %s", need, pm_last_error());
	cr_assert(strstr(pm_last_error(), have), "no %s in: %s", have, pm_last_error());
	rig_check_nothing_left(o->runtime_dir);
}

/* The worker's share of the concurrency, and 64 files for the worker itself. */
Test(pool, says_which_limit_of_open_files_the_workers_need, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4001);
	limit_files(1024, 1024);
	expect_limit(&o, "2065", "1024");
	o.concurrency = 500;
	o.files_per_task = 7;
	expect_limit(&o, "1814", "1024");
	o.files_per_task = UINT_MAX;
	expect_limit(&o, "1073741823814", "1024");
	o.files_per_task = 1;
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
}

Test(pool, says_which_limit_of_open_files_the_host_needs, .timeout = 30)
{
	struct pm_pool_options o = rig_options(40, 40);
	limit_files(200, 2000);
	expect_limit(&o, "272", "200");
	limit_files(300, 2000);
	pm_pool *pool = rig_open(&o);
	rig_check_works(pool);
	pm_pool_close(&pool);
	struct rlimit limit;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(limit.rlim_cur, 300, "the host's limit is the host's to change");
}

/* -------------------------------------------------------- runtime directory */

static void check_private(const char *path)
{
	struct stat st;
	cr_assert_eq(stat(path, &st), 0, "%s: %s", path, strerror(errno));
	cr_assert(S_ISDIR(st.st_mode));
	cr_assert_eq(
		st.st_mode & 07777, 0700, "%s has mode %o", path, st.st_mode & 07777);
	cr_assert_eq(st.st_uid, geteuid());
}

Test(pool, keeps_its_sockets_in_a_private_directory, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 2);
	mode_t before = umask(0); /* the worst one */
	pm_pool *pool = rig_open(&o);
	check_private(only_entry(o.runtime_dir));
	cr_assert_gt(entries_of(only_entry(o.runtime_dir)), 0);
	pm_pool_close(&pool);
	cr_assert_eq(umask(before), 0, "the umask is the host's");
	cr_assert_eq(entries_of(o.runtime_dir), 0);
}

static void expect_no_directory(const char *runtime_dir, const char *word)
{
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pool = NULL;
	o.runtime_dir = runtime_dir;
	int err = pm_pool_open(&pool, &o);
	cr_assert_eq(err, PM_ESYSTEM, "%s: %s", runtime_dir, pm_error_name(err));
	cr_assert(strstr(pm_last_error(), word), "no \"%s\" in: %s", word,
		pm_last_error());
	cr_assert_null(pool);
}

Test(pool, says_why_it_cannot_use_a_directory, .timeout = 30)
{
	const char *dir = temp_dir();
	expect_no_directory(keep_printf("%s/none", dir), "No such file");
	expect_no_directory("relative/path", "relative");
	expect_no_directory("", "relative");
	expect_no_directory(keep_printf("%s/%0120d", dir, 0), "too long");
	expect_no_directory(keep_printf("%s/%04000d", dir, 0), "cannot use");
	cr_assert(wait_for(has_no_workers, NULL, 5000));
	cr_assert_eq(entries_of(dir), 0);
}

static const char *fresh_dir(const char *parent, const char *name, mode_t mode)
{
	const char *path = keep_printf("%s/%s", parent, name);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(chmod(path, mode), 0);
	return path;
}

/* Open a pool without a runtime_dir: is its directory in `where`? */
static void expect_default_directory(const char *where)
{
	struct pm_pool_options o;
	pm_pool_options_init(&o);
	pm_pool *pool = rig_open(&o);
	check_private(only_entry(where));
	pm_pool_close(&pool);
	cr_assert_eq(entries_of(where), 0);
}

Test(pool, finds_a_directory_by_itself, .timeout = 30)
{
	const char *dir = temp_dir();
	const char *private = fresh_dir(dir, "private", 0700);
	const char *open_to_all = fresh_dir(dir, "open", 0755);
	const char *tmp = fresh_dir(dir, "tmp", 01777);
	setenv("TMPDIR", tmp, 1);
	setenv("XDG_RUNTIME_DIR", private, 1);
	expect_default_directory(private);
	setenv("XDG_RUNTIME_DIR", open_to_all, 1);
	expect_default_directory(tmp);
	setenv("XDG_RUNTIME_DIR", "", 1);
	expect_default_directory(tmp);
	unsetenv("XDG_RUNTIME_DIR");
	expect_default_directory(tmp);
}

Test(pool, falls_back_to_tmp, .timeout = 30)
{
	static const char *const useless[] = {
		"", "relative", "/nonexistent/x", "/dev/null"};
	for (size_t i = 0; i < sizeof(useless) / sizeof(*useless); i++) {
		setenv("TMPDIR", useless[i], 1);
		setenv("XDG_RUNTIME_DIR", useless[i], 1);
		pm_pool *pool = NULL;
		int err = pm_pool_open(&pool, NULL);
		cr_assert_eq(err, 0, "TMPDIR=%s: %s", useless[i], pm_last_error());
		pm_pool_close(&pool);
	}
}

/* -------------------------------------------------------------- many pools */

Test(pool, can_be_opened_again_and_again, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	for (int i = 0; i < 5; i++) {
		pm_pool *pool = rig_open(&o);
		rig_check_works(pool);
		pm_pool_close(&pool);
	}
	rig_check_nothing_left(o.runtime_dir);
}

Test(pool, works_beside_other_pools_of_its_thread, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 4);
	pm_pool *a = rig_open(&o), *b = rig_open(&o), *c = rig_open(&o);
	for (int i = 0; i < 3; i++) {
		rig_check_works(a);
		rig_check_works(b);
		rig_check_works(c);
	}
	pm_pool_terminate(&b);
	rig_check_works(a);
	pm_pool_close(&a);
	rig_check_works(c);
	cr_assert_eq(entries_of(o.runtime_dir), 1);
	pm_pool_close(&c);
	rig_check_nothing_left(o.runtime_dir);
}

/* More than one process can serve, and more than one would open: the last one
 * opens or says why not, and those before it do not notice. */
Test(pool, refuses_too_many_pools_cleanly, .timeout = 60)
{
	enum { MANY = 70 };
	struct pm_pool_options o = rig_options(1, 1);
	pm_pool *pools[MANY] = {NULL};
	int err = 0, ct = 0;
	while (ct < MANY && !(err = pm_pool_open(&pools[ct], &o))) {
		ct++;
	}
	cr_assert_geq(ct, 32, "only %d pools: %s", ct, pm_last_error());
	if (err) {
		cr_assert_eq(err, PM_ELIMIT, "pool %d: %s: %s", ct, pm_error_name(err),
			pm_last_error());
	}
	for (int i = 0; i < ct; i++) {
		rig_check_works(pools[i]);
		pm_pool_terminate(&pools[i]);
	}
	rig_check_nothing_left(o.runtime_dir);
}

/* ----------------------------------------------------------------- threads */

/* What one thread has done; assertions are for the main thread only. */
struct worked {
	pthread_t thread;
	const char *runtime_dir;
	int error;
	unsigned right;
};

enum { THREADS = 3, ROUNDS = 3, THREAD_JOBS = 200 };

static unsigned count_right(const struct pm_result *results, size_t ct)
{
	unsigned right = 0;
	for (size_t i = 0; i < ct; i++) {
		right += results[i].error == 0 && results[i].len == sizeof(uint32_t) &&
			 task_number(results[i].bytes) == i;
	}
	return right;
}

static int map_numbers(pm_pool *pool, struct worked *w)
{
	uint32_t numbers[THREAD_JOBS];
	struct pm_job jobs[THREAD_JOBS];
	struct pm_result results[THREAD_JOBS];
	for (uint32_t i = 0; i < THREAD_JOBS; i++) {
		numbers[i] = i;
		jobs[i] =
			(struct pm_job){.arg = &numbers[i], .len = sizeof(numbers[i])};
	}
	int err = pm_map(pool, task_echo, jobs, THREAD_JOBS, results);
	if (!err) {
		w->right += count_right(results, THREAD_JOBS);
		pm_results_clear(results, THREAD_JOBS);
	}
	return err;
}

static void *use_pools(void *ctx)
{
	struct worked *w = ctx;
	for (int i = 0; i < ROUNDS && !w->error; i++) {
		struct pm_pool_options o;
		pm_pool *pool = NULL;
		pm_pool_options_init(&o);
		o.workers = 2;
		o.concurrency = 8;
		o.runtime_dir = w->runtime_dir;
		w->error = pm_pool_open(&pool, &o);
		w->error = w->error ? w->error : map_numbers(pool, w);
		pm_pool_close(&pool);
	}
	return NULL;
}

Test(pool, works_in_a_second_thread, .timeout = 60)
{
	struct worked w = {.runtime_dir = temp_dir()};
	cr_assert_eq(pthread_create(&w.thread, NULL, use_pools, &w), 0);
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
	cr_assert_eq(w.error, 0, "%s", pm_error_name(w.error));
	cr_assert_eq(w.right, ROUNDS * THREAD_JOBS);
	rig_check_nothing_left(w.runtime_dir);
}

Test(pool, works_in_several_threads_at_once, .timeout = 60)
{
	struct worked w[THREADS] = {{0}};
	const char *dir = temp_dir();
	for (int i = 0; i < THREADS; i++) {
		w[i].runtime_dir = dir;
		cr_assert_eq(pthread_create(&w[i].thread, NULL, use_pools, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		cr_assert_eq(pthread_join(w[i].thread, NULL), 0);
		cr_assert_eq(
			w[i].error, 0, "thread %d: %s", i, pm_error_name(w[i].error));
		cr_assert_eq(w[i].right, ROUNDS * THREAD_JOBS, "thread %d", i);
	}
	rig_check_nothing_left(dir);
}

struct intruder {
	pm_pool *pool;
	int map_error, stream_error;
	char message[256];
};

static int no_source(void *ctx, struct pm_job *job)
{
	(void)ctx;
	(void)job;
	return PM_SOURCE_END;
}

static int no_sink(void *ctx, const struct pm_result *result)
{
	(void)ctx;
	(void)result;
	return PM_SINK_TAKEN;
}

static void *use_foreign_pool(void *ctx)
{
	struct intruder *in = ctx;
	struct pm_stream stream = {
		.task = task_echo, .source = no_source, .sink = no_sink};
	in->stream_error = pm_map_stream(in->pool, &stream);
	in->map_error = pm_map(in->pool, task_echo, NULL, 0, NULL);
	snprintf(in->message, sizeof(in->message), "%s", pm_last_error());
	return NULL;
}

Test(pool, belongs_to_the_thread_that_opened_it, .timeout = 30)
{
	struct intruder in = {.pool = rig_pool(1, 1)};
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, use_foreign_pool, &in), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(in.map_error, PM_ESTATE, "%s", pm_error_name(in.map_error));
	cr_assert_eq(in.stream_error, PM_ESTATE, "%s", pm_error_name(in.stream_error));
	cr_assert(strstr(in.message, "thread"), "%s", in.message);
	rig_check_works(in.pool);
	pm_pool_close(&in.pool);
}

/* --------------------------------------------------------------- callbacks */

/* A map that tries another map from each of its callbacks. */
struct nested {
	pm_pool *pool, *other;
	struct pm_job job;
	unsigned pulled, delivered, turns;
	int in_source, in_sink, in_turn, in_timer, other_error;
};

static int try_map(struct nested *n, pm_pool *pool)
{
	struct pm_result r;
	int err = pm_map(pool, task_echo, &n->job, 1, &r);
	if (!err) {
		pm_results_clear(&r, 1);
	}
	return err;
}

static int nested_source(void *ctx, struct pm_job *job)
{
	struct nested *n = ctx;
	n->in_source = try_map(n, n->pool);
	*job = n->job;
	return n->pulled++ < 10 ? PM_SOURCE_JOB : PM_SOURCE_END;
}

static int nested_sink(void *ctx, const struct pm_result *result)
{
	struct nested *n = ctx;
	n->in_sink = try_map(n, n->pool);
	n->other_error = try_map(n, n->other);
	n->delivered += result->error == 0;
	return PM_SINK_TAKEN;
}

static void nested_turn(void *ctx)
{
	struct nested *n = ctx;
	n->in_turn = try_map(n, n->pool);
	n->turns++;
}

static void nested_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct nested *n = ctx;
	(void)fd;
	(void)what;
	n->in_timer = try_map(n, n->pool);
}

Test(pool, refuses_a_map_within_a_map, .timeout = 30)
{
	struct event_base *base = event_base_new();
	struct pm_pool_options o = rig_options(2, 2);
	struct nested n = {.other = rig_pool(1, 1), .job = {.arg = "abc", .len = 3}};
	struct timeval soon = {.tv_usec = 1000};
	o.base = base;
	n.pool = rig_open(&o);
	struct event *timer = event_new(base, -1, EV_PERSIST, nested_timer, &n);
	event_add(timer, &soon);
	struct pm_stream stream = {.task = task_sleep_a_little,
		.source = nested_source,
		.sink = nested_sink,
		.turn = nested_turn,
		.ctx = &n};
	cr_assert_eq(pm_map_stream(n.pool, &stream), 0, "%s", pm_last_error());
	event_free(timer);
	cr_assert_eq(n.delivered, 10);
	cr_assert_eq(n.in_source, PM_ESTATE, "source: %s", pm_error_name(n.in_source));
	cr_assert_eq(n.in_sink, PM_ESTATE, "sink: %s", pm_error_name(n.in_sink));
	cr_assert_eq(n.in_timer, PM_ESTATE, "timer: %s", pm_error_name(n.in_timer));
	cr_assert_gt(n.turns, 0);
	cr_assert_eq(n.in_turn, PM_ESTATE, "turn: %s", pm_error_name(n.in_turn));
	cr_assert_eq(
		n.other_error, 0, "another pool's: %s", pm_error_name(n.other_error));
	pm_pool_close(&n.pool);
	pm_pool_close(&n.other);
	event_base_free(base);
}

/* ---------------------------------------------------------------- host base */

static void count_tick(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	++*(unsigned *)ctx;
}

Test(pool, lets_the_timers_of_the_hosts_base_go_on, .timeout = 30)
{
	struct event_base *base = event_base_new();
	struct pm_pool_options o = rig_options(1, 1);
	struct timeval often = {.tv_usec = 5000};
	unsigned ticks = 0;
	o.base = base;
	struct event *timer = event_new(base, -1, EV_PERSIST, count_tick, &ticks);
	event_add(timer, &often);
	int before = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	pm_pool *pool = rig_open(&o);
	struct batch b = batch_new(5); /* 100 ms: 20 ticks of an idle machine */
	ticks = 0;
	batch_map(pool, task_sleep_a_little, &b);
	batch_check(&b);
	cr_assert_geq(ticks, 5);
	batch_free(&b);
	pm_pool_close(&pool);
	int after = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	cr_assert_eq(after, before, "%d events before, %d after", before, after);
	ticks = 0;
	cr_assert_eq(event_base_loop(base, EVLOOP_ONCE), 0, "the base is not usable");
	cr_assert_eq(ticks, 1);
	event_free(timer);
	event_base_free(base);
}

Test(pool, shares_a_base_with_another_pool, .timeout = 30)
{
	struct event_base *base = event_base_new();
	struct pm_pool_options o = rig_options(2, 2);
	o.base = base;
	pm_pool *a = rig_open(&o), *b = rig_open(&o);
	rig_check_works(a);
	rig_check_works(b);
	pm_pool_close(&a);
	rig_check_works(b);
	pm_pool_close(&b);
	event_base_free(base);
}

/* ----------------------------------------------------------------- nothing left */

static size_t threads_now(void)
{
	return entries_of("/proc/self/task");
}

Test(pool, leaves_nothing_after_200_lives, .timeout = 60)
{
	struct pm_pool_options o = rig_options(1, 2);
	pm_pool *pool = rig_open(&o); /* what is opened once and kept */
	rig_check_works(pool);
	pm_pool_close(&pool);
	size_t fds = open_fds(), threads = threads_now();
	for (int i = 0; i < 200; i++) {
		pool = rig_open(&o);
		struct batch b = batch_new(4);
		batch_map(pool, task_echo, &b);
		batch_check(&b);
		batch_free(&b);
		if (i % 2) {
			pm_pool_close(&pool);
		} else {
			pm_pool_terminate(&pool);
		}
	}
	cr_assert_eq(
		open_fds(), fds, "%zu descriptors before, %zu after", fds, open_fds());
	cr_assert_eq(threads_now(), threads);
	rig_check_nothing_left(o.runtime_dir);
	cr_assert_eq(
		process_children(getpid(), NULL, 0), 1, "more than the forkserver");
}

/* ------------------------------------------------------------------- stats */

struct watch {
	pm_pool *pool;
	unsigned most_held, most_ready;
	uint64_t pulled;
};

static int watch_source(void *ctx, struct pm_job *job)
{
	struct watch *w = ctx;
	*job = (struct pm_job){.arg = "x", .len = 1};
	return w->pulled++ < 60 ? PM_SOURCE_JOB : PM_SOURCE_END;
}

static int watch_sink(void *ctx, const struct pm_result *result)
{
	struct watch *w = ctx;
	struct pm_pool_stats s = rig_stats(w->pool);
	(void)result;
	w->most_held = s.held > w->most_held ? s.held : w->most_held;
	w->most_ready =
		s.workers_ready > w->most_ready ? s.workers_ready : w->most_ready;
	return PM_SINK_TAKEN;
}

Test(pool, counts_what_it_does, .timeout = 30)
{
	struct watch w = {.pool = rig_pool(2, 6)};
	struct pm_stream stream = {.task = task_sleep_a_little,
		.source = watch_source,
		.sink = watch_sink,
		.ctx = &w};
	cr_assert_eq(pm_map_stream(w.pool, &stream), 0);
	struct pm_pool_stats s = rig_stats(w.pool);
	cr_assert_eq(s.workers, 2);
	cr_assert_eq(s.concurrency, 6);
	cr_assert_eq(s.workers_ready, 2);
	cr_assert_eq(w.most_ready, 2);
	cr_assert_eq(s.jobs, 60);
	cr_assert_eq(s.results, 60);
	cr_assert_eq(s.held, 0);
	cr_assert_geq(w.most_held, 4, "held at most %u of 6", w.most_held);
	cr_assert_eq(s.workers_lost, 0);
	cr_assert_eq(s.jobs_rerun, 0);
	cr_assert_eq(s.frames_dropped, 0);
	rig_check_works(w.pool);
	cr_assert_eq(rig_stats(w.pool).jobs, 110);
	cr_assert_eq(rig_stats(w.pool).results, 110);
	pm_pool_close(&w.pool);
}
