/* SPDX-License-Identifier: MIT
 *
 * origin_rig - an origin for each test of a file, started before it and stopped after:
 *
 *	TestSuite(run, .init = start_origin, .fini = stop_origin);
 *
 * Runs in: the test process.  Included by tests and rigs, once each.
 */
#ifndef TESTS_SUPPORT_ORIGIN_RIG_H
#define TESTS_SUPPORT_ORIGIN_RIG_H

#include "tests/support/harness.h"

static struct origin *o;

static inline void start_origin(void)
{
	o = origin_start();
}

static inline void stop_origin(void)
{
	origin_stop(o);
}

#endif
