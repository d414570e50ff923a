/* SPDX-License-Identifier: MIT
 *
 * harness_origin - the tests' side of the origin: start, ask, stop.
 *
 * Runs in: the test process.  The origin's standard input is its lifeline: this
 * process holds the other end, so that however a test ends, the origin ends.
 */
#include "tests/support/harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TLS_PORTS = 13 };

struct tls_port {
	char name[32];
	unsigned number;
};

struct origin {
	struct child child;
	unsigned port;
	const char *tls_dir; /* NULL: it has no TLS */
	struct tls_port tls[TLS_PORTS];
};

static struct origin *start(const char *const argv[])
{
	struct origin *o = calloc(1, sizeof(*o));
	if (!o) {
		harness_fail("no memory for an origin");
	}
	child_start(&o->child, argv, 0);
	const char *line = child_read_line(&o->child, 1, HARNESS_DEADLINE_MS);
	if (!line || sscanf(line, "listening 127.0.0.1:%u", &o->port) != 1) {
		harness_fail("the origin does not listen; it said: %s%s",
			line ? line : "", o->child.got[2].data);
	}
	return o;
}

struct origin *origin_start(void)
{
	return start((const char *const[]){program("tests/support/origin"), NULL});
}

struct origin *origin_start_wide(unsigned addresses)
{
	return start((const char *const[]){program("tests/support/origin"),
		"--addresses", keep_printf("%u", addresses), NULL});
}

struct origin *origin_start_tls(void)
{
	const char *dir = temp_dir();
	struct origin *o = start((const char *const[]){
		program("tests/support/origin"), "--tls", dir, NULL});
	o->tls_dir = dir;
	for (size_t i = 0; i < TLS_PORTS; i++) {
		struct tls_port *p = &o->tls[i];
		const char *line = child_read_line(&o->child, 1, HARNESS_DEADLINE_MS);
		if (!line || sscanf(line, "tls %31s 127.0.0.1:%u", p->name,
				     &p->number) != 2) {
			harness_fail("the origin does not speak TLS; it said: %s%s",
				line ? line : "", o->child.got[2].data);
		}
	}
	return o;
}

const char *origin_tls_url(const struct origin *o, const char *name, const char *path)
{
	for (size_t i = 0; i < TLS_PORTS; i++) {
		if (strcmp(o->tls[i].name, name) == 0) {
			return keep_printf(
				"https://127.0.0.1:%u%s", o->tls[i].number, path);
		}
	}
	harness_fail("the origin has no TLS port %s", name);
}

const char *origin_tls_file(const struct origin *o, const char *name)
{
	return keep_printf("%s/%s", o->tls_dir, name);
}

void origin_stop(struct origin *o)
{
	child_close(&o->child, 0);
	int status = child_wait(&o->child, HARNESS_DEADLINE_MS);
	if (status != 0) {
		harness_fail("the origin ended with %d; it said: %s", status,
			o->child.got[2].data);
	}
	child_fini(&o->child);
	free(o);
}

unsigned origin_port(const struct origin *o)
{
	return o->port;
}

const char *origin_url(const struct origin *o, const char *path_fmt, ...)
{
	char *path;
	va_list args;
	va_start(args, path_fmt);
	int len = vasprintf(&path, path_fmt, args);
	va_end(args);
	if (len < 0) {
		harness_fail("no memory for a URL");
	}
	const char *url = keep_printf("http://127.0.0.1:%u%s", o->port, path);
	free(path);
	return url;
}

char *origin_get(const struct origin *o, const char *path)
{
	struct talk w;
	struct reply reply;
	talk_open(&w, o->port);
	talk_puts(&w, "GET ");
	talk_puts(&w, path);
	talk_puts(&w, " HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n");
	if (!talk_reply(&w, &reply, false) || !reply.complete || reply.status != 200) {
		harness_fail("the origin does not answer %s: %.200s", path,
			reply.head.data ? reply.head.data : "nothing");
	}
	char *body = reply.body.data;
	reply.body = (struct bytes){0};
	reply_fini(&reply);
	talk_close(&w);
	return body;
}

json_t *origin_counts(const struct origin *o)
{
	json_error_t error;
	char *text = origin_get(o, "/counts");
	json_t *counts = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!counts) {
		harness_fail("/counts is not JSON: %s: %.200s", error.text, text);
	}
	free(text);
	return counts;
}

json_int_t origin_count(const struct origin *o, const char *key)
{
	json_t *counts = origin_counts(o);
	const json_t *number = json_object_get(counts, key);
	if (!json_is_integer(number)) {
		harness_fail("/counts has no number \"%s\"", key);
	}
	json_int_t n = json_integer_value(number);
	json_decref(counts);
	return n;
}
