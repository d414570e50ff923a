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
#include "master/cli/store.h"
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

/* Of these the option is named, and not what it was given. */
static bool is_secret(const struct option_row *row)
{
	return row->kind == KIND_HEADERS || row->kind == KIND_PROXY ||
	       row->kind == KIND_DATA;
}

/* "--workers 0: out of range", "POOLMAP_WORKERS=0: ...", "FILE:3: workers = 0:
 * ...". */
void assign_complain(const struct options *o, enum option_id id,
	enum option_source source, unsigned line, const char *text, const char *why)
{
	enum { SHOWN_MAX = 64 };
	const struct option_row *row = &option_rows[id];
	char name[OPTIONS_ENV_NAME_MAX], what[OPTIONS_ENV_NAME_MAX + SHOWN_MAX + 16];
	name_of(name, row, source);
	if (is_secret(row)) {
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

/* ------------------------------------------------------------------ sources */

void assign_begin(
	struct options *o, enum option_id id, enum option_source source, unsigned line)
{
	struct option_value *value = &o->values[id];
	value->text_ct = 0;
	value->source = source;
	value->line = line;
	store_clear_list(o, &option_rows[id]);
}

static bool adds(const struct options *o, enum option_id id, enum option_source source)
{
	return store_is_list(&option_rows[id]) && o->values[id].source == source;
}

/* One more text for the option.  Returns a copy that store_value() may cut into
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
	int err = used ? store_value(o, &option_rows[id], used, &why) : PM_ENOMEM;
	if (err == PM_ENOMEM) {
		return assign_out_of_memory();
	}
	if (err) {
		assign_complain(o, id, source, line, text, why.text);
		return EXIT_USAGE;
	}
	return 0;
}

/* -------------------------------------------------------------------- hosts */

static int refuse_host(const struct options *o, const struct config_host *host,
	const struct config_text *text, const char *why)
{
	message_at(o->config.path, text->line, "host \"%s\": %s = %s: %s",
		host->pattern, text == &host->rate ? "rate" : "concurrency", text->text,
		why);
	return EXIT_USAGE;
}

static int refuse_pattern(
	const struct options *o, const struct config_host *host, const char *why)
{
	bool has_rate = host->rate.text != NULL;
	message_at(o->config.path, has_rate ? host->rate.line : host->concurrency.line,
		"host \"%s\": %s", host->pattern, why);
	return EXIT_USAGE;
}

static int set_host(
	struct options *o, const struct config_host *host, struct host_rule *rule)
{
	struct value_error why = {""};
	uint64_t n = 0;
	if (values_host_pattern(host->pattern, &why)) {
		return refuse_pattern(o, host, why.text);
	}
	if (host->concurrency.text && values_number(host->concurrency.text, 1,
					      PM_CONCURRENCY_MAX, &n, &why)) {
		return refuse_host(o, host, &host->concurrency, why.text);
	}
	if (host->rate.text && values_rate(host->rate.text, &rule->host_rate, &why)) {
		return refuse_host(o, host, &host->rate, why.text);
	}
	char *pattern = assign_keep(o, host->pattern);
	if (!pattern) {
		return assign_out_of_memory();
	}
	for (char *at = pattern; *at; at++) {
		*at = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
	}
	rule->pattern = pattern;
	rule->per_host = (unsigned)n;
	return 0;
}

int assign_hosts(struct options *o)
{
	const size_t ct = o->config.host_ct;
	struct host_rule *rules = calloc(ct ? ct : 1, sizeof(*rules));
	if (!rules) {
		return assign_out_of_memory();
	}
	o->host_rules = rules;
	o->settings.host_rules = rules;
	o->settings.host_rule_ct = ct;
	int code = 0;
	for (size_t i = 0; i < ct && !code; i++) {
		code = set_host(o, &o->config.hosts[i], &rules[i]);
	}
	return code;
}
