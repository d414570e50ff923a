/* SPDX-License-Identifier: MIT
 *
 * origin_request - the origin's request parser.
 *
 * Runs in: the origin.  Called by origin_conn.c with what has arrived; takes
 * one request off the front of it and nothing of the next.  It is strict, so
 * that a client that writes sloppy HTTP is found out: CRLF only, one Host, no
 * folded headers, no doubt about where a body ends.  It never touches sockets.
 */
#include "tests/support/origin.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_LINE_MAX 4096u

static enum request_step refuse(struct request *r, int status)
{
	r->refusal = status;
	return REQUEST_BAD;
}

/* -------------------------------------------------------------------- head */

/* Length of the head with its empty line; 0 when it is not all there yet; -1
 * when no good head can come of it.  Lines are found by LF alone, so that one
 * without a CR is refused instead of waited on. */
static ssize_t head_length(struct request *r, struct evbuffer *in)
{
	for (;;) {
		struct evbuffer_ptr from;
		size_t eol_len;
		if (evbuffer_ptr_set(in, &from, r->scanned, EVBUFFER_PTR_SET)) {
			return 0;
		}
		struct evbuffer_ptr eol =
			evbuffer_search_eol(in, &from, &eol_len, EVBUFFER_EOL_LF);
		if (eol.pos < 0) {
			return 0;
		}
		size_t line_len = (size_t)eol.pos - r->scanned;
		if (line_len == 0) {
			return -1;
		}
		if (line_len == 1 && r->scanned == 0) {
			evbuffer_drain(in, 2); /* an empty line before a request */
			continue;
		}
		r->scanned = (size_t)eol.pos + 1;
		if (line_len == 1) {
			return (ssize_t)r->scanned;
		}
	}
}

static bool head_take(struct request *r, struct evbuffer *in, size_t len)
{
	if (len > r->head_cap) {
		size_t cap = len < 1024 ? 1024 : len;
		char *head = realloc(r->head, cap);
		if (!head) {
			return false;
		}
		r->head = head;
		r->head_cap = cap;
	}
	r->head_len = len;
	return evbuffer_remove(in, r->head, len) == (int)len;
}

/* The next line without its CRLF; false for a line that does not end so. */
static bool line_cut(struct slice *rest, struct slice *line)
{
	*line = slice_cut(rest, '\n');
	if (!rest->at || line->len == 0 || line->at[line->len - 1] != '\r') {
		return false;
	}
	line->len--;
	return true;
}

static bool is_token(struct slice s)
{
	static const char punctuation[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.at[i];
		bool alnum = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
			     (ch >= 'A' && ch <= 'Z');
		if (!alnum && (ch == '\0' || !strchr(punctuation, ch))) {
			return false;
		}
	}
	return s.len > 0;
}

/* No control characters, and none below `least`. */
static bool is_printable(struct slice s, unsigned char least)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.at[i];
		if ((ch < least && ch != '\t') || ch == 0x7f) {
			return false;
		}
	}
	return true;
}

static bool parse_request_line(struct request *r, struct slice line)
{
	struct slice rest = line;
	r->method = slice_cut(&rest, ' ');
	r->target = slice_cut(&rest, ' ');
	r->http10 = slice_is(rest, "HTTP/1.0");
	r->head_only = slice_is(r->method, "HEAD");
	r->keep_alive = !r->http10;
	if (!is_token(r->method) || !(r->http10 || slice_is(rest, "HTTP/1.1"))) {
		return false;
	}
	if (r->target.len == 0 || r->target.at[0] != '/' ||
		memchr(r->target.at, '\t', r->target.len) ||
		!is_printable(r->target, 0x21)) {
		return false;
	}
	r->query = r->target;
	r->path = slice_cut(&r->query, '?');
	return true;
}

static struct slice trim(struct slice s)
{
	while (s.len && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t')) {
		s.len--;
	}
	return s;
}

bool request_header(struct slice *cursor, struct slice *name, struct slice *value)
{
	struct slice line;
	if (!line_cut(cursor, &line) || line.len == 0) {
		return false;
	}
	struct slice rest = line;
	*name = slice_cut(&rest, ':');
	*value = trim(rest);
	return true;
}

/* What the headers say about the body and the connection. */
struct framing {
	unsigned hosts;
	bool has_length, chunked, expects;
	uint64_t length;
};

static bool note_length(struct framing *f, struct slice value)
{
	uint64_t length;
	if (!slice_number(value, 10, UINT64_MAX, &length) ||
		(f->has_length && f->length != length)) {
		return false;
	}
	f->has_length = true;
	f->length = length;
	return true;
}

static void note_connection(struct request *r, struct slice value)
{
	while (value.at) {
		struct slice option = trim(slice_cut(&value, ','));
		if (slice_is_nocase(option, "close")) {
			r->keep_alive = false;
		}
	}
}

static bool note_header(
	struct request *r, struct framing *f, struct slice name, struct slice value)
{
	if (slice_is_nocase(name, "host")) {
		f->hosts++;
	} else if (slice_is_nocase(name, "content-length")) {
		return note_length(f, value);
	} else if (slice_is_nocase(name, "transfer-encoding")) {
		bool again = f->chunked;
		f->chunked = true;
		return !again && !r->http10 && slice_is_nocase(value, "chunked");
	} else if (slice_is_nocase(name, "connection")) {
		note_connection(r, value);
	} else if (slice_is_nocase(name, "expect")) {
		f->expects = slice_is_nocase(value, "100-continue") && !r->http10;
		return f->expects;
	}
	return true;
}

static bool parse_headers(struct request *r, struct framing *f)
{
	struct slice rest = r->headers;
	for (;;) {
		struct slice line, value;
		if (!line_cut(&rest, &line)) {
			return false;
		}
		if (line.len == 0) {
			break;
		}
		value = line;
		struct slice name = slice_cut(&value, ':');
		if (!value.at || !is_token(name) || !is_printable(value, 0x20) ||
			!note_header(r, f, name, trim(value))) {
			return false;
		}
	}
	return (f->hosts == 1 || (r->http10 && f->hosts == 0)) &&
	       !(f->has_length && f->chunked);
}

/* Choose the phase that reads the body. */
static enum request_step begin_body(
	struct request *r, const struct framing *f, struct evbuffer *in)
{
	if (!f->chunked && f->length == 0) {
		return REQUEST_READY;
	}
	if (f->length > ORIGIN_BODY_MAX) {
		return refuse(r, 413);
	}
	if (!r->body && !(r->body = evbuffer_new())) {
		return refuse(r, 500);
	}
	r->left = f->length;
	r->phase = f->chunked ? REQUEST_CHUNK_SIZE : REQUEST_SIZED_BODY;
	return f->expects && evbuffer_get_length(in) == 0 ? REQUEST_CONTINUE
							  : REQUEST_ON;
}

static enum request_step read_head(struct request *r, struct evbuffer *in)
{
	struct framing framing = {0};
	ssize_t len = head_length(r, in);
	if (len < 0) {
		return refuse(r, 400);
	}
	if (len > ORIGIN_HEAD_MAX || (len == 0 && r->scanned > ORIGIN_HEAD_MAX) ||
		(len == 0 && evbuffer_get_length(in) > ORIGIN_HEAD_MAX)) {
		return refuse(r, 431);
	}
	if (len == 0) {
		return REQUEST_MORE;
	}
	if (!head_take(r, in, (size_t)len)) {
		return refuse(r, 500);
	}
	struct slice line;
	r->headers = (struct slice){r->head, r->head_len};
	if (!line_cut(&r->headers, &line) || !parse_request_line(r, line) ||
		!parse_headers(r, &framing)) {
		return refuse(r, 400);
	}
	return begin_body(r, &framing, in);
}

/* -------------------------------------------------------------------- body */

/* Move what is here of `left` bytes; true when none is left. */
static bool move_body(struct request *r, struct evbuffer *in)
{
	size_t here = evbuffer_get_length(in);
	size_t len = r->left < here ? (size_t)r->left : here;
	evbuffer_remove_buffer(in, r->body, len);
	r->left -= len;
	return r->left == 0;
}

/* A line of the chunked coding in malloc'd memory, without its CRLF; NULL with
 * *step set when there is none. */
static char *take_line(
	struct request *r, struct evbuffer *in, size_t *len, enum request_step *step)
{
	char *line = evbuffer_readln(in, len, EVBUFFER_EOL_LF);
	if (!line) {
		bool too_long = evbuffer_get_length(in) > CHUNK_LINE_MAX;
		*step = too_long ? refuse(r, 400) : REQUEST_MORE;
		return NULL;
	}
	if (*len == 0 || line[*len - 1] != '\r') {
		free(line);
		*step = refuse(r, 400);
		return NULL;
	}
	(*len)--;
	return line;
}

static enum request_step read_chunk_size(struct request *r, struct evbuffer *in)
{
	size_t len;
	enum request_step step;
	char *line = take_line(r, in, &len, &step);
	if (!line) {
		return step;
	}
	struct slice rest = {line, len};
	struct slice size = trim(slice_cut(&rest, ';'));
	bool good = slice_number(size, 16, UINT64_MAX, &r->left);
	free(line);
	if (!good) {
		return refuse(r, 400);
	}
	if (r->left > ORIGIN_BODY_MAX - evbuffer_get_length(r->body)) {
		return refuse(r, 413);
	}
	r->phase = r->left ? REQUEST_CHUNK_BYTES : REQUEST_TRAILER;
	return REQUEST_ON;
}

static enum request_step read_chunk_bytes(struct request *r, struct evbuffer *in)
{
	if (!move_body(r, in)) {
		return REQUEST_MORE;
	}
	r->phase = REQUEST_CHUNK_END;
	return REQUEST_ON;
}

static enum request_step read_chunk_end(struct request *r, struct evbuffer *in)
{
	char crlf[2];
	if (evbuffer_copyout(in, crlf, 2) < 2) {
		return REQUEST_MORE;
	}
	if (memcmp(crlf, "\r\n", 2) != 0) {
		return refuse(r, 400);
	}
	evbuffer_drain(in, 2);
	r->phase = REQUEST_CHUNK_SIZE;
	return REQUEST_ON;
}

static enum request_step read_trailer(struct request *r, struct evbuffer *in)
{
	size_t len;
	enum request_step step;
	char *line = take_line(r, in, &len, &step);
	if (!line) {
		return step;
	}
	free(line);
	r->trailer_len += len;
	if (r->trailer_len > ORIGIN_HEAD_MAX) {
		return refuse(r, 431);
	}
	return len == 0 ? REQUEST_READY : REQUEST_ON;
}

/* ------------------------------------------------------------------ public */

static enum request_step read_phase(struct request *r, struct evbuffer *in)
{
	switch (r->phase) {
	case REQUEST_HEAD:
		return read_head(r, in);
	case REQUEST_SIZED_BODY:
		return move_body(r, in) ? REQUEST_READY : REQUEST_MORE;
	case REQUEST_CHUNK_SIZE:
		return read_chunk_size(r, in);
	case REQUEST_CHUNK_BYTES:
		return read_chunk_bytes(r, in);
	case REQUEST_CHUNK_END:
		return read_chunk_end(r, in);
	case REQUEST_TRAILER:
		return read_trailer(r, in);
	}
	return refuse(r, 500);
}

enum request_step request_read(struct request *r, struct evbuffer *in)
{
	enum request_step step;
	do {
		step = read_phase(r, in);
	} while (step == REQUEST_ON);
	return step;
}

size_t request_body_len(const struct request *r)
{
	return r->body ? evbuffer_get_length(r->body) : 0;
}

void request_next(struct request *r)
{
	r->phase = REQUEST_HEAD;
	r->scanned = r->trailer_len = 0;
	r->left = 0;
	if (r->body) {
		evbuffer_drain(r->body, evbuffer_get_length(r->body));
	}
}

void request_fini(struct request *r)
{
	free(r->head);
	if (r->body) {
		evbuffer_free(r->body);
	}
}
