/* SPDX-License-Identifier: MIT
 *
 * options_check - do the options fit together, see options_check.h.
 */
#include "master/cli/options_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/assign.h"
#include "master/cli/message.h"
#include "master/cli/pem.h"
#include "master/cli/values.h"

/* ---------------------------------------------------------------- conflicts */

static bool is_flag(const struct options *o, enum option_id id)
{
	return o->values[id].source == SOURCE_FLAG;
}

static bool reads_standard_input(const struct settings *s)
{
	for (size_t i = 0; i < s->input_ct; i++) {
		if (strcmp(s->inputs[i], "-") == 0) {
			return true;
		}
	}
	return false;
}

/* Why --resume cannot be, or NULL. */
static const char *resume_conflict(const struct options *o)
{
	const struct settings *s = &o->settings;
	if (!s->resume) {
		return NULL;
	}
	if (s->force) {
		return "cannot be used with --force; go on with the output, or "
		       "overwrite it";
	}
	if (strcmp(s->output, "-") == 0) {
		return "needs --output FILE; a run to standard output cannot be "
		       "resumed";
	}
	/* poolmap config takes no job files, so it cannot miss them. */
	if (o->command == COMMAND_RUN && reads_standard_input(s)) {
		return "needs job files; standard input cannot be read again from its "
		       "beginning";
	}
	return NULL;
}

static const char *retry_failed_conflict(const struct options *o)
{
	if (o->settings.retry_failed && o->command == COMMAND_RUN &&
		reads_standard_input(&o->settings)) {
		return "needs the job files of that run; standard input cannot be read "
		       "again from its beginning";
	}
	return NULL;
}

static const char *csv_conflict(const struct options *o)
{
	bool both = o->settings.csv && o->settings.tsv;
	return both ? "cannot be used with --tsv; job files are one or the other"
		    : NULL;
}

/* A file may say it for the runs that need it. */
static const char *url_column_conflict(const struct options *o)
{
	bool is_table = o->settings.csv || o->settings.tsv;
	return is_flag(o, OPTION_URL_COLUMN) && !is_table ? "needs --csv or --tsv"
							  : NULL;
}

static const char *fields_conflict(const struct options *o)
{
	bool is_csv = o->settings.format == FORMAT_CSV;
	return is_flag(o, OPTION_FIELDS) && !is_csv ? "needs --format csv" : NULL;
}

/* A job with a method or a body of its own could still be sent, but who says both
 * for all jobs means something else. */
static const char *data_conflict(const struct options *o)
{
	const struct settings *s = &o->settings;
	bool is_head = s->method && strcmp(s->method, "HEAD") == 0;
	return is_head && s->data && *s->data
		       ? "cannot be used with --method HEAD; such a request has no body"
		       : NULL;
}

static const char *key_conflict(const struct options *o)
{
	return o->settings.key && !o->settings.cert ? "needs --cert" : NULL;
}

static const char *fail_fast_conflict(const struct options *o)
{
	const struct option_value *halt = &o->values[OPTION_HALT];
	bool same = o->values[OPTION_FAIL_FAST].source == halt->source;
	return o->settings.fail_fast && o->settings.halt != HALT_NEVER && same
		       ? "cannot be used with --halt; it means --halt now,fail=1"
		       : NULL;
}

/* With less every worker would end before it has done anything. */
static const char *worker_memory_conflict(const struct options *o)
{
	uint64_t bytes = o->settings.worker_memory;
	return bytes && bytes < 32 * MIB ? "needs at least 32M; or 0, for any" : NULL;
}

static int check_conflicts(const struct options *o)
{
	static const struct {
		enum option_id id;
		const char *(*why)(const struct options *o);
	} conflicts[] = {{OPTION_RESUME, resume_conflict},
		{OPTION_RETRY_FAILED, retry_failed_conflict},
		{OPTION_CSV, csv_conflict}, {OPTION_URL_COLUMN, url_column_conflict},
		{OPTION_FIELDS, fields_conflict}, {OPTION_DATA, data_conflict},
		{OPTION_KEY, key_conflict}, {OPTION_FAIL_FAST, fail_fast_conflict},
		{OPTION_WORKER_MEMORY, worker_memory_conflict}};
	for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
		const char *why = conflicts[i].why(o);
		if (why) {
			char name[OPTIONS_ENV_NAME_MAX];
			snprintf(name, sizeof(name), "--%s",
				option_rows[conflicts[i].id].name);
			message_print(name, "%s", why);
			return EXIT_USAGE;
		}
	}
	return 0;
}

/* -------------------------------------------------------------------- files */

/* What a file must have in it, and what to say when it has not. */
struct want {
	unsigned parts;
	const char *missing;
};

static const char *wrong_with(unsigned parts, const struct want *want)
{
	if ((parts & want->parts) != want->parts) {
		return want->missing;
	}
	return want->parts & PEM_KEY && parts & PEM_LOCKED
		       ? "the private key has a password; take a copy without one"
		       : NULL;
}

/* Only the file that is used must be there, not one that a flag hides. */
static int check_file(const struct options *o, enum option_id id, const char *path,
	const struct want *want)
{
	const struct option_value *value = &o->values[id];
	struct value_error why = {""};
	if (!path) {
		return 0;
	}
	const char *wrong = values_readable_file(path, &why)
				    ? why.text
				    : wrong_with(pem_parts(path), want);
	if (!wrong) {
		return 0;
	}
	assign_complain(o, id, value->source, value->line, path, wrong);
	return EXIT_USAGE;
}

static int check_files(const struct options *o)
{
	static const struct want
		authority = {PEM_CERTIFICATE, "has no certificate in PEM form"},
		pair = {PEM_CERTIFICATE | PEM_KEY,
			"has not both a certificate and its private key in PEM form; "
			"--key names another file for the key"},
		key = {PEM_KEY, "has no private key in PEM form"};
	const struct settings *s = &o->settings;
	int code = check_file(o, OPTION_CACERT, s->ca_file, &authority);
	code = code ? code
		    : check_file(o, OPTION_CERT, s->cert, s->key ? &authority : &pair);
	return code ? code : check_file(o, OPTION_KEY, s->key, &key);
}

/* --------------------------------------------------------------------- data */

static int refuse_data(const struct options *o, const char *path, const char *reason)
{
	const struct option_value *value = &o->values[OPTION_DATA];
	struct value_error why;
	snprintf(why.text, sizeof(why.text), "@%.100s: %s", path, reason);
	assign_complain(o, OPTION_DATA, value->source, value->line, "", why.text);
	return EXIT_USAGE;
}

/* The bytes of a file into *data, one more than allowed at most. */
static int read_data(int fd, struct buf *data)
{
	while (data->len <= OPTIONS_DATA_MAX) {
		if (buf_reserve(data, 65536)) {
			return ENOMEM;
		}
		ssize_t n = read(fd, data->data + data->len, 65536);
		if (n == 0) {
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			return errno;
		}
		data->len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int load_data_file(struct options *o, const char *path)
{
	struct value_error why = {""};
	struct buf data = {0};
	if (values_readable_file(path, &why)) {
		return refuse_data(o, path, why.text);
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 ? errno : read_data(fd, &data);
	if (fd >= 0) {
		close(fd);
	}
	o->data = data.data;
	o->settings.data = data.data ? data.data : "";
	o->settings.data_len = data.len;
	if (error) {
		return refuse_data(o, path, strerror(error));
	}
	return data.len > OPTIONS_DATA_MAX ? refuse_data(o, path, "longer than 16 MiB")
					   : 0;
}

static int load_data(struct options *o)
{
	const char *text = o->settings.data;
	if (text && text[0] == '@') {
		return load_data_file(o, text + 1);
	}
	o->settings.data_len = text ? strlen(text) : 0;
	return 0;
}

/* ---------------------------------------------------------------- the whole */

/* The stronger source of the two wins. */
static void fold_fail_fast(struct options *o)
{
	if (o->settings.fail_fast &&
		o->values[OPTION_FAIL_FAST].source >= o->values[OPTION_HALT].source) {
		o->settings.halt = HALT_NOW;
		o->settings.halt_fail_ct = 1;
		o->settings.halt_fail_percent = 0;
	}
}

/* As the names say; that two of them are one file is seen where they are opened. */
int options_check_report(const struct options *o)
{
	const char *json = options_text(o, OPTION_JSON);
	const char *html = options_text(o, OPTION_HTML);
	const char *in = o->settings.inputs[0];
	if (json && html && strcmp(json, html) == 0) {
		message_print(
			"--html", "cannot go where --json goes; name another file");
		return EXIT_USAGE;
	}
	const char *same = json && strcmp(json, in) == 0   ? "--json"
			   : html && strcmp(html, in) == 0 ? "--html"
							   : NULL;
	if (same && strcmp(in, "-") != 0) {
		message_print(same, "is the results file, too; name another file");
		return EXIT_USAGE;
	}
	return 0;
}

int options_check(struct options *o)
{
	int code = check_conflicts(o);
	code = code ? code : check_files(o);
	code = code ? code : load_data(o);
	if (!code) {
		fold_fail_fast(o);
	}
	return code;
}
