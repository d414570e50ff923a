/* SPDX-License-Identifier: MIT
 *
 * raw_get - HTTP by hand over a TCP connection: write a request, read to the end.
 * The twin of asyncio's open_connection(), with a reader and a writer.
 *
 *   raw_get HOST PORT PATH
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target {
	char host[100], path[200];
	uint16_t port;
};

static int fetch(pm_task *task, const void *arg, size_t len)
{
	const struct target *to = arg;
	char text[4096];
	size_t got = 0;
	pm_tcp *tcp;
	int err = pm_tcp_connect(task, to->host, to->port, 10000, &tcp);
	if (err) {
		return err;
	}
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n",
		to->path, to->host);
	err = pm_tcp_write(task, tcp, text, (size_t)n);
	while (!err && got < sizeof text) {
		err = pm_tcp_read(task, tcp, text + got, sizeof text - got, &len);
		if (err || len == 0) {
			break;
		}
		got += len;
	}
	return err ? err : pm_return(task, text, got);
}

int main(int argc, char **argv)
{
	struct target to = {.host = "127.0.0.1", .path = "/", .port = 8080};
	struct pm_result r;
	pm_pool *pool;
	if (argc == 4) {
		snprintf(to.host, sizeof to.host, "%s", argv[1]);
		to.port = (uint16_t)strtoul(argv[2], NULL, 10);
		snprintf(to.path, sizeof to.path, "%s", argv[3]);
	}
	if (pm_pool_open(&pool, NULL) || pm_apply(pool, fetch, &to, sizeof(to), &r)) {
		fprintf(stderr, "raw_get: %s\n", pm_last_error());
		return 1;
	}
	printf("%s\n", r.error ? r.message : (char *)r.bytes);
	pm_results_clear(&r, 1);
	pm_pool_close(&pool);
}
