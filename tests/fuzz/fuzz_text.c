/* SPDX-License-Identifier: MIT
 *
 * fuzz_text - the small readers that all others stand on: UTF-8, base64, strings of
 * JSON, the structure of its text, members of a line, IP addresses, words of a shell.
 */
#include <jansson.h>

#include "common/cli/base64.h"
#include "common/cli/json_text.h"
#include "common/cli/line.h"
#include "common/cli/utf8.h"
#include "master/cli/members.h"
#include "master/cli/shell_word.h"
#include "tests/fuzz/fuzz.h"
#include "worker/address.h"

static void check_string(const char *text, size_t len)
{
	struct buf json = {0}, back = {0};
	FUZZ_CHECK(line_string(&json, text, len) == 0);
	FUZZ_CHECK(utf8_valid(json.data, json.len));
	json_t *value =
		json_loadb(json.data, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	FUZZ_CHECK(json_is_string(value));
	FUZZ_CHECK(member_text(&back, json.data, json.len) == 0);
	FUZZ_CHECK(back.len == json_string_length(value));
	FUZZ_CHECK(!back.len || !memcmp(back.data, json_string_value(value), back.len));
	if (utf8_valid(text, len)) {
		FUZZ_CHECK(back.len == len && (!len || !memcmp(back.data, text, len)));
	}
	json_decref(value);
	buf_fini(&json);
	buf_fini(&back);
}

static void check_base64(const char *text, size_t len)
{
	char *coded = malloc(base64_size(len) + 1), *bytes = malloc(len + 3);
	size_t bytes_len = 0, again = 0;
	FUZZ_CHECK(coded && bytes);
	base64_encode(coded, text, len);
	char *back = malloc(base64_size(len) / 4 * 3 + 1);
	FUZZ_CHECK(back && !base64_decode(back, &again, coded, base64_size(len)));
	FUZZ_CHECK(again == len && (!len || !memcmp(back, text, len)));
	if (!base64_decode(bytes, &bytes_len, text, len)) {
		FUZZ_CHECK(base64_size(bytes_len) == len);
		char *same = malloc(len + 1);
		FUZZ_CHECK(same);
		base64_encode(same, bytes, bytes_len);
		FUZZ_CHECK(!len || !memcmp(same, text, len));
		free(same);
	}
	free(coded);
	free(bytes);
	free(back);
}

static void check_json(const char *text, size_t len)
{
	struct json_walk walk;
	struct json_span key, value;
	char *compact = malloc(len + 1);
	(void)json_text_deeper_than(text, len, 8);
	json_walk_init(&walk, text, len);
	while (json_walk_member(&walk, &key, &value)) {
		FUZZ_CHECK(value.text >= text && value.text + value.len <= text + len);
		FUZZ_CHECK(key.text >= text && key.text + key.len <= text + len);
		FUZZ_CHECK(json_text_compact(compact, &value) <= value.len);
	}
	free(compact);
}

static void check_members(const char *text, size_t len)
{
	struct member m;
	struct buf out = {0};
	size_t at = 0, before = 0;
	while (member_next(text, len, &at, &m)) {
		FUZZ_CHECK(at > before && at <= len);
		FUZZ_CHECK(m.value >= text && m.value + m.value_len <= text + len);
		FUZZ_CHECK(member_text(&out, m.value, m.value_len) == 0);
		before = at;
	}
	buf_fini(&out);
}

static void check_address(const char *text, size_t len)
{
	struct address a, again;
	char out[ADDRESS_TEXT_MAX];
	if (address_parse(&a, text, len)) {
		(void)address_text(&a, out);
		FUZZ_CHECK(address_parse(&again, out, strlen(out)));
		FUZZ_CHECK(address_equal(&a, &again));
		(void)address_is_private(&a);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct buf word = {0};
	struct address a;
	check_string(text, size);
	check_base64(text, size);
	check_json(text, size);
	check_members(text, size);
	check_address(text, size);
	char *copy = fuzz_text(data, size);
	(void)address_parse_any(&a, copy);
	FUZZ_CHECK(shell_word(&word, copy) == 0 && word.len > 0);
	buf_fini(&word);
	free(copy);
	return 0;
}
