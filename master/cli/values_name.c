/* SPDX-License-Identifier: MIT
 *
 * values_name - names of files that must be there, and names that were
 * mistyped; see values.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/cli/values.h"
#include "master/cli/values_parts.h"

/* ------------------------------------------------------------------- files */

int values_readable_file(const char *path, struct value_error *why)
{
	/* Not blocking: the name may be that of a pipe that nobody writes to. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		return values_refuse(why, "cannot be read: %s", strerror(errno));
	}
	struct stat st;
	bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	close(fd);
	return is_file ? 0 : values_refuse(why, "is not a regular file");
}

/* ------------------------------------------------------------------- names */

enum { NAME_MAX_LEN = 40 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Edits between two short texts, a swap of neighbours counting as one.  Rows
 * of the usual table: the one in the making and the two before it. */
static unsigned edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NAME_MAX_LEN + 1] = {{0}};
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

unsigned values_distance(const char *typed, const char *name)
{
	size_t typed_len = strlen(typed), name_len = strlen(name);
	if (typed_len > NAME_MAX_LEN || name_len > NAME_MAX_LEN || typed_len < 2) {
		return VALUES_FAR;
	}
	unsigned n = edits(typed, typed_len, name, name_len);
	if (n > 1 && strncmp(typed, name, typed_len) == 0) {
		return 1;
	}
	/* One slip in three letters is a slip; more is another word. */
	return n <= (name_len < 3 ? 1 : name_len / 3) && n <= 3 ? n : VALUES_FAR;
}
