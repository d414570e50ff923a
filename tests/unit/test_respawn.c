/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/respawn.
 */
#include <criterion/criterion.h>
#include <limits.h>

#include "master/respawn.h"

Test(respawn, replaces_a_worker_that_was_ready_at_once, .timeout = 10)
{
	cr_assert_eq(respawn_delay_ms(0), 0);
}

Test(respawn, doubles_the_delay_with_every_failed_start, .timeout = 10)
{
	static const unsigned delays_ms[] = {
		0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
	for (unsigned i = 0; i < sizeof delays_ms / sizeof *delays_ms; i++) {
		cr_assert_eq(respawn_delay_ms(i), delays_ms[i], "%u: %u", i,
			respawn_delay_ms(i));
	}
}

Test(respawn, never_waits_longer_than_the_limit, .timeout = 10)
{
	for (unsigned i = 8; i < 100; i++) {
		cr_assert_eq(respawn_delay_ms(i), RESPAWN_MAX_MS, "%u", i);
	}
	cr_assert_eq(respawn_delay_ms(INT_MAX), RESPAWN_MAX_MS);
	cr_assert_eq(respawn_delay_ms(UINT_MAX), RESPAWN_MAX_MS);
}

Test(respawn, gives_up_when_no_worker_is_ready_after_all_tries, .timeout = 10)
{
	for (unsigned i = 0; i < RESPAWN_TRIES; i++) {
		cr_assert_not(respawn_gives_up(i, 0), "%u", i);
	}
	cr_assert(respawn_gives_up(RESPAWN_TRIES, 0));
	cr_assert(respawn_gives_up(RESPAWN_TRIES + 1, 0));
	cr_assert(respawn_gives_up(UINT_MAX, 0));
}

Test(respawn, goes_on_while_a_worker_is_ready, .timeout = 10)
{
	cr_assert_not(respawn_gives_up(RESPAWN_TRIES, 1));
	cr_assert_not(respawn_gives_up(UINT_MAX, 1));
	cr_assert_not(respawn_gives_up(UINT_MAX, UINT_MAX));
}
