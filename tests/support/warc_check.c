/* SPDX-License-Identifier: MIT
 *
 * warc_check - see warc_check.h.
 */
#include "tests/support/warc_check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "tests/support/harness.h"
#include "common/cli/digest.h"

static char reason[400];

__attribute__((format(printf, 1, 2))) static const char *wrong(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return reason;
}

void warc_list_fini(struct warc_list *list)
{
	for (size_t i = 0; i < list->ct; i++) {
		free(list->recs[i].head);
		free(list->recs[i].block);
	}
	free(list->recs);
	*list = (struct warc_list){0};
}

/* ----------------------------------------------------------------------- fields */

/* The value in the text of a header, up to its line end. */
static const char *find_field(
	const char *head, size_t len, const char *name, size_t *value_len)
{
	size_t name_len = strlen(name);
	const char *end = head + len, *line = head;
	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end) {
		size_t rest = (size_t)(end - line);
		if (rest > name_len && strncasecmp(line, name, name_len) == 0 &&
			line[name_len] == ':') {
			const char *value = line + name_len + 1;
			while (value < end && *value == ' ') {
				value++;
			}
			const char *stop = memchr(value, '\r', (size_t)(end - value));
			*value_len = (size_t)((stop ? stop : end) - value);
			return value;
		}
	}
	return NULL;
}

const char *warc_value(const struct warc_rec *rec, const char *name)
{
	static char values[4][4096];
	static unsigned next;
	size_t len;
	const char *value = find_field(rec->head, strlen(rec->head), name, &len);
	if (!value || len >= sizeof(values[0])) {
		return NULL;
	}
	char *copy = values[next++ % 4];
	memcpy(copy, value, len);
	copy[len] = '\0';
	return copy;
}

static bool value_is(const struct warc_rec *rec, const char *name, const char *expected)
{
	const char *value = warc_value(rec, name);
	return value && strcmp(value, expected) == 0;
}

/* ---------------------------------------------------------------------- members */

/* Inflate the member at `from`: its bytes, and how many of the file it has.  False:
 * the file ends before. */
static bool inflate_member(const unsigned char *from, size_t len, struct bytes *out,
	size_t *used, const char **why)
{
	z_stream z = {
		.next_in = (unsigned char *)(uintptr_t)from, .avail_in = (uInt)len};
	unsigned char part[65536];
	int result = inflateInit2(&z, 15 + 16);
	while (result == Z_OK) {
		z.next_out = part;
		z.avail_out = sizeof(part);
		result = inflate(&z, Z_NO_FLUSH);
		bytes_add(out, part, sizeof(part) - z.avail_out);
		if (result == Z_OK && z.avail_in == 0 && z.avail_out > 0) {
			break;
		}
	}
	*used = len - z.avail_in;
	inflateEnd(&z);
	*why = result == Z_DATA_ERROR ? wrong("no gzip: %s", z.msg ? z.msg : "") : NULL;
	return result == Z_STREAM_END;
}

/* ---------------------------------------------------------------------- records */

/* Each line a name, ": ", and printable ASCII; no name twice. */
static const char *check_lines(const char *head)
{
	if (strncmp(head, "WARC/1.1\r\n", 10) != 0) {
		return wrong("begins with %.12s", head);
	}
	for (const char *line = head + 10; *line; line = strstr(line, "\r\n") + 2) {
		size_t name = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "abcdefghijklmnopqrstuvwxyz-");
		const char *end = strstr(line, "\r\n");
		if (name == 0 || !end || strncmp(line + name, ": ", 2) != 0 ||
			end == line + name + 2) {
			return wrong("no field: %.60s", line);
		}
		for (const char *at = line; at < end; at++) {
			if (*at < ' ' || *at == 0x7f) {
				return wrong("a byte of a field: %.60s", line);
			}
		}
		char key[64];
		size_t len;
		snprintf(key, sizeof(key), "%.*s", (int)name, line);
		if (find_field(end, strlen(end), key, &len)) {
			return wrong("%s twice", key);
		}
	}
	return NULL;
}

/* Does the text look like the pattern, in which x is a hex digit and 0 a digit? */
static bool looks_like(const char *text, const char *pattern)
{
	for (; *pattern; pattern++, text++) {
		bool fits = *pattern == 'x'   ? isxdigit((unsigned char)*text) != 0
			    : *pattern == '0' ? isdigit((unsigned char)*text) != 0
					      : *text == *pattern;
		if (!fits) {
			return false;
		}
	}
	return *text == '\0';
}

static const char *check_common(const struct warc_rec *rec)
{
	const char *id = warc_value(rec, "WARC-Record-ID");
	const char *date = warc_value(rec, "WARC-Date");
	if (!id || !looks_like(id, "<urn:uuid:xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx>")) {
		return wrong("WARC-Record-ID %s", id ? id : "is missing");
	}
	if (!date || !looks_like(date, "0000-00-00T00:00:00.000Z")) {
		return wrong("WARC-Date %s", date ? date : "is missing");
	}
	const char *truncated = warc_value(rec, "WARC-Truncated");
	if (truncated && strcmp(truncated, "length") != 0 &&
		strcmp(truncated, "time") != 0 &&
		strcmp(truncated, "disconnect") != 0 &&
		strcmp(truncated, "unspecified") != 0) {
		return wrong("WARC-Truncated: %s", truncated);
	}
	return warc_value(rec, "WARC-Type") ? NULL : wrong("no WARC-Type");
}

static const char *check_digest(
	const struct warc_rec *rec, const char *name, const void *bytes, size_t len)
{
	char expected[7 + DIGEST_HEX_LEN + 1] = "sha256:";
	struct digest d = {0};
	if (digest_start(&d)) {
		return wrong("no memory");
	}
	digest_add(&d, bytes, len);
	digest_end(&d, expected + 7);
	digest_fini(&d);
	const char *value = warc_value(rec, name);
	if (value && strcmp(value, expected) != 0) {
		return wrong("%s is %s, not %s", name, value, expected);
	}
	return NULL;
}

static const char *find_payload(struct warc_rec *rec)
{
	const char *end = memmem(rec->block, rec->block_len, "\r\n\r\n", 4);
	if (!end) {
		return wrong("no HTTP head");
	}
	rec->payload = end + 4;
	rec->payload_len = rec->block_len - (size_t)(rec->payload - rec->block);
	size_t head_len = rec->block_len - rec->payload_len, len;
	if (find_field(rec->block, head_len, "Transfer-Encoding", &len)) {
		return wrong("a Transfer-Encoding is left");
	}
	return NULL;
}

static const char *check_http(struct warc_rec *rec, bool request)
{
	const char *url = warc_value(rec, "WARC-Target-URI");
	if (!url ||
		(strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) {
		return wrong("WARC-Target-URI: %s", url ? url : "none");
	}
	if (!value_is(rec, "Content-Type",
		    request ? "application/http; msgtype=request"
			    : "application/http; msgtype=response")) {
		return wrong("Content-Type: %s", warc_value(rec, "Content-Type"));
	}
	const char *why = find_payload(rec);
	if (why) {
		return why;
	}
	if (!request && strncmp(rec->block, "HTTP/1.", 7) != 0) {
		return wrong("a response that begins with %.10s", rec->block);
	}
	const char *line_end = strstr(rec->block, "\r\n");
	if (request && (line_end - rec->block < 9 ||
			       strncmp(line_end - 9, " HTTP/1.1", 9) != 0)) {
		return wrong("a request that begins with %.20s", rec->block);
	}
	if (!warc_value(rec, "WARC-Block-Digest")) {
		return wrong("no WARC-Block-Digest");
	}
	why = check_digest(rec, "WARC-Block-Digest", rec->block, rec->block_len);
	return why ? why
		   : check_digest(rec, "WARC-Payload-Digest", rec->payload,
			     rec->payload_len);
}

/* A request stands behind its response, which has as many bytes as it announces. */
static const char *check_pair(const struct warc_list *list, const struct warc_rec *rec)
{
	const struct warc_rec *response = rec - 1;
	size_t len;
	if (rec == list->recs || !value_is(response, "WARC-Type", "response") ||
		!value_is(rec, "WARC-Concurrent-To",
			warc_value(response, "WARC-Record-ID"))) {
		return wrong("a request without its response");
	}
	const char *announced = find_field(response->block,
		response->block_len - response->payload_len, "Content-Length", &len);
	if (announced && strncmp(rec->block, "HEAD ", 5) != 0 &&
		!warc_value(response, "WARC-Truncated") &&
		strtoull(announced, NULL, 10) != response->payload_len) {
		return wrong("%zu bytes, but announced are %.*s", response->payload_len,
			(int)len, announced);
	}
	return NULL;
}

static const char *check_record(struct warc_list *list, const char *name)
{
	struct warc_rec *rec = &list->recs[list->ct - 1];
	const char *why = check_lines(rec->head);
	why = why ? why : check_common(rec);
	if (why) {
		return why;
	}
	if (rec == list->recs) {
		return value_is(rec, "WARC-Type", "warcinfo") &&
				       value_is(rec, "WARC-Filename", name)
			       ? NULL
			       : wrong("no warcinfo of %s at the beginning", name);
	}
	if (!value_is(rec, "WARC-Warcinfo-ID",
		    warc_value(&list->recs[0], "WARC-Record-ID"))) {
		return wrong("of another file");
	}
	bool request = value_is(rec, "WARC-Type", "request");
	if (!request && !value_is(rec, "WARC-Type", "response")) {
		return wrong("WARC-Type: %s", warc_value(rec, "WARC-Type"));
	}
	why = check_http(rec, request);
	return why || !request ? why : check_pair(list, rec);
}

/* A member's bytes: header, empty line, as many bytes as it says, two line ends. */
static const char *split(struct warc_list *list, struct bytes *member)
{
	struct warc_rec *rec = &list->recs[list->ct - 1];
	const char *end = memmem(member->data, member->len, "\r\n\r\n", 4);
	if (!end) {
		return wrong("no header");
	}
	size_t head_len = (size_t)(end + 2 - member->data), len;
	rec->head = strndup(member->data, head_len);
	const char *text = find_field(member->data, head_len, "Content-Length", &len);
	size_t block_len = text ? strtoull(text, NULL, 10) : 0;
	size_t rest = member->len - head_len - 2;
	if (!text || rest < 4 || rest - 4 != block_len ||
		memcmp(member->data + member->len - 4, "\r\n\r\n", 4) != 0) {
		return wrong("Content-Length %zu of %zu bytes", block_len, rest);
	}
	rec->block = malloc(block_len + 1);
	memcpy(rec->block, end + 4, block_len);
	rec->block[block_len] = '\0';
	rec->block_len = block_len;
	return NULL;
}

static const char *take_member(
	struct warc_list *list, const char *file, size_t len, size_t at, size_t *used)
{
	struct bytes member = {0};
	const char *why;
	if (!inflate_member(
		    (const unsigned char *)file + at, len - at, &member, used, &why)) {
		list->torn = !why;
		bytes_fini(&member);
		return why;
	}
	struct warc_rec *more =
		reallocarray(list->recs, list->ct + 1, sizeof(struct warc_rec));
	list->recs = more;
	list->recs[list->ct++] = (struct warc_rec){.offset = at, .length = *used};
	why = split(list, &member);
	bytes_fini(&member);
	return why;
}

const char *warc_load(struct warc_list *list, const char *path)
{
	size_t len;
	char *file = read_file(path, &len);
	const char *slash = strrchr(path, '/'), *why = NULL;
	*list = (struct warc_list){0};
	for (size_t at = 0, used; !why && !list->torn && at < len; at += used) {
		why = take_member(list, file, len, at, &used);
		if (!why && !list->torn) {
			why = check_record(list, slash ? slash + 1 : path);
		}
	}
	free(file);
	if (why) {
		char text[sizeof(reason)];
		snprintf(text, sizeof(text), "%s", why);
		return wrong("record %zu of %s: %.200s", list->ct, path, text);
	}
	return list->ct || list->torn ? NULL : wrong("%s is empty", path);
}
