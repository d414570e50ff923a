/* SPDX-License-Identifier: MIT
 *
 * fetch_body - see fetch_body.h.
 *
 * What may take long, that is much to compress and what waits for the disk, is done
 * on a thread.  A worker has one WARC file, so one task at a time has it.
 */
#include "worker/cli/fetch_body.h"

#include <errno.h>
#include <string.h>

#include "common/cli/outcome.h"
#include "common/cli/settings.h"

/* A body from here on is compressed on a thread. */
enum { THREAD_BYTES = 256 * 1024 };

/* ------------------------------------------------------------------- receiving */

static int note(struct fetch_body *b, int err, int why)
{
	if (err == PM_ESYSTEM) {
		b->disk_error = why ? why : EIO;
	}
	return err;
}

static int on_dir_body(void *ctx, const void *bytes, size_t len)
{
	struct fetch_body *b = ctx;
	int err = body_file_add(&b->file, bytes, len);
	return note(b, err, b->file.spool.disk_error);
}

static int on_warc_body(void *ctx, const void *bytes, size_t len)
{
	struct fetch_body *b = ctx;
	int err = warc_fetch_body(&b->warc, bytes, len);
	return note(b, err, b->warc.body.disk_error);
}

/* Say it of this run's directory or prefix. */
static int disk_failed(struct fetch_body *b, pm_task *task)
{
	return pm_fail(task, FETCH_FAIL_DISK, "cannot write to %s: %s",
		settings.body_path, strerror(b->disk_error));
}

int fetch_body_begin(struct fetch_body *b, pm_task *task, struct pm_request *request)
{
	int err = 0;
	b->mode = settings.body;
	b->begun = true;
	if (b->mode == BODY_DIR) {
		err = body_file_begin(&b->file, settings.body_path);
		request->on_body = on_dir_body;
	} else if (b->mode == BODY_WARC) {
		err = warc_fetch_begin(&b->warc, settings.body_path);
		request->on_body = on_warc_body;
		request->on_exchange = warc_fetch_exchange;
		request->on_exchange_ctx = &b->warc;
	}
	request->on_body_ctx = b;
	return note(b, err, errno) == PM_ESYSTEM ? disk_failed(b, task) : err;
}

/* --------------------------------------------------------------------- keeping */

/* A call on its way to a thread and back. */
struct keeping {
	struct fetch_body *b;
	unsigned worker;
	int err, why;
};

static void keep_file(void *arg)
{
	struct keeping *k = arg;
	k->err = body_file_keep(&k->b->file, settings.sync == SYNC_ALWAYS,
		settings.body_path, k->b->kept.sha256, &k->b->kept.path);
	k->why = k->b->file.spool.disk_error;
}

static void keep_warc(void *arg)
{
	struct keeping *k = arg;
	struct warc_place place = {.prefix = settings.body_path,
		.worker = k->worker,
		.sync = settings.sync == SYNC_ALWAYS};
	k->err = warc_fetch_keep(&k->b->warc, &place, &k->b->kept);
	k->why = errno;
}

/* On a thread if it may take long. */
static int keep(struct fetch_body *b, pm_task *task, pm_blocking_fn *fn, bool is_long)
{
	struct keeping k = {.b = b, .worker = pm_task_worker(task)};
	int err = 0;
	if (is_long) {
		err = pm_await_thread(task, fn, &k);
	} else {
		fn(&k);
	}
	return err ? err : note(b, k.err, k.why);
}

/* Of this process. */
static pm_semaphore *warc_lock;

static int keep_warc_alone(struct fetch_body *b, pm_task *task)
{
	bool is_long = settings.sync == SYNC_ALWAYS || b->warc.body.len > THREAD_BYTES;
	if (!warc_lock) {
		warc_lock = pm_semaphore_new(1);
	}
	int err = warc_lock ? pm_semaphore_acquire(task, warc_lock) : PM_ENOMEM;
	if (!err) {
		err = keep(b, task, keep_warc, is_long);
		pm_semaphore_release(warc_lock);
	}
	return err;
}

/* ----------------------------------------------------------------- what is kept */

/* Has the whole of a response arrived? */
static bool is_whole(const struct line_facts *facts)
{
	return facts->class == OUTCOME_OK || facts->class == OUTCOME_HTTP_STATUS ||
	       facts->class == OUTCOME_RATE_LIMITED;
}

/* Why a record is not whole, in the words of WARC. */
static const char *truncation(const struct line_facts *facts, int fetch_error)
{
	if (is_whole(facts)) {
		return NULL;
	}
	switch (fetch_error) {
	case PM_ETIMEDOUT:
	case PM_ESTALLED:
		return "time";
	case PM_ETRUNCATED:
	case PM_ERESET:
		return "disconnect";
	case PM_EBODYSIZE:
		return "length";
	default:
		return "unspecified";
	}
}

static int end_file(struct fetch_body *b, pm_task *task, struct line_facts *facts)
{
	if (!is_whole(facts)) {
		return 0;
	}
	int err = keep(b, task, keep_file, settings.sync == SYNC_ALWAYS);
	if (!err) {
		facts->body_file = buf_text(&b->kept.path);
		facts->body_sha256 = b->kept.sha256;
	}
	return err;
}

/* A fetch that failed on its way from a redirect to the next response leaves what
 * came before, and its line tells of no body. */
static int end_warc(struct fetch_body *b, pm_task *task,
	const struct pm_request *request, int fetch_error, struct line_facts *facts)
{
	if (!warc_fetch_any(&b->warc)) {
		return 0;
	}
	bool answered = facts->response && facts->response->status > 0;
	b->kept.request_body = request->body;
	b->kept.request_len = request->body_len;
	b->kept.truncated = truncation(facts, fetch_error);
	b->kept.no_body = !request->no_follow && warc_fetch_redirects(&b->warc);
	int err = keep_warc_alone(b, task);
	if (!err && answered) {
		facts->body_file = buf_text(&b->kept.path);
		facts->body_sha256 = is_whole(facts) ? b->kept.sha256 : NULL;
		facts->body_offset = b->kept.offset;
		facts->body_length = b->kept.length;
	}
	return err;
}

int fetch_body_end(struct fetch_body *b, pm_task *task,
	const struct pm_request *request, int fetch_error, struct line_facts *facts)
{
	int err = 0;
	if (!b->disk_error && b->mode == BODY_DIR) {
		err = end_file(b, task, facts);
	} else if (!b->disk_error && b->mode == BODY_WARC) {
		err = end_warc(b, task, request, fetch_error, facts);
	}
	return b->disk_error ? disk_failed(b, task) : err;
}

void fetch_body_fini(struct fetch_body *b)
{
	if (!b->begun) {
		return;
	}
	if (b->mode == BODY_DIR) {
		body_file_fini(&b->file);
	} else if (b->mode == BODY_WARC) {
		warc_fetch_fini(&b->warc);
	}
	buf_fini(&b->kept.path);
}
