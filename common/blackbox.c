/* SPDX-License-Identifier: MIT
 *
 * blackbox - a few words of shared memory between the master and one worker; see
 * blackbox.h.
 */
#include "common/blackbox.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

static size_t size_with(size_t init_len)
{
	return sizeof(struct blackbox) + init_len + 1;
}

static struct blackbox *map(int fd, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* cppcheck-suppress memleak ; the caller has it */
	return at == MAP_FAILED ? NULL : at;
}

int blackbox_new(
	struct blackbox **blackbox, int *fd, const void *init_arg, size_t init_len)
{
	size_t size = size_with(init_len);
	int memory = memfd_create("poolmap-blackbox", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, (off_t)size) < 0) {
		int err = error_note_errno(PM_ESYSTEM, "cannot make shared memory");
		if (memory >= 0) {
			close(memory);
		}
		return err;
	}
	struct blackbox *b = map(memory, size);
	if (!b) {
		int err = error_note_errno(PM_ENOMEM, "cannot map shared memory");
		close(memory);
		return err;
	}
	b->init_len = init_len;
	if (init_len) {
		memcpy(b->init_arg, init_arg, init_len);
	}
	*blackbox = b;
	*fd = memory;
	return 0;
}

struct blackbox *blackbox_attach(int fd)
{
	struct stat st;
	struct blackbox *b = fstat(fd, &st) == 0 ? map(fd, (size_t)st.st_size) : NULL;
	close(fd);
	return b;
}

bool blackbox_begin(struct blackbox *b, uint32_t epoch, uint64_t before)
{
	uint64_t old = atomic_load_explicit(&b->turnstile, memory_order_relaxed);
	uint64_t new = (uint64_t)epoch << 32 | (uint32_t)(before + 1);
	do {
		if (old >> 32 != epoch) {
			return false;
		}
	} while (!atomic_compare_exchange_weak(&b->turnstile, &old, new));
	atomic_store_explicit(&b->begun, before + 1, memory_order_relaxed);
	return true;
}

uint32_t blackbox_epoch(const struct blackbox *b)
{
	return (uint32_t)(atomic_load(&b->turnstile) >> 32);
}

uint64_t blackbox_recall(struct blackbox *b, uint64_t sent)
{
	uint64_t old = atomic_load(&b->turnstile);
	while (!atomic_compare_exchange_weak(
		&b->turnstile, &old, old + ((uint64_t)1 << 32))) {
	}
	return sent - (uint32_t)((uint32_t)sent - (uint32_t)old);
}

void blackbox_free(struct blackbox *blackbox)
{
	if (blackbox) {
		munmap(blackbox, size_with(blackbox->init_len));
	}
}
