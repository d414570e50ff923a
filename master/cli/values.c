/* SPDX-License-Identifier: MIT
 *
 * values - the text of an option's value, see values.h.
 */
#include "master/cli/values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/values_parts.h"

int values_refuse(struct value_error *why, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return PM_EINVAL;
}

/* ----------------------------------------------------------------- numbers */

size_t values_digits_len(const char *text)
{
	return strspn(text, "0123456789");
}

bool values_take_digits(const char **at, uint64_t *out)
{
	char *end;
	errno = 0;
	long long n = strtoll(*at, &end, 10);
	*at = end;
	*out = (uint64_t)n;
	return errno == 0 && n >= 0;
}

static enum verdict read_number(
	const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	size_t len = values_digits_len(text);
	uint64_t n;
	if (len == 0 || text[len]) {
		return MALFORMED;
	}
	if (!values_take_digits(&text, &n) || n < min || n > max) {
		return OUT_OF_RANGE;
	}
	*out = n;
	return FINE;
}

int values_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why)
{
	switch (read_number(text, min, max, out)) {
	case FINE:
		return 0;
	case MALFORMED:
		return values_refuse(why,
			"not a whole number; %" PRIu64 " to %" PRIu64 " is allowed",
			min, max);
	default:
		return values_refuse(
			why, "out of range, %" PRIu64 " to %" PRIu64, min, max);
	}
}

static int number_or_word(const char *text, const char *word, uint64_t min,
	uint64_t max, uint64_t *out, struct value_error *why)
{
	if (strcmp(text, word) == 0) {
		*out = 0;
		return 0;
	}
	switch (read_number(text, min, max, out)) {
	case FINE:
		return 0;
	case MALFORMED:
		return values_refuse(why,
			"neither a number, %" PRIu64 " to %" PRIu64 ", nor \"%s\"", min,
			max, word);
	default:
		return values_refuse(why,
			"out of range, %" PRIu64 " to %" PRIu64 " or \"%s\"", min, max,
			word);
	}
}

int values_workers(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why)
{
	return number_or_word(text, "auto", min, max, out, why);
}

int values_limit(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why)
{
	return number_or_word(text, "none", min, max, out, why);
}

/* ------------------------------------------------------------------- sizes */

static unsigned unit_shift(char unit)
{
	switch (unit) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	default:
		return 0;
	}
}

static enum verdict read_size(
	const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	size_t len = values_digits_len(text);
	unsigned shift = unit_shift(text[len]);
	uint64_t n;
	if (len == 0 || text[shift ? len + 1 : len]) {
		return MALFORMED;
	}
	if (!values_take_digits(&text, &n) || n > max >> shift || n << shift < min) {
		return OUT_OF_RANGE;
	}
	*out = n << shift;
	return FINE;
}

/* 1M rather than 1048576. */
static void size_text(char out[32], uint64_t bytes)
{
	const char units[] = {'\0', 'K', 'M', 'G'};
	size_t unit = 0;
	while (bytes && bytes % 1024 == 0 && unit + 1 < sizeof(units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, 32, "%" PRIu64 "%.1s", bytes, &units[unit]);
}

int values_size(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why)
{
	char low[32], high[32];
	size_text(low, min);
	size_text(high, max);
	switch (read_size(text, min, max, out)) {
	case FINE:
		return 0;
	case MALFORMED:
		return values_refuse(why,
			"not a size such as 512K, 10M or 1G; %s to %s is allowed", low,
			high);
	default:
		return values_refuse(why, "out of range, %s to %s", low, high);
	}
}

/* ----------------------------------------------------------------- seconds */

/* The digits behind the point, as milliseconds; moves behind them. */
static bool take_decimals(const char **at, uint64_t *ms)
{
	size_t places = values_digits_len(*at);
	if (places < 1 || places > 3) {
		return false;
	}
	*ms = 0;
	for (size_t i = 0; i < 3; i++) {
		*ms = *ms * 10 + (i < places ? (uint64_t)((*at)[i] - '0') : 0);
	}
	*at += places;
	return true;
}

/* strtod() is no help: it follows the locale, and takes 1e9, inf and 0x10. */
static enum verdict read_seconds(
	const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	size_t len = values_digits_len(text);
	const char *at = text + len;
	uint64_t whole, ms = 0;
	if (len == 0 || (*at == '.' && (at++, !take_decimals(&at, &ms))) || *at) {
		return MALFORMED;
	}
	if (!values_take_digits(&text, &whole) || whole > max / 1000) {
		return OUT_OF_RANGE;
	}
	ms += whole * 1000;
	if (ms < min || ms > max) {
		return OUT_OF_RANGE;
	}
	*out = ms;
	return FINE;
}

static void seconds_text(char out[32], uint64_t ms)
{
	if (ms % 1000) {
		snprintf(out, 32, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
	} else {
		snprintf(out, 32, "%" PRIu64, ms / 1000);
	}
}

int values_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why)
{
	char low[32], high[32];
	seconds_text(low, min);
	seconds_text(high, max);
	switch (read_seconds(text, min, max, out)) {
	case FINE:
		return 0;
	case MALFORMED:
		return values_refuse(why,
			"not a number of seconds with up to three decimals, "
			"such as 2.5");
	default:
		return values_refuse(why, "out of range, %s to %s seconds", low, high);
	}
}

/* ------------------------------------------------------------------- words */

int values_switch(const char *text, bool *out, struct value_error *why)
{
	static const struct {
		const char *word;
		bool is;
	} words[] = {{"yes", true}, {"no", false}, {"true", true}, {"false", false},
		{"on", true}, {"off", false}, {"1", true}, {"0", false}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].word) == 0) {
			*out = words[i].is;
			return 0;
		}
	}
	return values_refuse(
		why, "neither yes nor no (true, false, on, off, 1, 0 will do too)");
}

/* Is the word at `words`, which go on with more behind a '|'? */
static bool is_first(const char *words, const char *text)
{
	size_t len = strcspn(words, "|");
	return strlen(text) == len && memcmp(words, text, len) == 0;
}

int values_choice(
	const char *text, const char *words, unsigned *out, struct value_error *why)
{
	unsigned i = 0;
	for (const char *at = words;; at++, i++) {
		if (is_first(at, text)) {
			*out = i;
			return 0;
		}
		at += strcspn(at, "|");
		if (!*at) {
			return values_refuse(why, "none of %s", words);
		}
	}
}

/* ------------------------------------------------------------------- rates */

/* Thousandths of a second, or of a request: as a decimal with up to three
 * places. */
static enum verdict take_thousandths(const char **at, uint64_t max, uint64_t *out)
{
	uint64_t whole, part = 0;
	if (values_digits_len(*at) == 0) {
		return MALFORMED;
	}
	bool fits = values_take_digits(at, &whole) && whole <= max;
	if (**at == '.') {
		++*at;
		if (!take_decimals(at, &part)) {
			return MALFORMED;
		}
	}
	*out = fits ? whole * 1000 + part : 0;
	return fits ? FINE : OUT_OF_RANGE;
}

/* Seconds that a unit has; 0: it is none. */
static unsigned unit_seconds(const char *unit)
{
	static const struct {
		const char *name;
		unsigned seconds;
	} units[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name) == 0) {
			return units[i].seconds;
		}
	}
	return 0;
}

int values_rate(const char *text, double *out, struct value_error *why)
{
	uint64_t n = 0;
	const char *at = text;
	if (strcmp(text, "none") == 0) {
		*out = 0;
		return 0;
	}
	enum verdict verdict = take_thousandths(&at, VALUES_RATE_MAX, &n);
	unsigned seconds = unit_seconds(at);
	if (verdict == MALFORMED || seconds == 0) {
		return values_refuse(why,
			"neither a rate such as 10/s, 30/m or 100/h, nor \"none\"");
	}
	double rate = (double)n / 1000 / seconds;
	if (verdict != FINE || rate < VALUES_RATE_MIN || rate > VALUES_RATE_MAX) {
		return values_refuse(why,
			"out of range, 1/h to %d/s; \"none\": no limit",
			(int)VALUES_RATE_MAX);
	}
	*out = rate;
	return 0;
}

/* ------------------------------------------------------------------- halts */

/* "fail=N" or "fail=N%" */
static enum verdict read_halt_limit(const char *text, struct value_halt *out)
{
	static const char key[] = "fail=";
	uint64_t n = 0;
	if (strncmp(text, key, sizeof(key) - 1) != 0) {
		return MALFORMED;
	}
	const char *at = text + sizeof(key) - 1;
	enum verdict verdict = take_thousandths(&at, INT64_MAX / 1000 - 1, &n);
	if (verdict == MALFORMED) {
		return MALFORMED;
	}
	bool is_percent = strcmp(at, "%") == 0;
	if (*at && !is_percent) {
		return MALFORMED;
	}
	if (verdict != FINE || n == 0 || (is_percent && n > 100000)) {
		return OUT_OF_RANGE;
	}
	if (!is_percent && memchr(text, '.', (size_t)(at - text))) {
		return MALFORMED;
	}
	out->fail_ct = is_percent ? 0 : n / 1000;
	out->fail_percent = is_percent ? (double)n / 1000 : 0;
	return FINE;
}

int values_halt(const char *text, struct value_halt *out, struct value_error *why)
{
	struct value_halt halt = {HALT_NEVER, 0, 0};
	size_t len = strcspn(text, ",");
	bool is_soon = strncmp(text, "soon,", 5) == 0;
	if (strcmp(text, "never") == 0) {
		*out = halt;
		return 0;
	}
	enum verdict verdict = MALFORMED;
	if (is_soon || strncmp(text, "now,", 4) == 0) {
		verdict = read_halt_limit(text + len + 1, &halt);
	}
	if (verdict == MALFORMED) {
		return values_refuse(why,
			"neither \"never\" nor such as soon,fail=10 or "
			"now,fail=5%%");
	}
	if (verdict == OUT_OF_RANGE) {
		return values_refuse(why,
			"out of range: fail=1 or more, or a part above "
			"0%% and up to 100%%");
	}
	halt.when = is_soon ? HALT_SOON : HALT_NOW;
	*out = halt;
	return 0;
}
