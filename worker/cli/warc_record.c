/* SPDX-License-Identifier: MIT
 *
 * warc_record - see warc_record.h.
 */
#include "worker/cli/warc_record.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "common/poolmap.h"

/* -------------------------------------------------------------------- header */

static int put_field(struct buf *out, const char *name, const char *value)
{
	return value && *value ? buf_printf(out, "%s: %s\r\n", name, value) : 0;
}

static int put_digest(struct buf *out, const char *name, const char *hex)
{
	return hex && *hex ? buf_printf(out, "%s: sha256:%s\r\n", name, hex) : 0;
}

/* A URL can hold anything that libcurl took; here it must be one word of ASCII. */
static int put_url(struct buf *out, const char *name, const char *url)
{
	if (!url || !*url) {
		return 0;
	}
	if (buf_printf(out, "%s: ", name)) {
		return PM_ENOMEM;
	}
	for (; *url; url++) {
		unsigned char c = (unsigned char)*url;
		bool plain = c > ' ' && c < 0x7f;
		if (plain ? buf_put(out, url, 1) : buf_printf(out, "%%%02X", c)) {
			return PM_ENOMEM;
		}
	}
	return buf_puts(out, "\r\n");
}

int warc_record_head(struct buf *out, const struct warc_record *r)
{
	bool bad = buf_puts(out, "WARC/1.1\r\n") ||
		   put_field(out, "WARC-Type", r->type) ||
		   put_field(out, "WARC-Record-ID", r->id) ||
		   put_field(out, "WARC-Date", r->date) ||
		   put_field(out, "WARC-Filename", r->filename) ||
		   put_field(out, "WARC-Warcinfo-ID", r->warcinfo_id) ||
		   put_field(out, "WARC-Concurrent-To", r->concurrent_to) ||
		   put_url(out, "WARC-Target-URI", r->target) ||
		   put_field(out, "WARC-IP-Address", r->ip) ||
		   put_field(out, "WARC-Protocol", r->protocol) ||
		   put_digest(out, "WARC-Block-Digest", r->block_digest) ||
		   put_digest(out, "WARC-Payload-Digest", r->payload_digest) ||
		   put_field(out, "WARC-Truncated", r->truncated) ||
		   put_field(out, "Content-Type", r->content_type) ||
		   buf_printf(out, "Content-Length: %llu\r\n\r\n",
			   (unsigned long long)r->block_len);
	return bad ? PM_ENOMEM : 0;
}

/* A UUID of version 4. */
int warc_record_id(char id[WARC_ID_ROOM])
{
	unsigned char b[16];
	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) {
		return PM_ESYSTEM;
	}
	b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	snprintf(id, WARC_ID_ROOM,
		"<urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x>",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
		b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

void warc_record_date(char date[WARC_DATE_ROOM], uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;
	char text[24] = "1970-01-01T00:00:00";
	if (gmtime_r(&seconds, &tm)) {
		(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	}
	snprintf(date, WARC_DATE_ROOM, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
}

/* ----------------------------------------------------------------- HTTP heads */

/* The length of the first line, with its line end. */
static size_t line_len(const char *at, size_t len)
{
	const char *end = len ? memchr(at, '\n', len) : NULL;
	return end ? (size_t)(end - at) + 1 : len;
}

static bool begins_with(const char *at, size_t len, const char *text)
{
	size_t n = strlen(text);
	return len >= n && strncasecmp(at, text, n) == 0;
}

/* The version in a line: "HTTP/2 200 " begins with it, "GET / HTTP/2" ends so. */
static const char *find_version(const char *line, size_t len)
{
	if (begins_with(line, len, "HTTP/")) {
		return line;
	}
	for (size_t i = len; i > 5; i--) {
		if (memcmp(line + i - 5, "HTTP/", 5) == 0) {
			return line + i - 5;
		}
	}
	return NULL;
}

static size_t version_len(const char *version, size_t len)
{
	size_t n = 5;
	while (n < len &&
		(version[n] == '.' || (version[n] >= '0' && version[n] <= '9'))) {
		n++;
	}
	return n;
}

static int put_first_line(struct buf *out, const char *line, size_t len, bool *replaced)
{
	const char *version = find_version(line, len);
	*replaced = version &&
		    !begins_with(version, len - (size_t)(version - line), "HTTP/1.");
	if (!*replaced) {
		return buf_put(out, line, len);
	}
	size_t before = (size_t)(version - line);
	size_t skip = before + version_len(version, len - before);
	return buf_put(out, line, before) || buf_puts(out, "HTTP/1.1") ||
			       buf_put(out, line + skip, len - skip)
		       ? PM_ENOMEM
		       : 0;
}

int warc_record_http(struct buf *out, const char *head, size_t len, bool *replaced)
{
	size_t n = line_len(head, len);
	int err = put_first_line(out, head, n, replaced);
	while (!err && n < len) {
		const char *line = head + n;
		size_t l = line_len(line, len - n);
		if (begins_with(line, l, "Transfer-Encoding")) {
			err = buf_puts(out, "X-Orig-");
		}
		err = err ? err : buf_put(out, line, l);
		n += l;
	}
	return err;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

const char *warc_record_field(
	const char *head, size_t len, const char *name, size_t *value_len)
{
	size_t name_len = strlen(name);
	for (size_t n = line_len(head, len), l; n < len; n += l) {
		const char *line = head + n;
		l = line_len(line, len - n);
		if (l <= name_len || line[name_len] != ':' ||
			!begins_with(line, l, name)) {
			continue;
		}
		const char *value = line + name_len + 1, *end = line + l;
		while (value < end && is_blank(*value)) {
			value++;
		}
		while (end > value && is_blank(end[-1])) {
			end--;
		}
		*value_len = (size_t)(end - value);
		return value;
	}
	return NULL;
}
