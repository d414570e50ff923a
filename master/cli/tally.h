/* SPDX-License-Identifier: MIT
 *
 * tally - the counts of a run, and how a count is written for people.
 *
 * Runs in: the master of the command.  Its sink adds one outcome per result;
 * progress and summary read.  The struct is the caller's, some 24 KB; a zeroed
 * one is the tally of a run that has not begun.  Pure.
 */
#ifndef MASTER_CLI_TALLY_H
#define MASTER_CLI_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cli/outcome.h"
#include "master/cli/histogram.h"

enum { TALLY_STATUS_CT = 1000 };

struct tally {
	uint64_t done;           /* results of this run */
	uint64_t skipped;        /* had a result before it (--resume) */
	uint64_t skipped_failed; /* of those, that are known to have failed */
	uint64_t bytes;          /* of bodies */
	uint64_t attempts;       /* at the jobs that are done */
	uint64_t by_class[OUTCOME_CLASS_CT]; /* add up to `done` */
	uint64_t by_status[TALLY_STATUS_CT]; /* likewise; [0]: no response */
	struct histogram latency;            /* of the jobs that were sent */
};

/* Count a result.  A class or a status that is none counts as internal, or as
 * no response. */
void tally_add(struct tally *t, const struct outcome *outcome);

/* So many attempts were made at a job that is done: 1 and up. */
void tally_attempts(struct tally *t, unsigned ct);

/* Count jobs that are not run because they have a result already; `failed` of them
 * are not ok. */
void tally_skip(struct tally *t, uint64_t ct, uint64_t failed);

static inline uint64_t tally_ok(const struct tally *t)
{
	return t->by_class[OUTCOME_OK];
}

static inline uint64_t tally_failed(const struct tally *t)
{
	return t->done - t->by_class[OUTCOME_OK];
}

/* Has every job of the output that we know of succeeded, those of earlier runs, too? */
static inline bool tally_all_ok(const struct tally *t)
{
	return tally_failed(t) == 0 && t->skipped_failed == 0;
}

/* Attempts behind the first ones. */
static inline uint64_t tally_retries(const struct tally *t)
{
	return t->attempts > t->done ? t->attempts - t->done : 0;
}

/* A count as people read it: 1234567 is "1,234,567".  Writes the end of
 * `room` and returns where the text begins. */
enum { TALLY_COUNT_BYTES = sizeof("18,446,744,073,709,551,615") };
const char *tally_count_text(char room[TALLY_COUNT_BYTES], uint64_t ct);

#endif
