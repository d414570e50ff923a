/* SPDX-License-Identifier: MIT
 *
 * input - the job files as one stream of lines, see input.h.
 *
 * The buffer holds data[pos..end); data[pos..scan) has no LF in it.  Lines are
 * handed out as pointers into it, so bytes move only when more are read, and
 * then only those of the line that is not complete yet.
 */
#include "master/cli/input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/cli/message.h"

/* A line that is complete but for its CR and LF is at most this long. */
enum { RAW_LINE_MAX = JOB_LINE_MAX + 1 };
enum { INPUT_CAP = RAW_LINE_MAX + INPUT_BLOCK };

struct source {
	const char *path;
	const char *name; /* for messages */
	int fd;           /* -1: not open now */
	bool is_stdin;
	bool regular; /* or a disk: never makes us wait */
	off_t start;  /* where its first line is; standard input may be past 0 */
	dev_t dev;
	ino_t ino;
};

struct input {
	struct source *sources;
	size_t source_ct;
	size_t at; /* the source that is read; source_ct: all are */
	char *data;
	size_t pos, scan, end;
	uint64_t offset; /* bytes read from this source */
	uint64_t line;   /* lines cut in this source */
	uint64_t jobs;   /* lines handed out, in all sources */
	bool at_start;   /* a byte order mark may come */
	bool eof;        /* of this source */
	bool skipping;   /* the rest of a line that is too long */
	bool failed;
};

/* ----------------------------------------------------------------- opening */

static int refuse(const struct source *s, const char *why)
{
	message_print(s->name, "%s", why);
	return EXIT_INPUT;
}

static int refuse_errno(const struct source *s)
{
	message_errno(s->name, errno);
	return EXIT_INPUT;
}

static int refuse_utf16(const struct source *s)
{
	return refuse(s, "looks like UTF-16; convert it with iconv");
}

static bool is_utf16(const char *bytes)
{
	return memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0;
}

/* O_NONBLOCK, because the open of a FIFO would wait for its writer. */
static int open_fd(const struct source *s)
{
	return s->is_stdin
		       ? STDIN_FILENO
		       : open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static void close_fd(struct source *s)
{
	if (s->fd >= 0 && !s->is_stdin) {
		close(s->fd);
	}
	s->fd = -1;
}

/* The byte order mark of a file that can be asked without consuming it. */
static int check_encoding(const struct source *s)
{
	char first[2];
	ssize_t n = pread(s->fd, first, sizeof first, s->start);
	if (n < 0) {
		return refuse_errno(s);
	}
	return n == 2 && is_utf16(first) ? refuse_utf16(s) : 0;
}

static int learn_regular(struct source *s)
{
	s->start = s->is_stdin ? lseek(s->fd, 0, SEEK_CUR) : 0;
	if (s->start < 0) {
		return refuse_errno(s);
	}
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return check_encoding(s);
}

static int first_open(struct source *s)
{
	struct stat st;
	s->fd = open_fd(s);
	if (s->fd < 0 || fstat(s->fd, &st)) {
		return refuse_errno(s);
	}
	if (S_ISDIR(st.st_mode)) {
		return refuse(s, "is a directory, not a job file");
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	return s->regular ? learn_regular(s) : 0;
}

/* Closed since the check: the same file must still be there. */
static int second_open(struct source *s)
{
	struct stat st;
	s->fd = open_fd(s);
	if (s->fd < 0 || fstat(s->fd, &st)) {
		return refuse_errno(s);
	}
	if (st.st_dev != s->dev || st.st_ino != s->ino) {
		return refuse(s, "was replaced by another file during the run");
	}
	return 0;
}

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
		*s = (struct source){.path = paths[i], .fd = -1, .is_stdin = is_stdin};
		s->name = is_stdin ? "standard input" : paths[i];
		int code = first_open(s);
		if (code) {
			return code;
		}
		/* A pipe stays open always: its writer would die of the close. */
		if (s->regular && in->source_ct > INPUT_OPEN_MAX) {
			close_fd(s);
		}
	}
	return 0;
}

/* Make the source at in->at the one that is read. */
static int begin_source(struct input *in)
{
	in->pos = in->scan = in->end = 0;
	in->offset = in->line = 0;
	in->at_start = true;
	in->eof = in->skipping = false;
	if (in->at == in->source_ct) {
		return 0;
	}
	struct source *s = &in->sources[in->at];
	int code = s->fd < 0 ? second_open(s) : 0;
	if (!code && s->regular && lseek(s->fd, s->start, SEEK_SET) < 0) {
		code = refuse_errno(s);
	}
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
		close_fd(&in->sources[i]);
	}
	free(in->sources);
	free(in->data);
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

static void fail(struct input *in, int error)
{
	message_print(in->sources[in->at].name,
		"cannot be read on at byte %" PRIu64 ": %s", in->offset,
		strerror(error));
	in->failed = true;
}

/* Look for a byte order mark, as soon as enough is there to tell. */
static void check_start(struct input *in)
{
	size_t have = in->end - in->pos;
	if (have >= 2 && is_utf16(in->data + in->pos)) {
		refuse_utf16(&in->sources[in->at]);
		in->failed = true;
	} else if (have >= 3) {
		in->at_start = false;
		if (memcmp(in->data + in->pos, "\xef\xbb\xbf", 3) == 0) {
			in->pos += 3;
			in->scan = in->pos;
		}
	}
}

/* May a read be made that does not block?  A closed or broken descriptor is
 * ready as well: the read says what is wrong with it. */
static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) > 0;
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

static void accept_bytes(struct input *in, size_t len)
{
	in->end += len;
	in->offset += len;
	in->eof = len == 0;
	if (in->at_start) {
		check_start(in);
	}
}

/* Read a block.  False: there is nothing yet. */
static bool fill(struct input *in)
{
	const struct source *s = &in->sources[in->at];
	make_room(in);
	for (;;) {
		if (!s->regular && !readable(s->fd)) {
			return false;
		}
		ssize_t n = read(s->fd, in->data + in->end, INPUT_BLOCK);
		if (n >= 0) {
			accept_bytes(in, (size_t)n);
			return true;
		}
		if (errno == EAGAIN) {
			return false;
		}
		if (errno != EINTR) {
			fail(in, errno);
			return true;
		}
	}
}

static void next_source(struct input *in)
{
	struct source *s = &in->sources[in->at];
	if (!s->regular || in->source_ct > INPUT_OPEN_MAX) {
		close_fd(s);
	}
	in->at++;
	begin_source(in);
}

/* ------------------------------------------------------------------- lines */

struct span {
	const char *data;
	size_t len;
};

/* Take data[pos..to) as a line, and go on at `next`. */
static bool cut(struct input *in, struct span *raw, size_t to, size_t next)
{
	*raw = (struct span){in->data + in->pos, to - in->pos};
	in->pos = in->scan = next;
	in->at_start = false;
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

/* The next line in the buffer, with its CR if it has one.  False: read on. */
static bool cut_line(struct input *in, struct span *raw)
{
	if (in->skipping && !skip_rest(in)) {
		return false;
	}
	const char *lf = memchr(in->data + in->scan, '\n', in->end - in->scan);
	if (lf) {
		size_t to = (size_t)(lf - in->data);
		return cut(in, raw, to, to + 1);
	}
	in->scan = in->end;
	if (in->end - in->pos > RAW_LINE_MAX) {
		in->skipping = true;
		return cut(in, raw, in->end, in->end);
	}
	return in->eof && in->end > in->pos && cut(in, raw, in->end, in->end);
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
static bool is_job(struct span *s, bool *too_long)
{
	if (s->len && s->data[0] == '#') {
		return false;
	}
	if (s->len && s->data[s->len - 1] == '\r') {
		s->len--;
	}
	*too_long = s->len > JOB_LINE_MAX;
	if (*too_long) {
		s->len = 0;
		return true;
	}
	return !is_blank(*s);
}

enum input_step input_next(
	struct input *in, const char **line, size_t *len, bool *too_long)
{
	while (!in->failed && in->at < in->source_ct) {
		struct span s;
		if (!cut_line(in, &s)) {
			if (in->eof) {
				next_source(in);
			} else if (!fill(in)) {
				return INPUT_WAIT;
			}
			continue;
		}
		in->line++;
		if (is_job(&s, too_long)) {
			in->jobs++;
			*line = s.data;
			*len = s.len;
			return INPUT_LINE;
		}
	}
	return in->failed ? INPUT_ERROR : INPUT_END;
}

/* ------------------------------------------------------------------- asking */

uint64_t input_index(const struct input *in)
{
	return in->jobs ? in->jobs - 1 : 0;
}

uint64_t input_line_number(const struct input *in)
{
	return in->line;
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
