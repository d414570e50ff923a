/* SPDX-License-Identifier: MIT
 *
 * flags - the words of the command line, see flags.h.
 */
#include "master/cli/flags.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/slip.h"
#include "master/cli/message.h"

static const struct {
	const char *name;
	enum options_command command;
} commands[] = {
	{"run", COMMAND_RUN}, {"report", COMMAND_REPORT}, {"config", COMMAND_CONFIG}};

enum { COMMAND_NAME_CT = sizeof(commands) / sizeof(commands[0]) };

static const char *command_name(enum options_command command)
{
	for (size_t i = 0; i < COMMAND_NAME_CT; i++) {
		if (commands[i].command == command) {
			return commands[i].name;
		}
	}
	return "";
}

/* -------------------------------------------------------------- the command */

static int unknown_command(const char *word)
{
	const char *nearest = NULL;
	unsigned best = SLIP_FAR;
	for (size_t i = 0; i < COMMAND_NAME_CT; i++) {
		unsigned slips = slip_ct(word, commands[i].name);
		if (slips < best) {
			best = slips;
			nearest = commands[i].name;
		}
	}
	if (nearest) {
		message_print(
			word, "unknown command; did you mean poolmap %s?", nearest);
	} else if (word[0] == '-') {
		message_print(word,
			"options follow the command, as in poolmap run %s "
			"(see poolmap --help)",
			word);
	} else {
		message_print(word, "unknown command (see poolmap --help)");
	}
	return EXIT_USAGE;
}

/* The first word says what to do. */
static int read_command(struct flags *f, int argc, char **argv)
{
	if (argc < 2) {
		message_print("no command",
			"say what to do, as in poolmap run jobs.txt "
			"(see poolmap --help)");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < COMMAND_NAME_CT; i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			f->command = commands[i].command;
			return 0;
		}
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		f->command = f->help_on = COMMAND_HELP;
	} else if (strcmp(argv[1], "--version") == 0) {
		f->command = COMMAND_VERSION;
	} else {
		return unknown_command(argv[1]);
	}
	return 0;
}

static bool is_answered(const struct flags *f)
{
	return f->command == COMMAND_HELP || f->command == COMMAND_VERSION;
}

/* ---------------------------------------------------------------- the flags */

/* getopt_long() returns this and the row's number for a long option, and the
 * letter for a short one. */
enum { LONG_BASE = 256 };

struct getopt_tables {
	struct option longs[OPTION_CT + 1];
	char shorts[2 * OPTION_CT + 2];
};

/* A switch that a file or a variable may have set can be undone by a flag, as
 * in --quiet=no. */
static int argument_of(const struct option_row *row)
{
	if (row->argument) {
		return required_argument;
	}
	bool can_be_undone = row->kind == KIND_SWITCH && row->scope != SCOPE_FLAG;
	return can_be_undone ? optional_argument : no_argument;
}

static unsigned scope_of(const struct flags *f)
{
	return f->command == COMMAND_REPORT ? SCOPE_REPORT : SCOPE_FLAG;
}

static void fill_getopt_tables(const struct flags *f, struct getopt_tables *t)
{
	char *s = t->shorts;
	struct option *l = t->longs;
	*s++ = ':'; /* tell a missing value from an unknown option */
	for (int i = 0; i < OPTION_CT; i++) {
		const struct option_row *row = &option_rows[i];
		if (!(row->scope & scope_of(f))) {
			continue;
		}
		*l++ = (struct option){
			row->name, argument_of(row), NULL, LONG_BASE + i};
		if (row->letter) {
			*s++ = row->letter;
		}
		if (row->letter && row->argument) {
			*s++ = ':';
		}
	}
	*s = '\0';
	*l = (struct option){0};
}

/* The row of a number that getopt_long() returned, or NULL. */
static const struct option_row *row_of(const struct flags *f, int got)
{
	for (int i = 0; i < OPTION_CT; i++) {
		const struct option_row *row = &option_rows[i];
		bool named = got == LONG_BASE + i || (got && got == row->letter);
		if (named && (row->scope & scope_of(f))) {
			return row;
		}
	}
	return NULL;
}

/* `word` is --name, --name=value or -x. */
static int unknown_flag(const struct flags *f, const char *word)
{
	char name[64];
	int len = (int)strcspn(word, "=");
	snprintf(name, sizeof(name), "%.*s", len < 60 ? len : 60, word);
	bool is_long = strncmp(name, "--", 2) == 0;
	const struct option_row *near =
		is_long ? options_nearest(name + 2, scope_of(f)) : NULL;
	if (near) {
		message_print(name, "unknown option; did you mean --%s?", near->name);
	} else {
		message_print(name, "unknown option (see poolmap %s --help)",
			command_name(f->command));
	}
	return EXIT_USAGE;
}

/* getopt_long() found a flag that it does not know, without its value, or with
 * one too many: optopt tells which. */
static int bad_flag(const struct flags *f, int got, char **argv)
{
	const struct option_row *row = row_of(f, optopt);
	const char letter[] = {'-', (char)optopt, '\0'};
	if (!row) {
		return unknown_flag(f, optopt ? letter : argv[optind - 1]);
	}
	char name[64];
	snprintf(name, sizeof(name), "--%s", row->name);
	if (got == ':') {
		message_print(name,
			"needs a value, as in %s %s (see poolmap %s --help)", name,
			row->argument, command_name(f->command));
	} else {
		message_print(name, "takes no value (see poolmap %s --help)",
			command_name(f->command));
	}
	return EXIT_USAGE;
}

/* getopt_long() takes the beginning of a name for the name.  We do not: a
 * script would break with the next option that begins alike. */
static const char *abbreviation(const struct option_row *row, int got, char **argv)
{
	if (got < LONG_BASE) {
		return NULL;
	}
	bool is_apart = optarg && optarg == argv[optind - 1];
	const char *word = argv[optind - (is_apart ? 2 : 1)];
	return strcspn(word + 2, "=") == strlen(row->name) ? NULL : word;
}

static void note_flag(struct flags *f, const struct option_row *row)
{
	if (row->kind != KIND_ACTION) {
		enum option_id id = (enum option_id)(row - option_rows);
		f->list[f->ct++] = (struct flag){id, optarg};
		return;
	}
	bool is_help = row == &option_rows[OPTION_HELP];
	f->help_on = f->command;
	f->command = is_help ? COMMAND_HELP : COMMAND_VERSION;
}

/* argv starts with the command.  Leaves optind at the job files. */
static int read_flags(struct flags *f, int argc, char **argv)
{
	struct getopt_tables tables = {0};
	fill_getopt_tables(f, &tables);
	optind = 0; /* glibc: start afresh, argv may be another one than before */
	opterr = 0;
	while (!is_answered(f)) {
		int got = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
		if (got < 0) {
			return 0;
		}
		bool is_bad = got == ':' || got == '?';
		const struct option_row *row = is_bad ? NULL : row_of(f, got);
		if (!row) {
			return bad_flag(f, got, argv);
		}
		const char *word = abbreviation(row, got, argv);
		if (word) {
			return unknown_flag(f, word);
		}
		note_flag(f, row);
	}
	return 0;
}

/* One, for two files are two reports. */
static int check_results(size_t ct, char **words)
{
	if (ct == 0) {
		message_print("no results",
			"name a results file, as in poolmap report results.jsonl (see "
			"poolmap report --help)");
	} else if (ct > 1) {
		message_print(words[1],
			"poolmap report takes one results file (see poolmap report "
			"--help)");
	} else if (!words[0][0]) {
		message_print("results", "an empty name is no file");
	} else {
		return 0;
	}
	return EXIT_USAGE;
}

static int note_inputs(struct flags *f, size_t ct, char **words)
{
	if (f->command == COMMAND_CONFIG && ct > 0) {
		message_print(words[0], "poolmap config takes no job file (see poolmap "
					"config --help)");
		return EXIT_USAGE;
	}
	f->inputs = words;
	f->input_ct = ct;
	return f->command == COMMAND_REPORT ? check_results(ct, words) : 0;
}

int flags_read(struct flags *f, int argc, char **argv)
{
	int code = read_command(f, argc, argv);
	if (code || is_answered(f)) {
		return code;
	}
	/* A word can be many flags, as in -kq, but a flag has a letter at least. */
	size_t letters = 0;
	for (int i = 0; i < argc; i++) {
		letters += strlen(argv[i]);
	}
	f->list = calloc(letters + 1, sizeof(*f->list));
	if (!f->list) {
		message_errno("command line", ENOMEM);
		return EXIT_WORKERS;
	}
	code = read_flags(f, argc - 1, argv + 1);
	if (code || is_answered(f)) {
		return code;
	}
	return note_inputs(f, (size_t)(argc - 1 - optind), argv + 1 + optind);
}

void flags_fini(struct flags *f)
{
	free(f->list);
	*f = (struct flags){0};
}

const char *flags_text(const struct flags *f, enum option_id id)
{
	const char *text = NULL;
	for (size_t i = 0; i < f->ct; i++) {
		if (f->list[i].id == id) {
			text = f->list[i].text ? f->list[i].text : "yes";
		}
	}
	return text;
}
