/* SPDX-License-Identifier: MIT
 *
 * What happens to the results of `poolmap run`: other formats, lists of failed
 * jobs, statistics, early stops, and running again what failed.
 */
#include "tests/support/visit_rig.h"

#include "master/cli/csv.h"
#include "master/cli/members.h"
#include "master/cli/pack.h"

TestSuite(run_results, .init = start_origin, .fini = stop_origin);

/* A file, unpacked if it is packed. */
static char *unpacked(const char *path, size_t *len)
{
	struct buf text = {0};
	long n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0, "%s", path);
	struct unpack *u = unpack_new(fd, unpack_is_packed(fd));
	do {
		cr_assert_eq(buf_reserve(&text, 65536), 0);
		n = unpack_read(u, text.data + text.len, 65536);
		text.len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	cr_assert_eq(n, 0);
	unpack_free(u);
	close(fd);
	*len = text.len;
	return text.data;
}

static json_t *json_of_file(const char *path)
{
	json_error_t why;
	json_t *value = json_load_file(path, 0, &why);
	cr_assert(value, "%s: %s", path, why.text);
	return value;
}

/* -------------------------------------------------------------- order, classes */

/* Bodies of different lengths by two workers: no line gets into another. */
Test(run_results, no_line_is_mixed_with_another, .timeout = 120)
{
	enum { MANY = RIG_SANITIZED ? 5000 : 100000 };
	const char *out = new_path("results.jsonl");
	struct bytes jobs = {0};
	for (size_t i = 0; i < MANY; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/size/%zu", i * 7919 % 500));
	}
	struct ran r = run_to_end(NULL, RUN("-q", "-o", out, jobs_file(&jobs)));
	check_status(&r, 0);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		const json_t *job = json_array_get(results, i);
		cr_assert_eq(json_string_length(field(job, "body")), i * 7919 % 500,
			"job %zu", i);
	}
	json_decref(results);
	ran_fini(&r);
}

Test(run_results, every_failure_names_its_url_and_its_cause, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/status/404"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/reset"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/garbage"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/truncate/100"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/loop"));
	jobs_add(&jobs, "http://127.0.0.1:1/\nftp://h/\nhttp://[::g]/\nhttp://a b/\n");
	struct ran r = run_to_end(NULL, RUN("-q", "--retries", "0", jobs_file(&jobs)));
	check_status(&r, 1);
	results_check_ordered(r.results, 9);
	for (size_t i = 0; i < 9; i++) {
		const json_t *job = result_at(&r, i);
		cr_assert(!is_ok(job), "job %zu", i);
		cr_assert_gt(strlen(text_in(job, "url")), 0);
		cr_assert_gt(strlen(text_in(job, "error")), 0);
		cr_assert_gt(strlen(text_in(job, "errormsg")), 0);
	}
	ran_fini(&r);
}

/* Whatever comes first, last or in between. */
Test(run_results, one_failure_anywhere_makes_the_exit_code_1, .timeout = 120)
{
	static const char *const mixes[] = {
		".", "x", ".x", "x.", "..x..", "xx.", ".xx", "x.x", "....", "xxxx"};
	static const char *const orders[] = {"--unordered=no", "--unordered"};
	for (size_t i = 0; i < sizeof mixes / sizeof mixes[0] * 2; i++) {
		const char *mix = mixes[i / 2];
		struct bytes jobs = {0};
		for (size_t k = 0; mix[k]; k++) {
			jobs_add(&jobs, "%s\n",
				origin_url(o,
					mix[k] == 'x' ? "/status/404" : "/delay/%zu",
					(mix[k] == '.') * (3 - k % 3)));
		}
		struct ran r = run_to_end(
			NULL, RUN("-q", "-c", "4", orders[i % 2], jobs_file(&jobs)));
		check_status(&r, strchr(mix, 'x') ? 1 : 0);
		results_check_complete(r.results, strlen(mix));
		ran_fini(&r);
	}
}

/* Nothing else keeps the run awake while the last job waits. */
Test(run_results, the_last_job_may_be_the_one_that_is_tried_again, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/size/", 20);
	jobs_add(&jobs, "%s\n", origin_url(o, "/unstable/last/1"));
	struct ran r = run_to_end(NULL, RUN("-q", "-c", "4", jobs_file(&jobs)));
	check_status(&r, 0);
	results_check_ordered(r.results, 21);
	cr_assert_eq(int_in(result_at(&r, 20), "attempts"), 2);
	ran_fini(&r);
}

/* ----------------------------------------------------------------- early stops */

static const char *slow_jobs(size_t fail_at, size_t ct)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < ct; i++) {
		jobs_add(&jobs, "%s\n",
			i == fail_at ? origin_url(o, "/status/404")
				     : origin_url(o, "/hold/slow%zu", i));
	}
	return jobs_file(&jobs);
}

/* Standard error ends up in logs. */
Test(run_results, what_is_said_has_no_secret, .timeout = 60)
{
	const char *url = keep_printf(
		"http://me:hunter1@127.0.0.1:%u/status/404\n", origin_port(o));
	const char *jobs = temp_file("jobs.txt", url, strlen(url));
	const char *const ends[] = {"--halt=soon,fail=1", "--halt=never"};
	for (size_t i = 0; i < 2; i++) {
		struct ran r = run_to_end(
			NULL, RUN("-H", "Authorization: hunter2", "-d", "hunter3", "-o",
				      new_path("results.jsonl"), ends[i], jobs));
		check_status(&r, i ? 1 : 7);
		check_says(r.io.err, "-H '<hidden>' -d '@<hidden>'");
		cr_assert_null(strstr(r.io.err, "hunter"), "%s", r.io.err);
		ran_fini(&r);
	}
}

/* In order, the failure stands behind results that do not come for long. */
static void check_halt_now(const char *order)
{
	const char *out = new_path("results.jsonl"), *jobs = slow_jobs(3, 40);
	uint64_t begin_ms = clock_now_ms();
	struct ran r = run_to_end(
		NULL, RUN("-c", "8", "--halt", "now,fail=1", order, "-o", out, jobs));
	check_status(&r, 7);
	check_says(r.io.err, "halted: 1 failed");
	check_says(r.io.err, "--resume");
	if (!RIG_SANITIZED) {
		cr_assert_lt(clock_now_ms() - begin_ms, 3000);
	}
	ran_fini(&r);
	for (size_t i = 0; i < 40; i++) {
		origin_release(o, keep_printf("slow%zu", i));
	}
	r = run_to_end(NULL, RUN("-q", "--resume", order, "-o", out, jobs));
	cr_assert(r.io.status <= 1, "%d: %s", r.io.status, r.io.err);
	json_t *results = results_of_file(out, NULL);
	results_check_complete(results, 40);
	json_decref(results);
	ran_fini(&r);
}

Test(run_results, a_halt_does_not_wait_for_slow_jobs, .timeout = 120)
{
	check_halt_now("--unordered=no");
}

Test(run_results, a_halt_does_not_wait_when_unordered, .timeout = 120)
{
	check_halt_now("--unordered");
}

Test(run_results, fail_fast_writes_the_result_that_was_too_many, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n", origin_url(o, "/"), origin_url(o, "/status/404"));
	jobs_add_urls(&jobs, o, "/size/", 50);
	struct ran r =
		run_to_end(NULL, RUN("-q", "-c", "1", "--fail-fast", jobs_file(&jobs)));
	check_status(&r, 7);
	cr_assert_geq(r.ct, 2);
	cr_assert_lt(r.ct, 20);
	results_check_ordered(r.results, r.ct);
	check_class(&r, 1, "http_status");
	ran_fini(&r);
}

/* What runs is finished and written, nothing more begins. */
Test(run_results, a_soft_halt_lets_running_jobs_finish, .timeout = 120)
{
	struct child c;
	const char *out = new_path("results.jsonl");
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/status/404"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/soft"));
	jobs_add_urls(&jobs, o, "/once/", 50);
	child_start(&c,
		RUN("-w", "1", "-c", "1", "--halt", "soon,fail=1", "--unordered", "-o",
			out, jobs_file(&jobs)),
		CHILD_NO_STDIN);
	child_wait_output(&c, 2, "halted");
	origin_release(o, "soft");
	cr_assert_eq(child_wait(&c, 20000), 7, "%s", c.got[2].data);
	size_t ct;
	json_t *results = results_of_file(out, &ct);
	cr_assert(ct >= 1 && ct < 20, "%zu results", ct);
	json_decref(results);
	child_fini(&c);
}

Test(run_results, a_halt_by_share_waits_for_three_failures, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n", origin_url(o, "/status/404"),
		origin_url(o, "/status/404"));
	jobs_add_urls(&jobs, o, "/size/", 20);
	const char *path = jobs_file(&jobs);
	struct ran r =
		run_to_end(NULL, RUN("-q", "-c", "1", "--halt", "now,fail=50%", path));
	check_status(&r, 1);
	results_check_ordered(r.results, 22);
	ran_fini(&r);
	jobs_add_urls(&jobs, o, "/status/404?", 3);
	jobs_add_urls(&jobs, o, "/size/", 20);
	r = run_to_end(
		NULL, RUN("-q", "-c", "1", "--halt", "now,fail=50%", jobs_file(&jobs)));
	check_status(&r, 7);
	ran_fini(&r);
}

Test(run_results, a_run_ends_at_its_own_deadline, .timeout = 120)
{
	const char *out = new_path("results.jsonl"), *stats = new_path("stats.json");
	struct ran r = run_to_end(NULL, RUN("--max-time", "0.5", "-o", out, "--stats",
						stats, slow_jobs(0, 10)));
	check_status(&r, 7);
	check_says(r.io.err, "--max-time");
	json_t *facts = json_of_file(stats);
	cr_assert_str_eq(text_in(facts, "end"), "time_over");
	cr_assert_eq(int_in(facts, "exit_code"), 7);
	json_decref(facts);
	size_t ct;
	json_t *results = results_of_file(out, &ct);
	cr_assert_eq(ct, 1, "what was there is written");
	json_decref(results);
	ran_fini(&r);
}

/* --------------------------------------------------------------- failed, retry */

/* 60 jobs, each third of which fails the first time; every URL is counted. */
static const char *unstable_jobs(void)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < 60; i++) {
		jobs_add(&jobs, "%s\n",
			i % 3 ? origin_url(o, "/once/stable%zu", i)
			      : origin_url(o, "/unstable/job%zu/1", i));
	}
	return jobs_file(&jobs);
}

Test(run_results, only_what_failed_runs_again, .timeout = 120)
{
	const char *jobs = unstable_jobs(), *old = new_path("old.jsonl"),
		   *new = new_path("new.jsonl");
	struct ran r = run_to_end(NULL, RUN("-q", "--retries", "0", "-o", old, jobs));
	check_status(&r, 1);
	ran_fini(&r);
	json_int_t before = origin_count(o, "requests");
	r = run_to_end(
		NULL, RUN("--retries", "0", "--retry-failed", old, "-o", new, jobs));
	check_status(&r, 0);
	check_says(r.io.err, "already done");
	cr_assert_eq(origin_count(o, "requests") - before, 20);
	json_t *results = results_of_file(new, NULL);
	results_check_ordered(results, 60);
	for (size_t i = 0; i < 60; i++) {
		cr_assert(is_ok(json_array_get(results, i)), "job %zu", i);
	}
	json_decref(results);
	ran_fini(&r);
	/* Nothing is left: not one request. */
	before = origin_count(o, "requests");
	r = run_to_end(NULL,
		RUN("-q", "--retry-failed", new, "-o", new_path("again.jsonl"), jobs));
	check_status(&r, 0);
	cr_assert_eq(origin_count(o, "requests"), before);
	ran_fini(&r);
}

Test(run_results, the_list_of_failed_jobs_is_a_job_file, .timeout = 120)
{
	const char *jobs = unstable_jobs(), *list = new_path("failed.txt");
	struct ran r =
		run_to_end(NULL, RUN("-q", "--retries", "0", "--failed", list, jobs));
	check_status(&r, 1);
	ran_fini(&r);
	json_int_t before = origin_count(o, "requests");
	r = run_to_end(NULL, RUN("-q", "--retries", "0", list));
	check_status(&r, 0);
	results_check_ordered(r.results, 20);
	cr_assert_eq(origin_count(o, "requests") - before, 20);
	ran_fini(&r);
}

/* A copy of many megabytes between two new results, to a slow reader. */
Test(run_results, earlier_results_are_copied_in_parts, .timeout = 120)
{
	enum { MANY = 20000 };
	struct bytes jobs = {0};
	const char *old = new_path("old.jsonl");
	for (size_t i = 0; i < MANY; i++) {
		jobs_add(&jobs, "%s\n",
			i == MANY - 1 ? origin_url(o, "/unstable/end/1")
				      : origin_url(o, "/size/1000"));
	}
	const char *path = jobs_file(&jobs);
	struct ran r = run_to_end(NULL, RUN("-q", "--retries", "0", "-o", old, path));
	check_status(&r, 1);
	ran_fini(&r);
	r = run_to_end(NULL, RUN("-q", "--retries", "0", "--retry-failed", old, path));
	check_status(&r, 0);
	results_check_ordered(r.results, MANY);
	ran_fini(&r);
}

/* ----------------------------------------------------------------- CSV, packed */

Test(run_results, csv_is_the_same_results_in_rows, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/size/", 30);
	jobs_add(&jobs,
		"{\"url\":\"%s\",\"id\":\"a,\\\"b\\\"\",\"meta\":{\"k\":\"v\"}}\n",
		origin_url(o, "/status/404"));
	const char *out = new_path("results.csv");
	struct ran r = run_to_end(NULL,
		RUN("-q", "--format", "csv", "--fields", "index,http_code,ok,id,meta.k",
			"-o", out, jobs_file(&jobs)));
	check_status(&r, 1);
	size_t len;
	char *text = read_file(out, &len);
	cr_assert_eq(
		strncmp(text, "index,http_code,ok,id,meta.k\r\n0,200,true,,\r\n", 44),
		0, "%s", text);
	check_says(text, "\r\n30,404,false,\"a,\"\"b\"\"\",v\r\n");
	free(text);
	ran_fini(&r);
}

/* The file is whole: what is wrong is the option. */
Test(run_results, results_of_another_format_are_told_from_damage, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/status/40", 4);
	const char *list = jobs_file(&jobs);
	static const char *const formats[] = {"jsonl", "csv"};
	for (size_t i = 0; i < 2; i++) {
		const char *out = new_path("results"), *other = formats[1 - i];
		const char *words = keep_printf(
			"results:1: was written with --format %s: say that here, too",
			formats[i]);
		struct ran r = run_to_end(
			NULL, RUN("-q", "--format", formats[i], "-o", out, list));
		check_status(&r, 1);
		ran_fini(&r);
		r = run_to_end(NULL,
			RUN("-q", "--format", other, "-o", out, "--resume", list));
		check_status(&r, 6);
		check_says(r.io.err, words);
		check_says(r.io.err, "too; name another output");
		ran_fini(&r);
		r = run_to_end(NULL,
			RUN("-q", "--format", other, "--retry-failed", out, list));
		check_status(&r, 6);
		check_says(r.io.err, words);
		ran_fini(&r);
	}
}

/* Who needs --resume in the end must know at the start. */
Test(run_results, rows_that_cannot_be_read_again_are_warned_of, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/status/40", 4);
	const char *list = jobs_file(&jobs);
	const struct {
		const char *fields, *order, *words;
	} cases[] = {
		{"index,ok", "--unordered=no",
			"cannot be resumed: its rows need the field url or id"},
		{"ok,url", "--unordered",
			"cannot be resumed: with --unordered its rows need"},
		{"ok,url", "--unordered=no", NULL},
		{"index,id", "--unordered", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ran r = run_to_end(
			NULL, RUN("--format", "csv", "--fields", cases[i].fields,
				      cases[i].order, "--fail-fast", "-o",
				      new_path("results.csv"), list));
		check_status(&r, 7);
		const char *words = cases[i].words;
		const char *first = words ? strstr(r.io.err, words) : NULL;
		const char *last = first ? strstr(first + 1, words) : NULL;
		cr_assert(words ? last != NULL : !strstr(r.io.err, "cannot be"), "%s",
			r.io.err);
		ran_fini(&r);
	}
}

/* Each field that a result has can be a column. */
Test(run_results, every_field_of_a_result_can_be_a_column, .timeout = 120)
{
	struct ran r = run_to_end(
		origin_url(o, "/redirect/1"), RUN("-q", "--response-headers"));
	struct ran bad =
		run_to_end(origin_url(o, "/reset"), RUN("-q", "--retries", "0"));
	const struct ran *both[] = {&r, &bad};
	for (size_t i = 0; i < 2; i++) {
		struct member m;
		size_t at = 0;
		while (member_next(both[i]->io.out, both[i]->io.out_len, &at, &m)) {
			struct csv *c;
			const char *name = keep_printf("%.*s", (int)m.key_len, m.key);
			cr_assert_eq(csv_open(&c, name), 0, "%s", name);
			csv_close(c);
		}
		cr_assert_gt(at, 100);
	}
	ran_fini(&r);
	ran_fini(&bad);
}

static bool is_larger(void *ctx)
{
	return file_size(ctx) > 100;
}

/* Killed at any time, what it has left can be read and gone on with. */
Test(run_results, a_killed_run_leaves_a_packed_file_that_can_be_read, .timeout = 120)
{
	enum { MANY = 3000 };
	char *out = (char *)(uintptr_t)new_path("results.jsonl.gz");
	const char *jobs = jobs_of("/delay/3?", MANY);
	const char *const *argv = RUN("-q", "-w", "2", "-c", "8", "--sync", "always",
		"--resume", "-o", out, jobs);
	for (size_t i = 0; i < 4; i++) {
		struct child c;
		size_t len;
		size_t size = file_size(out);
		child_start(&c, argv, CHILD_NO_STDIN);
		cr_assert(wait_for(is_larger, out, 20000), "%s", c.got[2].data);
		(void)wait_until_gone(c.pid, 150);
		child_signal(&c, SIGKILL);
		child_wait(&c, 10000);
		child_fini(&c);
		cr_assert_geq(file_size(out), size / 2);
		char *text = unpacked(out, &len);
		size_t whole = len;
		while (whole && text[whole - 1] != '\n') {
			whole--;
		}
		size_t ct;
		json_t *results = results_load(text, whole, &ct);
		results_check_ordered(results, ct);
		cr_assert_gt(ct, 0);
		json_decref(results);
		free(text);
	}
	struct ran r = run_to_end(NULL, argv);
	check_status(&r, 0);
	size_t len;
	char *text = unpacked(out, &len);
	json_t *results = results_load(text, len, NULL);
	results_check_ordered(results, MANY);
	json_decref(results);
	free(text);
	ran_fini(&r);
}

/* ------------------------------------------------------------- stats, progress */

Test(run_results, stats_are_what_the_results_say, .timeout = 120)
{
	struct bytes jobs = {0};
	const char *stats = new_path("stats.json");
	jobs_add_urls(&jobs, o, "/size/", 30);
	jobs_add_urls(&jobs, o, "/status/404?", 5);
	jobs_add(&jobs, "%s\nftp://h/\n", origin_url(o, "/unstable/x/1"));
	struct ran r = run_to_end(NULL, RUN("-q", "--stats", stats, jobs_file(&jobs)));
	check_status(&r, 1);
	json_t *facts = json_of_file(stats);
	cr_assert_str_eq(text_in(facts, "end"), "finished");
	cr_assert_eq(int_in(facts, "exit_code"), 1);
	cr_assert_gt(seconds_in(facts, "elapsed"), 0);
	const json_t *counts = field(facts, "jobs"), *classes = field(facts, "classes");
	cr_assert_eq(int_in(counts, "done"), 37);
	cr_assert_eq(int_in(counts, "ok"), 31);
	cr_assert_eq(int_in(counts, "failed"), 6);
	cr_assert_eq(int_in(counts, "skipped"), 0);
	cr_assert_eq(int_in(classes, "ok"), 31);
	cr_assert_eq(int_in(classes, "http_status"), 5);
	cr_assert_eq(int_in(classes, "timeout"), 0);
	cr_assert_eq(int_in(field(facts, "http_codes"), "200"), 31);
	cr_assert_eq(int_in(field(facts, "http_codes"), "404"), 5);
	cr_assert_eq(int_in(facts, "retries"), 1);
	cr_assert_eq(int_in(facts, "attempts"), 38);
	cr_assert_eq(int_in(field(facts, "workers"), "lost"), 0);
	const json_t *latency = field(facts, "latency");
	cr_assert_eq(int_in(latency, "count"), 36);
	cr_assert(seconds_in(latency, "min") <= seconds_in(latency, "p50"));
	cr_assert(seconds_in(latency, "p99") <= seconds_in(latency, "max"));
	json_decref(facts);
	ran_fini(&r);
}

Test(run_results, stats_that_cannot_be_written_stop_the_run_before_it_begins,
	.timeout = 120)
{
	const char *jobs = jobs_of("/once/", 3), *out = new_path("out");
	const char *const bad[] = {"/nonexistent/stats", temp_dir(), jobs, out};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct ran r =
			run_to_end(NULL, RUN("--stats", bad[i], "-o", out, jobs));
		check_status(&r, 2);
		check_says(r.io.err, "--stats");
		ran_fini(&r);
	}
	cr_assert_eq(origin_count(o, "requests"), 0);
	cr_assert_neq(access(out, F_OK), 0);
}

static json_t *objects_of(const char *text)
{
	json_t *lines = json_array();
	for (const char *lf; (lf = strchr(text, '\n')); text = lf + 1) {
		json_error_t why;
		json_t *line = json_loadb(text, (size_t)(lf - text), 0, &why);
		cr_assert(line, "%s: %s", why.text, text);
		json_array_append_new(lines, line);
	}
	cr_assert_eq(*text, '\0', "half a line: %s", text);
	return lines;
}

static void check_objects(const json_t *lines, json_int_t all)
{
	json_int_t last = 0;
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		json_int_t done = int_in(line, "done");
		cr_assert(last <= done && done <= all, "%lld", (long long)done);
		cr_assert_eq(int_in(line, "ok") + int_in(line, "failed"), done);
		if (has_field(line, "total")) {
			cr_assert_leq(done, int_in(line, "total"));
		}
		last = done;
	}
	const json_t *end = json_array_get(lines, json_array_size(lines) - 1);
	cr_assert_eq(int_in(end, "done"), all);
	cr_assert_eq(int_in(end, "total"), all);
}

/* Each object says no more than the run has, and the last one says all of it. */
Test(run_results, progress_never_tells_more_than_there_is, .timeout = 120)
{
	enum { MANY = 200 };
	static const char *const totals[] = {"0", "10", "201", "5000"};
	for (size_t i = 0; i < 4; i++) {
		struct child c;
		struct bytes jobs = {0};
		jobs_add_urls(&jobs, o, "/size/", MANY);
		jobs_add(&jobs, "%s\n", origin_url(o, "/hold/last%zu", i));
		child_start(&c,
			RUN("--progress", "json", "--total", totals[i], "-c", "4", "-o",
				new_path("out"), "-q", jobs_file(&jobs)),
			CHILD_NO_STDIN);
		child_wait_output(&c, 2, "}\n");
		origin_release(o, keep_printf("last%zu", i));
		cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
		json_t *lines = objects_of(c.got[2].data);
		cr_assert_geq(json_array_size(lines), 2, "%s", c.got[2].data);
		check_objects(lines, MANY + 1);
		json_decref(lines);
		child_fini(&c);
	}
}

/* What the last line shows, beside what the server saw from its first request on. */
static void check_rate(
	const char *path, const char *flag, const char *value, double limit)
{
	enum { MANY = 400 };
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, path, MANY);
	visits_start(o);
	struct ran r =
		run_to_end(NULL, RUN("-q", "--progress", "json", "-o", new_path("out"),
					 flag, value, jobs_file(&jobs)));
	check_status(&r, 0);
	struct visits v = visits_load(o);
	cr_assert_eq(v.ct, MANY);
	uint64_t us = v.at[MANY - 1].done_us - v.at[0].at_us;
	double seen = (MANY - 1) * 1e6 / (double)us, shown = 0;
	json_t *lines = objects_of(r.io.err);
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		shown = json_number_value(field(line, "per_second"));
		cr_assert(shown <= limit * 1.1 || seconds_in(line, "elapsed") < 1,
			"%.1f/s are shown, of %.1f", shown, limit);
	}
	cr_assert_geq(seconds_in(json_array_get(lines, json_array_size(lines) - 1),
			      "elapsed"),
		(double)us / 1e6);
	cr_assert(seen * 0.9 < shown && shown < seen * 1.1,
		"%.1f/s are shown, the server saw %.1f", shown, seen);
	json_decref(lines);
	visits_fini(&v);
	ran_fini(&r);
}

Test(run_results, the_rate_that_is_shown_is_what_the_server_sees, .timeout = 120)
{
	check_rate("/size/", "--rate", "100/s", 100);
	check_rate("/delay/20?", "-c", "2", 100);
}
