/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/blackbox: what a process wrote is there after its death.
 */
#include <criterion/criterion.h>
#include <signal.h>
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

Test(blackbox, cannot_be_attached_to_what_is_no_memory, .timeout = 10)
{
	cr_assert_null(blackbox_attach(-1));
	blackbox_free(NULL);
}
