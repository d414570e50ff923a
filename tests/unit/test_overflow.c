/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/overflow.  Each runs in a forked child, which dies by its
 * signal and leaves its mark in shared memory.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/blackbox.h"
#include "worker/fiber.h"
#include "worker/overflow.h"

/* There the sanitizer has the signals. */
#if defined(__SANITIZE_ADDRESS__)
enum { WATCHED = 0 };
#else
enum { WATCHED = 1 };
#endif

static struct blackbox *box;

static void open_box(void)
{
	int fd;
	cr_assert_eq(blackbox_new(&box, &fd, NULL, 0), 0);
	close(fd);
}

static void close_box(void)
{
	blackbox_free(box);
}

TestSuite(overflow, .init = open_box, .fini = close_box);

static void prepare(void)
{
	struct rlimit none = {0};
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	overflow_watch(box);
}

/* The signal that ends a child that runs this; 0: none did. */
static int signal_of(void (*body)(void *unused))
{
	int status = 0;
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		prepare();
		body(NULL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static unsigned noted(void)
{
	return atomic_load(&box->overflow);
}

static void in_a_fiber(fiber_entry_fn *entry)
{
	struct fiber *f = fiber_new(64 * 1024, entry, NULL);
	if (f) {
		fiber_enter(f);
	}
}

#pragma GCC diagnostic push
#if __GNUC__ >= 12
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#endif
static int recur(volatile int depth)
{
	volatile char frame[200];
	frame[0] = (char)depth;
	return recur(depth + 1) + frame[0];
}
#pragma GCC diagnostic pop

static void recur_for_ever(void *unused)
{
	(void)unused;
	_exit(recur(0));
}

static void overflow_a_fiber(void *unused)
{
	(void)unused;
	in_a_fiber(recur_for_ever);
}

Test(overflow, is_noted, .timeout = 60)
{
	cr_assert_eq(signal_of(overflow_a_fiber), SIGSEGV);
	cr_assert_eq(noted(), WATCHED);
}

static void write_nowhere(void *unused)
{
	volatile uintptr_t nowhere = 8; /* the compiler knows better */
	(void)unused;
	*(volatile char *)nowhere = 1;
}

static void write_nowhere_in_a_fiber(void *unused)
{
	(void)unused;
	in_a_fiber(write_nowhere);
}

Test(overflow, is_no_other_fault, .timeout = 60)
{
	cr_assert_eq(signal_of(write_nowhere_in_a_fiber), SIGSEGV);
	cr_assert_eq(signal_of(write_nowhere), SIGSEGV, "with no fiber");
	cr_assert_eq(noted(), 0);
}

static void read_past_a_file(void *unused)
{
	int fd = memfd_create("test", 0);
	volatile char *at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	(void)unused;
	_exit(at == MAP_FAILED ? 2 : at[0]);
}

Test(overflow, is_no_bus_error, .timeout = 60)
{
	cr_assert_eq(signal_of(read_past_a_file), SIGBUS);
	cr_assert_eq(noted(), 0);
}

static void send_it(void *unused)
{
	(void)unused;
	kill(getpid(), SIGSEGV);
}

static void send_it_in_a_fiber(void *unused)
{
	(void)unused;
	in_a_fiber(send_it);
}

Test(overflow, is_no_signal_that_was_sent, .timeout = 60)
{
	cr_assert_eq(signal_of(send_it), SIGSEGV);
	cr_assert_eq(signal_of(send_it_in_a_fiber), SIGSEGV);
	cr_assert_eq(noted(), 0);
}
