/* SPDX-License-Identifier: MIT
 *
 * harness_wire - a raw HTTP/1.1 client on one socket.
 *
 * Runs in: the test process.  It sends exactly the bytes it is given, and tells
 * apart what a proper client would hide: a FIN from a RST, a whole body from a
 * cut one.  Everything waits at most HARNESS_DEADLINE_MS.
 */
#include "tests/support/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

void talk_open(struct talk *w, unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	*w = (struct talk){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	addr.sin_port = htons((uint16_t)port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		harness_fail(
			"cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
	}
	bytes_add(&w->in, "", 0);
}

static void wait_socket(const struct talk *w, short what, uint64_t deadline)
{
	struct pollfd p = {w->fd, what, 0};
	int n;
	do {
		n = poll(&p, 1, ms_until(deadline));
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		harness_fail("nothing on the wire for %u ms; so far: %.200s",
			HARNESS_DEADLINE_MS, w->in.data);
	}
}

/* What the peer sends meanwhile is read, too: both sides may be writing. */
void talk_send(struct talk *w, const void *bytes, size_t len)
{
	const char *at = bytes;
	uint64_t deadline = clock_now_ms() + HARNESS_DEADLINE_MS;
	while (len > 0 && !w->reset) {
		ssize_t n = send(w->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			wait_socket(w, POLLIN | POLLOUT, deadline);
		} else if (errno != EINTR) {
			w->reset = true;
		}
	}
}

void talk_puts(struct talk *w, const char *text)
{
	talk_send(w, text, strlen(text));
}

bool talk_more(struct talk *w)
{
	char block[65536];
	uint64_t deadline = clock_now_ms() + HARNESS_DEADLINE_MS;
	while (!w->fin && !w->reset) {
		wait_socket(w, POLLIN, deadline);
		ssize_t n = recv(w->fd, block, sizeof(block), MSG_DONTWAIT);
		if (n > 0) {
			bytes_add(&w->in, block, (size_t)n);
			return true;
		}
		w->fin = n == 0;
		w->reset = n < 0 && errno != EAGAIN && errno != EINTR;
	}
	return false;
}

/* Have `len` bytes behind `at`; false when they do not come. */
static bool have(struct talk *w, size_t len)
{
	while (w->in.len - w->at < len) {
		if (!talk_more(w)) {
			return false;
		}
	}
	return true;
}

/* Length up to and with `end`, behind `at`; 0 when it does not come. */
static size_t have_until(struct talk *w, const char *end)
{
	for (;;) {
		const char *from = w->in.data + w->at;
		const char *found = memmem(from, w->in.len - w->at, end, strlen(end));
		if (found) {
			return (size_t)(found - from) + strlen(end);
		}
		if (!talk_more(w)) {
			return 0;
		}
	}
}

static void take(struct talk *w, struct bytes *to, size_t len)
{
	bytes_add(to, w->in.data + w->at, len);
	w->at += len;
}

/* What there is of a body that is cut short. */
static bool take_rest(struct talk *w, struct bytes *to)
{
	take(w, to, w->in.len - w->at);
	return false;
}

static bool take_chunk(struct talk *w, struct bytes *to, bool *last)
{
	size_t line_len = have_until(w, "\r\n");
	if (line_len == 0) {
		return false;
	}
	size_t len = strtoul(w->in.data + w->at, NULL, 16);
	w->at += line_len;
	if (!have(w, len + 2)) {
		return take_rest(w, to);
	}
	take(w, to, len);
	if (memcmp(w->in.data + w->at, "\r\n", 2) != 0) {
		harness_fail("a chunk of %zu bytes does not end with CRLF", len);
	}
	w->at += 2;
	*last = len == 0;
	return true;
}

static bool take_chunked(struct talk *w, struct bytes *to)
{
	bool last = false;
	while (!last) {
		if (!take_chunk(w, to, &last)) {
			return false;
		}
	}
	return true;
}

static bool take_body(struct talk *w, struct reply *reply)
{
	const char *length = strcasestr(reply->head.data, "\r\nContent-Length:");
	if (strcasestr(reply->head.data, "\r\nTransfer-Encoding: chunked\r\n")) {
		return take_chunked(w, &reply->body);
	}
	if (length) {
		size_t len = strtoul(strchr(length, ':') + 1, NULL, 10);
		if (!have(w, len)) {
			return take_rest(w, &reply->body);
		}
		take(w, &reply->body, len);
		return true;
	}
	while (talk_more(w)) { /* until the end of the connection */
	}
	take_rest(w, &reply->body);
	return w->fin;
}

bool talk_reply(struct talk *w, struct reply *reply, bool head_only)
{
	*reply = (struct reply){0};
	size_t head_len = have_until(w, "\r\n\r\n");
	if (head_len == 0) {
		return false;
	}
	take(w, &reply->head, head_len);
	bytes_add(&reply->body, "", 0);
	if (sscanf(reply->head.data, "HTTP/1.1 %3d ", &reply->status) != 1) {
		harness_fail("not a response: %.200s", reply->head.data);
	}
	bool bodiless = head_only || reply->status == 204 || reply->status == 304 ||
			reply->status < 200;
	reply->complete = bodiless || take_body(w, reply);
	return true;
}

void reply_fini(struct reply *reply)
{
	bytes_fini(&reply->head);
	bytes_fini(&reply->body);
}

void talk_close(struct talk *w)
{
	close(w->fd);
	bytes_fini(&w->in);
}
