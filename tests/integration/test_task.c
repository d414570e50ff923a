/* SPDX-License-Identifier: MIT
 *
 * What a task can do and ask in its worker: wait, fetch, know about itself; and
 * how many of them run at once.
 */
#include "tests/support/pool_rig.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* ------------------------------------------------------------------ at once */

static int task_sleep_200(pm_task *task, const void *arg, size_t len)
{
	board_enter();
	int err = pm_sleep(task, 200);
	board_leave();
	return err ? err : pm_return(task, arg, len);
}

/* One after the other they would take 200 s; on an idle machine they take 0.3. */
Test(task, waits_beside_a_thousand_others, .timeout = 60)
{
	pm_pool *pool = rig_pool(2, 1000);
	struct batch b = batch_new(1000);
	uint64_t before = clock_now_ms();
	batch_map(pool, task_sleep_200, &b);
	uint64_t took = clock_now_ms() - before;
	batch_check(&b);
	cr_assert_geq(took, 200);
	cr_assert_lt(took, RIG_SANITIZED ? 20000 : 2000, "took %llu ms",
		(unsigned long long)took);
	cr_assert_gt(atomic_load(&board->most), 500, "only %d at once",
		atomic_load(&board->most));
	cr_assert_leq(atomic_load(&board->most), 1000);
	batch_free(&b);
	pm_pool_close(&pool);
}

static int task_yield_often(pm_task *task, const void *arg, size_t len)
{
	board_enter();
	atomic_fetch_add(&board->runs[task_number(arg)], 1);
	for (unsigned i = 0; i < 3; i++) {
		int err = pm_sleep(task, i);
		if (err) {
			return err;
		}
	}
	board_leave();
	return pm_return(task, arg, len);
}

static void check_at_once(unsigned workers, unsigned concurrency, bool all)
{
	pm_pool *pool = rig_pool(workers, concurrency);
	struct batch b = batch_new(concurrency == 1 ? 100 : 300);
	memset(board, 0, sizeof(*board));
	batch_map(pool, task_yield_often, &b);
	batch_check(&b);
	int most = atomic_load(&board->most);
	cr_assert_leq(most, concurrency, "%u workers, concurrency %u: %d at once",
		workers, concurrency, most);
	cr_assert(!all || most == (int)concurrency,
		"%u workers, concurrency %u: never more than %d at once", workers,
		concurrency, most);
	for (size_t i = 0; i < b.ct; i++) {
		cr_assert_eq(atomic_load(&board->runs[i]), 1, "job %zu", i);
	}
	batch_free(&b);
	pm_pool_close(&pool);
}

Test(task, runs_alone_with_concurrency_1, .timeout = 60)
{
	check_at_once(1, 1, true);
	check_at_once(4, 1, true);
}

Test(task, never_runs_beside_more_than_the_concurrency, .timeout = 60)
{
	check_at_once(2, 2, true);
	check_at_once(2, 7, true);
	check_at_once(4, 5, true);
	check_at_once(3, 50, true);
}

/* A shared file, as a task would write it: begin and end of one stay together. */
static const char journal_dir_name[] = "journal";

static int task_write_journal(pm_task *task, const void *arg, size_t len)
{
	const char *path = (const char *)arg + sizeof(uint32_t);
	char line[32];
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0) {
		return pm_fail(task, errno, "cannot open %s", path);
	}
	int n = snprintf(line, sizeof(line), "b%u\n", task_number(arg));
	bool ok = write(fd, line, (size_t)n) == n;
	int err = pm_sleep(task, task_number(arg) % 3);
	line[0] = 'e';
	ok = ok && write(fd, line, (size_t)n) == n;
	close(fd);
	(void)len;
	return err || !ok ? PM_ESYSTEM : 0;
}

Test(task, begins_after_the_one_before_has_ended_with_concurrency_1, .timeout = 60)
{
	enum { CT = 200 };
	const char *path = temp_file(journal_dir_name, "", 0);
	size_t size = sizeof(uint32_t) + strlen(path) + 1;
	pm_pool *pool = rig_pool(2, 1);
	struct pm_job jobs[CT];
	struct pm_result results[CT];
	for (uint32_t i = 0; i < CT; i++) {
		char *arg = malloc(size);
		cr_assert(arg);
		memcpy(arg, &i, sizeof(i));
		memcpy(arg + sizeof(i), path, strlen(path) + 1);
		jobs[i] = (struct pm_job){.arg = keep(arg), .len = size};
	}
	cr_assert_eq(pm_map(pool, task_write_journal, jobs, CT, results), 0);
	pm_results_clear(results, CT);
	pm_pool_close(&pool);
	char *text = read_file(path, NULL), *at = text;
	for (unsigned i = 0; i < CT; i++) {
		char want[64];
		int n = snprintf(want, sizeof(want), "b%u\ne%u\n", i, i);
		cr_assert_eq(strncmp(at, want, (size_t)n), 0, "job %u: %.20s", i, at);
		at += n;
	}
	cr_assert_eq(*at, '\0');
	free(text);
}

/* -------------------------------------------------------------- about itself */

struct self {
	unsigned worker, attempt;
	uint64_t queued_us;
	pid_t pid;
};

static int task_tell_about_itself(pm_task *task, const void *arg, size_t len)
{
	struct self self;
	(void)arg;
	(void)len;
	memset(&self, 0, sizeof(self)); /* also what lies between its members */
	self.worker = pm_task_worker(task);
	self.attempt = pm_task_attempt(task);
	self.queued_us = pm_task_queued_us(task);
	self.pid = getpid();
	int err = pm_sleep(task, 20);
	return err ? err : pm_return(task, &self, sizeof(self));
}

Test(task, knows_its_worker_and_attempt, .timeout = 30)
{
	pm_pool *pool = rig_pool(3, 6);
	struct batch b = batch_new(60);
	pid_t pid_of[3] = {0};
	batch_map(pool, task_tell_about_itself, &b);
	for (size_t i = 0; i < b.ct; i++) {
		struct self self;
		cr_assert_eq(b.results[i].len, sizeof(self));
		memcpy(&self, b.results[i].bytes, sizeof(self));
		cr_assert_lt(self.worker, 3);
		cr_assert_eq(self.worker, b.results[i].worker);
		cr_assert_eq(self.attempt, 1);
		cr_assert_neq(self.pid, getpid());
		pid_t *known = &pid_of[self.worker];
		cr_assert(*known == 0 || *known == self.pid, "worker %u is two",
			self.worker);
		*known = self.pid;
	}
	cr_assert(pid_of[0] && pid_of[1] && pid_of[2], "a worker had no job");
	batch_free(&b);
	pm_pool_close(&pool);
}

/* Its worker dies under the first attempt, after 100 ms; then it tells. */
static int task_die_once_and_tell(pm_task *task, const void *arg, size_t len)
{
	if (pm_task_attempt(task) == 1) {
		(void)!pm_sleep(task, 100);
		kill(getpid(), SIGKILL);
	}
	return task_tell_about_itself(task, arg, len);
}

static struct self map_self(pm_pool *pool, pm_task_fn *task)
{
	struct self self;
	struct batch b = batch_new(1);
	batch_map(pool, task, &b);
	cr_assert_eq(b.results[0].len, sizeof(self));
	memcpy(&self, b.results[0].bytes, sizeof(self));
	cr_assert_eq(b.results[0].attempts, self.attempt);
	batch_free(&b);
	return self;
}

Test(task, knows_how_long_it_has_waited, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	uint64_t before = clock_now_us();
	struct self self = map_self(pool, task_tell_about_itself);
	cr_assert_eq(self.attempt, 1);
	cr_assert_leq(self.queued_us, clock_now_us() - before);
	before = clock_now_us();
	self = map_self(pool, task_die_once_and_tell);
	cr_assert_eq(self.attempt, 2);
	cr_assert_geq(self.queued_us, 100000);
	cr_assert_leq(self.queued_us, clock_now_us() - before);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------------- image */

static int set_early = 1, set_late = 1;

__attribute__((constructor(200))) static void set_before_the_forkserver(void)
{
	set_early = 2;
}

static int task_read_statics(pm_task *task, const void *arg, size_t len)
{
	int values[] = {set_early, set_late, arg ? (int)len : -1};
	return pm_return(task, values, sizeof(values));
}

Test(task, sees_what_was_set_before_the_forkserver_started, .timeout = 30)
{
	set_late = 2;
	pm_pool *pool = rig_pool(1, 1);
	struct batch b = batch_new(1);
	int values[3];
	batch_map(pool, task_read_statics, &b);
	memcpy(values, b.results[0].bytes, sizeof(values));
	cr_assert_eq(values[0], 2);
	cr_assert_eq(values[1], 1, "an image is older than that");
	batch_free(&b);
	pm_pool_close(&pool);
}

/* Static data of a worker stays between its jobs, and is no other worker's. */
static int task_count_calls(pm_task *task, const void *arg, size_t len)
{
	static unsigned calls;
	(void)arg;
	(void)len;
	calls++;
	return pm_return(task, &calls, sizeof(calls));
}

Test(task, shares_a_process_with_the_tasks_before_it, .timeout = 30)
{
	pm_pool *pool = rig_pool(1, 1);
	struct batch b = batch_new(20);
	batch_map(pool, task_count_calls, &b);
	for (unsigned i = 0; i < b.ct; i++) {
		cr_assert_eq(task_number(b.results[i].bytes), i + 1);
	}
	batch_free(&b);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- process */

static bool is_null_device(int fd)
{
	struct stat st, null;
	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 &&
	       st.st_rdev == null.st_rdev;
}

/* A descriptor of the host that a worker keeps would hold its files, its
 * terminals and its peers' connections. */
static int task_list_descriptors(pm_task *task, const void *arg, size_t len)
{
	int host_fd;
	struct stat here, host;
	memcpy(&host_fd, arg, sizeof(host_fd));
	memcpy(&host, (const char *)arg + sizeof(host_fd), sizeof(host));
	(void)len;
	if (!is_null_device(STDIN_FILENO)) {
		return pm_fail(task, 1, "standard input is not /dev/null");
	}
	for (int fd = 3; fd < 1024; fd++) {
		if (fstat(fd, &here) == 0 && here.st_ino == host.st_ino &&
			here.st_dev == host.st_dev) {
			return pm_fail(task, 2, "descriptor %d is the host's", fd);
		}
	}
	return 0;
}

static int early_fd = -1;

__attribute__((constructor(201))) static void open_before_the_forkserver(void)
{
	early_fd = open("/proc/self/status", O_RDONLY); /* without O_CLOEXEC */
}

Test(task, has_none_of_its_hosts_descriptors, .timeout = 30)
{
	struct {
		int fd;
		char st[sizeof(struct stat)];
	} arg = {.fd = early_fd};
	struct stat st;
	struct pm_result r;
	struct pm_job job = {.arg = &arg, .len = sizeof(arg)};
	cr_assert_geq(early_fd, 0);
	cr_assert_eq(fstat(early_fd, &st), 0);
	memcpy(arg.st, &st, sizeof(st));
	pm_pool *pool = rig_pool(1, 1);
	cr_assert_eq(pm_map(pool, task_list_descriptors, &job, 1, &r), 0);
	cr_assert_eq(r.error, 0, "%s", r.message);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}

/* Touch all of a large frame, from its far end, as a deep call would. */
static int task_use_much_stack(pm_task *task, const void *arg, size_t len)
{
	volatile char frame[700 * 1024];
	unsigned sum = 0;
	for (size_t i = 0; i < sizeof(frame); i += 512) {
		frame[i] = (char)i;
	}
	int err = pm_sleep(task, 5); /* others do the same on their stacks */
	for (size_t i = 0; i < sizeof(frame); i += 512) {
		sum += frame[i] != (char)i;
	}
	return err || sum ? pm_fail(task, 1, "%u bytes changed", sum)
			  : pm_return(task, arg, len);
}

Test(task, has_the_stack_that_the_options_say, .timeout = 30)
{
	struct pm_pool_options o = rig_options(2, 20);
	o.stack_bytes = 1 << 20;
	pm_pool *pool = rig_open(&o);
	struct batch b = batch_new(100);
	batch_map(pool, task_use_much_stack, &b);
	batch_check(&b);
	cr_assert_eq(rig_stats(pool).workers_lost, 0);
	batch_free(&b);
	pm_pool_close(&pool);
}

/* -------------------------------------------------------------------- fetch */

/* What a fetch came to, as its task saw it. */
struct fetched {
	int error, status;
	int last_status; /* of pm_task_last_response(); -1: there is none */
	size_t len;
	char body[64];
	struct pm_failure failure;
};

static void note_fetch(
	pm_task *task, int error, const struct pm_response *res, struct fetched *f)
{
	const struct pm_response *last = pm_task_last_response(task);
	f->error = error;
	f->last_status = last ? last->status : -1;
	const struct pm_failure *failure = pm_task_failure(task);
	f->failure.error = failure->error;
	f->failure.domain = failure->domain;
	f->failure.code = failure->code;
	snprintf(
		f->failure.message, sizeof(f->failure.message), "%s", failure->message);
	if (!error) {
		f->status = res->status;
		f->len = res->body_len;
		memcpy(f->body, res->body,
			f->len < sizeof(f->body) ? f->len : sizeof(f->body));
	}
}

static int task_get(pm_task *task, const void *url, size_t len)
{
	struct fetched f;
	struct pm_response *res = NULL;
	(void)len;
	memset(&f, 0, sizeof(f)); /* also what lies between its members */
	if (pm_task_last_response(task)) {
		return pm_fail(task, 1, "a last response before the first fetch");
	}
	int err = pm_await_get(task, url, &res);
	note_fetch(task, err, res, &f);
	return pm_return(task, &f, sizeof(f));
}

/* The way most tasks are written. */
static int task_get_plainly(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	int err = pm_await_get(task, url, &res);
	(void)len;
	return err ? err : pm_return(task, res->body, res->body_len);
}

static struct fetched get(pm_pool *pool, const char *url)
{
	struct fetched f;
	struct pm_result r;
	struct pm_job job = {.arg = url, .len = strlen(url)};
	cr_assert_eq(pm_map(pool, task_get, &job, 1, &r), 0);
	cr_assert_eq(r.error, 0, "%s: %s", url, r.message);
	cr_assert_eq(r.len, sizeof(f));
	memcpy(&f, r.bytes, sizeof(f));
	pm_results_clear(&r, 1);
	return f;
}

Test(task, fetches, .timeout = 60)
{
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(2, 4);
	struct fetched f = get(pool, origin_url(o, "/"));
	cr_assert_eq(f.error, 0, "%s", f.failure.message);
	cr_assert_eq(f.status, 200);
	cr_assert_eq(f.last_status, 200);
	cr_assert_eq(f.len, 3);
	cr_assert_str_eq(f.body, "ok\n");
	f = get(pool, origin_url(o, "/status/404"));
	cr_assert_eq(f.error, 0, "any status is a success, and this was: %s",
		f.failure.message);
	cr_assert_eq(f.status, 404);
	cr_assert_str_eq(f.body, "status 404\n");
	f = get(pool, origin_url(o, "/bytes/1000000"));
	cr_assert_eq(f.len, 1000000);
	pm_pool_close(&pool);
	origin_stop(o);
}

/* A port that is ours, and on which nobody listens. */
static const char *refusing_url(int *fd)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(*fd >= 0 && bind(*fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		  getsockname(*fd, (struct sockaddr *)&sa, &len) == 0);
	return keep_printf("http://127.0.0.1:%u/", ntohs(sa.sin_port));
}

Test(task, learns_why_a_fetch_failed, .timeout = 60)
{
	int fd;
	const char *url = refusing_url(&fd);
	pm_pool *pool = rig_pool(1, 4);
	struct fetched f = get(pool, url);
	cr_assert_eq(f.error, PM_ECONNECT, "%s", pm_error_name(f.error));
	cr_assert_eq(f.failure.error, PM_ECONNECT);
	cr_assert_eq(f.failure.domain, PM_DOMAIN_CURL);
	cr_assert_eq(
		f.failure.code, 7, "CURLE_COULDNT_CONNECT, not %d", f.failure.code);
	cr_assert_gt(strlen(f.failure.message), 0);
	cr_assert_eq(f.last_status, 0);
	f = get(pool, "ftp://127.0.0.1/");
	cr_assert_eq(f.error, PM_ESCHEME, "%s", pm_error_name(f.error));
	f = get(pool, "http://");
	cr_assert_eq(f.error, PM_EBADURL, "%s", pm_error_name(f.error));
	close(fd);
	pm_pool_close(&pool);
}

/* A task that returns the error of an await fails with what the await said. */
Test(task, fails_with_the_details_of_its_fetch, .timeout = 60)
{
	int fd;
	const char *url = refusing_url(&fd);
	struct origin *o = origin_start();
	const char *urls[] = {url, origin_url(o, "/"), origin_url(o, "/reset")};
	pm_pool *pool = rig_pool(1, 4);
	struct pm_job jobs[3];
	struct pm_result r[3];
	for (int i = 0; i < 3; i++) {
		jobs[i] = (struct pm_job){.arg = urls[i], .len = strlen(urls[i])};
	}
	cr_assert_eq(pm_map(pool, task_get_plainly, jobs, 3, r), 0);
	cr_assert_eq(r[0].error, PM_ECONNECT, "%s", pm_error_name(r[0].error));
	cr_assert_eq(r[0].domain, PM_DOMAIN_CURL);
	cr_assert_eq(r[0].code, 7);
	cr_assert(r[0].message && *r[0].message);
	cr_assert_eq(r[1].error, 0, "%s", r[1].message);
	cr_assert_str_eq(r[1].bytes, "ok\n");
	cr_assert_eq(r[2].error, PM_ERESET, "%s", pm_error_name(r[2].error));
	cr_assert_eq(r[2].domain, PM_DOMAIN_CURL);
	pm_results_clear(r, 3);
	close(fd);
	pm_pool_close(&pool);
	origin_stop(o);
}

/* Tell the board what a fetch ends with that nobody answers. */
static int task_get_for_ever(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	board_enter();
	int err = pm_await_get(task, url, &res);
	atomic_store(&board->seen, err);
	board_leave();
	return err;
}

static void cancel_when_all_fetch(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	if (atomic_load(&board->inside) == 3) {
		pm_pool_cancel(*(pm_pool **)ctx);
	}
}

Test(task, is_woken_from_a_hanging_fetch_by_a_cancellation, .timeout = 60)
{
	struct origin *o = origin_start();
	const char *url = origin_url(o, "/delay/50000");
	struct pm_pool_options options = rig_options(2, 3);
	struct timeval often = {.tv_usec = 5000};
	pm_pool *pool;
	options.base = event_base_new();
	pool = rig_open(&options);
	struct event *timer =
		event_new(options.base, -1, EV_PERSIST, cancel_when_all_fetch, &pool);
	event_add(timer, &often);
	struct pm_job jobs[3];
	struct pm_result results[3];
	for (int i = 0; i < 3; i++) {
		jobs[i] = (struct pm_job){.arg = url, .len = strlen(url)};
	}
	uint64_t before = clock_now_ms();
	cr_assert_eq(pm_map(pool, task_get_for_ever, jobs, 3, results), PM_ECANCELLED);
	cr_assert_lt(clock_now_ms() - before, 20000);
	cr_assert(wait_for(board_is_quiet, NULL, 10000), "a fetch goes on");
	cr_assert_eq(atomic_load(&board->seen), PM_ECANCELLED, "%s",
		pm_error_name(atomic_load(&board->seen)));
	struct fetched f = get(pool, origin_url(o, "/"));
	cr_assert_eq(f.status, 200, "after a cancellation: %s", f.failure.message);
	event_free(timer);
	pm_pool_close(&pool);
	event_base_free(options.base);
	origin_stop(o);
}

Test(task, fetches_hundreds_at_once, .timeout = 60)
{
	enum { CT = 600 };
	struct origin *o = origin_start();
	pm_pool *pool = rig_pool(2, 200);
	struct pm_job jobs[CT];
	struct pm_result results[CT];
	for (unsigned i = 0; i < CT; i++) {
		const char *url =
			origin_url(o, i % 3 ? "/delay/50" : "/size/%u", 100 + i);
		jobs[i] = (struct pm_job){.arg = url, .len = strlen(url)};
	}
	cr_assert_eq(pm_map(pool, task_get_plainly, jobs, CT, results), 0);
	for (unsigned i = 0; i < CT; i++) {
		cr_assert_eq(results[i].error, 0, "job %u: %s", i, results[i].message);
		cr_assert_eq(results[i].len, i % 3 ? 3 : 100 + i, "job %u", i);
	}
	cr_assert_eq(origin_count(o, "requests"), CT);
	pm_results_clear(results, CT);
	pm_pool_close(&pool);
	origin_stop(o);
}
