/* SPDX-License-Identifier: MIT
 *
 * fuzz_lifeline - packets of the lifeline, through a real one.  What is a message must
 * be the same packet when it is written again.
 */
#include <sys/socket.h>

#include "common/lifeline.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int ends[2] = {-1, -1};
	static struct proto_life_message message;
	char packet[sizeof message];
	if (ends[0] < 0) {
		FUZZ_CHECK(lifeline_pair(ends) == 0);
	}
	if (!size || size > 16384) {
		return 0;
	}
	FUZZ_CHECK(send(ends[0], data, size, MSG_NOSIGNAL) == (ssize_t)size);
	enum lifeline_verdict v = lifeline_receive(ends[1], &message);
	FUZZ_CHECK(v == LIFELINE_OK || v == LIFELINE_BAD);
	if (v == LIFELINE_OK) {
		FUZZ_CHECK(message.count <= PROTO_CANCEL_MAX);
		FUZZ_CHECK(proto_life_name((int)message.type));
		FUZZ_CHECK(proto_life_put(packet, &message) == size);
		FUZZ_CHECK(memcmp(packet, data, size) == 0);
	}
	FUZZ_CHECK(lifeline_receive(ends[1], &message) == LIFELINE_AGAIN);
	return 0;
}
