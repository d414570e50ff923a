/* SPDX-License-Identifier: MIT
 *
 * fuzz_rows - tables as jobs: where rows end, what their cells say, the names of the
 * columns, and the job that a row becomes, which must be one that the workers can
 * parse. The first byte says how the table is written, and where it is split.
 */
#include "common/cli/job.h"
#include "master/cli/table.h"
#include "tests/fuzz/fuzz.h"

/* Piece by piece as in one go. */
static size_t find_end(
	const struct row_format *format, const char *bytes, size_t len, size_t split)
{
	enum row_state state = ROW_START, again = ROW_START;
	size_t end = row_end(format, &state, bytes, len);
	split = split < len ? split : len;
	size_t other = row_end(format, &again, bytes, split);
	if (other == split) {
		other += row_end(format, &again, bytes + split, len - split);
	}
	FUZZ_CHECK(end <= len && end == other);
	FUZZ_CHECK(end == len || bytes[end] == '\n');
	return end;
}

static void check_cells(const struct row_format *format, const char *bytes, size_t len)
{
	char *copy = fuzz_text((const uint8_t *)bytes, len);
	struct row row;
	struct row_field field;
	size_t ct = 0;
	row_init(&row, format, copy, len);
	while (row_next(&row, &field) == ROW_FIELD) {
		FUZZ_CHECK(field.text >= copy && field.text + field.len <= copy + len);
		FUZZ_CHECK(ct++ <= len);
	}
	free(copy);
}

static void take_row(struct table *t, const char *bytes, size_t len)
{
	char why[TABLE_REASON_MAX] = "";
	char *copy = fuzz_text((const uint8_t *)bytes, len);
	struct buf line = {0};
	struct job job;
	int err = table_wants_names(t) ? table_names(t, copy, len, why)
				       : table_job(t, copy, len, &line, why);
	FUZZ_CHECK(!err || why[0]);
	FUZZ_CHECK(!err || !line.len);
	if (line.len) {
		FUZZ_CHECK(job_parse(&job, line.data, line.len) == 0);
		FUZZ_CHECK(!job.error || !strstr(job.error, "JSON"));
		job_fini(&job);
	}
	buf_fini(&line);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size) {
		return 0;
	}
	uint8_t how = *data;
	const char *at = (const char *)data + 1, *end = (const char *)data + size;
	struct row_format format = {
		.delimiter = how & 1 ? '\t' : ',', .quotes = !(how & 1)};
	struct table *t;
	FUZZ_CHECK(table_new(&t, &format, how & 2 ? "2" : "url") == 0);
	while (at < end) {
		size_t len = find_end(&format, at, (size_t)(end - at), how >> 2);
		check_cells(&format, at, len);
		take_row(t, at, len);
		at += len + 1;
	}
	table_free(t);
	return 0;
}
