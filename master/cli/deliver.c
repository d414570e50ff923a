/* SPDX-License-Identifier: MIT
 *
 * deliver - what becomes of a result, see deliver.h.
 */
#include "master/cli/deliver.h"

#include <string.h>

#include "common/cli/lost.h"
#include "common/clock.h"
#include "master/cli/message.h"

int deliver_open(struct deliver *d, const struct settings *want, struct input *in)
{
	rate_start(&d->rate, clock_now_us());
	int code = output_open(&d->output, want, in);
	if (!code) {
		code = resume_scan(&d->resume, d->output, in, want->unordered);
	}
	if (!code) {
		tally_skip(&d->tally, resume_done_ct(d->resume));
	}
	return code;
}

bool deliver_has(const struct deliver *d, uint64_t index)
{
	return resume_done(d->resume, index);
}

bool deliver_blocked(const struct deliver *d)
{
	return output_blocked(d->output);
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
		outcome.class = outcome_class_of(result->error);
	}
	return outcome;
}

static int put_line(
	struct deliver *d, const struct outcome *outcome, const char *line, size_t len)
{
	int code = output_put(d->output, line, len);
	if (!code) {
		tally_add(&d->tally, outcome);
		rate_add(&d->rate, clock_now_us(), 1);
	}
	return code;
}

/* A result that the fetch task did not make: its worker was lost, mostly. */
static int put_lost(struct deliver *d, const struct pm_result *result)
{
	enum outcome_class class = OUTCOME_INTERNAL;
	buf_clear(&d->line);
	if (lost_render(&d->line, result->arg, result->arg_len, result, &class)) {
		message_print("run", "out of memory");
		return EXIT_WORKERS;
	}
	struct outcome outcome = {.class = class};
	return put_line(d, &outcome, d->line.data, d->line.len);
}

int deliver_put(struct deliver *d, const struct pm_result *result)
{
	if (!from_worker(result)) {
		return put_lost(d, result);
	}
	struct outcome outcome = deliver_outcome(result);
	return put_line(d, &outcome, (const char *)result->bytes + sizeof outcome,
		result->len - sizeof outcome);
}

/* ------------------------------------------------------------- as time goes by */

int deliver_flush(struct deliver *d)
{
	return output_flush(d->output);
}

int deliver_tick(struct deliver *d)
{
	return output_tick(d->output);
}

int deliver_fd(const struct deliver *d)
{
	return output_fd(d->output);
}

int deliver_close(struct deliver *d)
{
	int code = output_close(d->output);
	d->output = NULL;
	return code;
}

void deliver_discard(struct deliver *d)
{
	output_discard(d->output);
	d->output = NULL;
	resume_free(d->resume);
	d->resume = NULL;
	buf_fini(&d->line);
}
