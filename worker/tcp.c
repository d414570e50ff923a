/* SPDX-License-Identifier: MIT
 *
 * tcp - connections in tasks: reading, writing, closing; see tcp.h.
 *
 * Runs in: the worker.  Called by tasks.  Each function tries first and waits when
 * that would block.
 */
#include "worker/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

/* `in` is what was received and not read yet, from `read_ct` on; only lines are read
 * through it. */
struct pm_tcp {
	struct tcp_socket socket;
	int timeout_ms;
	struct buf in;
	size_t read_ct;
	size_t scanned_ct; /* behind that, without a line's end */
	char peer[TCP_ADDRESS_TEXT];
};

static void release(struct tcp_socket *s)
{
	struct pm_tcp *tcp = (struct pm_tcp *)(void *)s; /* its first member */
	buf_fini(&tcp->in);
	free(tcp);
}

struct pm_tcp *tcp_new(struct pm_task *task, int fd, const struct tcp_address *peer)
{
	static const int on = 1;
	struct pm_tcp *tcp = calloc(1, sizeof *tcp);
	if (tcp) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		tcp->timeout_ms = PM_FOREVER;
		tcp_address_text(peer, tcp->peer);
		tcp_socket_init(&tcp->socket, task, fd, release);
	}
	return tcp;
}

void tcp_give(struct pm_tcp *tcp, struct pm_task *task)
{
	tcp_disown(&tcp->socket.owned);
	tcp_own(task, &tcp->socket.owned);
}

void pm_tcp_close(pm_tcp *tcp)
{
	if (tcp) {
		tcp_socket_close(&tcp->socket);
	}
}

int pm_tcp_shutdown(pm_tcp *tcp)
{
	return shutdown(tcp->socket.fd, SHUT_WR) == 0 ? 0 : PM_ERESET;
}

void pm_tcp_set_timeout(pm_tcp *tcp, int timeout_ms)
{
	tcp->timeout_ms = timeout_ms;
}

const char *pm_tcp_peer(const pm_tcp *tcp)
{
	return tcp->peer;
}

static int fail_errno(struct pm_task *task, const struct pm_tcp *tcp, int code)
{
	return tcp_fail_errno(task, PM_ERESET, code, tcp->peer);
}

static int wait_for(struct pm_task *task, struct pm_tcp *tcp, unsigned events)
{
	int err = tcp_socket_wait(&tcp->socket, task, events, tcp->timeout_ms);
	return err == PM_ETIMEDOUT ? fail_errno(task, tcp, ETIMEDOUT) : err;
}

static int yield(struct pm_task *task, struct pm_tcp *tcp, unsigned events)
{
	int err = tcp_socket_yield(&tcp->socket, task, events, tcp->timeout_ms);
	return err == PM_ETIMEDOUT ? fail_errno(task, tcp, ETIMEDOUT) : err;
}

/* -------------------------------------------------------------------- reading */

/* From the socket; *len 0 is the end. */
static int receive(
	struct pm_task *task, struct pm_tcp *tcp, void *buf, size_t size, size_t *len)
{
	for (;;) {
		int err = yield(task, tcp, PM_READ);
		if (err) {
			return err;
		}
		ssize_t n = recv(tcp->socket.fd, buf, size, 0);
		if (n >= 0) {
			*len = (size_t)n;
			return 0;
		}
		if (tcp_would_block(errno)) {
			err = wait_for(task, tcp, PM_READ);
		} else if (errno != EINTR) {
			err = fail_errno(task, tcp, errno);
		}
		if (err) {
			return err;
		}
	}
}

/* What is left of lines. */
static size_t take_received(struct pm_tcp *tcp, void *buf, size_t size)
{
	size_t left = tcp->in.len - tcp->read_ct;
	size_t ct = left < size ? left : size;
	if (ct) {
		memcpy(buf, tcp->in.data + tcp->read_ct, ct);
		tcp->read_ct += ct;
		tcp->scanned_ct = 0;
	}
	return ct;
}

static int read_some(
	struct pm_task *task, struct pm_tcp *tcp, void *buf, size_t size, size_t *len)
{
	size_t ct = take_received(tcp, buf, size);
	if (ct) {
		*len = ct;
		return 0;
	}
	return receive(task, tcp, buf, size, len);
}

int pm_tcp_read(pm_task *task, pm_tcp *tcp, void *buf, size_t size, size_t *len)
{
	if (!buf || !size || !len) {
		return tcp_fail(task, PM_EINVAL, "pm_tcp_read() needs room");
	}
	int err = tcp_socket_begin(&tcp->socket, task);
	if (!err) {
		err = read_some(task, tcp, buf, size, len);
		tcp_socket_end(&tcp->socket);
	}
	return err;
}

static int fail_truncated(
	struct pm_task *task, const struct pm_tcp *tcp, size_t got, size_t size)
{
	char text[TCP_ADDRESS_TEXT + 100];
	snprintf(text, sizeof text, "%s: the end after %zu of %zu bytes", tcp->peer,
		got, size);
	return tcp_fail(task, PM_ETRUNCATED, text);
}

static int read_all(struct pm_task *task, struct pm_tcp *tcp, char *buf, size_t size)
{
	for (size_t got = 0, len; got < size; got += len) {
		int err = read_some(task, tcp, buf + got, size - got, &len);
		if (err) {
			return err;
		}
		if (len == 0) {
			return fail_truncated(task, tcp, got, size);
		}
	}
	return 0;
}

int pm_tcp_read_exactly(pm_task *task, pm_tcp *tcp, void *buf, size_t size)
{
	int err = tcp_socket_begin(&tcp->socket, task);
	if (!err) {
		err = read_all(task, tcp, buf, size);
		tcp_socket_end(&tcp->socket);
	}
	return err;
}

/* ---------------------------------------------------------------------- lines */

static int fail_line(struct pm_task *task, const struct pm_tcp *tcp, size_t max)
{
	char text[TCP_ADDRESS_TEXT + 100];
	snprintf(text, sizeof text, "%s: a line is longer than %zu bytes", tcp->peer,
		max);
	return tcp_fail(task, PM_ETOOBIG, text);
}

/* Append to what was received; *ended when that is all.  By way of the stack: another
 * task may move the buffer during a wait. */
static int receive_more(struct pm_task *task, struct pm_tcp *tcp, bool *ended)
{
	char chunk[4096];
	size_t len;
	int err = receive(task, tcp, chunk, sizeof chunk, &len);
	if (err) {
		return err;
	}
	buf_consume(&tcp->in, tcp->read_ct);
	tcp->read_ct = 0;
	*ended = len == 0;
	err = buf_put(&tcp->in, chunk, len);
	return err ? tcp_fail(task, err, pm_error_text(err)) : 0;
}

/* The next line's length with its "\n"; 0: it is not complete. */
static size_t find_line(struct pm_tcp *tcp)
{
	size_t left = tcp->in.len - tcp->read_ct;
	if (left <= tcp->scanned_ct) {
		return 0;
	}
	const char *from = tcp->in.data + tcp->read_ct;
	const char *end = memchr(from + tcp->scanned_ct, '\n', left - tcp->scanned_ct);
	if (!end) {
		tcp->scanned_ct = left;
	}
	return end ? (size_t)(end - from) + 1 : 0;
}

/* No end so far, and no room for one: only "\r\n" may be behind the last byte. */
static bool is_too_long(const struct pm_tcp *tcp, size_t max)
{
	size_t left = tcp->in.len - tcp->read_ct;
	return left > max && (left - max > 1 || tcp->in.data[tcp->in.len - 1] != '\r');
}

/* Hand out `len` bytes, and skip `size`. */
static int give_line(struct pm_tcp *tcp, size_t len, size_t size, const char **line,
	size_t *line_len)
{
	char *text = tcp->in.data + tcp->read_ct;
	text[len] = '\0';
	*line = text;
	*line_len = len;
	tcp->read_ct += size;
	tcp->scanned_ct = 0;
	return 0;
}

static int take_line(struct pm_task *task, struct pm_tcp *tcp, size_t size, size_t max,
	const char **line, size_t *line_len)
{
	const char *text = tcp->in.data + tcp->read_ct;
	size_t len = size - 1;
	len -= len > 0 && text[len - 1] == '\r';
	return len > max ? fail_line(task, tcp, max)
			 : give_line(tcp, len, size, line, line_len);
}

/* What has no end but that of the connection is a line, too. */
static int take_rest(struct pm_task *task, struct pm_tcp *tcp, size_t max,
	const char **line, size_t *line_len)
{
	size_t left = tcp->in.len - tcp->read_ct;
	if (left == 0) {
		*line = NULL;
		*line_len = 0;
		return 0;
	}
	if (left > max) {
		return fail_line(task, tcp, max);
	}
	if (!buf_text(&tcp->in)) {
		return tcp_fail(task, PM_ENOMEM, pm_error_text(PM_ENOMEM));
	}
	return give_line(tcp, left, left, line, line_len);
}

static int read_line(struct pm_task *task, struct pm_tcp *tcp, size_t max,
	const char **line, size_t *len)
{
	bool ended = false;
	for (;;) {
		size_t size = find_line(tcp);
		if (size) {
			return take_line(task, tcp, size, max, line, len);
		}
		if (ended) {
			return take_rest(task, tcp, max, line, len);
		}
		if (is_too_long(tcp, max)) {
			return fail_line(task, tcp, max);
		}
		int err = receive_more(task, tcp, &ended);
		if (err) {
			return err;
		}
	}
}

int pm_tcp_read_line(
	pm_task *task, pm_tcp *tcp, size_t max, const char **line, size_t *len)
{
	if (!line || !len) {
		return tcp_fail(
			task, PM_EINVAL, "pm_tcp_read_line() needs a place for it");
	}
	int err = tcp_socket_begin(&tcp->socket, task);
	if (!err) {
		err = read_line(task, tcp, max, line, len);
		tcp_socket_end(&tcp->socket);
	}
	return err;
}

/* -------------------------------------------------------------------- writing */

/* As much as there is room for. */
static int send_some(struct pm_task *task, struct pm_tcp *tcp, const char *bytes,
	size_t len, size_t *sent)
{
	int err = yield(task, tcp, PM_WRITE);
	if (err) {
		return err;
	}
	ssize_t n = send(tcp->socket.fd, bytes, len, MSG_NOSIGNAL);
	if (n >= 0) {
		*sent += (size_t)n;
		return 0;
	}
	if (tcp_would_block(errno)) {
		return wait_for(task, tcp, PM_WRITE);
	}
	return errno == EINTR ? 0 : fail_errno(task, tcp, errno);
}

int pm_tcp_write(pm_task *task, pm_tcp *tcp, const void *bytes, size_t len)
{
	size_t sent = 0;
	int err = tcp_socket_begin(&tcp->socket, task);
	if (err) {
		return err;
	}
	while (!err && sent < len) {
		err = send_some(
			task, tcp, (const char *)bytes + sent, len - sent, &sent);
	}
	tcp_socket_end(&tcp->socket);
	return err;
}
