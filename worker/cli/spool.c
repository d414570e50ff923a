/* SPDX-License-Identifier: MIT
 *
 * spool - see spool.h.
 */
#include "worker/cli/spool.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/poolmap.h"

void spool_init(struct spool *s, int dir)
{
	*s = (struct spool){.file = TEMP_FILE_NONE, .dir = dir};
}

static int disk_failed(struct spool *s)
{
	s->disk_error = errno ? errno : EIO;
	return PM_ESYSTEM;
}

static int write_all(struct spool *s, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(s->file.fd, bytes, len);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return disk_failed(s);
		}
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

int spool_to_file(struct spool *s)
{
	if (s->file.fd >= 0) {
		return 0;
	}
	if (temp_file_open(&s->file, s->dir)) {
		return disk_failed(s);
	}
	int err = write_all(s, s->memory.data, s->memory.len);
	buf_fini(&s->memory);
	return err;
}

int spool_add(struct spool *s, const void *bytes, size_t len)
{
	int err = 0;
	if (s->file.fd < 0 && s->memory.len + len > SPOOL_MEMORY_MAX) {
		err = spool_to_file(s);
	}
	if (!err) {
		err = s->file.fd < 0 ? buf_put(&s->memory, bytes, len)
				     : write_all(s, bytes, len);
	}
	if (!err) {
		s->len += len;
	}
	return err;
}

static long read_memory(
	const struct spool *s, uint64_t offset, void *bytes, size_t size)
{
	if (offset >= s->memory.len) {
		return 0;
	}
	size_t rest = s->memory.len - (size_t)offset;
	size_t n = rest < size ? rest : size;
	memcpy(bytes, s->memory.data + offset, n);
	return (long)n;
}

long spool_read(const struct spool *s, uint64_t offset, void *bytes, size_t size)
{
	if (s->file.fd < 0) {
		return read_memory(s, offset, bytes, size);
	}
	ssize_t n;
	do {
		n = pread(s->file.fd, bytes, size, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? PM_ESYSTEM : (long)n;
}

void spool_fini(struct spool *s)
{
	temp_file_drop(&s->file, s->dir);
	buf_fini(&s->memory);
}
