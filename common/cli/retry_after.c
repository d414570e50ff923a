/* SPDX-License-Identifier: MIT
 *
 * retry_after - see retry_after.h.
 */
#include "common/cli/retry_after.h"

#include <string.h>
#include <strings.h>

enum { DAY_S = 24 * 3600 };

/* What is left to read.  The functions below take something from its start, or
 * nothing and return false or -1. */
struct text {
	const char *at, *end;
};

static bool take(struct text *t, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(t->end - t->at) < len || strncasecmp(t->at, word, len) != 0) {
		return false;
	}
	t->at += len;
	return true;
}

/* Exactly `ct` digits, at most four. */
static int take_number(struct text *t, int ct)
{
	int number = 0;
	if (t->end - t->at < ct) {
		return -1;
	}
	for (int i = 0; i < ct; i++) {
		if (t->at[i] < '0' || t->at[i] > '9') {
			return -1;
		}
		number = number * 10 + (t->at[i] - '0');
	}
	t->at += ct;
	return number;
}

/* Which of the words it is: 0, 1 ... or -1. */
static int take_one_of(struct text *t, const char *const *words, int ct)
{
	for (int i = 0; i < ct; i++) {
		if (take(t, words[i])) {
			return i;
		}
	}
	return -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct text trimmed(const char *text, size_t len)
{
	struct text t = {text, text + len};
	while (t.at < t.end && is_blank(*t.at)) {
		t.at++;
	}
	while (t.end > t.at && is_blank(t.end[-1])) {
		t.end--;
	}
	return t;
}

/* --------------------------------------------------------------------- dates */

struct date {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second;
};

static bool take_month(struct text *t, struct date *d)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	d->month = take_one_of(t, months, 12) + 1;
	return d->month > 0;
}

static bool take_time(struct text *t, struct date *d)
{
	d->hour = take_number(t, 2);
	bool good = d->hour >= 0 && take(t, ":");
	d->minute = good ? take_number(t, 2) : -1;
	good = d->minute >= 0 && take(t, ":");
	d->second = good ? take_number(t, 2) : -1;
	return d->second >= 0;
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool take_fixdate(struct text *t, struct date *d)
{
	d->day = take_number(t, 2);
	if (d->day < 0 || !take(t, " ") || !take_month(t, d) || !take(t, " ")) {
		return false;
	}
	d->year = take_number(t, 4);
	return d->year >= 0 && take(t, " ") && take_time(t, d) && take(t, " GMT");
}

/* "06-Nov-94 08:49:37 GMT"; the year as it is written. */
static bool take_rfc850(struct text *t, struct date *d)
{
	d->day = take_number(t, 2);
	if (d->day < 0 || !take(t, "-") || !take_month(t, d) || !take(t, "-")) {
		return false;
	}
	d->year = take_number(t, 2);
	return d->year >= 0 && take(t, " ") && take_time(t, d) && take(t, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(struct text *t, struct date *d)
{
	if (!take_month(t, d) || !take(t, " ")) {
		return false;
	}
	d->day = take_number(t, take(t, " ") ? 1 : 2);
	if (d->day < 0 || !take(t, " ") || !take_time(t, d) || !take(t, " ")) {
		return false;
	}
	d->year = take_number(t, 4);
	return d->year >= 0;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* A minute may have a leap second. */
static bool is_date(const struct date *d)
{
	return d->year >= 1 && d->day >= 1 && d->day <= days_of(d->year, d->month) &&
	       d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

static int64_t seconds_of(const struct date *d)
{
	/* Years that begin in March: the leap day is the last one. */
	int64_t year = d->month > 2 ? d->year : d->year - 1;
	int64_t month = (d->month + 9) % 12;
	int64_t days = year * 365 + year / 4 - year / 100 + year / 400 +
		       (month * 153 + 2) / 5 + d->day - 1 - 719468;
	return days * DAY_S + d->hour * INT64_C(3600) + d->minute * INT64_C(60) +
	       d->second;
}

static int year_of(int64_t now)
{
	return (int)(1970 + now / 31556952); /* a mean year; a day off does no harm */
}

/* The year closest to now that ends in these digits and is at most 50 ahead. */
static int full_year(int digits, int64_t now)
{
	int this_year = year_of(now);
	int year = this_year - this_year % 100 + digits;
	if (year > this_year + 50) {
		return year - 100;
	}
	return year <= this_year - 50 ? year + 100 : year;
}

/* The name of the day is read but not believed. */
static bool take_date(struct text *t, int64_t now, struct date *d)
{
	static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday",
		"Friday", "Saturday", "Sunday", "Mon", "Tue", "Wed", "Thu", "Fri",
		"Sat", "Sun"};
	int day = take_one_of(t, days, 14);
	if (day < 0) {
		return false;
	}
	if (day < 7) {
		bool good = take(t, ", ") && take_rfc850(t, d);
		d->year = good ? full_year(d->year, now) : 0;
		return good;
	}
	return take(t, ", ") ? take_fixdate(t, d) : take(t, " ") && take_asctime(t, d);
}

bool http_date_parse(int64_t *date, int64_t now, const char *text, size_t len)
{
	struct text t = trimmed(text, len);
	struct date d;
	if (!take_date(&t, now, &d) || t.at != t.end || !is_date(&d)) {
		return false;
	}
	*date = seconds_of(&d);
	return true;
}

/* ------------------------------------------------------------------- seconds */

/* Digits and nothing else; more than anybody can wait is enough said. */
static bool parse_seconds(int64_t *seconds, const char *value, size_t len)
{
	struct text t = trimmed(value, len);
	int64_t sum = 0;
	if (t.at == t.end) {
		return false;
	}
	for (; t.at < t.end; t.at++) {
		if (*t.at < '0' || *t.at > '9') {
			return false;
		}
		sum = sum * 10 + (*t.at - '0');
		sum = sum < INT32_MAX ? sum : INT32_MAX;
	}
	*seconds = sum;
	return true;
}

bool retry_after_parse(
	struct retry_after *wait, int64_t now, const char *value, size_t len)
{
	int64_t seconds, date;
	uint64_t left; /* of whatever two times: their difference may be no int64_t */
	if (!parse_seconds(&seconds, value, len)) {
		if (!http_date_parse(&date, now, value, len)) {
			return false;
		}
		left = date > now ? (uint64_t)date - (uint64_t)now : 0;
		seconds = left < INT32_MAX ? (int64_t)left : INT32_MAX;
	}
	wait->too_long = seconds > RETRY_AFTER_MAX_MS / 1000;
	wait->ms = wait->too_long ? RETRY_AFTER_MAX_MS : (uint32_t)seconds * 1000;
	return true;
}
