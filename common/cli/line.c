/* SPDX-License-Identifier: MIT
 *
 * line - one result line, see line.h.
 *
 * Written by hand, and not with jansson, because every job passes here: for a
 * line with 100 bytes of body, building and dumping the same object with
 * json_pack() and json_dumps() takes more than twenty times as long.  What keeps
 * it fast: no formats, one reservation in the common case, and strings that are
 * copied eight bytes at a time up to the next byte that must be escaped.
 *
 * Each function reserves what it writes itself; the one big reservation of
 * line_render() is a guess that makes these reservations no-ops.
 */
#include "common/cli/line.h"

#include <endian.h>
#include <string.h>

#include "common/cli/base64.h"
#include "common/cli/line_headers.h"
#include "common/cli/utf8.h"

enum {
	NUMBER_ROOM = 20,  /* digits of the largest uint64_t */
	ESCAPE_ROOM = 6,   /* the longest escape, \u0000 */
	WORD = 8,          /* bytes escaped at a time */
	CHUNK = 512,       /* bytes of a string per reservation */
	FIELDS_ROOM = 768, /* guess: all fields but strings of any length */
};

/* Write a literal; the value is the place behind it. */
#define PUT(at, literal)                                                               \
	(memcpy((at), (literal), sizeof(literal) - 1), (at) + sizeof(literal) - 1)

/* buf_put(), but inline: with a literal it becomes a compare and a few moves. */
static inline int add(struct buf *out, const char *bytes, size_t len)
{
	if (out->cap - out->len < len && buf_reserve(out, len)) {
		return PM_ENOMEM;
	}
	memcpy(out->data + out->len, bytes, len);
	out->len += len;
	return 0;
}
#define ADD(out, literal) add((out), (literal), sizeof(literal) - 1)

/* ------------------------------------------------------------------- numbers */

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
				  "25262728293031323334353637383940414243444546474849"
				  "50515253545556575859606162636465666768697071727374"
				  "75767778798081828384858687888990919293949596979899";

static char *put_number(char *at, uint64_t v)
{
	char digits[NUMBER_ROOM];
	char *first = digits + sizeof digits;
	while (v >= 100) {
		first -= 2;
		memcpy(first, digit_pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		first -= 2;
		memcpy(first, digit_pairs + v * 2, 2);
	} else {
		*--first = (char)('0' + v);
	}
	size_t len = (size_t)(digits + sizeof digits - first);
	memcpy(at, first, len);
	return at + len;
}

/* Seconds with six decimals: 1500 is 0.001500. */
static char *put_seconds(char *at, uint64_t us)
{
	unsigned rest = (unsigned)(us % 1000000);
	at = put_number(at, us / 1000000);
	*at++ = '.';
	for (unsigned scale = 10000; scale > 0; scale /= 100) {
		size_t pair = rest / scale % 100;
		memcpy(at, &digit_pairs[2 * pair], 2);
		at += 2;
	}
	return at;
}

/* ------------------------------------------------------------------- strings */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* A word whose lowest set bit is the top bit of the first of eight bytes that
 * cannot stand in a JSON string: a control character, a quote, a backslash.  0:
 * all can.  A borrow may set more bits, but only above the first. */
static uint64_t unclean(uint64_t word)
{
	uint64_t quote = word ^ ONES * '"';
	uint64_t slash = word ^ ONES * '\\';
	uint64_t hits = ((word - ONES * ' ') & ~word) | ((quote - ONES) & ~quote) |
			((slash - ONES) & ~slash);
	return hits & HIGHS;
}

static bool is_clean(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

static char *put_escape(char *at, char c)
{
	static const char hex[] = "0123456789abcdef";
	switch (c) {
	case '"':
		return PUT(at, "\\\"");
	case '\\':
		return PUT(at, "\\\\");
	case '\n':
		return PUT(at, "\\n");
	case '\r':
		return PUT(at, "\\r");
	case '\t':
		return PUT(at, "\\t");
	case '\b':
		return PUT(at, "\\b");
	case '\f':
		return PUT(at, "\\f");
	default:
		at = PUT(at, "\\u00");
		*at++ = hex[(unsigned char)c >> 4];
		*at++ = hex[c & 15];
		return at;
	}
}

/* Room that escape() may need; it writes whole words, so a little more than
 * what it keeps. */
static size_t escape_room(size_t len)
{
	return len * ESCAPE_ROOM + WORD;
}

static char *escape(char *at, const char *text, size_t len)
{
	const char *end = text + len;
	while (end - text >= WORD) {
		uint64_t word;
		memcpy(&word, text, WORD);
		memcpy(at, &word, WORD);
		uint64_t hits = unclean(le64toh(word));
		int clean = hits ? __builtin_ctzll(hits) / 8 : WORD;
		text += clean;
		at += clean;
		if (hits) {
			at = put_escape(at, *text++);
		}
	}
	for (; text < end; text++) {
		if (is_clean(*text)) {
			*at++ = *text;
		} else {
			at = put_escape(at, *text);
		}
	}
	return at;
}

/* Append valid UTF-8, escaped.  By chunks, so that the room for the worst case
 * stays small. */
static int put_clean_text(struct buf *out, const char *text, size_t len)
{
	while (len > 0) {
		size_t part = len < CHUNK ? len : CHUNK;
		if (buf_reserve(out, escape_room(part))) {
			return PM_ENOMEM;
		}
		char *end = escape(out->data + out->len, text, part);
		out->len = (size_t)(end - out->data);
		text += part;
		len -= part;
	}
	return 0;
}

/* Append what may not be UTF-8: each byte that belongs to no character becomes
 * U+FFFD. */
static int put_text(struct buf *out, const char *text, size_t len)
{
	for (;;) {
		size_t valid = utf8_valid_prefix(text, len);
		if (put_clean_text(out, text, valid)) {
			return PM_ENOMEM;
		}
		if (valid == len) {
			return 0;
		}
		if (ADD(out, "\xEF\xBF\xBD")) {
			return PM_ENOMEM;
		}
		text += valid + 1;
		len -= valid + 1;
	}
}

int line_string(struct buf *out, const char *text, size_t len)
{
	if (ADD(out, "\"") || put_text(out, text, len)) {
		return PM_ENOMEM;
	}
	return ADD(out, "\"");
}

/* -------------------------------------------------------------------- fields */

/* A field: the literal before its value, `,"method":`, and the value.  0 or
 * PM_ENOMEM.  Macros, because that keeps the literals' lengths constant: with
 * functions a line takes nearly twice as long.  TEXT and JSON are left out when
 * there is none. */
#define NUMBER(out, key, v) (ADD(out, key) ? PM_ENOMEM : add_number(out, v))
#define TEXT(out, key, text)                                                           \
	(!has_text(text) ? 0 : ADD(out, key) ? PM_ENOMEM : add_text(out, text))
#define JSON(out, key, json, len)                                                      \
	(!(json) ? 0 : ADD(out, key) ? PM_ENOMEM : buf_put(out, json, len))

static bool has_text(const char *text)
{
	return text && *text;
}

static int add_text(struct buf *out, const char *text)
{
	return line_string(out, text, strlen(text));
}

static int add_number(struct buf *out, uint64_t v)
{
	if (buf_reserve(out, NUMBER_ROOM)) {
		return PM_ENOMEM;
	}
	out->len = (size_t)(put_number(out->data + out->len, v) - out->data);
	return 0;
}

int line_prefix(struct buf *out, uint64_t index, const struct job *job)
{
	size_t start = out->len;
	if (NUMBER(out, "{\"index\":", index) ||
		JSON(out, ",\"id\":", job->id_json, job->id_json_len)) {
		goto fail;
	}
	if (job->url &&
		(ADD(out, ",\"url\":") || line_string(out, job->url, job->url_len))) {
		goto fail;
	}
	return 0;
fail:
	out->len = start;
	return PM_ENOMEM;
}

static int verdict_fields(struct buf *out, const struct line_facts *f)
{
	if (f->class == OUTCOME_OK) {
		return ADD(out, ",\"ok\":true,\"error\":null");
	}
	if (ADD(out, ",\"ok\":false") ||
		TEXT(out, ",\"error\":", outcome_class_name(f->class)) ||
		TEXT(out, ",\"errormsg\":", f->errormsg)) {
		return PM_ENOMEM;
	}
	if (f->curl_code > 0) {
		return NUMBER(out, ",\"exitcode\":", (uint64_t)f->curl_code);
	}
	return 0;
}

/* As curl writes %{http_version}; NULL: none arrived. */
static const char *http_version_text(int version)
{
	switch (version) {
	case 10:
		return "1.0";
	case 11:
		return "1.1";
	case 20:
		return "2";
	case 30:
		return "3";
	default:
		return NULL;
	}
}

/* What is known once a response has begun. */
static int response_fields(struct buf *out, const struct pm_response *r)
{
	if (r->status <= 0) {
		return 0;
	}
	if (NUMBER(out, ",\"http_code\":", (uint64_t)r->status) ||
		TEXT(out, ",\"http_version\":", http_version_text(r->http_version)) ||
		TEXT(out, ",\"content_type\":", r->content_type) ||
		TEXT(out, ",\"url_effective\":", r->url_effective)) {
		return PM_ENOMEM;
	}
	return NUMBER(out, ",\"num_redirects\":", r->redirect_ct);
}

enum { SECONDS_ROOM = NUMBER_ROOM + 7, TIMES_ROOM = 6 * (24 + SECONDS_ROOM) };

static int queue_field(struct buf *out, uint64_t us)
{
	if (us == UINT64_MAX) {
		return 0;
	}
	if (buf_reserve(out, TIMES_ROOM)) {
		return PM_ENOMEM;
	}
	char *at = out->data + out->len;
	at = PUT(at, ",\"time_queue\":");
	at = put_seconds(at, us);
	out->len = (size_t)(at - out->data);
	return 0;
}

static int time_fields(struct buf *out, const struct pm_response *r)
{
	if (buf_reserve(out, TIMES_ROOM)) {
		return PM_ENOMEM;
	}
	char *at = out->data + out->len;
	at = PUT(at, ",\"time_namelookup\":");
	at = put_seconds(at, r->time_namelookup_us);
	at = PUT(at, ",\"time_connect\":");
	at = put_seconds(at, r->time_connect_us);
	at = PUT(at, ",\"time_appconnect\":");
	at = put_seconds(at, r->time_appconnect_us);
	at = PUT(at, ",\"time_starttransfer\":");
	at = put_seconds(at, r->time_starttransfer_us);
	at = PUT(at, ",\"time_total\":");
	at = put_seconds(at, r->time_total_us);
	out->len = (size_t)(at - out->data);
	return 0;
}

/* What is known of a transfer, whether a response came or not. */
static int transfer_fields(struct buf *out, const struct line_facts *f)
{
	const struct pm_response *r = f->response;
	if (!r) {
		return queue_field(out, f->time_queue_us);
	}
	if (response_fields(out, r) || TEXT(out, ",\"remote_ip\":", r->remote_ip) ||
		NUMBER(out, ",\"size_download\":", r->size_download) ||
		NUMBER(out, ",\"size_upload\":", r->size_upload) ||
		queue_field(out, f->time_queue_us)) {
		return PM_ENOMEM;
	}
	return time_fields(out, r);
}

/* Is there a response whose headers are wanted? */
static bool has_headers(const struct line_facts *f)
{
	return f->headers && f->response && f->response->status > 0;
}

static int headers_field(struct buf *out, const struct line_facts *f)
{
	if (!has_headers(f)) {
		return 0;
	}
	return ADD(out, ",\"headers\":") ? PM_ENOMEM
					 : line_headers(out, f->response->headers,
						   f->response->header_ct);
}

static int base64_field(struct buf *out, const void *bytes, size_t len)
{
	size_t size = base64_size(len);
	if (ADD(out, ",\"body_base64\":\"") || buf_reserve(out, size)) {
		return PM_ENOMEM;
	}
	base64_encode(out->data + out->len, bytes, len);
	out->len += size;
	return ADD(out, "\"");
}

/* Is the body part of the line?  Only a whole one is: a response with a status
 * that is not accepted has one, a broken transfer has not. */
static bool has_body(const struct line_facts *f)
{
	return f->body == BODY_INLINE && f->response && f->response->status > 0 &&
	       (f->class == OUTCOME_OK || f->class == OUTCOME_HTTP_STATUS);
}

static int body_field(struct buf *out, const struct line_facts *f)
{
	if (!has_body(f)) {
		return 0;
	}
	const char *body = f->response->body;
	size_t len = f->response->body_len;
	if (!utf8_valid(body, len)) {
		return base64_field(out, body, len);
	}
	if (ADD(out, ",\"body\":\"") || put_clean_text(out, body, len)) {
		return PM_ENOMEM;
	}
	return ADD(out, "\"");
}

/* Where the body is, when it is in a file. */
static int file_fields(struct buf *out, const struct line_facts *f)
{
	if (TEXT(out, ",\"body_file\":", f->body_file) ||
		TEXT(out, ",\"body_sha256\":", f->body_sha256)) {
		return PM_ENOMEM;
	}
	if (f->body_length == 0) {
		return 0;
	}
	return NUMBER(out, ",\"body_offset\":", f->body_offset)
		       ? PM_ENOMEM
		       : NUMBER(out, ",\"body_length\":", f->body_length);
}

/* ---------------------------------------------------------------------- line */

static int fields(struct buf *out, const struct job *job, const struct line_facts *f)
{
	if (line_prefix(out, f->index, job) || verdict_fields(out, f) ||
		TEXT(out, ",\"method\":", f->method) || transfer_fields(out, f) ||
		NUMBER(out, ",\"attempts\":", f->attempts)) {
		return PM_ENOMEM;
	}
	if (f->worker >= 0 && NUMBER(out, ",\"worker\":", (uint64_t)f->worker)) {
		return PM_ENOMEM;
	}
	if (JSON(out, ",\"meta\":", job->meta_json, job->meta_json_len) ||
		headers_field(out, f) || body_field(out, f) || file_fields(out, f)) {
		return PM_ENOMEM;
	}
	return ADD(out, "}\n");
}

/* Room for a string of which few bytes need an escape. */
static size_t text_room(size_t len)
{
	return len + escape_room(len < CHUNK ? len : CHUNK);
}

int line_render(struct buf *out, const struct job *job, const struct line_facts *facts)
{
	size_t start = out->len;
	size_t guess = FIELDS_ROOM + job->id_json_len + job->meta_json_len +
		       text_room(job->url_len);
	if (has_body(facts)) {
		guess += text_room(facts->response->body_len);
	}
	if (buf_reserve(out, guess) || fields(out, job, facts)) {
		out->len = start;
		return PM_ENOMEM;
	}
	return 0;
}
