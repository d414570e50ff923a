/* SPDX-License-Identifier: MIT
 *
 * buf - a growable run of bytes.
 *
 * Runs in: every process.  Owns its memory; the struct is the caller's.  A
 * zeroed struct is an empty buffer.  Never prints, never aborts: growth that
 * fails returns PM_ENOMEM and leaves the buffer as it was.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *data; /* not NUL-terminated, see buf_text() */
	size_t len;
	size_t cap;
};

/* Make room for `extra` more bytes.  Returns 0 or PM_ENOMEM. */
int buf_reserve(struct buf *b, size_t extra);

/* Append.  Return 0 or PM_ENOMEM. */
int buf_put(struct buf *b, const void *bytes, size_t len);
int buf_puts(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Drop the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);

/* The bytes with a NUL behind them; NULL when there is no memory for it. */
const char *buf_text(struct buf *b);

/* Forget the bytes, keep the memory; or give the memory back as well. */
static inline void buf_clear(struct buf *b)
{
	b->len = 0;
}
void buf_fini(struct buf *b);

#endif
