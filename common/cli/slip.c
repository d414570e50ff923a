/* SPDX-License-Identifier: MIT
 *
 * slip - slips of the finger in a name; see slip.h.
 */
#include "common/cli/slip.h"

#include <stddef.h>
#include <string.h>

enum { NAME_LEN_MAX = 40 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Edits between two short texts, a swap of neighbours counting as one.  Rows
 * of the usual table: the one in the making and the two before it. */
static unsigned edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NAME_LEN_MAX + 1] = {{0}};
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= b_len; j++) {
		last[j] = (unsigned)j;
	}
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j]) {
				now[j] = before[j - 2] + 1;
			}
		}
		unsigned *free_row = before;
		before = last;
		last = now;
		now = free_row;
	}
	return last[b_len];
}

unsigned slip_ct(const char *typed, const char *name)
{
	size_t typed_len = strlen(typed), name_len = strlen(name);
	if (typed_len > NAME_LEN_MAX || name_len > NAME_LEN_MAX || typed_len < 2) {
		return SLIP_FAR;
	}
	unsigned n = edits(typed, typed_len, name, name_len);
	if (n > 1 && strncmp(typed, name, typed_len) == 0) {
		return 1;
	}
	/* One slip in three letters is a slip; more is another word. */
	return n <= (name_len < 3 ? 1 : name_len / 3) && n <= 3 ? n : SLIP_FAR;
}
