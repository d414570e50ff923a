/* SPDX-License-Identifier: MIT
 *
 * blackbox - a few words of shared memory between the master and one worker; see
 * blackbox.h.
 */
#include "common/blackbox.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"

static struct blackbox *map(int fd)
{
	void *at = mmap(NULL, sizeof(struct blackbox), PROT_READ | PROT_WRITE,
		MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

int blackbox_new(struct blackbox **blackbox, int *fd)
{
	int memory = memfd_create("poolmap-blackbox", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, sizeof(struct blackbox)) < 0) {
		int err = error_note_errno(PM_ESYSTEM, "cannot make shared memory");
		if (memory >= 0) {
			close(memory);
		}
		return err;
	}
	struct blackbox *b = map(memory);
	if (!b) {
		int err = error_note_errno(PM_ENOMEM, "cannot map shared memory");
		close(memory);
		return err;
	}
	*blackbox = b;
	*fd = memory;
	return 0;
}

struct blackbox *blackbox_attach(int fd)
{
	struct blackbox *b = map(fd);
	close(fd);
	return b;
}

void blackbox_free(struct blackbox *blackbox)
{
	if (blackbox) {
		munmap(blackbox, sizeof *blackbox);
	}
}
