/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cli/again.
 */
#include <criterion/criterion.h>

#include "master/cli/again.h"

enum { WORDS_MAX = 12 };

static struct buf out;

static void free_out(void)
{
	buf_fini(&out);
}

TestSuite(again, .fini = free_out);

struct example {
	const char *words[WORDS_MAX];
	const char *command;
};

static void expect(const struct example *e)
{
	char *argv[WORDS_MAX + 1] = {NULL};
	int argc = 0;
	while (e->words[argc]) {
		argv[argc] = (char *)(uintptr_t)e->words[argc];
		argc++;
	}
	buf_clear(&out);
	const char *got = again_command(&out, argc, argv);
	cr_assert_not_null(got);
	cr_assert_str_eq(got, e->command);
}

static void expect_all(const struct example *examples, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		expect(&examples[i]);
	}
}

#define EXPECT_ALL(examples)                                                           \
	expect_all(examples, sizeof(examples) / sizeof((examples)[0]))

Test(again, adds_resume_behind_the_command, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run"}, "poolmap run --resume"},
		{{"poolmap", "run", "urls.txt", "-o", "results.jsonl"},
			"poolmap run --resume urls.txt -o results.jsonl"},
		{{"./build/release/poolmap", "run", "-"},
			"./build/release/poolmap run --resume -"},
		{{"poolmap", "run", "-c", "8", "-q", "a.txt", "b.txt"},
			"poolmap run --resume -c 8 -q a.txt b.txt"},
	};
	EXPECT_ALL(examples);
}

Test(again, leaves_force_out, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run", "--force", "a", "-o", "b"},
			"poolmap run --resume a -o b"},
		{{"poolmap", "run", "a", "-o", "b", "--force"},
			"poolmap run --resume a -o b"},
		{{"poolmap", "run", "--force"}, "poolmap run --resume"},
	};
	EXPECT_ALL(examples);
}

Test(again, says_resume_once, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run", "--resume", "a", "-o", "b"},
			"poolmap run --resume a -o b"},
		{{"poolmap", "run", "a", "-o", "b", "--resume"},
			"poolmap run --resume a -o b"},
		{{"poolmap", "run", "a", "--resume", "--resume"},
			"poolmap run --resume a"},
	};
	EXPECT_ALL(examples);
}

Test(again, keeps_options_that_look_alike, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run", "--forced", "--force=1", "-f"},
			"poolmap run --resume --forced --force=1 -f"},
		{{"poolmap", "run", "--resumes", "--response-headers", "--retries",
			 "3"},
			"poolmap run --resume --resumes --response-headers --retries "
			"3"},
		{{"poolmap", "run", "-", "force", "resume", "-force"},
			"poolmap run --resume - force resume -force"},
	};
	EXPECT_ALL(examples);
}

Test(again, keeps_files_behind_the_end_of_the_options, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run", "--force", "--", "--force", "--resume"},
			"poolmap run --resume -- --force --resume"},
		{{"poolmap", "run", "--"}, "poolmap run --resume --"},
		{{"poolmap", "run", "--", "--"}, "poolmap run --resume -- --"},
	};
	EXPECT_ALL(examples);
}

Test(again, quotes_what_a_shell_would_change, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run", "my urls.txt"},
			"poolmap run --resume 'my urls.txt'"},
		{{"poolmap", "run", "it's"}, "poolmap run --resume 'it'\\''s'"},
		{{"poolmap", "run", "-H", "A: b"}, "poolmap run --resume -H 'A: b'"},
		{{"poolmap", "run", "", "$HOME", "*", "a;b", "`x`"},
			"poolmap run --resume '' '$HOME' '*' 'a;b' '`x`'"},
		{{"/my programs/poolmap", "run"},
			"'/my programs/poolmap' run --resume"},
	};
	EXPECT_ALL(examples);
}

Test(again, shows_no_secret, .timeout = 10)
{
	static const struct example examples[] = {
		{{"poolmap", "run", "-H", "Authorization: x", "-H", "A: b"},
			"poolmap run --resume -H '<hidden>' -H 'A: b'"},
		{{"poolmap", "run", "-HCookie:x", "--header=cookie: x", "--header",
			 "X-Api-Key: x"},
			"poolmap run --resume '-H<hidden>' '--header=<hidden>' "
			"--header '<hidden>'"},
		{{"poolmap", "run", "-qkH", "Cookie: x", "-qHCookie: x"},
			"poolmap run --resume -qkH '<hidden>' '-qH<hidden>'"},
		{{"poolmap", "run", "-d", "x", "-dx", "--data=x", "-d", "@x"},
			"poolmap run --resume -d '@<hidden>' '-d@<hidden>' "
			"'--data=@<hidden>' -d @x"},
		{{"poolmap", "run", "--proxy", "http://u:p@h", "--proxy=u:p@h",
			 "--proxy", "http://h"},
			"poolmap run --resume --proxy '<hidden>' '--proxy=<hidden>' "
			"--proxy http://h"},
		{{"poolmap", "run", "--data=", "--proxy="},
			"poolmap run --resume --data= --proxy="},
	};
	EXPECT_ALL(examples);
}

Test(again, writes_behind_what_is_there, .timeout = 10)
{
	char run[] = "run", poolmap[] = "poolmap";
	char *argv[] = {poolmap, run, NULL};
	cr_assert_eq(buf_puts(&out, "Run: "), 0);
	cr_assert_str_eq(again_command(&out, 2, argv), "Run: poolmap run --resume");
}

Test(again, leaves_the_words_as_they_are, .timeout = 10)
{
	char poolmap[] = "poolmap", run[] = "run", force[] = "--force", file[] = "a b";
	char *argv[] = {poolmap, run, force, file, NULL};
	cr_assert_not_null(again_command(&out, 4, argv));
	cr_assert_str_eq(argv[2], "--force");
	cr_assert_str_eq(argv[3], "a b");
	cr_assert_null(argv[4]);
}

/* -------------------------------------------------------------------- retrying */

static void check_retry(
	const char *expected, const char *results, const char *const *words)
{
	char *argv[16];
	int argc = 0;
	for (; words[argc]; argc++) {
		argv[argc] = (char *)(uintptr_t)words[argc];
	}
	buf_clear(&out);
	const char *command = again_retry(&out, argc, argv, results);
	if (expected) {
		cr_assert_str_eq(command, expected);
	} else {
		cr_assert_null(command);
	}
}

#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(again, tells_how_to_run_again_what_failed, .timeout = 10)
{
	check_retry("poolmap run --retry-failed r.jsonl -o retry.jsonl -q --csv j",
		"r.jsonl",
		COMMAND("poolmap", "run", "-q", "--csv", "-o", "r.jsonl", "j"));
	check_retry("poolmap run --retry-failed /a/r.csv.gz -o retry.csv.gz j",
		"/a/r.csv.gz",
		COMMAND("poolmap", "run", "--output=/a/r.csv.gz", "--force", "--failed",
			"f", "j"));
	check_retry("poolmap run --retry-failed 'a b' -o retry.jsonl -- -o j", "a b",
		COMMAND("poolmap", "run", "-oa b", "--failed=f", "--", "-o", "j"));
	check_retry("poolmap run --retry-failed retry.jsonl -o retry-2.jsonl j",
		"retry.jsonl",
		COMMAND("poolmap", "run", "--retry-failed", "r.jsonl", "--resume",
			"--output", "retry.jsonl", "j"));
	check_retry(NULL, "r", COMMAND("poolmap", "run", "-qo", "r", "j"));
}
