/* SPDX-License-Identifier: MIT
 *
 * origin_rig - for tests of the command that have an origin each, started before the
 * test and stopped after it:
 *
 *	TestSuite(run, .init = start_origin, .fini = stop_origin);
 *
 * Runs in: the test process.  Included by tests and rigs, once each, instead of run_rig.h.
 */
#ifndef TESTS_SUPPORT_ORIGIN_RIG_H
#define TESTS_SUPPORT_ORIGIN_RIG_H

#include "tests/support/run_rig.h"

static struct origin *o;

static inline void start_origin(void)
{
	o = origin_start();
}

static inline void stop_origin(void)
{
	origin_stop(o);
}

/* A file of `ct` jobs, each with a URL of its own: PATH0, PATH1 ... */
static inline const char *jobs_of(const char *path, size_t ct)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, path, ct);
	return jobs_file(&jobs);
}

#endif
