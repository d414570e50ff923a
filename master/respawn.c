/* SPDX-License-Identifier: MIT
 *
 * respawn - when a dead worker is replaced; see respawn.h.
 */
#include "master/respawn.h"

unsigned respawn_delay_ms(unsigned failed_starts)
{
	if (failed_starts == 0) {
		return 0;
	}
	unsigned delay_ms = RESPAWN_FIRST_MS;
	for (unsigned i = 1; i < failed_starts && delay_ms < RESPAWN_MAX_MS; i++) {
		delay_ms *= 2;
	}
	return delay_ms < RESPAWN_MAX_MS ? delay_ms : RESPAWN_MAX_MS;
}

bool respawn_gives_up(unsigned failed_starts, unsigned workers_ready)
{
	return workers_ready == 0 && failed_starts >= RESPAWN_TRIES;
}
