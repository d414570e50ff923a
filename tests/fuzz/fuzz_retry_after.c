/* SPDX-License-Identifier: MIT
 *
 * fuzz_retry_after - Retry-After and Date, as servers send them.  The first eight bytes
 * are the time that it is.
 */
#include "common/cli/retry_after.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct retry_after wait = {.ms = 7};
	int64_t now, date = 7;
	if (size < sizeof now) {
		return 0;
	}
	memcpy(&now, data, sizeof now);
	const char *text = (const char *)data + sizeof now;
	size -= sizeof now;
	if (retry_after_parse(&wait, now, text, size)) {
		FUZZ_CHECK(wait.ms <= RETRY_AFTER_MAX_MS);
		FUZZ_CHECK(!wait.too_long || wait.ms == RETRY_AFTER_MAX_MS);
	} else {
		FUZZ_CHECK(wait.ms == 7);
	}
	if (http_date_parse(&date, now, text, size)) {
		FUZZ_CHECK(retry_after_parse(&wait, now, text, size));
		FUZZ_CHECK(date > now || wait.ms == 0);
	} else {
		FUZZ_CHECK(date == 7);
	}
	return 0;
}
