/* SPDX-License-Identifier: MIT
 *
 * report_read - what one result says, see report_read.h.
 */
#include "master/cli/report_read.h"

#include <stdlib.h>
#include <string.h>

#include "master/cli/scan.h"

enum { NUMBER_MAX = 40 };

/* So that a sum of them has room. */
#define SIZE_LIMIT (UINT64_C(1) << 50)

/* -------------------------------------------------------------------- values */

static bool is_text(const struct report_cells *cells, int field, const char *text)
{
	return cells->text[field] && cells->len[field] == strlen(text) &&
	       memcmp(cells->text[field], text, cells->len[field]) == 0;
}

/* Digits below `max`; false: they are none.  What is not there is 0. */
static bool read_count(
	const struct report_cells *cells, int field, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	for (size_t i = 0; i < cells->len[field]; i++) {
		char c = cells->text[field][i];
		if (c < '0' || c > '9' || v > max / 10) {
			return false;
		}
		v = v * 10 + (uint64_t)(c - '0');
	}
	*value = v;
	return v < max;
}

/* Seconds as microseconds.  As this program writes them they have six decimals; other
 * programs write the same number in their own way. */
static bool read_seconds(const struct report_cells *cells, int field, uint64_t *us)
{
	char text[NUMBER_MAX + 1], *end;
	size_t len = cells->len[field];
	*us = 0;
	if (!len) {
		return true;
	}
	if (len > NUMBER_MAX || cells->text[field][0] < '0' ||
		cells->text[field][0] > '9') {
		return false;
	}
	memcpy(text, cells->text[field], len);
	text[len] = '\0';
	if (text[strspn(text, "0123456789.eE+-")]) {
		return false;
	}
	double seconds = strtod(text, &end);
	if (*end || !(seconds < 1e12)) {
		return false;
	}
	*us = (uint64_t)(seconds * 1e6 + 0.5);
	return true;
}

/* -------------------------------------------------------------------- verdict */

static unsigned class_of(const struct report_cells *cells)
{
	for (unsigned class = 0; class < OUTCOME_CLASS_CT; class ++) {
		if (is_text(cells, REPORT_ERROR, outcome_class_name(class))) {
			return class;
		}
	}
	return OUTCOME_INTERNAL; /* of another version */
}

/* A CSV may have only one of the two. */
static bool read_verdict(const struct report_cells *cells, struct outcome *outcome)
{
	bool failed = cells->text[REPORT_ERROR] != NULL;
	if (cells->text[REPORT_OK]) {
		failed = is_text(cells, REPORT_OK, "false");
		if (!failed && !is_text(cells, REPORT_OK, "true")) {
			return false;
		}
	}
	outcome->class = failed ? class_of(cells) : OUTCOME_OK;
	return !failed || outcome->class != OUTCOME_OK; /* an error called "ok" */
}

static bool read_index(const struct report_cells *cells, uint64_t *index)
{
	*index = UINT64_MAX;
	return !cells->text[REPORT_INDEX] ||
	       read_count(cells, REPORT_INDEX, SCAN_INDEX_MAX, index);
}

const char *report_read(struct report_result *r, const struct report_cells *cells)
{
	uint64_t code;
	*r = (struct report_result){.url = cells->text[REPORT_URL],
		.url_len = cells->len[REPORT_URL],
		.errormsg = cells->text[REPORT_ERRORMSG],
		.errormsg_len = cells->len[REPORT_ERRORMSG]};
	if (!read_index(cells, &r->index)) {
		return "the index is no number in range";
	}
	if (!read_verdict(cells, &r->outcome)) {
		return "\"ok\" and \"error\" are no verdict";
	}
	if (!read_count(cells, REPORT_HTTP_CODE, 1000, &code)) {
		return "\"http_code\" is no status";
	}
	r->outcome.http_code = (uint32_t)code;
	if (!read_count(cells, REPORT_SIZE, SIZE_LIMIT, &r->outcome.size_download)) {
		return "\"size_download\" is no number in range";
	}
	if (!read_count(cells, REPORT_ATTEMPTS, UINT32_MAX, &r->attempts)) {
		return "\"attempts\" is no number in range";
	}
	if (!read_seconds(cells, REPORT_TIME, &r->outcome.time_total_us)) {
		return "\"time_total\" is no time";
	}
	return NULL;
}
