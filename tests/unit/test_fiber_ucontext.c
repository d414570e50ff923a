/* SPDX-License-Identifier: MIT
 *
 * The unit tests of worker/fiber for its portable way of switching, which other
 * machines than x86-64 and arm64 use.
 */
#define FIBER_UCONTEXT

/* In place of the module in the archive. */
#include "worker/fiber.c" /* NOLINT(bugprone-suspicious-include) */

#define GUARD_BYTES TEST_GUARD_BYTES /* both files have one */
#include "tests/unit/test_fiber.c"   /* NOLINT(bugprone-suspicious-include) */
