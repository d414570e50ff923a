/* SPDX-License-Identifier: MIT
 *
 * `poolmap report`: what it says of results of runs, in each of their forms, and of
 * files that are none.
 */
#include "tests/support/visit_rig.h"

#include "common/cli/outcome.h"
#include "master/cli/pack.h"

TestSuite(report, .init = start_origin, .fini = stop_origin);

#define REPORT(...) POOLMAP("report", __VA_ARGS__)

/* A report that was made, or not. */
static void report(struct run_result *r, const char *input, size_t len, int expected,
	const char *const argv[])
{
	run_argv(r, input, len, argv);
	cr_assert_eq(r->status, expected, "exit code %d, not %d; it said: %s",
		r->status, expected, r->err);
}

static json_t *json_of(const char *text)
{
	json_error_t why;
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	cr_assert(value, "%s: %s", why.text, text);
	return value;
}

static json_t *json_of_file(const char *path)
{
	char *text = read_file(path, NULL);
	json_t *value = json_of(text);
	free(text);
	return value;
}

/* The report of bytes, as JSON. */
static json_t *json_report_of(const char *bytes, size_t len)
{
	struct run_result r;
	report(&r, NULL, 0, 0, REPORT(temp_file("results", bytes, len), "--json", "-"));
	json_t *value = json_of(r.out);
	run_result_fini(&r);
	return value;
}

/* The text of the report of bytes, from standard input. */
static const char *text_report_of(const char *bytes, size_t len)
{
	struct run_result r;
	report(&r, bytes, len, 0, REPORT("-"));
	const char *text = keep_printf("%s", r.out);
	run_result_fini(&r);
	return text;
}

static const char *mixed_jobs(void)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < 40; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/size/%zu", i * 1000));
	}
	jobs_add(&jobs, "%s\n%s\n%s\n", origin_url(o, "/status/404"),
		origin_url(o, "/unstable/report/1"), origin_url(o, "/truncate/100"));
	jobs_add(&jobs,
		"{\"nothing\":1}\nhttp://127.0.0.1:1/\nftp://h/\nhttp://[::g]/\n");
	jobs_add(&jobs, "http://somebody:secret@127.0.0.1:%u/delay/20\n",
		origin_port(o));
	return jobs_file(&jobs);
}

/* A run of those, with its results and its statistics. */
static void run_mixed(const char *out, const char *stats, const char *format)
{
	struct ran r =
		run_to_end(NULL, RUN("-q", "--retries", "1", "--format", format, "-o",
					 out, "--stats", stats, mixed_jobs()));
	check_status(&r, 1);
	ran_fini(&r);
}

/* ----------------------------------------------------------------- real runs */

static void expect_same(const json_t *report, const json_t *stats, const char *key)
{
	char *a = json_dumps(field(report, key), JSON_SORT_KEYS | JSON_ENCODE_ANY);
	char *b = json_dumps(field(stats, key), JSON_SORT_KEYS | JSON_ENCODE_ANY);
	cr_assert_str_eq(a, b, "%s: %s, not %s", key, a, b);
	free(a);
	free(b);
}

static const char *const shared[] = {
	"attempts", "retries", "bytes", "classes", "http_codes", "latency"};

static void compare(const char *out, const char *stats_path)
{
	struct run_result r;
	report(&r, NULL, 0, 0, REPORT(out, "--json", "-"));
	json_t *made = json_of(r.out), *stats = json_of_file(stats_path);
	for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
		expect_same(made, stats, shared[i]);
	}
	expect_same(field(made, "jobs"), field(stats, "jobs"), "done");
	expect_same(field(made, "jobs"), field(stats, "jobs"), "ok");
	expect_same(field(made, "jobs"), field(stats, "jobs"), "failed");
	json_decref(made);
	json_decref(stats);
	run_result_fini(&r);
}

Test(report, says_of_results_what_the_run_said, .timeout = 120)
{
	static const char *const names[][2] = {{"r.jsonl", "jsonl"}, {"r.csv", "csv"},
		{"r.jsonl.gz", "jsonl"}, {"r.csv.gz", "csv"}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *out = new_path(names[i][0]), *stats = new_path("stats");
		run_mixed(out, stats, names[i][1]);
		compare(out, stats);
	}
}

/* The lines of counts in a text: those between its first line and the name `end`. */
static char *counts_of(const char *text, const char *end)
{
	const char *from = strstr(text, "\n  ok "), *to = strstr(text, end);
	cr_assert(from && to && from < to, "%s", text);
	return strndup(from, (size_t)(to - from));
}

Test(report, has_the_lines_of_the_summary, .timeout = 120)
{
	struct run_result r;
	const char *out = new_path("r.jsonl");
	struct ran ran =
		run_to_end(NULL, RUN("--progress", "none", "-o", out, mixed_jobs()));
	report(&r, NULL, 0, 0, REPORT(out));
	char *said = counts_of(ran.io.err, "\n  latency"),
	     *told = counts_of(r.out, "\n  latency");
	cr_assert_str_eq(told, said);
	check_says(r.out, strstr(said, "bad_job"));
	free(said);
	free(told);
	run_result_fini(&r);
	ran_fini(&ran);
}

Test(report, is_the_same_from_a_pipe_and_packed, .timeout = 120)
{
	struct run_result r;
	size_t len;
	const char *out = new_path("r.jsonl.gz"), *stats = new_path("stats");
	run_mixed(out, stats, "jsonl");
	report(&r, NULL, 0, 0, REPORT(out));
	char *packed = read_file(out, &len);
	const char *piped = text_report_of(packed, len);
	cr_assert_str_eq(strchr(piped, ':'), strchr(r.out, ':'));
	free(packed);
	run_result_fini(&r);
}

Test(report, has_no_user_or_password, .timeout = 120)
{
	struct run_result r;
	const char *out = new_path("r.jsonl"), *html = new_path("r.html");
	run_mixed(out, new_path("stats"), "jsonl");
	report(&r, NULL, 0, 0, REPORT(out, "--json", "-", "--html", html));
	char *page = read_file(html, NULL);
	cr_assert(!strstr(r.out, "secret") && !strstr(page, "secret"), "%s", r.out);
	cr_assert(strstr(r.out, "/delay/20"), "the slowest is not there: %s", r.out);
	free(page);
	run_result_fini(&r);
}

/* -------------------------------------------------------------------- lines */

#define LINE(index, verdict)                                                           \
	"{\"index\":" index ",\"url\":\"http://h" index "/\"," verdict                 \
	",\"http_code\":200,\"size_download\":5,\"time_total\":0.001000,"              \
	"\"attempts\":1,\"body\":\"hello\"}\n"
#define OK "\"ok\":true,\"error\":null"
#define FAILED "\"ok\":false,\"error\":\"timeout\",\"errormsg\":\"too late\""

static json_int_t done_of(const json_t *made)
{
	return int_in(field(made, "jobs"), "done");
}

/* `head` counts, and the rest is left out and said. */
static void expect_torn(
	const char *head, const char *rest, size_t rest_len, json_int_t ct)
{
	struct bytes all = {0};
	struct run_result r;
	bytes_add(&all, head, strlen(head));
	bytes_add(&all, rest, rest_len);
	report(&r, all.data, all.len, 0, REPORT("-", "--json", "-"));
	json_t *made = json_of(r.out);
	cr_assert_eq(done_of(made), ct);
	cr_assert(json_is_true(field(made, "torn")) == (rest_len > 0));
	check_says(rest_len ? r.err : "torn", "torn");
	json_decref(made);
	run_result_fini(&r);
	bytes_fini(&all);
}

Test(report, leaves_a_torn_end_out, .timeout = 120)
{
	static const char line[] = LINE("1", OK), zeros[400000];
	for (size_t len = 0; len < sizeof line - 1; len++) {
		expect_torn(LINE("0", OK), line, len, 1);
	}
	expect_torn(LINE("0", OK), zeros, sizeof zeros, 1);
	expect_torn("", zeros, sizeof zeros, 0);
	expect_torn("ok\r\ntrue\r\n", "fals", 4, 1);
}

/* A packed file that a run is still writing: its last member has no end. */
Test(report, leaves_a_torn_member_out, .timeout = 120)
{
	struct buf whole = {0};
	struct pack *p = pack_new();
	cr_assert(p && !pack_put(p, &whole, LINE("0", OK), strlen(LINE("0", OK))) &&
		  !pack_end(p, &whole));
	size_t first = whole.len;
	cr_assert(!pack_put(p, &whole, LINE("1", OK), strlen(LINE("1", OK))) &&
		  !pack_end(p, &whole));
	for (size_t len = first; len <= whole.len; len++) {
		json_t *made = json_report_of(whole.data, len);
		cr_assert_eq(done_of(made), len == whole.len ? 2 : 1, "%zu", len);
		cr_assert_eq(json_is_true(field(made, "torn")),
			len != first && len != whole.len);
		json_decref(made);
	}
	pack_free(p);
	buf_fini(&whole);
}

static void expect_refused(const char *bytes, size_t len, const char *words)
{
	struct run_result r;
	report(&r, bytes, len, 6, REPORT("-"));
	check_says(r.err, words);
	cr_assert_eq(r.out_len, 0, "%s", r.out);
	run_result_fini(&r);
}

#define REFUSED(text, words) expect_refused(text, sizeof(text) - 1, words)

Test(report, refuses_what_is_damaged_and_says_where, .timeout = 120)
{
	REFUSED(LINE("0", OK) "{\"index\":1,\"url\":\n", "standard input:2: ");
	REFUSED(LINE("0", OK) "\n" LINE("1", OK), "standard input:2: ");
	REFUSED(LINE("0", OK) "{\"index\":1,\"ok\":true,\"x\":\0}\n", ":2: ");
	REFUSED(LINE("0", OK) "\0\0\0\n" LINE("1", OK), ":2: ");
	REFUSED(LINE("0", OK) "{\"index\":1,\"ok\":true} \n", ":2: ");
	REFUSED("{\"index\":1,\"url\":\"u\",\"ok\":5}\n", ":1: ");
	REFUSED("{\"index\":-1,\"ok\":true}\n", ":1: ");
	REFUSED("{\"index\":1,\"ok\":true,\"http_code\":-7}\n", "http_code");
	REFUSED("{\"index\":1,\"ok\":true,\"http_code\":1000}\n", "http_code");
	REFUSED("{\"index\":1,\"ok\":true,\"time_total\":nan}\n", "time_total");
	REFUSED("{\"index\":1,\"ok\":true,\"time_total\":1e99}\n", "time_total");
	REFUSED("{\"index\":1,\"ok\":true,\"size_download\":9999999999999999999}\n",
		"size_download");
	REFUSED(LINE("0", OK) "some text", ":2: ");
	REFUSED("index,ok\r\n0,true\r\n1\r\n", ":3: ");
	REFUSED("url,ok\r\n\"a\nb\",true\r\nc,maybe\r\n", ":4: ");
	REFUSED("index,ok\r\n0,\r\n", ":2: ");
}

Test(report, refuses_what_holds_no_results, .timeout = 120)
{
	REFUSED("http://h/\nhttp://h/\n", "standard input:1: ");
	REFUSED("{\"url\":\"http://h/\"}\n", ":1: ");
	REFUSED("{\"index\":1,\"url\":\"http://h/\"}\n", "\"ok\"");
	REFUSED("name,price\r\nx,1\r\n", ":1: ");
	REFUSED("index,url\r\n0,http://h/\r\n", "--fields");
	REFUSED("words without an end", ":1: ");
	REFUSED("\x1f\x8b no gzip at all, whatever its first bytes say", "damaged");
	REFUSED("\xff\xfe{\0", ":1: ");
}

Test(report, of_an_empty_file_says_so, .timeout = 120)
{
	cr_assert_str_eq(
		text_report_of("", 0), "standard input: there are no results in it.\n");
	cr_assert_str_eq(text_report_of("ok,url\r\n", 8),
		"standard input: there are no results in it.\n");
	json_t *made = json_report_of("", 0);
	cr_assert_eq(done_of(made), 0);
	cr_assert_eq(json_array_size(field(made, "hosts")), 0);
	json_decref(made);
}

/* What other programs make of the lines, such as jq, which writes 1e-05. */
Test(report, takes_lines_that_went_through_another_program, .timeout = 120)
{
	static const char text[] =
		"{\"index\":7,\"ok\":true,\"time_total\":1.5e-05,\"attempts\":2}\n"
		"{\"index\":3,\"ok\":false,\"error\":\"of_tomorrow\",\"time_total\":2}"
		"\n";
	json_t *made = json_report_of(text, sizeof text - 1);
	const json_t *latency = field(made, "latency");
	cr_assert_float_eq(seconds_in(latency, "min"), 0.000015, 1e-9);
	cr_assert_float_eq(seconds_in(latency, "max"), 2, 1e-9);
	cr_assert_eq(int_in(field(made, "classes"), "internal"), 1);
	json_decref(made);
}

/* ---------------------------------------------------------------------- CSV */

Test(report, leaves_out_what_a_csv_does_not_have, .timeout = 120)
{
	static const char *const most[] = {"attempts", "retries", "bytes", "classes",
		"http_codes", "latency", "hosts", "slowest"};
	static const char text[] = "ok\r\ntrue\r\nfalse\r\nfalse\r\n";
	json_t *made = json_report_of(text, sizeof text - 1);
	cr_assert_eq(int_in(field(made, "jobs"), "failed"), 2);
	for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
		cr_assert(!has_field(made, most[i]), "%s", most[i]);
	}
	json_decref(made);
	cr_assert_str_eq(text_report_of(text, sizeof text - 1),
		"standard input: 2 of 3 jobs failed.\n\n"
		"  jobs       3\n  ok         1   33.3%\n  failed     2   66.7%\n");
}

Test(report, takes_columns_in_any_order_and_cells_of_any_length, .timeout = 120)
{
	enum { LONG = 3 << 20 };
	struct bytes text = {0};
	char *body = malloc(LONG);
	cr_assert(body);
	memset(body, '\n', LONG);
	jobs_add(&text, "body,error,time_total,url\r\n\"a,\"\"b\n");
	bytes_add(&text, body, LONG);
	jobs_add(&text, "\",,0.25,http://h/\r\nx,dns,,http://h:80/"
			"\r\n\"\",,0.5,\"http://i\"\r\n");
	json_t *made = json_report_of(text.data, text.len);
	cr_assert_eq(done_of(made), 3);
	cr_assert_eq(int_in(field(made, "jobs"), "ok"), 2);
	cr_assert_eq(int_in(field(made, "classes"), "dns"), 1);
	cr_assert_eq(json_array_size(field(made, "hosts")), 2);
	cr_assert_float_eq(seconds_in(field(made, "latency"), "max"), 0.5, 1e-9);
	json_decref(made);
	bytes_fini(&text);
	free(body);
}

/* ------------------------------------------------------------------- lengths */

/* Longer than what is kept of a line, and one LF at each place around that end. */
Test(report, takes_lines_of_any_length, .timeout = 120)
{
	enum { LONG = (16 << 20) + (256 << 10) + 4096 };
	struct bytes text = {0};
	char *body = malloc(LONG);
	cr_assert(body);
	memset(body, 'x', LONG);
	jobs_add(&text, LINE("0", OK));
	jobs_add(&text, "{\"index\":1,\"url\":\"http://h/\"," FAILED ",\"body\":\"");
	bytes_add(&text, body, LONG);
	jobs_add(&text, "\"}\n" LINE("2", OK));
	json_t *made = json_report_of(text.data, text.len);
	cr_assert_eq(done_of(made), 3);
	cr_assert_eq(int_in(field(made, "classes"), "timeout"), 1);
	json_decref(made);
	/* and torn in there */
	made = json_report_of(text.data, text.len - 1000);
	cr_assert_eq(done_of(made), 1);
	cr_assert(json_is_true(field(made, "torn")));
	json_decref(made);
	bytes_fini(&text);
	free(body);
}

Test(report, keeps_only_a_part_of_long_urls, .timeout = 120)
{
	struct bytes text = {0};
	char url[8001];
	memset(url, 'u', sizeof url - 1);
	url[sizeof url - 1] = '\0';
	jobs_add(&text,
		"{\"index\":0,\"url\":\"http://h/%s\",\"ok\":true,"
		"\"time_total\":1.0}\n",
		url);
	json_t *made = json_report_of(text.data, text.len);
	const char *kept = text_in(json_array_get(field(made, "slowest"), 0), "url");
	cr_assert_eq(strlen(kept), 2000);
	cr_assert(strstr(kept, "u..."));
	cr_assert_lt(strlen(text_report_of(text.data, text.len)), 1500);
	json_decref(made);
	bytes_fini(&text);
}

/* More hosts than are told apart, each with a job here and there, and one that has
 * many: in a process that may have 96 MiB in all. */
Test(report, takes_little_memory_for_many_hosts, .timeout = 120)
{
	enum { CT = RIG_SANITIZED ? 20000 : 300000, HOSTS = 60000 };
	struct bytes text = {0};
	struct run_result r;
	for (int i = 0; i < CT; i++) {
		bool many = i % 4 == 0;
		jobs_add(&text,
			"{\"index\":%d,\"url\":\"http://%s%d.example/\",\"ok\":true,"
			"\"http_code\":200,\"time_total\":0.%06d}\n",
			i, many ? "many" : "h", many ? 0 : i * 7 % HOSTS,
			1 + i % 999999);
	}
	report(&r, text.data, text.len, 0,
		((const char *const[]){"/bin/sh", "-c",
			RIG_SANITIZED ? "exec \"$@\""
				      : "ulimit -v 98304 && exec \"$@\"",
			"sh", program("poolmap"), "report", "-", "--json", "-", NULL}));
	json_t *made = json_of(r.out);
	const json_t *first = json_array_get(field(made, "hosts"), 0);
	cr_assert_eq(done_of(made), CT);
	cr_assert_str_eq(text_in(first, "host"), "many0.example");
	cr_assert_eq(done_of(first), CT / 4);
	json_decref(made);
	run_result_fini(&r);
	bytes_fini(&text);
}

/* ------------------------------------------------------------------- output */

Test(report, escapes_what_would_steer_a_terminal, .timeout = 120)
{
	static const char text[] =
		"{\"index\":0,\"url\":\"http://h/\\u001b[2J\\n\\u202e\",\"ok\":true,"
		"\"time_total\":1.0}\n";
	const char *said = text_report_of(text, sizeof text - 1);
	check_says(said, "http://h/\\x1b[2J\\n\\xe2\\x80\\xae\n");
}

Test(report, names_the_first_failed_and_the_slowest_jobs, .timeout = 120)
{
	struct bytes text = {0};
	for (int i = 0; i < 60; i++) {
		jobs_add(&text,
			"{\"index\":%d,\"url\":\"http://h/%d\"," FAILED
			",\"time_total\":%d.0}\n",
			i, i, 1 + i % 30);
	}
	json_t *made = json_report_of(text.data, text.len);
	const json_t *failed = field(made, "first_failed"),
		     *slow = field(made, "slowest");
	cr_assert_eq(json_array_size(failed), 50);
	cr_assert_eq(int_in(json_array_get(failed, 49), "index"), 49);
	cr_assert_str_eq(text_in(json_array_get(failed, 0), "errormsg"), "too late");
	static const int slowest[] = {29, 59, 28, 58, 27};
	cr_assert_eq(json_array_size(slow), 5);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(int_in(json_array_get(slow, i), "index"), slowest[i]);
	}
	json_decref(made);
	bytes_fini(&text);
}

/* Ten in the text, the rest summed; all in the JSON. */
Test(report, tells_hosts_apart_most_jobs_first, .timeout = 120)
{
	struct bytes text = {0};
	for (int i = 0; i < 12; i++) {
		for (int k = 0; k <= i; k++) {
			jobs_add(&text,
				"{\"index\":%d,\"url\":\"HTTP://u@H%d:80/\"," OK "}\n",
				i, i);
		}
	}
	const char *said = text_report_of(text.data, text.len);
	check_says(said, "\n  h11                                    12         12");
	check_says(said, "\n  others                                  3          3");
	json_t *made = json_report_of(text.data, text.len);
	cr_assert_eq(json_array_size(field(made, "hosts")), 12);
	cr_assert_str_eq(
		text_in(json_array_get(field(made, "hosts"), 0), "host"), "h11");
	cr_assert_eq(int_in(field(field(made, "other_hosts"), "jobs"), "done"), 0);
	json_decref(made);
	bytes_fini(&text);
}

/* --------------------------------------------------------------------- HTML */

/* The page of bytes, to be freed. */
static char *page_of(const char *bytes, size_t len)
{
	struct run_result r;
	report(&r, bytes, len, 0, REPORT("-", "--html", "-"));
	char *page = strdup(r.out);
	cr_assert(page);
	run_result_fini(&r);
	return page;
}

/* As strict as XML: each tag is closed, in its order, and each & begins an entity.
 * Style and policy have none of these signs. */
static void check_well_formed(const char *page)
{
	enum { DEPTH_MAX = 32 };
	const char *open[DEPTH_MAX];
	size_t depth = 0;
	cr_assert_eq(strncmp(page, "<!DOCTYPE html>\n", 16), 0);
	for (const char *at = page + 16; (at = strpbrk(at, "<&")); at++) {
		if (*at == '&') {
			size_t len =
				strspn(at + 1, "abcdefghijklmnopqrstuvwxyz#0123456789");
			cr_assert(len && at[1 + len] == ';', "%.40s", at);
			continue;
		}
		const char *end = strchr(at, '>');
		cr_assert(end, "%.40s", at);
		if (at[1] == '/') {
			cr_assert(depth && strncmp(open[--depth], at + 2,
						   (size_t)(end - at) - 2) == 0,
				"%.40s", at);
		} else if (end[-1] != '/') {
			cr_assert(depth < DEPTH_MAX && at[1] >= 'a' && at[1] <= 'z',
				"%.40s", at);
			open[depth++] = at + 1;
		}
	}
	cr_assert_eq(depth, 0);
}

static const char hostile[] =
	"{\"index\":0,\"url\":\"http://h/<script>alert(1)</script>\\\"'&lt;&\",\"ok\":"
	"false,\"error\":\"timeout\",\"errormsg\":\"</td></table><img src=x "
	"onerror=alert(1)>\",\"http_code\":200,\"time_total\":0.5}\n"
	"{\"index\":1,\"url\":\"javascript:alert(1)\",\"ok\":true}\n"
	"{\"index\":2,\"url\":\"http://<b>.example/\\u202e\\u0007\",\"ok\":true,"
	"\"time_total\":0.000001}\n";

Test(report, is_a_page_in_which_nobody_else_writes_markup, .timeout = 120)
{
	static const char *const never[] = {"<script", "<img", "<b>", "src=", "href",
		"url(", "@import", "\x07", "\x80\xae"};
	char *page = page_of(hostile, sizeof hostile - 1);
	check_well_formed(page);
	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
		const char *text = strstr(page, "<main>"), *at = strstr(text, never[i]);
		bool shown = at && strcmp(never[i], "src=") == 0;
		cr_assert(!at || shown, "%s: %.60s", never[i], at);
	}
	check_says(page,
		"http://h/&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;lt;");
	check_says(page, "default-src 'none'; style-src 'sha256-");
	free(page);
}

/* Shares like "<0.1%", all classes, all fields missing, one job, none. */
Test(report, is_a_well_formed_page_of_any_results, .timeout = 120)
{
	static const char *const few[] = {"", LINE("0", OK), LINE("0", FAILED),
		"ok\r\ntrue\r\nfalse\r\n",
		"error,time_total\r\ndns,86400\r\n,99999\r\n"};
	for (size_t i = 0; i < sizeof few / sizeof few[0]; i++) {
		char *page = page_of(few[i], strlen(few[i]));
		check_well_formed(page);
		free(page);
	}
	struct bytes text = {0};
	for (unsigned i = 0; i < 3000; i++) {
		const char *class = outcome_class_name(i < OUTCOME_CLASS_CT ? i : 0);
		jobs_add(&text,
			"{\"index\":%u,\"url\":\"http://h%u/\",\"ok\":%s,\"error\":"
			"\"%s\",\"http_code\":%u,\"time_total\":%u.5}\n",
			i, i % 100, strcmp(class, "ok") == 0 ? "true" : "false", class,
			100 + i % 40, i);
	}
	char *page = page_of(text.data, text.len);
	check_well_formed(page);
	check_says(page, "&lt;0.1%");
	free(page);
	bytes_fini(&text);
}

Test(report, of_a_file_that_cannot_be_read_or_written_says_which, .timeout = 120)
{
	struct run_result r;
	const char *in = temp_file("r.jsonl", LINE("0", OK), strlen(LINE("0", OK)));
	report(&r, NULL, 0, 3, REPORT("/nowhere/results"));
	check_says(r.err, "/nowhere/results: cannot be read: No such file");
	run_result_fini(&r);
	report(&r, NULL, 0, 3, REPORT(temp_dir()));
	run_result_fini(&r);
	report(&r, NULL, 0, 4, REPORT(in, "--json", "/nowhere/report"));
	check_says(r.err, "/nowhere/report");
	run_result_fini(&r);
	report(&r, NULL, 0, 4, REPORT(in, "--html", "/dev/full"));
	check_says(r.err, "No space left");
	run_result_fini(&r);
	report(&r, NULL, 0, 4,
		((const char *const[]){"/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh",
			program("poolmap"), "report", in, NULL}));
	check_says(r.err, "No space left");
	run_result_fini(&r);
}

Test(report, never_replaces_the_results, .timeout = 120)
{
	struct run_result r;
	const char *in = temp_file("r.jsonl", LINE("0", OK), strlen(LINE("0", OK)));
	const char *other = new_path("link");
	cr_assert_eq(link(in, other), 0);
	report(&r, NULL, 0, 2, REPORT(in, "--json", in));
	run_result_fini(&r);
	report(&r, NULL, 0, 2, REPORT(in, "--html", other));
	run_result_fini(&r);
	json_t *made = json_of_file(in);
	json_decref(made);
}

Test(report, tells_what_is_wrong_with_its_options, .timeout = 120)
{
	struct run_result r;
	report(&r, NULL, 0, 2, REPORT("x", "--jsom", "y"));
	check_says(r.err, "did you mean --json?");
	run_result_fini(&r);
	report(&r, NULL, 0, 2, REPORT("x", "-o", "y"));
	check_says(r.err, "-o: unknown option");
	run_result_fini(&r);
	report(&r, NULL, 0, 2, REPORT("x", "y"));
	check_says(r.err, "one results file");
	run_result_fini(&r);
	report(&r, NULL, 0, 2, POOLMAP("report"));
	check_says(r.err, "name a results file");
	run_result_fini(&r);
	report(&r, NULL, 0, 2, REPORT("x", "--json", "-", "--html", "-"));
	run_result_fini(&r);
	report(&r, NULL, 0, 2, POOLMAP("run", "--json", "x"));
	check_says(r.err, "--json: unknown option");
	run_result_fini(&r);
}

/* A run writes it meanwhile: all whole lines count, and the run is not disturbed. */
Test(report, reads_what_a_run_is_writing, .timeout = 120)
{
	struct child c;
	struct bytes jobs = {0};
	struct run_result r;
	const char *out = new_path("r.jsonl");
	jobs_add_urls(&jobs, o, "/once/", 10);
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/report"));
	child_start(&c, RUN("-q", "-o", out, jobs_file(&jobs)), CHILD_NO_STDIN);
	wait_for_index(out, 9);
	report(&r, NULL, 0, 0, REPORT(out));
	check_says(r.out, "all 10 jobs are ok");
	run_result_fini(&r);
	origin_release(o, "report");
	cr_assert_eq(child_wait(&c, HARNESS_DEADLINE_MS), 0);
	child_fini(&c);
}
