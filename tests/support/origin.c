/* SPDX-License-Identifier: MIT
 *
 * origin - a scripted HTTP origin server on loopback, for tests.
 *
 * Runs in: a process of its own, started by a test.  Prints one line,
 * "listening 127.0.0.1:PORT", and serves until its standard input ends, so
 * that it cannot outlive the test that holds the other end; or until SIGTERM.
 * It must never listen on anything but loopback.
 */
#include "tests/support/origin.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char help[] =
	"usage: origin [--port N] [--addresses N] [--tls DIR] [--linger]\n"
	"A scripted HTTP/1.1 server on 127.0.0.1, for tests.  Prints\n"
	"\"listening 127.0.0.1:PORT\" and serves until standard input ends.\n"
	"\n"
	"  --port N    listen on port N; default: any free one\n"
	"  --addresses N   the same port on N more addresses, 127.1.0.1 and those "
	"after\n"
	"              it; each is a descriptor\n"
	"  --tls DIR   TLS as well: write certificates for clients into DIR, and say\n"
	"              \"tls NAME 127.0.0.1:PORT\" for each of good, wrong-host,\n"
	"              expired, self-signed, unknown-ca, client (wants a "
	"certificate),\n"
	"              no-sessions (none is resumed),\n"
	"              h2, h2-refuse, h2-reset, h2-away, h2-bomb, h2-cut (HTTP/2,\n"
	"              right and wrong)\n"
	"  --linger    do not watch standard input; end by SIGTERM\n"
	"  --help      this text\n"
	"\n"
	"Paths (N, MS, BYTES are numbers; NAME is any text without a slash):\n"
	"  /  /status/N  /delay/MS  /size/BYTES[?chunked]  /bytes/BYTES[?chunked]\n"
	"  /redirect/N  /redirect-to?url=ESCAPED  /loop  /echo  /headers/N\n"
	"  /bigheader/BYTES  /endless  /reset  /reset/BYTES  /close\n"
	"  /gzip/BYTES  /two-lengths  /length-and-chunks\n"
	"  /truncate/BYTES  /drip/BYTES/MS  /hang  /garbage  /once/ANY\n"
	"  /count/NAME  /unstable/NAME/K  /hold/NAME  /release/NAME\n"
	"  /refuse/STATUS/WHEN/NAME/K  /reset-first/NAME/K  /bucket/RATE/BURST/ANY\n"
	"  /robots.txt  /set-robots/HOST  /counts  /reset-counts  /log  /log-start\n";

enum { ADDRESSES_MAX = 100000 };

struct options {
	uint16_t port;
	unsigned addresses;
	const char *tls_dir;
	bool linger, help;
};

struct loop {
	struct server server;
	struct event lifeline, sigterm;
	struct port *ports;
};

/* ----------------------------------------------------------------- options */

static bool number_parse(
	const char *option, const char *text, unsigned max, unsigned *number)
{
	uint64_t n;
	if (!slice_number((struct slice){text, strlen(text)}, 10, max, &n)) {
		fprintf(stderr, "origin: --%s %s: not a number from 0 to %u\n", option,
			text, max);
		return false;
	}
	*number = (unsigned)n;
	return true;
}

static bool options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"port", required_argument, NULL, 'p'},
		{"addresses", required_argument, NULL, 'a'},
		{"tls", required_argument, NULL, 't'},
		{"linger", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;
	unsigned port = 0;
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == '?' ||
			(opt == 'p' && !number_parse("port", optarg, 65535, &port)) ||
			(opt == 'a' && !number_parse("addresses", optarg, ADDRESSES_MAX,
					       &o->addresses))) {
			return false;
		}
		o->tls_dir = opt == 't' ? optarg : o->tls_dir;
		o->linger |= opt == 'l';
		o->help |= opt == 'h';
	}
	if (optind < argc) {
		fprintf(stderr, "origin: %s: no arguments are taken\n", argv[optind]);
		return false;
	}
	o->port = (uint16_t)port;
	return true;
}

/* -------------------------------------------------------------------- loop */

static void on_lifeline(evutil_socket_t fd, short what, void *ctx)
{
	struct loop *l = ctx;
	char bytes[256];
	(void)what;
	if (read(fd, bytes, sizeof(bytes)) <= 0) {
		event_base_loopbreak(l->server.base);
	}
}

static void on_sigterm(evutil_socket_t signal, short what, void *ctx)
{
	struct loop *l = ctx;
	(void)signal;
	(void)what;
	event_base_loopbreak(l->server.base);
}

static void on_reap(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	conn_reap(ctx);
}

/* Precise timers: /delay/MS must never answer early, and the coarse clock may. */
static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;
	if (config) {
		event_config_set_flag(
			config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
					EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
					EVENT_BASE_FLAG_PRECISE_TIMER);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	return base;
}

static bool server_init(struct server *s)
{
	list_init(&s->conns);
	list_init(&s->dead);
	list_init(&s->held);
	s->base = base_new();
	s->scratch = evbuffer_new();
	if (!s->base || !s->scratch) {
		fprintf(stderr, "origin: no memory for an event loop\n");
		return false;
	}
	event_assign(&s->reaper, s->base, -1, 0, on_reap, s);
	return true;
}

static bool loop_watch(struct loop *l, bool linger)
{
	struct event_base *base = l->server.base;
	evsignal_assign(&l->sigterm, base, SIGTERM, on_sigterm, l);
	event_assign(
		&l->lifeline, base, STDIN_FILENO, EV_READ | EV_PERSIST, on_lifeline, l);
	if (event_add(&l->sigterm, NULL)) {
		fprintf(stderr, "origin: cannot watch SIGTERM: %s\n", strerror(errno));
		return false;
	}
	if (!linger && event_add(&l->lifeline, NULL)) {
		fprintf(stderr,
			"origin: standard input cannot be watched: %s; "
			"give it a pipe, or use --linger\n",
			strerror(errno));
		return false;
	}
	return true;
}

static void loop_fini(struct loop *l)
{
	struct server *s = &l->server;
	conn_reap_all(s);
	server_tallies_fini(s);
	robots_fini(s);
	log_fini(&s->log);
	ports_close(l->ports);
	event_del(&l->sigterm);
	event_del(&l->lifeline);
	event_del(&s->reaper);
	event_base_free(s->base);
	evbuffer_free(s->scratch);
}

static void raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int serve(const struct options *o)
{
	static struct loop loop;
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	if (!server_init(&loop.server)) {
		return 1;
	}
	/* Said last, when everything else is in place: who reads it may go on. */
	loop.ports = ports_open(&loop.server, o->port, o->addresses, o->tls_dir);
	if (!loop.ports || !loop_watch(&loop, o->linger) ||
		!ports_announce(loop.ports)) {
		return 1;
	}
	int rc = event_base_dispatch(loop.server.base);
	loop_fini(&loop);
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	if (!options_parse(&options, argc, argv)) {
		fputs("origin: try --help\n", stderr);
		return 2;
	}
	if (options.help) {
		fputs(help, stdout);
		return 0;
	}
	return serve(&options);
}
