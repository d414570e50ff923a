/* SPDX-License-Identifier: MIT
 *
 * values - the text of an option's value, see values.h.
 */
#include "master/cli/values.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"

static int refuse(struct value_error *why, const char *fmt, ...) PM_PRINTF(2, 3);

static int refuse(struct value_error *why, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return PM_EINVAL;
}

/* ----------------------------------------------------------------- numbers */

static size_t digits_len(const char *text)
{
	return strspn(text, "0123456789");
}

/* The digits at *at; moves behind them.  False: too large.  The caller has
 * seen that a digit is there: strtoll() would take spaces and signs too. */
static bool take_digits(const char **at, uint64_t *out)
{
	char *end;
	errno = 0;
	long long n = strtoll(*at, &end, 10);
	*at = end;
	*out = (uint64_t)n;
	return errno == 0 && n >= 0;
}

enum verdict { FINE, MALFORMED, OUT_OF_RANGE };

static enum verdict read_number(
	const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	size_t len = digits_len(text);
	uint64_t n;
	if (len == 0 || text[len]) {
		return MALFORMED;
	}
	if (!take_digits(&text, &n) || n < min || n > max) {
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
		return refuse(why,
			"not a whole number; %" PRIu64 " to %" PRIu64 " is allowed",
			min, max);
	default:
		return refuse(why, "out of range, %" PRIu64 " to %" PRIu64, min, max);
	}
}

int values_workers(const char *text, uint64_t min, uint64_t max, uint64_t *out,
	struct value_error *why)
{
	if (strcmp(text, "auto") == 0) {
		*out = 0;
		return 0;
	}
	switch (read_number(text, min, max, out)) {
	case FINE:
		return 0;
	case MALFORMED:
		return refuse(why,
			"neither a number, %" PRIu64 " to %" PRIu64 ", nor \"auto\"",
			min, max);
	default:
		return refuse(why,
			"out of range, %" PRIu64 " to %" PRIu64 " or \"auto\"", min,
			max);
	}
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
	size_t len = digits_len(text);
	unsigned shift = unit_shift(text[len]);
	uint64_t n;
	if (len == 0 || text[shift ? len + 1 : len]) {
		return MALFORMED;
	}
	if (!take_digits(&text, &n) || n > max >> shift || n << shift < min) {
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
		return refuse(why,
			"not a size such as 512K, 10M or 1G; %s to %s is allowed", low,
			high);
	default:
		return refuse(why, "out of range, %s to %s", low, high);
	}
}

/* ----------------------------------------------------------------- seconds */

/* The digits behind the point, as milliseconds; moves behind them. */
static bool take_decimals(const char **at, uint64_t *ms)
{
	size_t places = digits_len(*at);
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
	size_t len = digits_len(text);
	const char *at = text + len;
	uint64_t whole, ms = 0;
	if (len == 0 || (*at == '.' && (at++, !take_decimals(&at, &ms))) || *at) {
		return MALFORMED;
	}
	if (!take_digits(&text, &whole) || whole > max / 1000) {
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
		return refuse(why, "not a number of seconds with up to three decimals, "
				   "such as 2.5");
	default:
		return refuse(why, "out of range, %s to %s seconds", low, high);
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
	return refuse(
		why, "neither yes nor no (true, false, on, off, 1, 0 will do too)");
}

int values_body(const char *text, enum body_mode *out, struct value_error *why)
{
	if (strcmp(text, "inline") == 0) {
		*out = BODY_INLINE;
	} else if (strcmp(text, "none") == 0) {
		*out = BODY_NONE;
	} else {
		return refuse(why, "neither \"inline\" nor \"none\"");
	}
	return 0;
}

/* ---------------------------------------------------------------- statuses */

/* Three digits at *at; moves behind them. */
static bool take_status(const char **at, uint64_t *out)
{
	return digits_len(*at) == 3 && take_digits(at, out);
}

static bool take_status_range(const char **at, uint64_t *first, uint64_t *last)
{
	if (!take_status(at, first)) {
		return false;
	}
	if ((*at)[0] != '.' || (*at)[1] != '.') {
		*last = *first;
		return true;
	}
	*at += 2;
	return take_status(at, last);
}

int values_statuses(const char *text, uint64_t min, uint64_t max,
	struct status_set *out, struct value_error *why)
{
	struct status_set set = {{0}};
	const char *at = text;
	for (;;) {
		uint64_t first, last;
		if (!take_status_range(&at, &first, &last) || (*at && *at != ',')) {
			return refuse(
				why, "not a list of statuses such as 200..299,304");
		}
		if (first < min || last > max) {
			return refuse(why,
				"out of range, statuses are %" PRIu64 " to %" PRIu64,
				min, max);
		}
		if (first > last) {
			return refuse(why,
				"the range %" PRIu64 "..%" PRIu64
				" is empty; the lower "
				"status comes first",
				first, last);
		}
		for (uint64_t s = first; s <= last; s++) {
			set.bits[s / 64] |= (uint64_t)1 << (s % 64);
		}
		if (!*at++) {
			*out = set;
			return 0;
		}
	}
}

/* ----------------------------------------------------------------- headers */

/* How many bytes of the text are a token of HTTP (RFC 9110, 5.6.2). */
static size_t token_len(const char *text)
{
	return strspn(text, "!#$%&'*+-.^_`|~0123456789"
			    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

int values_method(const char *text, struct value_error *why)
{
	size_t len = token_len(text);
	if (len == 0 || text[len] || len > VALUES_METHOD_MAX) {
		return refuse(why,
			"not a method such as GET, of at most %d letters, without "
			"spaces",
			(int)VALUES_METHOD_MAX);
	}
	return 0;
}

static bool name_is(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(text, name, len) == 0;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f) {
			return true;
		}
	}
	return false;
}

static int check_header(const char *text, size_t name_len, struct value_error *why)
{
	if (name_len == 0 || text[name_len] != ':') {
		return refuse(why, "not a header such as 'Name: value'");
	}
	if (strlen(text) > VALUES_HEADER_MAX) {
		return refuse(why, "longer than %d bytes", (int)VALUES_HEADER_MAX);
	}
	/* A CR or LF would start a header, or a request, of its own. */
	if (has_control(text)) {
		return refuse(why, "%.*s has a control character in its value",
			name_len > 64 ? 64 : (int)name_len, text);
	}
	/* These say where the request ends: wrong ones would break the next. */
	if (name_is(text, name_len, "content-length") ||
		name_is(text, name_len, "transfer-encoding")) {
		return refuse(why,
			"%.*s cannot be set, it follows from the body; leave it out",
			(int)name_len, text);
	}
	return 0;
}

int values_header(const char *text, struct header_parts *out, struct value_error *why)
{
	size_t name_len = token_len(text);
	int err = check_header(text, name_len, why);
	if (err) {
		return err;
	}
	size_t at = name_len + 1, end = strlen(text);
	while (text[at] == ' ') {
		at++;
	}
	while (end > at && text[end - 1] == ' ') {
		end--;
	}
	*out = (struct header_parts){name_len, at, end - at};
	return 0;
}

/* ------------------------------------------------------------------- files */

int values_readable_file(const char *path, struct value_error *why)
{
	/* Not blocking: the name may be that of a pipe that nobody writes to. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		return refuse(why, "cannot be read: %s", strerror(errno));
	}
	struct stat st;
	bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	close(fd);
	return is_file ? 0 : refuse(why, "is not a regular file");
}

/* ------------------------------------------------------------------- names */

enum { NAME_MAX_LEN = 40 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Edits between two short texts, a swap of neighbours counting as one.  Rows
 * of the usual table: the one in the making and the two before it. */
static unsigned edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NAME_MAX_LEN + 1] = {{0}};
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= b_len; j++) {
		last[j] = (unsigned)j;
	}
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j]) {
				now[j] = before[j - 2] + 1;
			}
		}
		unsigned *free_row = before;
		before = last;
		last = now;
		now = free_row;
	}
	return last[b_len];
}

unsigned values_distance(const char *typed, const char *name)
{
	size_t typed_len = strlen(typed), name_len = strlen(name);
	if (typed_len > NAME_MAX_LEN || name_len > NAME_MAX_LEN || typed_len < 2) {
		return VALUES_FAR;
	}
	unsigned n = edits(typed, typed_len, name, name_len);
	if (n > 1 && strncmp(typed, name, typed_len) == 0) {
		return 1;
	}
	/* One slip in three letters is a slip; more is another word. */
	return n <= (name_len < 3 ? 1 : name_len / 3) && n <= 3 ? n : VALUES_FAR;
}
