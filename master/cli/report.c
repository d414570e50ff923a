/* SPDX-License-Identifier: MIT
 *
 * report - the command `poolmap report`, see report.h.
 */
#include "master/cli/report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/durable.h"
#include "master/cli/message.h"
#include "master/cli/report_facts.h"
#include "master/cli/report_lines.h"
#include "master/cli/report_read.h"

/* One of the reports, and how it is made. */
struct wanted {
	const char *path; /* NULL: it is not wanted; "-": standard output */
	int (*render)(struct buf *out, const struct report_facts *f);
};

enum { WANTED_CT = 3 };

/* -------------------------------------------------------------------- reading */

static int add(struct report_facts *f, const struct report_lines *l,
	const struct report_cells *cells)
{
	struct report_result result;
	const char *wrong = report_read(&result, cells);
	if (wrong) {
		return report_lines_damaged(l, wrong);
	}
	return report_facts_add(f, &result) ? report_lines_no_memory(l) : 0;
}

static int read_lines(struct report_facts *f, struct report_lines *l)
{
	struct report_cells cells = {.there = true};
	int code = 0;
	while (!code && cells.there) {
		code = report_lines_next(l, &cells);
		code = code || !cells.there ? code : add(f, l, &cells);
	}
	if (!code && l->torn) {
		message_print(l->source.name,
			"its end is torn, or still being written: left out");
	}
	f->torn = l->torn;
	report_facts_end(f);
	return code;
}

static int read_all(struct report_facts *f, const char *path)
{
	struct report_lines *l = malloc(sizeof *l);
	if (!l) {
		message_print(path, "out of memory");
		return EXIT_WORKERS;
	}
	int code = report_lines_open(l, path);
	if (!code && report_facts_init(f, path, l->fields)) {
		code = report_lines_no_memory(l);
	}
	code = code ? code : read_lines(f, l);
	report_lines_close(l);
	free(l);
	return code;
}

/* -------------------------------------------------------------------- writing */

/* A report must not take the place of the results, by whatever name. */
static int check_path(const char *path, const char *results)
{
	struct stat its, theirs;
	if (!path || stat(path, &its) || !S_ISREG(its.st_mode) ||
		stat(results, &theirs) || its.st_dev != theirs.st_dev ||
		its.st_ino != theirs.st_ino) {
		return 0;
	}
	message_print(path, "is the results file, too; name another file");
	return EXIT_USAGE;
}

static const char *name_of(const struct wanted *wanted)
{
	return strcmp(wanted->path, "-") == 0 ? "standard output" : wanted->path;
}

static int put_report(const struct wanted *wanted, const struct buf *out)
{
	int error = durable_put(wanted->path, out);
	if (error) {
		message_print(name_of(wanted), "the report cannot be written: %s",
			strerror(error));
	}
	return error ? EXIT_OUTPUT : 0;
}

static int write_report(const struct wanted *wanted, const struct report_facts *f)
{
	struct buf out = {0};
	int code = EXIT_WORKERS;
	if (wanted->render(&out, f)) {
		message_print(
			name_of(wanted), "the report is not written: out of memory");
	} else {
		code = put_report(wanted, &out);
	}
	buf_fini(&out);
	return code;
}

static bool is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

int report_command(const struct options *o)
{
	const char *results = o->settings.inputs[0];
	const char *json = options_text(o, OPTION_JSON);
	const char *html = options_text(o, OPTION_HTML);
	const bool text = !is_stdout(json) && !is_stdout(html);
	const struct wanted all[WANTED_CT] = {{text ? "-" : NULL, report_text},
		{json, report_json}, {html, report_html}};
	struct report_facts *f = calloc(1, sizeof *f);
	if (!f) {
		message_print(results, "out of memory");
		return EXIT_WORKERS;
	}
	int code = check_path(json, results);
	code = code ? code : check_path(html, results);
	code = code ? code : read_all(f, results);
	for (int i = 0; i < WANTED_CT && !code; i++) {
		code = all[i].path ? write_report(&all[i], f) : 0;
	}
	report_facts_fini(f);
	free(f);
	return code;
}
