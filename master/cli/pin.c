/* SPDX-License-Identifier: MIT
 *
 * pin - see pin.h.
 */
#include "master/cli/pin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/poolmap.h"

enum { BLOCK = 256 * 1024 };

/* Files of /proc and the like say that they are empty, and are not. */
void pin_init(struct pin *p, const struct stat *st, off_t start)
{
	*p = (struct pin){.start = start};
	p->sized = S_ISREG(st->st_mode) && st->st_size > 0;
	p->bytes =
		p->sized && st->st_size > start ? (uint64_t)(st->st_size - start) : 0;
}

void pin_fini(struct pin *p)
{
	digest_fini(&p->seen);
}

static int add_all(
	struct digest *d, int fd, off_t at, uint64_t most, char *block, uint64_t *bytes)
{
	uint64_t done = 0;
	while (done < most) {
		size_t want = most - done < BLOCK ? (size_t)(most - done) : BLOCK;
		ssize_t n = pread(fd, block, want, at + (off_t)done);
		if (n < 0 && errno != EINTR) {
			return PM_ESYSTEM;
		}
		if (n == 0) {
			break;
		}
		if (n > 0) {
			digest_add(d, block, (size_t)n);
			done += (uint64_t)n;
		}
	}
	*bytes = done;
	return 0;
}

int pin_digest(const struct pin *p, int fd, uint64_t most, uint64_t *bytes,
	char sha256[DIGEST_HEX_LEN + 1])
{
	struct digest d = {0};
	char *block = malloc(BLOCK);
	int err = block ? digest_start(&d) : PM_ENOMEM;
	err = err ? err : add_all(&d, fd, p->start, most, block, bytes);
	if (!err) {
		digest_end(&d, sha256);
	}
	int error = errno;
	digest_fini(&d);
	free(block);
	errno = error;
	return err;
}

int pin_take(struct pin *p, int fd, uint64_t most)
{
	uint64_t want = p->sized && p->bytes < most ? p->bytes : most;
	int err = pin_digest(p, fd, want, &p->hashed, p->sha256);
	if (!err && p->hashed < want) { /* that is its end */
		p->sized = true;
		p->bytes = p->hashed;
	}
	return err;
}

/* ----------------------------------------------------------------- reading */

int pin_begin(struct pin *p)
{
	p->seen_bytes = 0;
	return p->sha256[0] ? digest_start(&p->seen) : 0;
}

size_t pin_room(const struct pin *p, uint64_t offset, size_t want)
{
	uint64_t left = p->bytes > offset ? p->bytes - offset : 0;
	return p->sized && left < want ? (size_t)left : want;
}

void pin_add(struct pin *p, const void *bytes, size_t len)
{
	uint64_t left = p->hashed - p->seen_bytes;
	size_t part = left < len ? (size_t)left : len;
	if (p->sha256[0] && part) {
		digest_add(&p->seen, bytes, part);
		p->seen_bytes += part;
	}
}

bool pin_holds(struct pin *p)
{
	char sha256[DIGEST_HEX_LEN + 1];
	if (!p->sha256[0]) {
		return true;
	}
	digest_end(&p->seen, sha256);
	return strcmp(sha256, p->sha256) == 0;
}

/* Does the last line end where the file did, with or without its line end? */
static bool line_is_whole(const struct pin *p, int fd)
{
	char around[2];
	off_t end = p->start + (off_t)p->bytes;
	return p->bytes == 0 || pread(fd, around, 2, end - 1) != 2 ||
	       around[0] == '\n' || around[1] == '\n' || around[1] == '\r';
}

enum pin_growth pin_growth(const struct pin *p, int fd, uint64_t *bytes)
{
	struct stat st;
	if (!p->sized || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
		st.st_size - p->start <= (off_t)p->bytes) {
		return PIN_SAME;
	}
	*bytes = (uint64_t)(st.st_size - p->start);
	return line_is_whole(p, fd) ? PIN_GROWN : PIN_IN_LINE;
}
