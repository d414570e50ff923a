/* SPDX-License-Identifier: MIT
 *
 * engine_response - the memory of a pm_response, see engine_response.h.
 *
 * One block holds the struct, the header table and every string; a small body
 * is one of the strings, a large one keeps the buffer it was received in.
 */
#include "worker/engine_response.h"

#include <stdlib.h>
#include <string.h>

struct response *response_new(size_t header_max, size_t text_max)
{
	struct response *r;
	size_t table, all;
	if (__builtin_mul_overflow(header_max, sizeof(struct pm_header), &table) ||
		__builtin_add_overflow(table, text_max, &all) ||
		__builtin_add_overflow(all, sizeof(*r), &all)) {
		return NULL;
	}
	r = malloc(all);
	if (!r) {
		return NULL;
	}
	*r = (struct response){
		.pm =
			{
				.url_effective = "",
				.content_type = "",
				.remote_ip = "",
				.body = "",
				.headers = (struct pm_header *)(void *)r->store,
			},
	};
	r->text = r->store + table;
	return r;
}

const char *response_text(struct response *r, const char *bytes, size_t len)
{
	char *text = r->text;
	if (len) {
		memcpy(text, bytes, len);
	}
	text[len] = '\0';
	r->text += len + 1;
	return text;
}

void response_drop_body(struct response *r)
{
	free(r->body_memory);
	r->body_memory = NULL;
	r->pm.body = "";
	r->pm.body_len = 0;
}

void response_free(struct response *r)
{
	if (r) {
		free(r->body_memory);
		free(r);
	}
}
