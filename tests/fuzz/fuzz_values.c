/* SPDX-License-Identifier: MIT
 *
 * fuzz_values - the readers of option values.  The first byte says which; the rest is
 * the text.
 */
#include <math.h>

#include "common/cli/slip.h"
#include "common/poolmap.h"
#include "master/cli/values.h"
#include "tests/fuzz/fuzz.h"

enum { LOW = 3, HIGH = 1 << 30 };

static int read_number(uint8_t which, const char *text, struct value_error *why)
{
	uint64_t out = 0;
	int err;
	switch (which) {
	case 0:
		err = values_number(text, LOW, HIGH, &out, why);
		break;
	case 1:
		err = values_workers(text, LOW, HIGH, &out, why);
		break;
	case 2:
		err = values_limit(text, LOW, HIGH, &out, why);
		break;
	case 3:
		err = values_size(text, LOW, HIGH, &out, why);
		break;
	default:
		err = values_seconds(text, LOW, HIGH, &out, why);
	}
	FUZZ_CHECK(err || (out >= LOW && out <= HIGH) || (out == 0 && which > 0));
	return err;
}

static int read_set(uint8_t which, const char *text, struct value_error *why)
{
	struct status_set statuses = {0};
	struct value_retry retry = {0};
	int err;
	if (which == 5) {
		err = values_statuses(text, 100, 599, &statuses, why);
	} else {
		err = values_retry_on(text, 400, 599, &retry, why);
		statuses = retry.statuses;
	}
	for (int i = 0; i < 1024; i++) {
		FUZZ_CHECK(!status_set_has(&statuses, i) || (i >= 100 && i <= 599));
	}
	return err;
}

static int read_rate(const char *text, struct value_error *why)
{
	double rate = 0;
	int err = values_rate(text, &rate, why);
	FUZZ_CHECK(isfinite(rate) && rate >= 0 && rate <= VALUES_RATE_MAX);
	return err;
}

static int read_halt(const char *text, struct value_error *why)
{
	struct value_halt halt = {0};
	int err = values_halt(text, &halt, why);
	FUZZ_CHECK(halt.fail_percent >= 0 && halt.fail_percent <= 100);
	return err;
}

static int read_body(const char *text, struct value_error *why)
{
	struct value_body body = {0};
	int err = values_body(text, &body, why);
	FUZZ_CHECK(
		!body.path || (body.path > text && body.path <= text + strlen(text)));
	return err;
}

static int read_header(const char *text, struct value_error *why)
{
	struct header_parts parts = {0};
	int err = values_header(text, &parts, why);
	FUZZ_CHECK(parts.name_len <= strlen(text));
	FUZZ_CHECK(parts.value_at + parts.value_len <= strlen(text));
	return err;
}

static int read_word(const char *text, struct value_error *why)
{
	unsigned word = 0;
	bool on;
	int err = values_choice(text, "auto|bar|log|json|none", &word, why);
	FUZZ_CHECK(word < 5);
	(void)slip_ct(text, "max-jobs-per-worker");
	return err ? values_switch(text, &on, why) : err;
}

static int read_one(uint8_t which, const char *text, struct value_error *why)
{
	switch (which) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		return read_number(which, text, why);
	case 5:
	case 6:
		return read_set(which, text, why);
	case 7:
		return read_rate(text, why);
	case 8:
		return read_halt(text, why);
	case 9:
		return read_body(text, why);
	case 10:
		return read_header(text, why);
	case 11:
		return read_word(text, why);
	case 12:
		return values_fields(text, why);
	case 13:
		return values_dns_servers(text, why);
	case 14:
		return values_resolve(text, why);
	case 15:
		return values_proxy(text, why);
	case 16:
		return values_host_pattern(text, why);
	default:
		return values_method(text, why);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value_error why = {{0}};
	if (!size) {
		return 0;
	}
	char *text = fuzz_text(data + 1, size - 1);
	int err = read_one(data[0] % 18, text, &why);
	FUZZ_CHECK(!err || (err == PM_EINVAL && why.text[0]));
	FUZZ_CHECK(memchr(why.text, '\0', sizeof why.text));
	free(text);
	return 0;
}
