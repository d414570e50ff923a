/* SPDX-License-Identifier: MIT
 *
 * fuzz_report - a results file of strangers, as lines or rows, packed or not, and the
 * reports that are made of it.  Jobs must add up however they are counted, and what a
 * report shows must be text: UTF-8 without control characters, and in the page no
 * markup but ours.
 */
#include "common/cli/utf8.h"
#include "master/cli/message.h"
#include "master/cli/report_facts.h"
#include "master/cli/report_lines.h"
#include "tests/fuzz/fuzz.h"

static int read_all(struct report_facts *f, struct report_lines *l)
{
	struct report_cells cells;
	int code;
	while (!(code = report_lines_next(l, &cells)) && cells.there) {
		struct report_result result;
		if (report_read(&result, &cells)) {
			return EXIT_MISMATCH;
		}
		FUZZ_CHECK(result.outcome.class < OUTCOME_CLASS_CT);
		FUZZ_CHECK(report_facts_add(f, &result) == 0);
	}
	return code;
}

static void check_sums(const struct report_facts *f)
{
	static struct report_sum sum;
	uint64_t classes = 0;
	for (unsigned i = 0; i < OUTCOME_CLASS_CT; i++) {
		classes += f->tally.by_class[i];
	}
	FUZZ_CHECK(classes == f->tally.done);
	sum = (struct report_sum){0};
	report_hosts_rest(&sum, &f->hosts, 0);
	FUZZ_CHECK(sum.jobs == (f->has_urls ? f->tally.done : 0));
	FUZZ_CHECK(!f->has_urls || sum.ok == tally_ok(&f->tally));
	FUZZ_CHECK(!f->has_urls || sum.latency.ct == f->tally.latency.ct);
}

static void check_text(const struct buf *out)
{
	FUZZ_CHECK(utf8_valid(out->data, out->len));
	for (size_t i = 0; i < out->len; i++) {
		FUZZ_CHECK((unsigned char)out->data[i] >= ' ' || out->data[i] == '\n');
		FUZZ_CHECK(out->data[i] != 0x7f);
	}
}

/* As many tags are opened as closed, but for those that have no end tag. */
static void check_tags(const struct buf *out)
{
	size_t begun = 0, ended = 0, alone = 0;
	for (size_t i = 1; i + 1 < out->len; i++) {
		begun += out->data[i] == '<' && out->data[i + 1] != '/';
		ended += out->data[i] == '<' && out->data[i + 1] == '/';
		alone += out->data[i] == '/' && out->data[i + 1] == '>';
		FUZZ_CHECK(out->data[i] != '<' ||
			   strchr("/abcdehlmprst", out->data[i + 1]));
	}
	FUZZ_CHECK(begun == ended + alone);
}

static void render(const struct report_facts *f)
{
	struct buf out = {0};
	FUZZ_CHECK(report_text(&out, f) == 0);
	check_text(&out);
	buf_clear(&out);
	FUZZ_CHECK(report_json(&out, f) == 0);
	FUZZ_CHECK(utf8_valid(out.data, out.len));
	buf_clear(&out);
	FUZZ_CHECK(report_html(&out, f) == 0);
	check_text(&out);
	check_tags(&out);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct report_lines lines;
	static struct report_facts facts;
	char path[FUZZ_PATH_MAX];
	(void)fuzz_file(path, data, size);
	int code = report_lines_open(&lines, path);
	FUZZ_CHECK(!code || code == EXIT_MISMATCH);
	if (!code) {
		FUZZ_CHECK(report_facts_init(&facts, "results", lines.fields) == 0);
		code = read_all(&facts, &lines);
		FUZZ_CHECK(!code || code == EXIT_MISMATCH);
		report_facts_end(&facts);
		check_sums(&facts);
		render(&facts);
		report_facts_fini(&facts);
	}
	report_lines_close(&lines);
	return 0;
}
