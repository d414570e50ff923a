/* SPDX-License-Identifier: MIT
 *
 * What a head says about the length of its body, and when that is in doubt.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "worker/engine_framing.h"

struct head {
	const char *lines; /* '|' stands for CRLF */
	const char *doubt; /* a word of it; NULL: none */
};

static const char *doubt_of(const char *lines)
{
	struct framing f = {0};
	char line[256];
	while (*lines) {
		size_t len = strcspn(lines, "|");
		cr_assert_lt(len + 2, sizeof(line));
		memcpy(line, lines, len);
		memcpy(line + len, "\r\n", 2);
		framing_note(&f, line, len + 2);
		lines += len + (lines[len] == '|');
	}
	return framing_doubt(&f);
}

static void expect(const struct head *heads, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		const char *doubt = doubt_of(heads[i].lines);
		if (!heads[i].doubt) {
			cr_assert_null(doubt, "'%s': %s", heads[i].lines, doubt);
			continue;
		}
		cr_assert_not_null(doubt, "'%s' is let pass", heads[i].lines);
		cr_assert(strstr(doubt, heads[i].doubt), "'%s': %s", heads[i].lines,
			doubt);
	}
}

#define EXPECT(heads) expect(heads, sizeof(heads) / sizeof((heads)[0]))

Test(engine_framing, one_length_is_beyond_doubt, .timeout = 10)
{
	static const struct head heads[] = {
		{"", NULL},
		{"X: 1|Server: y", NULL},
		{"Content-Length: 5", NULL},
		{"content-length:5", NULL},
		{"CONTENT-LENGTH:\t 0005 \t", NULL},
		{"Content-Length: 9223372036854775807", NULL},
		{"Content-Length: 5|Content-Length: 5", NULL},
		{"Content-Length: 5, 5 ,5", NULL},
		{"Transfer-Encoding: chunked", NULL},
		{"Transfer-Encoding: gzip|Transfer-Encoding: chunked", NULL},
		{"Content-Lengthy: 5|Content-Length: 6|X-Content-Length: 7", NULL},
		{"Content-Length: 5|X: 1| 6", NULL},
		{"Content-Lengt: x|Content-Length", NULL},
	};
	EXPECT(heads);
}

Test(engine_framing, what_can_be_read_in_two_ways_is_not, .timeout = 10)
{
	static const struct head heads[] = {
		{"Content-Length: 5|Content-Length: 6", "differ"},
		{"Content-Length: 5|X: 1|content-length: 6|Content-Length: 5",
			"differ"},
		{"Content-Length: 5, 6", "differ"},
		{"Content-Length: ", "no number"},
		{"Content-Length: 5,", "no number"},
		{"Content-Length: ,5", "no number"},
		{"Content-Length: 5;6", "no number"},
		{"Content-Length: 5 6", "no number"},
		{"Content-Length: +5", "no number"},
		{"Content-Length: -5", "no number"},
		{"Content-Length: 0x5", "no number"},
		{"Content-Length: 9223372036854775808", "no number"},
		{"Content-Length: 99999999999999999999999999", "no number"},
		{"Content-Length: 5|Transfer-Encoding: chunked", "beside"},
		{"transfer-encoding: chunked|content-length: 5", "beside"},
		{"Content-Length: 5|Transfer-Encoding: identity", "beside"},
		{"Content-Length : 5", "blank"},
		{"Transfer-Encoding\t: chunked", "blank"},
		{"Content-Length: 5| 0", "folded"},
		{"Transfer-Encoding:| chunked", "folded"},
	};
	EXPECT(heads);
}

/* A line that ends before the value does, and one with a NUL in it. */
Test(engine_framing, no_line_is_read_beyond_its_end, .timeout = 10)
{
	struct framing f = {0};
	framing_note(&f, "Content-Length: 55", 17);
	cr_assert_eq(f.length, 5);
	framing_note(&f, "Content-Length:", 14);
	framing_note(&f, "", 0);
	cr_assert_null(framing_doubt(&f));
	framing_note(&f, "Content-Length: 5\0, 5", 21);
	cr_assert_not_null(framing_doubt(&f));
}
