/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` on a list of a million jobs, out of a pipe that does not end: a job
 * costs as much and takes as much memory at its end as at its beginning.  The jobs need
 * no network, so that nothing is measured but the pool.
 */
#include "tests/support/run_rig.h"

#include <time.h>

TestSuite(run_scale);

enum { JOBS = 1000000 };

/* A run that is fed, and its processes: the master, the forkserver, the worker. */
struct fed {
	struct child c;
	const char *out;
	size_t ct; /* jobs so far */
};

/* The results are 0, 1, 2 ... a line. */
static void start_fed(struct fed *f)
{
	*f = (struct fed){.out = new_path("results.csv")};
	child_start(&f->c,
		RUN("-q", "-w", "1", "--window", "2000", "--format", "csv", "--fields",
			"index,url", "-o", f->out),
		0);
}

static bool ends_with_last(void *ctx)
{
	const struct fed *f = ctx;
	char tail[64], wanted[32];
	size_t size = file_size(f->out);
	size_t len = size < sizeof(tail) - 1 ? size : sizeof(tail) - 1;
	int fd = open(f->out, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : pread(fd, tail, len, (off_t)(size - len));
	if (fd >= 0) {
		close(fd);
	}
	tail[n > 0 ? n : 0] = '\0';
	snprintf(wanted, sizeof(wanted), "\n%zu,x:1\r\n", f->ct - 1);
	return strstr(tail, wanted) != NULL;
}

/* `ct` more jobs, until all have their results. */
static void feed(struct fed *f, size_t ct)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < ct; i++) {
		bytes_add(&jobs, "x:1\n", 4);
	}
	f->ct += ct;
	cr_assert(child_write(&f->c, jobs.data, jobs.len), "it reads no more");
	bytes_fini(&jobs);
	cr_assert(wait_for(ends_with_last, f, HARNESS_DEADLINE_MS),
		"result %zu does not come", f->ct - 1);
}

static void end_fed(struct fed *f)
{
	child_close(&f->c, 0);
	cr_assert_eq(child_wait(&f->c, 20000), 1, "%s", f->c.got[2].data);
	child_fini(&f->c);
}

/* Of the process and all below it. */
static double cpu_seconds(pid_t pid)
{
	clockid_t clock;
	struct timespec t;
	pid_t children[64];
	cr_assert_eq(clock_getcpuclockid(pid, &clock), 0, "%d", (int)pid);
	cr_assert_eq(clock_gettime(clock, &t), 0, "%d", (int)pid);
	double sum = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	size_t ct = process_children(pid, children, 64);
	for (size_t i = 0; i < ct && i < 64; i++) {
		sum += cpu_seconds(children[i]);
	}
	return sum;
}

/* CPU time of these jobs: the least of four equal parts, as others want the
 * machine, too. */
static double cost(struct fed *f, size_t ct)
{
	enum { PARTS = 4 };
	double least = 1e9;
	for (int i = 0; i < PARTS; i++) {
		double before = cpu_seconds(f->c.pid);
		feed(f, ct / PARTS);
		double after = cpu_seconds(f->c.pid);
		least = after - before < least ? after - before : least;
	}
	return least;
}

Test(run_scale, the_millionth_job_costs_what_the_ten_thousandth_does, .timeout = 120)
{
	enum { FIRST = 10000, MEASURED = 100000 };
	struct fed f;
	if (RIG_SANITIZED) {
		cr_skip_test("it measures");
	}
	start_fed(&f);
	feed(&f, FIRST);
	double early = cost(&f, MEASURED);
	feed(&f, JOBS - MEASURED - f.ct);
	double late = cost(&f, MEASURED);
	end_fed(&f);
	cr_assert_lt(late, early * 1.2, "%.0f ms of CPU for 25,000 jobs, %.0f at first",
		late * 1e3, early * 1e3);
}

/* KiB that the process has ever needed. */
static long peak_kib(pid_t pid)
{
	size_t len;
	char *text = read_file(keep_printf("/proc/%d/status", (int)pid), &len);
	const char *line = strstr(text, "VmHWM:");
	long kib = line ? strtol(line + 6, NULL, 10) : 0;
	free(text);
	cr_assert_gt(kib, 0);
	return kib;
}

Test(run_scale, a_million_jobs_take_the_memory_of_a_hundred_thousand, .timeout = 120)
{
	struct fed f;
	if (RIG_SANITIZED) {
		cr_skip_test("sanitizers take memory of their own");
	}
	start_fed(&f);
	feed(&f, JOBS / 10);
	long few = peak_kib(f.c.pid);
	feed(&f, JOBS - f.ct);
	long many = peak_kib(f.c.pid);
	end_fed(&f);
	cr_assert_leq(many - few, 1024, "%ld KiB, and %ld for a tenth", many, few);
}
