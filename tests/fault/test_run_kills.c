/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` when things die: workers, the master, the forkserver, the disk.
 * Every job has exactly one result in the end, and nothing is left behind.
 *
 * What is random comes from a seed that is printed; POOLMAP_TEST_SEED in the
 * environment sets it.
 */
#include "tests/support/origin_rig.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static const char *runtime; /* where pools have their directories */
static uint64_t dice_state;

static void start(void)
{
	const char *seed = getenv("POOLMAP_TEST_SEED");
	dice_state = seed ? strtoull(seed, NULL, 10) : clock_now_us();
	cr_log_info("POOLMAP_TEST_SEED=%llu", (unsigned long long)dice_state);
	start_origin();
	runtime = temp_dir();
	child_env("XDG_RUNTIME_DIR", runtime);
	child_env("TMPDIR", runtime);
}

TestSuite(run_kills, .init = start, .fini = stop_origin);

/* 0 ... below - 1 */
static size_t dice(size_t below)
{
	dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)((dice_state >> 33) % below);
}

/* ------------------------------------------------------------ what is running */

static bool has_name(pid_t pid, const char *start_of)
{
	char name[64] = "";
	FILE *f = fopen(keep_printf("/proc/%d/comm", (int)pid), "re");
	if (f) {
		(void)!fgets(name, sizeof(name), f);
		fclose(f);
	}
	return strncmp(name, start_of, strlen(start_of)) == 0;
}

/* The forkserver of a run; 0: it has none (yet). */
static pid_t forkserver_of(pid_t run)
{
	pid_t children[64];
	size_t ct = process_children(run, children, 64);
	for (size_t i = 0; i < ct && i < 64; i++) {
		if (has_name(children[i], "poolmap-fork")) {
			return children[i];
		}
	}
	return 0;
}

/* One of the workers of a run; 0: there is none now. */
static pid_t random_worker_of(pid_t run)
{
	pid_t workers[64];
	pid_t forkserver = forkserver_of(run);
	size_t ct = forkserver ? process_children(forkserver, workers, 64) : 0;
	pid_t one = ct ? workers[dice(ct < 64 ? ct : 64)] : 0;
	return one && has_name(one, "poolmap-") ? one : 0;
}

static size_t entries_of(const char *path)
{
	size_t ct = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);
	cr_assert(dir, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		ct += entry->d_name[0] != '.';
	}
	closedir(dir);
	return ct;
}

/* Workers have the command line of the run, so its output's name finds them
 * all; one that has ended and waits for its parent has none. */
static bool no_process_is_left(void *out)
{
	return pids_of_program(out, NULL, 0) == 0;
}

static bool nothing_is_left(void *out)
{
	return no_process_is_left(out) && entries_of(runtime) == 0;
}

static void check_nothing_left(const char *out)
{
	void *ctx = (void *)(uintptr_t)out;
	cr_assert(wait_for(nothing_is_left, ctx, 1000),
		"after a second %zu processes and %zu files are left",
		pids_of_program(out, NULL, 0), entries_of(runtime));
}

/* ------------------------------------------------------------------ job lists */

static void check_all_ok(const char *out, size_t ct)
{
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, ct);
	for (size_t i = 0; i < ct; i++) {
		const json_t *job = json_array_get(results, i);
		cr_assert(is_ok(job), "job %zu: %s", i, text_in(job, "errormsg"));
	}
	json_decref(results);
}

/* ------------------------------------------------------------- dying workers */

Test(run_kills, survives_the_death_of_workers, .timeout = 60)
{
	enum { MANY = 20000 };
	struct child c;
	size_t kills = 0;
	const char *out = new_path("results.jsonl");
	child_start(&c,
		RUN("-w", "2", "-c", "40", "-o", out, jobs_of("/delay/5?", MANY)),
		CHILD_NO_STDIN);
	while (!wait_until_gone(c.pid, 100)) {
		pid_t worker = random_worker_of(c.pid);
		kills += worker && kill(worker, SIGKILL) == 0;
	}
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	cr_assert_gt(kills, 5, "only %zu workers were killed", kills);
	check_all_ok(out, MANY);
	check_says(c.got[2].data, "lost");
	cr_log_info("%zu workers killed", kills);
	check_nothing_left(out);
	child_fini(&c);
}

Test(run_kills, survives_the_death_of_workers_when_unordered, .timeout = 60)
{
	enum { MANY = 5000 };
	struct child c;
	size_t kills = 0;
	const char *out = new_path("results.jsonl");
	child_start(&c,
		RUN("-w", "3", "-c", "24", "-o", out, "--unordered",
			jobs_of("/delay/5?", MANY)),
		CHILD_NO_STDIN);
	while (!wait_until_gone(c.pid, 50)) {
		pid_t worker = random_worker_of(c.pid);
		kills += worker && kill(worker, SIGKILL) == 0;
	}
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	cr_assert_gt(kills, 5, "only %zu workers were killed", kills);
	json_t *results = results_of_file(out, NULL);
	results_check_complete(results, MANY);
	json_decref(results);
	child_fini(&c);
}

/* ----------------------------------------------------------- a dying master */

static bool has_worker(void *run)
{
	return random_worker_of(*(pid_t *)run) != 0;
}

/* Kill the run so many milliseconds later; true unless it has ended before. */
static bool kill_run(struct child *c, size_t ms)
{
	bool killed = !wait_until_gone(c->pid, (unsigned)ms);
	if (killed) {
		child_signal(c, SIGKILL);
	}
	int status = child_wait(c, 10000);
	cr_assert_eq(
		status, killed ? 128 + SIGKILL : 0, "%d: %s", status, c->got[2].data);
	return killed;
}

/* Ten times, each going on where the one before died.  Not before it has
 * workers: leaves_nothing_when_killed_at_its_start is about that. */
static void check_master_dies(const char *order, size_t job_ct)
{
	struct child c;
	size_t kills = 0;
	const char *out = new_path("results.jsonl"),
		   *jobs = jobs_of("/delay/5?", job_ct);
	const char *const *argv =
		RUN("-w", "2", "-c", "40", "--resume", order, "-o", out, jobs);
	for (int i = 0; i < 10; i++) {
		child_start(&c, argv, CHILD_NO_STDIN);
		cr_assert(wait_for(has_worker, &c.pid, 10000), "it does not start");
		kills += kill_run(&c, dice(250));
		check_nothing_left(out);
		child_fini(&c);
	}
	cr_assert_eq(kills, 10, "only %zu of ten were killed", kills);
	struct ran r = run_to_end(NULL, argv);
	check_status(&r, 0);
	json_t *results = results_of_file(out, NULL);
	results_check_complete(results, job_ct);
	json_decref(results);
	ran_fini(&r);
	check_nothing_left(out);
}

/* The socket that workers send results to; NULL: not there yet. */
static const char *results_socket(void)
{
	const char *found = NULL;
	struct dirent *entry;
	DIR *dir = opendir(runtime);
	cr_assert(dir);
	while (!found && (entry = readdir(dir))) {
		const char *path = keep_printf("%s/%s/r", runtime, entry->d_name);
		found = entry->d_name[0] != '.' && !access(path, F_OK) ? path : NULL;
	}
	closedir(dir);
	return found;
}

/* As nanomsg greets, then a message of a kind that there is not.  Its own assertion
 * ends the process that gets it. */
static void send_bad_type(const char *path)
{
	static const char bytes[] = "\0SP\0\0\x50\0\0" /* I push */
				    "\2\0\0\0\0\0\0\0\1x";
	char greeting[8];
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	cr_assert_eq(send(fd, bytes, sizeof bytes - 1, MSG_NOSIGNAL), sizeof bytes - 1);
	while (recv(fd, greeting, sizeof greeting, 0) > 0) {
	}
	close(fd);
}

Test(run_kills, goes_on_after_nanomsg_has_ended_the_master, .timeout = 60)
{
	enum { MANY = 2000 };
	struct child c;
	const char *out = new_path("results.jsonl"),
		   *jobs = jobs_of("/size/500?", MANY);
	child_start(&c, RUN("-w", "2", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "requests", MANY / 10);
	send_bad_type(results_socket());
	cr_assert_eq(child_wait(&c, 20000), 128 + SIGABRT, "%s", c.got[2].data);
	check_says(c.got[2].data, "NN_SIPC_MSG_NORMAL");
	child_fini(&c);
	check_nothing_left(out);
	struct ran r = run_to_end(NULL, RUN("-w", "2", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	ran_fini(&r);
	check_all_ok(out, MANY);
}

Test(run_kills, goes_on_after_the_death_of_the_master, .timeout = 60)
{
	check_master_dies("--unordered=no", 20000);
}

Test(run_kills, goes_on_after_the_death_of_the_master_when_unordered, .timeout = 60)
{
	check_master_dies("--unordered", 20000);
}

/* Let so much time pass, to a fraction of a millisecond. */
static void spin(uint64_t us)
{
	uint64_t end = clock_now_us() + us;
	while (clock_now_us() < end) {
	}
}

/* All of its beginning: before, while and after it makes its directory, its
 * forkserver and its workers. */
Test(run_kills, leaves_nothing_when_killed_at_its_start, .timeout = 60)
{
	enum { KILLS = 300, STEP_US = RIG_SANITIZED ? 300 : 50 };
	const char *jobs = temp_file("jobs", "x:1\n", 4);
	for (size_t i = 0; i < KILLS; i++) {
		struct child c;
		const char *out = keep_printf("%s.out.%zu", jobs, i);
		child_start(&c, RUN("-w", "2", "-c", "4", "-o", out, jobs, "-"), 0);
		spin(i * STEP_US);
		child_signal(&c, SIGKILL);
		child_wait(&c, 10000);
		cr_assert(wait_for(nothing_is_left, (void *)(uintptr_t)out, 1000),
			"killed after %zu us: %zu processes and %zu directories are "
			"left",
			i * STEP_US, pids_of_program(out, NULL, 0),
			entries_of(runtime));
		child_fini(&c);
	}
}

/* Also workers that are stuck in a job see it. */
Test(run_kills, leaves_no_worker_that_hangs, .timeout = 30)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	child_start(
		&c, RUN("-w", "4", "-o", out, jobs_of("/hang?", 100)), CHILD_NO_STDIN);
	wait_for_count(o, "requests", 100);
	kill_run(&c, 0);
	check_nothing_left(out);
	child_fini(&c);
}

/* A directory that nobody is left to remove is removed by the next run, when it
 * is old enough to be nobody's. */
static void age_entries(const char *path)
{
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct dirent *entry;
	DIR *dir = opendir(path);
	cr_assert(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.') {
			utimensat(dirfd(dir), entry->d_name, old, 0);
		}
	}
	closedir(dir);
}

Test(run_kills, goes_on_after_the_death_of_master_and_forkserver, .timeout = 60)
{
	enum { MANY = 4000 };
	struct child c;
	const char *out = new_path("results.jsonl"), *jobs = jobs_of("/delay/5?", MANY);
	child_start(&c, RUN("-w", "2", "-c", "20", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "requests", 500);
	pid_t forkserver = forkserver_of(c.pid);
	cr_assert_gt(forkserver, 0, "no forkserver");
	child_signal(&c, SIGSTOP); /* so that it cannot see the other die */
	kill(forkserver, SIGKILL);
	child_signal(&c, SIGKILL);
	cr_assert_eq(child_wait(&c, 10000), 128 + SIGKILL);
	cr_assert(wait_for(no_process_is_left, (void *)(uintptr_t)out, 1000),
		"%zu processes are left", pids_of_program(out, NULL, 0));
	child_fini(&c);
	age_entries(runtime);
	struct ran r = run_to_end(
		NULL, RUN("-w", "2", "-c", "200", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	check_all_ok(out, MANY);
	ran_fini(&r);
	check_nothing_left(out);
}

/* Without it there can be no new workers: the run says so, and can go on. */
Test(run_kills, stops_when_its_forkserver_dies, .timeout = 60)
{
	enum { MANY = 2000 };
	struct child c;
	const char *out = new_path("results.jsonl"), *jobs = jobs_of("/delay/5?", MANY);
	child_start(&c, RUN("-w", "2", "-c", "20", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "requests", 200);
	pid_t forkserver = forkserver_of(c.pid);
	cr_assert_gt(forkserver, 0, "no forkserver");
	kill(forkserver, SIGKILL);
	cr_assert_eq(child_wait(&c, 10000), 5, "%s", c.got[2].data);
	check_says(c.got[2].data, "forkserver");
	check_says(c.got[2].data, "run --resume");
	check_nothing_left(out);
	child_fini(&c);
	struct ran r = run_to_end(
		NULL, RUN("-w", "2", "-c", "200", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	check_all_ok(out, MANY);
	ran_fini(&r);
}

/* ------------------------------------------------------------------ torn files */

enum { TORN_JOBS = 120 };

/* Mixed: bodies, failures, bad lines, ids. */
static const char *torn_jobs(void)
{
	struct bytes jobs = {0};
	for (int i = 0; i < TORN_JOBS; i++) {
		switch (i % 5) {
		case 0:
			jobs_add(&jobs, "%s\n", origin_url(o, "/size/%d", i * 7));
			break;
		case 1:
			jobs_add(&jobs, "x:%d\n", i);
			break;
		case 2:
			jobs_add(&jobs, "{\"url\":\"%s\",\"id\":\"\\u00e4 %d\"}\n",
				origin_url(o, "/bytes/%d", i), i);
			break;
		case 3:
			jobs_add(&jobs, "no job %d\n", i);
			break;
		default:
			jobs_add(&jobs, "{\"id\":%d}\n", i);
			break;
		}
	}
	return jobs_file(&jobs);
}

/* The jobs that were done stay as they are, to the byte; the others are as in a
 * run that was never stopped, but for times. */
static void check_resumed(const char *out, const char *whole, size_t len, size_t cut)
{
	size_t now_len, ct;
	char *now = read_file(out, &now_len);
	const char *lf = cut ? memrchr(whole, '\n', cut) : NULL;
	size_t kept = lf ? (size_t)(lf + 1 - whole) : 0;
	cr_assert(now_len >= kept && memcmp(now, whole, kept) == 0,
		"cut at %zu: what was done has changed", cut);
	json_t *before = results_load(whole, len, NULL);
	json_t *after = results_load(now, now_len, &ct);
	results_check_ordered(after, TORN_JOBS);
	for (size_t i = 0; i < ct; i++) {
		const json_t *a = json_array_get(before, i),
			     *b = json_array_get(after, i);
		static const char *const same[] = {
			"url", "id", "error", "body", "body_base64"};
		for (size_t k = 0; k < sizeof(same) / sizeof(same[0]); k++) {
			const json_t *x = json_object_get(a, same[k]);
			const json_t *y = json_object_get(b, same[k]);
			cr_assert(x == y || json_equal(x, y),
				"cut at %zu: %s of job %zu is another", cut, same[k],
				i);
		}
	}
	json_decref(before);
	json_decref(after);
	free(now);
}

static void write_over(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");
	cr_assert(f && fwrite(text, 1, len, f) == len && fclose(f) == 0, "%s", path);
}

Test(run_kills, goes_on_from_a_file_cut_anywhere, .timeout = 60)
{
	enum { CUTS = 200 };
	size_t len;
	const char *out = new_path("results.jsonl"), *jobs = torn_jobs();
	const char *const *argv = RUN("-q", "-w", "1", "--resume", "-o", out, jobs);
	struct ran r = run_to_end(NULL, argv);
	check_status(&r, 1);
	ran_fini(&r);
	char *whole = read_file(out, &len);
	for (size_t i = 0; i < CUTS; i++) {
		size_t cut = i == 0 ? 0 : i == 1 ? len : i == 2 ? len - 1 : dice(len);
		write_over(out, whole, cut);
		r = run_to_end(NULL, argv);
		cr_assert_leq(r.io.status, 1, "cut at %zu: %s", cut, r.io.err);
		check_resumed(out, whole, len, cut);
		ran_fini(&r);
	}
	free(whole);
}

/* -------------------------------------------------------------- no more room */

static size_t check_ends_whole(const char *out)
{
	size_t ct;
	json_t *results = results_of_file(out, &ct); /* fails on a torn line */
	results_check_ordered(results, ct);
	json_decref(results);
	return ct;
}

Test(run_kills, stops_at_the_limit_of_file_size_and_goes_on, .timeout = 60)
{
	enum { MANY = 2000, LIMIT = 300000 };
	const char *out = new_path("results.jsonl"),
		   *jobs = jobs_of("/size/500?", MANY);
	const char *limit = keep_printf("exec prlimit --fsize=%d \"$@\"", LIMIT);
	struct ran r =
		run_to_end(NULL, RUN_IN_SHELL(limit, "-w", "2", "-o", out, jobs));
	check_status(&r, 4);
	check_says(r.io.err, "--resume");
	check_says(r.io.err, "raise the limit");
	ran_fini(&r);
	cr_assert_leq(file_size(out), LIMIT);
	size_t ct = check_ends_whole(out);
	cr_assert(100 < ct && ct < MANY, "%zu results", ct);
	r = run_to_end(NULL, RUN("-w", "2", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	check_says(r.io.err, "already done");
	check_all_ok(out, MANY);
	ran_fini(&r);
	check_nothing_left(out);
}

/* In a mount of its own, which ends with the shell. */
static const char in_small_disk[] =
	"dir=$1; shift; mount -t tmpfs -o size=256k none \"$dir\" || exit 77\n"
	"\"$@\" -o \"$dir/out\"; code=$?; cat \"$dir/out\" >\"$dir.first\"\n"
	"[ $code -eq 4 ] || { echo \"exit code $code\" >&2; exit 1; }\n"
	"mount -o remount,size=64m \"$dir\" || exit 77\n"
	"\"$@\" -o \"$dir/out\" --resume; code=$?; cat \"$dir/out\"; exit $code";

Test(run_kills, stops_when_the_disk_is_full_and_goes_on, .timeout = 60)
{
	enum { MANY = 2000 };
	const char *dir = keep_printf("%s/disk", temp_dir());
	cr_assert_eq(mkdir(dir, 0700), 0);
	struct ran r = run_to_end(NULL,
		(const char *const[]){"unshare", "-rm", "/bin/sh", "-c", in_small_disk,
			"sh", dir, program("poolmap"), "run", "--no-config", "-w", "2",
			jobs_of("/size/500?", MANY), NULL});
	if (r.io.status == 77 || strstr(r.io.err, "unshare")) {
		cr_skip_test("no mount namespaces here");
	}
	check_status(&r, 0);
	check_says(r.io.err, "No space left");
	check_says(r.io.err, "make room");
	results_check_ordered(r.results, MANY);
	size_t ct = check_ends_whole(keep_printf("%s.first", dir));
	cr_assert(100 < ct && ct < MANY, "%zu results", ct);
	ran_fini(&r);
}

/* The file system was mounted anew for reading only, or its server forgot the file:
 * from then on no write comes through. */
static void check_taken_away(const char *call, const char *error, const char *words)
{
	enum { MANY = 200 };
	const char *out = new_path("results.jsonl"),
		   *jobs = jobs_of("/size/500?", MANY);
	/* LeakSanitizer does not work under strace. */
	child_env("ASAN_OPTIONS", "detect_leaks=0");
	struct ran r = run_to_end(
		NULL, (const char *const[]){"strace", "-qq", "-o", "/dev/null", "-P",
			      out, "-e", keep_printf("trace=%s", call), "-e",
			      keep_printf("inject=%s:error=%s:when=5+", call, error),
			      program("poolmap"), "run", "--no-config", "-w2", "-c4",
			      "--sync=always", "-o", out, jobs, NULL});
	check_status(&r, 4);
	check_says(r.io.err, words);
	check_says(r.io.err, "--resume");
	ran_fini(&r);
	cr_assert_lt(check_ends_whole(out), MANY);
	r = run_to_end(NULL, RUN("-w2", "--resume", "-o", out, jobs));
	check_status(&r, 0);
	ran_fini(&r);
	check_all_ok(out, MANY);
	check_nothing_left(out);
}

Test(run_kills, stops_when_the_disk_is_read_only_of_a_sudden_and_goes_on, .timeout = 60)
{
	check_taken_away("write", "EROFS", "Read-only file system");
}

Test(run_kills, stops_when_the_file_handle_is_stale_and_goes_on, .timeout = 60)
{
	check_taken_away("write", "ESTALE", "Stale file handle");
	check_taken_away("fsync", "ESTALE", "Stale file handle");
}

/* ------------------------------------------------- an output that is not ours */

Test(run_kills, two_runs_cannot_write_one_file, .timeout = 30)
{
	struct child c;
	const char *out = new_path("results.jsonl"), *jobs = jobs_of("/hold/x?", 1);
	child_start(&c, RUN("-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "requests", 1);
	static const char *const flags[] = {"--resume", "--force"};
	for (size_t i = 0; i < 2; i++) {
		struct ran r = run_to_end(NULL, RUN("-o", out, flags[i], jobs));
		check_status(&r, 6);
		check_says(r.io.err, "in use by another run");
		ran_fini(&r);
	}
	cr_assert_eq(origin_count(o, "requests"), 1);
	origin_release(o, "x?0");
	origin_release(o, "x");
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	check_all_ok(out, 1);
	child_fini(&c);
}

/* Resume with another job file, which is refused, and touches nothing. */
static void check_foreign(const char *out, const char *jobs, const char *words)
{
	size_t before_len, after_len;
	char *before = read_file(out, &before_len);
	struct ran r = run_to_end(NULL, RUN("--resume", "-o", out, jobs));
	check_status(&r, 6);
	check_says(r.io.err, words);
	char *after = read_file(out, &after_len);
	cr_assert(before_len == after_len && memcmp(before, after, after_len) == 0,
		"the output was touched");
	ran_fini(&r);
	free(before);
	free(after);
}

/* Of `ct` jobs, with number `odd` another one. */
static const char *jobs_but_one(size_t ct, size_t odd)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < ct; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, i == odd ? "/once/%zu/odd" : "/once/%zu", i));
	}
	return jobs_file(&jobs);
}

Test(run_kills, does_not_go_on_with_another_job_file, .timeout = 30)
{
	enum { MANY = 50, NONE = 1000 };
	const char *out = new_path("results.jsonl");
	struct ran r = run_to_end(NULL, RUN("-o", out, jobs_but_one(MANY, NONE)));
	check_status(&r, 0);
	ran_fini(&r);
	free(origin_get(o, "/reset-counts"));
	check_foreign(out, jobs_but_one(MANY, 20), "jobs.txt:21 is another job");
	check_foreign(out, jobs_but_one(MANY, 0), "do not belong to this job file");
	check_foreign(out, jobs_but_one(MANY, MANY - 1), "do not belong");
	check_foreign(out, jobs_but_one(MANY - 1, NONE), "fewer jobs than results");
	check_foreign(out, jobs_of("/count/", MANY), "do not belong");
	check_foreign(out, temp_file("jobs", "", 0), "fewer jobs");
	cr_assert_eq(origin_count(o, "requests"), 0);
	/* jobs behind those that are done are new, whatever they are */
	r = run_to_end(NULL, RUN("--resume", "-o", out, jobs_but_one(MANY + 5, MANY)));
	check_status(&r, 0);
	check_all_ok(out, MANY + 5);
	cr_assert_eq(origin_count(o, "requests"), 5);
	ran_fini(&r);
}

Test(run_kills, does_not_go_on_with_what_is_no_result, .timeout = 30)
{
	static const char *const texts[] = {"not a result\n", "{\"index\":1}\n{}\n",
		"{\"index\":99999999999,\"url\":\"x:1\"}\n", "[]\n", "\n"};
	const char *jobs = temp_file("jobs", "x:1\nx:2\n", 8);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *out = temp_file("out", texts[i], strlen(texts[i]));
		check_foreign(out, jobs, out);
	}
}

/* What a run without a stop would have written, but for all lines but one. */
Test(run_kills, goes_on_unordered_only_with_unordered, .timeout = 30)
{
	const char *jobs = temp_file("jobs", "x:1\nx:2\nx:3\n", 12);
	struct ran r = run_to_end(NULL, RUN("-q", jobs));
	const char *second = strchr(r.io.out, '\n') + 1;
	size_t len = strcspn(second, "\n") + 1;
	const char *out = temp_file("out", second, len);
	check_foreign(out, jobs, "resume with --unordered");
	ran_fini(&r);
	r = run_to_end(NULL, RUN("--resume", "--unordered", "-o", out, jobs));
	check_status(&r, 1);
	check_says(r.io.err, "1  already done");
	json_t *results = results_of_file(out, NULL);
	results_check_complete(results, 3);
	json_decref(results);
	ran_fini(&r);
	/* jobs that have changed places are others, in whatever order */
	const char *swapped = temp_file("jobs", "x:2\nx:1\nx:3\n", 12);
	struct ran again =
		run_to_end(NULL, RUN("--resume", "--unordered", "-o", out, swapped));
	check_status(&again, 6);
	check_says(again.io.err, "do not belong to this job file");
	ran_fini(&again);
}
