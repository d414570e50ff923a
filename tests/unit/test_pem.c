/* SPDX-License-Identifier: MIT
 *
 * Tests of pem: which parts a file is seen to have.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/cli/pem.h"

static unsigned parts_of(const char *text)
{
	char path[] = "/tmp/poolmap-pem-XXXXXX";
	int fd = mkstemp(path);
	size_t len = strlen(text);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
	unsigned parts = pem_parts(path);
	unlink(path);
	return parts;
}

Test(pem, knows_the_parts_of_a_file, .timeout = 10)
{
	static const struct {
		const char *text;
		unsigned parts;
	} cases[] = {
		{"", 0},
		{"http://a/\n", 0},
		{"CERTIFICATE-----\n", 0},
		{"text -----BEGIN CERTIFICATE-----\n", 0},
		{"-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n",
			PEM_CERTIFICATE},
		{"text\n-----BEGIN CERTIFICATE-----\r\nTUlJ\r\n", PEM_CERTIFICATE},
		{"-----BEGIN TRUSTED CERTIFICATE-----\n", PEM_CERTIFICATE},
		{"-----BEGIN CERTIFICATE REQUEST-----\n", 0},
		{"-----BEGIN PUBLIC KEY-----\n", 0},
		{"-----BEGIN PRIVATE KEY-----\n", PEM_KEY},
		{"-----BEGIN EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\n",
			PEM_KEY},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", PEM_KEY | PEM_LOCKED},
		{"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
			PEM_KEY | PEM_LOCKED},
		{"-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n",
			PEM_KEY | PEM_CERTIFICATE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(parts_of(cases[i].text), cases[i].parts, "%zu: %s", i,
			cases[i].text);
	}
}

Test(pem, a_file_that_is_not_there_has_none, .timeout = 10)
{
	cr_assert_eq(pem_parts("/nonexistent"), 0);
}
