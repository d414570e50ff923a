/* SPDX-License-Identifier: MIT
 *
 * figures - numbers as people read them: times, sizes, shares.
 *
 * Runs in: the master of the command; called by the summary.  Pure.  Each
 * writes into `room` and returns it.
 */
#ifndef MASTER_CLI_FIGURES_H
#define MASTER_CLI_FIGURES_H

#include <stdint.h>

enum { FIGURE_BYTES = 32 };

/* "417 us", "7.89 ms", "1.88 s", "3 min 25 s", "2 h 5 min". */
const char *figure_elapsed(char room[FIGURE_BYTES], uint64_t us);

/* The same for a time that is only known to the second: "0 s", "42 s". */
const char *figure_whole_seconds(char room[FIGURE_BYTES], uint64_t seconds);

/* The same with no more digits than a histogram can answer for: "1.2 ms". */
const char *figure_latency(char room[FIGURE_BYTES], uint64_t us);

/* "300 bytes", "9.54 MiB". */
const char *figure_bytes(char room[FIGURE_BYTES], uint64_t bytes);

/* "97.2%"; "100%" and "0%" only when that is true. */
const char *figure_share(char room[FIGURE_BYTES], uint64_t part, uint64_t whole);

#endif
