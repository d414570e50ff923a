/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/pack: gzip members, and what is left of a torn file.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/poolmap.h"
#include "master/cli/pack.h"

/* "line 0\n" ... in members of `per` lines, the last of which may be open. */
static void pack_lines(struct buf *out, size_t ct, size_t per)
{
	struct pack *p = pack_new();
	char line[32];
	for (size_t i = 0; i < ct; i++) {
		int len = snprintf(line, sizeof line, "line %zu\n", i);
		cr_assert_eq(pack_put(p, out, line, (size_t)len), 0);
		if ((i + 1) % per == 0) {
			cr_assert_eq(pack_end(p, out), 0);
		}
	}
	cr_assert_eq(pack_end(p, out), 0);
	pack_free(p);
}

static int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("packed", MFD_CLOEXEC);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

/* All that can be read, and how it ended. */
static long read_all(struct unpack *u, struct buf *text)
{
	long n;
	buf_clear(text);
	do {
		cr_assert_eq(buf_reserve(text, 100), 0);
		n = unpack_read(u, text->data + text->len, 100);
		text->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return n;
}

static size_t count_lines(const struct buf *text)
{
	size_t ct = 0, at = 0;
	char line[32];
	while (at < text->len) {
		int len = snprintf(line, sizeof line, "line %zu\n", ct);
		cr_assert(text->len - at >= (size_t)len &&
				  memcmp(text->data + at, line, (size_t)len) == 0,
			"line %zu", ct);
		at += (size_t)len;
		ct++;
	}
	return ct;
}

Test(pack, gives_back_what_was_put, .timeout = 60)
{
	struct buf packed = {0}, text = {0};
	uint64_t end, torn;
	pack_lines(&packed, 5000, 999);
	int fd = file_of(packed.data, packed.len);
	struct unpack *u = unpack_new(fd, true);
	cr_assert(unpack_is_packed(fd));
	cr_assert_eq(unpack_find_end(u, &end, &torn), 0);
	cr_assert_eq(end, packed.len);
	cr_assert_eq(torn, 0);
	cr_assert_eq(read_all(u, &text), 0);
	cr_assert_eq(count_lines(&text), 5000);
	unpack_free(u);
	close(fd);
	buf_fini(&packed);
	buf_fini(&text);
}

Test(pack, ends_no_member_that_holds_nothing, .timeout = 60)
{
	struct buf packed = {0};
	struct pack *p = pack_new();
	cr_assert_eq(pack_end(p, &packed), 0);
	cr_assert_eq(packed.len, 0);
	cr_assert_eq(pack_put(p, &packed, "a\n", 2), 0);
	cr_assert_eq(pack_end(p, &packed), 0);
	size_t len = packed.len;
	cr_assert_eq(pack_end(p, &packed), 0);
	cr_assert_eq(packed.len, len);
	pack_free(p);
	buf_fini(&packed);
}

/* Three members of a line each; where they end. */
struct three {
	struct buf packed;
	size_t ends[4];
};

static void pack_three(struct three *t)
{
	struct pack *p = pack_new();
	*t = (struct three){0};
	for (size_t i = 0; i < 3; i++) {
		char line[32];
		int len = snprintf(line, sizeof line, "line %zu\n", i);
		pack_put(p, &t->packed, line, (size_t)len);
		pack_end(p, &t->packed);
		t->ends[i + 1] = t->packed.len;
	}
	pack_free(p);
}

/* The file ends with the last member that is as it was in all its bytes, of which the
 * first `same` are. */
static void check_end(const struct three *t, const void *bytes, size_t len, size_t same)
{
	struct buf text = {0};
	int fd = file_of(bytes, len);
	struct unpack *u = unpack_new(fd, true);
	uint64_t end, torn;
	size_t whole = 0;
	cr_assert(unpack_may_be_packed(fd), "%zu of %zu bytes", same, len);
	cr_assert_eq(unpack_is_packed(fd), same >= 2, "%zu of %zu bytes", same, len);
	while (whole < 3 && t->ends[whole + 1] <= same) {
		whole++;
	}
	cr_assert_eq(unpack_find_end(u, &end, &torn), 0, "%zu of %zu bytes", same, len);
	cr_assert_eq(
		end, t->ends[whole], "%zu of %zu bytes: %zu", same, len, (size_t)end);
	cr_assert_eq(end + torn, len);
	cr_assert_eq(read_all(u, &text), 0);
	cr_assert_eq(count_lines(&text), whole);
	unpack_free(u);
	close(fd);
	buf_fini(&text);
}

/* At every length that a kill can leave. */
Test(pack, ends_at_the_last_complete_member_of_a_torn_file, .timeout = 60)
{
	struct three t;
	pack_three(&t);
	for (size_t len = 0; len <= t.packed.len; len++) {
		check_end(&t, t.packed.data, len, len);
	}
	buf_fini(&t.packed);
}

/* Where a power cut can leave zeros: from any byte on, and for a short or a long way.
 * Some bytes are zero anyway. */
Test(pack, ends_before_the_zeros_of_a_file, .timeout = 60)
{
	enum { MORE = 200000 };
	struct three t;
	pack_three(&t);
	char *bytes = malloc(t.packed.len + MORE);
	for (size_t from = 0; from <= t.packed.len; from++) {
		size_t same = from;
		while (same < t.packed.len && t.packed.data[same] == 0) {
			same++;
		}
		memcpy(bytes, t.packed.data, from);
		memset(bytes + from, 0, t.packed.len - from + MORE);
		check_end(&t, bytes, t.packed.len, same);
		check_end(&t, bytes, t.packed.len + MORE, same);
	}
	free(bytes);
	buf_fini(&t.packed);
}

/* They do not make up for what is wrong before them: either that is refused, or it is
 * in the last member and looks torn, or it is nothing that counts, as a header's time.
 */
Test(pack, refuses_damage_before_zeros, .timeout = 60)
{
	struct three t;
	struct buf text = {0};
	static const char zeros[100];
	uint64_t end, torn;
	pack_three(&t);
	cr_assert_eq(buf_put(&t.packed, zeros, sizeof zeros), 0);
	for (size_t at = 10; at < t.ends[3] - 4; at++) {
		t.packed.data[at] ^= 0x55;
		int fd = file_of(t.packed.data, t.packed.len);
		struct unpack *u = unpack_new(fd, true);
		int err = unpack_find_end(u, &end, &torn);
		cr_assert(err == 0 || err == PM_EINVAL);
		if (!err) {
			cr_assert_geq(
				end, t.ends[at < t.ends[2] ? 3 : 2], "byte %zu", at);
			cr_assert_eq(read_all(u, &text), 0);
			cr_assert_geq(count_lines(&text), 2);
		}
		unpack_free(u);
		close(fd);
		t.packed.data[at] ^= 0x55;
	}
	buf_fini(&text);
	buf_fini(&t.packed);
}

Test(pack, takes_blocks_that_were_never_written_for_torn, .timeout = 60)
{
	struct buf packed = {0};
	static const char zeros[5000];
	uint64_t end, torn;
	pack_lines(&packed, 10, 10);
	size_t len = packed.len;
	cr_assert_eq(buf_put(&packed, zeros, sizeof zeros), 0);
	int fd = file_of(packed.data, packed.len);
	struct unpack *u = unpack_new(fd, true);
	cr_assert_eq(unpack_find_end(u, &end, &torn), 0);
	cr_assert_eq(end, len);
	cr_assert_eq(torn, sizeof zeros);
	unpack_free(u);
	close(fd);
	buf_fini(&packed);
}

Test(pack, refuses_what_is_no_gzip, .timeout = 60)
{
	struct buf packed = {0};
	uint64_t end, torn;
	pack_lines(&packed, 1000, 100);
	packed.data[packed.len / 2] ^= 0x55;
	packed.data[packed.len / 2 + 1] ^= 0x55;
	int fd = file_of(packed.data, packed.len);
	struct unpack *u = unpack_new(fd, true);
	cr_assert_eq(unpack_find_end(u, &end, &torn), PM_EINVAL);
	unpack_free(u);
	close(fd);
	fd = file_of("plain text\n", 11);
	u = unpack_new(fd, true);
	cr_assert_not(unpack_is_packed(fd));
	cr_assert_not(unpack_may_be_packed(fd));
	cr_assert_eq(unpack_find_end(u, &end, &torn), PM_EINVAL);
	unpack_free(u);
	close(fd);
	buf_fini(&packed);
}

Test(pack, reads_a_plain_file_as_it_is, .timeout = 60)
{
	struct buf text = {0};
	int fd = file_of("line 0\nline 1\n", 14);
	struct unpack *u = unpack_new(fd, false);
	cr_assert_eq(read_all(u, &text), 0);
	cr_assert_eq(count_lines(&text), 2);
	unpack_free(u);
	close(fd);
	buf_fini(&text);
}

Test(pack, goes_by_the_end_of_the_name, .timeout = 60)
{
	cr_assert(pack_wanted("a.gz"));
	cr_assert(pack_wanted("/x/results.jsonl.gz"));
	cr_assert_not(pack_wanted(".gz"));
	cr_assert_not(pack_wanted("a.gzip"));
	cr_assert_not(pack_wanted("-"));
}
