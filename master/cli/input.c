/* SPDX-License-Identifier: MIT
 *
 * input - the job files as one stream of lines, see input.h.
 *
 * The buffer holds data[pos..end); data[pos..scan) has no line end in it.  Lines
 * are handed out as pointers into it, so bytes move only when more are read, and
 * then only those of the line that is not complete yet.
 */
#include "master/cli/input.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/gunzip.h"
#include "master/cli/message.h"
#include "master/cli/source.h"
#include "master/cli/table.h"

/* A line that is complete but for its CR and LF is at most this long. */
enum { RAW_LINE_MAX = JOB_LINE_MAX + 1 };
enum { INPUT_CAP = RAW_LINE_MAX + INPUT_BLOCK };

_Static_assert(
	(size_t)INPUT_BLOCK <= (size_t)GUNZIP_BLOCK, "what was read can be taken back");

struct input {
	struct source *sources;
	size_t source_ct;
	size_t at; /* the source that is read; source_ct: all are */
	char *data;
	size_t pos, scan, end;
	uint64_t line;   /* lines cut in this source */
	uint64_t number; /* of the line that was given last: where it begins */
	uint64_t jobs;   /* lines handed out, in all sources */
	unsigned reads;  /* since others had their turn */
	bool at_start;   /* a byte order mark may come */
	bool eof;        /* of this source */
	bool skipping;   /* the rest of a line that is too long */
	bool failed;
	bool pinned;

	struct table *table;  /* NULL: lines are jobs */
	enum row_state state; /* of the row at pos, at scan */
	struct buf job;       /* what a row says */
	char reason[TABLE_REASON_MAX + 40];
};

/* ----------------------------------------------------------------- opening */

static int open_all(struct input *in, const char *const *paths)
{
	bool stdin_seen = false;
	for (size_t i = 0; i < in->source_ct; i++) {
		struct source *s = &in->sources[i];
		bool is_stdin = strcmp(paths[i], "-") == 0;
		if (is_stdin && stdin_seen) {
			message_print("-", "standard input can be read only once");
			return EXIT_USAGE;
		}
		stdin_seen = stdin_seen || is_stdin;
		int code = source_open(s, paths[i]);
		if (code) {
			return code;
		}
		/* A pipe stays open always: its writer would die of the close. */
		if (s->regular && in->source_ct > INPUT_OPEN_MAX) {
			source_close(s);
		}
	}
	return 0;
}

/* Make the source at in->at the one that is read. */
static int begin_source(struct input *in)
{
	in->pos = in->scan = in->end = 0;
	in->line = 0;
	in->at_start = true;
	in->eof = in->skipping = false;
	in->state = ROW_START;
	if (in->table) {
		table_restart(in->table);
	}
	if (in->at == in->source_ct) {
		return 0;
	}
	int code = source_begin(&in->sources[in->at]);
	in->failed = code != 0;
	return code;
}

static struct input *new_input(size_t ct)
{
	struct input *in = calloc(1, sizeof *in);
	if (!in) {
		return NULL;
	}
	in->sources = calloc(ct, sizeof *in->sources);
	in->data = malloc(INPUT_CAP);
	if (!in->sources || !in->data) {
		input_close(in);
		return NULL;
	}
	for (size_t i = 0; i < ct; i++) {
		in->sources[i].fd = -1;
	}
	in->source_ct = ct;
	return in;
}

int input_open(struct input **out, const char *const *paths, size_t ct)
{
	assert(ct > 0);
	struct input *in = new_input(ct);
	if (!in) {
		message_print("job files", "out of memory");
		return EXIT_WORKERS;
	}
	int code = open_all(in, paths);
	if (!code) {
		code = begin_source(in);
	}
	if (code) {
		input_close(in);
		return code;
	}
	*out = in;
	return 0;
}

void input_close(struct input *in)
{
	if (!in) {
		return;
	}
	for (size_t i = 0; i < in->source_ct; i++) {
		source_fini(&in->sources[i]);
	}
	free(in->sources);
	free(in->data);
	table_free(in->table);
	buf_fini(&in->job);
	free(in);
}

int input_rewind(struct input *in)
{
	assert(input_regular(in));
	in->at = 0;
	in->jobs = 0;
	return begin_source(in);
}

/* ----------------------------------------------------------------- reading */

static void unzip(struct input *in)
{
	in->failed = source_unzip(&in->sources[in->at], in->data + in->pos,
			     in->end - in->pos) != 0;
	in->end = in->scan = in->pos;
}

/* Look for what a file may begin with, as soon as enough is there to tell. */
static void check_start(struct input *in)
{
	const struct source *s = &in->sources[in->at];
	const char *bytes = in->data + in->pos;
	size_t have = in->end - in->pos;
	if (!s->gunzip && gunzip_is_magic(bytes, have)) {
		unzip(in);
	} else if (have >= 2 && source_is_utf16(bytes)) {
		source_refuse_utf16(s);
		in->failed = true;
	} else if (have >= 3) {
		in->at_start = false;
		if (memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
			in->pos += 3;
			in->scan = in->pos;
		}
	}
}

static void make_room(struct input *in)
{
	if (in->pos) {
		memmove(in->data, in->data + in->pos, in->end - in->pos);
		in->scan -= in->pos;
		in->end -= in->pos;
		in->pos = 0;
	}
	assert(INPUT_CAP - in->end >= INPUT_BLOCK);
}

/* Read a block.  False: there is nothing yet. */
static bool fill(struct input *in)
{
	size_t len = 0;
	make_room(in);
	in->reads++;
	switch (source_read(
		&in->sources[in->at], in->data + in->end, INPUT_BLOCK, &len)) {
	case SOURCE_WAIT:
		return false;
	case SOURCE_ERROR:
		in->failed = true;
		break;
	case SOURCE_AGAIN:
		break;
	case SOURCE_BYTES:
		in->end += len;
		in->eof = len == 0;
		if (in->at_start) {
			check_start(in);
		}
		break;
	}
	return true;
}

static void next_source(struct input *in)
{
	struct source *s = &in->sources[in->at];
	if (!s->regular || in->source_ct > INPUT_OPEN_MAX) {
		source_close(s);
	}
	in->at++;
	begin_source(in);
}

/* ------------------------------------------------------------------- lines */

struct span {
	char *data;
	size_t len;
};

/* Take data[pos..to) as a line, and go on at `next`. */
static bool cut(struct input *in, struct span *raw, size_t to, size_t next)
{
	*raw = (struct span){in->data + in->pos, to - in->pos};
	in->pos = in->scan = next;
	in->at_start = false;
	in->state = ROW_START;
	return true;
}

/* Drop the rest of a line that is too long.  False: there is more of it. */
static bool skip_rest(struct input *in)
{
	const char *lf = memchr(in->data + in->pos, '\n', in->end - in->pos);
	in->pos = in->scan = lf ? (size_t)(lf + 1 - in->data) : in->end;
	in->skipping = !lf;
	return lf != NULL;
}

/* Where the LF is that ends the line or row; in->end: not there yet. */
static size_t find_end(struct input *in)
{
	static const struct row_format lines = {.quotes = false};
	const struct row_format *f = in->table ? table_format(in->table) : &lines;
	return in->scan +
	       row_end(f, &in->state, in->data + in->scan, in->end - in->scan);
}

/* The next line in the buffer, with its CR if it has one.  A row that is too long
 * ends with the line in which it becomes that, even inside of quotes: one that is
 * missing must not take the rest of the file.  False: read on. */
static bool cut_line(struct input *in, struct span *raw)
{
	if (in->skipping && !skip_rest(in)) {
		return false;
	}
	size_t to = find_end(in), most = in->pos + RAW_LINE_MAX;
	if (to > most) {
		in->skipping = true;
		/* One byte more than a line may have says that it is too long. */
		return cut(in, raw, most + 1, most + 1);
	}
	if (to < in->end) {
		return cut(in, raw, to, to + 1);
	}
	in->scan = in->end;
	return in->eof && in->end > in->pos && cut(in, raw, in->end, in->end);
}

/* Lines that a row stands in. */
static uint64_t lines_in(const struct span *s)
{
	uint64_t ct = 1;
	const char *at = s->data, *end = s->data + s->len;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		ct++;
		at++;
	}
	return ct;
}

static bool is_blank(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] != ' ' && s.data[i] != '\t' && s.data[i] != '\r') {
			return false;
		}
	}
	return true;
}

/* Does the line hold a job?  Takes the CR off, and all of a line that is too
 * long.  That is asked before blank lines are: a line that long may not have
 * been read to its end, and the answer must not depend on how it was read. */
static bool is_job(const struct input *in, struct span *s, bool *bad)
{
	if (!in->table && s->len && s->data[0] == '#') {
		return false;
	}
	if (s->len && s->data[s->len - 1] == '\r') {
		s->len--;
	}
	*bad = s->len > JOB_LINE_MAX;
	if (*bad) {
		s->len = 0;
		return true;
	}
	return !is_blank(*s);
}

/* -------------------------------------------------------------------- rows */

static void out_of_memory(struct input *in)
{
	message_print(input_name(in), "out of memory");
	in->failed = true;
}

/* The names of the columns. */
static void read_names(struct input *in, struct span *s, bool bad)
{
	char why[TABLE_REASON_MAX] = "longer than 1 MiB";
	int err = bad ? PM_EINVAL : table_names(in->table, s->data, s->len, why);
	if (err == PM_ENOMEM) {
		out_of_memory(in);
	} else if (err) {
		message_at(input_name(in), in->number, "the names of the columns: %s",
			why);
		in->failed = true;
	}
}

/* The row in *s becomes the line of its job, or the reason why there is none. */
static void read_row(struct input *in, struct span *s, bool *bad)
{
	char why[TABLE_REASON_MAX];
	buf_clear(&in->job);
	int err = table_job(in->table, s->data, s->len, &in->job, why);
	if (err == PM_ENOMEM) {
		out_of_memory(in);
		return;
	}
	*bad = err || in->job.len > JOB_LINE_MAX;
	if (err) {
		int len = snprintf(in->reason, sizeof in->reason,
			"line %" PRIu64 ": %s", in->number, why);
		*s = (struct span){in->reason, (size_t)len};
	} else {
		*s = (struct span){in->job.data, *bad ? 0 : in->job.len};
	}
}

/* False: it is no job. */
static bool take_row(struct input *in, struct span *s, bool *bad)
{
	if (table_wants_names(in->table)) {
		read_names(in, s, *bad);
		return false;
	}
	if (!*bad) {
		read_row(in, s, bad);
	}
	return !in->failed;
}

/* -------------------------------------------------------------------- jobs */

/* The line that was cut: is it a job? */
static bool take_line(struct input *in, struct span *s, bool *bad)
{
	in->number = in->line + 1;
	in->line += in->table ? lines_in(s) : 1;
	return is_job(in, s, bad) && (!in->table || take_row(in, s, bad));
}

enum input_step input_try(struct input *in, const char **line, size_t *len, bool *bad)
{
	while (!in->failed && in->at < in->source_ct) {
		struct span s;
		if (!cut_line(in, &s)) {
			if (in->eof) {
				next_source(in);
			} else if (in->reads >= INPUT_READS_MAX) {
				in->reads = 0;
				return INPUT_AGAIN;
			} else if (!fill(in)) {
				return INPUT_WAIT;
			}
		} else if (take_line(in, &s, bad)) {
			in->jobs++;
			*line = s.data;
			*len = s.len;
			return INPUT_LINE;
		}
	}
	return in->failed ? INPUT_ERROR : INPUT_END;
}

enum input_step input_next(struct input *in, const char **line, size_t *len, bool *bad)
{
	enum input_step step;
	do {
		step = input_try(in, line, len, bad);
	} while (step == INPUT_AGAIN);
	return step;
}

/* ----------------------------------------------------------------- pinning */

int input_pin(struct input *in)
{
	int code = 0;
	uint64_t left = INPUT_PIN_MAX;
	assert(input_regular(in));
	for (size_t i = 0; i < in->source_ct && !code && !in->pinned; i++) {
		code = source_pin(&in->sources[i], left);
		left -= in->sources[i].pin.hashed;
	}
	in->pinned = in->pinned || !code;
	return code ? code : input_rewind(in);
}

size_t input_file_ct(const struct input *in)
{
	return in->source_ct;
}

struct input_file input_file(const struct input *in, size_t i)
{
	const struct source *s = &in->sources[i];
	return (struct input_file){
		s->path, s->name, s->pin.bytes, s->pin.hashed, s->pin.sha256};
}

int input_digest(
	struct input *in, size_t i, uint64_t bytes, char sha256[DIGEST_HEX_LEN + 1])
{
	return source_digest(&in->sources[i], bytes, sha256);
}

/* ------------------------------------------------------------------- tables */

/* The names of a file that can be read now, so that a wrong one is found before
 * the run creates anything. */
static int read_first_names(struct input *in)
{
	struct span s;
	bool bad;
	while (!in->failed && in->sources[in->at].regular && !in->eof &&
		table_wants_names(in->table)) {
		if (!cut_line(in, &s)) {
			fill(in);
		} else {
			take_line(in, &s, &bad);
		}
	}
	return in->failed ? EXIT_INPUT : 0;
}

int input_as_table(
	struct input *in, char delimiter, bool quotes, const char *url_column)
{
	struct row_format format = {delimiter, quotes};
	switch (table_new(&in->table, &format, url_column)) {
	case 0:
		return read_first_names(in);
	case PM_ENOMEM:
		out_of_memory(in);
		return EXIT_WORKERS;
	default:
		message_print("--url-column", "%.20s: out of range, 1 to %d",
			url_column, (int)TABLE_COLUMNS_MAX);
		return EXIT_USAGE;
	}
}

/* ------------------------------------------------------------------- asking */

uint64_t input_index(const struct input *in)
{
	return in->jobs ? in->jobs - 1 : 0;
}

uint64_t input_line_number(const struct input *in)
{
	return in->number;
}

const char *input_name(const struct input *in)
{
	size_t at = in->at < in->source_ct ? in->at : in->source_ct - 1;
	return in->sources[at].name;
}

int input_fd(const struct input *in)
{
	bool waits = in->at < in->source_ct && !in->sources[in->at].regular;
	return waits ? in->sources[in->at].fd : -1;
}

bool input_regular(const struct input *in)
{
	for (size_t i = 0; i < in->source_ct; i++) {
		if (!in->sources[i].regular) {
			return false;
		}
	}
	return true;
}

bool input_has_file(const struct input *in, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < in->source_ct; i++) {
		if (in->sources[i].dev == dev && in->sources[i].ino == ino) {
			return true;
		}
	}
	return false;
}
