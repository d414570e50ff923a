/* SPDX-License-Identifier: MIT
 *
 * The results of `poolmap run` when they were torn, when there is no more room for
 * them, and when the file is not the run's: nothing is lost, and nothing of others'
 * touched.
 */
#include "tests/support/kill_rig.h"

TestSuite(run_outputs, .init = start_kills, .fini = stop_origin);

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

Test(run_outputs, goes_on_from_a_file_cut_anywhere, .timeout = 60)
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

Test(run_outputs, stops_at_the_limit_of_file_size_and_goes_on, .timeout = 60)
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

Test(run_outputs, stops_when_the_disk_is_full_and_goes_on, .timeout = 60)
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

Test(run_outputs, stops_when_the_disk_is_read_only_of_a_sudden_and_goes_on,
	.timeout = 60)
{
	check_taken_away("write", "EROFS", "Read-only file system");
}

Test(run_outputs, stops_when_the_file_handle_is_stale_and_goes_on, .timeout = 60)
{
	check_taken_away("write", "ESTALE", "Stale file handle");
	check_taken_away("fsync", "ESTALE", "Stale file handle");
}

/* ------------------------------------------------- an output that is not ours */

Test(run_outputs, two_runs_cannot_write_one_file, .timeout = 30)
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

Test(run_outputs, does_not_go_on_with_another_job_file, .timeout = 30)
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

Test(run_outputs, does_not_go_on_with_what_is_no_result, .timeout = 30)
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
Test(run_outputs, goes_on_unordered_only_with_unordered, .timeout = 30)
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
