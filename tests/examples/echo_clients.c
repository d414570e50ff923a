/* SPDX-License-Identifier: MIT
 *
 * echo_clients - 500 users of an echo server, all at once: each sends lines and
 * waits for the answers.
 * The twin of 500 Python threads with a socket each; the server is echo_server.c.
 *
 *   echo_clients PORT
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 500, ROUNDS = 3 };

struct client {
	unsigned number;
	uint16_t port;
};

static int talk(pm_task *task, const void *arg, size_t len)
{
	const struct client *c = arg;
	const char *line = NULL;
	char hello[64];
	pm_tcp *tcp;
	int err = pm_tcp_connect(task, "127.0.0.1", c->port, 10000, &tcp);
	int n = snprintf(hello, sizeof hello, "client %u: hello\n", c->number);
	for (int i = 0; i < ROUNDS && !err; i++) {
		err = pm_tcp_write(task, tcp, hello, (size_t)n);
		if (!err) {
			err = pm_tcp_read_line(task, tcp, 1024, &line, &len);
		}
	}
	if (err || !line) {
		return err ? err : pm_fail(task, 1, "the server hung up");
	}
	return pm_return(task, line, len);
}

int main(int argc, char **argv)
{
	uint16_t port = (uint16_t)strtoul(argc > 1 ? argv[1] : "7777", NULL, 10);
	struct client clients[CLIENTS];
	struct pm_result results[CLIENTS];
	struct pm_pool_options options;
	pm_pool *pool;
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){.number = i + 1, .port = port};
	}
	pm_pool_options_init(&options);
	options.concurrency = CLIENTS;
	if (pm_pool_open(&pool, &options) ||
		pm_starmap(pool, talk, clients, sizeof(clients[0]), CLIENTS, results)) {
		fprintf(stderr, "echo_clients: %s\n", pm_last_error());
		return 1;
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		printf("%s\n", results[i].error ? results[i].message
						: (char *)results[i].bytes);
	}
	pm_results_clear(results, CLIENTS);
	pm_pool_close(&pool);
}
