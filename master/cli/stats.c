/* SPDX-License-Identifier: MIT
 *
 * stats - the summary of a run as JSON, see stats.h.
 */
#include "master/cli/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli/line.h"
#include "common/poolmap.h"
#include "master/cli/durable.h"
#include "master/cli/message.h"

/* ------------------------------------------------------------------ rendering */

static const char *end_name(enum summary_end end)
{
	static const char *const names[] = {
		[SUMMARY_FINISHED] = "finished",
		[SUMMARY_DRAINED] = "interrupted",
		[SUMMARY_STOPPED] = "stopped",
		[SUMMARY_HALTED] = "halted",
		[SUMMARY_TIME_OVER] = "time_over",
		[SUMMARY_OUTPUT_FAILED] = "output_failed",
		[SUMMARY_INPUT_FAILED] = "input_failed",
		[SUMMARY_WORKERS_FAILED] = "workers_failed",
	};
	return names[end];
}

/* Microseconds as seconds.  Not with %f: the locale has no say here. */
int stats_put_seconds(struct buf *out, const char *key, uint64_t us)
{
	return buf_printf(out, "\"%s\":%" PRIu64 ".%06u", key, us / 1000000,
		(unsigned)(us % 1000000));
}

static int put_jobs(struct buf *out, const struct summary_facts *f)
{
	const struct tally *t = f->tally;
	int err = buf_printf(out,
		"\"jobs\":{\"done\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"failed\":%" PRIu64,
		t->done, tally_ok(t), tally_failed(t));
	if (!err && !(f->unknown & SUMMARY_NO_RUN)) {
		err = buf_printf(out,
			",\"skipped\":%" PRIu64 ",\"skipped_failed\":%" PRIu64,
			t->skipped, t->skipped_failed);
	}
	return err ? err : buf_puts(out, "}");
}

static int put_attempts(struct buf *out, const struct tally *t)
{
	return buf_printf(out, ",\"attempts\":%" PRIu64 ",\"retries\":%" PRIu64,
		t->attempts, tally_retries(t));
}

static int put_bytes(struct buf *out, const struct tally *t)
{
	return buf_printf(out, ",\"bytes\":%" PRIu64, t->bytes);
}

/* All classes, so that a reader finds its keys. */
static int put_classes(struct buf *out, const struct tally *t)
{
	int err = buf_puts(out, ",\"classes\":{");
	for (unsigned class = 0; class < OUTCOME_CLASS_CT && !err; class ++) {
		err = buf_printf(out, "%s\"%s\":%" PRIu64, class ? "," : "",
			outcome_class_name(class), t->by_class[class]);
	}
	return err ? err : buf_puts(out, "}");
}

static int put_statuses(struct buf *out, const struct tally *t)
{
	const char *gap = "";
	int err = buf_puts(out, ",\"http_codes\":{");
	for (unsigned status = 1; status < TALLY_STATUS_CT && !err; status++) {
		if (t->by_status[status]) {
			err = buf_printf(out, "%s\"%u\":%" PRIu64, gap, status,
				t->by_status[status]);
			gap = ",";
		}
	}
	return err ? err : buf_puts(out, "}");
}

int stats_put_latency(struct buf *out, const struct histogram *h)
{
	static const struct {
		const char *key;
		unsigned permille;
	} quantiles[] = {
		{"p50", 500}, {"p90", 900}, {"p95", 950}, {"p99", 990}, {"p999", 999}};
	int err = buf_printf(out, "\"latency\":{\"count\":%" PRIu64 ",", h->ct);
	err = err ? err : stats_put_seconds(out, "min", histogram_min(h));
	err = err ? err : buf_puts(out, ",");
	err = err ? err : stats_put_seconds(out, "mean", histogram_mean(h));
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0] && !err; i++) {
		err = buf_puts(out, ",");
		err = err ? err
			  : stats_put_seconds(out, quantiles[i].key,
				    histogram_quantile(h, quantiles[i].permille));
	}
	err = err ? err : buf_puts(out, ",");
	err = err ? err : stats_put_seconds(out, "max", histogram_max(h));
	return err ? err : buf_puts(out, "}");
}

static int put_times(struct buf *out, const struct tally *t)
{
	int err = buf_puts(out, ",");
	return err ? err : stats_put_latency(out, &t->latency);
}

int stats_put_counts(struct buf *out, const struct summary_facts *f)
{
	static const struct {
		unsigned unknown;
		int (*put)(struct buf *out, const struct tally *t);
	} parts[] = {{SUMMARY_NO_ATTEMPTS, put_attempts}, {SUMMARY_NO_BYTES, put_bytes},
		{SUMMARY_NO_CLASSES, put_classes}, {SUMMARY_NO_STATUSES, put_statuses},
		{SUMMARY_NO_TIMES, put_times}};
	int err = put_jobs(out, f);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !err; i++) {
		err = f->unknown & parts[i].unknown ? 0 : parts[i].put(out, f->tally);
	}
	return err;
}

static int put_workers(struct buf *out, const struct summary_facts *f)
{
	return buf_printf(out,
		",\"workers\":{\"count\":%u,\"lost\":%" PRIu64
		",\"jobs_rerun\":%" PRIu64 "},\"output\":",
		f->workers, f->workers_lost, f->jobs_rerun);
}

static int put_all(struct buf *out, const struct summary_facts *f, int exit_code)
{
	int err = buf_printf(
		out, "{\"end\":\"%s\",\"exit_code\":%d,", end_name(f->end), exit_code);
	err = err ? err : stats_put_seconds(out, "elapsed", f->elapsed_us);
	err = err ? err : buf_puts(out, ",");
	err = err ? err : stats_put_counts(out, f);
	err = err ? err : put_workers(out, f);
	err = err ? err : line_string(out, f->output, strlen(f->output));
	return err ? err : buf_puts(out, "}\n");
}

int stats_render(struct buf *out, const struct summary_facts *facts, int exit_code)
{
	size_t before = out->len;
	int err = put_all(out, facts, exit_code);
	if (err) {
		out->len = before;
	}
	return err;
}

/* -------------------------------------------------------------------- writing */

static bool is_stdout(const char *path)
{
	return strcmp(path, "-") == 0;
}

static int usage(const char *path, const char *why)
{
	message_print(path, "cannot be written as --stats: %s", why);
	return EXIT_USAGE;
}

static int check_directory(const char *path)
{
	char *dir = durable_directory(path);
	bool bad = dir && access(dir, W_OK | X_OK);
	int code = bad ? usage(path, strerror(errno)) : 0;
	free(dir);
	return code;
}

/* Is it this file, by whatever name?  NULL is none. */
static bool is_file(const struct stat *st, const char *other)
{
	struct stat its;
	return other && !is_stdout(other) && stat(other, &its) == 0 &&
	       S_ISREG(its.st_mode) && its.st_dev == st->st_dev &&
	       its.st_ino == st->st_ino;
}

static bool is_name(const char *path, const char *other)
{
	return other && strcmp(path, other) == 0;
}

static int check_existing(
	const struct stat *st, const struct settings *want, const struct input *in)
{
	const char *path = want->stats;
	if (S_ISDIR(st->st_mode)) {
		return usage(path, "it is a directory");
	}
	if (input_has_file(in, st->st_dev, st->st_ino)) {
		return usage(path, "it is a job file of this run");
	}
	if (is_file(st, want->output) || is_file(st, want->failed) ||
		is_file(st, want->retry_failed)) {
		return usage(path, "it holds results or jobs of this run");
	}
	if (S_ISREG(st->st_mode)) {
		return check_directory(path);
	}
	return access(path, W_OK) ? usage(path, strerror(errno)) : 0;
}

int stats_check(const struct settings *want, const struct input *in)
{
	struct stat st;
	const char *path = want->stats;
	if (is_stdout(path)) {
		return is_stdout(want->output)
			       ? usage(path, "the results go to standard output")
			       : 0;
	}
	if (is_name(path, want->output) || is_name(path, want->failed)) {
		return usage(path, "another output has that name");
	}
	return stat(path, &st) ? check_directory(path) : check_existing(&st, want, in);
}

int stats_write(const char *path, const struct buf *bytes)
{
	int error = durable_put(path, bytes);
	if (error) {
		message_print(
			path, "cannot be written as --stats: %s", strerror(error));
	}
	return error ? EXIT_OUTPUT : 0;
}
