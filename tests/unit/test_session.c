/* SPDX-License-Identifier: MIT
 *
 * Sessions: what they refuse, what they keep, and that nothing of them is left.
 * No network, and no engine.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "worker/engine.h"
#include "worker/session.h"

/* ------------------------------------------------------ in place of the engine */

struct engine_jar {
	int unused;
};

static unsigned jars; /* made and not freed */
static bool no_jars;

struct engine_jar *engine_jar_new(void)
{
	jars += !no_jars;
	return no_jars ? NULL : calloc(1, sizeof(struct engine_jar));
}

void engine_jar_free(struct engine_jar *jar)
{
	jars -= jar != NULL;
	free(jar);
}

/* ----------------------------------------------------------------------- tests */

#define OPTIONS(...) (&(struct pm_session_options){__VA_ARGS__})

static void expect_refused(const struct pm_session_options *options, const char *why)
{
	pm_session *s = (pm_session *)1;
	cr_assert_eq(pm_session_new(&s, options), PM_EINVAL, "%s", why);
	cr_assert(strstr(pm_last_error(), why), "'%s' is not in: %s", why,
		pm_last_error());
	cr_assert_null(strstr(pm_last_error(), "secret"), "%s", pm_last_error());
	cr_assert_eq(s, (pm_session *)1);
}

Test(session, options_that_make_no_sense_are_refused, .timeout = 10)
{
	static const struct pm_header bad = {"X\r\nY", "1"}, bad_value = {"X", "1\n2"};
	static const struct pm_header cookie = {"cookie", "a=1"};
	expect_refused(OPTIONS(.base_url = ""), "empty");
	expect_refused(OPTIONS(.base_url = "/api"), "http");
	expect_refused(OPTIONS(.base_url = "ftp://h/"), "scheme");
	expect_refused(OPTIONS(.base_url = "http://h/?a=1"), "query");
	expect_refused(OPTIONS(.base_url = "http://h/#f"), "fragment");
	expect_refused(OPTIONS(.base_url = "http://h/\r\n"), "control");
	expect_refused(OPTIONS(.headers = &bad, .header_ct = 1), "name");
	expect_refused(OPTIONS(.headers = &bad_value, .header_ct = 1), "value");
	expect_refused(OPTIONS(.header_ct = 1), "NULL");
	expect_refused(OPTIONS(.user = "a:b"), "colon");
	expect_refused(OPTIONS(.user = "a\n"), "control");
	expect_refused(OPTIONS(.password = "secret"), "without a user");
	expect_refused(OPTIONS(.user = "a", .password = "secret\n"), "control");
	expect_refused(OPTIONS(.proxy = "ftp://me:secret@h"), "proxy");
	expect_refused(OPTIONS(.proxy = "http://me:secret@h:x"), "proxy");
	expect_refused(OPTIONS(.key = "k.pem"), "certificate");
	expect_refused(
		OPTIONS(.cookies = true, .headers = &cookie, .header_ct = 1), "Cookie");
	cr_assert_eq(pm_session_new(NULL, OPTIONS(.user = "a")), PM_EINVAL);
}

Test(session, nothing_of_the_callers_is_kept, .timeout = 10)
{
	char text[][16] = {"http://h/a//", "X-A", "v", "u", "p", "http://h:1", "ca",
		"ce", "ke", "lo"};
	struct pm_header h = {text[1], text[2]};
	pm_session *s = NULL;
	cr_assert_eq(
		pm_session_new(&s,
			OPTIONS(.base_url = text[0], .headers = &h, .header_ct = 1,
				.user = text[3], .password = text[4], .proxy = text[5],
				.ca_file = text[6], .cert = text[7], .key = text[8],
				.local_address = text[9], .timeout_ms = 5,
				.cookies = true)),
		0, "%s", pm_last_error());
	memset(text, '#', sizeof(text));
	h = (struct pm_header){NULL, NULL};
	const struct pm_session_options *o = session_options(s);
	cr_assert_str_eq(o->base_url, "http://h/a");
	cr_assert_eq(o->header_ct, 1);
	cr_assert_str_eq(o->headers[0].name, "X-A");
	cr_assert_str_eq(o->headers[0].value, "v");
	cr_assert_str_eq(o->user, "u");
	cr_assert_str_eq(o->password, "p");
	cr_assert_str_eq(o->proxy, "http://h:1");
	cr_assert_str_eq(o->ca_file, "ca");
	cr_assert_str_eq(o->cert, "ce");
	cr_assert_str_eq(o->key, "ke");
	cr_assert_str_eq(o->local_address, "lo");
	cr_assert_eq(o->timeout_ms, 5);
	cr_assert_not_null(session_jar(s));
	pm_session_free(s);
}

Test(session, no_options_are_the_defaults, .timeout = 10)
{
	pm_session *s = NULL;
	cr_assert_eq(pm_session_new(&s, NULL), 0);
	cr_assert_null(session_options(s)->base_url);
	cr_assert_eq(session_options(s)->header_ct, 0);
	cr_assert_null(session_jar(s));
	pm_session_free(s);
	pm_session_free(NULL);
}

Test(session, those_that_nobody_frees_go_at_the_end, .timeout = 10)
{
	pm_session *s[20] = {0};
	session_fini();
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(
			pm_session_new(&s[i], OPTIONS(.user = "u", .cookies = true)),
			0);
	}
	cr_assert_eq(jars, 20);
	pm_session_free(s[0]);
	pm_session_free(s[7]);
	pm_session_free(s[19]);
	cr_assert_eq(jars, 17);
	session_fini();
	cr_assert_eq(jars, 0);
	session_fini();
	cr_assert_eq(pm_session_new(&s[0], NULL), 0);
	pm_session_free(s[0]);
}

/* The sanitizers and valgrind see whether something is left. */
Test(session, one_without_a_jar_is_none, .timeout = 10)
{
	static const struct pm_header h = {"X-A", "v"};
	pm_session *s = (pm_session *)1;
	no_jars = true;
	cr_assert_eq(pm_session_new(&s, OPTIONS(.base_url = "http://h", .headers = &h,
						.header_ct = 1, .cookies = true)),
		PM_ENOMEM);
	cr_assert_eq(s, (pm_session *)1);
	session_fini();
	cr_assert_eq(pm_session_new(&s, OPTIONS(.user = "u")), 0);
	pm_session_free(s);
}
