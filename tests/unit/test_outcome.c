/* SPDX-License-Identifier: MIT
 *
 * Tests of common/cli/outcome: the names are a contract, and each error of a
 * fetch has the class of the same name.
 */
#include <criterion/criterion.h>

#include "common/cli/outcome.h"

Test(outcome, has_the_names_that_the_manual_promises, .timeout = 10)
{
	static const char *const names[] = {"ok", "bad_job", "bad_url", "scheme", "dns",
		"connect", "tls", "timeout", "stalled", "reset", "truncated",
		"bad_response", "http_status", "rate_limited", "too_many_redirects",
		"body_too_large", "headers_too_large", "denied_address", "robots",
		"worker_lost", "cancelled", "internal"};
	cr_assert_eq(sizeof names / sizeof names[0], OUTCOME_CLASS_CT);
	for (unsigned i = 0; i < OUTCOME_CLASS_CT; i++) {
		cr_assert_str_eq(outcome_class_name(i), names[i]);
	}
}

Test(outcome, names_a_number_that_is_no_class_internal, .timeout = 10)
{
	cr_assert_str_eq(outcome_class_name(OUTCOME_CLASS_CT), "internal");
	cr_assert_str_eq(outcome_class_name(~0u), "internal");
}

Test(outcome, gives_each_end_of_a_fetch_its_class, .timeout = 10)
{
	static const struct {
		int error;
		enum outcome_class class;
	} pairs[] = {
		{PM_OK, OUTCOME_OK},
		{PM_EINVAL, OUTCOME_BAD_JOB},
		{PM_EBADURL, OUTCOME_BAD_URL},
		{PM_ESCHEME, OUTCOME_SCHEME},
		{PM_EDNS, OUTCOME_DNS},
		{PM_ECONNECT, OUTCOME_CONNECT},
		{PM_ETLS, OUTCOME_TLS},
		{PM_ETIMEDOUT, OUTCOME_TIMEOUT},
		{PM_ESTALLED, OUTCOME_STALLED},
		{PM_ERESET, OUTCOME_RESET},
		{PM_ETRUNCATED, OUTCOME_TRUNCATED},
		{PM_EBADRESPONSE, OUTCOME_BAD_RESPONSE},
		{PM_EREDIRECTS, OUTCOME_TOO_MANY_REDIRECTS},
		{PM_EBODYSIZE, OUTCOME_BODY_TOO_LARGE},
		{PM_EHEADERSIZE, OUTCOME_HEADERS_TOO_LARGE},
		{PM_EDENIED, OUTCOME_DENIED_ADDRESS},
		{PM_EWORKERLOST, OUTCOME_WORKER_LOST},
		{PM_ECANCELLED, OUTCOME_CANCELLED},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		enum outcome_class got = outcome_class_of(pairs[i].error);
		cr_assert_eq(got, pairs[i].class, "error %d is %s", pairs[i].error,
			outcome_class_name(got));
	}
}

Test(outcome, calls_every_other_error_internal, .timeout = 10)
{
	static const int others[] = {PM_ENOMEM, PM_ETOOBIG, PM_EFAILED, PM_EINTERNAL,
		PM_ESYSTEM, PM_ESTATE, -1000, 1, 22};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		cr_assert_eq(outcome_class_of(others[i]), OUTCOME_INTERNAL, "error %d",
			others[i]);
	}
}
