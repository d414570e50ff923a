/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/fiber.  test_fiber_ucontext.c runs them once more for the
 * portable way of switching.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "worker/fiber.h"

enum { STACK_BYTES = 256 * 1024, GUARD_BYTES = 64 * 1024 };

/* A fiber and what it has done. */
struct runner {
	struct fiber *fiber;
	int id;
	int steps;
	char *stack_at; /* somewhere in its stack */
	double result;
};

static _Noreturn void rest(struct runner *r)
{
	for (;;) {
		fiber_leave(r->fiber);
	}
}

static void start(struct runner *r, size_t stack_bytes, fiber_entry_fn *entry)
{
	r->fiber = fiber_new(stack_bytes, entry, r);
	cr_assert_not_null(r->fiber);
}

/* ------------------------------------------------------------ switching */

static void note_stack(void *ctx)
{
	struct runner *r = ctx;
	char here = 0;
	r->stack_at = (char *)(uintptr_t)&here;
	r->steps++;
	rest(r);
}

Test(fiber, runs_its_entry_on_a_stack_of_its_own, .timeout = 10)
{
	struct runner r = {.id = 1};
	char here = 0;
	start(&r, STACK_BYTES, note_stack);
	cr_assert_eq(r.steps, 0, "not before it is entered");
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, 1);
	uintptr_t ours = (uintptr_t)&here, its = (uintptr_t)r.stack_at;
	uintptr_t apart = ours > its ? ours - its : its - ours;
	cr_assert_gt(apart, STACK_BYTES);
	fiber_free(r.fiber);
}

static void count(void *ctx)
{
	struct runner *r = ctx;
	for (;;) {
		r->steps++;
		fiber_leave(r->fiber);
	}
}

Test(fiber, goes_on_where_it_left, .timeout = 10)
{
	struct runner r = {.id = 1};
	start(&r, STACK_BYTES, count);
	for (int i = 1; i <= 10000; i++) {
		fiber_enter(r.fiber);
		cr_assert_eq(r.steps, i);
	}
	fiber_free(r.fiber);
}

static void keep_locals(void *ctx)
{
	struct runner *r = ctx;
	unsigned char locals[1000];
	memset(locals, r->id, sizeof locals);
	for (;;) {
		fiber_leave(r->fiber);
		for (size_t i = 0; i < sizeof locals; i++) {
			r->steps += locals[i] != (unsigned char)(r->id + r->steps);
		}
	}
}

Test(fiber, keeps_apart_the_locals_of_many, .timeout = 30)
{
	static struct runner many[200];
	for (int i = 0; i < 200; i++) {
		many[i].id = i;
		start(&many[i], STACK_BYTES, keep_locals);
	}
	for (int turn = 0; turn < 10; turn++) {
		for (int i = 0; i < 200; i++) {
			fiber_enter(many[(i * 7 + turn) % 200].fiber);
		}
	}
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(many[i].steps, 0, "fiber %d", i);
		fiber_free(many[i].fiber);
	}
}

static void recurse(struct runner *r, int depth)
{
	volatile int local = depth;
	if (depth > 0) {
		recurse(r, depth - 1);
	} else {
		fiber_leave(r->fiber);
	}
	r->steps += local == depth;
}

static void leave_from_deep_inside(void *ctx)
{
	struct runner *r = ctx;
	recurse(r, 100);
	rest(r);
}

Test(fiber, leaves_from_deep_inside_and_comes_back, .timeout = 10)
{
	struct runner r = {.id = 1};
	start(&r, STACK_BYTES, leave_from_deep_inside);
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, 0);
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, 101);
	fiber_free(r.fiber);
}

/* ------------------------------------------------------------ registers */

/* More values than there are registers that a callee keeps.  The empty assembly
 * keeps the compiler from knowing them: they must be somewhere meanwhile. */
#define HIDE(v) __asm__ volatile("" : "+r"(v))

static uint64_t keep_registers(uint64_t seed, void (*away)(void *), void *ctx)
{
	uint64_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, e = seed + 4,
		 f = seed + 5, g = seed + 6, h = seed + 7;
	for (int i = 0; i < 100; i++) {
		HIDE(a);
		HIDE(b);
		HIDE(c);
		HIDE(d);
		HIDE(e);
		HIDE(f);
		HIDE(g);
		HIDE(h);
		away(ctx);
	}
	bool kept = b == a + 1 && c == a + 2 && d == a + 3 && e == a + 4 &&
		    f == a + 5 && g == a + 6 && h == a + 7;
	return kept ? a : UINT64_MAX;
}

static void away_from_fiber(void *ctx)
{
	fiber_leave(ctx);
}

static void away_from_loop(void *ctx)
{
	fiber_enter(ctx);
}

static void fill_registers(void *ctx)
{
	struct runner *r = ctx;
	r->steps = keep_registers(7000, away_from_fiber, r->fiber) == 7000 ? 1 : -1;
	rest(r);
}

Test(fiber, keeps_the_registers_of_both_sides, .timeout = 10)
{
	struct runner r = {.id = 1};
	start(&r, STACK_BYTES, fill_registers);
	cr_assert_eq(keep_registers(9000, away_from_loop, r.fiber), 9000);
	cr_assert_eq(r.steps, 0);
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, 1);
	fiber_free(r.fiber);
}

/* The sum of 1/i, a part each time. */
static void sum_up(void *ctx)
{
	struct runner *r = ctx;
	double sum = 0;
	float product = 1;
	long double small = 0;
	for (int i = 1; i <= 1000; i++) {
		sum += 1.0 / (i + r->id);
		product = product * 1.001f;
		small += 1.0L / i;
		r->result = sum + (double)product + (double)small;
		fiber_leave(r->fiber);
	}
	r->steps = 1;
	rest(r);
}

static double sum_at_once(int id)
{
	double sum = 0, result = 0;
	float product = 1;
	long double small = 0;
	for (int i = 1; i <= 1000; i++) {
		sum += 1.0 / (i + id);
		product = product * 1.001f;
		small += 1.0L / i;
		result = sum + (double)product + (double)small;
	}
	return result;
}

Test(fiber, keeps_floating_point_numbers, .timeout = 10)
{
	struct runner many[8];
	double own = 0;
	for (int i = 0; i < 8; i++) {
		many[i] = (struct runner){.id = i};
		start(&many[i], STACK_BYTES, sum_up);
	}
	for (int turn = 0; turn <= 1000; turn++) {
		for (int i = 0; i < 8; i++) {
			own += 0.125;
			fiber_enter(many[i].fiber);
		}
	}
	cr_assert_eq(own, 1001.0);
	for (int i = 0; i < 8; i++) {
		cr_assert_eq(many[i].steps, 1);
		double off = many[i].result - sum_at_once(i);
		cr_assert(off < 1e-9 && off > -1e-9, "fiber %d: %g", i, off);
		fiber_free(many[i].fiber);
	}
}

#if defined(__x86_64__)
static void round_upwards(void *ctx)
{
	struct runner *r = ctx;
	_MM_SET_ROUNDING_MODE(_MM_ROUND_UP);
	fiber_leave(r->fiber);
	r->steps = (int)_MM_GET_ROUNDING_MODE();
	rest(r);
}

Test(fiber, keeps_the_rounding_of_each_side, .timeout = 10)
{
	struct runner r = {.id = 1};
	start(&r, STACK_BYTES, round_upwards);
	cr_assert_eq(_MM_GET_ROUNDING_MODE(), _MM_ROUND_NEAREST);
	fiber_enter(r.fiber);
	cr_assert_eq(
		_MM_GET_ROUNDING_MODE(), _MM_ROUND_NEAREST, "the loop's is its own");
	_MM_SET_ROUNDING_MODE(_MM_ROUND_DOWN);
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, _MM_ROUND_UP, "and so is the fiber's");
	cr_assert_eq(_MM_GET_ROUNDING_MODE(), _MM_ROUND_DOWN);
	_MM_SET_ROUNDING_MODE(_MM_ROUND_NEAREST);
	fiber_free(r.fiber);
}
#endif

__attribute__((noinline)) static uintptr_t frame_of_a_call(void)
{
	return (uintptr_t)__builtin_frame_address(0);
}

static void note_alignment(void *ctx)
{
	struct runner *r = ctx;
	uintptr_t own = (uintptr_t)__builtin_frame_address(0);
	r->steps = own % 16 == 0 && frame_of_a_call() % 16 == 0 ? 1 : -1;
	rest(r);
}

Test(fiber, begins_with_an_aligned_stack, .timeout = 10)
{
	struct runner r = {.id = 1};
	start(&r, STACK_BYTES, note_alignment);
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, 1);
	fiber_free(r.fiber);
}

/* ------------------------------------------------------------ stacks */

static void use_most(void *ctx)
{
	struct runner *r = ctx;
	volatile char most[STACK_BYTES - 8 * 1024];
	for (size_t i = 0; i < sizeof most; i += 512) {
		most[i] = (char)i;
	}
	r->steps = most[512] == 0 && most[0] == 0 ? 1 : -1;
	rest(r);
}

Test(fiber, has_the_stack_it_was_promised, .timeout = 10)
{
	struct runner r = {.id = 1};
	start(&r, STACK_BYTES, use_most);
	fiber_enter(r.fiber);
	cr_assert_eq(r.steps, 1);
	fiber_free(r.fiber);
}

Test(fiber, takes_sizes_that_are_no_pages, .timeout = 10)
{
	static const size_t sizes[] = {16 * 1024, 16 * 1024 + 1, 20000, 64 << 20};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct runner r = {.id = 1};
		start(&r, sizes[i], count);
		fiber_enter(r.fiber);
		fiber_enter(r.fiber);
		cr_assert_eq(r.steps, 2, "%zu", sizes[i]);
		fiber_free(r.fiber);
	}
}

/* Address space of this process, in pages. */
static long mapped_pages(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages;
}

Test(fiber, is_freed_before_it_has_run_and_in_the_middle, .timeout = 60)
{
	enum { CT = 1000, ONE_BYTES = 64 << 20 };
	long before = mapped_pages();
	fiber_free(NULL);
	for (int i = 0; i < CT; i++) {
		struct runner r = {.id = 1};
		start(&r, ONE_BYTES, count);
		if (i % 2) {
			fiber_enter(r.fiber);
		}
		fiber_free(r.fiber);
	}
	long more = mapped_pages() - before;
	cr_assert_lt(
		more, CT / 10 * (ONE_BYTES / sysconf(_SC_PAGESIZE)), "%ld pages", more);
}

Test(fiber, is_null_when_there_is_no_memory, .timeout = 10)
{
	cr_assert_null(fiber_new((size_t)1 << 50, count, NULL));
	cr_assert_null(fiber_new(SIZE_MAX / 2, count, NULL));
}

Test(fiber, is_null_for_a_size_that_overflows, .timeout = 10)
{
	cr_assert_null(fiber_new(SIZE_MAX, count, NULL));
	cr_assert_null(fiber_new(SIZE_MAX - 4096, count, NULL));
	cr_assert_null(fiber_new(SIZE_MAX - GUARD_BYTES, count, NULL));
}

Test(fiber, takes_a_stack_of_no_bytes, .timeout = 10)
{
	struct fiber *f = fiber_new(0, count, NULL); /* NULL is fine, too */
	fiber_free(f);
}

/* ------------------------------------------------------------ the guard */

Test(fiber, knows_its_guard, .timeout = 10)
{
	struct runner r = {.id = 1}, other = {.id = 2};
	start(&r, STACK_BYTES, note_stack);
	start(&other, STACK_BYTES, note_stack);
	fiber_enter(r.fiber);
	cr_assert_not(fiber_guards(r.fiber, r.stack_at));
	cr_assert(fiber_guards(r.fiber, r.stack_at - STACK_BYTES), "just below it");
	cr_assert_not(
		fiber_guards(r.fiber, r.stack_at - STACK_BYTES - 2 * GUARD_BYTES));
	cr_assert_not(fiber_guards(other.fiber, r.stack_at - STACK_BYTES));
	cr_assert_not(fiber_guards(r.fiber, NULL));
	cr_assert_not(fiber_guards(r.fiber, &r));
	fiber_free(r.fiber);
	fiber_free(other.fiber);
}

#pragma GCC diagnostic push
#if __GNUC__ >= 12
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#endif
static int overflow_by_small_frames(volatile int depth)
{
	volatile char frame[200];
	frame[0] = (char)depth;
	return overflow_by_small_frames(depth + 1) + frame[0];
}
#pragma GCC diagnostic pop

static void overflow_small(void *ctx)
{
	struct runner *r = ctx;
	r->steps = overflow_by_small_frames(0);
	rest(r);
}

/* A frame that is longer than what is left of the stack, but not longer than
 * the guard; its far end is touched first. */
static void overflow_large(void *ctx)
{
	struct runner *r = ctx;
	volatile char most[STACK_BYTES + GUARD_BYTES / 2];
	most[0] = 1;
	r->steps = most[0];
	rest(r);
}

/* How a child ends that runs this in a fiber: its signal, or -1. */
static int signal_of(fiber_entry_fn *entry)
{
	int status = 0;
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		struct rlimit none = {0};
		struct runner r = {.id = 1};
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		r.fiber = fiber_new(STACK_BYTES, entry, &r);
		if (r.fiber) {
			fiber_enter(r.fiber);
		}
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

Test(fiber, dies_by_a_signal_when_its_stack_overflows, .timeout = 60)
{
	cr_assert_eq(signal_of(overflow_small), SIGSEGV);
}

Test(fiber, does_not_step_over_its_guard, .timeout = 60)
{
	cr_assert_eq(signal_of(overflow_large), SIGSEGV);
}

static void return_from_entry(void *ctx)
{
	(void)ctx;
}

Test(fiber, aborts_when_its_entry_returns, .timeout = 60)
{
	cr_assert_eq(signal_of(return_from_entry), SIGABRT);
}
