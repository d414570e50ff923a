/* SPDX-License-Identifier: MIT
 *
 * fuzz_emit - the payloads by themselves: jobs, results, and the jobs that tasks add.
 * What was read and is written again must be the same bytes.  The first byte says
 * which.
 */
#include "common/proto.h"
#include "tests/fuzz/fuzz.h"

static void check_same(struct buf *again, const uint8_t *data, size_t len)
{
	FUZZ_CHECK(again->len == len && memcmp(again->data, data, len) == 0);
	buf_fini(again);
}

static void read_emits(const uint8_t *data, size_t size)
{
	struct proto_emit emit;
	struct buf again = {0};
	size_t at = 0, start = 0;
	while (start < size && !proto_emit_get(&emit, data, size, &at)) {
		FUZZ_CHECK(at > start && at <= size);
		FUZZ_CHECK(emit.lane_len <= PROTO_LANE_MAX);
		FUZZ_CHECK(!proto_emit_put(&again, &emit));
		/* of the flags only one is looked at */
		bool odd = data[start + 20] > 1 || data[start + 21] ||
			   data[start + 22] || data[start + 23];
		if (odd) {
			buf_fini(&again);
		} else {
			check_same(&again, data + start, at - start);
		}
		start = at;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proto_job job;
	struct proto_result result;
	struct buf again = {0};
	if (!size) {
		return 0;
	}
	uint8_t which = *data++ % 3;
	size--;
	if (which == 0) {
		read_emits(data, size);
	} else if (which == 1 && !proto_job_get(&job, data, size)) {
		FUZZ_CHECK(!proto_job_put(&again, &job));
		check_same(&again, data, size);
	} else if (which == 2 && !proto_result_get(&result, data, size)) {
		FUZZ_CHECK(!proto_result_put(&again, &result));
		check_same(&again, data, size);
	}
	return 0;
}
