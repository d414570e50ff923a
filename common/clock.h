/* SPDX-License-Identifier: MIT
 *
 * clock - monotonic time.  Every process of a pool reads the same clock, so a
 * stamp made in the master means the same in a worker.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

static inline uint64_t clock_now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_us() / 1000u;
}

/* From now on, for a timer; none, when that time is over. */
static inline struct timeval clock_until(uint64_t at_us)
{
	uint64_t now_us = clock_now_us();
	uint64_t us = at_us > now_us ? at_us - now_us : 0;
	return (struct timeval){.tv_sec = (time_t)(us / 1000000u),
		.tv_usec = (suseconds_t)(us % 1000000u)};
}

#endif
