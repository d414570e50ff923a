/* SPDX-License-Identifier: MIT
 *
 * Where the command takes its options from, as seen in what it does; `poolmap
 * config`, --help and --version.
 */
#include "tests/support/origin_rig.h"

static const char *config_home;

/* Files that the user of this machine has must not count. */
static void start(void)
{
	start_origin();
	config_home = temp_dir();
	child_env("XDG_CONFIG_HOME", config_home);
}

TestSuite(run_config, .init = start, .fini = stop_origin);

static const char *config_file(const char *text)
{
	return temp_file("my.conf", text, strlen(text));
}

/* Put the text where a file is looked for. */
static void install_config(const char *text)
{
	const char *from = config_file(text);
	const char *folder = keep_printf("%s/poolmap", config_home);
	cr_assert_eq(mkdir(folder, 0700), 0);
	cr_assert_eq(rename(from, keep_printf("%s/poolmap.conf", folder)), 0);
}

/* Check the user agent that arrives; "poolmap" for one that begins so. */
static void check_agent(const char *const argv[], const char *expected)
{
	struct ran r = run_to_end(origin_url(o, "/echo"), argv);
	check_status(&r, 0);
	json_t *echo = echo_at(&r, 0);
	const char *agent = header_in(echo, "user-agent");
	cr_assert_str_eq(agent ? agent : "(none)", expected);
	json_decref(echo);
	ran_fini(&r);
}

/* Each source hides the weaker ones: flag, variable, file. */
Test(run_config, takes_the_strongest_source, .timeout = 30)
{
	const char *named = config_file("header = \"User-Agent: named\"\n");
	install_config("header = \"User-Agent: found\"\n");
	check_agent(POOLMAP("run"), "found");
	check_agent(POOLMAP("run", "--config", named), "named");
	child_env("POOLMAP_CONFIG", named);
	check_agent(POOLMAP("run"), "named");
	child_env("POOLMAP_HEADER", "User-Agent: variable\nX-Other: 1");
	check_agent(POOLMAP("run"), "variable");
	check_agent(POOLMAP("run", "-H", "User-Agent: flag"), "flag");
	child_env("POOLMAP_HEADER", NULL);
	check_agent(POOLMAP("run", "-H", "User-Agent: flag"), "flag");
}

/* Who may write it is the user's business, as with curl, also when it holds secrets. */
Test(run_config, may_be_written_by_others_and_is_read, .timeout = 30)
{
	const char *path =
		config_file("header = { \"Authorization: Bearer secret\" }\n");
	const char *job = keep_printf("%s\n", origin_url(o, "/echo"));
	cr_assert_eq(chmod(path, 0666), 0);
	struct ran r = run_to_end(job, POOLMAP("run", "--config", path));
	check_status(&r, 0);
	cr_assert_eq(r.ct, 1);
	check_says(text_in(json_array_get(r.results, 0), "body"), "Bearer secret");
	cr_assert(!strstr(r.io.err, "secret"), "%s", r.io.err);
	ran_fini(&r);
}

Test(run_config, is_the_default_without_a_file, .timeout = 30)
{
	install_config("method = PATCH\naccept = 404\n");
	struct ran r = run_to_end(origin_url(o, "/echo"), POOLMAP("run"));
	check_class(&r, 0, "http_status");
	cr_assert_str_eq(text_in(result_at(&r, 0), "method"), "PATCH");
	ran_fini(&r);
	r = run_to_end(origin_url(o, "/echo"), POOLMAP("run", "--no-config"));
	check_status(&r, 0);
	cr_assert_str_eq(text_in(result_at(&r, 0), "method"), "GET");
	ran_fini(&r);
}

/* A folder that came from somebody else must not choose the headers. */
Test(run_config, does_not_come_from_the_current_folder, .timeout = 30)
{
	const char *path = config_file("method = PATCH\n");
	const char *folder =
		keep_printf("%.*s", (int)(strrchr(path, '/') - path), path);
	cr_assert_eq(rename(path, keep_printf("%s/poolmap.conf", folder)), 0);
	child_env("HOME", folder);
	const char *cd = keep_printf("cd %s && exec \"$@\"", folder);
	struct ran r = run_to_end(
		origin_url(o, "/echo"), (const char *const[]){"/bin/sh", "-c", cd, "sh",
						program("poolmap"), "run", NULL});
	check_status(&r, 0);
	cr_assert_str_eq(text_in(result_at(&r, 0), "method"), "GET");
	ran_fini(&r);
}

Test(run_config, can_be_undone_by_a_flag, .timeout = 30)
{
	const char *path = config_file("no-follow = yes\nquiet = yes\nbody = none\n");
	struct ran r = run_to_end(
		origin_url(o, "/redirect/1"), POOLMAP("run", "--config", path));
	cr_assert_eq(int_in(result_at(&r, 0), "http_code"), 302);
	cr_assert(!has_field(result_at(&r, 0), "body"));
	cr_assert_str_eq(r.io.err, "");
	ran_fini(&r);
	r = run_to_end(origin_url(o, "/redirect/1"),
		POOLMAP("run", "--config", path, "--no-follow=no", "--quiet=no"));
	cr_assert_eq(int_in(result_at(&r, 0), "http_code"), 200);
	check_says(r.io.err, "the one job is ok");
	ran_fini(&r);
}

/* -------------------------------------------------------------- poolmap config */

static char *config_text(const char *const argv[])
{
	struct run_result r;
	run_argv(&r, NULL, 0, argv);
	cr_assert_eq(r.status, 0, "%s", r.err);
	cr_assert_str_eq(r.err, "");
	free(r.err);
	return r.out;
}

/* Without the comments, which say where each value comes from. */
static void strip_sources(char *text)
{
	char *to = text;
	for (char *at = text; *at;) {
		size_t len = strcspn(at, "\n");
		char *mark = memmem(at, len, " # ", 3);
		size_t kept = *at == '#' ? 0 : mark ? (size_t)(mark - at) : len;
		while (kept > 0 && at[kept - 1] == ' ') {
			kept--;
		}
		memmove(to, at, kept);
		to += kept;
		*to = '\n';
		to += kept > 0;
		at += len + (at[len] == '\n');
	}
	*to = '\0';
}

Test(run_config, says_the_same_when_it_reads_what_it_has_printed, .timeout = 30)
{
	char *first = config_text(POOLMAP("config", "--no-config", "-c", "77", "-w",
		"3", "-H", "X-A: a \"b\" \\ ${c} #d", "-H", "X-B: 2", "--accept",
		"200..299,404", "--timeout", "2.125", "--max-body", "3K", "-k",
		"--unordered", "-X", "PATCH", "--body", "none"));
	char *again = config_text(POOLMAP("config", "--config", config_file(first)));
	check_says(first, "command line");
	check_says(again, "my.conf:");
	strip_sources(first);
	strip_sources(again);
	cr_assert_str_eq(again, first);
	check_says(again, "concurrency = 77\n");
	check_says(again, "X-B: 2");
	free(first);
	free(again);
}

Test(run_config, works_the_same_from_what_was_printed, .timeout = 30)
{
	char *text = config_text(POOLMAP(
		"config", "-H", "User-Agent: a \"b\" \\ ${c} #d", "--body=inline"));
	check_agent(
		POOLMAP("run", "--config", config_file(text)), "a \"b\" \\ ${c} #d");
	free(text);
}

Test(run_config, prints_where_each_value_comes_from, .timeout = 30)
{
	child_env("POOLMAP_WORKERS", "5");
	install_config("# first\nconcurrency = 9\n");
	char *text = config_text(POOLMAP("config", "--timeout", "3"));
	check_says(text, keep_printf("%s/poolmap/poolmap.conf:2", config_home));
	check_says(text, "# POOLMAP_WORKERS\n");
	check_says(text, "# command line\n");
	check_says(text, "# default\n");
	free(text);
}

Test(run_config, hides_secrets_when_printed, .timeout = 30)
{
	char *text = config_text(POOLMAP("config", "-H", "Authorization: Bearer s3cret",
		"-H", "cookie: s3cret", "-H", "X-A: shown"));
	cr_assert(!strstr(text, "s3cret"), "%s", text);
	check_says(text, "hidden");
	check_says(text, "X-A: shown");
	free(text);
}

/* ------------------------------------------------------------ help, version */

Test(run_config, help_goes_to_standard_output, .timeout = 30)
{
	static const char *const options[] = {"-o, --output", "-w, --workers",
		"-c, --concurrency", "--resume", "--force", "--timeout", "-q, --quiet",
		"--max-body", "Exit codes"};
	char *text = config_text(POOLMAP("run", "--help"));
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		check_says(text, options[i]);
	}
	free(text);
	text = config_text(POOLMAP("--help"));
	check_says(text, "poolmap run");
	free(text);
	text = config_text(POOLMAP("config", "--help"));
	check_says(text, "poolmap config");
	free(text);
}

/* Help is asked for, whatever else stands there. */
Test(run_config, help_needs_nothing_else_to_be_right, .timeout = 30)
{
	child_env("POOLMAP_NONSENSE", "1");
	char *text = config_text(POOLMAP("run", "--help", "--config", "/nonexistent"));
	check_says(text, "Usage: poolmap run");
	free(text);
}

Test(run_config, version_names_the_libraries, .timeout = 30)
{
	char *text = config_text(POOLMAP("--version"));
	cr_assert_eq(strncmp(text, "poolmap ", 8), 0, "%s", text);
	check_says(text, " libcurl/");
	check_says(text, " c-ares/1.");
	check_says(text, " libevent/");
	cr_assert_eq(strchr(text, '\n'), strrchr(text, '\n'), "%s", text);
	char *again = config_text(POOLMAP("run", "--version"));
	cr_assert_str_eq(again, text);
	free(text);
	free(again);
}

Test(run_config, help_into_a_full_device_is_an_error, .timeout = 30)
{
	struct run_result r;
	run_command(&r, NULL, "/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh",
		program("poolmap"), "run", "--help", NULL);
	cr_assert_eq(r.status, 4, "%d", r.status);
	check_says(r.err, "standard output: No space left");
	run_result_fini(&r);
}
