/* SPDX-License-Identifier: MIT
 *
 * warc_file - see warc_file.h.
 *
 * A record goes through one deflate stream, which is kept, and one output buffer.
 * The offset is counted here and not asked of the kernel.
 */
#include "worker/cli/warc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "common/poolmap.h"

enum {
	GZIP_WINDOW = 15 + 16, /* zlib: 32 KiB, and a gzip header */
	MEM_LEVEL = 8,
	CHUNK = 32 * 1024,
	SERIALS_MAX = 100000, /* names tried; far more than one second can take */
};
#define ROTATE_BYTES (UINT64_C(1) << 30)

/* The series of this process. */
static struct {
	int fd;          /* -1: no file is open */
	struct buf path; /* of it */
	uint64_t offset;
	unsigned serial; /* of the next file */
	char info_id[WARC_ID_ROOM];
	int dir; /* of the prefix; -1 */
	z_stream z;
	bool z_ready;
	unsigned char in[CHUNK], out[CHUNK];
} series = {.fd = -1, .dir = -1};

static uint64_t now_unix_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------------- member */

static int write_out(const unsigned char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(series.fd, bytes, len);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return PM_ESYSTEM;
		}
		series.offset += (uint64_t)n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int begin_member(void)
{
	int z = series.z_ready
			? deflateReset(&series.z)
			: deflateInit2(&series.z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
				  GZIP_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY);
	series.z_ready = series.z_ready || z == Z_OK;
	return z == Z_OK ? 0 : PM_ENOMEM;
}

/* Compress and write; with Z_FINISH the member ends. */
static int deflate_bytes(const void *bytes, size_t len, int flush)
{
	z_stream *z = &series.z;
	const unsigned char *at = bytes;
	do {
		size_t n = len < CHUNK ? len : CHUNK;
		/* cppcheck-suppress knownConditionTrueFalse ; not for the end only */
		if (n > 0) {
			memcpy(series.in, at, n);
		}
		z->next_in = series.in;
		z->avail_in = (uInt)n;
		at += n;
		len -= n;
		do {
			z->next_out = series.out;
			z->avail_out = CHUNK;
			(void)deflate(z, len > 0 ? Z_NO_FLUSH : flush);
			int err = write_out(series.out, CHUNK - z->avail_out);
			if (err) {
				return err;
			}
		} while (z->avail_out == 0);
	} while (len > 0);
	return 0;
}

static int deflate_spool(const struct spool *s)
{
	static unsigned char part[CHUNK];
	for (uint64_t at = 0; at < s->len;) {
		long n = spool_read(s, at, part, sizeof part);
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return PM_ESYSTEM;
		}
		int err = deflate_bytes(part, (size_t)n, Z_NO_FLUSH);
		if (err) {
			return err;
		}
		at += (uint64_t)n;
	}
	return 0;
}

static int write_block(const struct warc_entry *e)
{
	int err = e->head_len ? deflate_bytes(e->head, e->head_len, Z_NO_FLUSH) : 0;
	if (!err && e->byte_ct) {
		err = deflate_bytes(e->bytes, e->byte_ct, Z_NO_FLUSH);
	}
	return !err && e->body ? deflate_spool(e->body) : err;
}

static int write_entry(struct warc_entry *e)
{
	struct buf head = {0};
	uint64_t start = series.offset;
	e->record.block_len = e->head_len + e->byte_ct + (e->body ? e->body->len : 0);
	int err = warc_record_head(&head, &e->record);
	err = err ? err : begin_member();
	err = err ? err : deflate_bytes(head.data, head.len, Z_NO_FLUSH);
	err = err ? err : write_block(e);
	err = err ? err : deflate_bytes("\r\n\r\n", 4, Z_FINISH);
	buf_fini(&head);
	e->offset = start;
	e->length = series.offset - start;
	return err;
}

/* ------------------------------------------------------------------------ files */

static void close_file(void)
{
	if (series.fd >= 0) {
		close(series.fd);
		series.fd = -1;
	}
}

static int write_info(void)
{
	static const char fields[] =
		"software: poolmap/" PM_VERSION "\r\n"
		"format: WARC File Format 1.1\r\n"
		"conformsTo: http://iipc.github.io/warc-specifications/"
		"specifications/warc-format/warc-1.1/\r\n";
	char date[WARC_DATE_ROOM];
	warc_record_date(date, now_unix_ms());
	if (warc_record_id(series.info_id)) {
		return PM_ESYSTEM;
	}
	const char *slash = strrchr(buf_text(&series.path), '/');
	struct warc_entry info = {
		.record = {.type = "warcinfo",
			.id = series.info_id,
			.date = date,
			.filename = slash ? slash + 1 : series.path.data,
			.content_type = "application/warc-fields"},
		.head = fields,
		.head_len = sizeof fields - 1,
	};
	return write_entry(&info);
}

/* PREFIX-20261120131700-00002-00000.warc.gz */
static int name_file(const struct warc_place *place)
{
	time_t now = (time_t)(now_unix_ms() / 1000);
	struct tm tm;
	char stamp[16] = "19700101000000";
	if (gmtime_r(&now, &tm)) {
		(void)strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &tm);
	}
	buf_clear(&series.path);
	return buf_printf(&series.path, "%s-%s-%05u-%05u.warc.gz", place->prefix, stamp,
		       place->worker, series.serial++) ||
			       !buf_text(&series.path)
		       ? PM_ENOMEM
		       : 0;
}

/* Another one, whatever names others have taken. */
static int open_file(const struct warc_place *place)
{
	for (int i = 0; i < SERIALS_MAX; i++) {
		if (name_file(place)) {
			return PM_ENOMEM;
		}
		series.fd = open(series.path.data,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (series.fd >= 0) {
			series.offset = 0;
			return write_info();
		}
		if (errno != EEXIST) {
			break;
		}
	}
	return PM_ESYSTEM;
}

/* A file that could not even be begun goes. */
static int need_file(const struct warc_place *place)
{
	uint64_t most = place->rotate_bytes ? place->rotate_bytes : ROTATE_BYTES;
	if (series.fd >= 0 && series.offset >= most) {
		close_file();
	}
	if (series.fd >= 0) {
		return 0;
	}
	int err = open_file(place);
	if (err && series.fd >= 0) {
		int why = errno;
		(void)unlink(series.path.data);
		close_file();
		errno = why;
	}
	return err;
}

/* Back to where the file was good; if that fails, nothing is added to it any more. */
static void take_back(uint64_t offset)
{
	int why = errno;
	if (ftruncate(series.fd, (off_t)offset) < 0 ||
		lseek(series.fd, (off_t)offset, SEEK_SET) < 0) {
		close_file();
	}
	series.offset = offset;
	errno = why;
}

int warc_file_append(const struct warc_place *place, struct warc_entry *entries,
	size_t ct, struct buf *path)
{
	int err = need_file(place);
	if (err) {
		return err;
	}
	uint64_t start = series.offset;
	for (size_t i = 0; !err && i < ct; i++) {
		entries[i].record.warcinfo_id = series.info_id;
		err = write_entry(&entries[i]);
	}
	if (!err && place->sync && fdatasync(series.fd) < 0) {
		err = PM_ESYSTEM;
	}
	err = err ? err : buf_put(path, series.path.data, series.path.len);
	if (err) {
		take_back(start);
	}
	return err;
}

int warc_file_dir(const char *prefix)
{
	if (series.dir >= 0) {
		return series.dir;
	}
	const char *slash = strrchr(prefix, '/');
	struct buf path = {0};
	const char *name = ".";
	if (slash) {
		/* "/x" is in "/" */
		size_t len = slash > prefix ? (size_t)(slash - prefix) : 1;
		name = buf_put(&path, prefix, len) ? NULL : buf_text(&path);
	}
	if (name) {
		series.dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		errno = ENOMEM;
	}
	int why = errno;
	buf_fini(&path);
	errno = why;
	return series.dir;
}

void warc_file_close(void)
{
	close_file();
	if (series.dir >= 0) {
		close(series.dir);
		series.dir = -1;
	}
	if (series.z_ready) {
		deflateEnd(&series.z);
		series.z_ready = false;
	}
	buf_fini(&series.path);
	series.serial = 0;
}
