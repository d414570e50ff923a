/* SPDX-License-Identifier: MIT
 *
 * progress_log - how far the run is, where there is no terminal; see progress.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cli/settings.h"
#include "master/cli/figures.h"
#include "master/cli/progress.h"
#include "master/cli/rate.h"
#include "master/cli/tally.h"

/* ------------------------------------------------------------------- figures */

static uint64_t so_far(const struct progress_facts *facts)
{
	return facts->done + facts->skipped;
}

bool progress_share(
	char room[PROGRESS_FIGURE_BYTES], const struct progress_facts *facts)
{
	uint64_t ct = so_far(facts);
	if (facts->total) {
		figure_share(room, ct, ct > facts->total ? ct : facts->total);
	}
	return facts->total != 0;
}

bool progress_left(const struct progress_facts *facts, uint64_t *seconds)
{
	uint64_t ct = so_far(facts);
	if (ct >= facts->total || facts->per_second <= 0) {
		return false;
	}
	double left = (double)(facts->total - ct) / facts->per_second + 0.5;
	if (left >= 1e9) {
		return false;
	}
	*seconds = left < 1 ? 1 : (uint64_t)left; /* not nothing */
	return true;
}

/* --------------------------------------------------------------------- lines */

static int put_done(struct buf *out, const struct progress_facts *facts)
{
	char done[TALLY_COUNT_BYTES], total[TALLY_COUNT_BYTES];
	char share[PROGRESS_FIGURE_BYTES];
	uint64_t ct = so_far(facts);
	if (!progress_share(share, facts)) {
		return buf_printf(
			out, "poolmap: %s done", tally_count_text(done, facts->done));
	}
	return buf_printf(out, "poolmap: %s of %s done (%s)",
		tally_count_text(done, ct),
		tally_count_text(total, ct > facts->total ? ct : facts->total), share);
}

static int put_counts(struct buf *out, const struct progress_facts *facts)
{
	char ok[TALLY_COUNT_BYTES], failed[TALLY_COUNT_BYTES];
	char retries[TALLY_COUNT_BYTES], in_flight[TALLY_COUNT_BYTES];
	char rate[RATE_TEXT_BYTES];
	return buf_printf(out, ", %s ok, %s failed, %s retried, %s, in flight %s",
		tally_count_text(ok, facts->ok),
		tally_count_text(failed, facts->failed),
		tally_count_text(retries, facts->retries),
		rate_text(rate, facts->per_second),
		tally_count_text(in_flight, facts->in_flight));
}

int progress_text(struct buf *out, const struct progress_facts *facts)
{
	char time[FIGURE_BYTES];
	uint64_t seconds;
	int err = put_done(out, facts);
	err = err ? err : put_counts(out, facts);
	if (!err && progress_left(facts, &seconds)) {
		err = buf_printf(out, ", %s left", figure_whole_seconds(time, seconds));
	}
	return err ? err : buf_puts(out, "\n");
}

/* Tenths, without the locale's comma. */
static int put_rate(struct buf *out, double per_second)
{
	bool sane = per_second > 0 && per_second < 1e15;
	uint64_t tenths = sane ? (uint64_t)(per_second * 10 + 0.5) : 0;
	return buf_printf(out, ",\"per_second\":%" PRIu64 ".%u", tenths / 10,
		(unsigned)(tenths % 10));
}

int progress_json(
	struct buf *out, const struct progress_facts *facts, uint64_t elapsed_us)
{
	uint64_t ct = so_far(facts), seconds;
	int err = buf_printf(out,
		"{\"elapsed\":%" PRIu64 ".%06u,\"done\":%" PRIu64 ",\"ok\":%" PRIu64
		",\"failed\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"retries\":%" PRIu64
		",\"in_flight\":%" PRIu64,
		elapsed_us / 1000000, (unsigned)(elapsed_us % 1000000), facts->done,
		facts->ok, facts->failed, facts->skipped, facts->retries,
		facts->in_flight);
	err = err ? err : put_rate(out, facts->per_second);
	if (!err && facts->total) {
		err = buf_printf(out, ",\"total\":%" PRIu64,
			ct > facts->total ? ct : facts->total);
	}
	if (!err && progress_left(facts, &seconds)) {
		err = buf_printf(out, ",\"left\":%" PRIu64, seconds);
	}
	return err ? err : buf_puts(out, "}\n");
}

/* ------------------------------------------------------------------- telling */

static void tell(
	struct progress *p, const struct progress_facts *facts, uint64_t now_us)
{
	struct buf line = {0};
	int err = p->mode == PROGRESS_JSON
			  ? progress_json(&line, facts, now_us - p->start_us)
			  : progress_text(&line, facts);
	if (!err && progress_takes_bytes(p->fd) &&
		write(p->fd, line.data, line.len) < 0) {
		p->on = false; /* nobody is there any more */
	}
	buf_fini(&line);
}

void progress_log(struct progress *p, const struct progress_facts *facts,
	uint64_t now_us, bool last)
{
	uint64_t every = p->mode == PROGRESS_JSON ? PROGRESS_JSON_US : PROGRESS_LOG_US;
	if (last || now_us - p->last_us >= every) {
		p->last_us = now_us;
		tell(p, facts, now_us);
	}
}
