/* SPDX-License-Identifier: MIT
 *
 * Unit tests of common/error: the names of errors and domains, as the public
 * header gives them, and the sentence behind the last failure.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------- names */

static const struct {
	int error;
	const char *name;
} names[] = {
	{PM_OK, "ok"},
	{PM_EINVAL, "invalid"},
	{PM_ENOMEM, "no_memory"},
	{PM_ESYSTEM, "system"},
	{PM_ESTATE, "state"},
	{PM_ENANOMSG, "nanomsg_live"},
	{PM_ETASK, "task_unknown"},
	{PM_ETOOBIG, "too_big"},
	{PM_ELIMIT, "limit"},
	{PM_EWORKERS, "workers_failed"},
	{PM_EINTERNAL, "internal"},
	{PM_EFULL, "full"},
	{PM_ECLOSED, "closed"},
	{PM_EWORKERLOST, "worker_lost"},
	{PM_ECANCELLED, "cancelled"},
	{PM_EFAILED, "failed"},
	{PM_ELEAK, "descriptor_leak"},
	{PM_EBADURL, "bad_url"},
	{PM_ESCHEME, "scheme"},
	{PM_EDNS, "dns"},
	{PM_ECONNECT, "connect"},
	{PM_ETLS, "tls"},
	{PM_ETIMEDOUT, "timeout"},
	{PM_ESTALLED, "stalled"},
	{PM_ERESET, "reset"},
	{PM_ETRUNCATED, "truncated"},
	{PM_EBADRESPONSE, "bad_response"},
	{PM_EREDIRECTS, "too_many_redirects"},
	{PM_EBODYSIZE, "body_too_large"},
	{PM_EHEADERSIZE, "headers_too_large"},
	{PM_EDENIED, "denied_address"},
};

Test(error, names_every_error, .timeout = 10)
{
	for (size_t i = 0; i < LENGTH(names); i++) {
		cr_assert_str_eq(pm_error_name(names[i].error), names[i].name, "%d",
			names[i].error);
	}
}

Test(error, has_a_sentence_of_its_own_for_every_error, .timeout = 10)
{
	for (size_t i = 0; i < LENGTH(names); i++) {
		const char *text = pm_error_text(names[i].error);
		cr_assert_str_not_empty(text, "%s", names[i].name);
		cr_assert_str_neq(text, pm_error_text(1), "%s", names[i].name);
		for (size_t j = 0; j < i; j++) {
			if (names[i].error != PM_ECANCELLED) {
				cr_assert_str_neq(text, pm_error_text(names[j].error),
					"%s and %s", names[i].name, names[j].name);
			}
		}
	}
}

Test(error, calls_any_other_number_unknown, .timeout = 10)
{
	static const int none[] = {
		1, 2, -13, -19, -24, -39, -54, -1000, INT_MIN, INT_MAX};
	for (size_t i = 0; i < LENGTH(none); i++) {
		cr_assert_str_eq(pm_error_name(none[i]), "unknown", "%d", none[i]);
		cr_assert_str_not_empty(pm_error_text(none[i]), "%d", none[i]);
	}
}

Test(error, names_every_domain_and_no_other, .timeout = 10)
{
	static const char *const domains[] = {
		[PM_DOMAIN_NONE] = "none",
		[PM_DOMAIN_ERRNO] = "errno",
		[PM_DOMAIN_CURL] = "curl",
		[PM_DOMAIN_SIGNAL] = "signal",
		[PM_DOMAIN_EXIT] = "exit",
		[PM_DOMAIN_TASK] = "task",
	};
	for (int i = 0; i < (int)LENGTH(domains); i++) {
		cr_assert_str_eq(pm_domain_name(i), domains[i], "%d", i);
	}
	static const int none[] = {-1, LENGTH(domains), 100, INT_MIN, INT_MAX};
	for (size_t i = 0; i < LENGTH(none); i++) {
		cr_assert_str_eq(pm_domain_name(none[i]), "unknown", "%d", none[i]);
	}
}

/* -------------------------------------------------------------- the header */

/* The public header itself, to compare its comments with the table. */
__asm__(".pushsection .rodata\n"
	"header_text:\n"
	"	.incbin \"common/poolmap.h\"\n"
	"	.byte 0\n"
	".popsection\n");
extern const char header_text[];

/* One line `\tPM_EXXX = -n,  / * name`: returns the number, or 1. */
static int read_error_line(const char *line, char constant[40], char name[40])
{
	int number = 1;
	name[0] = '\0';
	if (sscanf(line, " PM_E%39[A-Z] = %d, /* %39[a-z_]", constant, &number, name) <
		2) {
		return 1;
	}
	return number;
}

Test(error, agrees_with_the_comments_of_the_header, .timeout = 10)
{
	size_t ct = 0;
	for (const char *line = header_text; *line; line += strcspn(line, "\n") + 1) {
		char constant[40], name[40];
		int number = read_error_line(line, constant, name);
		if (number < 0) {
			cr_assert_str_eq(
				pm_error_name(number), name, "PM_E%s", constant);
			ct++;
		}
	}
	cr_assert_eq(ct, LENGTH(names) - 1, "all but PM_OK, found %zu", ct);
}

Test(error, agrees_with_the_domains_of_the_header, .timeout = 10)
{
	size_t ct = 0;
	for (const char *line = header_text; *line; line += strcspn(line, "\n") + 1) {
		char name[40];
		int number;
		if (sscanf(line, " PM_DOMAIN_%39[A-Z] = %d", name, &number) == 2) {
			for (char *c = name; *c; c++) {
				*c = (char)tolower((unsigned char)*c);
			}
			cr_assert_str_eq(pm_domain_name(number), name);
			ct++;
		}
	}
	cr_assert_eq(ct, 6);
}

/* -------------------------------------------------------------- last error */

Test(error, has_nothing_to_add_at_first, .timeout = 10)
{
	cr_assert_str_empty(pm_last_error());
}

Test(error, notes_a_sentence_and_returns_the_error, .timeout = 10)
{
	cr_assert_eq(error_note(PM_EINVAL, "workers: %d is over %d", 7, 5), PM_EINVAL);
	cr_assert_str_eq(pm_last_error(), "workers: 7 is over 5");
	cr_assert_eq(error_note(PM_ENOMEM, "short"), PM_ENOMEM);
	cr_assert_str_eq(pm_last_error(), "short");
}

Test(error, adds_the_text_of_errno, .timeout = 10)
{
	errno = ENOSPC;
	cr_assert_eq(
		error_note_errno(PM_ESYSTEM, "cannot create %s", "/tmp/x"), PM_ESYSTEM);
	cr_assert_str_eq(
		pm_last_error(), "cannot create /tmp/x: No space left on device");
}

Test(error, cuts_what_is_too_long, .timeout = 10)
{
	char text[2000];
	for (size_t len = 400; len < sizeof text - 1; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		error_note(PM_EINVAL, "%s", text);
		size_t noted = strlen(pm_last_error());
		cr_assert(noted <= len && noted >= 400, "%zu of %zu", noted, len);
		errno = ENOENT;
		error_note_errno(PM_ESYSTEM, "%s", text);
		noted = strlen(pm_last_error());
		cr_assert(noted >= 400 && noted < 600, "%zu of %zu", noted, len);
		cr_assert(
			strncmp(pm_last_error(), text, noted < len ? noted : len) == 0);
	}
}

static void *fail_elsewhere(void *before)
{
	*(char **)before = strdup(pm_last_error());
	error_note(PM_EINVAL, "of the other thread");
	return strdup(pm_last_error());
}

Test(error, keeps_a_sentence_for_each_thread, .timeout = 10)
{
	pthread_t thread;
	char *before = NULL;
	void *after = NULL;
	error_note(PM_EINVAL, "of the first thread");
	cr_assert_eq(pthread_create(&thread, NULL, fail_elsewhere, &before), 0);
	pthread_join(thread, &after);
	cr_assert_str_empty(before);
	cr_assert_str_eq((char *)after, "of the other thread");
	cr_assert_str_eq(pm_last_error(), "of the first thread");
	free(before);
	free(after);
}
