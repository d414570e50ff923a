/* SPDX-License-Identifier: MIT
 *
 * output - where the result lines go, see output.h.
 *
 * A results file is cut back to a whole line when a write fails.  What may be
 * read slowly (pipes, sockets, terminals) is written only as far as it takes
 * bytes at once.  Other devices are just written.
 */
#include "master/cli/output.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "master/cli/message.h"
#include "master/cli/target.h"

/* A buffer that one huge line has grown beyond this is given back. */
enum { KEEP_MAX = 4 * OUTPUT_PENDING_MAX };

struct output {
	struct target target;
	struct buf buf; /* lines not written yet, from `head` on */
	size_t head;
	uint64_t line_ct;   /* lines put, and those that were there before */
	uint64_t synced_ct; /* of those, what the last fsync covered */
	uint64_t sync_ms;   /* time of the last fsync; 0: none yet */
	bool dirty;         /* written since then */
	bool failed;
};

static bool slow_reader(const struct output *o)
{
	return o->target.kind == TARGET_PACED || o->target.kind == TARGET_SOCKET;
}

static size_t pending(const struct output *o)
{
	return o->buf.len - o->head;
}

int output_open(
	struct output **out, const struct settings *want, const struct input *in)
{
	struct output *o = calloc(1, sizeof *o);
	if (!o) {
		message_print(want->output, "out of memory");
		return EXIT_WORKERS;
	}
	int code = target_open(&o->target, want, in);
	if (code) {
		output_discard(o);
		return code;
	}
	*out = o;
	return 0;
}

/* ---------------------------------------------------------------- failing */

static uint64_t count_lines(const char *bytes, size_t len)
{
	uint64_t ct = 0;
	const char *end = bytes + len;
	while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes)))) {
		ct++;
		bytes++;
	}
	return ct;
}

/* Take the last `len` bytes off the file.  Standard output may be shared, and
 * is cut only if they are still its last. */
static void cut_back(const struct output *o, size_t len)
{
	struct stat st;
	off_t end = lseek(o->target.fd, 0, SEEK_CUR);
	if (len == 0 || end < (off_t)len || fstat(o->target.fd, &st) ||
		st.st_size != end) {
		return;
	}
	/* If it cannot be cut the line stays torn, and resume cuts it. */
	if (ftruncate(o->target.fd, end - (off_t)len) == 0) {
		lseek(o->target.fd, end - (off_t)len, SEEK_SET);
	}
}

static const char *advice(int error)
{
	switch (error) {
	case ENOSPC:
		return "make room, then ";
	case EDQUOT:
		return "raise the quota, then ";
	case EFBIG:
		return "raise the limit of the file size (ulimit -f), then ";
	default:
		return "";
	}
}

static int fail(struct output *o, int error, uint64_t safe_ct)
{
	o->failed = true;
	o->head = o->buf.len = 0;
	if (o->target.kind != TARGET_FILE || o->target.is_stdout) {
		message_print(o->target.name, "%s; %" PRIu64 " results were written",
			strerror(error), safe_ct);
	} else {
		message_print(o->target.name,
			"%s; %" PRIu64 " results are safe in it: "
			"%sgo on with --resume",
			strerror(error), safe_ct, advice(error));
	}
	return EXIT_OUTPUT;
}

/* The write of whole lines stopped after `done` bytes. */
static int fail_write(
	struct output *o, int error, const char *bytes, size_t len, size_t done)
{
	const char *lf = memrchr(bytes, '\n', done);
	size_t torn = lf ? done - (size_t)(lf + 1 - bytes) : done;
	if (o->target.kind == TARGET_FILE) {
		cut_back(o, torn);
	}
	return fail(o, error, o->line_ct - count_lines(bytes + done, len - done));
}

/* ---------------------------------------------------------------- writing */

/* Returns 0 or an errno; *done says how far it got. */
static int write_all(int fd, const char *bytes, size_t len, size_t *done)
{
	*done = 0;
	while (*done < len) {
		ssize_t n = write(fd, bytes + *done, len - *done);
		if (n > 0) {
			*done += (size_t)n;
		} else if (n == 0) {
			return EIO;
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

/* Write whole lines to what does not make us wait. */
static int write_lines(struct output *o, const char *bytes, size_t len)
{
	size_t done;
	int error = write_all(o->target.fd, bytes, len, &done);
	o->dirty = o->dirty || done > 0;
	return error ? fail_write(o, error, bytes, len, done) : 0;
}

static void drop_buffer(struct output *o)
{
	o->head = o->buf.len = 0;
	if (o->buf.cap > KEEP_MAX) {
		buf_fini(&o->buf);
	}
}

static int flush_lines(struct output *o)
{
	if (o->buf.len) {
		int code = write_lines(o, o->buf.data, o->buf.len);
		if (code) {
			return code;
		}
	}
	drop_buffer(o);
	return 0;
}

/* Room for PIPE_BUF bytes is what POLLOUT promises of a pipe.  Another writer
 * may take it first, and then this waits for the reader after all: the price
 * of not touching the flags of a shared descriptor. */
static ssize_t write_some(const struct output *o, int *error)
{
	const char *bytes = o->buf.data + o->head;
	size_t len = pending(o) < PIPE_BUF ? pending(o) : PIPE_BUF;
	struct pollfd p = {.fd = o->target.fd, .events = POLLOUT};
	if (poll(&p, 1, 0) <= 0) {
		return 0;
	}
	ssize_t n =
		o->target.kind == TARGET_SOCKET
			? send(o->target.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			: write(o->target.fd, bytes, len);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		*error = errno;
	}
	return n;
}

static int flush_slow(struct output *o)
{
	int error = 0;
	while (pending(o)) {
		ssize_t n = write_some(o, &error);
		if (error) {
			const char *rest = o->buf.data + o->head;
			return fail(
				o, error, o->line_ct - count_lines(rest, pending(o)));
		}
		if (n <= 0) {
			return 0;
		}
		o->head += (size_t)n;
	}
	drop_buffer(o);
	return 0;
}

int output_flush(struct output *o)
{
	if (o->failed) {
		return EXIT_OUTPUT;
	}
	return slow_reader(o) ? flush_slow(o) : flush_lines(o);
}

/* A line that is not worth a copy, or for which there is no memory. */
static int put_directly(struct output *o, const char *line, size_t len)
{
	int code = flush_lines(o);
	if (code) {
		return code;
	}
	o->line_ct++;
	return write_lines(o, line, len);
}

static int put_slow(struct output *o, const char *line, size_t len)
{
	/* Moving is paid for by the bytes that were written since. */
	if (o->head > pending(o)) {
		buf_consume(&o->buf, o->head);
		o->head = 0;
	}
	if (buf_put(&o->buf, line, len)) {
		const char *rest = o->buf.data ? o->buf.data + o->head : "";
		return fail(o, ENOMEM, o->line_ct - count_lines(rest, pending(o)));
	}
	o->line_ct++;
	return pending(o) >= OUTPUT_BATCH ? flush_slow(o) : 0;
}

int output_put(struct output *o, const void *line, size_t len)
{
	const char *bytes = line;
	assert(len && bytes[len - 1] == '\n');
	if (o->failed) {
		return EXIT_OUTPUT;
	}
	if (slow_reader(o)) {
		return put_slow(o, bytes, len);
	}
	if (len >= OUTPUT_BATCH || buf_put(&o->buf, bytes, len)) {
		return put_directly(o, bytes, len);
	}
	o->line_ct++;
	return o->buf.len >= OUTPUT_BATCH ? flush_lines(o) : 0;
}

bool output_blocked(const struct output *o)
{
	return slow_reader(o) && pending(o) > OUTPUT_PENDING_MAX;
}

int output_fd(const struct output *o)
{
	return slow_reader(o) && pending(o) ? o->target.fd : -1;
}

/* ---------------------------------------------------------------- syncing */

/* An error of fsync is final: the kernel may have dropped the pages, and a
 * second fsync would say that all is well.  What an earlier one covered is
 * safe. */
static int sync_file(struct output *o)
{
	if (o->dirty && fsync(o->target.fd) && errno != EINVAL && errno != ENOTSUP) {
		return fail(o, errno, o->synced_ct);
	}
	o->dirty = false;
	o->synced_ct = o->line_ct;
	target_sync_name(&o->target);
	return 0;
}

static int check_deleted(struct output *o)
{
	if (!target_deleted(&o->target)) {
		return 0;
	}
	o->failed = true;
	message_print(o->target.name,
		"was deleted during the run, and the results with it; "
		"start again, or --resume with a copy");
	return EXIT_OUTPUT;
}

int output_tick(struct output *o)
{
	int code = output_flush(o);
	uint64_t now = clock_now_ms();
	bool due = !o->sync_ms || now - o->sync_ms >= OUTPUT_SYNC_MS;
	if (code || o->target.kind != TARGET_FILE || !due) {
		return code;
	}
	o->sync_ms = now;
	code = check_deleted(o);
	return code ? code : sync_file(o);
}

/* ---------------------------------------------------------------- closing */

static int drain(struct output *o)
{
	int code = output_flush(o);
	while (!code && slow_reader(o) && pending(o)) {
		struct pollfd p = {.fd = o->target.fd, .events = POLLOUT};
		poll(&p, 1, -1);
		code = flush_slow(o);
	}
	return code;
}

static void release(struct output *o)
{
	target_close(&o->target);
	buf_fini(&o->buf);
	free(o);
}

int output_close(struct output *o)
{
	if (!o) {
		return 0;
	}
	int code = drain(o);
	if (!code && o->target.kind == TARGET_FILE) {
		code = check_deleted(o);
		code = code ? code : sync_file(o);
	}
	release(o);
	return code;
}

void output_discard(struct output *o)
{
	if (o) {
		target_remove(&o->target);
		release(o);
	}
}

/* ---------------------------------------------------------------- for resume */

const char *output_name(const struct output *o)
{
	return o->target.name;
}

int output_resume_fd(const struct output *o)
{
	return o->target.can_resume ? o->target.fd : -1;
}

int output_resume_at(struct output *o, uint64_t offset, uint64_t line_ct)
{
	struct stat st;
	o->line_ct = o->synced_ct = line_ct;
	bool bad = fstat(o->target.fd, &st) != 0;
	if (!bad && (uint64_t)st.st_size > offset) {
		bad = ftruncate(o->target.fd, (off_t)offset) != 0;
		o->dirty = true;
	}
	if (bad || lseek(o->target.fd, (off_t)offset, SEEK_SET) < 0) {
		return fail(o, errno, line_ct);
	}
	return 0;
}
