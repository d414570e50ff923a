/* SPDX-License-Identifier: MIT
 *
 * The command and its sandbox: it is on unless it is switched off, and says what it
 * lacks.  What it denies is in test_sandbox_worker.c; that look-ups, TLS and bodies in
 * files work in it, in the tests of these.
 */
#include "tests/support/run_rig.h"

#include "common/cli/kernel.h"

/* The worker of a run that waits for the origin. */
static pid_t worker_of(pid_t run)
{
	pid_t forkserver = 0, worker = 0;
	cr_assert_eq(process_children(run, &forkserver, 1), 1);
	cr_assert_eq(process_children(forkserver, &worker, 1), 1);
	return worker;
}

/* A number in /proc/PID/status. */
static unsigned long status_of(pid_t pid, const char *name, int base)
{
	char *text = read_file(keep_printf("/proc/%d/status", (int)pid), NULL);
	const char *line = strstr(text, name);
	cr_assert(line, "no %s in the status of %d", name, (int)pid);
	unsigned long value = strtoul(line + strlen(name), NULL, base);
	free(text);
	return value;
}

/* A run whose job the origin holds. */
struct held_run {
	struct origin *origin;
	struct child run;
	long long before; /* requests that are not of the run */
	long long ct;     /* of the run, until one is held */
};

static bool is_held(void *ctx)
{
	struct held_run *h = ctx;
	return origin_count(h->origin, "requests") >= h->before + h->ct;
}

/* What /proc says of a worker that is at work. */
struct confined {
	unsigned long no_new_privs, seccomp, filters, capabilities;
};

/* With the origin's path as its one job; its request `ct` is held. */
static struct confined look_at(
	struct origin *o, const char *flag, const char *path, long long ct)
{
	struct held_run h = {
		.origin = o, .before = origin_count(o, "requests"), .ct = ct};
	child_start(&h.run, RUN("-q", "-w1", "-o", "/dev/null", flag), 0);
	const char *job = keep_printf("%s\n", origin_url(o, "%s", path));
	cr_assert(child_write(&h.run, job, strlen(job)));
	child_close(&h.run, 0);
	cr_assert(wait_for(is_held, &h, HARNESS_DEADLINE_MS));
	pid_t pid = worker_of(h.run.pid);
	struct confined seen = {status_of(pid, "NoNewPrivs:", 10),
		status_of(pid, "Seccomp:", 10), status_of(pid, "Seccomp_filters:", 10),
		status_of(pid, "CapEff:", 16)};
	free(origin_get(o, "/release/it"));
	cr_assert_eq(child_wait(&h.run, HARNESS_DEADLINE_MS), 0);
	child_fini(&h.run);
	return seen;
}

static struct confined look(const char *flag)
{
	struct origin *o = origin_start();
	struct confined seen = look_at(o, flag, "/hold/it", 1);
	origin_stop(o);
	return seen;
}

static void need_sandbox(void)
{
	if (kernel_is_watched() || !kernel_landlock_abi() || !kernel_has_seccomp()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
}

Test(run_sandbox, is_on_by_default, .timeout = 120)
{
	need_sandbox();
	struct confined seen = look("--no-follow");
	cr_assert_eq(seen.no_new_privs, 1);
	cr_assert_eq(seen.seccomp, 2);
	cr_assert_eq(seen.capabilities & ~0xful, 0, "%lx", seen.capabilities);
}

Test(run_sandbox, can_be_switched_off, .timeout = 120)
{
	need_sandbox();
	struct confined seen = look("--no-sandbox");
	cr_assert_eq(seen.no_new_privs, status_of(getpid(), "NoNewPrivs:", 10));
	cr_assert_eq(seen.seccomp, status_of(getpid(), "Seccomp:", 10));
	cr_assert_eq(seen.capabilities, status_of(getpid(), "CapEff:", 16));
}

/* The first filter lets workers start; the second one, sandbox_seal()'s, comes before
 * the first byte from outside. */
static void check_sealed(struct confined seen, const char *which)
{
	cr_assert_eq(seen.no_new_privs, 1, "%s", which);
	cr_assert_eq(seen.seccomp, 2, "%s", which);
	unsigned long own = seen.filters - status_of(getpid(), "Seccomp_filters:", 10);
	cr_assert_eq(own, 2, "%s: %lu filters", which, own);
}

Test(run_sandbox, is_sealed_before_the_first_fetch, .timeout = 120)
{
	need_sandbox();
	const char *const flags[] = {"--body=inline", "--body=none",
		keep_printf("--body=dir:%s/bodies", temp_dir())};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		check_sealed(look(flags[i]), flags[i]);
	}
}

/* The first task of a worker is that of robots.txt, which leads to what is held. */
Test(run_sandbox, is_sealed_before_the_first_robots_txt, .timeout = 120)
{
	static const char response[] = "HTTP/1.1 302 Found\r\nLocation: /hold/it\r\n"
				       "Content-Length: 0\r\n\r\n";
	need_sandbox();
	struct origin *o = origin_start();
	struct talk w;
	struct reply reply;
	talk_open(&w, origin_port(o));
	talk_puts(&w, keep_printf("POST /set-robots/127.0.0.1:%u HTTP/1.1\r\n"
				  "Host: origin\r\nConnection: close\r\n"
				  "Content-Length: %zu\r\n\r\n%s",
			      origin_port(o), sizeof response - 1, response));
	cr_assert(talk_reply(&w, &reply, false));
	cr_assert_eq(reply.status, 200);
	reply_fini(&reply);
	talk_close(&w);
	check_sealed(look_at(o, "--polite", "/size/1", 2), "robots.txt");
	origin_stop(o);
}

/* What a run says that another user starts: root for all others, nobody for root,
 * where that is possible. */
static struct ran run_as_other(const char *jobs, bool *possible)
{
	bool root = geteuid() == 0;
	const char *poolmap = program("poolmap");
	struct ran r = run_to_end(
		jobs, root ? (const char *const[]){"setpriv", "--reuid=65534",
				     "--regid=65534", "--clear-groups", poolmap, "run",
				     "--no-config", "-q", "-w2", NULL}
			   : (const char *const[]){"unshare", "-r", poolmap, "run",
				     "--no-config", "-q", "-w2", NULL});
	*possible = !strstr(r.io.err, "setpriv:") && !strstr(r.io.err, "unshare:");
	return r;
}

/* Of root's privileges its workers keep those over files, see above. */
Test(run_sandbox, is_no_other_for_root, .timeout = 120)
{
	bool possible;
	struct origin *o = origin_start();
	const char *jobs = keep_printf(
		"%s\n%s\n", origin_url(o, "/size/1"), origin_url(o, "/status/404"));
	struct ran mine = run_to_end(jobs, RUN("-q", "-w2"));
	struct ran other = run_as_other(jobs, &possible);
	if (!possible) {
		cr_skip_test("no other user here");
	}
	check_status(&mine, 1);
	check_status(&other, 1);
	cr_assert_str_eq(mine.io.err, other.io.err);
	cr_assert_eq(mine.ct, 2);
	cr_assert_eq(other.ct, 2);
	for (size_t i = 0; i < 2; i++) {
		static const char *const same[] = {
			"index", "url", "ok", "error", "http_code", "body"};
		for (size_t j = 0; j < sizeof same / sizeof *same; j++) {
			cr_assert(json_equal(field(json_array_get(mine.results, i),
						     same[j]),
					  field(json_array_get(other.results, i),
						  same[j])),
				"job %zu: another %s", i, same[j]);
		}
	}
	ran_fini(&mine);
	ran_fini(&other);
	origin_stop(o);
}

/* A run on a kernel that answers a system call with an error. */
static struct ran run_on_kernel(
	const char *call, const char *error, const char *flag, const struct origin *o)
{
	const char *jobs = keep_printf(
		"%s\n%s\n", origin_url(o, "/size/1"), origin_url(o, "/size/2"));
	return run_to_end(jobs,
		(const char *const[]){"strace", "-f", "-qq", "-o", "/dev/null", "-e",
			keep_printf("trace=%s", call), "-e",
			keep_printf("inject=%s:error=%s", call, error),
			program("poolmap"), "run", "--no-config", "-w2", flag, NULL});
}

static size_t times(const char *text, const char *words)
{
	size_t ct = 0;
	while ((text = strstr(text, words))) {
		ct++;
		text += strlen(words);
	}
	return ct;
}

Test(run_sandbox, says_once_what_the_kernel_lacks_and_goes_on, .timeout = 120)
{
	static const char *const calls[][3] = {
		{"landlock_create_ruleset", "EOPNOTSUPP", "no Landlock"},
		{"seccomp", "ENOSYS", "no filters of system calls"},
	};
	need_sandbox();
	struct origin *o = origin_start();
	for (size_t i = 0; i < 2; i++) {
		struct ran r =
			run_on_kernel(calls[i][0], calls[i][1], "--no-follow", o);
		check_status(&r, 0);
		cr_assert_eq(r.ct, 2);
		check_says(r.io.err, calls[i][2]);
		cr_assert_eq(times(r.io.err, "poolmap: sandbox: "), 1, "%s", r.io.err);
		ran_fini(&r);
		r = run_on_kernel(calls[i][0], calls[i][1], "--no-sandbox", o);
		check_status(&r, 0);
		cr_assert_eq(times(r.io.err, "sandbox"), 0, "%s", r.io.err);
		ran_fini(&r);
	}
	origin_stop(o);
}

/* What is there and fails is no reason to go without. */
Test(run_sandbox, is_not_left_out_when_it_fails, .timeout = 120)
{
	need_sandbox();
	struct origin *o = origin_start();
	struct ran r = run_on_kernel("landlock_restrict_self", "E2BIG", "-q", o);
	check_status(&r, 5);
	check_says(r.io.err,
		"the sandbox cannot be entered: Landlock: Argument list too long; "
		"--no-sandbox goes without");
	cr_assert_eq(r.ct, 0);
	ran_fini(&r);
	r = run_on_kernel("landlock_restrict_self", "E2BIG", "--no-sandbox", o);
	check_status(&r, 0);
	cr_assert_eq(r.ct, 2);
	ran_fini(&r);
	origin_stop(o);
}

/* A job may ask for more than the option allows the others. */
Test(run_sandbox, does_not_cut_a_body_that_its_job_allows, .timeout = 120)
{
	struct origin *o = origin_start();
	const char *jobs = keep_printf("{\"url\":\"%s\",\"max_body\":3000000}\n",
		origin_url(o, "/bytes/2500000"));
	const char *dir = new_path("bodies");
	struct ran r = run_to_end(jobs, RUN("-q", "-w1", "--max-body", "1K", "--body",
						keep_printf("dir:%s", dir)));
	check_status(&r, 0);
	cr_assert_eq(r.ct, 1);
	ran_fini(&r);
	origin_stop(o);
}

/* ------------------------------------------------------------------------ memory */

Test(run_sandbox, a_limit_of_memory_that_is_kept_changes_nothing, .timeout = 120)
{
	if (RIG_SANITIZED) {
		cr_skip_test("sanitizers take memory of their own");
	}
	struct bytes jobs = {0};
	struct origin *o = origin_start();
	jobs_add_urls(&jobs, o, "/size/", 2000);
	struct ran r = run_to_end(
		NULL, RUN("-q", "-w2", "--worker-memory", "64M", jobs_file(&jobs)));
	check_status(&r, 0);
	cr_assert_eq(r.ct, 2000);
	ran_fini(&r);
	origin_stop(o);
}

Test(run_sandbox, a_limit_of_memory_below_any_use_is_refused, .timeout = 120)
{
	struct ran r = run_to_end("", RUN("--worker-memory", "31M"));
	check_status(&r, 2);
	check_says(r.io.err, "--worker-memory: needs at least 32M");
	ran_fini(&r);
}
