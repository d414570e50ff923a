/* SPDX-License-Identifier: MIT
 *
 * halt - when failed jobs end a run, see halt.h.
 */
#include "master/cli/halt.h"

static bool too_many(const struct halt *h, const struct settings *want)
{
	if (want->halt_fail_ct) {
		return h->failed >= want->halt_fail_ct;
	}
	return h->failed >= HALT_SHARE_MIN_CT &&
	       (double)h->failed * 100 >= want->halt_fail_percent * (double)h->done;
}

bool halt_count(struct halt *h, const struct settings *want, bool ok)
{
	h->done++;
	h->failed += !ok;
	if (ok || h->hit || want->halt == HALT_NEVER) {
		return false;
	}
	h->hit = too_many(h, want);
	return h->hit;
}
