/* SPDX-License-Identifier: MIT
 *
 * retry - see retry.h.
 */
#include "common/cli/retry.h"

#include <stddef.h>
#include <string.h>

#include "common/cli/outcome.h"

#define STATUS(code) (UINT64_C(1) << (code) % 64)
#define CLASS(id) (1u << OUTCOME_##id)

const struct status_set retry_default_statuses = {
	.bits[408 / 64] = STATUS(408) | STATUS(429),
	.bits[500 / 64] = STATUS(500) | STATUS(502) | STATUS(503) | STATUS(504),
	.bits[522 / 64] = STATUS(522) | STATUS(524),
};
_Static_assert(408 / 64 == 429 / 64 && 500 / 64 == 504 / 64 && 522 / 64 == 524 / 64,
	"statuses of one word");

const uint32_t retry_default_classes = CLASS(DNS) | CLASS(CONNECT) | CLASS(TIMEOUT) |
				       CLASS(STALLED) | CLASS(RESET) | CLASS(TRUNCATED);

const uint32_t retry_never_classes = CLASS(OK) | CLASS(BAD_JOB) | CLASS(BAD_URL) |
				     CLASS(SCHEME) | CLASS(ROBOTS) |
				     CLASS(WORKER_LOST) | CLASS(CANCELLED);
_Static_assert(OUTCOME_CLASS_CT <= 32, "a bit for each class");

bool retry_is_idempotent(const char *method)
{
	static const char *const methods[] = {
		"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (strcmp(method, methods[i]) == 0) {
			return true;
		}
	}
	return false;
}
