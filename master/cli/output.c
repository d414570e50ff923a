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
#include "master/cli/pack.h"
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
	bool fresh; /* it was empty */
	bool rows;  /* lines are rows of CSV */
	enum sync_mode sync;

	struct pack *pack;   /* NULL: not packed */
	uint64_t packed_ct;  /* lines in complete members */
	uint64_t packed_end; /* offset in the file behind those */
};

static bool slow_reader(const struct output *o)
{
	return o->target.kind == TARGET_PACED || o->target.kind == TARGET_SOCKET;
}

static size_t pending(const struct output *o)
{
	return o->buf.len - o->head;
}

static int no_memory(const char *name)
{
	message_print(name, "out of memory");
	return EXIT_WORKERS;
}

int output_open(
	struct output **out, const struct settings *want, const struct input *in)
{
	struct output *o = calloc(1, sizeof *o);
	if (!o) {
		return no_memory(want->output);
	}
	int code = target_open(&o->target, want, in);
	if (!code && pack_wanted(want->output)) {
		o->pack = pack_new();
		code = o->pack ? 0 : no_memory(want->output);
	}
	if (code) {
		output_discard(o);
		return code;
	}
	o->fresh = true;
	o->rows = want->format == FORMAT_CSV;
	o->sync = want->sync;
	*out = o;
	return 0;
}

int output_empty(struct output *o)
{
	return o ? target_empty(&o->target) : 0;
}

/* ---------------------------------------------------------------- failing */

/* How many lines end in these bytes, which begin with a line; and where the
 * last one does.  A LF in quotes ends no row.  JSON has none inside a line. */
static uint64_t count_lines(
	const struct output *o, const char *bytes, size_t len, size_t *last_end)
{
	uint64_t ct = 0;
	bool quoted = false;
	size_t end = 0;
	for (size_t i = 0; i < len; i++) {
		quoted ^= o->rows && bytes[i] == '"';
		if (bytes[i] == '\n' && !quoted) {
			ct++;
			end = i + 1;
		}
	}
	if (last_end) {
		*last_end = end;
	}
	return ct;
}

/* How many of the lines that were put are whole where they went, when these
 * bytes, which begin with a line, are not. */
static uint64_t safe_lines(const struct output *o, const char *rest, size_t len)
{
	uint64_t lost = count_lines(o, rest, len, NULL);
	return o->pack ? o->packed_ct : lost < o->line_ct ? o->line_ct - lost : 0;
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
	if (!output_is_file(o)) {
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

/* Take off a member that is not complete. */
static void cut_member(const struct output *o)
{
	if (ftruncate(o->target.fd, (off_t)o->packed_end) == 0) {
		lseek(o->target.fd, (off_t)o->packed_end, SEEK_SET);
	}
}

/* The write of whole lines, or of packed bytes, stopped after `done` bytes. */
static int fail_write(
	struct output *o, int error, const char *bytes, size_t len, size_t done)
{
	size_t whole = 0;
	count_lines(o, bytes, done, &whole);
	if (o->target.kind == TARGET_FILE && o->pack) {
		cut_member(o);
	} else if (o->target.kind == TARGET_FILE) {
		cut_back(o, done - whole);
	}
	return fail(o, error, safe_lines(o, bytes + whole, len - whole));
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
			return fail(o, error,
				safe_lines(o, o->buf.data + o->head, pending(o)));
		}
		if (n <= 0) {
			return 0;
		}
		o->head += (size_t)n;
	}
	drop_buffer(o);
	return 0;
}

static int write_out(struct output *o)
{
	return slow_reader(o) ? flush_slow(o) : flush_lines(o);
}

/* A line that is not worth a copy, or for which there is no memory. */
static int put_directly(struct output *o, const char *line, size_t len)
{
	int code = flush_lines(o);
	return code ? code : write_lines(o, line, len);
}

/* Moving is paid for by the bytes that were written since. */
static void tidy(struct output *o)
{
	if (o->head > pending(o)) {
		buf_consume(&o->buf, o->head);
		o->head = 0;
	}
}

static int put_slow(struct output *o, const char *line, size_t len)
{
	tidy(o);
	if (buf_put(&o->buf, line, len)) {
		const char *rest = o->buf.data ? o->buf.data + o->head : "";
		return fail(o, ENOMEM, safe_lines(o, rest, pending(o)));
	}
	return pending(o) >= OUTPUT_BATCH ? flush_slow(o) : 0;
}

static int put_packed(struct output *o, const char *line, size_t len)
{
	tidy(o);
	if (pack_put(o->pack, &o->buf, line, len)) {
		return fail(o, ENOMEM, o->packed_ct);
	}
	return pending(o) >= OUTPUT_BATCH ? write_out(o) : 0;
}

static int put(struct output *o, const char *line, size_t len)
{
	if (o->pack) {
		return put_packed(o, line, len);
	}
	if (slow_reader(o)) {
		return put_slow(o, line, len);
	}
	if (len >= OUTPUT_BATCH || buf_put(&o->buf, line, len)) {
		return put_directly(o, line, len);
	}
	return o->buf.len >= OUTPUT_BATCH ? flush_lines(o) : 0;
}

int output_put_head(struct output *o, const void *line, size_t len)
{
	const char *bytes = line;
	assert(len && bytes[len - 1] == '\n');
	return o->failed ? EXIT_OUTPUT : put(o, bytes, len);
}

int output_put(struct output *o, const void *line, size_t len)
{
	o->line_ct += !o->failed;
	return output_put_head(o, line, len);
}

bool output_is_file(const struct output *o)
{
	return o->target.kind == TARGET_FILE && !o->target.is_stdout;
}

bool output_fresh(const struct output *o)
{
	return o->fresh;
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

/* Write all that was put, and end the member that it is in. */
static int write_whole(struct output *o)
{
	if (!o->pack) {
		return write_out(o);
	}
	if (pack_end(o->pack, &o->buf)) {
		return fail(o, ENOMEM, o->packed_ct);
	}
	int code = write_out(o);
	if (!code && !pending(o)) {
		off_t end = lseek(o->target.fd, 0, SEEK_CUR);
		o->packed_end = end > 0 ? (uint64_t)end : 0;
		o->packed_ct = o->line_ct;
	}
	return code;
}

/* An error of fsync is final: the kernel may have dropped the pages, and a
 * second fsync would say that all is well.  What an earlier one covered is
 * safe. */
static int sync_file(struct output *o)
{
	if (o->dirty && o->sync != SYNC_NONE && fsync(o->target.fd) &&
		errno != EINVAL && errno != ENOTSUP) {
		return fail(o, errno, o->synced_ct);
	}
	o->dirty = false;
	o->synced_ct = o->line_ct;
	if (o->sync != SYNC_NONE) {
		target_sync_name(&o->target);
	}
	return 0;
}

int output_flush(struct output *o)
{
	if (o->failed) {
		return EXIT_OUTPUT;
	}
	if (o->sync != SYNC_ALWAYS || o->target.kind != TARGET_FILE) {
		return write_out(o);
	}
	int code = write_whole(o);
	return code ? code : sync_file(o);
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
	if (code || !due) {
		return code;
	}
	o->sync_ms = now;
	code = write_whole(o);
	if (code || o->target.kind != TARGET_FILE) {
		return code;
	}
	code = check_deleted(o);
	return code ? code : sync_file(o);
}

/* ---------------------------------------------------------------- closing */

static int drain(struct output *o)
{
	int code = o->failed ? EXIT_OUTPUT : write_whole(o);
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
	pack_free(o->pack);
	buf_fini(&o->buf);
	free(o);
}

int output_finish(struct output *o)
{
	if (!o) {
		return 0;
	}
	int code = drain(o);
	if (!code && o->target.kind == TARGET_FILE) {
		code = check_deleted(o);
		code = code ? code : sync_file(o);
	}
	return code;
}

int output_close(struct output *o)
{
	int code = output_finish(o);
	if (o) {
		release(o);
	}
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

bool output_packed(const struct output *o)
{
	return o->pack != NULL;
}

int output_resume_fd(const struct output *o)
{
	return o->target.can_resume ? o->target.fd : -1;
}

bool output_has_results(const struct output *o)
{
	struct stat st;
	return o->target.can_resume && fstat(o->target.fd, &st) == 0 && st.st_size > 0;
}

int output_resume_at(struct output *o, uint64_t offset, uint64_t line_ct)
{
	struct stat st;
	o->line_ct = o->synced_ct = o->packed_ct = line_ct;
	o->packed_end = offset;
	o->fresh = offset == 0;
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
