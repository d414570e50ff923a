/* SPDX-License-Identifier: MIT
 *
 * deliver - what becomes of a result, see deliver.h.
 */
#include "master/cli/deliver.h"

#include <string.h>
#include <sys/stat.h>

#include "common/cli/lost.h"
#include "common/clock.h"
#include "master/cli/failed.h"
#include "master/cli/message.h"

static int no_memory(void)
{
	message_print("run", "out of memory");
	return EXIT_WORKERS;
}

/* The names of the columns, where nothing is yet. */
static int put_header(struct deliver *d)
{
	if (!d->csv || !output_fresh(d->output)) {
		return 0;
	}
	buf_clear(&d->row);
	return csv_header(d->csv, &d->row)
		       ? no_memory()
		       : output_put_head(d->output, d->row.data, d->row.len);
}

/* Two names of one file, as far as it is there.  Devices are for everybody. */
static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	bool named = strcmp(a, "-") != 0 && strcmp(b, "-") != 0;
	return named && stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Before each of them is opened: where there was none, the first tells. */
static int check_names(const struct settings *want)
{
	bool same = want->failed && (strcmp(want->output, want->failed) == 0 ||
					    same_file(want->output, want->failed));
	if (same) {
		message_print("--failed", "names the output; name another file");
	}
	return same ? EXIT_USAGE : 0;
}

static int open_failed(struct deliver *d, const struct settings *want, struct input *in)
{
	int code = check_names(want);
	return code || !want->failed ? code
				     : failed_open(&d->failed, want, in, d->resume);
}

/* What --force overwrites goes last, and before there is a state of the new run. */
static int begin(struct deliver *d, const struct settings *want, struct input *in)
{
	int code = output_empty(d->failed);
	code = code ? code : output_empty(d->output);
	return code ? code : state_write(&d->state, in, want->sync);
}

static int open_output(struct deliver *d, const struct settings *want, struct input *in)
{
	int code = check_names(want);
	code = code ? code : output_open(&d->output, want, in);
	code = code ? code : state_open(&d->state, want, in, d->output);
	if (!code) {
		code = resume_scan(&d->resume, d->output, in, d->csv, want->unordered);
	}
	code = code ? code : begin(d, want, in);
	if (!code) {
		tally_skip(&d->tally, resume_done_ct(d->resume),
			resume_failed_ct(d->resume));
		code = put_header(d);
	}
	return code;
}

/* Said before the hours that it would cost. */
static void warn_of_fields(const struct deliver *d, const struct settings *want)
{
	const char *unfit = deliver_unfit(d);
	if (unfit && strcmp(want->output, "-") != 0) {
		message_print("--fields", "this run cannot be resumed: %s", unfit);
	}
}

int deliver_open(struct deliver *d, const struct settings *want, struct input *in)
{
	rate_start(&d->rate, clock_now_us());
	d->unordered = want->unordered;
	int code = want->format == FORMAT_CSV ? csv_open(&d->csv, want->fields) : 0;
	code = code ? code : check_names(want);
	code = code ? code : state_prepare(want, in);
	if (!code && want->retry_failed) {
		code = state_compare(want->retry_failed, in);
		code = code ? code : merge_open(&d->merge, want, in, d->csv);
	}
	/* To go on, the list is made of the results; else it comes first, and is
	 * emptied together with them. */
	if (!code && !want->resume) {
		code = open_failed(d, want, in);
	}
	code = code ? code : open_output(d, want, in);
	if (!code && want->resume) {
		code = open_failed(d, want, in);
	}
	if (!code) {
		warn_of_fields(d, want);
	}
	return code;
}

const char *deliver_unfit(const struct deliver *d)
{
	return resume_unfit(d->csv, d->unordered);
}

bool deliver_has(const struct deliver *d, uint64_t index)
{
	return resume_done(d->resume, index) || merge_has(d->merge, index);
}

bool deliver_blocked(const struct deliver *d)
{
	return output_blocked(d->output) || (d->failed && output_blocked(d->failed));
}

/* --------------------------------------------------------------- one result */

static bool from_worker(const struct pm_result *result)
{
	return !result->error && result->len >= sizeof(struct outcome);
}

struct outcome deliver_outcome(const struct pm_result *result)
{
	struct outcome outcome = {.class = OUTCOME_INTERNAL};
	if (from_worker(result)) {
		memcpy(&outcome, result->bytes, sizeof outcome);
	} else if (result->error) {
		outcome.class = outcome_class_of_result(result);
	}
	return outcome;
}

static int put_row(struct deliver *d, const char *line, size_t len)
{
	buf_clear(&d->row);
	return csv_row(d->csv, &d->row, line, len)
		       ? no_memory()
		       : output_put(d->output, d->row.data, d->row.len);
}

static int put_line(struct deliver *d, const char *line, size_t len)
{
	return d->csv ? put_row(d, line, len) : output_put(d->output, line, len);
}

/* The line of a job that the fetch task did not finish: its worker was lost,
 * mostly. */
static int put_lost(
	struct deliver *d, const struct pm_result *result, struct outcome *outcome)
{
	enum outcome_class class = OUTCOME_INTERNAL;
	buf_clear(&d->line);
	if (lost_render(&d->line, result->arg, result->arg_len, result, &class)) {
		return no_memory();
	}
	*outcome = (struct outcome){.class = class};
	return put_line(d, d->line.data, d->line.len);
}

static int put_result(
	struct deliver *d, const struct pm_result *result, struct outcome *outcome)
{
	if (!from_worker(result)) {
		return put_lost(d, result, outcome);
	}
	*outcome = deliver_outcome(result);
	return put_line(d, (const char *)result->bytes + sizeof *outcome,
		result->len - sizeof *outcome);
}

static void count(struct deliver *d, const struct outcome *outcome, unsigned attempts)
{
	tally_add(&d->tally, outcome);
	tally_attempts(&d->tally, attempts);
	rate_add(&d->rate, clock_now_us(), 1);
}

/* What merge has copied is done by an earlier run. */
static int merged(struct deliver *d, int code)
{
	uint64_t ct = merge_copied_ct(d->merge);
	tally_skip(&d->tally, ct - d->copied_ct, 0); /* only those that are ok */
	d->copied_ct = ct;
	return code == MERGE_MORE ? DELIVER_AGAIN : code;
}

static int put_earlier(struct deliver *d, const struct pm_result *result)
{
	struct job_head head = {0};
	if (!d->merge || result->arg_len < sizeof head) {
		return 0;
	}
	memcpy(&head, result->arg, sizeof head);
	return merged(d, merge_before(d->merge, d->output, d->resume, head.index));
}

/* A worker cannot write bodies.  That is no end of a job: it is to run again when
 * there is room. */
bool deliver_disk_failed(const struct pm_result *result)
{
	return result->error == PM_EFAILED && result->domain == PM_DOMAIN_TASK &&
	       result->code == FETCH_FAIL_DISK;
}

static int check_disk(const struct pm_result *result)
{
	if (!deliver_disk_failed(result)) {
		return 0;
	}
	message_print("--body", "%s", result->message);
	return EXIT_OUTPUT;
}

int deliver_put(struct deliver *d, const struct pm_result *result)
{
	struct outcome outcome;
	int code = check_disk(result);
	code = code ? code : put_earlier(d, result);
	code = code ? code : put_result(d, result, &outcome);
	if (code) {
		return code;
	}
	count(d, &outcome, result->attempts);
	bool list = d->failed && outcome.class != OUTCOME_OK;
	return list ? failed_put(d->failed, result) : 0;
}

int deliver_rest(struct deliver *d)
{
	return d->merge ? merged(d, merge_rest(d->merge, d->output, d->resume)) : 0;
}

/* ------------------------------------------------------------- as time goes by */

/* The results first: the list must not know more than they do. */
int deliver_flush(struct deliver *d)
{
	int code = output_flush(d->output);
	return code || !d->failed ? code : output_flush(d->failed);
}

int deliver_tick(struct deliver *d)
{
	int code = output_tick(d->output);
	return code || !d->failed ? code : output_tick(d->failed);
}

int deliver_fd(const struct deliver *d)
{
	int fd = output_fd(d->output);
	return fd < 0 && d->failed ? output_fd(d->failed) : fd;
}

/* The lock of the results goes last: what then has their state's name is another
 * run's. */
int deliver_close(struct deliver *d, bool complete)
{
	int code = output_finish(d->output);
	int failed_code = output_close(d->failed);
	code = code ? code : failed_code;
	code = code || !complete ? code : state_complete(&d->state);
	int output_code = output_close(d->output);
	d->output = d->failed = NULL;
	return code ? code : output_code;
}

void deliver_discard(struct deliver *d)
{
	output_discard(d->output);
	state_close(&d->state); /* when the output is gone, if it goes */
	output_discard(d->failed);
	d->output = d->failed = NULL;
	merge_close(d->merge);
	d->merge = NULL;
	resume_free(d->resume);
	d->resume = NULL;
	csv_close(d->csv);
	d->csv = NULL;
	buf_fini(&d->line);
	buf_fini(&d->row);
}
