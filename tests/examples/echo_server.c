/* SPDX-License-Identifier: MIT
 *
 * echo_server - a TCP server that sends back what it gets, in upper case; it serves
 * any number of clients at once, each in a coroutine of its own.
 * The twin of a gevent server that spawns a greenlet for each connection; its
 * clients are echo_clients.c.  It prints where it listens, and runs until it is
 * interrupted.
 *
 *   echo_server [PORT]
 */
#include <ctype.h>
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>

/* The connection is closed when this returns. */
static int communicate(pm_task *task, pm_tcp *tcp, void *ctx)
{
	char data[1024];
	size_t len;
	int err;
	(void)ctx;
	while (!(err = pm_tcp_read(task, tcp, data, sizeof data, &len)) && len > 0) {
		for (size_t i = 0; i < len; i++) {
			data[i] = (char)toupper((unsigned char)data[i]);
		}
		if ((err = pm_tcp_write(task, tcp, data, len))) {
			break;
		}
	}
	return err;
}

static int serve(pm_task *task, const void *arg, size_t len)
{
	uint16_t port = *(const uint16_t *)arg;
	pm_tcp_listener *listener;
	(void)len;
	int err = pm_tcp_listen(task, "127.0.0.1", port, &listener);
	if (err) {
		return err;
	}
	dprintf(1, "listening 127.0.0.1:%u\n", pm_tcp_port(listener));
	return pm_tcp_serve(task, listener, 1000, communicate, NULL);
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0;
	pm_process *server;
	if (pm_process_start(&server, serve, &port, sizeof(port), "server") ||
		pm_process_join(server, PM_FOREVER)) {
		fprintf(stderr, "echo_server: %s\n", pm_last_error());
		return 1;
	}
	/* only an error ends it */
	fprintf(stderr, "echo_server: %s\n", pm_process_result(server)->message);
	(void)!pm_process_close(&server);
	return 1;
}
