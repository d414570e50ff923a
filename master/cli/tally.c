/* SPDX-License-Identifier: MIT
 *
 * tally - the counts of a run, see tally.h.
 */
#include "master/cli/tally.h"

void tally_add(struct tally *t, const struct outcome *outcome)
{
	unsigned class = outcome->class;
	unsigned status = outcome->http_code;
	t->done++;
	t->by_class[class < OUTCOME_CLASS_CT ? class : OUTCOME_INTERNAL]++;
	t->by_status[status < TALLY_STATUS_CT ? status : 0]++;
	t->bytes += outcome->size_download;
	/* Jobs that never left the worker would make the others look fast. */
	if (outcome->time_total_us) {
		histogram_add(&t->latency, outcome->time_total_us);
	}
}

void tally_attempts(struct tally *t, unsigned ct)
{
	t->attempts += ct ? ct : 1;
}

void tally_skip(struct tally *t, uint64_t ct, uint64_t failed)
{
	t->skipped += ct;
	t->skipped_failed += failed;
}

const char *tally_count_text(char room[TALLY_COUNT_BYTES], uint64_t ct)
{
	char *at = &room[TALLY_COUNT_BYTES - 1];
	*at = '\0';
	for (unsigned digits = 0; digits == 0 || ct; digits++) {
		if (digits && digits % 3 == 0) {
			*--at = ',';
		}
		*--at = (char)('0' + ct % 10);
		ct /= 10;
	}
	return at;
}
