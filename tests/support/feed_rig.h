/* SPDX-License-Identifier: MIT
 *
 * feed_rig - a source of errands that can do all that a source may do, and iterators
 * over it.
 *
 * Runs in: the test process.  Included by the tests of iterators, once each, instead of
 * host_rig.h.
 */
#ifndef TESTS_SUPPORT_FEED_RIG_H
#define TESTS_SUPPORT_FEED_RIG_H

#include "tests/support/host_rig.h"

/* What it gives, and what it does besides. */
struct feed {
	pm_pool *pool;
	struct errand now;
	size_t ct, given; /* of so many, given so many */
	size_t asked;
	enum errand_what what;
	uint32_t value;
	uint32_t (*value_of)(size_t i); /* or NULL */
	size_t fail_every, fail_at; /* tasks that fail; source that fails; 0: none */
	bool dry;                   /* say "wait" */
	pm_iter **close;            /* from within, at the third job */
};

static inline int feed_source(void *ctx, struct pm_job *job)
{
	struct feed *f = ctx;
	f->asked++;
	if (f->fail_at && f->given == f->fail_at) {
		return PM_EDENIED;
	}
	if (f->close && f->given == 3) {
		pm_iter_close(f->close);
	}
	if (f->given == f->ct) {
		return PM_SOURCE_END;
	}
	if (f->dry) {
		return PM_SOURCE_WAIT;
	}
	size_t i = f->given++;
	bool fails = f->fail_every && i % f->fail_every == f->fail_every - 1;
	f->now = (struct errand){.number = (uint32_t)i % BOARD_JOBS,
		.what = fails ? DO_FAIL : f->what,
		.value = f->value_of ? f->value_of(i) : f->value};
	*job = PM_JOB(f->now);
	job->tag = i * 3;
	return PM_SOURCE_JOB;
}

static inline pm_iter *imap(
	pm_pool *pool, struct feed *f, bool unordered, size_t window)
{
	struct pm_stream s = {.task = task_errand,
		.source = feed_source,
		.ctx = f,
		.unordered = unordered,
		.window = window};
	pm_iter *it = NULL;
	f->pool = pool;
	int err = pm_imap(pool, &s, &it);
	cr_assert_eq(err, 0, "%s", pm_last_error());
	return it;
}

/* The next result, which must be there. */
static inline const struct pm_result *next(pm_iter *it)
{
	const struct pm_result *r = NULL;
	int err = pm_next(it, 20000, &r);
	cr_assert_eq(err, 1, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert(r);
	return r;
}

static inline void check_end(pm_iter *it, int wanted)
{
	const struct pm_result *untouched = (const void *)&wanted, *r = untouched;
	for (int i = 0; i < 3; i++) {
		check_error(pm_next(it, 20000, &r), wanted, "the end");
		cr_assert_eq(r, untouched, "the end has changed the result");
	}
}

/* The first three are quick. */
static inline uint32_t mixed_naps(size_t i)
{
	return i < 3 ? 0 : 60000;
}

#endif
