/* SPDX-License-Identifier: MIT
 *
 * help - what the command prints about itself, see help.h.
 */
#include "master/cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/message.h"
#include "master/cli/secret.h"
#include "master/cli/store.h"

enum { WIDTH = 79, HELP_COLUMN = 29, SOURCE_COLUMN = 32 };

static const char *const group_titles[] = {
#define X(id, title) title,
	OPTION_GROUPS(X)
#undef X
};

enum { GROUP_CT = sizeof(group_titles) / sizeof(group_titles[0]) };

static int finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout)) {
		return 0;
	}
	message_errno("standard output", errno);
	return EXIT_OUTPUT;
}

/* -------------------------------------------------------------------- --help */

static const char overview[] =
	"poolmap - fetch a list of URLs with a pool of worker processes\n"
	"\n"
	"Usage: poolmap run [OPTION]... [JOBFILE]...\n"
	"       poolmap report RESULTS [OPTION]...\n"
	"       poolmap config [OPTION]...\n"
	"       poolmap --help | --version\n"
	"\n"
	"Commands:\n"
	"  run      fetch every job, write one result per job, in the order of the "
	"jobs\n"
	"  report   summarise a results file\n"
	"  config   print the effective configuration, and where each value comes "
	"from\n"
	"\n"
	"Examples:\n"
	"  poolmap run urls.txt -o results.jsonl\n"
	"  poolmap report results.jsonl --html report.html\n"
	"  poolmap config -c 500\n"
	"\n"
	"poolmap COMMAND --help says more about a command.\n";

static const char run_head[] =
	"poolmap run - fetch every job, write one result per job\n"
	"\n"
	"Usage: poolmap run [OPTION]... [JOBFILE]...\n"
	"\n"
	"A job file has one job a line: a URL, or a JSON object with a \"url\"; it "
	"may\n"
	"be compressed with gzip.  Without a job file, or when it is -, jobs are "
	"read\n"
	"from standard input.\n"
	"\n"
	"Examples:\n"
	"  poolmap run urls.txt -o results.jsonl\n"
	"  poolmap run urls.txt -o results.jsonl --resume   (go on after a stop)\n"
	"  poolmap run urls.txt -o results.jsonl --polite --body dir:pages\n"
	"  poolmap run shops.csv.gz --csv --url-column link -o results.jsonl\n"
	"  echo https://example.com/ | poolmap run -c 1 --timeout 5\n";

static const char run_foot[] =
	"\n"
	"SIZE is a number of bytes, or one with K, M or G (1024).  R is a rate: 10/s,\n"
	"30/m, 100/h or none.  A switch that the configuration has turned on is "
	"turned\n"
	"off with --SWITCH=no.\n"
	"\n"
	"Configuration:\n"
	"  An option is taken from the command line, else from the environment\n"
	"  (POOLMAP_MAX_BODY=1M for --max-body 1M; POOLMAP_HEADER: one header a "
	"line),\n"
	"  else from the configuration file, else its default is used.  The file is "
	"the\n"
	"  first of these that exists; --config or POOLMAP_CONFIG names another one:\n"
	"    $XDG_CONFIG_HOME/poolmap/poolmap.conf  (~/.config/poolmap/poolmap.conf)\n"
	"    /etc/poolmap/poolmap.conf\n"
	"  Hosts have limits of their own there: host \"*.example.com\" { rate = "
	"\"5/s\" }\n"
	"  A poolmap.conf in the current directory is never read by itself: a folder\n"
	"  that came from somebody else must not choose your headers.\n"
	"\n"
	"Exit codes:\n"
	"  0    every job is ok\n"
	"  1    every job has a result, some are not ok\n"
	"  2    usage or configuration error; nothing was fetched or written\n"
	"  3    a job file cannot be read (any more); --resume goes on\n"
	"  4    the results cannot be written; --resume goes on\n"
	"  5    workers cannot run; --resume goes on\n"
	"  6    the output is in use by another run, or belongs to another job file\n"
	"  7    stopped by --halt, --fail-fast or --max-time; --resume goes on\n"
	"  130  stopped by SIGINT, 143 by SIGTERM: the first finishes what is in "
	"flight,\n"
	"       a second one stops at once; --resume goes on\n";

static const char report_head[] =
	"poolmap report - summarise a results file\n"
	"\n"
	"Usage: poolmap report RESULTS [OPTION]...\n"
	"\n"
	"Says what came of the jobs: how many are ok, what failed and why, how long "
	"they\n"
	"took, host by host.  RESULTS is what poolmap run has written, JSON Lines or "
	"CSV,\n"
	"compressed or not; - is standard input.  A run may still be writing it.\n"
	"\n"
	"The text goes to standard output, unless another report goes there.  Users "
	"and\n"
	"passwords in URLs are left out.\n"
	"\n"
	"Examples:\n"
	"  poolmap report results.jsonl\n"
	"  poolmap report results.csv.gz --html report.html\n"
	"  poolmap report results.jsonl --json - | jq .latency.p99\n"
	"  jq -c 'select(.url|contains(\"/api/\"))' results.jsonl | poolmap report -\n";

static const char report_foot[] =
	"\n"
	"Exit codes:\n"
	"  0  the report is made, whether jobs failed or not\n"
	"  2  usage error\n"
	"  3  RESULTS cannot be read\n"
	"  4  a report cannot be written\n"
	"  6  RESULTS holds no results of poolmap, or is damaged\n";

static const char config_help[] =
	"poolmap config - print the effective configuration\n"
	"\n"
	"Usage: poolmap config [OPTION]...\n"
	"\n"
	"Takes the options of poolmap run and prints the value that each would have, "
	"as\n"
	"a configuration file; a comment says where the value comes from.  Secrets in\n"
	"headers are hidden.\n"
	"\n"
	"Examples:\n"
	"  poolmap config                  what would a run use, and why?\n"
	"  poolmap config --no-config      the defaults\n"
	"  poolmap config > my.conf        a file to start from, for --config my.conf\n"
	"\n"
	"poolmap run --help lists the options and says where the file is looked for.\n";

/* "  -w, --workers N|auto"; returns its width. */
static int print_flag(const struct option_row *row)
{
	char letter[] = "   ";
	if (row->letter) {
		snprintf(letter, sizeof(letter), "-%c,", row->letter);
	}
	return printf("  %s --%s%s%s", letter, row->name, row->argument ? " " : "",
		row->argument ? row->argument : "");
}

/* A word, on the next line when there is no room for it.  `column` is where the
 * last one ended; returns where this one does. */
static int print_word(const char *word, int len, int column)
{
	if (column + 1 + len > WIDTH) {
		printf("\n%*s", HELP_COLUMN, "");
		column = HELP_COLUMN;
	}
	bool is_first = column == HELP_COLUMN;
	printf("%s%.*s", is_first ? "" : " ", len, word);
	return column + len + !is_first;
}

/* " (default a,b,c)", which may be broken behind its commas. */
static void print_default(const char *text, int column)
{
	char word[128];
	snprintf(word, sizeof(word), "(default %s)", text);
	bool is_long = strlen(word) > WIDTH - HELP_COLUMN;
	for (const char *at = word; *at;) {
		int len = (int)(is_long ? strcspn(at, ",") : strlen(at));
		len += at[len] == ',';
		if (column + 1 + len > WIDTH || at == word) {
			column = print_word(at, len, column);
		} else {
			column += printf("%.*s", len, at);
		}
		at += len;
	}
}

static void print_option(const struct option_row *row)
{
	int column = print_flag(row);
	/* Two spaces at least between the flag and what it does. */
	if (column + 2 > HELP_COLUMN) {
		putchar('\n');
		column = 0;
	}
	printf("%*s", HELP_COLUMN - column, "");
	column = HELP_COLUMN;
	for (const char *at = row->help; *at;) {
		int len = (int)strcspn(at, " ");
		column = print_word(at, len, column);
		at += len + (at[len] == ' ');
	}
	if (row->kind != KIND_SWITCH && row->default_text[0]) {
		print_default(row->default_text, column);
	}
	putchar('\n');
}

/* Those of a group; the title, when there are any. */
static void print_group(size_t group, unsigned scope)
{
	bool titled = false;
	for (size_t i = 0; i < OPTION_CT; i++) {
		if (option_rows[i].group == group && (option_rows[i].scope & scope)) {
			if (!titled) {
				printf("\n%s:\n", group_titles[group]);
			}
			titled = true;
			print_option(&option_rows[i]);
		}
	}
}

static void print_command(const char *head, enum option_scope scope, const char *foot)
{
	fputs(head, stdout);
	for (size_t group = 0; group < GROUP_CT; group++) {
		print_group(group, scope);
	}
	fputs(foot, stdout);
}

int options_print_help(enum options_command about)
{
	switch (about) {
	case COMMAND_RUN:
		print_command(run_head, SCOPE_FLAG, run_foot);
		break;
	case COMMAND_REPORT:
		print_command(report_head, SCOPE_REPORT, report_foot);
		break;
	case COMMAND_CONFIG:
		fputs(config_help, stdout);
		break;
	default:
		fputs(overview, stdout);
		break;
	}
	return finish();
}

int options_print_version(void)
{
	printf("%s\n", pm_version_text());
	return finish();
}

/* ------------------------------------------------------------ poolmap config */

static bool is_plain(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	return *text && !text[strspn(text, plain)];
}

/* As config.c reads it. */
static void put_value(struct buf *line, const char *text)
{
	if (is_plain(text)) {
		buf_puts(line, text);
		return;
	}
	buf_puts(line, "\"");
	for (; *text; text++) {
		if (strchr("\"\\$", *text)) {
			buf_puts(line, "\\");
		}
		buf_put(line, text, 1);
	}
	buf_puts(line, "\"");
}

static void put_source(struct buf *line, const struct options *o,
	const struct option_row *row, const struct option_value *value)
{
	char name[OPTIONS_ENV_NAME_MAX];
	buf_printf(line, "%*s # ",
		line->len < SOURCE_COLUMN ? (int)(SOURCE_COLUMN - line->len) : 0, "");
	switch (value->source) {
	case SOURCE_DEFAULT:
		buf_puts(line, "default");
		return;
	case SOURCE_FILE:
		buf_printf(line, "%s:%u", o->config.path, value->line);
		return;
	case SOURCE_ENV:
		options_env_name(name, row->name);
		buf_puts(line, name);
		return;
	case SOURCE_FLAG:
		buf_puts(line, "command line");
		return;
	}
}

/* A file name may hold a line end, and must not make a line of its own. */
static void print_line(struct buf *line)
{
	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->data[i];
		putchar((c < 0x20 && c != '\t') || c == 0x7f ? '?' : c);
	}
	putchar('\n');
	buf_clear(line);
}

static bool is_hidden(const struct option_row *row, const char *text)
{
	switch (row->kind) {
	case KIND_HEADERS:
		return secret_header(text);
	case KIND_PROXY:
		return secret_proxy(text);
	case KIND_DATA:
		return secret_data(text);
	default:
		return false;
	}
}

/* "# header += "Cookie: (hidden)"" */
static void put_hidden(struct buf *line, const struct option_row *row, const char *text)
{
	if (row->kind == KIND_HEADERS) {
		buf_printf(line, "# %s += \"%.*s: (hidden)\"", row->name,
			(int)strcspn(text, ":"), text);
	} else {
		buf_printf(line, "# %s = (hidden)", row->name);
	}
}

static void print_list(
	const struct options *o, const struct option_row *row, struct buf *line)
{
	const struct option_value *value = &o->values[row - option_rows];
	const char *operator= "=";
	if (value->text_ct == 0) {
		buf_printf(line, "%s = {}", row->name);
		put_source(line, o, row, value);
		print_line(line);
	}
	for (size_t i = 0; i < value->text_ct; i++) {
		const char *text = value->texts[i];
		if (is_hidden(row, text)) {
			put_hidden(line, row, text);
		} else {
			buf_printf(line, "%s %s ", row->name, operator);
			put_value(line, text);
			operator= "+=";
		}
		put_source(line, o, row, value);
		print_line(line);
	}
}

static void print_value(const struct options *o, enum option_id id, struct buf *line)
{
	const struct option_row *row = &option_rows[id];
	const struct option_value *value = &o->values[id];
	if (store_is_list(row)) {
		print_list(o, row, line);
		return;
	}
	if (is_hidden(row, value->texts[0])) {
		put_hidden(line, row, value->texts[0]);
	} else {
		buf_printf(line, "%s%s = ", row->scope & SCOPE_FILE ? "" : "# ",
			row->name);
		put_value(line, value->texts[0]);
	}
	put_source(line, o, row, value);
	print_line(line);
}

static void print_host_value(const struct options *o, const char *name,
	const struct config_text *text, struct buf *line)
{
	if (!text->text) {
		return;
	}
	buf_printf(line, "\t%s = ", name);
	put_value(line, text->text);
	buf_printf(line, " # %s:%u", o->config.path, text->line);
	print_line(line);
}

/* As they stand in the file: nothing else can set them. */
static void print_hosts(const struct options *o, struct buf *line)
{
	for (size_t i = 0; i < o->config.host_ct; i++) {
		const struct config_host *host = &o->config.hosts[i];
		buf_printf(line, "host \"%s\" {", host->pattern);
		print_line(line);
		print_host_value(o, "concurrency", &host->concurrency, line);
		print_host_value(o, "rate", &host->rate, line);
		buf_puts(line, "}");
		print_line(line);
	}
}

/* Those that may stand in a file, or those that may not. */
static void print_values(const struct options *o, bool in_file, struct buf *line)
{
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_row *row = &option_rows[i];
		if (row->offset != OPTION_NOWHERE &&
			!(row->scope & SCOPE_FILE) == !in_file) {
			print_value(o, (enum option_id)i, line);
		}
	}
}

int options_print_config(const struct options *o)
{
	struct buf line = {0};
	const bool is_read = o->config.path != NULL;
	buf_printf(
		&line, "# configuration file: %s", is_read ? o->config.path : "none");
	print_line(&line);
	print_values(o, true, &line);
	print_hosts(o, &line);
	buf_puts(&line, "# On the command line only:");
	print_line(&line);
	print_values(o, false, &line);
	buf_fini(&line);
	return finish();
}
