/* SPDX-License-Identifier: MIT
 *
 * Unit tests of master/cli/progress.  The terminal is a pseudo-terminal whose
 * other side the test reads.  That nothing was written is shown by a mark that
 * is written afterwards: it must be all that arrives.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "master/cli/progress.h"

enum { PATIENCE_MS = 8000 };

#define MARK "|mark|"
#define FULL_LINE "  12,345 done  12,001 ok  344 failed  812/s  in flight 128"

static const struct progress_facts facts = {
	.done = 12345, .ok = 12001, .failed = 344, .in_flight = 128, .per_second = 812};
static const struct progress_facts few_facts = {
	.done = 5, .ok = 5, .failed = 0, .in_flight = 1, .per_second = 2};

static struct progress p;
static int reader = -1, terminal = -1;
static char got[4096];

/* -------------------------------------------------------------- a terminal */

static void resize(unsigned short columns)
{
	struct winsize size = {.ws_row = 24, .ws_col = columns};
	cr_assert_eq(ioctl(terminal, TIOCSWINSZ, &size), 0);
}

static void open_terminal(void)
{
	char name[128];
	reader = posix_openpt(O_RDWR | O_NOCTTY);
	cr_assert_geq(reader, 0);
	cr_assert_eq(grantpt(reader), 0);
	cr_assert_eq(unlockpt(reader), 0);
	cr_assert_eq(ptsname_r(reader, name, sizeof(name)), 0);
	terminal = open(name, O_RDWR | O_NOCTTY);
	cr_assert_geq(terminal, 0);
	struct termios modes;
	cr_assert_eq(tcgetattr(terminal, &modes), 0);
	cfmakeraw(&modes);
	cr_assert_eq(tcsetattr(terminal, TCSANOW, &modes), 0);
	resize(80);
	setenv("TERM", "xterm", 1);
	unsetenv("COLUMNS");
}

static void begin(void)
{
	open_terminal();
	progress_init(&p, terminal, PROGRESS_BAR, 0);
}

/* What has arrived up to `end`, without it. */
static const char *read_up_to(int fd, const char *end)
{
	size_t len = 0;
	got[0] = '\0';
	while (!strstr(got, end)) {
		struct pollfd ask = {.fd = fd, .events = POLLIN};
		cr_assert_eq(poll(&ask, 1, PATIENCE_MS), 1, "only got \"%s\"", got);
		ssize_t ct = read(fd, got + len, sizeof(got) - 1 - len);
		cr_assert_gt(ct, 0);
		len += (size_t)ct;
		got[len] = '\0';
	}
	*strstr(got, end) = '\0';
	return got;
}

static const char *arrived(void)
{
	cr_assert_eq(write(terminal, MARK, strlen(MARK)), (ssize_t)strlen(MARK));
	return read_up_to(reader, MARK);
}

/* ---------------------------------------------------------------- the line */

static const char *render(const struct progress_facts *f, size_t columns)
{
	static struct buf line;
	buf_clear(&line);
	cr_assert_eq(progress_render(&line, f, columns), 0);
	return buf_text(&line);
}

Test(progress, has_all_fields_where_there_is_room, .timeout = 10)
{
	cr_assert_str_eq(render(&facts, 79), FULL_LINE);
	cr_assert_str_eq(render(&facts, strlen(FULL_LINE)), FULL_LINE);
}

Test(progress, drops_the_lightest_fields_first, .timeout = 10)
{
	cr_assert_str_eq(render(&facts, strlen(FULL_LINE) - 1),
		"  12,345 done  12,001 ok  344 failed  812/s");
	cr_assert_str_eq(render(&facts, 39), "  12,345 done  344 failed  812/s");
	cr_assert_str_eq(render(&facts, 31), "  12,345 done  344 failed");
	cr_assert_str_eq(render(&facts, 19), "  12,345 done");
	cr_assert_str_eq(render(&facts, 12), "");
	cr_assert_str_eq(render(&facts, 0), "");
}

Test(progress, is_never_wider_than_allowed, .timeout = 10)
{
	static const struct progress_facts huge = {.done = UINT64_MAX,
		.ok = UINT64_MAX,
		.failed = UINT64_MAX,
		.in_flight = UINT64_MAX,
		.per_second = 1e300};
	for (size_t columns = 0; columns < 200; columns++) {
		cr_assert_leq(strlen(render(&huge, columns)), columns);
		cr_assert_leq(strlen(render(&facts, columns)), columns);
		cr_assert_leq(strlen(render(&few_facts, columns)), columns);
	}
	cr_assert_str_eq(render(&huge, 200), "  18,446,744,073,709,551,615 done"
					     "  18,446,744,073,709,551,615 ok"
					     "  18,446,744,073,709,551,615 failed"
					     "  1,000,000,000,000,000/s"
					     "  in flight 18,446,744,073,709,551,615");
}

/* ------------------------------------------------------------ the terminal */

Test(progress, redraws_in_place, .timeout = 20, .init = begin)
{
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K");
	progress_draw(&p, &few_facts, 200000);
	cr_assert_str_eq(
		arrived(), "\r  5 done  5 ok  0 failed  2.0/s  in flight 1\033[K");
}

Test(progress, draws_five_times_a_second_at_most, .timeout = 20, .init = begin)
{
	static const char drawing[] = "\r" FULL_LINE "\033[K";
	uint64_t begin_us = 77777;
	for (uint64_t us = 0; us < 1000000; us += 1000) {
		progress_draw(&p, &facts, begin_us + us);
	}
	const char *at = arrived();
	cr_assert_eq(strlen(at), 5 * strlen(drawing));
	for (unsigned i = 0; i < 5; i++, at += strlen(drawing)) {
		cr_assert_eq(strncmp(at, drawing, strlen(drawing)), 0);
	}
}

Test(progress, follows_the_width_of_the_terminal, .timeout = 20, .init = begin)
{
	resize(40);
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r  12,345 done  344 failed  812/s\033[K");
	resize(20);
	progress_draw(&p, &facts, 1000000);
	cr_assert_str_eq(arrived(), "\r  12,345 done\033[K");
	resize(1);
	progress_draw(&p, &facts, 2000000);
	cr_assert_str_eq(arrived(), "\r\033[K");
}

/* The last column stays free: some terminals wrap when it is written. */
Test(progress, leaves_the_last_column_free, .timeout = 20, .init = begin)
{
	resize((unsigned short)(strlen(FULL_LINE) + 1));
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K");
	resize((unsigned short)strlen(FULL_LINE));
	progress_draw(&p, &facts, 1000000);
	cr_assert(!strstr(arrived(), "in flight"));
}

Test(progress, asks_the_environment_when_the_terminal_has_no_width, .timeout = 20,
	.init = begin)
{
	resize(0);
	setenv("COLUMNS", "20", 1);
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r  12,345 done\033[K");
}

Test(progress, takes_80_columns_when_nobody_knows, .timeout = 20, .init = begin)
{
	static const char *const nonsense[] = {
		"", "0", "-5", "20x", "99999999999999999"};
	uint64_t now_us = 0;
	resize(0);
	progress_draw(&p, &facts, now_us);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K");
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		setenv("COLUMNS", nonsense[i], 1);
		progress_draw(&p, &facts, now_us += 1000000);
		cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K", "COLUMNS=\"%s\"",
			nonsense[i]);
	}
}

/* Behind a message no line stands yet, and a second Ctrl-C has left a "^C". */
Test(progress, leaves_an_empty_line_at_the_end, .timeout = 20, .init = begin)
{
	progress_draw(&p, &facts, 0);
	progress_clear(&p);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K\r\033[K");
	progress_end(&p, &facts, 100000);
	cr_assert_str_eq(arrived(), "\r\033[K");
}

Test(progress, clears_its_line_once, .timeout = 20, .init = begin)
{
	progress_clear(&p);
	cr_assert_str_eq(arrived(), "");
	progress_draw(&p, &facts, 0);
	arrived();
	progress_clear(&p);
	cr_assert_str_eq(arrived(), "\r\033[K");
	progress_clear(&p);
	cr_assert_str_eq(arrived(), "");
	progress_draw(&p, &facts, 200000);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K");
}

/* ------------------------------------------------------- terminals of old */

static void begin_dumb(void)
{
	open_terminal();
	setenv("TERM", "dumb", 1);
	progress_init(&p, terminal, PROGRESS_BAR, 0);
}

Test(progress, pads_with_spaces_on_a_dumb_terminal, .timeout = 20, .init = begin_dumb)
{
	static const char little[] = "  5 done  5 ok  0 failed  2.0/s  in flight 1";
	char padded[128];
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE);
	progress_draw(&p, &few_facts, 1000000);
	snprintf(padded, sizeof(padded), "\r%-*s", (int)strlen(FULL_LINE), little);
	cr_assert_str_eq(arrived(), padded);
	progress_draw(&p, &few_facts, 2000000);
	snprintf(padded, sizeof(padded), "\r%s", little);
	cr_assert_str_eq(arrived(), padded);
}

Test(progress, clears_with_spaces_on_a_dumb_terminal, .timeout = 20, .init = begin_dumb)
{
	resize(20);
	progress_draw(&p, &facts, 0);
	arrived();
	progress_clear(&p);
	cr_assert_str_eq(arrived(), "\r             \r");
}

Test(progress, pads_no_further_than_a_terminal_that_shrank, .timeout = 20,
	.init = begin_dumb)
{
	progress_draw(&p, &facts, 0);
	arrived();
	resize(20);
	progress_draw(&p, &facts, 1000000);
	cr_assert_str_eq(arrived(), "\r  12,345 done      ");
}

Test(progress, trusts_no_terminal_without_a_name, .timeout = 20, .init = open_terminal)
{
	unsetenv("TERM");
	progress_init(&p, terminal, PROGRESS_BAR, 0);
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE);
	setenv("TERM", "", 1);
	progress_init(&p, terminal, PROGRESS_BAR, 0);
	progress_draw(&p, &facts, 0);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE);
}

/* --------------------------------------------------------- when not to draw */

Test(progress, is_silent_when_it_is_not_wanted, .timeout = 20, .init = open_terminal)
{
	progress_init(&p, terminal, PROGRESS_NONE, 0);
	progress_draw(&p, &facts, 0);
	progress_clear(&p);
	cr_assert_str_eq(arrived(), "");
}

Test(progress, is_silent_when_standard_error_is_no_terminal, .timeout = 20)
{
	int ends[2];
	cr_assert_eq(pipe(ends), 0);
	progress_init(&p, ends[1], PROGRESS_BAR, 0);
	progress_draw(&p, &facts, 0);
	progress_clear(&p);
	cr_assert_eq(write(ends[1], MARK, strlen(MARK)), (ssize_t)strlen(MARK));
	cr_assert_str_eq(read_up_to(ends[0], MARK), "");
}

Test(progress, survives_a_closed_standard_error, .timeout = 20, .init = begin)
{
	close(terminal);
	progress_draw(&p, &facts, 0);
	progress_clear(&p);
	progress_init(&p, terminal, PROGRESS_BAR, 0);
	progress_draw(&p, &facts, 1000000);
	progress_clear(&p);
	cr_assert(!p.on);
}

Test(progress, falls_silent_when_its_terminal_is_gone, .timeout = 20, .init = begin)
{
	progress_draw(&p, &facts, 0);
	close(reader);
	progress_draw(&p, &facts, 1000000);
	cr_assert(!p.on);
	progress_draw(&p, &facts, 2000000);
	progress_clear(&p);
}

/* The alarm ends the test if it does wait. */
Test(progress, does_not_wait_for_a_stopped_terminal, .timeout = 20, .init = begin)
{
	alarm(10);
	cr_assert_eq(tcflow(terminal, TCOOFF), 0);
	progress_draw(&p, &facts, 0);
	cr_assert_eq(tcflow(terminal, TCOON), 0);
	cr_assert_str_eq(arrived(), "");
	progress_draw(&p, &facts, 1000000);
	cr_assert_str_eq(arrived(), "\r" FULL_LINE "\033[K");
}

/* Reads to the end of file; the test holds the other end. */
static void wait_for_test(int fd)
{
	char byte;
	while (read(fd, &byte, 1) > 0) {
	}
}

static void draw_in_a_background_group(const char *name)
{
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		int fd = open(name, O_RDWR | O_NOCTTY);
		progress_init(&p, fd, PROGRESS_BAR, 0);
		progress_draw(&p, &facts, 0);
		_exit(p.on && !p.shown ? 0 : 1);
	}
	int status = 1;
	waitpid(pid, &status, 0);
	int fd = open(name, O_RDWR | O_NOCTTY);
	const char *said = status == 0 ? MARK : "drew" MARK;
	if (write(fd, said, strlen(said)) < 0) {
		_exit(1);
	}
}

/* A session of its own, led by a process whose controlling terminal it is. */
static void lead_session(int hold)
{
	char name[128];
	signal(SIGHUP, SIG_IGN);
	setsid();
	ptsname_r(reader, name, sizeof(name));
	int fd = open(name, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0) {
		_exit(1);
	}
	draw_in_a_background_group(name);
	wait_for_test(hold);
	_exit(0);
}

Test(progress, leaves_the_terminal_alone_in_the_background, .timeout = 20,
	.init = begin)
{
	int hold[2];
	cr_assert_eq(pipe(hold), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(hold[1]);
		lead_session(hold[0]);
	}
	cr_assert_str_eq(read_up_to(reader, MARK), "");
	close(hold[1]);
	int status;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

/* ------------------------------------------------------------ shares, no terminal */

static const struct progress_facts half_way = {.done = 400,
	.ok = 390,
	.failed = 10,
	.in_flight = 8,
	.per_second = 50,
	.skipped = 100,
	.retries = 7,
	.total = 1000};

Test(progress, tells_the_share_and_the_time_to_go, .timeout = 20)
{
	cr_assert_str_eq(render(&half_way, 200),
		"  500 of 1,000 done  50.0%  390 ok  10 failed  7 retried  50/s  10 s "
		"left  in flight 8");
}

/* A total that was said too low, and rates of all kinds. */
Test(progress, tells_no_share_over_100_percent, .timeout = 20)
{
	struct progress_facts f = half_way;
	uint64_t seconds = 0;
	f.total = 300;
	cr_assert(strstr(render(&f, 200), "500 of 500 done  100%"), "%s",
		render(&f, 200));
	cr_assert_not(progress_left(&f, &seconds));
	f.total = 0;
	cr_assert(strstr(render(&f, 200), "400 done"));
	f.total = 501;
	cr_assert(strstr(render(&f, 200), "99.8%"));
	f.per_second = 0;
	cr_assert_not(progress_left(&f, &seconds));
	f.per_second = 1e-300;
	cr_assert_not(progress_left(&f, &seconds));
	f.total = UINT64_MAX;
	f.per_second = 1e300;
	cr_assert(progress_left(&f, &seconds));
	cr_assert_eq(seconds, 1);
}

static const char *take(int fd)
{
	ssize_t n = read(fd, got, sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0';
	return got;
}

/* A pipe that does not make the test wait. */
static void open_pipe(int ends[2])
{
	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

Test(progress, writes_a_line_every_ten_seconds_into_a_file, .timeout = 20)
{
	int ends[2];
	open_pipe(ends);
	progress_init(&p, ends[1], PROGRESS_AUTO, 5);
	for (uint64_t now_us = 5; now_us < 10000005; now_us += 200000) {
		progress_draw(&p, &half_way, now_us);
	}
	cr_assert_str_eq(take(ends[0]), "");
	progress_draw(&p, &half_way, 10000005);
	progress_draw(&p, &half_way, 10200005);
	cr_assert_str_eq(take(ends[0]), "poolmap: 500 of 1,000 done (50.0%), 390 ok, "
					"10 failed, 7 retried, 50/s, "
					"in flight 8, 10 s left\n");
	progress_end(&p, &half_way, 11000000);
	cr_assert_str_eq(take(ends[0]), "");
}

Test(progress, writes_an_object_each_second_and_at_the_end, .timeout = 20)
{
	static const char counts[] =
		"\"done\":400,\"ok\":390,\"failed\":10,\"skipped\":100,\"retries\":7,"
		"\"in_flight\":8,\"per_second\":50.0,\"total\":1000,\"left\":10}\n";
	char wanted[400];
	int ends[2];
	open_pipe(ends);
	progress_init(&p, ends[1], PROGRESS_JSON, 100);
	progress_draw(&p, &half_way, 900000);
	cr_assert_str_eq(take(ends[0]), "");
	progress_draw(&p, &half_way, 1000100);
	snprintf(wanted, sizeof(wanted), "{\"elapsed\":1.000000,%s", counts);
	cr_assert_str_eq(take(ends[0]), wanted);
	progress_end(&p, &half_way, 1500100);
	snprintf(wanted, sizeof(wanted), "{\"elapsed\":1.500000,%s", counts);
	cr_assert_str_eq(take(ends[0]), wanted);
}

/* The alarm ends the test if it does wait. */
Test(progress, does_not_wait_for_who_reads_its_lines, .timeout = 20)
{
	int ends[2];
	char byte = 'x';
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], &byte, 1) == 1) {
	}
	cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0);
	alarm(10);
	progress_init(&p, ends[1], PROGRESS_JSON, 0);
	progress_draw(&p, &half_way, 0);
	progress_draw(&p, &half_way, 2000000);
	progress_end(&p, &half_way, 4000000);
	alarm(0);
}
