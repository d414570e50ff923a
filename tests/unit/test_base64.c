/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/base64: the vectors of RFC 4648, round trips, and what a
 * strict decoder must refuse.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/base64.h"
#include "common/poolmap.h"

static const struct {
	const char *plain, *coded;
} vectors[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xFB\xFF\xBF", "+/+/"},
};
enum { VECTOR_CT = sizeof vectors / sizeof vectors[0] };

Test(base64, encodes_the_vectors_of_the_standard, .timeout = 10)
{
	for (size_t i = 0; i < VECTOR_CT; i++) {
		size_t len = strlen(vectors[i].plain);
		char out[16];
		memset(out, '#', sizeof out);
		base64_encode(out, vectors[i].plain, len);
		size_t size = base64_size(len);
		cr_assert_eq(size, strlen(vectors[i].coded), "vector %zu", i);
		cr_assert_eq(memcmp(out, vectors[i].coded, size), 0, "vector %zu", i);
		cr_assert_eq(out[size], '#', "vector %zu: wrote too far", i);
	}
}

Test(base64, decodes_the_vectors_of_the_standard, .timeout = 10)
{
	for (size_t i = 0; i < VECTOR_CT; i++) {
		const char *coded = vectors[i].coded;
		char out[16];
		size_t len = 99;
		cr_assert_eq(base64_decode(out, &len, coded, strlen(coded)), 0);
		cr_assert_eq(len, strlen(vectors[i].plain), "vector %zu", i);
		cr_assert_eq(memcmp(out, vectors[i].plain, len), 0, "vector %zu", i);
	}
}

Test(base64, refuses_what_is_not_strict_and_leaves_the_length_alone, .timeout = 10)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "=",
		"====", "Zm9v=", "Z===", "Zg==Zg==", "Zg=v", "Zm9\n", "Zm 9",
		"Zm9v\nZm9v", "Zm-_", "Zh==", "Zm9=", "Zm\x80v",
		"Zm9vYg=="
		"="};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char out[16];
		size_t len = 99;
		int err = base64_decode(out, &len, bad[i], strlen(bad[i]));
		cr_assert_eq(err, PM_EINVAL, "\"%s\": %d", bad[i], err);
		cr_assert_eq(len, 99, "\"%s\"", bad[i]);
	}
}

Test(base64, gives_back_every_length_and_every_byte, .timeout = 10)
{
	for (size_t len = 0; len < 300; len++) {
		/* exact sizes, so that a sanitizer sees a byte too much */
		unsigned char *plain = malloc(len + 1), *back = malloc(len / 3 * 3 + 4);
		char *coded = malloc(base64_size(len) + 1);
		for (size_t i = 0; i < len; i++) {
			plain[i] = (unsigned char)(i * 7 + len);
		}
		base64_encode(coded, plain, len);
		size_t got = 0;
		cr_assert_eq(base64_decode(back, &got, coded, base64_size(len)), 0);
		cr_assert_eq(got, len, "%zu bytes came back as %zu", len, got);
		cr_assert_eq(memcmp(back, plain, len), 0, "%zu bytes", len);
		free(plain);
		free(back);
		free(coded);
	}
}
