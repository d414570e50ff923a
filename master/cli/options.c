/* SPDX-License-Identifier: MIT
 *
 * options - the command, and the value of every option, see options.h.
 *
 * The flags are read first, for they say which file to read and whether help is
 * all that is wanted.  Then values are set from the weakest source to the
 * strongest.  Each is checked as it is set: a mistake in the file is an error
 * also when a flag hides it.
 */
#include "master/cli/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli/slip.h"
#include "common/poolmap.h"
#include "master/cli/assign.h"
#include "master/cli/flags.h"
#include "master/cli/message.h"
#include "master/cli/options_check.h"
#include "master/cli/store.h"

#define AT(field) offsetof(struct settings, field)
#define NOWHERE OPTION_NOWHERE

const struct option_row option_rows[OPTION_CT] = {
#define X(id, name, letter, kind, scope, group, field, min, max, text, argument, help) \
	{name, letter, KIND_##kind, scope, GROUP_##group, field, min, max, text,       \
		argument, help},
	OPTIONS_TABLE(X)
#undef X
};

#define PREFIX "POOLMAP_"
enum { PREFIX_LEN = sizeof(PREFIX) - 1 };

/* Variables that begin like ours and are none: the tests' own. */
static const char *const other_variables[] = {PREFIX "BUILD_DIR"};

/* -------------------------------------------------------------------- names */

void options_env_name(char out[OPTIONS_ENV_NAME_MAX], const char *name)
{
	snprintf(out, OPTIONS_ENV_NAME_MAX, PREFIX "%s", name);
	for (char *at = out; *at; at++) {
		*at = (char)(*at == '-' ? '_' : toupper((unsigned char)*at));
	}
}

const struct option_row *options_named(const char *name)
{
	for (size_t i = 0; i < OPTION_CT; i++) {
		if (strcmp(option_rows[i].name, name) == 0) {
			return &option_rows[i];
		}
	}
	return NULL;
}

const struct option_row *options_nearest(const char *typed, unsigned scope)
{
	const struct option_row *nearest = NULL;
	unsigned best = SLIP_FAR;
	for (size_t i = 0; i < OPTION_CT; i++) {
		unsigned slips = slip_ct(typed, option_rows[i].name);
		if ((option_rows[i].scope & scope) && slips < best) {
			best = slips;
			nearest = &option_rows[i];
		}
	}
	return nearest;
}

/* ------------------------------------------------------------------ defaults */

static int set_defaults(struct options *o)
{
	int code = 0;
	for (size_t i = 0; i < OPTION_CT && !code; i++) {
		const char *text = option_rows[i].default_text;
		if (*text || option_rows[i].kind == KIND_DATA) {
			code = assign_text(
				o, (enum option_id)i, SOURCE_DEFAULT, 0, text);
		}
	}
	return code;
}

/* ------------------------------------------------------------------ the file */

static int set_from_file(struct options *o, const char *path)
{
	int code = config_read(&o->config, path);
	for (size_t i = 0; i < o->config.entry_ct && !code; i++) {
		const struct config_entry *entry = &o->config.entries[i];
		code = assign_text(o, entry->id, SOURCE_FILE, entry->line, entry->text);
	}
	return code ? code : assign_hosts(o);
}

/* The file that is found where files are looked for, if any. */
static int set_from_found_file(struct options *o)
{
	char *found = NULL;
	if (config_find(&found)) {
		return assign_out_of_memory();
	}
	int code = found ? set_from_file(o, found) : 0;
	free(found);
	return code;
}

static int set_from_config(struct options *o, const struct flags *f)
{
	const char *named = flags_text(f, OPTION_CONFIG);
	if (flags_text(f, OPTION_NO_CONFIG)) {
		if (named) {
			message_print("--no-config",
				"cannot be used with --config; leave one of them out");
		}
		return named ? EXIT_USAGE : 0;
	}
	if (!named) {
		named = getenv(PREFIX "CONFIG");
	}
	if (!named) {
		return set_from_found_file(o);
	}
	/* An empty name is refused where this very option is set. */
	return *named ? set_from_file(o, named) : 0;
}

/* ----------------------------------------------------------- the environment */

static bool is_other_variable(const char *name)
{
	for (size_t i = 0; i < sizeof(other_variables) / sizeof(other_variables[0]);
		i++) {
		if (strcmp(name, other_variables[i]) == 0) {
			return true;
		}
	}
	return false;
}

static int unknown_variable(const char *name)
{
	char typed[OPTIONS_ENV_NAME_MAX], near_name[OPTIONS_ENV_NAME_MAX];
	snprintf(typed, sizeof(typed), "%s", name + PREFIX_LEN);
	for (char *at = typed; *at; at++) {
		*at = (char)(*at == '_' ? '-' : tolower((unsigned char)*at));
	}
	const struct option_row *row = options_named(typed);
	const struct option_row *near = options_nearest(typed, SCOPE_ENV);
	if (row && row->scope & SCOPE_FLAG && !(row->scope & SCOPE_ENV)) {
		message_print(name,
			"may not be set in the environment; use --%s on the command "
			"line",
			row->name);
	} else if (near) {
		options_env_name(near_name, near->name);
		message_print(name, "unknown variable; did you mean %s?", near_name);
	} else {
		message_print(
			name, "unknown variable; unset it (see poolmap run --help)");
	}
	return EXIT_USAGE;
}

/* The values of a list, one a line.  None at all is a value too: it hides those
 * of the file. */
static int set_lines(struct options *o, enum option_id id, const char *lines)
{
	int code = 0;
	assign_begin(o, id, SOURCE_ENV, 0);
	while (*lines && !code) {
		size_t len = strcspn(lines, "\n");
		char *line = strndup(lines, len);
		if (!line) {
			return assign_out_of_memory();
		}
		code = len ? assign_text(o, id, SOURCE_ENV, 0, line) : 0;
		free(line);
		lines += len + (lines[len] == '\n');
	}
	return code;
}

/* The row of a variable's name, or NULL. */
static const struct option_row *row_of_variable(const char *name)
{
	for (size_t i = 0; i < OPTION_CT; i++) {
		char own[OPTIONS_ENV_NAME_MAX];
		options_env_name(own, option_rows[i].name);
		if ((option_rows[i].scope & SCOPE_ENV) && strcmp(own, name) == 0) {
			return &option_rows[i];
		}
	}
	return NULL;
}

static int set_from_variable(struct options *o, const char *name, const char *text)
{
	const struct option_row *row = row_of_variable(name);
	if (!row) {
		return is_other_variable(name) ? 0 : unknown_variable(name);
	}
	enum option_id id = (enum option_id)(row - option_rows);
	return store_is_list(row) ? set_lines(o, id, text)
				  : assign_text(o, id, SOURCE_ENV, 0, text);
}

static int set_from_environment(struct options *o)
{
	int code = 0;
	for (char **at = environ; at && *at && !code; at++) {
		size_t len = strcspn(*at, "=");
		if (strncmp(*at, PREFIX, PREFIX_LEN) != 0 || !(*at)[len]) {
			continue;
		}
		char *name = strndup(*at, len);
		if (!name) {
			return assign_out_of_memory();
		}
		code = set_from_variable(o, name, *at + len + 1);
		free(name);
	}
	return code;
}

/* ---------------------------------------------------------- the command line */

static int set_from_flags(struct options *o, const struct flags *f)
{
	int code = 0;
	for (size_t i = 0; i < f->ct && !code; i++) {
		const char *text = f->list[i].text;
		code = assign_text(
			o, f->list[i].id, SOURCE_FLAG, 0, text ? text : "yes");
	}
	return code;
}

const char *options_text(const struct options *o, enum option_id id)
{
	const struct option_value *value = &o->values[id];
	return value->text_ct ? value->texts[value->text_ct - 1] : NULL;
}

static int set_inputs(struct options *o, const struct flags *f)
{
	const size_t ct = f->input_ct;
	o->inputs = calloc(ct ? ct : 1, sizeof(*o->inputs));
	if (!o->inputs) {
		return assign_out_of_memory();
	}
	o->inputs[0] = "-";
	for (size_t i = 0; i < ct; i++) {
		o->inputs[i] = assign_keep(o, f->inputs[i]);
		if (!o->inputs[i]) {
			return assign_out_of_memory();
		}
	}
	o->settings.inputs = o->inputs;
	o->settings.input_ct = ct ? ct : 1;
	return 0;
}

/* --------------------------------------------------------------------- loading */

/* From the weakest source to the strongest. */
static int set_all(struct options *o, const struct flags *f)
{
	int code = set_defaults(o);
	code = code ? code : set_from_config(o, f);
	code = code ? code : set_from_environment(o);
	code = code ? code : set_from_flags(o, f);
	code = code ? code : set_inputs(o, f);
	return code ? code : options_check(o);
}

/* Nothing of it can be set elsewhere. */
static int set_report(struct options *o, const struct flags *f)
{
	int code = set_from_flags(o, f);
	code = code ? code : set_inputs(o, f);
	return code ? code : options_check_report(o);
}

int options_load(struct options *options, int argc, char **argv)
{
	struct flags flags = {0};
	*options = (struct options){0};
	int code = flags_read(&flags, argc, argv);
	options->command = flags.command;
	options->help_on = flags.help_on;
	if (!code &&
		(flags.command == COMMAND_RUN || flags.command == COMMAND_CONFIG)) {
		code = set_all(options, &flags);
	} else if (!code && flags.command == COMMAND_REPORT) {
		code = set_report(options, &flags);
	}
	flags_fini(&flags);
	if (code) {
		options_fini(options);
	}
	return code;
}

void options_fini(struct options *o)
{
	while (o->texts) {
		struct options_text *next = o->texts->next;
		free(o->texts);
		o->texts = next;
	}
	for (size_t i = 0; i < OPTION_CT; i++) {
		free(o->values[i].texts);
	}
	free(o->settings.headers);
	free(o->inputs);
	free(o->resolve);
	free(o->data);
	free(o->host_rules);
	config_fini(&o->config);
	*o = (struct options){0};
}
