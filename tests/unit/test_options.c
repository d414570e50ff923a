/* SPDX-License-Identifier: MIT
 *
 * options: sources and their precedence, the command line, conflicts, help, and
 * `poolmap config`.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/cli/help.h"
#include "master/cli/message.h"
#include "master/cli/options.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Where the library is linked, its own is used. */
__attribute__((weak)) const char *pm_version_text(void)
{
	return "poolmap " PM_VERSION " stub/1";
}

static char folder[] = "/tmp/poolmap-options-XXXXXX";
static char file[sizeof(folder) + 32], config_flag[sizeof(file) + 16];

/* Nothing of the machine's or the user's own configuration may be seen. */
static void begin(void)
{
	clearenv();
	cr_assert_not_null(mkdtemp(folder));
	setenv("XDG_CONFIG_HOME", folder, 1);
	snprintf(file, sizeof(file), "%s/test.conf", folder);
	snprintf(config_flag, sizeof(config_flag), "--config=%s", file);
}

static void end(void)
{
	unlink(file);
	rmdir(folder);
}

TestSuite(options, .init = begin, .fini = end);

static void write_config(const char *text)
{
	FILE *f = fopen(file, "w");
	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
}

/* What goes to a descriptor between start and stop. */
struct capture {
	FILE *file;
	int fd, saved;
	char text[16384];
};

static void capture_start(struct capture *c, int fd)
{
	fflush(NULL);
	c->file = tmpfile();
	cr_assert_not_null(c->file);
	c->fd = fd;
	c->saved = dup(fd);
	dup2(fileno(c->file), fd);
}

static const char *capture_stop(struct capture *c)
{
	fflush(NULL);
	dup2(c->saved, c->fd);
	close(c->saved);
	rewind(c->file);
	c->text[fread(c->text, 1, sizeof(c->text) - 1, c->file)] = '\0';
	fclose(c->file);
	return c->text;
}

enum { WORDS_MAX = 256 };

/* The words up to NULL, as argv behind "poolmap". */
static int load_words(struct options *o, va_list words)
{
	static char *argv[WORDS_MAX + 1];
	int argc = 0;
	for (const char *word = "poolmap"; word; word = va_arg(words, const char *)) {
		cr_assert_lt(argc, WORDS_MAX);
		argv[argc] = strdup(word);
		cr_assert_not_null(argv[argc]);
		argc++;
	}
	argv[argc] = NULL;
	int code = options_load(o, argc, argv);
	for (int i = 0; i < argc; i++) {
		free(argv[i]); /* the options must not need it any more */
	}
	return code;
}

/* Loads, and expects that nothing is said. */
static void load(struct options *o, ...)
{
	struct capture c;
	va_list words;
	va_start(words, o);
	capture_start(&c, STDERR_FILENO);
	int code = load_words(o, words);
	const char *said = capture_stop(&c);
	va_end(words);
	cr_assert_eq(code, 0, "it ends with %d: %s", code, said);
	cr_assert_str_empty(said, "it says: %s", said);
}

/* Expects exit code 2 and just this one line, behind "poolmap: ". */
static void refuse(const char *line, ...)
{
	struct options o;
	struct capture c;
	char expected[1024];
	va_list words;
	va_start(words, line);
	capture_start(&c, STDERR_FILENO);
	int code = load_words(&o, words);
	const char *said = capture_stop(&c);
	va_end(words);
	snprintf(expected, sizeof(expected), "poolmap: %s\n", line);
	cr_assert_eq(code, EXIT_USAGE, "it ends with %d, not with: %s", code, line);
	cr_assert_str_eq(said, expected, "it says: %s", said);
}

static void expect_source(const struct options *o, enum option_id id,
	enum option_source source, const char *text)
{
	const struct option_value *value = &o->values[id];
	const char *name = option_rows[id].name;
	cr_assert_eq(value->source, source, "%s comes from %d", name, value->source);
	cr_assert_eq(value->text_ct, 1, "%s has %zu texts", name, value->text_ct);
	cr_assert_str_eq(value->texts[0], text, "%s is %s", name, value->texts[0]);
}

Test(options, has_the_documented_defaults, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", NULL);
	const struct settings *s = &o.settings;
	cr_assert_eq(o.command, COMMAND_RUN);
	cr_assert_eq(s->input_ct, 1);
	cr_assert_str_eq(s->inputs[0], "-");
	cr_assert_str_eq(s->output, "-");
	cr_assert_not(s->resume || s->force || s->unordered || s->no_follow ||
		      s->insecure || s->quiet);
	cr_assert_eq(s->workers, 0);
	cr_assert_eq(s->concurrency, 128);
	cr_assert_eq(s->window, 65536);
	cr_assert_eq(s->window_bytes, 256 << 20);
	cr_assert_null(s->method);
	cr_assert_eq(s->header_ct, 0);
	cr_assert_eq(s->timeout_ms, 60000);
	cr_assert_eq(s->connect_timeout_ms, 10000);
	cr_assert_eq(s->max_redirects, 10);
	cr_assert_null(s->ca_file);
	cr_assert_eq(s->body, BODY_INLINE);
	cr_assert_eq(s->max_body, 10 << 20);
	cr_assert(status_set_has(&s->accept, 200) && status_set_has(&s->accept, 399));
	cr_assert_not(
		status_set_has(&s->accept, 199) || status_set_has(&s->accept, 400));
	expect_source(&o, OPTION_CONCURRENCY, SOURCE_DEFAULT, "128");
	cr_assert_null(o.config.path);
	options_fini(&o);
}

Test(options, reads_every_flag, .timeout = 10)
{
	struct options o;
	write_config("");
	load(&o, "run", "--output", "out", "--workers", "3", "--concurrency=500",
		"--unordered", "--window", "1000", "--window-bytes", "2M", "--force",
		"--body", "none", "--max-body", "0", "--timeout", "2.5",
		"--connect-timeout", "0.5", "--max-redirects", "0", "--no-follow",
		"--accept", "200,404", "--header", "A: b", "--header", "C:d",
		"--method", "PUT", "--insecure", "--cacert", file, "--config", file,
		"--quiet", "jobs", NULL);
	const struct settings *s = &o.settings;
	cr_assert_str_eq(s->output, "out");
	cr_assert_eq(s->workers, 3);
	cr_assert_eq(s->concurrency, 500);
	cr_assert(s->unordered && s->force && s->no_follow && s->insecure && s->quiet);
	cr_assert_eq(s->window, 1000);
	cr_assert_eq(s->window_bytes, 2 << 20);
	cr_assert_eq(s->body, BODY_NONE);
	cr_assert_eq(s->max_body, 0);
	cr_assert_eq(s->timeout_ms, 2500);
	cr_assert_eq(s->connect_timeout_ms, 500);
	cr_assert_eq(s->max_redirects, 0);
	cr_assert(status_set_has(&s->accept, 404) && !status_set_has(&s->accept, 201));
	cr_assert_eq(s->header_ct, 2);
	cr_assert_str_eq(s->headers[0].name, "A");
	cr_assert_str_eq(s->headers[0].value, "b");
	cr_assert_str_eq(s->headers[1].name, "C");
	cr_assert_str_eq(s->headers[1].value, "d");
	cr_assert_str_eq(s->method, "PUT");
	cr_assert_str_eq(s->ca_file, file);
	cr_assert_str_eq(o.config.path, file);
	cr_assert_str_eq(s->inputs[0], "jobs");
	options_fini(&o);
}

Test(options, reads_short_flags_also_in_one_word, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "-kqkqkqkqkqkqkqkqkqkqkqkqkqkqkq", "-w3", "-c",
		"7", "-o", "x", "-XPOST", "-HA: b", NULL);
	cr_assert(o.settings.insecure && o.settings.quiet);
	cr_assert_eq(o.settings.workers, 3);
	cr_assert_eq(o.settings.concurrency, 7);
	cr_assert_str_eq(o.settings.output, "x");
	cr_assert_str_eq(o.settings.method, "POST");
	cr_assert_str_eq(o.settings.headers[0].value, "b");
	options_fini(&o);
}

Test(options, takes_flags_behind_job_files_up_to_two_dashes, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "a", "-w", "3", "-", "--", "-w", "--quiet",
		NULL);
	const char *const inputs[] = {"a", "-", "-w", "--quiet"};
	cr_assert_eq(o.settings.workers, 3);
	cr_assert_not(o.settings.quiet);
	cr_assert_eq(o.settings.input_ct, LENGTH(inputs), "%zu", o.settings.input_ct);
	for (size_t i = 0; i < LENGTH(inputs); i++) {
		cr_assert_str_eq(o.settings.inputs[i], inputs[i], "input %zu is %s", i,
			o.settings.inputs[i]);
	}
	options_fini(&o);
}

Test(options, takes_the_last_of_repeated_flags, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "-w", "3", "-w", "5", "-q", "--quiet=no", NULL);
	cr_assert_eq(o.settings.workers, 5);
	cr_assert_not(o.settings.quiet);
	expect_source(&o, OPTION_WORKERS, SOURCE_FLAG, "5");
	options_fini(&o);
}

Test(options, prefers_flags_to_environment_to_file_to_default, .timeout = 10)
{
	struct options o;
	write_config("workers = 1\nwindow = 1\ntimeout = 1\nquiet = yes\n");
	setenv("POOLMAP_WORKERS", "2", 1);
	setenv("POOLMAP_WINDOW", "2", 1);
	setenv("POOLMAP_UNORDERED", "on", 1);
	load(&o, "run", config_flag, "--workers=3", "--quiet=no", NULL);
	cr_assert_eq(o.settings.workers, 3);
	cr_assert_eq(o.settings.window, 2);
	cr_assert_eq(o.settings.timeout_ms, 1000);
	cr_assert_eq(o.settings.connect_timeout_ms, 10000);
	cr_assert(o.settings.unordered);
	cr_assert_not(o.settings.quiet);
	expect_source(&o, OPTION_WORKERS, SOURCE_FLAG, "3");
	expect_source(&o, OPTION_WINDOW, SOURCE_ENV, "2");
	expect_source(&o, OPTION_TIMEOUT, SOURCE_FILE, "1");
	expect_source(&o, OPTION_CONNECT_TIMEOUT, SOURCE_DEFAULT, "10");
	cr_assert_eq(o.values[OPTION_TIMEOUT].line, 3);
	options_fini(&o);
}

Test(options, takes_words_that_undo_a_method_and_a_ca_file, .timeout = 10)
{
	struct options o;
	write_config("method = PUT\ncacert = /nowhere\n");
	load(&o, "run", config_flag, "--method=auto", "--cacert=system", NULL);
	cr_assert_null(o.settings.method);
	cr_assert_null(o.settings.ca_file);
	options_fini(&o);
}

Test(options, takes_headers_from_the_strongest_source_alone, .timeout = 10)
{
	struct options o;
	write_config("header = {\"A: file\", \"B: file\"}\n");
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 2);
	cr_assert_str_eq(o.settings.headers[1].name, "B");
	options_fini(&o);

	setenv("POOLMAP_HEADER", "C: env\n\nD: env\n", 1);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 2);
	cr_assert_str_eq(o.settings.headers[0].name, "C");
	cr_assert_str_eq(o.settings.headers[1].value, "env");
	options_fini(&o);

	load(&o, "run", config_flag, "-HE: flag", NULL);
	cr_assert_eq(o.settings.header_ct, 1);
	cr_assert_str_eq(o.settings.headers[0].name, "E");
	options_fini(&o);

	setenv("POOLMAP_HEADER", "", 1);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 0);
	cr_assert_eq(o.values[OPTION_HEADER].source, SOURCE_ENV);
	options_fini(&o);
}

Test(options, limits_the_number_of_headers, .timeout = 10)
{
	char lines[OPTIONS_HEADERS_MAX * 8 + 16] = "";
	size_t len = 0;
	for (int i = 0; i < OPTIONS_HEADERS_MAX; i++) {
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "A: %d\n", i);
	}
	struct options o;
	setenv("POOLMAP_HEADER", lines, 1);
	load(&o, "run", "--no-config", NULL);
	cr_assert_eq(o.settings.header_ct, OPTIONS_HEADERS_MAX);
	cr_assert_str_eq(o.settings.headers[99].value, "99");
	options_fini(&o);
	snprintf(lines + len, sizeof(lines) - len, "B: c\n");
	setenv("POOLMAP_HEADER", lines, 1);
	refuse("POOLMAP_HEADER: more than 100 headers", "run", "--no-config", NULL);
}

Test(options, reads_the_file_that_a_variable_names, .timeout = 10)
{
	struct options o;
	write_config("workers = 9\n");
	setenv("POOLMAP_CONFIG", file, 1);
	load(&o, "run", NULL);
	cr_assert_eq(o.settings.workers, 9);
	options_fini(&o);
	load(&o, "run", "--no-config", NULL);
	cr_assert_eq(o.settings.workers, 0);
	options_fini(&o);
	setenv("POOLMAP_CONFIG", "/nowhere/x.conf", 1);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.workers, 9);
	options_fini(&o);
}

Test(options, refuses_what_it_does_not_know, .timeout = 10)
{
	refuse("no command: say what to do, as in poolmap run jobs.txt (see poolmap "
	       "--help)",
		NULL);
	refuse("rnu: unknown command; did you mean poolmap run?", "rnu", NULL);
	refuse("report: unknown command (see poolmap --help)", "report", "x", NULL);
	refuse("-q: options follow the command, as in poolmap run -q (see poolmap "
	       "--help)",
		"-q", "run", NULL);
	refuse("--wrokers: unknown option; did you mean --workers?", "run", "--wrokers",
		"3", NULL);
	refuse("--wrokers: unknown option; did you mean --workers?", "run",
		"--wrokers=3", NULL);
	refuse("-z: unknown option (see poolmap run --help)", "run", "-qz", NULL);
	refuse("-z: unknown option (see poolmap config --help)", "config", "-z", NULL);
	refuse("--: unknown option (see poolmap run --help)", "run", "--=x", NULL);
	refuse("jobs: poolmap config takes no job file (see poolmap config --help)",
		"config", "jobs", NULL);
}

Test(options, refuses_options_of_later_versions, .timeout = 10)
{
	const char *const later[] = {"--retries", "--retry-on", "--retry-unsafe",
		"--response-headers", "--data", "--stall-timeout", "--per-host",
		"--rate", "--host-rate", "--polite", "--deny-private", "--proxy",
		"--http2", "--compressed", "--failed", "--halt", "--fail-fast",
		"--progress", "--stats", "--max-jobs-per-worker", "--scheduler",
		"--sync", "-d"};
	for (size_t i = 0; i < LENGTH(later); i++) {
		struct options o;
		struct capture c;
		char poolmap[] = "poolmap", run[] = "run", word[64], one[] = "1";
		snprintf(word, sizeof(word), "%s", later[i]);
		char *argv[] = {poolmap, run, word, one, NULL};
		capture_start(&c, STDERR_FILENO);
		int code = options_load(&o, 4, argv);
		const char *said = capture_stop(&c);
		cr_assert_eq(code, EXIT_USAGE, "%s: %d", later[i], code);
		cr_assert(strstr(said, "unknown option"), "%s: %s", later[i], said);
	}
}

Test(options, refuses_abbreviations, .timeout = 10)
{
	refuse("--work: unknown option; did you mean --workers?", "run", "--work", "3",
		NULL);
	refuse("--work: unknown option; did you mean --workers?", "run", "a",
		"--work=3", NULL);
	refuse("--quie: unknown option; did you mean --quiet?", "run", "--quie", NULL);
	refuse("--he: unknown option; did you mean --header?", "run", "--he", "A: b",
		NULL);
}

Test(options, refuses_missing_and_needless_values, .timeout = 10)
{
	refuse("--output: needs a value, as in --output FILE (see poolmap run --help)",
		"run", "--output", NULL);
	refuse("--workers: needs a value, as in --workers N|auto (see poolmap config "
	       "--help)",
		"config", "-w", NULL);
	refuse("--force: takes no value (see poolmap run --help)", "run", "--force=yes",
		NULL);
	refuse("--quiet=maybe: neither yes nor no (true, false, on, off, 1, 0 will do "
	       "too)",
		"run", "--quiet=maybe", NULL);
	refuse("--output \"\": is empty; name a file", "run", "--output", "", NULL);
	refuse("--config \"\": is empty; name a file", "run", "--config", "", NULL);
	refuse("--method \"G T\": not a method such as GET, of at most 32 letters, "
	       "without "
	       "spaces",
		"run", "-X", "G T", NULL);
}

Test(options, names_option_and_range_of_a_bad_value, .timeout = 10)
{
	char line[512];
	refuse("--workers 0: out of range, 1 to 500 or \"auto\"", "run", "-w", "0",
		NULL);
	refuse("--concurrency 100001: out of range, 1 to 100000", "run", "-c", "100001",
		NULL);
	refuse("--window 16777217: out of range, 1 to 16777216", "run",
		"--window=16777217", NULL);
	refuse("--window-bytes 1023K: out of range, 1M to 64G", "run",
		"--window-bytes=1023K", NULL);
	refuse("--max-body 257M: out of range, 0 to 256M", "run", "--max-body=257M",
		NULL);
	refuse("--timeout 0: out of range, 0.001 to 86400 seconds", "run",
		"--timeout=0", NULL);
	refuse("--max-redirects 101: out of range, 0 to 100", "run",
		"--max-redirects=101", NULL);
	setenv("POOLMAP_WORKERS", "0", 1);
	refuse("POOLMAP_WORKERS=0: out of range, 1 to 500 or \"auto\"", "run",
		"--no-config", NULL);
	unsetenv("POOLMAP_WORKERS");
	write_config("\n\nworkers = 501\n");
	snprintf(line, sizeof(line),
		"%s:3: workers = 501: out of range, 1 to 500 or \"auto\"", file);
	refuse(line, "run", config_flag, NULL);
	/* A mistake that a flag hides is still one. */
	refuse(line, "run", config_flag, "-w", "3", NULL);
}

Test(options, refuses_unknown_variables, .timeout = 10)
{
	struct options o;
	setenv("POOLMAP_BUILD_DIR", "build/debug", 1);
	setenv("POOLMAPX", "1", 1);
	load(&o, "run", "--no-config", NULL);
	options_fini(&o);

	const struct {
		const char *name, *line;
	} cases[] = {
		{"POOLMAP_WORKRS", "POOLMAP_WORKRS: unknown variable; did you mean "
				   "POOLMAP_WORKERS?"},
		{"POOLMAP_workers", "POOLMAP_workers: unknown variable; did you mean "
				    "POOLMAP_WORKERS?"},
		{"POOLMAP_MAX-BODY", "POOLMAP_MAX-BODY: unknown variable; did you mean "
				     "POOLMAP_MAX_BODY?"},
		{"POOLMAP_FOO",
			"POOLMAP_FOO: unknown variable; unset it (see poolmap run "
			"--help)"},
		{"POOLMAP_", "POOLMAP_: unknown variable; unset it (see poolmap run "
			     "--help)"},
		{"POOLMAP_OUTPUT",
			"POOLMAP_OUTPUT: may not be set in the environment; use "
			"--output on the command line"},
		{"POOLMAP_NO_CONFIG",
			"POOLMAP_NO_CONFIG: may not be set in the "
			"environment; use --no-config on the command line"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		setenv(cases[i].name, "1", 1);
		refuse(cases[i].line, "run", "--no-config", NULL);
		unsetenv(cases[i].name);
	}
	setenv("POOLMAP_WORKERS", "", 1);
	refuse("POOLMAP_WORKERS=\"\": neither a number, 1 to 500, nor \"auto\"", "run",
		"--no-config", NULL);
	unsetenv("POOLMAP_WORKERS");
	setenv("POOLMAP_CONFIG", "", 1);
	refuse("POOLMAP_CONFIG=\"\": is empty; name a file", "run", NULL);
}

Test(options, refuses_conflicts, .timeout = 10)
{
	struct options o;
	refuse("--resume: cannot be used with --force; go on with the output, or "
	       "overwrite it",
		"run", "--no-config", "--resume", "--force", "-o", "x", "jobs", NULL);
	refuse("--resume: needs --output FILE; a run to standard output cannot be "
	       "resumed",
		"run", "--no-config", "--resume", "jobs", NULL);
	refuse("--resume: needs job files; standard input cannot be read again from "
	       "its "
	       "beginning",
		"run", "--no-config", "--resume", "-o", "x", NULL);
	refuse("--resume: needs job files; standard input cannot be read again from "
	       "its "
	       "beginning",
		"run", "--no-config", "--resume", "-o", "x", "jobs", "-", NULL);
	load(&o, "run", "--no-config", "--resume", "-o", "x", "jobs", NULL);
	cr_assert(o.settings.resume);
	options_fini(&o);
	refuse("--no-config: cannot be used with --config; leave one of them out",
		"run", "--no-config", "--config", "x", NULL);
}

Test(options, wants_a_ca_file_that_can_be_read, .timeout = 10)
{
	char line[512];
	refuse("--cacert /nowhere: cannot be read: No such file or directory", "run",
		"--no-config", "--cacert", "/nowhere", NULL);
	write_config("\ncacert = /tmp\n");
	snprintf(
		line, sizeof(line), "%s:2: cacert = /tmp: is not a regular file", file);
	refuse(line, "run", config_flag, NULL);
}

Test(options, never_shows_a_header_in_an_error, .timeout = 10)
{
	char line[512];
	refuse("--header: not a header such as 'Name: value'", "run", "-H",
		"Authorization hunter2", NULL);
	refuse("--header: Authorization has a control character in its value", "run",
		"-H", "Authorization: hunter2\r", NULL);
	write_config("header = \"Cookie hunter2\"\n");
	snprintf(line, sizeof(line), "%s:1: header: not a header such as 'Name: value'",
		file);
	refuse(line, "run", config_flag, NULL);
}

Test(options, answers_help_and_version_without_reading_more, .timeout = 10)
{
	struct options o;
	setenv("POOLMAP_NONSENSE", "1", 1);
	load(&o, "--help", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_HELP);
	load(&o, "-h", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_HELP);
	load(&o, "--version", NULL);
	cr_assert_eq(o.command, COMMAND_VERSION);
	load(&o, "run", "--workers", "0", "jobs", "--help", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_RUN);
	load(&o, "config", "-h", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_CONFIG);
	load(&o, "run", "--version", NULL);
	cr_assert_eq(o.command, COMMAND_VERSION);
	options_fini(&o);
}

static void expect_narrow(const char *text)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		cr_assert_leq(len, 80, "%zu columns: %.*s", len, (int)len, line);
		cr_assert(len == 0 || line[len - 1] != ' ', "ends in a space: %.*s",
			(int)len, line);
		line += len + (line[len] == '\n');
	}
}

Test(options, prints_help_of_80_columns_with_every_option, .timeout = 10)
{
	const enum options_command about[] = {
		COMMAND_HELP, COMMAND_CONFIG, COMMAND_RUN};
	struct capture c;
	for (size_t i = 0; i < LENGTH(about); i++) {
		capture_start(&c, STDOUT_FILENO);
		int code = options_print_help(about[i]);
		const char *text = capture_stop(&c);
		cr_assert_eq(code, 0);
		cr_assert(strstr(text, "Usage: poolmap"), "%s", text);
		expect_narrow(text);
	}
	for (size_t i = 0; i < OPTION_CT; i++) {
		char name[64];
		snprintf(name, sizeof(name), " --%s", option_rows[i].name);
		const char *at = strstr(c.text, name);
		cr_assert_not_null(at, "no%s", name);
		cr_assert(strchr(" \n", at[strlen(name)]), "no%s", name);
	}
	cr_assert(strstr(c.text, "(default 128)"));
	cr_assert(strstr(c.text, "/etc/poolmap/poolmap.conf"));
}

Test(options, prints_the_version, .timeout = 10)
{
	struct capture c;
	capture_start(&c, STDOUT_FILENO);
	int code = options_print_version();
	const char *text = capture_stop(&c);
	cr_assert_eq(code, 0);
	cr_assert_eq(strncmp(text, pm_version_text(), strlen(pm_version_text())), 0,
		"%s", text);
}

Test(options, ends_with_4_when_standard_output_is_full, .timeout = 10)
{
	struct capture c;
	cr_assert_not_null(freopen("/dev/full", "w", stdout));
	capture_start(&c, STDERR_FILENO);
	int code = options_print_help(COMMAND_RUN);
	const char *said = capture_stop(&c);
	cr_assert_eq(code, EXIT_OUTPUT);
	cr_assert_str_eq(said, "poolmap: standard output: No space left on device\n");
}

/* What `poolmap config` prints for *o. */
static const char *print_config(const struct options *o, struct capture *c)
{
	capture_start(c, STDOUT_FILENO);
	int code = options_print_config(o);
	const char *text = capture_stop(c);
	cr_assert_eq(code, 0);
	return text;
}

Test(options, prints_a_configuration_with_its_sources, .timeout = 10)
{
	struct options o;
	struct capture c;
	char line[512];
	write_config("# x\ntimeout = 2.5\n");
	setenv("POOLMAP_MAX_BODY", "1M", 1);
	load(&o, "config", config_flag, "-w", "3", NULL);
	cr_assert_eq(o.command, COMMAND_CONFIG);
	const char *text = print_config(&o, &c);
	snprintf(line, sizeof(line), "# configuration file: %s\n", file);
	cr_assert_eq(strncmp(text, line, strlen(line)), 0, "%s", text);
	cr_assert(strstr(text, "\nconcurrency = 128                # default\n"), "%s",
		text);
	cr_assert(
		strstr(text, "\nmax-body = 1M                    # POOLMAP_MAX_BODY\n"),
		"%s", text);
	cr_assert(strstr(text, "\nworkers = 3                      # command line\n"),
		"%s", text);
	snprintf(line, sizeof(line), "\ntimeout = 2.5                    # %s:2\n",
		file);
	cr_assert(strstr(text, line), "%s", text);
	cr_assert(strstr(text, "\n# output = "), "%s", text);
	options_fini(&o);
}

Test(options, reads_back_what_it_prints, .timeout = 10)
{
	struct options a, b;
	struct capture c;
	/* A name with all that means something in a configuration file. */
	char ca[sizeof(folder) + 64];
	snprintf(ca, sizeof(ca), "%s/a \"b\" \\ ${c} # 'd' \xc3\xa9", folder);
	FILE *f = fopen(ca, "w");
	cr_assert_not_null(f);
	fclose(f);
	load(&a, "config", "--no-config", "--workers=2", "-c9", "--unordered",
		"--window=77", "--window-bytes=3M", "--body=none",
		"--accept=200..299,304", "-XPUT", "-HA: \"b\" \\ ${c} # 'd'", "-HE: f",
		"--timeout=0.25", "--connect-timeout=3", "--max-redirects=2",
		"--no-follow", "--max-body=5K", "-k", "--cacert", ca, "-q", NULL);
	write_config(print_config(&a, &c));
	load(&b, "run", config_flag, NULL);
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_value *x = &a.values[i], *y = &b.values[i];
		if (!(option_rows[i].scope & SCOPE_FILE)) {
			continue;
		}
		cr_assert_eq(y->source, SOURCE_FILE, "%s", option_rows[i].name);
		cr_assert_eq(x->text_ct, y->text_ct, "%s", option_rows[i].name);
		for (size_t j = 0; j < x->text_ct; j++) {
			cr_assert_str_eq(x->texts[j], y->texts[j], "%s: %s",
				x->texts[j], y->texts[j]);
		}
	}
	unlink(ca);
	options_fini(&a);
	options_fini(&b);
}

Test(options, hides_secret_headers_in_what_it_prints, .timeout = 10)
{
	struct options o;
	struct capture c;
	load(&o, "config", "--no-config", "-H", "authorization: hunter2", "-H",
		"Accept: text/html", "-H", "Proxy-Authorization:hunter2", "-H",
		"COOKIE: hunter2", "-H", "X-Cookie: shown", NULL);
	const char *text = print_config(&o, &c);
	cr_assert_not(strstr(text, "hunter2"), "%s", text);
	cr_assert(
		strstr(text, "\n# header += \"authorization: (hidden)\""), "%s", text);
	cr_assert(strstr(text, "\n# header += \"COOKIE: (hidden)\""), "%s", text);
	cr_assert(strstr(text, "\nheader = \"Accept: text/html\""), "%s", text);
	cr_assert(strstr(text, "\nheader += \"X-Cookie: shown\""), "%s", text);
	write_config(text);
	options_fini(&o);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 2, "what is hidden is not read back");
	options_fini(&o);
}

Test(options, prints_no_line_end_of_a_file_name, .timeout = 10)
{
	struct options o;
	struct capture c;
	load(&o, "config", "--no-config", "-o", "x\nforce = yes", NULL);
	const char *text = print_config(&o, &c);
	cr_assert_not(strstr(text, "\nforce"), "%s", text);
	options_fini(&o);
}

Test(options, can_be_finished_twice, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "-HA: b", "jobs", NULL);
	options_fini(&o);
	options_fini(&o);
	cr_assert_null(o.settings.headers);
}

Test(options, has_a_consistent_table, .timeout = 10)
{
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_row *row = &option_rows[i];
		char name[OPTIONS_ENV_NAME_MAX];
		options_env_name(name, row->name);
		cr_assert_eq(strlen(name), strlen("POOLMAP_") + strlen(row->name), "%s",
			row->name);
		cr_assert_eq(
			options_named(row->name), row, "%s is there twice", row->name);
		cr_assert_geq(row->max, row->min, "%s", row->name);
		cr_assert(row->scope & SCOPE_FLAG, "%s is no flag", row->name);
		for (size_t j = 0; j < i && row->letter; j++) {
			cr_assert_neq(row->letter, option_rows[j].letter,
				"-%c is there twice", row->letter);
		}
	}
}
