/* SPDX-License-Identifier: MIT
 *
 * report_source - the bytes of a results file, see report_source.h.
 */
#include "master/cli/report_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/cli/gunzip.h"
#include "master/cli/message.h"
#include "master/cli/pack.h"

static int cannot_read(const struct report_source *s)
{
	message_print(s->name, "cannot be read: %s", strerror(errno));
	return EXIT_INPUT;
}

static int no_memory(const struct report_source *s)
{
	message_print(s->name, "out of memory");
	return EXIT_WORKERS;
}

/* -------------------------------------------------------------------- reading */

/* Others may have made standard input one that does not wait. */
static ssize_t read_waiting(int fd, char *bytes, size_t cap)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	ssize_t n;
	do {
		n = read(fd, bytes, cap);
		if (n < 0 && errno == EAGAIN) {
			(void)poll(&readable, 1, -1);
		}
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n;
}

/* As they stand in the file. */
static int read_raw(struct report_source *s, char *bytes, size_t cap, size_t *len)
{
	if (s->first_ct) {
		memcpy(bytes, s->first, s->first_ct);
		*len = s->first_ct;
		s->first_ct = 0;
		return 0;
	}
	ssize_t n = read_waiting(s->fd, bytes, s->left < cap ? (size_t)s->left : cap);
	if (n < 0) {
		return cannot_read(s);
	}
	s->left -= s->left == UINT64_MAX ? 0 : (uint64_t)n;
	*len = (size_t)n;
	return 0;
}

/* An error of unpack. */
static int cannot_unpack(const struct report_source *s, int err)
{
	if (err != PM_EINVAL) {
		return cannot_read(s);
	}
	message_print(
		s->name, "not a packed results file of poolmap, or damaged: no gzip");
	return EXIT_MISMATCH;
}

static int read_unpack(struct report_source *s, char *bytes, size_t cap, size_t *len)
{
	long n = unpack_read(s->unpack, bytes, cap);
	*len = n > 0 ? (size_t)n : 0;
	return n < 0 ? cannot_unpack(s, (int)n) : 0;
}

static int read_gunzip(struct report_source *s, char *bytes, size_t cap, size_t *len)
{
	const char *why = "";
	size_t raw;
	for (;;) {
		switch (gunzip_next(s->gunzip, bytes, cap, len, &why)) {
		case GUNZIP_BYTES:
			return 0;
		case GUNZIP_BAD:
			message_print(s->name,
				"not a packed results file of poolmap, or damaged: %s",
				why);
			return EXIT_MISMATCH;
		case GUNZIP_MORE:
			break;
		}
		int code = read_raw(s, gunzip_room(s->gunzip), GUNZIP_BLOCK, &raw);
		if (code || !raw) {
			s->torn = !gunzip_is_whole(s->gunzip);
			*len = 0;
			return code;
		}
		gunzip_add(s->gunzip, raw);
	}
}

int report_source_read(struct report_source *s, char *bytes, size_t cap, size_t *len)
{
	return s->unpack   ? read_unpack(s, bytes, cap, len)
	       : s->gunzip ? read_gunzip(s, bytes, cap, len)
			   : read_raw(s, bytes, cap, len);
}

/* -------------------------------------------------------------------- opening */

/* What counts of it is known before its first byte is. */
static int begin_unpack(struct report_source *s)
{
	uint64_t end, torn = 0;
	s->unpack = unpack_new(s->fd, true);
	if (!s->unpack) {
		return no_memory(s);
	}
	int err = unpack_find_end(s->unpack, &end, &torn);
	s->torn = torn > 0;
	return err ? cannot_unpack(s, err) : 0;
}

/* Its first bytes can be read once only. */
static int begin_stream(struct report_source *s)
{
	while (s->first_ct < sizeof s->first) {
		ssize_t n = read_waiting(
			s->fd, s->first + s->first_ct, sizeof s->first - s->first_ct);
		if (n < 0) {
			return cannot_read(s);
		}
		if (n == 0) {
			return 0;
		}
		s->first_ct += (size_t)n;
	}
	if (gunzip_is_magic(s->first, s->first_ct)) {
		s->gunzip = gunzip_new();
		return s->gunzip ? 0 : no_memory(s);
	}
	return 0;
}

/* Standard input may be a file of which others have read a part. */
static bool is_whole_file(const struct report_source *s, const struct stat *st)
{
	return S_ISREG(st->st_mode) && lseek(s->fd, 0, SEEK_CUR) == 0;
}

int report_source_open(struct report_source *s, const char *path)
{
	struct stat st;
	bool is_stdin = strcmp(path, "-") == 0;
	*s = (struct report_source){
		.name = is_stdin ? "standard input" : path, .left = UINT64_MAX};
	s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (s->fd < 0 || fstat(s->fd, &st)) {
		return cannot_read(s);
	}
	if (!is_whole_file(s, &st)) {
		return begin_stream(s);
	}
	s->left = (uint64_t)st.st_size;
	return unpack_is_packed(s->fd) ? begin_unpack(s) : 0;
}

void report_source_close(struct report_source *s)
{
	unpack_free(s->unpack);
	gunzip_free(s->gunzip);
	if (s->fd > STDIN_FILENO) {
		close(s->fd);
	}
	*s = (struct report_source){.fd = -1};
}
