/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` when processes die: workers, the master, the forkserver.  Every job has
 * exactly one result in the end, and nothing is left behind.
 */
#include "tests/support/kill_rig.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

TestSuite(run_kills, .init = start_kills, .fini = stop_origin);

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
