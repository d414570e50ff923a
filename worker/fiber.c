/* SPDX-License-Identifier: MIT
 *
 * fiber - small stacks with guard pages, and the switch between them; see
 * fiber.h.
 *
 * The switch saves what the calling convention says a callee keeps, and the
 * stack pointer: some 20 instructions.  ucontext would do, too, but its
 * swapcontext() makes a system call each time for a signal mask that nobody
 * here changes.  It stays as the way on other machines than x86-64 and arm64.
 *
 * Sanitizers and valgrind follow stacks; they are told of each one and of each switch.
 */
#include "worker/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(from, to) 0u
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/* -DFIBER_UCONTEXT builds the portable way on any machine, to test it. */
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(FIBER_UCONTEXT)
#define FIBER_UCONTEXT
#endif
#if defined(FIBER_UCONTEXT)
#include <ucontext.h>
#endif

/* More than a page, so that a large frame does not step over it. */
enum { GUARD_BYTES = 64 * 1024 };

struct context {
#if defined(FIBER_UCONTEXT)
	ucontext_t uc;
#else
	void *sp; /* the rest is saved on the stack */
#endif
};

struct fiber {
	struct context own, loop;
	char *map; /* guard page first, then the stack */
	size_t map_bytes;
	size_t guard_bytes;
	fiber_entry_fn *entry;
	void *ctx;
	unsigned valgrind_id;
#if defined(__SANITIZE_ADDRESS__)
	void *own_fake, *loop_fake;
	const void *loop_bottom;
	size_t loop_bytes;
#endif
#if defined(__SANITIZE_THREAD__)
	void *own_tsan, *loop_tsan;
#endif
};

/* --------------------------------------------------------------- switching */

#if defined(FIBER_UCONTEXT)
/* no assembly */
#elif defined(__x86_64__)
/* void fiber_switch(void **save_sp, void *load_sp): System V AMD64 keeps rbx,
 * rbp, r12 to r15, and the control words of SSE and x87. */
__asm__(".text\n"
	".type fiber_switch,@function\n"
	"fiber_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	subq $8, %rsp\n"
	"	stmxcsr (%rsp)\n"
	"	fnstcw 4(%rsp)\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	ldmxcsr (%rsp)\n"
	"	fldcw 4(%rsp)\n"
	"	addq $8, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size fiber_switch,.-fiber_switch\n");
enum { SAVED_WORDS = 7 };
#elif defined(__aarch64__)
/* AAPCS64 keeps x19 to x30 and d8 to d15. */
__asm__(".text\n"
	".type fiber_switch,%function\n"
	"fiber_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size fiber_switch,.-fiber_switch\n");
#endif

/* NULL: the loop is running, on the stack of the process.  One worker is one thread,
 * so one variable will do. */
static struct fiber *running;

/* A fresh stack has no argument registers. */
static void first_entry(void)
{
	struct fiber *f = running;
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(NULL, &f->loop_bottom, &f->loop_bytes);
#endif
	f->entry(f->ctx);
	abort(); /* the entry must never return */
}

#if defined(FIBER_UCONTEXT)
static void prepare(struct fiber *f)
{
	getcontext(&f->own.uc);
	f->own.uc.uc_stack.ss_sp = f->map + f->guard_bytes;
	f->own.uc.uc_stack.ss_size = f->map_bytes - f->guard_bytes;
	f->own.uc.uc_link = NULL;
	makecontext(&f->own.uc, first_entry, 0);
}

static void swap(struct context *save, struct context *load)
{
	swapcontext(&save->uc, &load->uc);
}
#else
extern void fiber_switch(void **save_sp, void *load_sp);

static void prepare(struct fiber *f)
{
	uintptr_t *top = (uintptr_t *)(void *)(f->map + f->map_bytes);
#if defined(__x86_64__)
	*--top = 0; /* so that the entry finds the stack aligned as after a call */
	*--top = (uintptr_t)first_entry;
	top -= SAVED_WORDS;
	for (int i = 0; i < SAVED_WORDS; i++) {
		top[i] = 0;
	}
	top[0] = 0x037full << 32 |
		 0x1f80u; /* x87 and SSE control, as at program start */
#else
	top -= 20;
	for (int i = 0; i < 20; i++) {
		top[i] = 0;
	}
	top[11] = (uintptr_t)first_entry; /* x30, the return address */
#endif
	f->own.sp = top;
}

static void swap(struct context *save, struct context *load)
{
	fiber_switch(&save->sp, load->sp);
}
#endif

void fiber_enter(struct fiber *f)
{
	running = f;
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(
		&f->loop_fake, f->map + f->guard_bytes, f->map_bytes - f->guard_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
	f->loop_tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->own_tsan, 0);
#endif
	swap(&f->loop, &f->own);
	running = NULL;
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(f->loop_fake, NULL, NULL);
#endif
}

void fiber_leave(struct fiber *f)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(&f->own_fake, f->loop_bottom, f->loop_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
	__tsan_switch_to_fiber(f->loop_tsan, 0);
#endif
	swap(&f->own, &f->loop);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(f->own_fake, &f->loop_bottom, &f->loop_bytes);
#endif
}

/* ------------------------------------------------------------------ stacks */

struct fiber *fiber_new(size_t stack_bytes, fiber_entry_fn *entry, void *ctx)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fiber *f = stack_bytes < SIZE_MAX / 2 ? calloc(1, sizeof *f) : NULL;
	if (!f) {
		return NULL;
	}
	stack_bytes = stack_bytes < page ? page : stack_bytes;
	f->guard_bytes = (GUARD_BYTES + page - 1) / page * page;
	f->map_bytes = (stack_bytes + page - 1) / page * page + f->guard_bytes;
	f->map = mmap(NULL, f->map_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (f->map == MAP_FAILED || mprotect(f->map, f->guard_bytes, PROT_NONE) < 0) {
		if (f->map != MAP_FAILED) {
			munmap(f->map, f->map_bytes);
		}
		free(f);
		return NULL;
	}
	f->entry = entry;
	f->ctx = ctx;
	f->valgrind_id =
		VALGRIND_STACK_REGISTER(f->map + f->guard_bytes, f->map + f->map_bytes);
#if defined(__SANITIZE_THREAD__)
	f->own_tsan = __tsan_create_fiber(0);
#endif
	prepare(f);
	return f;
}

void fiber_free(struct fiber *f)
{
	if (!f) {
		return;
	}
	VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#if defined(__SANITIZE_THREAD__)
	__tsan_destroy_fiber(f->own_tsan);
#endif
	munmap(f->map, f->map_bytes);
	free(f);
}

int fiber_guards(const struct fiber *f, const void *address)
{
	const char *at = address;
	return at >= f->map && at < f->map + f->guard_bytes;
}

int fiber_overflowed(const void *address)
{
	return running && fiber_guards(running, address);
}
