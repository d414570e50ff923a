/* SPDX-License-Identifier: MIT
 *
 * `poolmap run` and a hostile server: each behaviour of
 * tests/support/origin_hostile_scripts.c many times, in random order, mixed with jobs
 * for an honest server.  Every job has the result that the table here says, in time;
 * honest jobs come to no harm, nor does a worker.
 *
 * POOLMAP_TEST_SEED sets the order, POOLMAP_TEST_EACH how many jobs there are of each
 * behaviour; tests/fault/long/hostile.sh asks for many.
 */
#include "tests/support/run_rig.h"

enum {
	EACH = 4,
	GRACE_MS = RIG_SANITIZED ? 10000 : 3000, /* the machine may be busy */
	LONG_GRACE_MS = 1000,
	MEMORY_MAX_KIB = 256 << 10,
	HONEST_BYTES = 100, /* and the number of the job */
	TLS_MAX = 32,
};

/* What becomes of a job for a script.  None asks to be left alone for a while with a
 * Retry-After: that holds up all jobs of its host, as it should.  What a server says
 * after a whole response, and how it ends the connection then, is no concern of the
 * job. */
static const struct expected {
	const char *name, *class; /* or two, with a blank between them */
} table[] = {
	{"silence", "timeout"},
	{"half-line", "timeout"},
	{"half-head", "timeout"},
	{"half-body", "timeout"},
	{"half-chunk", "timeout"},
	{"slow-head", "timeout"},
	{"slow-lines", "timeout"},
	{"slow-body", "timeout"},
	{"slow-chunks", "timeout"},
	{"slow-extension", "timeout"},
	{"slow-trailers", "timeout"},
	{"slow-1xx", "timeout"},
	{"endless-extension", "timeout"}, /* libcurl reads over it */

	{"endless-empty-lines", "bad_response"},
	{"endless-headers", "headers_too_large"},
	{"endless-header", "headers_too_large"},
	{"endless-reason", "headers_too_large"},
	{"endless-folds", "headers_too_large"},
	{"endless-cookies", "headers_too_large"},
	{"endless-location", "headers_too_large"},
	{"endless-100", "headers_too_large"},
	{"endless-103", "headers_too_large"},
	{"endless-trailers", "headers_too_large"},
	{"trailers-as-head", "headers_too_large"},
	{"endless-trailer", "headers_too_large"},

	{"endless-body", "body_too_large"},
	{"endless-chunks", "body_too_large"},
	{"endless-tiny-chunks", "body_too_large"},
	{"endless-chunk", "body_too_large"},
	{"announced", "body_too_large"},
	{"bomb-gzip", "body_too_large"},
	{"bomb-deflate", "body_too_large"},
	{"bomb-br", "body_too_large"},
	{"bomb-zstd", "body_too_large"},
	{"bomb-in-bomb", "body_too_large"},

	{"coded-not", "bad_response"},
	{"coded-50-times", "bad_response"},
	{"coded-unknown", "bad_response"},
	{"coded-cut", "ok"}, /* all bytes came; libcurl does not miss the end */
	{"coded-noise", "bad_response"},

	{"length-negative", "bad_response"},
	{"length-huge", "bad_response"},
	{"length-word", "bad_response"},
	{"length-hex", "bad_response"},
	{"length-empty", "bad_response"},
	{"two-lengths", "bad_response"},
	{"length-and-chunks", "bad_response"},
	{"length-folded", "bad_response"},
	{"coding-unknown", "bad_response"},
	{"too-short", "truncated"},
	{"too-long", "ok"},
	{"204-with-body", "ok"},
	{"304-with-body", "ok"},

	{"chunk-negative", "bad_response"},
	{"chunk-huge", "bad_response"},
	{"chunk-word", "bad_response"},
	{"chunk-empty", "bad_response"},
	{"chunk-longer", "bad_response"},
	{"chunk-cut", "truncated"},
	{"chunks-unended", "truncated"},
	{"trailers", "ok"},
	{"trailer-as-head", "truncated"},
	{"trailer-bad", "bad_response"},

	{"empty", "reset"},
	{"empty-line", "bad_response"},
	{"half-line-fin", "reset"},
	{"half-head-fin", "truncated"},
	{"http-0.9", "bad_response"},
	{"http-9.9", "bad_response"},
	{"icy", "bad_response"},
	{"ssh", "bad_response"},
	{"noise", "bad_response"},
	{"status-none", "bad_response"},
	{"status-negative", "bad_response"},
	{"status-0", "bad_response"},
	{"status-999", "http_status"},
	{"status-1000", "bad_response"},
	{"header-nul", "bad_response"},
	{"header-cr", "ok"},
	{"header-lf", "ok"},
	{"header-no-colon", "bad_response"},
	{"header-no-name", "ok"},
	{"header-noise", "ok"},
	{"headers-twice", "ok"},
	{"attacks", "ok"},
	{"upgrade", "http_status"},
	{"100-then-nothing", "truncated"},
	{"proxy-login", "http_status"},
	{"login", "http_status"},

	{"reset", "reset"},
	{"reset-in-head", "reset"},
	{"reset-in-body", "reset"},
	{"reset-in-chunk", "reset"},
	{"reset-after", "ok"},
	{"fin-after", "ok"},
	{"twice", "ok"},

	/* Each job here may meet what the one before has left on the connection: a
	 * server that is gone, or an answer that nobody can tell from the right one,
	 * because it came when the next request was on its way already. */
	{"hang-after", "ok timeout"},
	{"twice-later", "ok"},
	{"408-later", "ok http_status"},

	{"to-itself", "too_many_redirects"},
	{"to-more", "too_many_redirects"},
	{"to-file", "scheme"},
	{"to-gopher", "scheme"},
	{"to-ftp", "scheme"},
	{"to-dict", "scheme"},
	{"to-data", "scheme"},
	{"to-nothing", "bad_url"},
	{"to-bad-port", "bad_url"},
	{"to-refusal", "connect"},
	{"to-nowhere", "ok"}, /* a redirect without a target is the response */
	{"to-split", "http_status"},

	{"tls-silence", "timeout"},
	{"tls-drip", "timeout"},
	{"tls-fin", "reset"},
	{"tls-reset", "reset"},
	{"tls-cut", "reset"},
	{"tls-plain", "tls"},
	{"tls-noise", "tls"},
	{"tls-alert", "tls"},
	{"tls-warnings", "tls"},
	{"tls-old", "tls"},
	{"tls-huge", "tls"},
	{"tls-endless", "tls"},
};
enum { SCRIPT_CT = sizeof(table) / sizeof(table[0]) };

static struct origin *honest, *hostile;
static uint64_t dice_state;

static void start(void)
{
	const char *seed = getenv("POOLMAP_TEST_SEED");
	dice_state = seed ? strtoull(seed, NULL, 10) : clock_now_us();
	cr_log_info("POOLMAP_TEST_SEED=%llu", (unsigned long long)dice_state);
	honest = origin_start();
	hostile = origin_start();
}

static void stop(void)
{
	origin_stop(honest);
	origin_stop(hostile);
}

TestSuite(hostile, .init = start, .fini = stop);

/* 0 ... below - 1 */
static size_t dice(size_t below)
{
	dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)((dice_state >> 33) % below);
}

/* ------------------------------------------------------------------------ jobs */

/* Which script each job is for; SCRIPT_CT: it is an honest one. */
struct mix {
	size_t *script, ct;
};

static size_t each(void)
{
	const char *text = getenv("POOLMAP_TEST_EACH");
	size_t n = text ? strtoul(text, NULL, 10) : EACH;
	cr_assert(n > 0 && n <= 100000);
	return n;
}

/* As many honest jobs as a tenth of the others, but enough of them. */
static struct mix mix_new(void)
{
	size_t hostile_ct = SCRIPT_CT * each();
	struct mix m = {.ct = hostile_ct + hostile_ct / 10 + 400};
	m.script = calloc(m.ct, sizeof(*m.script));
	cr_assert(m.script);
	for (size_t i = 0; i < m.ct; i++) {
		m.script[i] = i < hostile_ct ? i % SCRIPT_CT : SCRIPT_CT;
	}
	for (size_t i = m.ct - 1; i > 0; i--) {
		size_t k = dice(i + 1), script = m.script[i];
		m.script[i] = m.script[k];
		m.script[k] = script;
	}
	return m;
}

static bool is_tls(const char *name)
{
	return strncmp(name, "tls-", 4) == 0;
}

/* These spoil their connections for other scripts; or the other way round: what follows
 * a redirect is not sent again when its kept connection breaks, see engine_twice.c. */
static bool has_own_host(const char *name)
{
	return strcmp(name, "hang-after") == 0 || strstr(name, "-later") ||
	       strcmp(name, "to-split") == 0;
}

/* Of different lengths, so that one job's body is not taken for another's. */
static size_t honest_bytes(size_t job)
{
	return HONEST_BYTES + job % 10000;
}

/* Short where nothing else can end a job; else the machine may be busy. */
static unsigned timeout_s(size_t script)
{
	const char *class = script == SCRIPT_CT ? "ok" : table[script].class;
	return strstr(class, "timeout") ? 2 : 30;
}

static const char *url_of(size_t script, size_t job)
{
	if (script == SCRIPT_CT) {
		return origin_url(honest, "/size/%zu", honest_bytes(job));
	}
	const struct expected *e = &table[script];
	unsigned port = origin_port(hostile);
	if (is_tls(e->name)) {
		return keep_printf("https://%s.test:%u/", e->name, port);
	}
	return has_own_host(e->name) ? keep_printf("http://%s.test:%u/hostile/%s",
					       e->name, port, e->name)
				     : origin_url(hostile, "/hostile/%s", e->name);
}

/* The last job is held until the workers have been looked at; the one before it is
 * short, and so is its result. */
static const char *jobs_of(const struct mix *m)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < m->ct; i++) {
		jobs_add(&jobs, "{\"url\":\"%s\",\"timeout\":%u}\n",
			url_of(m->script[i], i), timeout_s(m->script[i]));
	}
	jobs_add(&jobs, "%s\n", origin_url(honest, "/size/1"));
	jobs_add(&jobs, "%s\n", origin_url(honest, "/hold/last"));
	return jobs_file(&jobs);
}

/* ------------------------------------------------------------------------- run */

/* --resolve for each host that has a name. */
static size_t put_names(const char **argv)
{
	size_t ct = 0;
	for (size_t i = 0; i < SCRIPT_CT; i++) {
		if (is_tls(table[i].name) || has_own_host(table[i].name)) {
			argv[ct++] = "--resolve";
			argv[ct++] = keep_printf("%s.test:%u:127.0.0.1", table[i].name,
				origin_port(hostile));
		}
	}
	return ct;
}

static void start_run(
	struct child *c, const char *jobs, const char *out, const char *stats)
{
	const char *argv[64 + 2 * TLS_MAX] = {program("poolmap"), "run", "--no-config",
		"-w", "2", "-c", each() > 100 ? "600" : "200", "--timeout", "250",
		"--stall-timeout", "0", "--retries", "0", "--max-body", "1M",
		"--compressed", "-o", out, "--stats", stats, jobs};
	size_t ct = 0;
	while (argv[ct]) {
		ct++;
	}
	put_names(argv + ct);
	child_start(c, argv, CHILD_NO_STDIN);
}

/* The most that a process has ever had in memory; 0: it is gone. */
static unsigned long peak_kib(pid_t pid)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen(keep_printf("/proc/%d/status", (int)pid), "re");
	while (f && !kib && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "VmHWM:", 6) == 0) {
			kib = strtoul(line + 6, NULL, 10);
		}
	}
	if (f) {
		fclose(f);
	}
	return kib;
}

/* The forkserver has the command line of its workers, and so does the master. */
static unsigned long peak_of_all(const char *out)
{
	pid_t pids[64];
	unsigned long most = 0;
	size_t ct = pids_of_program(out, pids, 64);
	cr_assert(ct >= 3 && ct <= 64, "%zu processes", ct);
	for (size_t i = 0; i < ct; i++) {
		unsigned long kib = peak_kib(pids[i]);
		most = kib > most ? kib : most;
	}
	return most;
}

/* Until all but the last have their results. */
static void wait_for_all_but_one(struct child *c, const char *out, size_t ct)
{
	struct awaited_line a = {out, ct};
	uint64_t end = clock_now_us() + 240 * 1000000ull;
	while (!wait_for(ends_with_index, &a, 1000)) {
		cr_assert(!wait_until_gone(c->pid, 0) && clock_now_us() < end,
			"the run does not get there: %s", c->got[2].data);
	}
}

/* --------------------------------------------------------------------- results */

static const char *class_of(const json_t *result)
{
	return is_ok(result) ? "ok" : text_in(result, "error");
}

static void check_honest(const json_t *result, size_t i)
{
	cr_assert(is_ok(result), "honest job %zu: %s", i, text_in(result, "errormsg"));
	cr_assert_eq(strlen(text_in(result, "body")), honest_bytes(i),
		"honest job %zu has the body of another", i);
}

static bool is_one_of(const char *class, const char *expected)
{
	const char *at = strstr(expected, class);
	size_t len = strlen(class);
	return at && (at == expected || at[-1] == ' ') &&
	       (at[len] == '\0' || at[len] == ' ');
}

static void check_hostile(const json_t *result, const struct expected *e)
{
	const char *class = class_of(result);
	cr_assert(is_one_of(class, e->class), "%s: %s, not %s: %s", e->name, class,
		e->class, is_ok(result) ? "" : text_in(result, "errormsg"));
}

/* What became of how many jobs. */
struct tally {
	const char *class[32];
	size_t ct[32];
	size_t honest_ct;
	double latest; /* the greatest lateness */
};

static void count_class(struct tally *t, const char *class)
{
	size_t i = 0;
	while (t->class[i] && strcmp(t->class[i], class) != 0) {
		i++;
	}
	cr_assert_lt(i, 31);
	t->class[i] = t->class[i] ? t->class[i] : keep_printf("%s", class);
	t->ct[i]++;
}

static const char *text_of(const struct tally *t)
{
	const char *text = "";
	for (size_t i = 0; t->class[i]; i++) {
		text = keep_printf(
			"%s%s%s %zu", text, i ? ", " : "", t->class[i], t -> ct[i]);
	}
	return text;
}

/* How far beyond its deadline it has come, in seconds; below 0: before. */
static double lateness(const json_t *result, size_t script)
{
	double took =
		has_field(result, "time_total") ? seconds_in(result, "time_total") : 0;
	return took - timeout_s(script);
}

static void check_results(const char *out, const struct mix *m, struct tally *t)
{
	t->latest = -1000;
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, m->ct + 2);
	for (size_t i = 0; i < m->ct; i++) {
		const json_t *result = json_array_get(results, i);
		double late = lateness(result, m->script[i]);
		if (m->script[i] == SCRIPT_CT) {
			check_honest(result, i);
			t->honest_ct++;
		} else {
			check_hostile(result, &table[m->script[i]]);
			count_class(t, class_of(result));
		}
		t->latest = late > t->latest ? late : t->latest;
	}
	json_decref(results);
}

static void check_no_worker_lost(const char *stats)
{
	json_error_t why;
	char *text = read_file(stats, NULL);
	json_t *all = json_loads(text, 0, &why);
	cr_assert(all, "%s", why.text);
	cr_assert_eq(int_in(field(all, "workers"), "lost"), 0);
	json_decref(all);
	free(text);
}

Test(hostile, every_job_has_its_result_in_time_and_the_honest_succeed, .timeout = 280)
{
	struct child c;
	struct mix m = mix_new();
	const char *out = new_path("results.jsonl"), *stats = new_path("stats.json");
	uint64_t began = clock_now_us();
	start_run(&c, jobs_of(&m), out, stats);
	wait_for_all_but_one(&c, out, m.ct);
	unsigned long peak = peak_of_all(out);
	origin_release(honest, "last");
	cr_assert_eq(child_wait(&c, 20000), 1, "%s", c.got[2].data);
	struct tally t = {0};
	check_results(out, &m, &t);
	cr_assert_leq(t.latest, (each() > EACH ? LONG_GRACE_MS : GRACE_MS) / 1000.0,
		"a result %.2f s after its deadline", t.latest);
	check_no_worker_lost(stats);
	if (!RIG_SANITIZED) {
		cr_assert_lt(peak, MEMORY_MAX_KIB, "%lu KiB", peak);
	}
	cr_log_info("hostile: %d behaviours, %zu jobs in %.1f s; %zu honest ones, all "
		    "ok; the others: %s; no result later than %.2f s after its "
		    "deadline, no process over %lu MiB, no worker lost",
		(int)SCRIPT_CT, m.ct, (double)(clock_now_us() - began) / 1e6,
		t.honest_ct, text_of(&t), t.latest, peak >> 10);
	free(m.script);
	child_fini(&c);
}
