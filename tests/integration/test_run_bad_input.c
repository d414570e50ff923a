/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` and what it cannot use: each has one exit code, a message that
 * says what to do, and leaves files and servers alone.
 */
#include "tests/support/run_rig.h"

/* Run it, and check the exit code and words of the message. */
static void check_refused(
	const char *const argv[], const char *input, int code, const char *words)
{
	struct run_result r;
	run_argv(&r, input, input ? strlen(input) : 0, argv);
	cr_assert_eq(r.status, code, "%s: exit code %d, not %d; it said: %s", words,
		r.status, code, r.err);
	check_says(r.err, words);
	cr_assert_eq(strncmp(r.err, "poolmap: ", 9), 0, "%s", r.err);
	cr_assert_eq(r.out_len, 0, "%s: on standard output: %s", words, r.out);
	run_result_fini(&r);
}

static void check_no_file(const char *path)
{
	cr_assert_neq(access(path, F_OK), 0, "%s was created", path);
}

/* ---------------------------------------------------------------- job files */

Test(run_bad_input, no_job_file, .timeout = 20)
{
	const char *path = new_path("missing.txt"), *out = new_path("out");
	check_refused(RUN(path, "-o", out), NULL, 3, "missing.txt: No such file");
	check_no_file(out);
}

/* All are looked at before the first is read. */
Test(run_bad_input, no_second_job_file, .timeout = 20)
{
	const char *first = temp_file("jobs", "x:1\n", 4);
	check_refused(RUN(first, new_path("missing.txt")), NULL, 3, "missing.txt");
}

Test(run_bad_input, a_directory_as_job_file, .timeout = 20)
{
	check_refused(RUN(temp_dir()), NULL, 3, "is a directory");
}

/* Root may read everything, unless it gives that up. */
Test(run_bad_input, an_unreadable_job_file, .timeout = 20)
{
	const char *path = temp_file("jobs.txt", "x:1\n", 4);
	const char *drop = geteuid() == 0 ? "exec setpriv --bounding-set "
					    "-dac_override,-dac_read_search \"$@\""
					  : "exec \"$@\"";
	cr_assert_eq(chmod(path, 0), 0);
	check_refused(RUN_IN_SHELL(drop, path), NULL, 3, "Permission denied");
}

Test(run_bad_input, a_job_file_that_fails_when_read, .timeout = 20)
{
	struct ran r = run_to_end(NULL, RUN("/proc/self/mem"));
	check_status(&r, 3);
	check_says(r.io.err, "/proc/self/mem");
	cr_assert_eq(r.ct, 0);
	ran_fini(&r);
}

Test(run_bad_input, an_empty_job_file, .timeout = 20)
{
	const char *out = new_path("out");
	struct ran r = run_to_end(NULL, RUN(temp_file("jobs", "", 0)));
	check_status(&r, 0);
	cr_assert_eq(r.io.out_len, 0, "%s", r.io.out);
	check_says(r.io.err, "holds no jobs");
	ran_fini(&r);
	r = run_to_end("# nothing\n\n\r\n", RUN("-q", "-o", out));
	check_status(&r, 0);
	cr_assert_str_eq(r.io.err, "");
	cr_assert_eq(access(out, F_OK), 0, "no output was created");
	cr_assert_eq(file_size(out), 0);
	ran_fini(&r);
}

Test(run_bad_input, utf_16, .timeout = 20)
{
	const char *path = temp_file("jobs", "\xff\xfeh\0t\0", 6);
	check_refused(RUN(path), NULL, 3, "UTF-16");
}

Test(run_bad_input, standard_input_twice, .timeout = 20)
{
	check_refused(RUN("-", "-"), "x:1\n", 2, "only once");
}

/* ------------------------------------------------------------------- lines */

static void check_bad_line(
	const void *line, size_t len, const char *class, const char *why)
{
	struct run_result io;
	run_argv(&io, line, len, RUN("-q"));
	struct ran r = {io, NULL, 0};
	r.results = results_load(io.out, io.out_len, &r.ct);
	check_status(&r, 1);
	cr_assert_eq(r.ct, 1, "%zu results", r.ct);
	check_class(&r, 0, class);
	check_says(text_in(result_at(&r, 0), "errormsg"), why);
	ran_fini(&r);
}

Test(run_bad_input, lines_that_are_no_job, .timeout = 30)
{
	static const struct {
		const char *line, *class, *why;
	} lines[] = {
		{"{\"url\":", "bad_job", "not a JSON object"},
		{"{\"url\":\"http://a/\",\"hedaers\":{}}", "bad_job",
			"did you mean \"headers\""},
		{"file:///etc/passwd", "scheme", "use http or https"},
		{"{\"url\":\"file:///etc/passwd\"}", "scheme", "use http or https"},
		{"ftp://127.0.0.1/", "scheme", "use http or https"},
		{"http://127.0.0.1:99999/", "bad_url", "port"},
		{"127.0.0.1:80/", "bad_url", "http"},
		{"{\"url\":\"http://127.0.0.1/\",\"headers\":{\"a b\":\"c\"}}",
			"bad_job", "header"},
		{"{\"url\":\"http://127.0.0.1/\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}",
			"bad_job", "control character"},
		{"{\"url\":\"http://127.0.0.1/\",\"method\":\"GE T\"}", "bad_job",
			"method"},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		check_bad_line(lines[i].line, strlen(lines[i].line), lines[i].class,
			lines[i].why);
	}
}

Test(run_bad_input, nul_bytes, .timeout = 20)
{
	check_bad_line("http://127.0.0.1/\0x\n", 20, "bad_job", "NUL");
}

Test(run_bad_input, a_line_of_2_mib, .timeout = 20)
{
	enum { SIZE = 2 << 20 };
	char *line = malloc(SIZE);
	cr_assert(line);
	memset(line, 'x', SIZE);
	check_bad_line(line, SIZE, "bad_job", "longer than 1 MiB");
	free(line);
}

/* ------------------------------------------------------------------ options */

Test(run_bad_input, options_that_make_no_sense, .timeout = 30)
{
	const struct {
		const char *const *argv;
		const char *words;
	} calls[] = {
		{RUN("-w", "0"), "--workers 0: out of range, 1 to"},
		{RUN("-w", "501"), "out of range"},
		{RUN("-c", "10x"), "--concurrency 10x: not a whole number"},
		{RUN("-c", "-1"), "not a whole number"},
		{RUN("-c", "0"), "out of range"},
		{RUN("-c", "99999999999999999999"), "out of range"},
		{RUN("--window", "0"), "out of range"},
		{RUN("--max-body", "10Q"), "not a size"},
		{RUN("--timeout", "0"), "out of range"},
		{RUN("--timeout", "1e9"), "--timeout 1e9"},
		{RUN("--accept", "banana"), "not a list of statuses"},
		{RUN("--body", "sideways"), "none of inline, none, dir:DIR"},
		{RUN("--body", "dir:"), "names no directory"},
		{RUN("--body", "warc:"), "names no files"},
		{RUN("--retries", "-1"), "not a whole number"},
		{RUN("--retry-on", "http_status"), "is no status and none of dns"},
		{RUN("--per-host", "0"), "out of range, 1 to"},
		{RUN("--rate", "0/s"), "out of range, 1/h to"},
		{RUN("--rate", "10"), "--rate 10: neither a rate such as 10/s"},
		{RUN("--host-rate", "5/d"), "neither a rate"},
		{RUN("--halt", "now,fail=0"), "out of range"},
		{RUN("--halt", "now,fail=101%"), "out of range"},
		{RUN("--halt", "now"), "nor such as soon,fail=10"},
		{RUN("--fail-fast", "--halt", "now,fail=2"), "--halt"},
		{RUN("--progress", "loud"), "none of auto|bar|log|json|none"},
		{RUN("--scheduler", "random"), "none of least-loaded|round-robin"},
		{RUN("--csv", "--tsv"), "--csv: cannot be used with --tsv"},
		{RUN("--url-column", "x"), "needs --csv or --tsv"},
		{RUN("--fields", "url"), "needs --format csv"},
		{RUN("--retry-failed", "x"), "needs the job files"},
		{RUN("--key", "/nonexistent.pem"), "--key: needs --cert"},
		{RUN("--cert", "/nonexistent.pem"), "cannot be read"},
		{RUN("--data", "@/nonexistent"), "cannot be read"},
		{RUN("--proxy", "https://p"), "the scheme of a proxy is"},
		{RUN("--resolve", "a:80"), "not HOST:PORT:ADDRESS"},
		{RUN("--dns-servers", "dns.example"), "not a list of addresses"},
		{RUN("-H", "no colon"), "--header"},
		{RUN("-H", "A: b\r\nC: d"), "control character"},
		{RUN("-X", "GE T"), "not a method"},
		{RUN("-X", "CONNECT"), "makes a tunnel"},
		{RUN("-X", "HEAD", "-d", "x"), "--data: cannot be used with"},
		{RUN("-o"), "--output: needs a value"},
		{RUN("-o", ""), "--output \"\": is empty"},
		{RUN("--concurency", "1"), "did you mean --concurrency?"},
		{RUN("--nonsense"), "--nonsense: unknown option"},
		{RUN("-Z"), "-Z: unknown option"},
		{RUN("--timeo", "3"),
			"--timeo: unknown option; did you mean --timeout?"},
		{RUN("--resume", "--force", "-o", "x", "y"), "--force"},
		{RUN("--resume"), "needs --output FILE"},
		{RUN("--resume", "-o", "x"), "standard input cannot be read again"},
		{RUN("--cacert", "/nonexistent.pem"),
			"/nonexistent.pem: cannot be read"},
		{RUN("--config", "/dev/null"), "--no-config"},
		{POOLMAP("run", "--config", "/nonexistent.conf"), "/nonexistent.conf"},
		{POOLMAP("rnu"), "did you mean poolmap run?"},
		{POOLMAP("--quiet"), "follow the command"},
		{((const char *const[]){program("poolmap"), NULL}), "poolmap --help"},
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		check_refused(
			calls[i].argv, "http://127.0.0.1:1/\n", 2, calls[i].words);
	}
}

/* A later version may have it; to accept and ignore it would be worse. */
Test(run_bad_input, a_command_that_is_not_there, .timeout = 20)
{
	check_refused(POOLMAP("node", "--via", "x"), NULL, 2, "unknown command");
}

Test(run_bad_input, a_mistake_in_the_configuration, .timeout = 20)
{
	static const char text[] = "# mine\ntimeout = 5\nconcurency = 7\n";
	const char *path = temp_file("my.conf", text, sizeof(text) - 1);
	check_refused(POOLMAP("run", "--config", path), "x:1\n", 2,
		keep_printf("%s:3: concurency: unknown option; did you mean "
			    "concurrency?",
			path));
	static const char bad[] = "workers = 0\n";
	path = temp_file("my.conf", bad, sizeof(bad) - 1);
	check_refused(POOLMAP("run", "--config", path), "x:1\n", 2,
		keep_printf("%s:1: workers = 0: out of range", path));
}

Test(run_bad_input, a_mistake_in_the_environment, .timeout = 20)
{
	child_env("POOLMAP_CONCURENCY", "7");
	check_refused(RUN("-q"), "x:1\n", 2,
		"POOLMAP_CONCURENCY: unknown variable; did you mean "
		"POOLMAP_CONCURRENCY?");
	child_env("POOLMAP_CONCURENCY", NULL);
	child_env("POOLMAP_MAX_BODY", "x");
	check_refused(RUN("-q"), "x:1\n", 2, "POOLMAP_MAX_BODY=x: not a size");
}

/* ------------------------------------------------------------------- output */

static const char old_text[] = "{\"index\":0} something\n";

static void check_untouched(const char *path)
{
	char *text = read_file(path, NULL);
	cr_assert_str_eq(text, old_text);
	free(text);
}

Test(run_bad_input, an_existing_output, .timeout = 20)
{
	struct origin *o = origin_start();
	const char *out = temp_file("out", old_text, strlen(old_text));
	check_refused(RUN("-o", out), origin_url(o, "/"), 2, "--force overwrites");
	check_untouched(out);
	cr_assert_eq(origin_count(o, "requests"), 0);
	origin_stop(o);
}

Test(run_bad_input, an_output_that_cannot_be, .timeout = 20)
{
	check_refused(RUN("-o", temp_dir()), "x:1\n", 2, "is a directory");
	check_refused(RUN("-o", "/nonexistent/out"), "x:1\n", 2, "No such file");
}

/* By another name, whether it is there or not. */
Test(run_bad_input, the_output_as_list_of_failed_jobs, .timeout = 20)
{
	const char *dir = temp_dir();
	const char *out = keep_printf("%s/out", dir),
		   *other = keep_printf("%s/./out", dir);
	const char *const how[] = {"--quiet", "--force", "--resume"};
	const char *jobs = temp_file("jobs", "x:1\n", 4);
	for (size_t i = 0; i < 3; i++) {
		check_refused(RUN(jobs, how[i], "-o", out, "--failed", other), NULL, 2,
			"--failed: names the output");
		cr_assert_neq(access(out, F_OK), 0, "it was created");
	}
	const char *old = temp_file("old", old_text, strlen(old_text)),
		   *soft = keep_printf("%s.soft", old);
	cr_assert_eq(symlink(old, soft), 0);
	for (size_t i = 0; i < 3; i++) {
		check_refused(RUN(jobs, how[i], "-o", old, "--failed", soft), NULL, 2,
			"--failed: names the output");
		check_untouched(old);
	}
}

/* The same file by its name, by a symbolic and by a hard link. */
Test(run_bad_input, a_job_file_as_output, .timeout = 20)
{
	const char *jobs = temp_file("jobs", old_text, strlen(old_text));
	const char *soft = keep_printf("%s.soft", jobs),
		   *hard = keep_printf("%s.hard", jobs);
	cr_assert_eq(symlink(jobs, soft), 0);
	cr_assert_eq(link(jobs, hard), 0);
	const char *const outs[] = {jobs, soft, hard};
	for (size_t i = 0; i < 3; i++) {
		check_refused(RUN(jobs, "-o", outs[i], "--force"), NULL, 2,
			"is a job file of this run");
		check_refused(RUN(jobs, "-o", outs[i]), NULL, 2, "job file");
		check_untouched(jobs);
	}
	const char *append = keep_printf("exec \"$@\" >>%s", jobs);
	check_refused(RUN_IN_SHELL(append, jobs), NULL, 2, "is a job file");
	check_untouched(jobs);
}

Test(run_bad_input, a_full_device, .timeout = 20)
{
	check_refused(RUN("-q", "-o", "/dev/full"), "x:1\n", 4, "No space left");
	check_refused(RUN_IN_SHELL("exec \"$@\" >/dev/full", "-q"), "x:1\n", 4,
		"No space left");
	check_refused(RUN("-o", "/dev/full", temp_file("jobs.txt", "x:1\n", 4)), NULL,
		4, "cannot be resumed: its results are not in a file");
}

/* Its reader has gone; SIGPIPE must not end it without a word. */
Test(run_bad_input, a_closed_pipe, .timeout = 20)
{
	struct child c;
	child_start(&c, RUN("-w", "1"), 0);
	child_close(&c, 1);
	cr_assert(child_write(&c, "x:1\n", 4));
	cr_assert_eq(child_wait(&c, 15000), 4, "%s", c.got[2].data);
	check_says(c.got[2].data, "standard output: Broken pipe");
	child_fini(&c);
}

/* ------------------------------------------------------------ limits, stdio */

/* Said before anything is started or created. */
Test(run_bad_input, more_at_once_than_files_may_be_open, .timeout = 20)
{
	struct origin *o = origin_start();
	const char *out = new_path("out");
	check_refused(RUN_IN_SHELL("ulimit -n 256; exec \"$@\"", "-c", "5000", "-w",
			      "2", "-o", out),
		origin_url(o, "/"), 2,
		"needs 5064 open files in each, and the hard limit is 256");
	check_no_file(out);
	cr_assert_eq(origin_count(o, "requests"), 0);
	origin_stop(o);
}

Test(run_bad_input, closed_standard_input, .timeout = 20)
{
	check_refused(
		RUN_IN_SHELL("exec \"$@\" <&-", "-w", "1"), NULL, 3, "standard input");
}

Test(run_bad_input, closed_standard_output, .timeout = 20)
{
	check_refused(RUN_IN_SHELL("exec \"$@\" >&-", "-w", "1"), "x:1\n", 2,
		"standard output");
}

/* What would be said goes nowhere, and not into the results. */
Test(run_bad_input, closed_standard_error, .timeout = 20)
{
	const char *out = new_path("out");
	struct ran r = run_to_end(
		"x:1\nx:2\n", RUN_IN_SHELL("exec \"$@\" 2>&-", "-w", "2", "-o", out));
	check_status(&r, 1);
	cr_assert_eq(r.io.err_len, 0);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, 2);
	json_decref(results);
	ran_fini(&r);
}

/* A file is not opened in place of a descriptor that is missing. */
Test(run_bad_input, nothing_open_at_all, .timeout = 20)
{
	const char *out = new_path("out"), *jobs = temp_file("jobs", "x:1\nx:2\n", 8);
	struct ran r = run_to_end(NULL,
		RUN_IN_SHELL("exec \"$@\" <&- >&- 2>&-", "-w", "2", "-o", out, jobs));
	check_status(&r, 1);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, 2);
	json_decref(results);
	ran_fini(&r);
}
