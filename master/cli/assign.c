/* SPDX-License-Identifier: MIT
 *
 * assign - gives an option a value, see assign.h.
 */
#include "master/cli/assign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/message.h"
#include "master/cli/values.h"

/* ----------------------------------------------------------------- messages */

int assign_out_of_memory(void)
{
	message_errno("options", ENOMEM);
	return EXIT_WORKERS;
}

/* What stands between the name and the value where it was written. */
static const char *sign_of(const struct option_row *row, enum option_source source)
{
	if (source == SOURCE_FILE) {
		return " = ";
	}
	return source == SOURCE_ENV || row->kind == KIND_SWITCH ? "=" : " ";
}

static void name_of(char name[OPTIONS_ENV_NAME_MAX], const struct option_row *row,
	enum option_source source)
{
	if (source == SOURCE_ENV) {
		options_env_name(name, row->name);
	} else {
		snprintf(name, OPTIONS_ENV_NAME_MAX, "%s%s",
			source == SOURCE_FILE ? "" : "--", row->name);
	}
}

/* "--workers 0: out of range", "POOLMAP_WORKERS=0: ...", "FILE:3: workers = 0:
 * ...".  A header may be a secret: it is named, not shown. */
void assign_complain(const struct options *o, enum option_id id,
	enum option_source source, unsigned line, const char *text, const char *why)
{
	enum { SHOWN_MAX = 64 };
	const struct option_row *row = &option_rows[id];
	char name[OPTIONS_ENV_NAME_MAX], what[OPTIONS_ENV_NAME_MAX + SHOWN_MAX + 16];
	name_of(name, row, source);
	if (row->kind == KIND_HEADERS) {
		snprintf(what, sizeof(what), "%s", name);
	} else {
		const char *quote = *text && !strchr(text, ' ') ? "" : "\"";
		snprintf(what, sizeof(what), "%s%s%s%.*s%s%s", name,
			sign_of(row, source), quote, (int)SHOWN_MAX, text,
			strlen(text) > SHOWN_MAX ? "..." : "", quote);
	}
	if (source == SOURCE_FILE) {
		message_at(o->config.path, line, "%s: %s", what, why);
	} else {
		message_print(what, "%s", why);
	}
}

/* ------------------------------------------------------------------ storing */

char *assign_keep(struct options *o, const char *text)
{
	size_t size = strlen(text) + 1;
	struct options_text *kept = malloc(sizeof(*kept) + size);
	if (!kept) {
		return NULL;
	}
	memcpy(kept->text, text, size);
	kept->next = o->texts;
	o->texts = kept;
	return kept->text;
}

/* settings.headers gets one more. */
static int store_header(struct options *o, char *text, struct value_error *why)
{
	struct header_parts parts;
	int err = values_header(text, &parts, why);
	if (err) {
		return err;
	}
	if (o->settings.header_ct == OPTIONS_HEADERS_MAX) {
		snprintf(why->text, sizeof(why->text), "more than %d headers",
			(int)OPTIONS_HEADERS_MAX);
		return PM_EINVAL;
	}
	size_t ct = o->settings.header_ct;
	struct pm_header *more = realloc(o->settings.headers, (ct + 1) * sizeof(*more));
	if (!more) {
		return PM_ENOMEM;
	}
	text[parts.name_len] = '\0';
	text[parts.value_at + parts.value_len] = '\0';
	more[ct] = (struct pm_header){text, text + parts.value_at};
	o->settings.headers = more;
	o->settings.header_ct = ct + 1;
	return 0;
}

/* Numbers are stored in the type of the field; a row's limit fits its type. */
static int store_unsigned(void *field, int err, uint64_t n)
{
	unsigned value = (unsigned)n;
	if (!err) {
		memcpy(field, &value, sizeof(value));
	}
	return err;
}

static int store_uint64(void *field, int err, uint64_t n)
{
	if (!err) {
		memcpy(field, &n, sizeof(n));
	}
	return err;
}

/* A text field, NULL for the word that stands for "not set". */
static int store_text(void *field, int err, const char *text, const char *unset)
{
	const char *value = strcmp(text, unset) == 0 ? NULL : text;
	if (!err) {
		memcpy(field, &value, sizeof(value));
	}
	return err;
}

static int check_file_name(const char *text, struct value_error *why)
{
	if (*text) {
		return 0;
	}
	snprintf(why->text, sizeof(why->text), "is empty; name a file");
	return PM_EINVAL;
}

/* Read `text`, which is the options' own, into a field of the row's kind. */
static int store_field(const struct option_row *row, void *field, const char *text,
	struct value_error *why)
{
	const uint64_t min = row->min, max = row->max;
	uint64_t n = 0;
	int err;
	switch (row->kind) {
	case KIND_SWITCH:
		return values_switch(text, field, why);
	case KIND_NUMBER:
		err = values_number(text, min, max, &n, why);
		return store_unsigned(field, err, n);
	case KIND_COUNT:
		err = values_number(text, min, max, &n, why);
		return store_uint64(field, err, n);
	case KIND_WORKERS:
		err = values_workers(text, min, max, &n, why);
		return store_unsigned(field, err, n);
	case KIND_SIZE:
		err = values_size(text, min, max, &n, why);
		return store_uint64(field, err, n);
	case KIND_SECONDS:
		err = values_seconds(text, min, max, &n, why);
		return store_unsigned(field, err, n);
	case KIND_BODY:
		return values_body(text, field, why);
	case KIND_STATUSES:
		return values_statuses(text, min, max, field, why);
	case KIND_METHOD:
		err = values_method(text, why);
		return store_text(field, err, text, row->default_text);
	case KIND_CA_FILE:
		err = check_file_name(text, why);
		return store_text(field, err, text, row->default_text);
	case KIND_FILE:
		err = check_file_name(text, why);
		return store_text(field, err, text, "");
	case KIND_HEADERS:
	case KIND_ACTION:
		break;
	}
	return 0;
}

static int store(struct options *o, const struct option_row *row, char *text,
	struct value_error *why)
{
	union {
		bool is;
		const char *text;
	} unused; /* for options that are no setting */
	if (row->kind == KIND_HEADERS) {
		return store_header(o, text, why);
	}
	void *field = row->offset == OPTION_NOWHERE
			      ? (void *)&unused
			      : (void *)((char *)&o->settings + row->offset);
	return store_field(row, field, text, why);
}

/* ------------------------------------------------------------------ sources */

void assign_begin(
	struct options *o, enum option_id id, enum option_source source, unsigned line)
{
	struct option_value *value = &o->values[id];
	value->text_ct = 0;
	value->source = source;
	value->line = line;
	if (option_rows[id].kind == KIND_HEADERS) {
		o->settings.header_ct = 0;
	}
}

static bool adds(const struct options *o, enum option_id id, enum option_source source)
{
	return option_rows[id].kind == KIND_HEADERS && o->values[id].source == source;
}

/* One more text for the option.  Returns a copy that store() may cut into
 * pieces, for the one in the list stays whole; NULL: no memory. */
static char *add_text(struct options *o, enum option_id id, const char *text)
{
	struct option_value *value = &o->values[id];
	char *shown = assign_keep(o, text), *used = assign_keep(o, text);
	const char **more = realloc(value->texts, (value->text_ct + 1) * sizeof(*more));
	if (more) {
		value->texts = more;
	}
	if (!more || !shown || !used) {
		return NULL;
	}
	value->texts[value->text_ct++] = shown;
	return used;
}

int assign_text(struct options *o, enum option_id id, enum option_source source,
	unsigned line, const char *text)
{
	struct value_error why = {""};
	if (!adds(o, id, source)) {
		assign_begin(o, id, source, line);
	}
	char *used = add_text(o, id, text);
	int err = used ? store(o, &option_rows[id], used, &why) : PM_ENOMEM;
	if (err == PM_ENOMEM) {
		return assign_out_of_memory();
	}
	if (err) {
		assign_complain(o, id, source, line, text, why.text);
		return EXIT_USAGE;
	}
	return 0;
}
