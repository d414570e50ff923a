/* SPDX-License-Identifier: MIT
 *
 * config: which file is read, what it says, and what is refused with its line.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/cli/config.h"
#include "master/cli/message.h"
#include "master/cli/options.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/poolmap-config-XXXXXX";
static char file[sizeof(folder) + 32];

static void make_folder(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/test.conf", folder);
}

static void remove_folder(void)
{
	unlink(file);
	rmdir(folder);
}

TestSuite(config, .init = make_folder, .fini = remove_folder);

static void write_bytes(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

/* What config_read() returns for these bytes; *said gets what it prints. */
static int read_bytes(
	struct config *config, const char *bytes, size_t len, char said[4096])
{
	write_bytes(file, bytes, len);
	FILE *capture = tmpfile();
	cr_assert_not_null(capture);
	fflush(stderr);
	int saved = dup(STDERR_FILENO);
	dup2(fileno(capture), STDERR_FILENO);
	*config = (struct config){0};
	int code = config_read(config, file);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(capture);
	said[fread(said, 1, 4095, capture)] = '\0';
	fclose(capture);
	return code;
}

static void expect_text(struct config *config, const char *text)
{
	char said[4096];
	int code = read_bytes(config, text, strlen(text), said);
	cr_assert_eq(code, 0, "refused: %s", said);
	cr_assert_str_empty(said, "it says: %s", said);
}

/* Refused, in this line, with one message that contains `part`. */
static void expect_refused(
	const char *text, size_t len, unsigned line, const char *part)
{
	struct config config;
	char said[4096], start[sizeof(file) + 32];
	int code = read_bytes(&config, text, len, said);
	snprintf(start, sizeof(start), "poolmap: %s:%u: ", file, line);
	cr_assert_eq(code, EXIT_USAGE, "taken: %s", text);
	cr_assert_eq(strncmp(said, start, strlen(start)), 0, "%s: line %u, but: %s",
		text, line, said);
	cr_assert(strstr(said, part), "%s: no \"%s\" in: %s", text, part, said);
	cr_assert_eq(
		strchr(said, '\n'), said + strlen(said) - 1, "more lines: %s", said);
	config_fini(&config);
}

static void expect_entry(const struct config *config, size_t i, enum option_id id,
	unsigned line, const char *text)
{
	cr_assert_lt(i, config->entry_ct, "there are %zu entries", config->entry_ct);
	const struct config_entry *entry = &config->entries[i];
	cr_assert_eq(entry->id, id, "entry %zu is %s", i, option_rows[entry->id].name);
	cr_assert_eq(entry->line, line, "entry %zu is in line %u", i, entry->line);
	cr_assert_str_eq(entry->text, text, "entry %zu is \"%s\"", i, entry->text);
}

Test(config, reads_values_with_their_lines, .timeout = 10)
{
	struct config config;
	expect_text(&config, "# a comment\n"
			     "#\n"
			     "workers = 4   # another\n"
			     "\n"
			     "/* one over\n"
			     "   two lines */ timeout=2.5\n"
			     "// and this\n"
			     "accept = \"200..299,304\"\n"
			     "cacert = '/a b/c'\n"
			     "body = none");
	cr_assert_eq(config.entry_ct, 5, "%zu entries", config.entry_ct);
	expect_entry(&config, 0, OPTION_WORKERS, 3, "4");
	expect_entry(&config, 1, OPTION_TIMEOUT, 6, "2.5");
	expect_entry(&config, 2, OPTION_ACCEPT, 8, "200..299,304");
	expect_entry(&config, 3, OPTION_CACERT, 9, "/a b/c");
	expect_entry(&config, 4, OPTION_BODY, 10, "none");
	cr_assert_str_eq(config.path, file);
	config_fini(&config);
}

Test(config, reads_empty_files, .timeout = 10)
{
	const char *const texts[] = {
		"", "\n", "# nothing", "/* nothing */", "\xef\xbb\xbf"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct config config;
		expect_text(&config, texts[i]);
		cr_assert_eq(config.entry_ct, 0, "text %zu", i);
		config_fini(&config);
	}
}

Test(config, reads_a_byte_order_mark_and_crlf, .timeout = 10)
{
	struct config config;
	expect_text(&config, "\xef\xbb\xbfworkers = 4\r\n# x\r\nwindow = 9\r\n");
	cr_assert_eq(config.entry_ct, 2);
	expect_entry(&config, 0, OPTION_WORKERS, 1, "4");
	expect_entry(&config, 1, OPTION_WINDOW, 3, "9");
	config_fini(&config);
}

Test(config, reads_lists_of_headers, .timeout = 10)
{
	struct config config;
	expect_text(&config, "header = { \"A: b\",\n \"C: d\" }\n"
			     "header += \"E: f\"\n");
	cr_assert_eq(config.entry_ct, 3, "%zu entries", config.entry_ct);
	expect_entry(&config, 0, OPTION_HEADER, 1, "A: b");
	expect_entry(&config, 1, OPTION_HEADER, 2, "C: d");
	expect_entry(&config, 2, OPTION_HEADER, 3, "E: f");
	config_fini(&config);

	expect_text(&config, "header = {}\n");
	cr_assert_eq(config.entry_ct, 0);
	config_fini(&config);
}

Test(config, keeps_comment_signs_in_strings, .timeout = 10)
{
	struct config config;
	expect_text(&config, "header = { \"A: # // /* */ * + \\\" \\\\ \\${X}\", 'B: "
			     "\"#\" $ \\' \\\\' }\n"
			     "cacert = /a//b#c\n");
	expect_entry(&config, 0, OPTION_HEADER, 1, "A: # // /* */ * + \" \\ ${X}");
	expect_entry(&config, 1, OPTION_HEADER, 1, "B: \"#\" $ ' \\");
	expect_entry(&config, 2, OPTION_CACERT, 2, "/a//b");
	config_fini(&config);
}

Test(config, puts_variables_in, .timeout = 10)
{
	struct config config;
	setenv("A_TOKEN", "t0ken", 1);
	unsetenv("NO_TOKEN");
	expect_text(&config, "header = \"A: ${A_TOKEN}!\"\n"
			     "workers = ${NO_TOKEN:-7}\n"
			     "body = ${A_TOKEN}\n");
	expect_entry(&config, 0, OPTION_HEADER, 1, "A: t0ken!");
	expect_entry(&config, 1, OPTION_WORKERS, 2, "7");
	expect_entry(&config, 2, OPTION_BODY, 3, "t0ken");
	config_fini(&config);
}

Test(config, refuses_variables_that_are_not_set, .timeout = 10)
{
	unsetenv("NO_TOKEN");
	const char *const texts[] = {
		"\nheader = \"A: ${NO_TOKEN}\"\n", "\nworkers = ${NO_TOKEN}\n"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		expect_refused(texts[i], strlen(texts[i]), 2, "${NO_TOKEN}: not set");
	}
	const char *const bad[] = {"workers = ${}", "workers = ${A",
		"workers = \"${A\n}\"", "workers = ${A B}", "workers = \"${A:-\"}\""};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		expect_refused(bad[i], strlen(bad[i]), 1, "not a variable");
	}
}

Test(config, refuses_unknown_keys_and_names_the_nearest, .timeout = 10)
{
	const struct {
		const char *text;
		unsigned line;
		const char *part;
	} cases[] = {
		{"# c\n# c\nconcurency = 3\n", 3,
			"concurency: unknown option; did you mean "
			"concurrency?"},
		{"gadgets = 3\n", 1,
			"gadgets: unknown option (see poolmap run --help)"},
		{"workers = 3\noutput = x\n", 2,
			"output: may not stand in a file; use "
			"--output"},
		{"resume = yes\n", 1, "--resume"},
		{"force = yes\n", 1, "--force"},
		{"config = x\n", 1, "--config"},
		{"help = yes\n", 1, "--help"},
		{"Workers = 3\n", 1, "did you mean workers?"},
		{"timeout = 60 seconds\n", 1, "seconds: unknown option"},
		{"a|b = 3\n", 1, ""},
		{"\"\" = 3\n", 1, "a line is: NAME = VALUE"},
		{"include(\"x\")\n", 1, "include: unknown option"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_refused(cases[i].text, strlen(cases[i].text), cases[i].line,
			cases[i].part);
	}
}

Test(config, refuses_duplicate_keys, .timeout = 10)
{
	const struct {
		const char *text;
		unsigned line;
		const char *part;
	} cases[] = {
		{"workers = 3\nwindow = 1\nworkers = 3\n", 3, "set before, in line 1"},
		{"header = \"A: b\"\nheader = \"A: b\"\n", 2, "use += to add"},
		{"header = {\"A: b\",\"C: d\"}\nheader = {\"A: b\"}\n", 2,
			"set before"},
		{"\nheader = \"A: b\"\nheader = {}\n", 2, "set again later"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_refused(cases[i].text, strlen(cases[i].text), cases[i].line,
			cases[i].part);
	}
}

Test(config, refuses_what_is_not_well_formed, .timeout = 10)
{
	const struct {
		const char *text;
		unsigned line;
		const char *part;
	} cases[] = {
		{"\nworkers\n", 2, "a line is: NAME = VALUE"},
		{"accept = 200..299,304\n", 1, "values with commas or spaces are in"},
		{"workers = \n\n", 1, "premature end"},
		{"workers 3\n", 1, "equal sign"},
		{"= 3\n", 1, "unexpected token"},
		{"workers = = 3\n", 1, "unexpected token"},
		{"workers = {3}\n", 1, "unexpected token"},
		{"workers += 3\n", 1, "append"},
		{"workers = +3\n", 1, "\"+\" does not belong"},
		{"\n\naccept = 2*\n", 3, "\"*\" does not belong"},
		{"cacert = \"a\n\"\n", 1, "no closing quote"},
		{"x = 1\ncacert = 'a\n", 2, "no closing quote"},
		{"cacert = \"a\\", 1, "\\"},
		{"cacert = \"\\x41\"\n", 1, "may only stand before"},
		{"cacert = \"a\\000b\"\n", 1, "may only stand before"},
		{"workers = 3\n/* and so on\n\n", 2, "has no end"},
		{"/*/", 1, "has no end"},
		{"workers = 3\r4\n", 1, "carriage return"},
		{"workers = 3 }\n", 1, "brace"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_refused(cases[i].text, strlen(cases[i].text), cases[i].line,
			cases[i].part);
	}
}

static void expect_host(const struct config_host *host, const char *pattern,
	const char *concurrency, unsigned concurrency_line, const char *rate,
	unsigned rate_line)
{
	cr_assert_str_eq(host->pattern, pattern);
	cr_assert_eq(
		host->concurrency.line, concurrency_line, "%u", host->concurrency.line);
	cr_assert_eq(host->rate.line, rate_line, "%u", host->rate.line);
	cr_assert_eq(!host->concurrency.text, !concurrency);
	cr_assert_eq(!host->rate.text, !rate);
	cr_assert(!rate || strcmp(rate, host->rate.text) == 0, "%s", host->rate.text);
	cr_assert(!concurrency || strcmp(concurrency, host->concurrency.text) == 0,
		"%s", host->concurrency.text);
}

Test(config, reads_sections_of_hosts, .timeout = 10)
{
	struct config config;
	expect_text(&config, "workers = 3\n"
			     "host \"*.example.com\" {\n"
			     "  concurrency = 2 # a few\n"
			     "  rate = \"5/s\"\n"
			     "}\n"
			     "host a { rate = 30/m }\n"
			     "/* x */ host '*' { concurrency = 7 }\n"
			     "window = 9\n");
	cr_assert_eq(config.entry_ct, 2);
	expect_entry(&config, 0, OPTION_WORKERS, 1, "3");
	expect_entry(&config, 1, OPTION_WINDOW, 8, "9");
	cr_assert_eq(config.host_ct, 3, "%zu hosts", config.host_ct);
	expect_host(&config.hosts[0], "*.example.com", "2", 3, "5/s", 4);
	expect_host(&config.hosts[1], "a", NULL, 0, "30/m", 6);
	expect_host(&config.hosts[2], "*", "7", 7, NULL, 0);
	config_fini(&config);
}

Test(config, refuses_bad_sections_of_hosts, .timeout = 10)
{
	const struct {
		const char *text;
		unsigned line;
		const char *part;
	} cases[] = {
		{"host \"a\" {\n concurency = 2\n}\n", 2,
			"concurency: unknown in a host section, where concurrency and "
			"rate may stand"},
		{"host \"a\" {\n workers = 2\n}\n", 2, "unknown in a host section"},
		{"host \"a\" {\n rate = 1/s\n\n rate = 2/s\n}\n", 4,
			"rate: set before, in line 2"},
		{"host \"a\" { rate = 1/s }\nhost \"a\" { rate = 1/s }\n", 2,
			"duplicate title"},
		{"\nhost \"a\" { }\n", 2, "says nothing"},
		{"host { rate = 1/s }\n", 1, "missing title"},
		{"host = 3\n", 1, "missing title"},
		{"host \"a\" = 3\n", 1, "missing opening brace"},
		{"host \"a\" {\n rate = 1/s\n", 1, "premature end"},
		{"hosts \"a\" { rate = 1/s }\n", 1, "hosts: unknown option"},
		{"host \"a\" { host \"b\" { rate = 1/s } }\n", 1, "host: unknown"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_refused(cases[i].text, strlen(cases[i].text), cases[i].line,
			cases[i].part);
	}
}

Test(config, refuses_what_is_no_text, .timeout = 10)
{
	static const char nul[] = "workers = 3\n\0window = nonsense\n";
	expect_refused(nul, sizeof(nul) - 1, 2, "control character");
	static const char bell[] = "# \a\n";
	expect_refused(bell, sizeof(bell) - 1, 1, "control character");
	static const char delete[] = "cacert = a\x7f\n";
	expect_refused(delete, sizeof(delete) - 1, 1, "control character");
}

static void expect_unreadable(const char *path, const char *part)
{
	struct config config = {0};
	FILE *capture = tmpfile();
	char said[4096];
	int saved = dup(STDERR_FILENO);
	dup2(fileno(capture), STDERR_FILENO);
	int code = config_read(&config, path);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(capture);
	said[fread(said, 1, 4095, capture)] = '\0';
	fclose(capture);
	config_fini(&config);
	cr_assert_eq(code, EXIT_USAGE, "%s: %d", path, code);
	cr_assert(strstr(said, path) && strstr(said, part), "%s: %s", path, said);
	cr_assert(strstr(said, "--no-config"), "no advice: %s", said);
}

Test(config, says_why_a_file_cannot_be_read, .timeout = 10)
{
	expect_unreadable(folder, "Is a directory");
	expect_unreadable(file, "No such file");
	FILE *f = fopen(file, "w");
	for (size_t i = 0; i <= CONFIG_BYTES_MAX / 16; i++) {
		fputs("# fifteen chars\n", f);
	}
	fclose(f);
	expect_unreadable(file, "too large");
}

/* Put a file where it is looked for, below `root`; `path` gets its name. */
static void place(const char *root, const char *below, char *path, size_t size)
{
	char command[512];
	snprintf(path, size, "%s%s/poolmap/poolmap.conf", root, below);
	snprintf(command, sizeof(command), "mkdir -p %s%s/poolmap", root, below);
	cr_assert_eq(system(command), 0);
	write_bytes(path, "workers = 3\n", 12);
}

static void remove_all(void)
{
	char command[512];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

Test(config, is_looked_for_in_xdg_config_home_first, .timeout = 10)
{
	char xdg[256], home[256], *found = NULL;
	place(folder, "/xdg", xdg, sizeof(xdg));
	place(folder, "/.config", home, sizeof(home));
	char xdg_home[256];
	snprintf(xdg_home, sizeof(xdg_home), "%s/xdg", folder);
	setenv("XDG_CONFIG_HOME", xdg_home, 1);
	setenv("HOME", folder, 1);
	cr_assert_eq(config_find(&found), 0);
	cr_assert_str_eq(found, xdg);
	free(found);

	unsetenv("XDG_CONFIG_HOME");
	cr_assert_eq(config_find(&found), 0);
	cr_assert_str_eq(found, home);
	free(found);
	remove_all();
}

Test(config, is_never_looked_for_in_the_current_directory, .timeout = 10)
{
	char path[256], *found = NULL;
	place(folder, "/.config", path, sizeof(path));
	place(folder, "", path, sizeof(path));
	write_bytes(file, "", 0);
	cr_assert_eq(chdir(folder), 0);
	write_bytes("poolmap.conf", "", 0);
	const char *const folders[] = {".", "", ".config"};
	for (size_t i = 0; i < LENGTH(folders); i++) {
		setenv("XDG_CONFIG_HOME", folders[i], 1);
		setenv("HOME", i ? folders[i] : ".", 1);
		cr_assert_eq(config_find(&found), 0);
		cr_assert(!found || strcmp(found, "/etc/poolmap/poolmap.conf") == 0,
			"it found %s", found);
		free(found);
	}
	remove_all();
}

/* The lines of the file that is shipped, those of options without their "# ". */
static size_t uncomment(FILE *in, FILE *out)
{
	char line[256];
	size_t ct = 0;
	while (fgets(line, sizeof(line), in)) {
		size_t len = strspn(line + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
		bool is_key = strncmp(line, "# ", 2) == 0 && len > 0 &&
			      strncmp(line + 2 + len, " = ", 3) == 0;
		fputs(is_key ? line + 2 : line, out);
		ct += is_key;
	}
	return ct;
}

Test(config, ships_a_file_that_says_the_defaults, .timeout = 10)
{
	FILE *in = fopen("config/poolmap.conf", "r"), *out = fopen(file, "w");
	cr_assert_not_null(in, "config/poolmap.conf: run the tests at the top");
	cr_assert_not_null(out);
	size_t ct = uncomment(in, out);
	fclose(in);
	fclose(out);

	size_t expected = 0;
	for (size_t i = 0; i < OPTION_CT; i++) {
		expected += option_rows[i].scope & SCOPE_FILE ? 1 : 0;
	}
	cr_assert_eq(ct, expected, "%zu options in the file, %zu in the table", ct,
		expected);

	char run[] = "poolmap", config[] = "run", no[] = "--no-config",
	     use[] = "--config";
	char *with[] = {run, config, use, file, NULL};
	char *without[] = {run, config, no, NULL};
	struct options shipped, plain;
	cr_assert_eq(options_load(&shipped, 4, with), 0);
	cr_assert_eq(options_load(&plain, 3, without), 0);
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_value *a = &shipped.values[i],
					  *b = &plain.values[i];
		if (!(option_rows[i].scope & SCOPE_FILE)) {
			continue;
		}
		cr_assert_eq(a->text_ct, b->text_ct, "%s", option_rows[i].name);
		if (a->text_ct) {
			cr_assert_eq(a->source, SOURCE_FILE, "%s", option_rows[i].name);
			cr_assert_str_eq(
				a->texts[0], b->texts[0], "%s", option_rows[i].name);
		}
	}
	options_fini(&shipped);
	options_fini(&plain);
}
