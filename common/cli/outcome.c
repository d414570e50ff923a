/* SPDX-License-Identifier: MIT
 *
 * outcome - names of the error classes, and the class of each pm_error; see
 * outcome.h.
 */
#include "common/cli/outcome.h"

const char *outcome_class_name(unsigned class)
{
	static const char *const names[] = {
#define X(id, name) name,
		OUTCOME_CLASSES(X)
#undef X
	};
	return names[class < OUTCOME_CLASS_CT ? class : OUTCOME_INTERNAL];
}

enum outcome_class outcome_class_of(int error)
{
	switch (error) {
	case PM_OK:
		return OUTCOME_OK;
	/* what a fetch says of a header or a method that HTTP does not allow */
	case PM_EINVAL:
		return OUTCOME_BAD_JOB;
	case PM_EBADURL:
		return OUTCOME_BAD_URL;
	case PM_ESCHEME:
		return OUTCOME_SCHEME;
	case PM_EDNS:
		return OUTCOME_DNS;
	case PM_ECONNECT:
		return OUTCOME_CONNECT;
	case PM_ETLS:
		return OUTCOME_TLS;
	case PM_ETIMEDOUT:
		return OUTCOME_TIMEOUT;
	case PM_ESTALLED:
		return OUTCOME_STALLED;
	case PM_ERESET:
		return OUTCOME_RESET;
	case PM_ETRUNCATED:
		return OUTCOME_TRUNCATED;
	case PM_EBADRESPONSE:
		return OUTCOME_BAD_RESPONSE;
	case PM_EREDIRECTS:
		return OUTCOME_TOO_MANY_REDIRECTS;
	case PM_EBODYSIZE:
		return OUTCOME_BODY_TOO_LARGE;
	case PM_EHEADERSIZE:
		return OUTCOME_HEADERS_TOO_LARGE;
	case PM_EDENIED:
		return OUTCOME_DENIED_ADDRESS;
	case PM_EWORKERLOST:
		return OUTCOME_WORKER_LOST;
	case PM_ECANCELLED:
		return OUTCOME_CANCELLED;
	default:
		return OUTCOME_INTERNAL;
	}
}

enum outcome_class outcome_class_of_result(const struct pm_result *result)
{
	bool refused = result->error == PM_EFAILED && result->attempts == 0 &&
		       result->domain == PM_DOMAIN_NONE;
	return refused ? OUTCOME_ROBOTS : outcome_class_of(result->error);
}
