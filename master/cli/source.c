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

/* The byte order mark of a file that can be asked without consuming it. */
static int check_encoding(const struct source *s)
{
	char first[2];
	ssize_t n = pread(s->fd, first, sizeof first, s->start);
	if (n < 0) {
		return refuse_errno(s);
	}
	return n == 2 && source_is_utf16(first) ? source_refuse_utf16(s) : 0;
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
	return s->regular ? learn_regular(s) : 0;
}

/* Closed since the check: the same file must still be there. */
static int open_again(struct source *s)
{
	struct stat st;
	s->fd = open_fd(s);
	if (s->fd < 0 || fstat(s->fd, &st)) {
		return refuse_errno(s);
	}
	if (st.st_dev != s->dev || st.st_ino != s->ino) {
		return source_refuse(s, "was replaced by another file during the run");
	}
	return 0;
}

int source_begin(struct source *s)
{
	gunzip_free(s->gunzip);
	s->gunzip = NULL;
	s->offset = 0;
	int code = s->fd < 0 ? open_again(s) : 0;
	if (!code && s->regular && lseek(s->fd, s->start, SEEK_SET) < 0) {
		code = refuse_errno(s);
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

static enum source_step read_raw(struct source *s, char *out, size_t cap, size_t *len)
{
	for (;;) {
		if (!s->regular && !readable(s->fd)) {
			return SOURCE_WAIT;
		}
		ssize_t n = read(s->fd, out, cap);
		if (n >= 0) {
			s->offset += (uint64_t)n;
			*len = (size_t)n;
			return SOURCE_BYTES;
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
		message_print(s->name, "out of memory");
		return EXIT_WORKERS;
	}
	memcpy(gunzip_room(s->gunzip), bytes, len);
	gunzip_add(s->gunzip, len);
	return 0;
}
