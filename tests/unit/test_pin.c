/* SPDX-License-Identifier: MIT
 *
 * Tests of master/cli/pin: what a job file was at the start.  How input goes by it is
 * tested there.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "master/cli/pin.h"

static int fd;
static struct pin p;

static void put(const char *text, off_t at)
{
	cr_assert_eq(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
}

static void begin(void)
{
	struct stat st;
	fd = memfd_create("jobs", MFD_CLOEXEC);
	cr_assert(fd >= 0);
	put("#start\nfirst\nsecond\n", 0);
	cr_assert_eq(fstat(fd, &st), 0);
	pin_init(&p, &st, 7);
}

static void end(void)
{
	pin_fini(&p);
	close(fd);
}

TestSuite(pin, .init = begin, .fini = end, .timeout = 60);

/* Read in parts of three bytes; does it hold? */
static bool reads_the_same(void)
{
	char part[3];
	uint64_t offset = 0;
	cr_assert_eq(pin_begin(&p), 0);
	for (size_t room; (room = pin_room(&p, offset, 3)); offset += room) {
		cr_assert_eq(
			pread(fd, part, room, p.start + (off_t)offset), (ssize_t)room);
		pin_add(&p, part, room);
	}
	cr_assert_eq(offset, 13);
	return pin_holds(&p);
}

Test(pin, sees_a_change_of_what_it_holds, .timeout = 60)
{
	cr_assert_eq(pin_take(&p, fd, UINT64_MAX), 0);
	cr_assert_eq(p.hashed, 13);
	cr_assert(reads_the_same());
	put("X", 0); /* not ours */
	cr_assert(reads_the_same());
	put("X", 7 + 12);
	cr_assert(!reads_the_same());
	put("\n", 7 + 12);
	cr_assert(reads_the_same(), "the first reading has left something");
}

Test(pin, holds_no_more_than_it_is_to, .timeout = 60)
{
	cr_assert_eq(pin_take(&p, fd, 5), 0);
	cr_assert_eq(p.hashed, 5);
	cr_assert_eq(p.bytes, 13);
	put("X", 7 + 5);
	cr_assert(reads_the_same());
	put("X", 7 + 4);
	cr_assert(!reads_the_same());
}

Test(pin, that_was_not_taken_holds_whatever_comes, .timeout = 60)
{
	cr_assert(reads_the_same());
	put("X", 7);
	cr_assert(reads_the_same());
}

Test(pin, knows_growth_and_in_what_place, .timeout = 60)
{
	uint64_t bytes = 0;
	cr_assert_eq(pin_growth(&p, fd, &bytes), PIN_SAME);
	put("third", 20);
	cr_assert_eq(pin_growth(&p, fd, &bytes), PIN_GROWN);
	cr_assert_eq(bytes, 18);
	put("d", 19);
	cr_assert_eq(pin_growth(&p, fd, &bytes), PIN_IN_LINE);
	put("\n", 20);
	cr_assert_eq(pin_growth(&p, fd, &bytes), PIN_GROWN);
	cr_assert_eq(ftruncate(fd, 3), 0);
	cr_assert_eq(pin_growth(&p, fd, &bytes), PIN_SAME);
}

/* It may be a file of /proc, which does not say how long it is. */
Test(pin, takes_the_length_of_an_empty_file_from_its_reading, .timeout = 60)
{
	struct stat st = {.st_mode = S_IFREG};
	pin_init(&p, &st, 0);
	cr_assert_eq(pin_room(&p, 1000, 99), 99);
	cr_assert_eq(pin_take(&p, fd, UINT64_MAX), 0);
	cr_assert_eq(pin_room(&p, 0, 99), 20);
}
