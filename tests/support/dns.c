/* SPDX-License-Identifier: MIT
 *
 * dns - see dns.h.
 *
 * One thread that reads a packet, and answers it from the question alone; the counts
 * are atomic, as the test reads them meanwhile.
 */
#include "tests/support/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_AAAA = 28,
	HEAD = 12,
	PACKET = 512,
	SEEN = 1 << 17, /* slots for hashes of names; never more than half full */
	HELD = 4096,
	NXDOMAIN = 3,
	SERVFAIL = 2,
};

struct packet {
	struct sockaddr_in from;
	unsigned char bytes[PACKET];
	size_t len;
};

struct dns {
	int fd, wake;
	pthread_t thread;
	char servers[32];
	atomic_uint queries, repeats, held_ct;
	atomic_bool stop, release;
	uint64_t *seen;
	struct packet *held;
	unsigned turns;
};

/* What is asked for. */
struct question {
	char name[256]; /* lower case, with dots */
	unsigned type;
	size_t end; /* of the question in the packet */
};

struct reply {
	unsigned char bytes[PACKET];
	size_t len;
	unsigned answers, code;
	uint32_t ttl;
};

/* ------------------------------------------------------------------------ packets */

static bool read_question(const struct packet *p, struct question *q)
{
	size_t at = HEAD, out = 0;
	while (at < p->len && p->bytes[at]) {
		size_t n = p->bytes[at++];
		if (n > 63 || at + n >= p->len || out + n + 1 >= sizeof(q->name)) {
			return false;
		}
		for (size_t i = 0; i < n; i++) {
			unsigned char c = p->bytes[at++];
			q->name[out++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		}
		q->name[out++] = '.';
	}
	q->name[out ? out - 1 : 0] = '\0';
	if (at + 5 > p->len) {
		return false;
	}
	q->type = (unsigned)p->bytes[at + 1] << 8 | p->bytes[at + 2];
	q->end = at + 5;
	return true;
}

static void put16(struct reply *r, unsigned value)
{
	r->bytes[r->len++] = (unsigned char)(value >> 8);
	r->bytes[r->len++] = (unsigned char)value;
}

/* For the name of the question. */
static void put_record(
	struct reply *r, unsigned type, const unsigned char *data, size_t len)
{
	if (r->len + 12 + len > sizeof(r->bytes)) {
		return;
	}
	put16(r, 0xc000 | HEAD);
	put16(r, type);
	put16(r, 1);
	put16(r, r->ttl >> 16);
	put16(r, r->ttl & 0xffff);
	put16(r, (unsigned)len);
	memcpy(r->bytes + r->len, data, len);
	r->len += len;
	r->answers++;
}

/* ------------------------------------------------------------------------ answers */

static void put_v4(struct reply *r, const struct question *q, uint32_t address)
{
	unsigned char data[] = {(unsigned char)(address >> 24),
		(unsigned char)(address >> 16), (unsigned char)(address >> 8),
		(unsigned char)address};
	if (q->type == TYPE_A) {
		put_record(r, TYPE_A, data, sizeof(data));
	}
}

static void put_v6(struct reply *r, const struct question *q, const char *address)
{
	unsigned char data[16];
	if (q->type == TYPE_AAAA && inet_pton(AF_INET6, address, data) == 1) {
		put_record(r, TYPE_AAAA, data, sizeof(data));
	}
}

/* a-127-0-0-1-127-0-0-2 */
static void put_spelled(struct reply *r, const struct question *q)
{
	unsigned a, b, c, d;
	int used;
	const char *at = q->name + 1;
	while (sscanf(at, "-%u-%u-%u-%u%n", &a, &b, &c, &d, &used) == 4) {
		put_v4(r, q, a << 24 | b << 16 | c << 8 | d);
		at += used;
	}
}

static void put_numbered(struct reply *r, const struct question *q)
{
	uint32_t n = (uint32_t)strtoul(q->name + 1, NULL, 10);
	put_v4(r, q, 0x7f010001u + n);
}

/* The name that is the alias's real one is not asked for. */
static void put_alias(struct reply *r, const struct question *q)
{
	static const unsigned char real[] = "\4real\4test";
	static const unsigned char home[] = {127, 0, 0, 1};
	put_record(r, TYPE_CNAME, real, sizeof(real));
	size_t name_at = r->len - sizeof(real);
	if (q->type != TYPE_A) {
		return;
	}
	put_record(r, TYPE_A, home, sizeof(home));
	size_t owner = r->len - sizeof(home) - 12;
	r->bytes[owner] = (unsigned char)(0xc0 | name_at >> 8);
	r->bytes[owner + 1] = (unsigned char)name_at;
}

static bool begins(const struct question *q, const char *label)
{
	size_t n = strlen(label);
	return strncmp(q->name, label, n) == 0 &&
	       (q->name[n] == '.' || q->name[n] == '-');
}

static void put_answers(struct dns *d, struct reply *r, const struct question *q)
{
	if (begins(q, "a")) {
		put_spelled(r, q);
	} else if (q->name[0] == 'h' && q->name[1] >= '0' && q->name[1] <= '9') {
		put_numbered(r, q);
	} else if (begins(q, "six")) {
		put_v6(r, q, "::1");
	} else if (begins(q, "mapped")) {
		put_v6(r, q, "::ffff:127.0.0.1");
	} else if (begins(q, "both")) {
		put_v4(r, q, INADDR_LOOPBACK);
		put_v6(r, q, "::1");
	} else if (begins(q, "alias")) {
		put_alias(r, q);
	} else if (begins(q, "turns")) {
		put_v4(r, q, d->turns++ % 2 ? INADDR_LOOPBACK : 0x01010101);
	} else if (begins(q, "slow")) {
		put_v4(r, q, INADDR_LOOPBACK);
	} else if (begins(q, "fail")) {
		r->code = SERVFAIL;
	} else if (!begins(q, "empty")) {
		r->code = NXDOMAIN;
	}
}

static void answer(struct dns *d, const struct packet *p, const struct question *q)
{
	const char *ttl = strstr(q->name, "ttl-");
	struct reply r = {
		.len = q->end, .ttl = ttl ? (uint32_t)strtoul(ttl + 4, NULL, 10) : 60};
	memcpy(r.bytes, p->bytes, q->end);
	put_answers(d, &r, q);
	r.bytes[2] = 0x81; /* an answer, to one who wants recursion */
	r.bytes[3] = (unsigned char)(0x80 | r.code);
	memset(r.bytes + 4, 0, 8);
	r.bytes[5] = 1;
	r.bytes[7] = (unsigned char)r.answers;
	if (begins(q, "garbage")) {
		memset(r.bytes + 2, 0xff, r.len - 2);
	}
	(void)sendto(d->fd, r.bytes, r.len, 0, (const struct sockaddr *)&p->from,
		sizeof(p->from));
}

/* ------------------------------------------------------------------------- server */

static void count(struct dns *d, const struct question *q)
{
	uint64_t hash = 14695981039346656037u ^ q->type;
	for (const char *c = q->name; *c; c++) {
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	}
	hash += !hash;
	size_t at = hash % SEEN;
	while (d->seen[at] && d->seen[at] != hash) {
		at = (at + 1) % SEEN;
	}
	atomic_fetch_add(&d->queries, 1);
	if (d->seen[at]) {
		atomic_fetch_add(&d->repeats, 1);
	}
	d->seen[at] = hash;
}

static void hold(struct dns *d, const struct packet *p)
{
	unsigned ct = atomic_load(&d->held_ct);
	if (ct < HELD) {
		d->held[ct] = *p;
		atomic_store(&d->held_ct, ct + 1);
	}
}

static void release(struct dns *d)
{
	struct question q;
	for (unsigned i = 0; d->held && i < atomic_load(&d->held_ct); i++) {
		if (read_question(&d->held[i], &q)) {
			answer(d, &d->held[i], &q);
		}
	}
	free(d->held);
	d->held = NULL;
}

static void serve_one(struct dns *d)
{
	struct packet p;
	struct question q;
	socklen_t len = sizeof(p.from);
	ssize_t n = recvfrom(d->fd, p.bytes, sizeof(p.bytes), MSG_DONTWAIT,
		(struct sockaddr *)&p.from, &len);
	p.len = n > 0 ? (size_t)n : 0;
	if (p.len < HEAD || !read_question(&p, &q)) {
		return;
	}
	count(d, &q);
	if (begins(&q, "slow") && d->held) {
		hold(d, &p);
	} else if (!begins(&q, "silent")) {
		answer(d, &p, &q);
	}
}

static void *serve(void *ctx)
{
	struct dns *d = ctx;
	while (!atomic_load(&d->stop)) {
		uint64_t unused;
		struct pollfd fds[] = {{.fd = d->fd, .events = POLLIN},
			{.fd = d->wake, .events = POLLIN}};
		(void)poll(fds, 2, -1);
		if (fds[1].revents && read(d->wake, &unused, sizeof(unused)) > 0 &&
			atomic_load(&d->release)) {
			release(d);
		}
		if (fds[0].revents) {
			serve_one(d);
		}
	}
	return NULL;
}

struct dns *dns_start(void)
{
	struct dns *d = calloc(1, sizeof(*d));
	struct sockaddr_in own = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(own);
	int room = 1 << 20;
	if (!d) {
		abort();
	}
	d->seen = calloc(SEEN, sizeof(*d->seen));
	d->held = calloc(HELD, sizeof(*d->held));
	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	d->wake = eventfd(0, EFD_CLOEXEC);
	(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (!d->seen || !d->held || d->wake < 0 ||
		bind(d->fd, (struct sockaddr *)&own, sizeof(own)) ||
		getsockname(d->fd, (struct sockaddr *)&own, &len) ||
		pthread_create(&d->thread, NULL, serve, d)) {
		abort();
	}
	snprintf(d->servers, sizeof(d->servers), "127.0.0.1:%u", ntohs(own.sin_port));
	return d;
}

static void wake(struct dns *d)
{
	uint64_t one = 1;
	if (write(d->wake, &one, sizeof(one)) < 0) {
		abort();
	}
}

void dns_stop(struct dns *d)
{
	atomic_store(&d->stop, true);
	wake(d);
	pthread_join(d->thread, NULL);
	close(d->fd);
	close(d->wake);
	free(d->seen);
	free(d->held);
	free(d);
}

void dns_release(struct dns *d)
{
	atomic_store(&d->release, true);
	wake(d);
}

const char *dns_servers(const struct dns *d)
{
	return d->servers;
}

unsigned dns_query_ct(const struct dns *d)
{
	return atomic_load(&d->queries);
}

unsigned dns_repeat_ct(const struct dns *d)
{
	return atomic_load(&d->repeats);
}

uint64_t dns_cpu_us(const struct dns *d)
{
	clockid_t clock;
	struct timespec ts;
	if (pthread_getcpuclockid(d->thread, &clock) || clock_gettime(clock, &ts)) {
		abort();
	}
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

unsigned dns_held_ct(const struct dns *d)
{
	return atomic_load(&d->held_ct);
}
