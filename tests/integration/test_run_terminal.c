/* SPDX-License-Identifier: MIT
 *
 * What `poolmap run` shows on a terminal: a line of progress that keeps to its
 * width and is gone before anything else is written.
 */
#include "tests/support/origin_rig.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

TestSuite(run_terminal, .init = start_origin, .fini = stop_origin);

/* ---------------------------------------------------------- pseudo-terminals */

/* The side of the person before it, and all that was shown. */
struct terminal {
	int fd;
	const char *path;
	struct bytes shown;
};

static void terminal_open(struct terminal *t, unsigned short columns)
{
	struct winsize size = {.ws_row = 24, .ws_col = columns};
	char path[128];
	*t = (struct terminal){.fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	cr_assert_geq(t->fd, 0, "no pseudo-terminal: %s", strerror(errno));
	cr_assert_eq(grantpt(t->fd), 0);
	cr_assert_eq(unlockpt(t->fd), 0);
	cr_assert_eq(ptsname_r(t->fd, path, sizeof(path)), 0);
	cr_assert_eq(ioctl(t->fd, TIOCSWINSZ, &size), 0);
	cr_assert_eq(fcntl(t->fd, F_SETFL, O_NONBLOCK), 0);
	t->path = keep_printf("%s", path);
	bytes_add(&t->shown, "", 0);
}

/* False when there is nothing more now. */
static bool terminal_read(struct terminal *t)
{
	char block[4096];
	ssize_t n = read(t->fd, block, sizeof(block));
	if (n > 0) {
		bytes_add(&t->shown, block, (size_t)n);
	}
	return n > 0;
}

struct awaited_text {
	struct terminal *terminal;
	const char *text;
};

static bool is_shown(void *ctx)
{
	const struct awaited_text *a = ctx;
	while (terminal_read(a->terminal)) {
	}
	return strstr(a->terminal->shown.data, a->text) != NULL;
}

static void wait_until_shown(struct terminal *t, const char *text)
{
	struct awaited_text a = {t, text};
	cr_assert(wait_for(is_shown, &a, 20000), "\"%s\" is not shown, but: %s", text,
		t->shown.data);
}

static void terminal_close(struct terminal *t)
{
	close(t->fd);
	bytes_fini(&t->shown);
}

/* ------------------------------------------------------------------- screens */

enum { ROWS = 64, COLUMNS = 256 };

/* What stands there in the end. */
struct screen {
	char rows[ROWS][COLUMNS + 1];
	size_t row, column;
	size_t widest_progress; /* the longest row that spoke of "done" */
};

static void note_progress(struct screen *s)
{
	const char *row = s->rows[s->row];
	size_t len = strlen(row);
	if (strstr(row, " done") && len > s->widest_progress) {
		s->widest_progress = len;
	}
}

static void put_character(struct screen *s, char c)
{
	char *row = s->rows[s->row];
	cr_assert_lt(s->column, COLUMNS, "a row of more than %d columns", COLUMNS);
	for (size_t i = strlen(row); i < s->column; i++) {
		row[i] = ' ';
	}
	row[s->column++] = c;
}

/* Understands CR, LF, and "erase to end of line"; anything else is refused. */
static void screen_draw(struct screen *s, const char *text)
{
	memset(s, 0, sizeof(*s));
	for (const char *at = text; *at; at++) {
		if (*at == '\r') {
			note_progress(s);
			s->column = 0;
		} else if (*at == '\n') {
			cr_assert_lt(++s->row, ROWS, "too many rows: %s", text);
		} else if (strncmp(at, "\x1b[K", 3) == 0) {
			memset(s->rows[s->row] + s->column, 0, COLUMNS - s->column);
			at += 2;
		} else {
			cr_assert_neq(*at, '\x1b', "an escape: %s", at + 1);
			put_character(s, *at);
		}
	}
}

/* What the person sees in the end holds no progress, and begins each line at the
 * left edge. */
static void check_cleared(const struct screen *s)
{
	for (size_t i = 0; i <= s->row; i++) {
		cr_assert(
			!strstr(s->rows[i], "in flight"), "row %zu: %s", i, s->rows[i]);
		cr_assert(!strstr(s->rows[i], "/s  "), "row %zu: %s", i, s->rows[i]);
	}
}

static bool has_row(const struct screen *s, const char *start_of)
{
	for (size_t i = 0; i <= s->row; i++) {
		if (strncmp(s->rows[i], start_of, strlen(start_of)) == 0) {
			return true;
		}
	}
	return false;
}

/* --------------------------------------------------------------------- tests */

/* A run of 30 quick jobs and one that is held, with the terminal for its
 * errors. */
static void start_run(struct child *c, const struct terminal *t, const char *flag)
{
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", 30);
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/last"));
	const char *script = keep_printf("exec \"$@\" 2>%s", t->path);
	child_start(c,
		RUN_IN_SHELL(script, "-c", "4", flag, "-o", new_path("results.jsonl"),
			jobs_file(&jobs)),
		CHILD_NO_STDIN);
}

/* Run while a progress line is there, then to the end. */
static void run_on(struct terminal *t, struct screen *s)
{
	struct child c;
	start_run(&c, t, "--unordered=no");
	wait_until_shown(t, "30 of 31 done");
	origin_release(o, "last");
	cr_assert_eq(child_wait(&c, 20000), 0, "%s", t->shown.data);
	wait_until_shown(t, "results.jsonl");
	screen_draw(s, t->shown.data);
	child_fini(&c);
}

static void check_progress(unsigned short columns, const char *term)
{
	struct terminal t;
	struct screen s;
	child_env("TERM", term);
	terminal_open(&t, columns);
	run_on(&t, &s);
	cr_assert_gt(s.widest_progress, 0, "no progress: %s", t.shown.data);
	cr_assert_lt(s.widest_progress, columns, "%zu columns", s.widest_progress);
	check_cleared(&s);
	cr_assert(has_row(&s, "Done: all 31 jobs are ok."), "%s", t.shown.data);
	terminal_close(&t);
}

Test(run_terminal, shows_progress_and_clears_it, .timeout = 30)
{
	check_progress(80, "xterm");
}

Test(run_terminal, keeps_progress_within_a_narrow_window, .timeout = 30)
{
	check_progress(30, "xterm");
}

Test(run_terminal, clears_progress_on_a_dumb_terminal, .timeout = 30)
{
	check_progress(60, "dumb");
}

Test(run_terminal, clears_progress_without_escapes, .timeout = 30)
{
	struct terminal t;
	struct screen s;
	child_env("TERM", NULL);
	terminal_open(&t, 60);
	run_on(&t, &s);
	check_cleared(&s);
	cr_assert(!strchr(t.shown.data, '\x1b'), "an escape: %s", t.shown.data);
	terminal_close(&t);
}

/* A message in the middle stands on a line of its own. */
Test(run_terminal, clears_progress_before_a_message, .timeout = 30)
{
	struct terminal t;
	struct screen s;
	struct child c;
	child_env("TERM", "xterm");
	terminal_open(&t, 80);
	start_run(&c, &t, "--unordered=no");
	wait_until_shown(&t, "30 of 31 done");
	child_signal(&c, SIGINT);
	wait_until_shown(&t, "stops at once");
	child_signal(&c, SIGINT);
	cr_assert_eq(child_wait(&c, 20000), 130, "%s", t.shown.data);
	wait_until_shown(&t, "results.jsonl");
	screen_draw(&s, t.shown.data);
	cr_assert(has_row(&s, "poolmap: interrupted: "), "%s", t.shown.data);
	cr_assert(has_row(&s, "Stopped by SIGINT"), "%s", t.shown.data);
	check_cleared(&s);
	child_fini(&c);
	terminal_close(&t);
}

Test(run_terminal, shows_nothing_when_quiet, .timeout = 30)
{
	struct terminal t;
	struct child c;
	terminal_open(&t, 80);
	start_run(&c, &t, "-q");
	wait_for_count(o, "requests", 31);
	cr_assert(!count_exceeds(o, "requests", 31)); /* longer than a draw takes */
	origin_release(o, "last");
	cr_assert_eq(child_wait(&c, 20000), 0);
	terminal_read(&t);
	cr_assert_str_eq(t.shown.data, "");
	child_fini(&c);
	terminal_close(&t);
}

Test(run_terminal, shows_no_progress_in_a_pipe, .timeout = 30)
{
	struct child c;
	struct bytes jobs = {0};
	jobs_add_urls(&jobs, o, "/once/", 30);
	jobs_add(&jobs, "%s\n", origin_url(o, "/hold/last"));
	child_start(&c, RUN("-c", "4", jobs_file(&jobs)), CHILD_NO_STDIN);
	wait_for_count(o, "requests", 31);
	cr_assert(!count_exceeds(o, "requests", 31)); /* longer than a draw takes */
	origin_release(o, "last");
	cr_assert_eq(child_wait(&c, 20000), 0);
	cr_assert(!strpbrk(c.got[2].data, "\r\x1b"), "%s", c.got[2].data);
	cr_assert(!strstr(c.got[2].data, "in flight"), "%s", c.got[2].data);
	cr_assert_eq(
		strncmp(c.got[2].data, "Done: all 31", 12), 0, "%s", c.got[2].data);
	child_fini(&c);
}

/* Results to the same terminal: a line among them would be in the way. */
Test(run_terminal, shows_no_progress_among_results, .timeout = 30)
{
	struct terminal t;
	struct child c;
	struct bytes jobs = {0};
	child_env("TERM", "xterm");
	terminal_open(&t, 80);
	jobs_add(&jobs, "%s\n%s\n", origin_url(o, "/"), origin_url(o, "/hold/last"));
	const char *script = keep_printf("exec \"$@\" >%s 2>&1", t.path);
	child_start(
		&c, RUN_IN_SHELL(script, "-c", "4", jobs_file(&jobs)), CHILD_NO_STDIN);
	wait_until_shown(&t, "{\"index\":0,");
	cr_assert(!count_exceeds(o, "requests", 2)); /* longer than a draw takes */
	origin_release(o, "last");
	cr_assert_eq(child_wait(&c, 20000), 0);
	wait_until_shown(&t, "standard output");
	cr_assert(!strstr(t.shown.data, "in flight"), "%s", t.shown.data);
	cr_assert(!strchr(t.shown.data, '\x1b'), "%s", t.shown.data);
	child_fini(&c);
	terminal_close(&t);
}

/* The person has closed the window: the run goes on to its end. */
Test(run_terminal, goes_on_when_its_terminal_is_gone, .timeout = 30)
{
	struct terminal t;
	struct child c;
	terminal_open(&t, 80);
	start_run(&c, &t, "--unordered=no");
	wait_until_shown(&t, "30 of 31 done");
	terminal_close(&t);
	cr_assert(!count_exceeds(o, "requests", 31)); /* it draws into nothing */
	origin_release(o, "last");
	cr_assert_eq(child_wait(&c, 20000), 0);
	child_fini(&c);
}
