/* SPDX-License-Identifier: MIT
 *
 * values_parts - what the readers of values.h are made of.  Included by
 * master/cli/values*.c only.
 */
#ifndef MASTER_CLI_VALUES_PARTS_H
#define MASTER_CLI_VALUES_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/poolmap.h"
#include "master/cli/values.h"

enum verdict { FINE, MALFORMED, OUT_OF_RANGE };

/* Fill in the reason; returns PM_EINVAL. */
int values_refuse(struct value_error *why, const char *fmt, ...) PM_PRINTF(2, 3);

/* How many digits the text begins with. */
size_t values_digits_len(const char *text);

/* The digits at *at; moves behind them.  False: too large.  The caller has
 * seen that a digit is there: strtoll() would take spaces and signs too. */
bool values_take_digits(const char **at, uint64_t *out);

/* Is this an IPv4 or IPv6 address, the latter in brackets or not; a port? */
bool values_is_address(const char *text, size_t len);
bool values_is_port(const char *text, size_t len);

#endif
