/* SPDX-License-Identifier: MIT
 *
 * Tests of worker/cli/warc_{record,file,fetch}: records read back by a strict reader,
 * hostile heads, rotation, full disks, and files that were torn.
 */
#include "tests/unit/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/poolmap.h"
#include "tests/support/warc_check.h"
#include "worker/cli/warc_fetch.h"

static char prefix[96];

static void set_up(void)
{
	scratch_make();
	snprintf(prefix, sizeof prefix, "%s/crawl", scratch);
}

static void tear_down(void)
{
	warc_file_close();
}

TestSuite(warc, .init = set_up, .fini = tear_down, .timeout = 30);

/* ------------------------------------------------------------------- HTTP heads */

static void expect_http(const char *head, const char *expected, bool http2)
{
	struct buf out = {0};
	bool replaced = !http2;
	cr_assert_eq(warc_record_http(&out, head, strlen(head), &replaced), 0);
	cr_assert_str_eq(buf_text(&out), expected);
	cr_assert_eq(replaced, http2, "%s", head);
	buf_fini(&out);
}

Test(warc, keeps_heads_as_they_are, .timeout = 30)
{
	static const char *const heads[] = {
		"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		"HTTP/1.0 200\r\nB:\xff\x01\r\n folded\r\nTransfer: x\r\n\r\n",
		"GET /HTTP/2 HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/1.1 200 OK\nbare: lines\n\n",
		"\r\n",
		"x",
		"",
	};
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		expect_http(heads[i], heads[i], false);
	}
}

Test(warc, turns_heads_into_those_of_http_1_1, .timeout = 30)
{
	expect_http("HTTP/2 200 \r\nserver: x\r\n\r\n",
		"HTTP/1.1 200 \r\nserver: x\r\n\r\n", true);
	expect_http("GET /a HTTP/2\r\nHost: x\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", true);
	expect_http("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Orig-transfer-encoding: chunked\r\nA: b\r\n\r\n",
		false);
	expect_http("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Orig-Transfer-Encoding : chunked\r\n\r\n", false);
}

Test(warc, finds_fields_of_heads, .timeout = 30)
{
	static const char head[] =
		"GET / HTTP/1.1\r\nX: Length: 1\r\ncontent-LENGTH: \t12 \r\n"
		"Empty:\r\n\r\n";
	size_t len = 99;
	const char *value =
		warc_record_field(head, sizeof head - 1, "Content-Length", &len);
	cr_assert(value && len == 2 && memcmp(value, "12", 2) == 0);
	value = warc_record_field(head, sizeof head - 1, "empty", &len);
	cr_assert(value && len == 0);
	cr_assert_null(warc_record_field(head, sizeof head - 1, "Length", &len));
	cr_assert_null(warc_record_field("", 0, "Length", &len));
	cr_assert_null(warc_record_field("Length: 1", 9, "Length", &len));
}

/* Any bytes: nothing is read outside of them, for the sanitizers to see. */
Test(warc, survives_any_head, .timeout = 30)
{
	static const char alphabet[] = "HTTP/12.0 :\r\n\r\nTransfer-Encoding:x\0\xff";
	unsigned state = 4711;
	for (int i = 0; i < 50000; i++) {
		size_t len = (state = state * 1103515245u + 12345) >> 16 & 63;
		char *head = malloc(len + 1);
		for (size_t j = 0; j < len; j++) {
			state = state * 1103515245u + 12345;
			head[j] = alphabet[(state >> 16) % (sizeof alphabet - 1)];
		}
		struct buf out = {0};
		bool replaced;
		size_t value_len;
		char *fitting = realloc(head, len ? len : 1);
		head = fitting ? fitting : head;
		cr_assert_eq(warc_record_http(&out, head, len, &replaced), 0);
		const char *value = warc_record_field(head, len, "T", &value_len);
		cr_assert(!value || (value >= head && value + value_len <= head + len));
		buf_fini(&out);
		free(head);
	}
}

/* ---------------------------------------------------------------------- fetches */

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define GET_HEAD "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

static void exchange(struct warc_fetch *w, const char *url, const char *request,
	const char *response)
{
	struct pm_exchange x = {.url = url,
		.remote_ip = "10.0.0.1",
		.request = request,
		.request_len = strlen(request),
		.response = response,
		.response_len = strlen(response)};
	cr_assert_eq(warc_fetch_exchange(w, &x), 0);
}

static int append(struct warc_fetch *w, struct warc_kept *kept, uint64_t rotate_bytes)
{
	struct warc_place place = {
		.prefix = prefix, .worker = 3, .rotate_bytes = rotate_bytes};
	kept->path.len = 0;
	int err = warc_fetch_keep(w, &place, kept);
	if (!err) {
		(void)buf_text(&kept->path);
	}
	warc_fetch_fini(w);
	return err;
}

/* A plain fetch with this body. */
static void fetch(struct warc_kept *kept, const void *body, size_t len, uint64_t rotate)
{
	struct warc_fetch w;
	char response[128];
	snprintf(response, sizeof response, OK_HEAD "Content-Length: %zu\r\n\r\n", len);
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	cr_assert_not(warc_fetch_any(&w));
	exchange(&w, "http://x/a", GET_HEAD, response);
	cr_assert(warc_fetch_any(&w));
	for (size_t at = 0; at < len; at += 16384) {
		size_t n = len - at < 16384 ? len - at : 16384;
		cr_assert_eq(warc_fetch_body(&w, (const char *)body + at, n), 0);
	}
	cr_assert_eq(append(&w, kept, rotate), 0);
}

static void load(struct warc_list *list, const char *path)
{
	const char *why = warc_load(list, path);
	cr_assert_null(why, "%s", why);
}

static void expect_value(
	const struct warc_rec *rec, const char *name, const char *expected)
{
	const char *value = warc_value(rec, name);
	if (!expected) {
		cr_assert_null(value, "%s: %s", name, value);
		return;
	}
	cr_assert(value && strcmp(value, expected) == 0, "%s: %s, not %s", name, value,
		expected);
}

Test(warc, writes_a_response_and_its_request, .timeout = 30)
{
	struct warc_kept kept = {0};
	fetch(&kept, "hello", 5, 0);
	struct warc_list list;
	load(&list, kept.path.data);
	cr_assert_eq(list.ct, 3);
	cr_assert_not(list.torn);
	const struct warc_rec *r = &list.recs[1];
	expect_value(r, "WARC-Type", "response");
	expect_value(r, "WARC-Target-URI", "http://x/a");
	expect_value(r, "WARC-IP-Address", "10.0.0.1");
	expect_value(r, "WARC-Truncated", NULL);
	expect_value(r, "WARC-Protocol", NULL);
	cr_assert_str_eq(r->block, OK_HEAD "Content-Length: 5\r\n\r\nhello");
	cr_assert_str_eq(list.recs[2].block, GET_HEAD);
	cr_assert(kept.offset == r->offset && kept.length == r->length);
	cr_assert_str_eq(
		strstr(warc_value(r, "WARC-Payload-Digest"), ":") + 1, kept.sha256);
	cr_assert_not_null(strstr(list.recs[0].block, "software: poolmap/"));
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

Test(warc, names_files_by_time_worker_and_serial, .timeout = 30)
{
	struct warc_kept kept = {0};
	fetch(&kept, "", 0, 0);
	const char *name = strrchr(kept.path.data, '/') + 1;
	cr_assert_eq(strlen(name), strlen("crawl-20261120131700-00003-00000.warc.gz"));
	cr_assert(strncmp(name, "crawl-2", 7) == 0, "%s", name);
	cr_assert_str_eq(name + 20, "-00003-00000.warc.gz");
	struct stat st;
	cr_assert_eq(stat(kept.path.data, &st), 0);
	fetch(&kept, "", 0, 0);
	cr_assert_gt(kept.offset, st.st_size - 1, "the same file, behind the first");
	buf_fini(&kept.path);
}

Test(warc, keeps_bodies_of_any_size, .timeout = 30)
{
	static const size_t lens[] = {0, 1, 32767, 32768, 32769, 1 << 20};
	static char body[1 << 20];
	for (size_t i = 0; i < sizeof body; i++) {
		body[i] = (char)(i * i >> 7);
	}
	struct warc_kept kept = {0};
	for (size_t i = 0; i < 6; i++) {
		fetch(&kept, body, lens[i], 0);
	}
	struct warc_list list;
	load(&list, kept.path.data);
	cr_assert_eq(list.ct, 13);
	for (size_t i = 0; i < 6; i++) {
		const struct warc_rec *r = &list.recs[1 + 2 * i];
		cr_assert_eq(r->payload_len, lens[i]);
		cr_assert_eq(memcmp(r->payload, body, lens[i]), 0);
	}
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

Test(warc, begins_another_file_when_one_is_full, .timeout = 30)
{
	struct warc_kept kept = {0};
	struct buf first = {0};
	fetch(&kept, "a", 1, 100);
	buf_put(&first, kept.path.data, kept.path.len);
	fetch(&kept, "b", 1, 100);
	cr_assert_str_neq(buf_text(&first), kept.path.data);
	struct warc_list list;
	load(&list, first.data);
	cr_assert_eq(list.ct, 3);
	warc_list_fini(&list);
	load(&list, kept.path.data);
	cr_assert_eq(list.ct, 3);
	cr_assert_str_eq(list.recs[1].payload, "b");
	warc_list_fini(&list);
	buf_fini(&first);
	buf_fini(&kept.path);
}

/* Another worker of the same number, in the same second. */
Test(warc, takes_no_file_that_is_there, .timeout = 30)
{
	struct warc_kept kept = {0};
	struct buf first = {0};
	fetch(&kept, "a", 1, 0);
	buf_put(&first, kept.path.data, kept.path.len);
	warc_file_close();
	fetch(&kept, "b", 1, 0);
	cr_assert_str_neq(buf_text(&first), kept.path.data);
	struct warc_list list;
	load(&list, first.data);
	cr_assert_str_eq(list.recs[1].payload, "a");
	warc_list_fini(&list);
	buf_fini(&first);
	buf_fini(&kept.path);
}

Test(warc, writes_each_hop, .timeout = 30)
{
	struct warc_fetch w;
	struct warc_kept kept = {.request_body = "a=b", .request_len = 3};
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	exchange(&w, "http://x/1", "POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 302 F\r\nLocation: /2\r\nContent-Length: 4\r\n\r\n");
	cr_assert(warc_fetch_redirects(&w));
	exchange(&w, "http://x/2", GET_HEAD,
		"HTTP/1.1 302 F\r\nLocation: /3\r\nContent-Length: 0\r\n\r\n");
	exchange(&w, "http://x/3", GET_HEAD,
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n");
	cr_assert_not(warc_fetch_redirects(&w));
	cr_assert_eq(warc_fetch_body(&w, "end", 3), 0);
	cr_assert_eq(append(&w, &kept, 0), 0);
	struct warc_list list;
	load(&list, kept.path.data);
	cr_assert_eq(list.ct, 7);
	expect_value(&list.recs[1], "WARC-Truncated", "unspecified");
	cr_assert_eq(list.recs[1].payload_len, 0);
	cr_assert_str_eq(list.recs[2].payload, "a=b");
	expect_value(&list.recs[3], "WARC-Truncated", NULL);
	cr_assert_eq(list.recs[4].payload_len, 0, "the second request had no body");
	cr_assert_str_eq(list.recs[5].payload, "end");
	cr_assert_eq(kept.offset, list.recs[5].offset);
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

Test(warc, says_why_a_body_is_not_whole, .timeout = 30)
{
	struct warc_fetch w;
	struct warc_kept kept = {.truncated = "time"};
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	exchange(&w, "http://x/", GET_HEAD, OK_HEAD "Content-Length: 100\r\n\r\n");
	cr_assert_eq(warc_fetch_body(&w, "part", 4), 0);
	cr_assert_eq(append(&w, &kept, 0), 0);
	struct warc_list list;
	load(&list, kept.path.data);
	expect_value(&list.recs[1], "WARC-Truncated", "time");
	cr_assert_str_eq(list.recs[1].payload, "part");
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

Test(warc, lets_no_url_break_out_of_its_field, .timeout = 30)
{
	struct warc_fetch w;
	struct warc_kept kept = {0};
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	exchange(&w, "http://x/a b\r\nWARC-Type: evil\x7f\xc3\xa4", GET_HEAD,
		OK_HEAD "Content-Length: 0\r\nX: \xff\x01\r\n\r\n");
	cr_assert_eq(append(&w, &kept, 0), 0);
	struct warc_list list;
	load(&list, kept.path.data);
	expect_value(&list.recs[1], "WARC-Target-URI",
		"http://x/a%20b%0D%0AWARC-Type:%20evil%7F%C3%A4");
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

Test(warc, makes_http_1_1_of_http_2_and_says_so, .timeout = 30)
{
	struct warc_fetch w;
	struct warc_kept kept = {0};
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	exchange(&w, "https://x/", "GET / HTTP/2\r\nHost: x\r\n\r\n",
		"HTTP/2 200 \r\ncontent-length: 2\r\n\r\n");
	cr_assert_eq(warc_fetch_body(&w, "ok", 2), 0);
	cr_assert_eq(append(&w, &kept, 0), 0);
	struct warc_list list;
	load(&list, kept.path.data);
	expect_value(&list.recs[1], "WARC-Protocol", "h2");
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

Test(warc, ends_a_fetch_whose_heads_have_no_end, .timeout = 30)
{
	struct warc_fetch w;
	static char head[300 << 10];
	memset(head, 'x', sizeof head);
	struct pm_exchange x = {.url = "http://x/",
		.remote_ip = "",
		.request = GET_HEAD,
		.request_len = sizeof GET_HEAD - 1,
		.response = head,
		.response_len = sizeof head};
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	int err = 0, ct = 0;
	while (!err && ct < 100) {
		err = warc_fetch_exchange(&w, &x);
		ct++;
	}
	cr_assert_eq(err, PM_EHEADERSIZE);
	cr_assert(ct > 5 && ct < 10, "%d", ct);
	warc_fetch_fini(&w);
}

/* --------------------------------------------------------------------- failures */

Test(warc, says_why_there_is_no_directory, .timeout = 30)
{
	struct warc_fetch w;
	cr_assert_eq(warc_fetch_begin(&w, "/proc/no/such"), PM_ESYSTEM);
	cr_assert_eq(errno, ENOENT);
	warc_fetch_fini(&w);
}

/* A limit of the file's size stands for a full disk. */
Test(warc, takes_back_what_does_not_fit, .timeout = 30)
{
	static char noise[16384];
	unsigned state = 1;
	for (size_t i = 0; i < sizeof noise; i++) {
		noise[i] = (char)((state = state * 1103515245u + 12345) >> 16);
	}
	struct warc_kept kept = {0};
	fetch(&kept, "first", 5, 0);
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit tight = {8192, RLIM_INFINITY}, before;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct warc_fetch w;
	cr_assert_eq(warc_fetch_begin(&w, prefix), 0);
	exchange(&w, "http://x/", GET_HEAD, OK_HEAD "Content-Length: 16384\r\n\r\n");
	cr_assert_eq(warc_fetch_body(&w, noise, sizeof noise), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
	cr_assert_eq(append(&w, &kept, 0), PM_ESYSTEM);
	cr_assert_eq(errno, EFBIG);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	fetch(&kept, "second", 6, 0);
	struct warc_list list;
	load(&list, kept.path.data);
	cr_assert_eq(list.ct, 5);
	cr_assert_str_eq(list.recs[1].payload, "first");
	cr_assert_str_eq(list.recs[3].payload, "second");
	warc_list_fini(&list);
	buf_fini(&kept.path);
}

/* ------------------------------------------------------------- the reader itself */

static void put_file(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static char *get_file(const char *path, size_t *len)
{
	static char bytes[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof bytes);
	cr_assert_gt(n, 0);
	close(fd);
	*len = (size_t)n;
	return bytes;
}

/* Wherever it is cut, what is before the cut can be read. */
Test(warc, a_torn_file_is_good_up_to_its_last_record, .timeout = 30)
{
	struct warc_kept kept = {0};
	fetch(&kept, "one", 3, 0);
	fetch(&kept, "two", 3, 0);
	size_t len, most = 0;
	char *bytes = get_file(kept.path.data, &len);
	for (size_t cut = 1; cut < len; cut++) {
		put_file(kept.path.data, bytes, cut);
		struct warc_list list;
		load(&list, kept.path.data);
		cr_assert_geq(list.ct, most);
		cr_assert(list.torn || list.ct > most, "cut at %zu", cut);
		most = list.ct;
		warc_list_fini(&list);
	}
	cr_assert_eq(most, 4);
	buf_fini(&kept.path);
}

Test(warc, the_reader_sees_every_damaged_byte, .timeout = 30)
{
	struct warc_kept kept = {0};
	fetch(&kept, "body of some length", 19, 0);
	size_t len, seen = 0;
	char *bytes = get_file(kept.path.data, &len);
	for (size_t at = 0; at < len; at++) {
		bytes[at] ^= 0x15;
		put_file(kept.path.data, bytes, len);
		bytes[at] ^= 0x15;
		struct warc_list list;
		seen += warc_load(&list, kept.path.data) || list.torn;
		warc_list_fini(&list);
	}
	/* but for time, flags and system in three gzip headers */
	cr_assert_geq(seen + 3 * 7, len, "%zu of %zu", seen, len);
	buf_fini(&kept.path);
}
