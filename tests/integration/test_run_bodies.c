/* SPDX-License-Identifier: MIT
 *
 * `poolmap run --body dir:` and `--body warc:` end to end: each result leads to its
 * body, whatever dies or runs full meanwhile, and nothing else is left.
 */
#include "tests/support/origin_rig.h"

#include <dirent.h>

#include "tests/support/warc_check.h"
#include "common/cli/digest.h"

TestSuite(run_bodies, .init = start_origin, .fini = stop_origin, .timeout = 120);

/* ----------------------------------------------------------------------- files */

static const char *sha256_of(const void *bytes, size_t len)
{
	static char hex[DIGEST_HEX_LEN + 1];
	struct digest d = {0};
	cr_assert_eq(digest_start(&d), 0);
	digest_add(&d, bytes, len);
	digest_end(&d, hex);
	digest_fini(&d);
	return hex;
}

/* A result's file has the digest that its name and the line tell. */
static void check_file(const json_t *result)
{
	size_t len;
	const char *path = text_in(result, "body_file");
	const char *sha256 = text_in(result, "body_sha256");
	char *body = read_file(path, &len);
	cr_assert_str_eq(sha256_of(body, len), sha256, "%s", path);
	cr_assert_str_eq(strrchr(path, '/') + 1, sha256);
	cr_assert_eq(strncmp(strrchr(path, '/') - 2, sha256, 2), 0, "%s", path);
	cr_assert_eq((json_int_t)len, int_in(result, "size_download"), "%s", path);
	cr_assert(!has_field(result, "body") && !has_field(result, "body_base64"));
	free(body);
}

/* Files below a directory; those whose name is not a digest count as `strange`. */
static size_t count_files(const char *dir, size_t *strange)
{
	size_t ct = 0;
	struct dirent *entry;
	DIR *list = opendir(dir);
	cr_assert(list, "no %s", dir);
	while ((entry = readdir(list))) {
		const char *name = entry->d_name;
		if (entry->d_type == DT_DIR && name[0] != '.') {
			ct += count_files(keep_printf("%s/%s", dir, name), strange);
		} else if (entry->d_type != DT_DIR) {
			ct++;
			*strange += strlen(name) != DIGEST_HEX_LEN;
		}
	}
	closedir(list);
	return ct;
}

static void check_only_bodies(const char *dir, size_t expected_ct)
{
	size_t strange = 0;
	size_t ct = count_files(dir, &strange);
	cr_assert_eq(strange, 0, "%zu files in %s are no bodies", strange, dir);
	cr_assert_eq(ct, expected_ct, "%zu files, not %zu", ct, expected_ct);
}

/* --------------------------------------------------------------------- job lists */

enum { KINDS = 8 };

/* All kinds of answers, `each` a size of its own. */
static void add_mixed(struct bytes *jobs, size_t i)
{
	switch (i % KINDS) {
	case 0:
		jobs_add(jobs, "%s\n", origin_url(o, "/size/%zu", i));
		break;
	case 1:
		jobs_add(jobs, "%s\n", origin_url(o, "/bytes/%zu?chunked", 40 * i));
		break;
	case 2:
		jobs_add(jobs, "%s\n", origin_url(o, "/redirect/%zu", i % 5));
		break;
	case 3:
		jobs_add(jobs, "%s\n", origin_url(o, "/status/404"));
		break;
	case 4:
		jobs_add(jobs, "{\"url\":\"%s\",\"method\":\"HEAD\"}\n",
			origin_url(o, "/size/%zu", i));
		break;
	case 5:
		jobs_add(jobs, "%s\n", origin_url(o, "/status/204"));
		break;
	case 6:
		jobs_add(jobs, "%s\n", origin_url(o, "/truncate/%zu", 10 * i));
		break;
	default:
		jobs_add(jobs, "{\"url\":\"%s\",\"body\":\"job %zu\"}\n",
			origin_url(o, "/echo"), i);
	}
}

static const char *mixed_jobs(size_t ct)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < ct; i++) {
		add_mixed(&jobs, i);
	}
	return jobs_file(&jobs);
}

static const char *body_at(const char *kind, const char *name)
{
	return keep_printf("%s:%s", kind, name);
}

/* ------------------------------------------------------------------- directories */

Test(run_bodies, each_result_leads_to_its_file, .timeout = 120)
{
	enum { MANY = 1000 };
	const char *dir = new_path("bodies");
	struct ran r = run_to_end(
		NULL, RUN("-q", "-w", "2", "-c", "50", "--retries", "0", "--body",
			      body_at("dir", dir), mixed_jobs(MANY)));
	check_status(&r, 1);
	results_check_ordered(r.results, MANY);
	for (size_t i = 0; i < MANY; i++) {
		const json_t *result = result_at(&r, i);
		if (i % KINDS == 6) {
			check_class(&r, i, "truncated");
			cr_assert_not(has_field(result, "body_file"));
			continue;
		}
		cr_assert_eq(is_ok(result), i % KINDS != 3, "job %zu", i);
		check_file(result);
	}
	size_t strange = 0;
	count_files(dir, &strange);
	cr_assert_eq(strange, 0);
	ran_fini(&r);
}

Test(run_bodies, an_empty_body_is_an_empty_file, .timeout = 120)
{
	const char *dir = new_path("bodies");
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/0"));
	jobs_add(&jobs, "%s\n", origin_url(o, "/status/204"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"method\":\"HEAD\"}\n",
		origin_url(o, "/size/9"));
	struct ran r = run_to_end(NULL,
		RUN("-q", "-w", "1", "--body", body_at("dir", dir), jobs_file(&jobs)));
	check_status(&r, 0);
	for (size_t i = 0; i < 3; i++) {
		check_file(result_at(&r, i));
		cr_assert_str_eq(
			text_in(result_at(&r, i), "body_sha256"), sha256_of("", 0));
	}
	check_only_bodies(dir, 1);
	ran_fini(&r);
}

/* Nothing that a job or a server says gets into a name. */
Test(run_bodies, no_name_comes_from_outside, .timeout = 120)
{
	const char *dir = new_path("bodies");
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/size/1?/../../../../tmp/evil"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"id\":\"../../evil\"}\n",
		origin_url(o, "/size/2?%%2e%%2e%%2fevil"));
	struct ran r = run_to_end(NULL,
		RUN("-q", "-w", "1", "--body", body_at("dir", dir), jobs_file(&jobs)));
	check_status(&r, 0);
	check_file(result_at(&r, 0));
	check_file(result_at(&r, 1));
	check_only_bodies(dir, 2);
	ran_fini(&r);
}

Test(run_bodies, headers_stand_in_the_line, .timeout = 120)
{
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n%s\n", origin_url(o, "/headers/3"),
		origin_url(o, "/set-cookie/a=1"));
	struct ran r = run_to_end(
		NULL, RUN("-q", "-w", "1", "--response-headers", jobs_file(&jobs)));
	check_status(&r, 0);
	const json_t *headers = field(result_at(&r, 0), "headers");
	const json_t *extra = json_object_get(headers, "x-extra-2");
	cr_assert_eq(json_array_size(extra), 1);
	cr_assert_str_eq(json_string_value(json_array_get(extra, 0)), "value 2");
	cr_assert(json_object_get(field(result_at(&r, 1), "headers"), "set-cookie"));
	ran_fini(&r);
}

/* --------------------------------------------------------------- dying processes */

static bool is_named(pid_t pid, const char *start_of)
{
	char name[64] = "";
	FILE *f = fopen(keep_printf("/proc/%d/comm", (int)pid), "re");
	if (f) {
		(void)!fgets(name, sizeof(name), f);
		fclose(f);
	}
	return strncmp(name, start_of, strlen(start_of)) == 0;
}

/* The workers of a run that are there now, at most `max`. */
static size_t workers_of(pid_t run, pid_t workers[], size_t max)
{
	pid_t children[16];
	size_t ct = process_children(run, children, 16);
	for (size_t i = 0; i < ct && i < 16; i++) {
		if (is_named(children[i], "poolmap-fork")) {
			size_t all = process_children(children[i], workers, max);
			return all < max ? all : max;
		}
	}
	return 0;
}

/* Kill a worker now and then until the run has ended; how many were. */
static size_t kill_workers(struct child *c, unsigned every_ms)
{
	size_t kills = 0;
	while (!wait_until_gone(c->pid, every_ms)) {
		pid_t workers[16];
		size_t ct = workers_of(c->pid, workers, 16);
		kills += ct && kill(workers[kills % ct], SIGKILL) == 0;
	}
	return kills;
}

static void start_run(struct child *c, const char *body, const char *out,
	const char *jobs, const char *flag)
{
	child_start(c,
		RUN("-q", "-w", "2", "-c", "40", flag, "--max-body", "20M", "--body",
			body, "-o", out, jobs),
		CHILD_NO_STDIN);
}

enum { LARGE = 3000 };

/* Bodies that do not stay in memory; the workers die in the middle of them. */
static const char *large_jobs(size_t ct)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < ct; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, "/bytes/%zu", i % 10 ? 100 + i : 500000 + i));
	}
	return jobs_file(&jobs);
}

Test(run_bodies, files_are_whole_when_workers_die, .timeout = 120)
{
	struct child c;
	const char *dir = new_path("bodies"), *out = new_path("results");
	start_run(&c, body_at("dir", dir), out, large_jobs(LARGE), "--force");
	size_t kills = kill_workers(&c, 60);
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	cr_assert_gt(kills, 1, "%zu workers were killed", kills);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, LARGE);
	for (size_t i = 0; i < LARGE; i++) {
		check_file(json_array_get(results, i));
	}
	check_only_bodies(dir, LARGE);
	json_decref(results);
	child_fini(&c);
}

Test(run_bodies, a_killed_run_goes_on, .timeout = 120)
{
	struct child c;
	const char *dir = new_path("bodies"), *out = new_path("results"),
		   *jobs = large_jobs(LARGE);
	unsigned kills = 0;
	for (unsigned ms = 40; kills < 100; ms += 40) {
		start_run(&c, body_at("dir", dir), out, jobs, "--resume");
		bool gone = wait_until_gone(c.pid, ms);
		if (!gone) {
			child_signal(&c, SIGKILL);
			kills++;
		}
		int status = child_wait(&c, 20000);
		child_fini(&c);
		if (gone) {
			cr_assert_eq(status, 0);
			break;
		}
	}
	cr_assert_gt(kills, 1);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, LARGE);
	for (size_t i = 0; i < LARGE; i++) {
		check_file(json_array_get(results, i));
	}
	check_only_bodies(dir, LARGE);
	json_decref(results);
}

/* ------------------------------------------------------------------- full disks */

/* A limit of each file's size, 32 KiB, stands for a full disk: as far as there is room
 * there are results, and the rest comes when there is more. */
static void check_full(const char *body, const char *jobs, size_t ct)
{
	const char *out = new_path("results");
	struct ran r =
		run_to_end(NULL, RUN_IN_SHELL("trap '' XFSZ; ulimit -f 64; exec \"$@\"",
					 "-w", "2", "-o", out, "--body", body, jobs));
	check_status(&r, 4);
	check_says(r.io.err, "poolmap: --body: cannot write to ");
	check_says(r.io.err, "File too large");
	ran_fini(&r);
	size_t before;
	json_t *results = results_of_file(out, &before);
	cr_assert_lt(before, ct);
	for (size_t i = 0; i < before; i++) {
		cr_assert(is_ok(json_array_get(results, i)));
	}
	json_decref(results);
	r = run_to_end(NULL,
		RUN("-q", "-w", "2", "--resume", "-o", out, "--body", body, jobs));
	check_status(&r, 0);
	results = results_of_file(out, NULL);
	results_check_ordered(results, ct);
	json_decref(results);
	ran_fini(&r);
}

Test(run_bodies, a_full_disk_stops_the_run, .timeout = 120)
{
	struct bytes jobs = {0};
	for (size_t i = 0; i < 25; i++) {
		jobs_add(&jobs, "%s\n",
			origin_url(o, "/bytes/%d", i == 20 ? 100000 : 1000));
	}
	const char *dir = new_path("bodies");
	check_full(body_at("dir", dir), jobs_file(&jobs), 25);
	check_only_bodies(dir, 2);
}

Test(run_bodies, a_full_disk_stops_an_archive, .timeout = 120)
{
	const char *prefix = new_path("crawl");
	check_full(body_at("warc", prefix), jobs_of("/redirect/8?", 25), 25);
}

/* One that --fail-fast counted as a failed job would be reported as such first. */
Test(run_bodies, a_full_disk_is_no_failed_job, .timeout = 120)
{
	const char *dir = new_path("bodies"), *out = new_path("results");
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/bytes/100000"));
	struct ran r =
		run_to_end(NULL, RUN_IN_SHELL("trap '' XFSZ; ulimit -f 64; exec \"$@\"",
					 "-w", "1", "--fail-fast", "-o", out, "--body",
					 body_at("dir", dir), jobs_file(&jobs)));
	check_status(&r, 4);
	check_says(r.io.err, "File too large");
	cr_assert(!strstr(r.io.err, "halted"), "%s", r.io.err);
	ran_fini(&r);
}

/* Before anything is fetched or created. */
static void check_no_place(const char *body, const char *why)
{
	const char *out = new_path("results");
	json_int_t before = origin_count(o, "requests");
	struct ran r = run_to_end(NULL,
		RUN("-q", "-w", "1", "-o", out, "--body", body, jobs_of("/size/", 2)));
	check_status(&r, 2);
	check_says(r.io.err, why);
	cr_assert_neq(access(out, F_OK), 0, "there is an output");
	cr_assert_eq(origin_count(o, "requests"), before);
	ran_fini(&r);
}

Test(run_bodies, a_place_that_cannot_be_is_an_error, .timeout = 120)
{
	const char *file = temp_file("file", "x", 1), *link = new_path("link");
	cr_assert_eq(symlink("/nonexistent/x", link), 0);
	check_no_place("dir:/dev/null/x", "write to /dev/null/x: Not a directory");
	check_no_place("dir:/nonexistent/x/", "No such file or directory");
	check_no_place(body_at("dir", file), "Not a directory");
	check_no_place(body_at("dir", link), "No such file or directory");
	check_no_place("warc:/nonexistent/x", "No such file or directory");
	check_no_place(keep_printf("warc:%s/x", file), "Not a directory");
}

Test(run_bodies, a_directory_with_a_slash_is_made, .timeout = 120)
{
	const char *dir = new_path("new/");
	struct ran r =
		run_to_end(NULL, RUN("-q", "-w", "1", "--body", body_at("dir", dir),
					 jobs_of("/size/", 2)));
	check_status(&r, 0);
	cr_assert_eq(access(dir, F_OK), 0);
	ran_fini(&r);
}

/* ------------------------------------------------------------------------ memory */

/* The most memory that one of the workers has had, in KiB. */
static size_t peak_of(pid_t pid)
{
	char line[256];
	size_t kib = 0;
	FILE *f = fopen(keep_printf("/proc/%d/status", (int)pid), "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "VmHWM:", 6) == 0) {
			kib = strtoul(line + 6, NULL, 10);
		}
	}
	if (f) {
		fclose(f);
	}
	return kib;
}

static void check_flat(const char *body)
{
	enum { BODY = 50 << 20, MOST_KIB = 24 << 10 };
	struct child c;
	struct bytes jobs = {0};
	size_t peak = 0;
	for (size_t i = 0; i < 4; i++) {
		jobs_add(&jobs, "%s\n", origin_url(o, "/size/%d?chunked", BODY));
	}
	child_start(&c,
		RUN("-q", "-w", "1", "--max-body", "256M", "--timeout", "100", "--body",
			body, jobs_file(&jobs)),
		CHILD_NO_STDIN);
	while (!wait_until_gone(c.pid, 10)) {
		pid_t workers[4];
		size_t ct = workers_of(c.pid, workers, 4);
		for (size_t i = 0; i < ct; i++) {
			size_t now = peak_of(workers[i]);
			peak = now > peak ? now : peak;
		}
	}
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", c.got[2].data);
	cr_assert_gt(peak, 0);
	cr_assert(
		RIG_SANITIZED || peak < MOST_KIB, "%zu KiB for bodies of 50 MiB", peak);
	cr_log_info("%s: %zu KiB", body, peak);
	child_fini(&c);
}

Test(run_bodies, large_bodies_take_no_memory, .timeout = 120)
{
	const char *dir = new_path("bodies");
	check_flat(body_at("dir", dir));
	check_only_bodies(dir, 1);
	check_flat(body_at("warc", new_path("crawl")));
}

/* ---------------------------------------------------------------------- archives */

/* The files of a series, all of them well. */
struct series {
	const char *paths[64];
	struct warc_list lists[64];
	size_t ct, torn;
};

static void series_load(struct series *s, const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	const char *dir = keep_printf("%.*s", (int)(slash - prefix), prefix);
	DIR *list = opendir(dir);
	struct dirent *entry;
	*s = (struct series){.ct = 0};
	cr_assert_not_null(list, "%s", dir);
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		cr_assert_lt(s->ct, 64);
		s->paths[s->ct] = keep_printf("%s/%s", dir, entry->d_name);
		const char *why = warc_load(&s->lists[s->ct], s->paths[s->ct]);
		cr_assert_null(why, "%s", why);
		s->torn += s->lists[s->ct++].torn;
	}
	closedir(list);
}

static void series_fini(struct series *s)
{
	for (size_t i = 0; i < s->ct; i++) {
		warc_list_fini(&s->lists[i]);
	}
}

/* The record that a result leads to. */
static const struct warc_rec *record_of(const struct series *s, const json_t *result)
{
	const char *path = text_in(result, "body_file");
	uint64_t offset = (uint64_t)int_in(result, "body_offset");
	for (size_t i = 0; i < s->ct; i++) {
		const struct warc_list *list = &s->lists[i];
		for (size_t j = 0; j < list->ct && strcmp(s->paths[i], path) == 0;
			j++) {
			if (list->recs[j].offset == offset) {
				return &list->recs[j];
			}
		}
	}
	harness_fail("no record at %llu of %s", (unsigned long long)offset, path);
}

static void check_record(const struct series *s, const json_t *result)
{
	const struct warc_rec *rec = record_of(s, result);
	cr_assert_eq((json_int_t)rec->length, int_in(result, "body_length"));
	cr_assert_str_eq(warc_value(rec, "WARC-Type"), "response");
	cr_assert_str_eq(
		warc_value(rec, "WARC-Target-URI"), text_in(result, "url_effective"));
	cr_assert_eq((json_int_t)rec->payload_len, int_in(result, "size_download"));
	if (has_field(result, "body_sha256")) {
		cr_assert_str_eq(text_in(result, "body_sha256"),
			sha256_of(rec->payload, rec->payload_len));
		cr_assert_null(warc_value(rec, "WARC-Truncated"));
	}
}

Test(run_bodies, each_result_leads_to_its_record, .timeout = 120)
{
	enum { MANY = 1000 };
	const char *prefix = new_path("crawl");
	struct series s;
	struct ran r = run_to_end(
		NULL, RUN("-q", "-w", "2", "-c", "50", "--retries", "0", "--body",
			      body_at("warc", prefix), mixed_jobs(MANY)));
	check_status(&r, 1);
	results_check_ordered(r.results, MANY);
	series_load(&s, prefix);
	cr_assert_eq(s.ct, 2, "a file for each worker, not %zu", s.ct);
	cr_assert_eq(s.torn, 0);
	for (size_t i = 0; i < MANY; i++) {
		const json_t *result = result_at(&r, i);
		check_record(&s, result);
		const char *why = warc_value(record_of(&s, result), "WARC-Truncated");
		cr_assert_eq(why != NULL, i % KINDS == 6, "job %zu", i);
	}
	series_fini(&s);
	ran_fini(&r);
}

Test(run_bodies, hops_and_request_bodies_are_archived, .timeout = 120)
{
	const char *prefix = new_path("crawl");
	struct series s;
	struct bytes jobs = {0};
	jobs_add(&jobs, "%s\n", origin_url(o, "/redirect/2"));
	jobs_add(&jobs, "{\"url\":\"%s\",\"body\":\"a\\r\\n\\r\\nb\"}\n",
		origin_url(o, "/echo"));
	struct ran r =
		run_to_end(NULL, RUN("-q", "-w", "1", "-c", "1", "--body",
					 body_at("warc", prefix), jobs_file(&jobs)));
	check_status(&r, 0);
	series_load(&s, prefix);
	const struct warc_list *list = &s.lists[0];
	cr_assert_eq(list->ct, 1 + 2 * 3 + 2);
	cr_assert_eq(strncmp(list->recs[1].block, "HTTP/1.1 302", 12), 0);
	cr_assert_eq(
		strncmp(list->recs[6].block, "GET /redirect/0 HTTP/1.1\r\n", 26), 0);
	cr_assert_str_eq(list->recs[8].payload, "a\r\n\r\nb");
	series_fini(&s);
	ran_fini(&r);
}

Test(run_bodies, archives_are_well_when_workers_die, .timeout = 120)
{
	struct child c;
	struct series s;
	const char *prefix = new_path("crawl"), *out = new_path("results");
	start_run(&c, body_at("warc", prefix), out, large_jobs(LARGE), "--force");
	size_t kills = kill_workers(&c, 200);
	cr_assert_eq(child_wait(&c, 60000), 0, "%s", c.got[2].data);
	cr_assert_gt(kills, 1, "%zu workers were killed", kills);
	series_load(&s, prefix);
	cr_assert_gt(s.ct, 2);
	cr_assert_leq(s.torn, kills);
	json_t *results = results_of_file(out, NULL);
	results_check_ordered(results, LARGE);
	for (size_t i = 0; i < LARGE; i++) {
		check_record(&s, json_array_get(results, i));
	}
	cr_log_info("%zu files, %zu torn, %zu kills", s.ct, s.torn, kills);
	json_decref(results);
	series_fini(&s);
	child_fini(&c);
}
