/* SPDX-License-Identifier: MIT
 *
 * fuzz_heads - the head of a response: how its length is found out, how it stands in a
 * WARC record, and how its fields stand in a result line.
 */
#include <jansson.h>

#include "common/cli/line_headers.h"
#include "tests/fuzz/fuzz.h"
#include "worker/cli/warc_record.h"
#include "worker/engine_framing.h"

enum { HEADERS_MAX = 64 };

/* Lines as libcurl hands them over. */
static void check_framing(const char *head, size_t len)
{
	struct framing framing = {0};
	while (len > 0) {
		const char *end = memchr(head, '\n', len);
		size_t line = end ? (size_t)(end - head) + 1 : len;
		framing_note(&framing, head, line);
		head += line;
		len -= line;
	}
	const char *doubt = framing_doubt(&framing);
	FUZZ_CHECK(!doubt || *doubt);
}

static void check_record(const char *head, size_t len)
{
	struct buf out = {0};
	bool replaced = false;
	size_t value_len = 0;
	FUZZ_CHECK(warc_record_http(&out, head, len, &replaced) == 0);
	const char *value = warc_record_field(head, len, "location", &value_len);
	FUZZ_CHECK(!value || (value >= head && value + value_len <= head + len));
	FUZZ_CHECK(
		!warc_record_field(out.data, out.len, "transfer-encoding", &value_len));
	buf_fini(&out);
}

static void check_fields(const uint8_t *data, size_t size)
{
	struct pm_header headers[HEADERS_MAX];
	char *texts[HEADERS_MAX];
	struct buf out = {0};
	size_t ct = 0;
	while (size > 0 && ct < HEADERS_MAX) {
		const uint8_t *start = data;
		char *text = fuzz_text(start, fuzz_part(&data, &size, '\n'));
		char *colon = strchr(text, ':');
		headers[ct] = (struct pm_header){
			.name = text, .value = colon ? colon + 1 : text};
		if (colon) {
			*colon = '\0';
		}
		texts[ct++] = text;
	}
	FUZZ_CHECK(line_headers(&out, headers, ct) == 0);
	json_t *json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_CHECK(json_is_object(json));
	json_decref(json);
	buf_fini(&out);
	while (ct > 0) {
		free(texts[--ct]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_framing((const char *)data, size);
	check_record((const char *)data, size);
	check_fields(data, size);
	return 0;
}
