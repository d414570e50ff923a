/* SPDX-License-Identifier: MIT
 *
 * merge - results of an earlier run that stay, see merge.h.
 *
 * text[at..) holds unpacked bytes of the earlier file, the first of which begin
 * a line.  A line is held as a whole: it was as large as a result once.
 */
#include "master/cli/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/message.h"
#include "master/cli/pack.h"
#include "master/cli/scan.h"

enum { BLOCK = 256 * 1024 };

struct merge {
	const char *name;
	int fd;
	const struct csv *csv;
	struct resume *results;
	struct unpack *source;
	bool in_order;   /* of its lines, and wanted so */
	uint64_t row;    /* of the line at text[at], 0 and up */
	uint64_t passed; /* a job up to here has its new result in the output */
	uint64_t copied_ct;
	struct buf text;
	size_t at;
	size_t seen; /* bytes behind `at` that hold no end of a line */
	bool quoted; /* inside quotes of CSV, behind those */
	bool eof;
	struct buf cell;
};

static int no_memory(const struct merge *m)
{
	message_print(m->name, "out of memory");
	return EXIT_WORKERS;
}

/* -------------------------------------------------------------------- opening */

static int refuse(const struct merge *m, int code, const char *why)
{
	message_print(m->name, "%s", why);
	return code;
}

static int open_file(struct merge *m, const struct settings *want)
{
	struct stat mine, output;
	m->fd = open(m->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (m->fd < 0 || fstat(m->fd, &mine)) {
		message_errno(m->name, errno);
		return EXIT_USAGE;
	}
	if (!S_ISREG(mine.st_mode)) {
		return refuse(m, EXIT_USAGE, "is not a regular file");
	}
	if (stat(want->output, &output) == 0 && output.st_dev == mine.st_dev &&
		output.st_ino == mine.st_ino) {
		return refuse(m, EXIT_USAGE,
			"is the output, too; name another with -o, it gets all "
			"results");
	}
	if (flock(m->fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK) {
		return refuse(
			m, EXIT_MISMATCH, "in use by another run; wait for its end");
	}
	return 0;
}

/* The second reading, of what the first one found to be complete. */
static int open_source(struct merge *m, bool packed)
{
	uint64_t end, torn;
	m->source = unpack_new(m->fd, packed);
	if (!m->source) {
		return no_memory(m);
	}
	if (packed && unpack_find_end(m->source, &end, &torn)) {
		return refuse(m, EXIT_MISMATCH, "cannot be read a second time");
	}
	return 0;
}

static int open_all(struct merge *m, const struct settings *want, struct input *in)
{
	if (!input_regular(in)) {
		message_print("--retry-failed", "needs a regular job file");
		return EXIT_USAGE;
	}
	int code = open_file(m, want);
	if (code) {
		return code;
	}
	struct scan_file file = {.fd = m->fd,
		.name = m->name,
		.packed = unpack_is_packed(m->fd),
		.csv = m->csv,
		.kept = true};
	code = resume_read(&m->results, &file, in, want->unordered);
	m->in_order = !want->unordered;
	return code ? code : open_source(m, file.packed);
}

int merge_open(struct merge **out, const struct settings *want, struct input *in,
	const struct csv *csv)
{
	struct merge *m = calloc(1, sizeof *m);
	if (!m) {
		message_print(want->retry_failed, "out of memory");
		return EXIT_WORKERS;
	}
	m->name = want->retry_failed;
	m->fd = -1;
	m->csv = csv;
	int code = open_all(m, want, in);
	if (code) {
		merge_close(m);
		return code;
	}
	*out = m;
	return 0;
}

void merge_close(struct merge *m)
{
	if (!m) {
		return;
	}
	unpack_free(m->source);
	resume_free(m->results);
	buf_fini(&m->text);
	buf_fini(&m->cell);
	if (m->fd >= 0) {
		close(m->fd);
	}
	free(m);
}

bool merge_has(const struct merge *m, uint64_t index)
{
	return m && resume_ok(m->results, index);
}

uint64_t merge_copied_ct(const struct merge *m)
{
	return m ? m->copied_ct : 0;
}

/* -------------------------------------------------------------------- reading */

static int fill(struct merge *m)
{
	buf_consume(&m->text, m->at);
	m->at = 0;
	if (buf_reserve(&m->text, BLOCK)) {
		return no_memory(m);
	}
	long n = unpack_read(m->source, m->text.data + m->text.len, BLOCK);
	if (n < 0) {
		message_print(m->name, "cannot be read on");
		return EXIT_OUTPUT;
	}
	m->text.len += (size_t)n;
	m->eof = n == 0;
	return 0;
}

/* The length of the line at text[at], its LF included; 0: its end is not here. */
static size_t line_length(struct merge *m)
{
	const char *line = m->text.data + m->at;
	size_t len = m->text.len - m->at;
	if (!m->csv) {
		const char *lf = memchr(line + m->seen, '\n', len - m->seen);
		m->seen = lf ? m->seen : len;
		return lf ? (size_t)(lf - line) + 1 : 0;
	}
	for (; m->seen < len; m->seen++) {
		m->quoted ^= m->csv && line[m->seen] == '"';
		if (line[m->seen] == '\n' && !m->quoted) {
			return m->seen + 1;
		}
	}
	return 0;
}

/* The line at text[at]; *len 0: there is none, a torn one does not count. */
static int peek(struct merge *m, size_t *len)
{
	int code = 0;
	*len = m->text.len > m->at ? line_length(m) : 0;
	while (!code && !*len && !m->eof) {
		code = fill(m);
		*len = code || m->eof ? 0 : line_length(m);
	}
	return code;
}

static void skip(struct merge *m, size_t len)
{
	m->at += len;
	m->seen = 0;
	m->quoted = false;
	m->row++;
}

/* Without the row of names. */
static uint64_t rows_read(const struct merge *m)
{
	return m->row - (m->csv && m->row);
}

static int changed(const struct merge *m)
{
	return refuse(m, EXIT_MISMATCH, "was changed during the run");
}

/* Whose result the line is.  The file was checked already, so that what cannot
 * be read now was changed meanwhile. */
static int index_of(struct merge *m, size_t len, uint64_t *index)
{
	const char *line = m->text.data + m->at;
	struct scan_entry e = {0};
	bool bad = false;
	if (m->in_order) {
		*index = rows_read(m);
		return 0;
	}
	if (m->csv) {
		buf_clear(&m->cell);
		if (csv_cell(&m->cell, line, len,
			    (size_t)csv_column(m->csv, CSV_INDEX))) {
			return no_memory(m);
		}
		bad = !m->cell.len || !scan_index(m->cell.data, m->cell.len, index);
	} else {
		bad = scan_line(line, len, &e) != NULL;
		*index = e.index;
	}
	return bad ? changed(m) : 0;
}

/* -------------------------------------------------------------------- copying */

/* Copy lines while their jobs are before `end`.  `stop`: and up to the first
 * that is not ok and has no new result either. */
static int copy(struct merge *m, struct output *o, const struct resume *done,
	uint64_t end, bool stop)
{
	size_t len, bytes = 0;
	uint64_t index;
	for (;;) {
		int code = peek(m, &len);
		if (!code && !len && rows_read(m) < resume_done_ct(m->results)) {
			code = changed(m);
		}
		if (code || !len) {
			return code;
		}
		if (bytes >= MERGE_PART_BYTES) {
			return MERGE_MORE;
		}
		if (m->csv && m->row == 0) {
			skip(m, len);
			continue;
		}
		code = index_of(m, len, &index);
		if (code || index >= end) {
			return code;
		}
		bool ok = resume_ok(m->results, index);
		if (!ok && stop && index >= m->passed && !resume_done(done, index)) {
			return 0;
		}
		if (ok && !resume_done(done, index)) {
			if (output_blocked(o)) {
				return MERGE_MORE;
			}
			code = output_put(o, m->text.data + m->at, len);
			if (code) {
				return code;
			}
			m->copied_ct++;
		}
		bytes += len;
		skip(m, len);
	}
}

int merge_before(
	struct merge *m, struct output *o, const struct resume *done, uint64_t index)
{
	int code = copy(m, o, done, m->in_order ? index : UINT64_MAX, false);
	if (!code) {
		m->passed = index + 1;
	}
	return code;
}

int merge_rest(struct merge *m, struct output *o, const struct resume *done)
{
	return copy(m, o, done, UINT64_MAX, m->in_order);
}
