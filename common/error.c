/* SPDX-License-Identifier: MIT
 *
 * error - names of errors, and the sentence behind the last one; see error.h.
 */
#include "common/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct error_row {
	int error;
	const char *name;
	const char *text;
};

static const struct error_row rows[] = {
	{PM_OK, "ok", "no error"},
	{PM_EINVAL, "invalid", "an argument makes no sense"},
	{PM_ENOMEM, "no_memory", "out of memory"},
	{PM_ESYSTEM, "system", "a system call failed"},
	{PM_ESTATE, "state", "the call is not allowed now, or not from here"},
	{PM_ENANOMSG, "nanomsg_live",
		"a live nanomsg socket forbids the fork: call pm_forkserver_start() "
		"first"},
	{PM_ETASK, "task_unknown",
		"the task function is not in the workers' image of the program"},
	{PM_ETOOBIG, "too_big", "argument or result over the pool's max_bytes"},
	{PM_ELIMIT, "limit", "a limit of the system is too low"},
	{PM_EWORKERS, "workers_failed", "workers cannot be kept running"},
	{PM_EINTERNAL, "internal", "internal error"},
	{PM_EFULL, "full", "too many jobs wait already"},
	{PM_ECLOSED, "closed", "the pool is shutting down"},
	{PM_EWORKERLOST, "worker_lost", "the worker died"},
	{PM_ECANCELLED, "cancelled", "cancelled"},
	{PM_EFAILED, "failed", "the task failed"},
	{PM_ELEAK, "descriptor_leak", "the task left descriptors open"},
	{PM_EBADURL, "bad_url", "not a URL that can be fetched"},
	{PM_ESCHEME, "scheme", "neither http nor https"},
	{PM_EDNS, "dns", "the host name cannot be resolved"},
	{PM_ECONNECT, "connect", "no connection to the host"},
	{PM_ETLS, "tls", "no secure connection to the host"},
	{PM_ETIMEDOUT, "timeout", "not done in time"},
	{PM_ESTALLED, "stalled", "the transfer stalled"},
	{PM_ERESET, "reset", "the connection broke"},
	{PM_ETRUNCATED, "truncated", "the response ended too early"},
	{PM_EBADRESPONSE, "bad_response", "the response is not valid HTTP"},
	{PM_EREDIRECTS, "too_many_redirects", "too many redirects"},
	{PM_EBODYSIZE, "body_too_large", "the body is over the limit"},
	{PM_EHEADERSIZE, "headers_too_large",
		"the response headers are over the limit"},
	{PM_EDENIED, "denied_address", "the address is not allowed"},
};

static const struct error_row *find(int error)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].error == error) {
			return &rows[i];
		}
	}
	return NULL;
}

const char *pm_error_name(int error)
{
	const struct error_row *row = find(error);
	return row ? row->name : "unknown";
}

const char *pm_error_text(int error)
{
	const struct error_row *row = find(error);
	return row ? row->text : "unknown error";
}

const char *pm_domain_name(int domain)
{
	static const char *const names[] = {
		"none", "errno", "curl", "signal", "exit", "task"};
	return domain >= 0 && domain < (int)(sizeof names / sizeof *names)
		       ? names[domain]
		       : "unknown";
}

static _Thread_local char last[512];

const char *pm_last_error(void)
{
	return last;
}

int error_note(int error, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(last, sizeof last, fmt, args);
	va_end(args);
	return error;
}

int error_note_errno(int error, const char *fmt, ...)
{
	int number = errno;
	va_list args;
	va_start(args, fmt);
	int used = vsnprintf(last, sizeof last, fmt, args);
	va_end(args);
	if (used >= 0 && (size_t)used < sizeof last) {
		snprintf(last + used, sizeof last - (size_t)used, ": %s",
			strerror(number));
	}
	return error;
}
