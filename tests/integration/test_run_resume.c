/* SPDX-License-Identifier: MIT
 *
 * `poolmap run --resume` with files that changed since: job files and results, edited,
 * longer, shorter, others.  That it goes on at all, after whatever end, is tested in
 * tests/fault.
 */
#include "tests/support/origin_rig.h"

TestSuite(run_resume, .init = start_origin, .fini = stop_origin);

/* Jobs that fail without a server, one after the other. */
#define ONE_BY_ONE "-q", "-w", "1", "-c", "1", "--retries", "0"

static void put_bytes_over(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "we");
	cr_assert(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0, "%s", path);
}

static void put_over(const char *path, const char *text)
{
	put_bytes_over(path, text, strlen(text));
}

static const char *jobs_with(const char *text)
{
	return temp_file("jobs.txt", text, strlen(text));
}

static bool has_state(const char *out)
{
	return access(keep_printf("%s.state", out), F_OK) == 0;
}

/* A run that stops at its first job, x:1, with a result. */
static const char *stopped_run(const char *jobs)
{
	const char *out = new_path("results.jsonl");
	struct ran r =
		run_to_end(NULL, RUN(ONE_BY_ONE, "--fail-fast", "-o", out, jobs));
	check_status(&r, 7);
	ran_fini(&r);
	cr_assert(has_state(out));
	return out;
}

static void check_refused(const char *const argv[], const char *out, const char *words)
{
	size_t before_len, after_len;
	char *before = read_file(out, &before_len);
	struct ran r = run_to_end(NULL, argv);
	check_status(&r, 6);
	check_says(r.io.err, words);
	char *after = read_file(out, &after_len);
	cr_assert(before_len == after_len && memcmp(before, after, after_len) == 0,
		"the output was touched");
	free(before);
	free(after);
	ran_fini(&r);
}

static void check_completes(const char *const argv[], const char *out, size_t ct)
{
	size_t got;
	struct ran r = run_to_end(NULL, argv);
	check_status(&r, 1);
	json_t *results = results_of_file(out, &got);
	results_check_ordered(results, ct);
	json_decref(results);
	cr_assert(!has_state(out), "all is done, and the state is still there");
	ran_fini(&r);
}

Test(run_resume, an_edit_of_a_job_to_come_is_recognised, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\nx:3\n");
	const char *out = stopped_run(jobs);
	const char *const *argv = RUN(ONE_BY_ONE, "-o", out, "--resume", jobs);
	put_over(jobs, "x:1\nx:2\nx:4\n");
	check_refused(argv, out, "jobs.txt: was edited, from 12 to 12 bytes");
	put_over(jobs, "x:1\nx:2\nx:3\nx:4\n");
	check_refused(argv, out, "jobs.txt: has grown, from 12 to 16 bytes");
	put_over(jobs, "x:1\nx:2\n");
	check_refused(argv, out, "jobs.txt: has shrunk, from 12 to 8 bytes");
	check_refused(RUN(ONE_BY_ONE, "-o", out, "--resume", jobs, jobs), out,
		"is of a run with 1 job files, not 2");
	put_over(jobs, "x:1\nx:2\nx:3\n");
	check_completes(argv, out, 3);
}

/* What the message says is done. */
Test(run_resume, goes_by_ids_and_urls_when_the_state_is_removed, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\nx:3\n");
	const char *out = stopped_run(jobs);
	const char *const *argv = RUN(ONE_BY_ONE, "-o", out, "--resume", jobs);
	put_over(jobs, "x:1\nx:5\nx:6\nx:7\n");
	check_refused(argv, out, keep_printf("or remove %s.state:", out));
	cr_assert_eq(unlink(keep_printf("%s.state", out)), 0);
	check_completes(argv, out, 4);
}

Test(run_resume, jobs_added_to_a_complete_run_just_run, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\n"), *out = new_path("results.jsonl");
	check_completes(RUN(ONE_BY_ONE, "-o", out, jobs), out, 2);
	put_over(jobs, "x:1\nx:2\nx:3\n");
	check_completes(RUN(ONE_BY_ONE, "-o", out, "--resume", jobs), out, 3);
}

Test(run_resume, force_begins_anew, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\n"), *out = stopped_run(jobs);
	put_over(jobs, "x:3\n");
	check_completes(RUN(ONE_BY_ONE, "-o", out, "--force", jobs), out, 1);
}

/* Whoever is refused has lost nothing: neither results nor the list of failed jobs. */
Test(run_resume, force_empties_nothing_before_the_run_can_begin, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\n"), *out = new_path("results.jsonl");
	const char *state = keep_printf("%s.state", out),
		   *list = new_path("failed.txt");
	size_t got;
	check_completes(RUN(ONE_BY_ONE, "-o", out, "--failed", list, jobs), out, 2);
	const char *const *argv = RUN(ONE_BY_ONE, "-o", out, "--force", "--failed",
		list, "--stats", state, jobs);
	struct ran r = run_to_end(NULL, argv);
	check_status(&r, 2);
	ran_fini(&r);
	put_over(state, "mine\n");
	check_refused(RUN(ONE_BY_ONE, "-o", out, "--force", "--failed", list, jobs),
		out, keep_printf("%s: is no state of a run", state));
	json_t *results = results_of_file(out, &got);
	results_check_ordered(results, 2);
	char *failed = read_file(list, &got);
	cr_assert_str_eq(failed, "x:1\nx:2\n");
	json_decref(results);
	free(failed);
}

/* By a kill or a power cut; anything else is not ours to empty. */
Test(run_resume, a_torn_list_is_written_anew, .timeout = 120)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool refused;
	} torn[] = {{"", 0, false}, {"x", 1, false}, {"x:2", 3, false},
		{"x:1\0\0", 5, false}, {"\0\0\0", 3, false}, {"# jo", 4, false},
		{"# job 1: n", 10, false}, {"x:1\nx", 5, false},
		{"x:1\n\0\0", 6, false}, {"x:11", 4, true}, {"# my", 4, true},
		{"\0x", 2, true}};
	const char *jobs = jobs_with("x:1\nx:2\n"), *out = new_path("results.jsonl"),
		   *list = new_path("failed.txt");
	const char *const *argv =
		RUN(ONE_BY_ONE, "-o", out, "--failed", list, "--resume", jobs);
	check_completes(RUN(ONE_BY_ONE, "-o", out, "--failed", list, jobs), out, 2);
	for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
		put_bytes_over(list, torn[i].bytes, torn[i].len);
		if (torn[i].refused) {
			check_refused(argv, out, "is no list of failed jobs");
			continue;
		}
		size_t got;
		check_completes(argv, out, 2);
		char *failed = read_file(list, &got);
		cr_assert_str_eq(failed, "x:1\nx:2\n", "%zu: %s", i, failed);
		free(failed);
	}
}

Test(run_resume, a_damaged_state_is_named, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\n"), *out = stopped_run(jobs);
	const char *state = keep_printf("%s.state", out);
	put_over(state, "{\"poolmap_state\":1,\"job_fi");
	check_refused(RUN(ONE_BY_ONE, "-o", out, "--resume", jobs), out,
		keep_printf("%s: is damaged", state));
	put_over(state, "mine\n");
	check_refused(RUN(ONE_BY_ONE, "-o", out, "--resume", jobs), out,
		keep_printf("%s: is no state of a run", state));
}

/* The results of a run that was stopped are those of its job files, too. */
Test(run_resume, retries_only_what_belongs_together, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\nx:3\n");
	const char *earlier = stopped_run(jobs), *out = new_path("new.jsonl");
	const char *const *argv =
		RUN(ONE_BY_ONE, "-o", out, "--retry-failed", earlier, jobs);
	put_over(jobs, "x:1\nx:2\nx:3\nx:4\n");
	check_refused(argv, earlier, "jobs.txt: has grown");
	cr_assert_neq(access(out, F_OK), 0);
	put_over(jobs, "x:1\nx:2\nx:3\n");
	check_completes(argv, out, 3);
	cr_assert(has_state(earlier), "it is not complete");
}

/* And has a state of its own when it is stopped itself. */
Test(run_resume, a_stopped_retry_goes_on_with_the_same_jobs, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\nx:3\n");
	const char *earlier = new_path("old.jsonl"), *out = new_path("new.jsonl");
	check_completes(RUN(ONE_BY_ONE, "-o", earlier, jobs), earlier, 3);
	struct ran r = run_to_end(NULL, RUN(ONE_BY_ONE, "--fail-fast", "-o", out,
						"--retry-failed", earlier, jobs));
	check_status(&r, 7);
	ran_fini(&r);
	const char *const *argv =
		RUN(ONE_BY_ONE, "-o", out, "--retry-failed", earlier, "--resume", jobs);
	put_over(jobs, "x:1\nx:2\nx:3\nx:4\n");
	check_refused(argv, out, "jobs.txt: has grown");
	put_over(jobs, "x:1\nx:2\nx:3\n");
	check_completes(argv, out, 3);
}

/* Bodies in files and a list of failed jobs have no state of their own. */
Test(run_resume, goes_on_with_bodies_and_a_list, .timeout = 60)
{
	struct bytes list = {0};
	jobs_add(&list, "x:1\n%s\nx:2\n", origin_url(o, "/size/100"));
	const char *jobs = jobs_file(&list), *dir = temp_dir();
	const char *failed = keep_printf("%s/failed", dir),
		   *body = keep_printf("dir:%s/bodies", dir),
		   *out = new_path("results.jsonl");
	struct ran r =
		run_to_end(NULL, RUN(ONE_BY_ONE, "--fail-fast", "-o", out, "--failed",
					 failed, "--body", body, jobs));
	check_status(&r, 7);
	ran_fini(&r);
	check_completes(RUN(ONE_BY_ONE, "-o", out, "--failed", failed, "--body", body,
				"--resume", jobs),
		out, 3);
	size_t len;
	char *text = read_file(failed, &len);
	cr_assert_str_eq(text, "x:1\nx:2\n");
	free(text);
}

Test(run_resume, a_list_on_standard_input_is_the_same_list, .timeout = 60)
{
	const char *jobs = jobs_with("x:1\nx:2\n"), *out = new_path("results.jsonl");
	const char *script = keep_printf("exec \"$@\" <%s", jobs);
	struct ran r = run_to_end(
		NULL, RUN_IN_SHELL(script, ONE_BY_ONE, "--fail-fast", "-o", out));
	check_status(&r, 7);
	ran_fini(&r);
	const char *const *argv = RUN(ONE_BY_ONE, "-o", out, "--resume", jobs);
	put_over(jobs, "x:1\nx:3\n");
	check_refused(argv, out, "if it is the file that was -;");
	put_over(jobs, "x:1\nx:2\n");
	check_completes(argv, out, 2);
}

Test(run_resume, there_is_no_state_where_none_can_go_on, .timeout = 60)
{
	const char *out = new_path("results.jsonl");
	struct ran r =
		run_to_end("x:1\nx:2\n", RUN(ONE_BY_ONE, "--fail-fast", "-o", out));
	check_status(&r, 7);
	cr_assert(!has_state(out));
	ran_fini(&r);
}

/* ------------------------------------------------------ edits of the results */

Test(run_resume, edited_results_are_refused_at_their_line, .timeout = 60)
{
	static const struct {
		const char *script, *words;
	} edits[] = {
		{"s/\"index\":1,/\"index\":2,/",
			":3: not a results file of poolmap, or "
			"damaged: a second result of the same"},
		{"s/\"index\":1,/\"index\":7,/",
			":2: the result of job 7 at the place"},
		{"s/\"index\":1,/\"index\":0,/",
			":2: not a results file of poolmap, or "
			"damaged: a second result of the same"},
		{"s/\"url\":\"x:2\"/\"url\":\"x:9\"/", ":2: the results do not belong"},
		{"s/\"id\":7/\"id\":8/", ":3: the results do not belong"},
		{"2d", ":2: the result of job 2 at the place"},
		{"1d", ":1: the result of job 1 at the place"},
		{"2i some words", ":2: not a results file of poolmap"},
		{"3s/}$//", ":3: not a results file of poolmap"},
	};
	const char *jobs = jobs_with("x:1\nx:2\n{\"url\":\"x:3\",\"id\":7}\nx:4\n");
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		const char *out = new_path("results.jsonl");
		check_completes(RUN(ONE_BY_ONE, "-o", out, jobs), out, 4);
		struct ran r = run_to_end(NULL, (const char *const[]){"/bin/sed", "-i",
							edits[i].script, out, NULL});
		check_status(&r, 0);
		ran_fini(&r);
		check_refused(RUN(ONE_BY_ONE, "-o", out, "--resume", jobs), out,
			keep_printf("%s%s", out, edits[i].words));
	}
}

/* -------------------------------------------------- a job file during the run */

enum { LONG_LIST = 60000 };

/* Its first job waits until that name is released. */
static void add_long_list(struct bytes *list, const char *held)
{
	jobs_add(list, "%s\n", origin_url(o, "/hold/%s", held));
	for (int i = 0; i < LONG_LIST; i++) {
		jobs_add(list, "x:%06d\n", i);
	}
}

/* It reads no further than the window, as the first result is not there. */
static void start_held(struct child *c, const char *out, const char *jobs)
{
	child_start(
		c, RUN(ONE_BY_ONE, "--window", "16", "-o", out, jobs), CHILD_NO_STDIN);
	wait_for_count(o, "held", 1);
}

static void check_stops(struct child *c, const char *out, const char *words)
{
	cr_assert_eq(child_wait(c, 30000), 3, "%s", c->got[2].data);
	check_says(c->got[2].data, words);
	child_fini(c);
	cr_assert(has_state(out));
}

Test(run_resume, a_list_cut_short_or_replaced_meanwhile_stops_the_run, .timeout = 60)
{
	for (int replace = 0; replace < 2; replace++) {
		struct bytes list = {0};
		struct child c;
		const char *held = replace ? "second" : "first";
		add_long_list(&list, held);
		const char *whole = temp_file("whole", list.data, list.len);
		const char *jobs = jobs_file(&list), *out = new_path("results.jsonl");
		start_held(&c, out, jobs);
		if (replace) {
			const char *other = jobs_with("x:1\n");
			cr_assert_eq(rename(other, jobs), 0);
		} else {
			cr_assert_eq(truncate(jobs, 300000), 0);
		}
		origin_release(o, held);
		check_stops(&c, out,
			replace ? "another file has taken its place" : "was cut short");
		check_refused(RUN(ONE_BY_ONE, "-o", out, "--resume", jobs), out,
			"jobs.txt: has shrunk");
		cr_assert_eq(rename(whole, jobs), 0);
		check_completes(RUN("-q", "-w", "1", "-o", out, "--resume", jobs), out,
			LONG_LIST + 1);
	}
}

Test(run_resume, what_a_list_grew_by_meanwhile_is_left_out, .timeout = 60)
{
	struct bytes list = {0};
	struct child c;
	add_long_list(&list, "first");
	const char *jobs = jobs_file(&list), *out = new_path("results.jsonl");
	start_held(&c, out, jobs);
	FILE *f = fopen(jobs, "ae");
	cr_assert(f && fputs("x:new\n", f) >= 0 && fclose(f) == 0);
	origin_release(o, "first");
	cr_assert_eq(child_wait(&c, 30000), 1, "%s", c.got[2].data);
	check_says(c.got[2].data, "what was added is left out");
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, LONG_LIST + 1);
	json_decref(results);
	child_fini(&c);
	check_completes(
		RUN("-q", "-w", "1", "-o", out, "--resume", jobs), out, LONG_LIST + 2);
}
