/* SPDX-License-Identifier: MIT
 *
 * scan - the lines of a results file, see scan.h.
 *
 * data[pos..end) are bytes of the file, the last of which is at offset - 1;
 * data[pos..scan) has no LF in it.  A line that fits below HEAD_MAX is looked
 * at as a whole.  Of a longer one the first HEAD_MAX bytes stay where they
 * are, and the rest passes through the block behind them.
 */
#include "master/cli/scan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/message.h"

/* The longest prefix: a job line, six times as long when each byte becomes an
 * escape, and the names around it. */
enum { HEAD_MAX = 6 * JOB_LINE_MAX + 4096, BLOCK = 256 * 1024 };
enum { SCAN_CAP = HEAD_MAX + BLOCK };

static const char LINE_START[] = "{\"index\":";
static const char PREFIX_END[] = ",\"ok\":";
enum { START_LEN = sizeof LINE_START - 1, PREFIX_END_LEN = sizeof PREFIX_END - 1 };

static const char *advice(const struct scan *s)
{
	return s->file.kept ? "" : "; name another output, or --force to overwrite it";
}

int scan_damaged(const struct scan *s, const char *why)
{
	message_at(s->file.name, s->line,
		"not a results file of poolmap, or damaged: %s%s", why, advice(s));
	return EXIT_MISMATCH;
}

int scan_other_format(const struct scan *s, const char *format)
{
	message_at(s->file.name, s->line,
		"was written with --format %s: say that here, too%s", format,
		s->file.kept ? ", for results are taken over as they are" : advice(s));
	return EXIT_MISMATCH;
}

bool scan_is_json(const char *text, size_t len)
{
	return len >= START_LEN && memcmp(text, LINE_START, START_LEN) == 0;
}

/* The first row of a file of CSV, as far as names have no quotes. */
static bool is_csv_header(const char *line, size_t len)
{
	return len > 1 && line[0] >= 'a' && line[0] <= 'z' && line[len - 1] == '\r' &&
	       !memchr(line, ':', len) && !memchr(line, ' ', len);
}

/* An error of unpack. */
static int cannot_read(const struct scan *s, int error)
{
	if (error == PM_EINVAL) {
		message_print(s->file.name,
			"not a packed results file of poolmap, or damaged: no gzip at "
			"byte %" PRIu64 " of what was unpacked%s",
			s->offset, advice(s));
		return EXIT_MISMATCH;
	}
	message_print(s->file.name, "cannot be read to resume, at byte %" PRIu64 ": %s",
		s->offset, strerror(errno));
	return EXIT_OUTPUT;
}

/* What counts of a packed file is known before its first line is: a torn
 * member unpacks to lines, too. */
static int find_packed_end(struct scan *s)
{
	int err = unpack_find_end(s->source, &s->packed_end, &s->packed_torn);
	return err ? cannot_read(s, err) : 0;
}

int scan_init(struct scan *s, const struct scan_file *file)
{
	*s = (struct scan){.file = *file, .data = malloc(SCAN_CAP)};
	s->source = unpack_new(file->fd, file->packed);
	int code = 0;
	if (!s->data || !s->source) {
		message_print(file->name, "out of memory");
		code = EXIT_WORKERS;
	} else if (file->packed) {
		code = find_packed_end(s);
	}
	if (code) {
		scan_fini(s);
	}
	return code;
}

void scan_fini(struct scan *s)
{
	unpack_free(s->source);
	free(s->data);
	for (int key = 0; key < CSV_KEY_CT; key++) {
		buf_fini(&s->row.cells[key]);
	}
	buf_fini(&s->row.key);
	s->source = NULL;
	s->data = NULL;
}

void scan_end(const struct scan *s, uint64_t *good_end, uint64_t *torn)
{
	*good_end = s->file.packed ? s->packed_end : s->good_end;
	*torn = s->file.packed ? s->packed_torn : s->offset - s->good_end;
}

/* Read a block to data[end..). */
static int read_block(struct scan *s)
{
	long n = unpack_read(s->source, s->data + s->end, BLOCK);
	if (n < 0) {
		return cannot_read(s, (int)n);
	}
	s->eof = n == 0;
	s->end += (size_t)n;
	s->offset += (uint64_t)n;
	return 0;
}

int scan_fill(struct scan *s)
{
	if (s->pos) {
		memmove(s->data, s->data + s->pos, s->end - s->pos);
		s->scan -= s->pos;
		s->end -= s->pos;
		s->pos = 0;
	}
	return read_block(s);
}

static bool all_zero(const char *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The number behind LINE_START, as this program writes it.  Returns the length
 * of its digits; 0: it is none. */
size_t scan_index(const char *digits, size_t len, uint64_t *index)
{
	size_t n = 0;
	uint64_t v = 0;
	while (n < len && digits[n] >= '0' && digits[n] <= '9') {
		if (v >= SCAN_INDEX_MAX) {
			return 0;
		}
		v = v * 10 + (uint64_t)(digits[n] - '0');
		n++;
	}
	if (v >= SCAN_INDEX_MAX || (n > 1 && digits[0] == '0')) {
		return 0;
	}
	*index = v;
	return n;
}

const char *scan_line(const char *line, size_t len, struct scan_entry *e)
{
	if (!scan_is_json(line, len)) {
		return "the line does not start with {\"index\":";
	}
	size_t digits = scan_index(line + START_LEN, len - START_LEN, &e->index);
	if (!digits) {
		return "the index is no number in range";
	}
	/* Quotes inside strings are escaped, so the first hit is the member. */
	size_t at = START_LEN + digits;
	const char *end = memmem(line + at, len - at, PREFIX_END, PREFIX_END_LEN);
	if (!end || line[at] != ',') {
		return "the line has no \"ok\"";
	}
	e->prefix = line;
	e->prefix_len = (size_t)(end - line);
	e->ok = len > e->prefix_len + PREFIX_END_LEN && end[PREFIX_END_LEN] == 't';
	return NULL;
}

/* Take index and prefix from the start of a line. */
static int parse_head(
	const struct scan *s, const char *line, size_t len, struct scan_entry *e)
{
	if (s->line == 1 && is_csv_header(line, len)) {
		return scan_other_format(s, "csv");
	}
	const char *wrong = scan_line(line, len, e);
	return wrong ? scan_damaged(s, wrong) : 0;
}

/* A line never has a control character in it; zeros are what a power cut
 * leaves where a block was not written. */
static int check_bytes(const struct scan *s, const char *bytes, size_t len)
{
	return memchr(bytes, '\0', len) ? scan_damaged(s, "NUL bytes in the line") : 0;
}

static int check_last(const struct scan *s, char last)
{
	return last == '}' ? 0 : scan_damaged(s, "the line does not end in }");
}

/* The LF of the line is data[to]: go on behind it. */
static void end_line(struct scan *s, size_t to)
{
	s->pos = s->scan = to + 1;
	s->good_end = s->offset - (s->end - s->pos);
}

/* The line data[pos..to) is complete. */
static int take_line(struct scan *s, size_t to, struct scan_entry *e)
{
	const char *line = s->data + s->pos;
	size_t len = to - s->pos;
	int code = parse_head(s, line, len, e);
	if (!code) {
		code = check_bytes(s, line, len);
	}
	if (!code) {
		code = check_last(s, line[len - 1]);
	}
	end_line(s, to);
	return code;
}

/* Is what stands behind the last LF a result line that was not finished, with
 * or without space that was never written?  Anything else is somebody's text. */
static int check_torn(const struct scan *s)
{
	const char *tail = s->data + s->pos;
	size_t len = s->end - s->pos;
	if (s->file.packed && len) {
		return scan_damaged(s, "a packed part does not end with a line");
	}
	while (len && tail[len - 1] == '\0') {
		len--;
	}
	bool ours = memcmp(tail, LINE_START, len < START_LEN ? len : START_LEN) == 0;
	return ours ? 0 : scan_damaged(s, "the last line is none of poolmap");
}

/* A line of which data[0..HEAD_MAX) is kept and the rest passes through the
 * block behind it. */
struct long_line {
	bool zeros; /* nothing but zeros so far: maybe a tail that was not written */
	char last;  /* the byte before the block */
};

/* Check data[HEAD_MAX..to), none of which is LF, and forget it. */
static int pass_block(struct scan *s, struct long_line *l, size_t to)
{
	const char *block = s->data + HEAD_MAX;
	size_t len = to - HEAD_MAX;
	if (len) {
		l->last = block[len - 1];
	}
	if (l->zeros) {
		return all_zero(block, len) ? 0
					    : scan_damaged(s, "NUL bytes in the line");
	}
	return check_bytes(s, block, len);
}

/* Read until the LF is in the block, *to is its place; or until the end. */
static int find_long_end(struct scan *s, struct long_line *l, size_t *to)
{
	int code = 0;
	while (!code && !s->eof) {
		char *lf = memchr(s->data + HEAD_MAX, '\n', s->end - HEAD_MAX);
		*to = lf ? (size_t)(lf - s->data) : s->end;
		code = pass_block(s, l, *to);
		if (lf) {
			return code;
		}
		s->end = HEAD_MAX;
		code = code ? code : read_block(s);
	}
	return code;
}

/* A line that is longer than HEAD_MAX, at data[0]. */
static int take_long_line(struct scan *s, struct scan_entry *e)
{
	struct long_line l = {
		.zeros = all_zero(s->data, HEAD_MAX), .last = s->data[HEAD_MAX - 1]};
	size_t to = 0;
	int code = 0;
	if (!l.zeros) {
		code = parse_head(s, s->data, HEAD_MAX, e);
		code = code ? code : check_bytes(s, s->data, HEAD_MAX);
	}
	code = code ? code : find_long_end(s, &l, &to);
	if (code || s->eof) {
		e->prefix = NULL;
		return code;
	}
	end_line(s, to);
	return l.zeros ? scan_damaged(s, "NUL bytes in the line")
		       : check_last(s, l.last);
}

int scan_next(struct scan *s, struct scan_entry *e)
{
	s->line++;
	e->prefix = NULL;
	if (s->file.csv) {
		return scan_row_next(s, e);
	}
	for (;;) {
		const char *lf = memchr(s->data + s->scan, '\n', s->end - s->scan);
		if (lf) {
			return take_line(s, (size_t)(lf - s->data), e);
		}
		s->scan = s->end;
		if (s->eof) {
			return check_torn(s);
		}
		if (s->end - s->pos >= HEAD_MAX) {
			assert(s->pos == 0); /* the LF before was in the last block */
			return take_long_line(s, e);
		}
		int code = scan_fill(s);
		if (code) {
			return code;
		}
	}
}
