/* SPDX-License-Identifier: MIT
 *
 * source - one job file: opened, checked, read, and decompressed, see source.h.
 */
#include "master/cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/cli/gunzip.h"
#include "master/cli/message.h"

/* ----------------------------------------------------------------- opening */

int source_refuse(const struct source *s, const char *why)
{
	message_print(s->name, "%s", why);
	return EXIT_INPUT;
}

static int refuse_errno(const struct source *s)
{
	message_errno(s->name, errno);
	return EXIT_INPUT;
}

int source_refuse_utf16(const struct source *s)
{
	return source_refuse(s, "looks like UTF-16; convert it with iconv");
}

bool source_is_utf16(const char *bytes)
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

void source_close(struct source *s)
{
	gunzip_free(s->gunzip);
	s->gunzip = NULL;
	if (s->fd >= 0 && !s->is_stdin) {
		close(s->fd);
	}
	s->fd = -1;
}

void source_fini(struct source *s)
{
	source_close(s);
	pin_fini(&s->pin);
}

/* The byte order mark of a file that can be asked without consuming it. */
static int check_encoding(const struct source *s)
{
	char first[2];
	ssize_t n = pread(s->fd, first, sizeof first, s->pin.start);
	if (n < 0) {
		return refuse_errno(s);
	}
	return n == 2 && source_is_utf16(first) ? source_refuse_utf16(s) : 0;
}

/* Standard input may be past its first line. */
static int learn_regular(struct source *s, const struct stat *st)
{
	off_t start = s->is_stdin ? lseek(s->fd, 0, SEEK_CUR) : 0;
	if (start < 0) {
		return refuse_errno(s);
	}
	pin_init(&s->pin, st, start);
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return check_encoding(s);
}

int source_open(struct source *s, const char *path)
{
	struct stat st;
	bool is_stdin = strcmp(path, "-") == 0;
	*s = (struct source){.path = path,
		.name = is_stdin ? "standard input" : path,
		.is_stdin = is_stdin};
	s->fd = open_fd(s);
	if (s->fd < 0 || fstat(s->fd, &st)) {
		return refuse_errno(s);
	}
	if (S_ISDIR(st.st_mode)) {
		return source_refuse(s, "is a directory, not a job file");
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	return s->regular ? learn_regular(s, &st) : 0;
}

static bool is_other(const struct source *s, const struct stat *st)
{
	return st->st_dev != s->dev || st->st_ino != s->ino;
}

/* Closed since the check: the same file must still be there. */
static int open_again(struct source *s)
{
	struct stat st;
	s->fd = open_fd(s);
	if (s->fd < 0 || fstat(s->fd, &st)) {
		return refuse_errno(s);
	}
	if (is_other(s, &st)) {
		return source_refuse(s, "was replaced by another file during the run");
	}
	return 0;
}

static int no_memory(const struct source *s)
{
	message_print(s->name, "out of memory");
	return EXIT_WORKERS;
}

int source_begin(struct source *s)
{
	gunzip_free(s->gunzip);
	s->gunzip = NULL;
	s->offset = 0;
	int code = s->fd < 0 ? open_again(s) : 0;
	if (!code && s->regular && lseek(s->fd, s->pin.start, SEEK_SET) < 0) {
		code = refuse_errno(s);
	}
	return !code && pin_begin(&s->pin) ? no_memory(s) : code;
}

/* ----------------------------------------------------------------- pinning */

/* What pinning returned. */
static int pin_code(const struct source *s, int err)
{
	return !err ? 0 : err == PM_ENOMEM ? no_memory(s) : refuse_errno(s);
}

int source_pin(struct source *s, uint64_t most)
{
	bool was_closed = s->fd < 0;
	int code = was_closed ? open_again(s) : 0;
	code = code ? code : pin_code(s, pin_take(&s->pin, s->fd, most));
	if (was_closed) {
		source_close(s);
	}
	return code;
}

int source_digest(struct source *s, uint64_t bytes, char sha256[DIGEST_HEX_LEN + 1])
{
	uint64_t unused;
	bool was_closed = s->fd < 0;
	int code = was_closed ? open_again(s) : 0;
	if (!code) {
		code = pin_code(s, pin_digest(&s->pin, s->fd, bytes, &unused, sha256));
	}
	if (was_closed) {
		source_close(s);
	}
	return code;
}

/* ----------------------------------------------------------------- reading */

/* May a read be made that does not block?  A closed or broken descriptor is
 * ready as well: the read says what is wrong with it. */
static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

static enum source_step fail(const struct source *s, const char *why)
{
	message_print(
		s->name, "cannot be read on at byte %" PRIu64 ": %s", s->offset, why);
	return SOURCE_ERROR;
}

/* Is there another file by that name now?  None at all is fine, we have it. */
static bool was_replaced(const struct source *s)
{
	struct stat st;
	return s->pin.sized && !s->is_stdin && stat(s->path, &st) == 0 &&
	       is_other(s, &st);
}

/* All is read that was there when it was opened. */
static enum source_step end(struct source *s)
{
	uint64_t bytes = 0;
	enum pin_growth growth = pin_growth(&s->pin, s->fd, &bytes);
	if (!pin_holds(&s->pin)) {
		return fail(s, "it was edited during the run");
	}
	if (growth == PIN_IN_LINE && !s->gunzip) {
		return fail(s, "its last line was not complete at the start of the "
			       "run, and is longer now");
	}
	if (growth != PIN_SAME) {
		message_print(s->name,
			"has grown from %" PRIu64 " to %" PRIu64
			" bytes during the run; what was added is left out",
			s->pin.bytes, bytes);
	}
	return SOURCE_BYTES;
}

/* No more bytes came, or are wanted. */
static enum source_step stop_reading(struct source *s)
{
	if (!s->regular) {
		return SOURCE_BYTES;
	}
	return pin_room(&s->pin, s->offset, 1) && s->pin.sized
		       ? fail(s, "it was cut short during the run")
		       : end(s);
}

static enum source_step took(struct source *s, const char *bytes, size_t len)
{
	s->offset += len;
	pin_add(&s->pin, bytes, len);
	if (len == 0) {
		return stop_reading(s);
	}
	return was_replaced(s) ? fail(s, "another file has taken its place during the "
					 "run")
			       : SOURCE_BYTES;
}

static enum source_step read_raw(struct source *s, char *out, size_t cap, size_t *len)
{
	size_t room = pin_room(&s->pin, s->offset, cap);
	for (;;) {
		if (!s->regular && !readable(s->fd)) {
			return SOURCE_WAIT;
		}
		ssize_t n = room ? read(s->fd, out, room) : 0;
		if (n >= 0) {
			*len = (size_t)n;
			return took(s, out, *len);
		}
		if (errno == EAGAIN) {
			return SOURCE_WAIT;
		}
		if (errno != EINTR) {
			return fail(s, strerror(errno));
		}
	}
}

/* More compressed bytes.  *ended: there are none, and need not be. */
static enum source_step refill(struct source *s, bool *ended)
{
	size_t len = 0;
	enum source_step step = read_raw(s, gunzip_room(s->gunzip), GUNZIP_BLOCK, &len);
	if (step != SOURCE_BYTES) {
		return step;
	}
	gunzip_add(s->gunzip, len);
	*ended = len == 0;
	return *ended && !gunzip_is_whole(s->gunzip)
		       ? fail(s, "the compressed data end too early; is the file "
				 "whole?")
		       : SOURCE_BYTES;
}

static enum source_step read_unzipped(
	struct source *s, char *out, size_t cap, size_t *len)
{
	const char *why;
	bool ended = false;
	enum source_step step = SOURCE_BYTES;
	switch (gunzip_next(s->gunzip, out, cap, len, &why)) {
	case GUNZIP_BYTES:
		return SOURCE_BYTES;
	case GUNZIP_BAD:
		message_print(s->name, "damaged gzip data before byte %" PRIu64 ": %s",
			s->offset, why);
		return SOURCE_ERROR;
	case GUNZIP_MORE:
		step = refill(s, &ended);
		break;
	}
	*len = 0;
	return step == SOURCE_BYTES && !ended ? SOURCE_AGAIN : step;
}

enum source_step source_read(struct source *s, char *out, size_t cap, size_t *len)
{
	return s->gunzip ? read_unzipped(s, out, cap, len) : read_raw(s, out, cap, len);
}

int source_unzip(struct source *s, const char *bytes, size_t len)
{
	s->gunzip = gunzip_new();
	if (!s->gunzip) {
		return no_memory(s);
	}
	memcpy(gunzip_room(s->gunzip), bytes, len);
	gunzip_add(s->gunzip, len);
	return 0;
}
