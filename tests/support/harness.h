/* SPDX-License-Identifier: MIT
 *
 * harness - what the tests share: programs, files, the origin, results.
 *
 * Runs in: the test process, which Criterion starts once per test.  Called by
 * tests; nothing of it is linked into poolmap.  It starts separate programs
 * only, never a fork that goes on in the test's own code: Criterion keeps a
 * live nanomsg socket in this process.  There is no sleep in it; what has to
 * be waited for is waited for with poll() and a deadline.
 *
 * When the plumbing fails the test ends there, with a message.  When the test
 * process ends, children that still run are killed, also by a crash or a
 * timeout, and temporary directories are removed; after a crash or a timeout
 * directories named poolmap-test-* are left in $TMPDIR.
 *
 *   harness.c          memory, paths, files
 *   harness_child.c    programs: start, talk, wait
 *   harness_wire.c     a raw HTTP client on a socket
 *   harness_origin.c   the origin
 *   harness_results.c  results files
 *   harness_procs.c    what /proc says about other processes
 */
#ifndef TESTS_SUPPORT_HARNESS_H
#define TESTS_SUPPORT_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#define HARNESS_DEADLINE_MS 60000u /* of everything that does not say its own */

/* End the test as failed, with this message. */
_Noreturn void harness_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Called by harness_fail() with the message; NULL, the default: Criterion's
 * failure.  For the tests of the harness itself; it must not return. */
extern void (*harness_on_failure)(const char *message);

/* Milliseconds left until `deadline` of clock_now_ms(), as poll() wants them. */
int ms_until(uint64_t deadline);

/* How often to ask about what nothing announces. */
#define HARNESS_ASK_MS 5

/* ------------------------------------------------------------------ memory */

/* Growing bytes, always followed by a NUL that `len` does not count. */
struct bytes {
	char *data;
	size_t len, cap;
};
void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_fini(struct bytes *b);

/* Hand malloc'd text over to the harness, which frees it at the end of the
 * test process.  Strings that the harness returns as const are kept so. */
const char *keep(char *text);
const char *keep_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ------------------------------------------------------------ paths, files */

/* Path of a built program of the flavour of this test: program("poolmap"),
 * program("tests/support/origin").  Taken from where this test's executable
 * lies, build/FLAVOUR/tests/KIND/NAME, unless POOLMAP_BUILD_DIR is set. */
const char *program(const char *name);

/* A fresh directory poolmap-test-XXXXXX in $TMPDIR or /tmp; removed with what
 * is in it when the test process ends. */
const char *temp_dir(void);

/* A file of that name, with those bytes, in a fresh temporary directory. */
const char *temp_file(const char *name, const void *bytes, size_t len);

/* The whole file, followed by a NUL; free() it.  `len` may be NULL. */
char *read_file(const char *path, size_t *len);

/* ---------------------------------------------------------------- children */

/* A program started by the test.  Its environment is that of the test without
 * BXFI_MAP and POOLMAP_*, with LC_ALL=C and what child_env() said; signals are
 * at their defaults.  An exit status is its exit code, or 128 + signal. */
struct child {
	pid_t pid;
	int pidfd;           /* -1: the kernel, or valgrind, has none */
	int in;              /* writes to its standard input; -1: closed */
	int fds[3];          /* [1] and [2] read its output and errors; -1: closed */
	struct bytes got[3]; /* [1] and [2]: all that it has written so far */
	size_t lines_at[3];  /* how far child_read_line() has come */
	bool exited;
	int status;
	uint64_t starved_us; /* in all its life, see process_starved_us() */
};

enum child_flags {
	CHILD_NO_STDIN = 1,  /* standard input is /dev/null */
	CHILD_NEW_GROUP = 2, /* leads a process group: kill(-pid, ...) reaches it all */
};

/* Set a variable for children started from now on; NULL: take it away. */
void child_env(const char *name, const char *value);

/* argv ends with NULL; argv[0] is looked up in PATH when it has no slash. */
void child_start(struct child *c, const char *const argv[], unsigned flags);

/* Write to its standard input, and collect what it says meanwhile.  False when
 * the child has closed its end.  Fails the test at HARNESS_DEADLINE_MS. */
bool child_write(struct child *c, const void *bytes, size_t len);

/* Close our end of its standard input (0), output (1) or errors (2). */
void child_close(struct child *c, int fd);

/* Its next line on fd 1 or 2, without the LF; NULL when there is no further
 * one.  Fails the test at the deadline. */
const char *child_read_line(struct child *c, int fd, unsigned deadline_ms);

/* Wait until `needle` is in what it has written to fd 1 or 2.  Fails the test
 * when it ends before, or at HARNESS_DEADLINE_MS. */
void child_wait_output(struct child *c, int fd, const char *needle);

void child_signal(const struct child *c, int signal);

/* Wait for its end, collecting its output; returns the status.  Does not close
 * its standard input.  At the deadline it is killed and the test fails. */
int child_wait(struct child *c, unsigned deadline_ms);

/* Kill it if it still runs, and free everything. */
void child_fini(struct child *c);

struct run_result {
	int status;
	char *out; /* followed by a NUL, as is err */
	size_t out_len;
	char *err;
	size_t err_len;
};

/* Run a program to its end, at most HARNESS_DEADLINE_MS.  Arguments end with
 * NULL.  `input` NULL: standard input is /dev/null. */
void run_command(struct run_result *result, const char *input, const char *argv0, ...)
	__attribute__((sentinel));
void run_argv(struct run_result *result, const void *input, size_t input_len,
	const char *const argv[]);
void run_result_fini(struct run_result *result);

/* -------------------------------------------------------------------- talk */

/* A connection to 127.0.0.1 over which a test says exactly what it wants. */
struct talk {
	int fd;
	struct bytes in; /* all that has arrived */
	size_t at;       /* what of it talk_reply() has taken */
	bool fin, reset; /* how the peer has ended it */
};

/* One HTTP response. */
struct reply {
	int status;
	struct bytes head, body; /* body: decoded, when it was chunked */
	bool complete;           /* all that was announced has arrived */
};

void talk_open(struct talk *w, unsigned port);
void talk_send(struct talk *w, const void *bytes, size_t len);
void talk_puts(struct talk *w, const char *text);

/* Wait for more bytes; false when the peer has ended the connection. */
bool talk_more(struct talk *w);

/* Read one response.  False when the connection ended before its head was
 * complete.  `head_only`: it answers a HEAD. */
bool talk_reply(struct talk *w, struct reply *reply, bool head_only);
void reply_fini(struct reply *reply);
void talk_close(struct talk *w);

/* ------------------------------------------------------------------ origin */

struct origin;

struct origin *origin_start(void);

/* On so many addresses more, 127.1.0.1 and those after it: those that names of dns.h
 * have that are "h0.", "h1." and so on. */
struct origin *origin_start_wide(unsigned addresses);

/* The same with TLS ports beside the plain one, see tests/README.md. */
struct origin *origin_start_tls(void);

/* "https://127.0.0.1:PORT" of that port, and the path behind it; a file that the
 * origin has made for its clients, "ca.pem". */
const char *origin_tls_url(const struct origin *o, const char *name, const char *path);
const char *origin_tls_file(const struct origin *o, const char *name);

void origin_stop(struct origin *o);
unsigned origin_port(const struct origin *o);

/* "http://127.0.0.1:PORT" and the path behind it. */
const char *origin_url(const struct origin *o, const char *path_fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Body of a plain GET, which must be answered with 200; free() it. */
char *origin_get(const struct origin *o, const char *path);

/* What /counts says now: the object, or one of its numbers ("requests").  The
 * caller owns the object. */
json_t *origin_counts(const struct origin *o);
json_int_t origin_count(const struct origin *o, const char *key);

/* ----------------------------------------------------------------- results */

/* The results in a text, as an array.  Fails the test, with the line's number,
 * on a line that is not a JSON object with an "index", on a repeated key, and
 * on a last line without LF.  `ct` may be NULL.  The caller owns the array. */
json_t *results_load(const char *text, size_t len, size_t *ct);

/* Fail the test unless the indexes are 0 ... expected_ct - 1: in this order; or
 * in any order, each once. */
void results_check_ordered(const json_t *results, size_t expected_ct);
void results_check_complete(const json_t *results, size_t expected_ct);

/* --------------------------------------------------------------- processes */

/* A pidfd; or -1 where there is none, or when the process is gone (ESRCH). */
int pidfd_of(pid_t pid);

/* True when the process has ended by the deadline.  One that nobody has waited
 * for yet has ended, too. */
bool wait_until_gone(pid_t pid, unsigned deadline_ms);

/* Living children of a process; those whose command line contains `needle`,
 * but this process.  At most `max` are stored; returns how many there are. */
/* How long its main thread has waited for a CPU while it had something to do, if the
 * kernel counts that; a process that has ended can be asked until it is reaped. */
uint64_t process_starved_us(pid_t pid);

size_t process_children(pid_t pid, pid_t out[], size_t max);
size_t pids_of_program(const char *needle, pid_t out[], size_t max);

/* Ask again every few milliseconds until the predicate holds: true, or until
 * the deadline: false.  For conditions that nothing announces. */
bool wait_for(bool (*predicate)(void *ctx), void *ctx, unsigned deadline_ms);

#endif
