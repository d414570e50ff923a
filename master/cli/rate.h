/* SPDX-License-Identifier: MIT
 *
 * rate - jobs per second over about the last five seconds, and how a rate is
 * written for people.
 *
 * Runs in: the master of the command; its sink adds, progress shows.  The
 * struct is the caller's.  Pure: the time is a parameter, in microseconds of
 * any clock that does not go back; one that does stands still here.
 *
 * It counts jobs per quarter of a second and keeps twenty quarters.  The rate
 * is their sum, divided by the time they really cover: the last 4.75 to 5
 * seconds, or all the time since the start while that is less.  So it is right
 * in the second second as in the second hour, and a pause pulls it down to 0
 * within five seconds.
 */
#ifndef MASTER_CLI_RATE_H
#define MASTER_CLI_RATE_H

#include <stdint.h>

enum { RATE_INTERVAL_US = 250000, RATE_INTERVALS = 20 };

struct rate {
	uint64_t start_us;
	uint64_t interval; /* the newest, counted from the start */
	uint64_t counts[RATE_INTERVALS];
};

/* Begin at `now_us`. */
void rate_start(struct rate *r, uint64_t now_us);

/* `ct` more jobs are done. */
void rate_add(struct rate *r, uint64_t now_us, uint64_t ct);

/* The rate at `now_us`.  In the first quarter of a second, which is too short
 * to tell, it is what that quarter would come to if nothing followed. */
double rate_per_second(struct rate *r, uint64_t now_us);

/* A rate as people read it: "0/s", "0.25/s", "8.1/s", "12,345/s".  What is
 * negative or no number is "0/s".  Returns `room`. */
enum { RATE_TEXT_BYTES = 32 };
const char *rate_text(char room[RATE_TEXT_BYTES], double per_second);

#endif
