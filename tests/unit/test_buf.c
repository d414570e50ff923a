/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/buf.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/poolmap.h"

#if defined(__SANITIZE_ADDRESS__)
/* One test asks for more memory than there is, and wants NULL. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

static struct buf b;

static void free_b(void)
{
	buf_fini(&b);
}

TestSuite(buf, .fini = free_b);

/* Byte number i of what the tests put in. */
static char byte_at(size_t i)
{
	return (char)(i * 31 + i / 256);
}

Test(buf, is_empty_when_zeroed, .timeout = 10)
{
	cr_assert_eq(b.len, 0);
	cr_assert_str_eq(buf_text(&b), "");
	cr_assert_eq(b.len, 0);
}

Test(buf, takes_no_bytes_from_nowhere, .timeout = 10)
{
	cr_assert_eq(buf_put(&b, NULL, 0), 0);
	cr_assert_eq(buf_puts(&b, ""), 0);
	cr_assert_eq(buf_printf(&b, "%s", ""), 0);
	cr_assert_eq(b.len, 0);
}

Test(buf, appends_bytes_of_any_value, .timeout = 10)
{
	cr_assert_eq(buf_put(&b, "a\0b", 3), 0);
	cr_assert_eq(buf_put(&b, "\xff\n", 2), 0);
	cr_assert_eq(buf_puts(&b, "text"), 0);
	cr_assert_eq(b.len, 9);
	cr_assert_arr_eq(b.data, "a\0b\xff\ntext", 9);
}

Test(buf, keeps_every_byte_while_it_grows, .timeout = 10)
{
	enum { CT = 100000 };
	for (size_t i = 0; i < CT; i++) {
		char c = byte_at(i);
		cr_assert_eq(buf_put(&b, &c, 1), 0);
		cr_assert(b.len <= b.cap, "len %zu, cap %zu", b.len, b.cap);
	}
	cr_assert_eq(b.len, CT);
	for (size_t i = 0; i < CT; i++) {
		cr_assert_eq(b.data[i], byte_at(i), "byte %zu", i);
	}
}

Test(buf, makes_the_room_that_was_asked_for, .timeout = 10)
{
	static const size_t extras[] = {1, 255, 256, 257, 4096, 1000000};
	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
		cr_assert_eq(buf_put(&b, "x", 1), 0);
		cr_assert_eq(buf_reserve(&b, extras[i]), 0);
		cr_assert_geq(b.cap - b.len, extras[i]);
		char *data = b.data;
		memset(b.data + b.len, 'y', extras[i]); /* really there */
		b.len += extras[i];
		cr_assert_eq(buf_reserve(&b, 0), 0);
		cr_assert_eq(b.data, data, "nothing is moved for nothing");
	}
}

Test(buf, prints_behind_what_is_there, .timeout = 10)
{
	cr_assert_eq(buf_puts(&b, "a:"), 0);
	cr_assert_eq(buf_printf(&b, "%d,%s", -7, "seven"), 0);
	cr_assert_str_eq(buf_text(&b), "a:-7,seven");
	cr_assert_eq(b.len, 10);
}

Test(buf, prints_texts_of_every_length, .timeout = 10)
{
	for (int len = 0; len < 1500; len++) {
		buf_clear(&b);
		cr_assert_eq(buf_printf(&b, "%0*d", len ? len : 1, 5), 0);
		cr_assert_eq(b.len, (size_t)(len ? len : 1));
		cr_assert_eq(b.data[b.len - 1], '5', "length %d", len);
	}
}

Test(buf, terminates_text_without_counting_the_nul, .timeout = 10)
{
	/* also where the NUL does not fit any more */
	for (size_t len = 1; len <= 1024; len++) {
		buf_fini(&b);
		for (size_t i = 0; i < len; i++) {
			cr_assert_eq(buf_put(&b, "z", 1), 0);
		}
		const char *text = buf_text(&b);
		cr_assert_not_null(text);
		cr_assert_eq(strlen(text), len);
		cr_assert_eq(b.len, len);
	}
	cr_assert_eq(buf_puts(&b, "!"), 0);
	cr_assert_eq(b.data[1024], '!', "the NUL is overwritten");
}

Test(buf, drops_bytes_at_the_front, .timeout = 10)
{
	cr_assert_eq(buf_puts(&b, "0123456789"), 0);
	buf_consume(&b, 0);
	cr_assert_str_eq(buf_text(&b), "0123456789");
	buf_consume(&b, 1);
	cr_assert_str_eq(buf_text(&b), "123456789");
	buf_consume(&b, 8);
	cr_assert_str_eq(buf_text(&b), "9");
	buf_consume(&b, 1);
	cr_assert_str_eq(buf_text(&b), "");
}

Test(buf, drops_no_more_than_there_is, .timeout = 10)
{
	buf_consume(&b, 5);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(buf_puts(&b, "abc"), 0);
	buf_consume(&b, 4);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(buf_puts(&b, "abc"), 0);
	buf_consume(&b, SIZE_MAX);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(buf_puts(&b, "d"), 0);
	cr_assert_str_eq(buf_text(&b), "d");
}

Test(buf, forgets_the_bytes_and_keeps_the_memory, .timeout = 10)
{
	cr_assert_eq(buf_puts(&b, "abc"), 0);
	char *data = b.data;
	size_t cap = b.cap;
	buf_clear(&b);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(b.data, data);
	cr_assert_eq(b.cap, cap);
}

Test(buf, can_be_used_again_after_the_end, .timeout = 10)
{
	cr_assert_eq(buf_puts(&b, "abc"), 0);
	buf_fini(&b);
	buf_fini(&b);
	cr_assert_null(b.data);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(b.cap, 0);
	cr_assert_eq(buf_puts(&b, "d"), 0);
	cr_assert_str_eq(buf_text(&b), "d");
}

/* Growth by `extra` fails, and nothing has changed. */
static void expect_no_memory(size_t extra)
{
	struct buf before = b;
	cr_assert_eq(buf_reserve(&b, extra), PM_ENOMEM, "reserve %zu", extra);
	cr_assert_eq(buf_put(&b, "", extra), PM_ENOMEM, "put %zu", extra);
	cr_assert_eq(b.data, before.data);
	cr_assert_eq(b.len, before.len);
	cr_assert_eq(b.cap, before.cap);
}

Test(buf, refuses_lengths_that_overflow_and_stays_as_it_was, .timeout = 10)
{
	for (int i = 0; i < 2; i++) { /* empty, and with three bytes */
		expect_no_memory(SIZE_MAX);
		expect_no_memory(SIZE_MAX - 1);
		expect_no_memory(SIZE_MAX - 3);
		expect_no_memory(SIZE_MAX - 256);
		expect_no_memory(SIZE_MAX / 2 + 1);
		cr_assert_eq(buf_puts(&b, "abc"), 0);
	}
	cr_assert_eq(buf_reserve(&b, SIZE_MAX / 2 - 2), PM_ENOMEM);
}

Test(buf, survives_that_there_is_no_memory, .timeout = 10)
{
	expect_no_memory((size_t)1 << 60);
	cr_assert_eq(buf_puts(&b, "abc"), 0);
	expect_no_memory((size_t)1 << 60);
	cr_assert_str_eq(buf_text(&b), "abc");
}
