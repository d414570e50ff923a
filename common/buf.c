/* SPDX-License-Identifier: MIT
 *
 * buf - a growable run of bytes, see buf.h.
 */
#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/poolmap.h"

enum { BUF_FIRST_BYTES = 256 };

int buf_reserve(struct buf *b, size_t extra)
{
	if (extra <= b->cap - b->len) {
		return 0;
	}
	if (extra > SIZE_MAX / 2 - b->len) {
		return PM_ENOMEM;
	}
	size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
	while (cap < b->len + extra) {
		cap *= 2;
	}
	char *data = realloc(b->data, cap);
	if (!data) {
		return PM_ENOMEM;
	}
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_put(struct buf *b, const void *bytes, size_t len)
{
	int err = buf_reserve(b, len);
	if (err) {
		return err;
	}
	if (len) {
		memcpy(b->data + b->len, bytes, len);
		b->len += len;
	}
	return 0;
}

int buf_puts(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

int buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int need = vsnprintf(NULL, 0, fmt, args);
	int err = need < 0 ? PM_ENOMEM : buf_reserve(b, (size_t)need + 1);
	if (!err) {
		vsnprintf(b->data + b->len, (size_t)need + 1, fmt, again);
		b->len += (size_t)need;
	}
	va_end(again);
	return err;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int err = buf_vprintf(b, fmt, args);
	va_end(args);
	return err;
}

void buf_consume(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

const char *buf_text(struct buf *b)
{
	if (buf_reserve(b, 1)) {
		return NULL;
	}
	b->data[b->len] = '\0';
	return b->data;
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}
