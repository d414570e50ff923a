/* SPDX-License-Identifier: MIT
 *
 * overflow - the signal handler for stacks that are too small; see overflow.h.
 *
 * It runs on a stack of its own, as the one that overflowed has no room.  It may do
 * nothing but look at the address and set a flag: then the fault happens again, and
 * the process dies by it, at the place where it went wrong, core and all.
 */
#include "worker/overflow.h"

#include <signal.h>
#include <stddef.h>

#include "common/blackbox.h"
#include "worker/fiber.h"

/* A sanitizer has handlers of its own, which report more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

void overflow_watch(struct blackbox *blackbox)
{
	(void)blackbox;
}

#else

static struct blackbox *the_blackbox;

/* SIGSTKSZ is too small for what some CPUs save in a signal's frame. */
static _Alignas(64) char stack[64 * 1024];

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code > 0 && fiber_overflowed(info->si_addr)) {
		atomic_store(&the_blackbox->overflow, 1);
	}
	signal(sig, SIG_DFL);
	if (info->si_code <= 0) {
		raise(sig); /* it was sent: returning would end it here */
	}
}

void overflow_watch(struct blackbox *blackbox)
{
	stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction act = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigemptyset(&act.sa_mask);
	the_blackbox = blackbox;
	if (sigaltstack(&own, NULL) == 0) {
		sigaction(SIGSEGV, &act, NULL);
		sigaction(SIGBUS, &act, NULL);
	}
}

#endif
