/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/blackbox: what a process wrote is there after its death, and
 * the argument of the host's initializer gets to the worker.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/blackbox.h"
#include "common/poolmap.h"

static struct blackbox *box;
static int fd = -1;

static void open_box(void)
{
	cr_assert_eq(blackbox_new(&box, &fd, NULL, 0), 0, "%s", pm_last_error());
}

Test(blackbox, is_empty_at_first, .timeout = 10)
{
	open_box();
	cr_assert_eq(atomic_load(&box->begun), 0);
	cr_assert_eq(atomic_load(&box->current), 0);
	cr_assert_eq(atomic_load(&box->overflow), 0);
	cr_assert_str_empty(box->words);
	cr_assert_eq(box->init_len, 0);
	close(fd);
	blackbox_free(box);
}

Test(blackbox, tells_what_a_killed_process_was_doing, .timeout = 10)
{
	int status;
	open_box();
	pid_t pid = fork();
	if (pid == 0) {
		struct blackbox *own = blackbox_attach(fd);
		atomic_store(&own->begun, 42);
		atomic_store(&own->current, UINT64_MAX);
		raise(SIGKILL);
	}
	close(fd);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_assert_eq(atomic_load(&box->begun), 42);
	cr_assert_eq(atomic_load(&box->current), UINT64_MAX);
	blackbox_free(box);
}

Test(blackbox, keeps_the_last_words_of_a_worker, .timeout = 10)
{
	int status;
	open_box();
	pid_t pid = fork();
	if (pid == 0) {
		struct blackbox *own = blackbox_attach(fd);
		memset(own->words, 'w', sizeof own->words - 1);
		_exit(0);
	}
	close(fd);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(strlen(box->words), BLACKBOX_WORDS_BYTES - 1);
	cr_assert_eq(box->init_len, 0, "the words are longer than their place");
	blackbox_free(box);
}

/* ------------------------------------------- the argument of the initializer */

/* As a worker finds it: with a NUL behind it, and aligned for any type. */
static void expect_init_arg(const unsigned char *want, size_t len)
{
	struct blackbox *own;
	cr_assert_eq(blackbox_new(&box, &fd, want, len), 0, "%s", pm_last_error());
	own = blackbox_attach(fd);
	cr_assert_not_null(own);
	cr_assert_neq((void *)own, (void *)box, "the worker has a view of its own");
	cr_assert_eq(own->init_len, len);
	cr_assert(memcmp(own->init_arg, want, len) == 0, "%zu bytes", len);
	cr_assert_eq(own->init_arg[len], 0, "%zu bytes", len);
	cr_assert_eq((uintptr_t)own->init_arg % _Alignof(max_align_t), 0);
	blackbox_free(own);
	blackbox_free(box);
}

Test(blackbox, brings_the_argument_of_the_initializer, .timeout = 10)
{
	/* around a page, the box included, and more than any packet holds */
	static const size_t lens[] = {0, 1, 3, 4096 - sizeof(struct blackbox) - 1,
		4096 - sizeof(struct blackbox), 4096, 4097, 1000003};
	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		unsigned char *arg = malloc(lens[i] + 1);
		cr_assert_not_null(arg);
		for (size_t b = 0; b < lens[i]; b++) {
			arg[b] = (unsigned char)(b * 7 + 1);
		}
		expect_init_arg(arg, lens[i]);
		free(arg);
	}
}

Test(blackbox, copies_the_argument_of_the_initializer, .timeout = 10)
{
	char arg[] = "as it was";
	cr_assert_eq(
		blackbox_new(&box, &fd, arg, sizeof arg), 0, "%s", pm_last_error());
	memset(arg, 'x', sizeof arg);
	struct blackbox *own = blackbox_attach(fd);
	cr_assert_str_eq((const char *)own->init_arg, "as it was");
	blackbox_free(own);
	blackbox_free(box);
}

Test(blackbox, says_that_there_is_no_room, .timeout = 10)
{
	struct blackbox *before = box;
	/* a file cannot be this long, so that nothing is copied */
	cr_assert_eq(blackbox_new(&box, &fd, "", SIZE_MAX / 2), PM_ESYSTEM);
	cr_assert_eq(box, before);
	cr_assert_eq(fd, -1);
	cr_assert(strlen(pm_last_error()) > 0);
}

Test(blackbox, cannot_be_attached_to_what_is_no_memory, .timeout = 10)
{
	cr_assert_null(blackbox_attach(-1));
	blackbox_free(NULL);
}
