/* SPDX-License-Identifier: MIT
 *
 * line_headers - see line_headers.h.
 *
 * Headers of one name become a chain: the headers are sorted by name and place,
 * neighbours of the same name are linked, and then the chains are written in the
 * order in which they begin.
 */
#include "common/cli/line_headers.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/line.h"

/* A header on its way into a chain. */
struct link {
	const struct pm_header *header;
	struct link *next; /* of the same name; NULL: the last one */
	bool follows;      /* another one of its name: no chain begins here */
};

/* The characters of RFC 9110's tokens. */
static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *name)
{
	const char *at = name;
	while (is_token_char((unsigned char)*at)) {
		at++;
	}
	return at > name && *at == '\0';
}

static int compare(const void *a, const void *b)
{
	const struct link *one = *(struct link *const *)a;
	const struct link *other = *(struct link *const *)b;
	int order = strcmp(one->header->name, other->header->name);
	return order ? order : one < other ? -1 : one > other;
}

/* Link headers of the same name.  `sorted` is room for `ct` pointers. */
static void chain(struct link *links, struct link **sorted, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		sorted[i] = &links[i];
	}
	qsort(sorted, ct, sizeof(struct link *), compare);
	for (size_t i = 1; i < ct; i++) {
		if (strcmp(sorted[i - 1]->header->name, sorted[i]->header->name) == 0) {
			sorted[i - 1]->next = sorted[i];
			sorted[i]->follows = true;
		}
	}
}

static int put_string(struct buf *out, const char *text)
{
	return line_string(out, text, strlen(text));
}

static int put_chain(struct buf *out, const struct link *first)
{
	if (put_string(out, first->header->name)) {
		return PM_ENOMEM;
	}
	const char *before = ":[";
	for (const struct link *at = first; at; at = at->next) {
		if (buf_puts(out, before) || put_string(out, at->header->value)) {
			return PM_ENOMEM;
		}
		before = ",";
	}
	return buf_puts(out, "]");
}

static int put_chains(struct buf *out, const struct link *links, size_t ct)
{
	const char *before = "{";
	for (size_t i = 0; i < ct; i++) {
		if (links[i].follows) {
			continue;
		}
		if (buf_puts(out, before) || put_chain(out, &links[i])) {
			return PM_ENOMEM;
		}
		before = ",";
	}
	return buf_puts(out, *before == '{' ? "{}" : "}");
}

int line_headers(struct buf *out, const struct pm_header *headers, size_t ct)
{
	struct link *links = calloc(ct + 1, sizeof *links);
	struct link **sorted = calloc(ct + 1, sizeof *sorted);
	int err = PM_ENOMEM;
	if (links && sorted) {
		size_t good = 0;
		for (size_t i = 0; i < ct; i++) {
			if (is_token(headers[i].name)) {
				links[good++].header = &headers[i];
			}
		}
		chain(links, sorted, good);
		err = put_chains(out, links, good);
	}
	free(links);
	free(sorted);
	return err;
}
