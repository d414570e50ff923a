/* SPDX-License-Identifier: MIT
 *
 * pem - does a file hold what --cacert, --cert and --key are for?  See pem.h.
 */
#include "master/cli/pem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool begins_with(const char *line, const char *text)
{
	return strncmp(line, text, strlen(text)) == 0;
}

/* "-----BEGIN EC PRIVATE KEY-----"; a key in an older form says in the next line
 * that it is locked. */
static unsigned part_of(const char *line)
{
	if (begins_with(line, "Proc-Type: 4,ENCRYPTED")) {
		return PEM_LOCKED;
	}
	if (!begins_with(line, "-----BEGIN ")) {
		return 0;
	}
	if (strstr(line, "CERTIFICATE-----")) {
		return PEM_CERTIFICATE;
	}
	unsigned lock = strstr(line, " ENCRYPTED ") ? PEM_LOCKED : 0;
	return strstr(line, " PRIVATE KEY-----") ? PEM_KEY | lock : 0;
}

unsigned pem_parts(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256]; /* of a longer line each piece is one: it is no text */
	unsigned parts = 0;
	while (file && fgets(line, sizeof(line), file)) {
		parts |= part_of(line);
	}
	if (file) {
		(void)fclose(file);
	}
	return parts;
}
