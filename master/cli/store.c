/* SPDX-License-Identifier: MIT
 *
 * store - puts the text of an option's value into struct settings, see store.h.
 */
#include "master/cli/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/assign.h"

/* -------------------------------------------------------------------- lists */

bool store_is_list(const struct option_row *row)
{
	return row->kind == KIND_HEADERS || row->kind == KIND_RESOLVE;
}

void store_clear_list(struct options *o, const struct option_row *row)
{
	if (row->kind == KIND_HEADERS) {
		o->settings.header_ct = 0;
	} else if (row->kind == KIND_RESOLVE) {
		o->settings.resolve_ct = 0;
	}
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

/* settings.resolve gets one more. */
static int store_resolve(struct options *o, const char *text, struct value_error *why)
{
	size_t ct = o->settings.resolve_ct;
	int err = values_resolve(text, why);
	if (err) {
		return err;
	}
	if (ct == OPTIONS_RESOLVE_MAX) {
		snprintf(why->text, sizeof(why->text), "more than %d addresses",
			(int)OPTIONS_RESOLVE_MAX);
		return PM_EINVAL;
	}
	const char **more = realloc(o->resolve, (ct + 1) * sizeof(*more));
	if (!more) {
		return PM_ENOMEM;
	}
	more[ct] = text;
	o->resolve = more;
	o->settings.resolve = more;
	o->settings.resolve_ct = ct + 1;
	return 0;
}

/* -------------------------------------------------------- more than one field */

static int store_body(struct settings *s, const char *text, struct value_error *why)
{
	struct value_body body;
	int err = values_body(text, &body, why);
	if (!err) {
		s->body = body.mode;
		s->body_path = body.path;
	}
	return err;
}

static int store_retry_on(struct settings *s, const struct option_row *row,
	const char *text, struct value_error *why)
{
	struct value_retry retry;
	int err = values_retry_on(text, row->min, row->max, &retry, why);
	if (!err) {
		s->retry_statuses = retry.statuses;
		s->retry_classes = retry.classes;
	}
	return err;
}

static int store_halt(struct settings *s, const char *text, struct value_error *why)
{
	struct value_halt halt;
	int err = values_halt(text, &halt, why);
	if (!err) {
		s->halt = halt.when;
		s->halt_fail_ct = halt.fail_ct;
		s->halt_fail_percent = halt.fail_percent;
	}
	return err;
}

/* A proxy without a scheme is one of HTTP, as it is for curl. */
static int store_proxy(struct options *o, const struct option_row *row,
	const char *text, struct value_error *why)
{
	static const char http[] = "http://";
	bool is_word = strcmp(text, row->default_text) == 0 || strcmp(text, "env") == 0;
	int err = is_word ? 0 : values_proxy(text, why);
	if (!err && !is_word && !strstr(text, "://")) {
		char url[sizeof(http) + VALUES_PROXY_MAX];
		snprintf(url, sizeof(url), "%s%s", http, text);
		text = assign_keep(o, url);
		err = text ? 0 : PM_ENOMEM;
	}
	if (!err) {
		bool is_none = strcmp(text, row->default_text) == 0;
		o->settings.proxy = is_none ? NULL : text;
	}
	return err;
}

/* --------------------------------------------------------------- one field */

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

/* A text field, NULL for the word that stands for "not set"; NULL: there is no
 * such word. */
static int store_text(void *field, int err, const char *text, const char *unset)
{
	const char *value = unset && strcmp(text, unset) == 0 ? NULL : text;
	if (!err) {
		memcpy(field, &value, sizeof(value));
	}
	return err;
}

static int check_not_empty(const char *text, const char *what, struct value_error *why)
{
	if (*text) {
		return 0;
	}
	snprintf(why->text, sizeof(why->text), "is empty; name a %s", what);
	return PM_EINVAL;
}

/* An enum has the size of an int here, and its words their order. */
static int store_choice(const struct option_row *row, void *field, const char *text,
	struct value_error *why)
{
	unsigned place = 0;
	int err = values_choice(text, row->argument, &place, why);
	return store_unsigned(field, err, place);
}

static int store_number(const struct option_row *row, void *field, const char *text,
	struct value_error *why)
{
	const uint64_t min = row->min, max = row->max;
	uint64_t n = 0;
	int err = 0;
	switch (row->kind) {
	case KIND_COUNT:
		err = values_number(text, min, max, &n, why);
		return store_uint64(field, err, n);
	case KIND_SIZE:
		err = values_size(text, min, max, &n, why);
		return store_uint64(field, err, n);
	case KIND_WORKERS:
		err = values_workers(text, min, max, &n, why);
		break;
	case KIND_LIMIT:
		err = values_limit(text, min, max, &n, why);
		break;
	case KIND_SECONDS:
		err = values_seconds(text, min, max, &n, why);
		break;
	default:
		err = values_number(text, min, max, &n, why);
		break;
	}
	return store_unsigned(field, err, n);
}

/* Text that stays text. */
static int check_text(
	const struct option_row *row, const char *text, struct value_error *why)
{
	if (strcmp(text, row->default_text) == 0 && *text) {
		return 0;
	}
	switch (row->kind) {
	case KIND_METHOD:
		return values_method(text, why);
	case KIND_FIELDS:
		return values_fields(text, why);
	case KIND_DNS_SERVERS:
		return values_dns_servers(text, why);
	case KIND_DATA:
		return strcmp(text, "@") == 0 ? check_not_empty("", "file", why) : 0;
	case KIND_COLUMN:
		return check_not_empty(text, "column", why);
	default:
		return check_not_empty(text, "file", why);
	}
}

static int store_field(const struct option_row *row, void *field, const char *text,
	struct value_error *why)
{
	switch (row->kind) {
	case KIND_SWITCH:
		return values_switch(text, field, why);
	case KIND_RATE:
		return values_rate(text, field, why);
	case KIND_CHOICE:
		return store_choice(row, field, text, why);
	case KIND_STATUSES:
		return values_statuses(text, row->min, row->max, field, why);
	case KIND_NUMBER:
	case KIND_COUNT:
	case KIND_WORKERS:
	case KIND_LIMIT:
	case KIND_SIZE:
	case KIND_SECONDS:
		return store_number(row, field, text, why);
	case KIND_FILE:
	case KIND_COLUMN:
		return store_text(field, check_text(row, text, why), text, NULL);
	default:
		return store_text(
			field, check_text(row, text, why), text, row->default_text);
	}
}

int store_value(struct options *o, const struct option_row *row, char *text,
	struct value_error *why)
{
	union {
		bool is;
		const char *text;
	} unused; /* for options that are no setting */
	switch (row->kind) {
	case KIND_HEADERS:
		return store_header(o, text, why);
	case KIND_RESOLVE:
		return store_resolve(o, text, why);
	case KIND_BODY:
		return store_body(&o->settings, text, why);
	case KIND_RETRY_ON:
		return store_retry_on(&o->settings, row, text, why);
	case KIND_HALT:
		return store_halt(&o->settings, text, why);
	case KIND_PROXY:
		return store_proxy(o, row, text, why);
	default:
		break;
	}
	void *field = row->offset == OPTION_NOWHERE
			      ? (void *)&unused
			      : (void *)((char *)&o->settings + row->offset);
	return store_field(row, field, text, why);
}
