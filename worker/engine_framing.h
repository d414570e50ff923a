/* SPDX-License-Identifier: MIT
 *
 * engine_framing - how long a response says that its body is, and whether it
 * says so in one way only.
 *
 * Runs in: the worker.  Called by engine_headers.c for each line of a head.  Plain
 * data: knows neither libcurl nor transfers.
 *
 * Why: libcurl takes the last of several Content-Lengths, and none at all beside a
 * Transfer-Encoding.  Whoever stands between us and the server may have taken
 * another one: then where one response ends and the next begins is a matter of
 * opinion, which is how responses are smuggled (RFC 9112, 6.3 and 11.2).
 */
#ifndef WORKER_ENGINE_FRAMING_H
#define WORKER_ENGINE_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero it at the start of a head. */
struct framing {
	uint64_t length;
	bool has_length, has_coding;
	bool in_field;   /* the last line was one that counts here */
	const char *bad; /* a line that is wrong by itself */
};

/* The next line of the head, with its CRLF; not the status line, not the empty one. */
void framing_note(struct framing *f, const char *line, size_t len);

/* What is wrong with it, in words; NULL: nothing.  Static. */
const char *framing_doubt(const struct framing *f);

#endif
