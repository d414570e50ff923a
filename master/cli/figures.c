/* SPDX-License-Identifier: MIT
 *
 * figures - numbers as people read them; see figures.h.
 */
#include "master/cli/figures.h"

#include <stdio.h>
#include <string.h>

/* value / unit to three digits: 1.23, 12.3, 123.  The caller sees to it that
 * value * 100 has room. */
static void three_digits(char room[FIGURE_BYTES], uint64_t value, uint64_t unit)
{
	uint64_t hundredths = (value * 100 + unit / 2) / unit;
	uint64_t tenths = (value * 10 + unit / 2) / unit;
	if (hundredths < 1000) {
		snprintf(room, FIGURE_BYTES, "%u.%02u", (unsigned)(hundredths / 100),
			(unsigned)(hundredths % 100));
	} else if (tenths < 1000) {
		snprintf(room, FIGURE_BYTES, "%u.%u", (unsigned)(tenths / 10),
			(unsigned)(tenths % 10));
	} else {
		snprintf(room, FIGURE_BYTES, "%llu",
			(unsigned long long)((value + unit / 2) / unit));
	}
}

/* In two units: 3 min 25 s, 2 h 5 min, 3 d 4 h. */
static void long_time_text(char room[FIGURE_BYTES], uint64_t us)
{
	unsigned long long s = us / 1000000 + (us % 1000000 >= 500000);
	if (s < 3600) {
		snprintf(room, FIGURE_BYTES, "%llu min %llu s", s / 60, s % 60);
	} else if (s < 86400) {
		snprintf(room, FIGURE_BYTES, "%llu h %llu min", s / 3600, s / 60 % 60);
	} else {
		snprintf(room, FIGURE_BYTES, "%llu d %llu h", s / 86400, s / 3600 % 24);
	}
}

const char *figure_elapsed(char room[FIGURE_BYTES], uint64_t us)
{
	char digits[FIGURE_BYTES];
	if (us < 1000) {
		snprintf(room, FIGURE_BYTES, "%u us", (unsigned)us);
	} else if (us < 999500) { /* what rounds to 1000 ms is 1 s */
		three_digits(digits, us, 1000);
		snprintf(room, FIGURE_BYTES, "%.20s ms", digits);
	} else if (us < 99950000) { /* what rounds to 100 s is 1 min 40 s */
		three_digits(digits, us, 1000000);
		snprintf(room, FIGURE_BYTES, "%.20s s", digits);
	} else {
		long_time_text(room, us);
	}
	return room;
}

const char *figure_whole_seconds(char room[FIGURE_BYTES], uint64_t seconds)
{
	if (seconds < 60) {
		snprintf(room, FIGURE_BYTES, "%u s", (unsigned)seconds);
	} else {
		long_time_text(room, seconds * 1000000);
	}
	return room;
}

/* No more digits than the buckets of the histogram can answer for: 1.2 ms,
 * 87 ms, 142 ms. */
const char *figure_latency(char room[FIGURE_BYTES], uint64_t us)
{
	uint64_t unit = us < 999500 ? 1000 : 1000000;
	const char *name = us < 999500 ? "ms" : "s";
	unsigned tenths = (unsigned)((us * 10 + unit / 2) / unit);
	if (us < 1000) {
		snprintf(room, FIGURE_BYTES, "%u us", (unsigned)us);
	} else if (tenths < 100) {
		snprintf(
			room, FIGURE_BYTES, "%u.%u %s", tenths / 10, tenths % 10, name);
	} else {
		unsigned whole = (unsigned)((us + unit / 2) / unit);
		snprintf(room, FIGURE_BYTES, "%u %s", whole, name);
	}
	return room;
}

const char *figure_bytes(char room[FIGURE_BYTES], uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	char digits[FIGURE_BYTES];
	unsigned unit = 0;
	if (bytes < 1024) {
		snprintf(room, FIGURE_BYTES, "%u byte%s", (unsigned)bytes,
			bytes == 1 ? "" : "s");
		return room;
	}
	/* Until it is under 1000 of the next unit: "1023 KiB" is 4 digits. */
	while (bytes >= UINT64_C(1023488)) {
		bytes >>= 10;
		unit++;
	}
	three_digits(digits, bytes, 1024);
	snprintf(room, FIGURE_BYTES, "%.20s %s", digits, units[unit]);
	return room;
}

/* Never "0%" for some, never "100%" for not all. */
const char *figure_share(char room[FIGURE_BYTES], uint64_t part, uint64_t whole)
{
	unsigned permille = (unsigned)((double)part * 1000 / (double)whole + 0.5);
	if (part == 0 || part == whole) {
		snprintf(room, FIGURE_BYTES, "%s", part ? "100%" : "0%");
	} else if (permille == 0) {
		snprintf(room, FIGURE_BYTES, "<0.1%%");
	} else if (permille >= 1000) {
		snprintf(room, FIGURE_BYTES, ">99.9%%");
	} else {
		snprintf(room, FIGURE_BYTES, "%u.%u%%", permille / 10, permille % 10);
	}
	return room;
}
