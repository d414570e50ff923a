/* SPDX-License-Identifier: MIT
 *
 * fuzz_hosts - patterns of hosts against lanes: the first line is the pattern, the
 * second one the line of a job.
 */
#include "common/cli/host.h"
#include "common/cli/host_rules.h"
#include "master/cli/values.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char lane[PM_LANE_MAX + 1];
	struct value_error why;
	const uint8_t *start = data;
	size_t len = fuzz_part(&data, &size, '\n');
	char *pattern = fuzz_text(start, len);
	size_t lane_len = host_lane(lane, (const char *)data, size);
	bool good = !values_host_pattern(pattern, &why);
	bool matches = host_rule_matches(pattern, lane);
	FUZZ_CHECK(!matches || !good || lane_len);
	FUZZ_CHECK(!lane_len || host_rule_matches("*", lane));
	struct host_rule rule = {.pattern = pattern, .per_host = 3, .host_rate = 0.5};
	struct settings s = {
		.per_host = 7, .host_rules = &rule, .host_rule_ct = 1, .polite = true};
	struct pm_lane_limits limits = {0};
	host_limits(&limits, &s, lane);
	FUZZ_CHECK(limits.concurrency >= 1 && limits.concurrency <= 7);
	FUZZ_CHECK(!limits.hold);
	free(pattern);
	return 0;
}
