/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/tcp*: connections and listeners, in tasks that run on the real
 * runner.  The other side is another task, or a socket of the test's.
 *
 * Names are answered by the test: see getaddrinfo() below.
 */
#include "tests/unit/io_rig.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* ----------------------------------------------------------------------- names */

typedef int getaddrinfo_fn(
	const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int slow[2]; /* a pipe: slow.test is looked up when it has a byte */
static atomic_uint lookups;
static atomic_int unfreed; /* questions asked whose answer is not given back */

static struct addrinfo *numeric(getaddrinfo_fn *real, const char *host,
	const char *port, struct addrinfo *behind)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	if (real(host, port, &hints, &found)) {
		abort();
	}
	found->ai_next = behind;
	return found;
}

static int answer(getaddrinfo_fn *real, const char *host, const char *port,
	struct addrinfo **found)
{
	char byte;
	if (strcmp(host, "none.test") == 0) {
		return EAI_NONAME;
	}
	if (strcmp(host, "system.test") == 0) {
		errno = EMFILE;
		return EAI_SYSTEM;
	}
	if (strcmp(host, "slow.test") == 0) {
		(void)!read(slow[0], &byte, 1);
	}
	if (strcmp(host, "late.test") == 0) {
		*found = numeric(real, "127.0.0.3", port, NULL);
		*found = numeric(real, "127.0.0.1", port, *found);
		return 0;
	}
	if (strcmp(host, "mixed.test") == 0) {
		*found = numeric(real, "::1", port, NULL);
		*found = numeric(real, "::1", port, *found);
		*found = numeric(real, "::1", port, *found);
		*found = numeric(real, "127.0.0.1", port, *found);
		return 0;
	}
	*found = numeric(real, "127.0.0.1", port, NULL);
	if (strcmp(host, "three.test") == 0) { /* they come first */
		*found = numeric(real, "127.0.0.3", port, *found);
		*found = numeric(real, "127.0.0.2", port, *found);
	}
	return 0;
}

/* In place of the C library's: names under "test". */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
	struct addrinfo **found)
{
	getaddrinfo_fn *real;
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
	memcpy(&real, &symbol, sizeof real);
	atomic_fetch_add(&unfreed, 1);
	const char *dot = host ? strrchr(host, '.') : NULL;
	bool ours =
		dot && strcmp(dot, ".test") == 0 && !(hints->ai_flags & AI_NUMERICHOST);
	atomic_fetch_add(&lookups, ours);
	int error =
		ours ? answer(real, host, port, found) : real(host, port, hints, found);
	if (error) {
		atomic_fetch_sub(&unfreed, 1);
	}
	return error;
}

void freeaddrinfo(struct addrinfo *found)
{
	void (*real)(struct addrinfo *);
	void *symbol = dlsym(RTLD_NEXT, "freeaddrinfo");
	memcpy(&real, &symbol, sizeof real);
	real(found);
	atomic_fetch_sub(&unfreed, 1);
}

static bool no_descriptors; /* for one more connection */

/* In place of libc's. */
int accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	if (no_descriptors) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, peer, len, flags);
}

/* ------------------------------------------------------------------ the other side */

static unsigned descriptors_before;

static void open_net(void)
{
	descriptors_before = count_descriptors();
	cr_assert_eq(pipe(slow), 0);
	io_open();
}

static void close_net(void)
{
	io_close();
	close(slow[0]);
	close(slow[1]);
	cr_assert_eq(count_descriptors(), descriptors_before, "some were left open");
	cr_assert_eq(atomic_load(&unfreed), 0);
}

TestSuite(tcp, .init = open_net, .fini = close_net);

static struct sockaddr_in loopback(const char *host, uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	cr_assert_eq(inet_pton(AF_INET, host, &at.sin_addr), 1);
	return at;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof at;
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

/* A blocking socket on any port of 127.0.0.1, which listens if backlog >= 0. */
static int make_listener(int backlog)
{
	struct sockaddr_in at = loopback("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert(backlog < 0 || listen(fd, backlog) == 0);
	return fd;
}

/* Its queue is full: who connects now has no answer. */
static int make_black_hole(int fillers[3])
{
	int fd = make_listener(0);
	struct sockaddr_in at = loopback("127.0.0.1", port_of(fd));
	for (int i = 0; i < 3; i++) {
		fillers[i] =
			socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fillers[i], (struct sockaddr *)&at, sizeof at);
	}
	return fd;
}

static void close_all_of(int fd, const int fillers[3])
{
	close(fd);
	for (int i = 0; i < 3; i++) {
		close(fillers[i]);
	}
}

static void reset_connection(int fd)
{
	struct linger at_once = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(fd);
}

static void send_text(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* A task's connection to the test, which has the other end as `other`. */
static int other = -1;
static int backdoor = -1; /* where it comes in */
static bool connected;

static int connect_to_test(pm_task *task, pm_tcp **tcp)
{
	int err = pm_tcp_connect(task, "127.0.0.1", port_of(backdoor), PM_FOREVER, tcp);
	if (!err) {
		other = accept4(backdoor, NULL, NULL, SOCK_CLOEXEC);
		connected = true;
	}
	return err;
}

static void open_backdoor(void)
{
	backdoor = make_listener(5);
}

static void close_backdoor(void)
{
	close(backdoor);
	if (other >= 0) {
		close(other);
	}
}

static void start_connected(pm_task_fn *fn)
{
	open_backdoor();
	queue(1, fn, NULL, 0);
	run_until_set(&connected);
}

/* --------------------------------------------------------------- hello, both ways */

static struct {
	const char *host; /* to listen on */
	const char *to;   /* to connect to */
	const char *peer; /* in front of the port */
	uint16_t port;
	bool listening;
} echo;

static int echo_server(pm_task *task, const void *arg, size_t len)
{
	pm_tcp_listener *listener;
	pm_tcp *tcp;
	char buf[64], want[64];
	(void)arg;
	REQUIRE(task, pm_tcp_listen(task, echo.host, 0, &listener) == 0);
	echo.port = pm_tcp_port(listener);
	echo.listening = true;
	REQUIRE(task, echo.port != 0);
	REQUIRE(task, pm_tcp_accept(task, listener, PM_FOREVER, &tcp) == 0);
	snprintf(want, sizeof want, "%s:", echo.peer);
	REQUIRE(task, strncmp(pm_tcp_peer(tcp), want, strlen(want)) == 0);
	for (;;) {
		REQUIRE(task, pm_tcp_read(task, tcp, buf, sizeof buf, &len) == 0);
		if (len == 0) {
			pm_tcp_close(tcp);
			pm_tcp_listener_close(listener);
			return 0;
		}
		REQUIRE(task, pm_tcp_write(task, tcp, buf, len) == 0);
	}
}

static int echo_client(pm_task *task, const void *arg, size_t len)
{
	pm_tcp *tcp;
	char buf[64], want[64];
	(void)arg;
	REQUIRE(task, pm_tcp_connect(task, echo.to, echo.port, 10000, &tcp) == 0);
	snprintf(want, sizeof want, "%s:%u", echo.peer, echo.port);
	REQUIRE(task, strcmp(pm_tcp_peer(tcp), want) == 0);
	for (int i = 0; i < 10; i++) {
		REQUIRE(task, pm_tcp_write(task, tcp, "hello", 5) == 0);
		REQUIRE(task, pm_tcp_read_exactly(task, tcp, buf, 5) == 0);
		REQUIRE(task, memcmp(buf, "hello", 5) == 0);
	}
	REQUIRE(task, pm_tcp_shutdown(tcp) == 0);
	REQUIRE(task, pm_tcp_read(task, tcp, buf, sizeof buf, &len) == 0);
	REQUIRE(task, len == 0);
	return 0; /* and does not close it */
}

static void run_echo(const char *host, const char *to, const char *peer)
{
	ended_ct = 0;
	echo.host = host;
	echo.to = to;
	echo.peer = peer;
	echo.listening = false;
	queue(1, echo_server, NULL, 0);
	run_until_set(&echo.listening);
	queue(2, echo_client, NULL, 0);
	run_until(2);
	expect_all_succeed();
}

static bool has_v6(void)
{
	struct sockaddr_in6 at = {
		.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
	close(fd);
	return has;
}

Test(tcp, says_hello_and_goodbye, .timeout = 20)
{
	run_echo("127.0.0.1", "127.0.0.1", "127.0.0.1");
	run_echo(NULL, "127.0.0.1", "127.0.0.1");
	cr_assert_eq(atomic_load(&lookups), 0);
	cr_assert_eq(thread_descriptor(), -1, "a thread for an address");
	run_echo("127.0.0.1", "one.test", "127.0.0.1");
	run_echo("one.test", "three.test", "127.0.0.1");
	cr_assert_eq(atomic_load(&lookups), 3);
}

Test(tcp, speaks_ipv6, .timeout = 20)
{
	if (!has_v6()) {
		cr_skip_test("no IPv6 here");
	}
	run_echo("::1", "::1", "[::1]");
	run_echo(NULL, "::1", "[::1]");
}

/* ------------------------------------------------------------------- connecting */

static struct {
	const char *local;
	const char *host;
	uint16_t port;
	int timeout_ms;
} target;

static int task_connect(pm_task *task, const void *arg, size_t len)
{
	pm_tcp *tcp = NULL;
	(void)arg;
	(void)len;
	int err = pm_tcp_connect_from(
		task, target.local, target.host, target.port, target.timeout_ms, &tcp);
	return !err == !tcp ? PM_EINTERNAL : err;
}

static void expect_no_connection(const char *host, uint16_t port, int timeout_ms,
	int error, int domain, int code)
{
	target.host = host;
	target.port = port;
	target.timeout_ms = timeout_ms;
	run_one(task_connect, NULL, 0);
	const struct pm_failure *f = &ended[0].failure;
	cr_assert_eq(f->error, error, "%s: %s", pm_error_name(f->error), f->message);
	cr_assert_eq(f->domain, domain, "%s", f->message);
	cr_assert_eq(f->code, code, "%s", f->message);
}

Test(tcp, says_who_refused, .timeout = 20)
{
	char want[64];
	int fd = make_listener(-1); /* bound: nobody else gets the port */
	expect_no_connection("127.0.0.1", port_of(fd), PM_FOREVER, PM_ECONNECT,
		PM_DOMAIN_ERRNO, ECONNREFUSED);
	snprintf(want, sizeof want, "127.0.0.1:%u: Connection refused", port_of(fd));
	cr_assert_not_null(
		strstr(ended[0].failure.message, want), "%s", ended[0].failure.message);
	expect_no_connection("three.test", port_of(fd), 10000, PM_ECONNECT,
		PM_DOMAIN_ERRNO, ECONNREFUSED);
	close(fd);
}

Test(tcp, says_which_name_is_unknown, .timeout = 20)
{
	expect_no_connection("none.test", 1, PM_FOREVER, PM_EDNS, PM_DOMAIN_NONE, 0);
	cr_assert_not_null(strstr(ended[0].failure.message, "none.test"));
	expect_no_connection("system.test", 1, 10000, PM_EDNS, PM_DOMAIN_ERRNO, EMFILE);
}

Test(tcp, wants_a_host_and_a_port, .timeout = 20)
{
	expect_no_connection(NULL, 1, 0, PM_EINVAL, PM_DOMAIN_NONE, 0);
	expect_no_connection("", 1, 0, PM_EINVAL, PM_DOMAIN_NONE, 0);
	expect_no_connection("127.0.0.1", 0, 0, PM_EINVAL, PM_DOMAIN_NONE, 0);
}

static void expect_from(int fd, const char *local, const char *host, const char *peer)
{
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	char text[INET_ADDRSTRLEN];
	target.local = local;
	target.host = host;
	target.port = port_of(fd);
	target.timeout_ms = 10000;
	run_one(task_connect, NULL, 0);
	expect_success(0);
	int got = accept4(fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
	cr_assert_geq(got, 0);
	cr_assert_str_eq(inet_ntop(AF_INET, &from.sin_addr, text, sizeof text), peer,
		"%s", host);
	close(got);
}

Test(tcp, connects_from_where_it_is_told, .timeout = 20)
{
	int fd = make_listener(5);
	expect_from(fd, "127.0.0.2", "127.0.0.1", "127.0.0.2");
	expect_from(fd, "127.0.0.3", "three.test", "127.0.0.3");
	expect_from(fd, "lo", "127.0.0.1", "127.0.0.1");
	expect_from(fd, NULL, "127.0.0.1", "127.0.0.1");
	close(fd);
}

Test(tcp, cannot_connect_from_elsewhere, .timeout = 20)
{
	int fd = make_listener(5);
	target.local = "192.0.2.1";
	expect_no_connection("127.0.0.1", port_of(fd), 10000, PM_ECONNECT,
		PM_DOMAIN_ERRNO, EADDRNOTAVAIL);
	target.local = "::1"; /* of another family */
	expect_no_connection("127.0.0.1", port_of(fd), 10000, PM_ECONNECT,
		PM_DOMAIN_ERRNO, EADDRNOTAVAIL);
	target.local = "nosuch0";
	expect_no_connection(
		"127.0.0.1", port_of(fd), 10000, PM_ECONNECT, PM_DOMAIN_ERRNO, ENODEV);
	target.local = "no name";
	expect_no_connection(
		"127.0.0.1", port_of(fd), 10000, PM_EINVAL, PM_DOMAIN_NONE, 0);
	close(fd);
}

Test(tcp, gives_up_connecting_in_time, .timeout = 20)
{
	int fillers[3], fd = make_black_hole(fillers);
	uint64_t before_ms = clock_now_ms();
	expect_no_connection(
		"127.0.0.1", port_of(fd), 30, PM_ETIMEDOUT, PM_DOMAIN_ERRNO, ETIMEDOUT);
	uint64_t took_ms = clock_now_ms() - before_ms;
	cr_assert(took_ms >= 25 && took_ms < 10000, "%ju ms", (uintmax_t)took_ms);
	close_all_of(fd, fillers);
}

/* 127.0.0.1 comes first and never answers; then 127.0.0.3 does not even listen. */
Test(tcp, leaves_time_for_the_other_addresses, .timeout = 20)
{
	int fillers[3], hole = make_black_hole(fillers);
	uint16_t port = port_of(hole);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = loopback("127.0.0.3", port);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(listen(fd, 5), 0);
	target.host = "late.test";
	target.port = port;
	target.timeout_ms = 1200;
	uint64_t before_ms = clock_now_ms();
	run_one(task_connect, NULL, 0);
	expect_success(0);
	cr_assert_lt(clock_now_ms() - before_ms, 1100, "all of it for the first one");
	close(fd);
	expect_no_connection(
		"three.test", port, 60, PM_ETIMEDOUT, PM_DOMAIN_ERRNO, ETIMEDOUT);
	close_all_of(hole, fillers);
}

/* Those that cannot be reached from there need no part of it. */
Test(tcp, has_all_the_time_for_the_addresses_of_its_family, .timeout = 20)
{
	int fillers[3], hole = make_black_hole(fillers);
	uint64_t before_ms = clock_now_ms();
	target.local = "127.0.0.1";
	expect_no_connection("mixed.test", port_of(hole), 400, PM_ETIMEDOUT,
		PM_DOMAIN_ERRNO, ETIMEDOUT);
	cr_assert_geq(clock_now_ms() - before_ms, 390);
	close_all_of(hole, fillers);
}

Test(tcp, stops_connecting_when_it_is_cancelled, .timeout = 20)
{
	int fillers[3], fd = make_black_hole(fillers);
	target.host = "127.0.0.1";
	target.port = port_of(fd);
	target.timeout_ms = PM_FOREVER;
	queue(1, task_connect, NULL, 0);
	turn();
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
	close_all_of(fd, fillers);
}

/* ---------------------------------------------------------------------- look-up */

static void release_lookups(unsigned ct)
{
	for (; ct > 0; ct--) {
		cr_assert_eq(write(slow[1], "x", 1), 1);
	}
}

/* A task that has a name looked up, and the thread is on it. */
static void start_lookup(int timeout_ms, uint16_t port)
{
	unsigned before = atomic_load(&lookups);
	target.host = "slow.test";
	target.port = port;
	target.timeout_ms = timeout_ms;
	ended_ct = 0;
	queue(1, task_connect, NULL, 0);
	turn();
	while (atomic_load(&lookups) == before) {
	}
}

/* Until the loop has heard of what nobody waits for. */
static void settle(void)
{
	while (atomic_load(&unfreed)) {
		turn();
	}
}

Test(tcp, waits_for_a_name, .timeout = 20)
{
	int fd = make_listener(5);
	start_lookup(PM_FOREVER, port_of(fd));
	turn();
	cr_assert_eq(ended_ct, 0);
	release_lookups(1);
	run_until(1);
	expect_success(0);
	close(fd);
}

Test(tcp, does_not_wait_for_a_name_too_long, .timeout = 20)
{
	start_lookup(20, 1);
	run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_ETIMEDOUT);
	cr_assert_eq(ended[0].failure.code, ETIMEDOUT);
	cr_assert_not_null(strstr(ended[0].failure.message, "slow.test"));
	release_lookups(1);
	settle();
}

Test(tcp, forgets_a_name_when_it_is_cancelled, .timeout = 20)
{
	for (int i = 0; i < 2; i++) {
		start_lookup(i ? 60000 : PM_FOREVER, 1);
		cr_assert(runner_cancel(1));
		(void)runner_turn(true);
		cr_assert_eq(ended_ct, 1);
		cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
		cr_assert_eq(
			event_base_get_num_events(rig_base, EVENT_BASE_COUNT_ADDED), 1,
			"a timer is left");
	}
	release_lookups(2);
	settle();
}

/* The answer comes after the cancellation, and before the task knows of that. */
Test(tcp, gets_an_answer_as_it_is_cancelled, .timeout = 20)
{
	start_lookup(60000, 1);
	struct pollfd bell = {.fd = thread_descriptor(), .events = POLLIN};
	cr_assert(runner_cancel(1));
	release_lookups(1);
	cr_assert_eq(poll(&bell, 1, -1), 1);
	turn_loop(false);
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	cr_assert_eq(ended[0].failure.error, PM_ECANCELLED);
	cr_assert_eq(atomic_load(&unfreed), 0);
}

Test(tcp, forgets_a_name_that_waits_for_a_thread, .timeout = 20)
{
	enum { CT = 40 };
	target.host = "slow.test";
	target.port = 1;
	target.timeout_ms = PM_FOREVER;
	for (uint64_t i = 0; i < CT; i++) {
		queue(i, task_connect, NULL, 0);
	}
	turn();
	for (uint64_t i = 0; i < CT; i++) {
		cr_assert(runner_cancel(i));
	}
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, CT);
	release_lookups(CT);
	settle();
	cr_assert_leq(atomic_load(&lookups), PM_THREADS_MAX);
}

/* ------------------------------------------------------------------------ lines */

static struct {
	const char *text;
	size_t max;
	const char *want[5]; /* lines; then the end or an error */
	int error;
} const line_cases[] = {
	{"", 10, {NULL}, 0},
	{"\n", 10, {"", NULL}, 0},
	{"\r\n", 10, {"", NULL}, 0},
	{"one\ntwo\r\nthree\n", 10, {"one", "two", "three", NULL}, 0},
	{"one\nrest", 10, {"one", "rest", NULL}, 0},
	{"rest\r", 10, {"rest\r", NULL}, 0},
	{"a\rb\n\r\r\n", 10, {"a\rb", "\r", NULL}, 0},
	{"\n\n\n", 10, {"", "", "", NULL}, 0},
	{"12345\n", 5, {"12345", NULL}, 0},
	{"12345\r\n12345", 5, {"12345", "12345", NULL}, 0},
	{"123456\n", 5, {NULL}, PM_ETOOBIG},
	{"1\n123456\r\n", 5, {"1", NULL}, PM_ETOOBIG},
	{"123456", 5, {NULL}, PM_ETOOBIG},
	{"12345\r", 5, {NULL}, PM_ETOOBIG},
	{"12345\r6\n", 5, {NULL}, PM_ETOOBIG},
	{"\n\r\nx", 0, {"", "", NULL}, PM_ETOOBIG},
	{"x\ny\n", SIZE_MAX, {"x", "y", NULL}, 0},
};
enum { LINE_CASES = sizeof line_cases / sizeof *line_cases };
static size_t line_case;

static int task_read_lines(pm_task *task, const void *arg, size_t len)
{
	const char *line = "untouched";
	pm_tcp *tcp;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	for (size_t i = 0;; i++) {
		const char *want = line_cases[line_case].want[i];
		int err = pm_tcp_read_line(
			task, tcp, line_cases[line_case].max, &line, &len);
		if (!want) {
			REQUIRE(task, err == line_cases[line_case].error);
			REQUIRE(task, err || (!line && len == 0));
			return 0;
		}
		REQUIRE(task, err == 0);
		REQUIRE(task, line && len == strlen(want) && strcmp(line, want) == 0);
	}
}

/* Send the case, as a whole or byte by byte, and run until the task has ended. */
static void run_lines(bool slowly)
{
	const char *text = line_cases[line_case].text;
	ended_ct = 0;
	connected = false;
	queue(1, task_read_lines, NULL, 0);
	run_until_set(&connected);
	for (; slowly && *text && ended_ct == 0; text++) {
		(void)send(other, text, 1, MSG_NOSIGNAL);
		turn();
	}
	(void)send(other, text, strlen(text), MSG_NOSIGNAL);
	close(other);
	other = -1;
	run_until(1);
	cr_assert_eq(ended[0].failure.error, 0, "case %zu: %s", line_case,
		ended[0].failure.message);
}

Test(tcp, reads_lines, .timeout = 20)
{
	open_backdoor();
	for (line_case = 0; line_case < LINE_CASES; line_case++) {
		run_lines(false);
		run_lines(true);
	}
	close_backdoor();
}

static int task_read_mixed(pm_task *task, const void *arg, size_t len)
{
	const char *line;
	char buf[100];
	pm_tcp *tcp;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	REQUIRE(task, pm_tcp_read_line(task, tcp, 4, &line, &len) == PM_ETOOBIG);
	REQUIRE(task, pm_tcp_read_line(task, tcp, 5, &line, &len) == 0);
	REQUIRE(task, strcmp(line, "first") == 0);
	REQUIRE(task, pm_tcp_read_exactly(task, tcp, buf, 3) == 0);
	REQUIRE(task, memcmp(buf, "123", 3) == 0);
	REQUIRE(task, pm_tcp_read_exactly(task, tcp, buf, 0) == 0);
	REQUIRE(task, pm_tcp_read(task, tcp, buf, 2, &len) == 0);
	REQUIRE(task, len == 2 && memcmp(buf, "45", 2) == 0);
	REQUIRE(task, pm_tcp_read_line(task, tcp, 9, &line, &len) == 0);
	REQUIRE(task, strcmp(line, "6") == 0);
	REQUIRE(task, pm_tcp_read_exactly(task, tcp, buf, 9) == PM_ETRUNCATED);
	REQUIRE(task, strstr(pm_task_failure(task)->message, "4 of 9"));
	REQUIRE(task, pm_tcp_read(task, tcp, buf, 0, &len) == PM_EINVAL);
	return 0;
}

Test(tcp, reads_lines_and_bytes_in_turn, .timeout = 20)
{
	start_connected(task_read_mixed);
	send_text(other, "first\r\n123456\nlast");
	cr_assert_eq(shutdown(other, SHUT_WR), 0);
	run_until(1);
	expect_success(0);
	close_backdoor();
}

enum { LONG = 1000000 };

static int task_read_long_line(pm_task *task, const void *arg, size_t len)
{
	const char *line;
	pm_tcp *tcp;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	REQUIRE(task, pm_tcp_read_line(task, tcp, LONG, &line, &len) == 0);
	REQUIRE(task, len == LONG && strspn(line, "x") == LONG);
	REQUIRE(task, pm_tcp_read_line(task, tcp, LONG, &line, &len) == 0);
	REQUIRE(task, strcmp(line, "short") == 0);
	return 0;
}

Test(tcp, reads_a_long_line, .timeout = 20)
{
	static char text[LONG];
	size_t sent = 0;
	memset(text, 'x', sizeof text);
	start_connected(task_read_long_line);
	while (sent < LONG) {
		ssize_t n = send(other, text + sent, LONG - sent, MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
	send_text(other, "\nshort\n");
	run_until(1);
	expect_success(0);
	close_backdoor();
}

/* ---------------------------------------------------------------------- writing */

enum { MUCH = 8 << 20 };
static unsigned char *much;

static int task_write_much(pm_task *task, const void *arg, size_t len)
{
	pm_tcp *tcp;
	(void)arg;
	(void)len;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	REQUIRE(task, pm_tcp_write(task, tcp, NULL, 0) == 0);
	REQUIRE(task, pm_tcp_write(task, tcp, much, MUCH) == 0);
	return 0;
}

Test(tcp, writes_more_than_fits, .timeout = 20)
{
	much = malloc(MUCH);
	for (size_t i = 0; i < MUCH; i++) {
		much[i] = (unsigned char)(i % 251);
	}
	start_connected(task_write_much);
	turn();
	cr_assert_eq(ended_ct, 0, "all of it fitted");
	size_t got = 0;
	while (got < MUCH) {
		unsigned char buf[65536];
		ssize_t n = recv(other, buf, sizeof buf, MSG_DONTWAIT);
		cr_assert(
			n > 0 || (n < 0 && errno == EAGAIN), "the end after %zu", got);
		for (ssize_t i = 0; i < n; i++) {
			cr_assert_eq(buf[i], (got + (size_t)i) % 251);
		}
		got += n > 0 ? (size_t)n : 0;
		turn();
	}
	run_until(1);
	expect_success(0);
	free(much);
	close_backdoor();
}

Test(tcp, notices_that_nobody_reads_any_more, .timeout = 20)
{
	for (int i = 0; i < 2; i++) {
		ended_ct = 0;
		connected = false;
		much = calloc(1, MUCH);
		start_connected(task_write_much);
		turn();
		if (i) {
			reset_connection(other);
		} else {
			close(other);
		}
		other = -1;
		run_until(1);
		cr_assert_eq(ended[0].failure.error, PM_EFAILED); /* by REQUIRE */
		cr_assert_not_null(strstr(ended[0].failure.message, "reset"));
		free(much);
		close_backdoor();
	}
}

static int task_write_until_error(pm_task *task, const void *arg, size_t len)
{
	pm_tcp *tcp;
	int err = connect_to_test(task, &tcp);
	(void)arg;
	(void)len;
	while (!err) {
		err = pm_tcp_write(task, tcp, "again", 5);
		err = err ? err : pm_sleep(task, 1);
	}
	return err;
}

Test(tcp, does_not_die_of_a_broken_pipe, .timeout = 20)
{
	signal(SIGPIPE, SIG_DFL); /* Criterion ignores it */
	start_connected(task_write_until_error);
	close(other);
	other = -1;
	run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_ERESET);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_ERRNO);
	cr_assert(
		ended[0].failure.code == EPIPE || ended[0].failure.code == ECONNRESET);
	close_backdoor();
}

static int task_write_after_shutdown(pm_task *task, const void *arg, size_t len)
{
	pm_tcp *tcp;
	(void)arg;
	(void)len;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	REQUIRE(task, pm_tcp_shutdown(tcp) == 0);
	return pm_tcp_write(task, tcp, "too late", 8);
}

Test(tcp, writes_no_more_after_a_shutdown, .timeout = 20)
{
	signal(SIGPIPE, SIG_DFL);
	start_connected(task_write_after_shutdown);
	run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_ERESET);
	cr_assert_eq(ended[0].failure.code, EPIPE);
	close_backdoor();
}

/* ------------------------------------------------------------- ends of a connection */

static int task_read_one(pm_task *task, const void *arg, size_t len)
{
	char byte;
	pm_tcp *tcp;
	(void)arg;
	int err = connect_to_test(task, &tcp);
	return err ? err : pm_tcp_read(task, tcp, &byte, 1, &len);
}

Test(tcp, notices_a_reset, .timeout = 20)
{
	char want[64];
	start_connected(task_read_one);
	turn();
	reset_connection(other);
	other = -1;
	run_until(1);
	cr_assert_eq(ended[0].failure.error, PM_ERESET);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_ERRNO);
	cr_assert_eq(ended[0].failure.code, ECONNRESET);
	snprintf(want, sizeof want, "127.0.0.1:%u: ", port_of(backdoor));
	cr_assert_not_null(
		strstr(ended[0].failure.message, want), "%s", ended[0].failure.message);
	close_backdoor();
}

static int task_read_in_time(pm_task *task, const void *arg, size_t len)
{
	char byte = 0;
	pm_tcp *tcp;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	pm_tcp_set_timeout(tcp, 20);
	REQUIRE(task, pm_tcp_read(task, tcp, &byte, 1, &len) == PM_ETIMEDOUT);
	REQUIRE(task, pm_task_failure(task)->code == ETIMEDOUT);
	REQUIRE(task, strstr(pm_task_failure(task)->message, pm_tcp_peer(tcp)));
	pm_tcp_set_timeout(tcp, 0);
	REQUIRE(task, pm_tcp_read(task, tcp, &byte, 1, &len) == PM_ETIMEDOUT);
	send_text(other, "x");
	REQUIRE(task, pm_tcp_read(task, tcp, &byte, 1, &len) == 0);
	REQUIRE(task, byte == 'x');
	pm_tcp_set_timeout(tcp, -5);
	cr_assert_eq(shutdown(other, SHUT_WR), 0);
	return pm_tcp_read(task, tcp, &byte, 1, &len);
}

Test(tcp, waits_no_longer_than_it_is_told, .timeout = 20)
{
	start_connected(task_read_in_time);
	run_until(1);
	expect_success(0);
	close_backdoor();
}

static int task_read_cancelled(pm_task *task, const void *arg, size_t len)
{
	const char *line;
	char byte;
	pm_tcp *tcp;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	REQUIRE(task, pm_tcp_read(task, tcp, &byte, 1, &len) == PM_ECANCELLED);
	send_text(other, "there is something\n");
	REQUIRE(task, pm_tcp_read(task, tcp, &byte, 1, &len) == PM_ECANCELLED);
	REQUIRE(task, pm_tcp_read_line(task, tcp, 9, &line, &len) == PM_ECANCELLED);
	REQUIRE(task, pm_tcp_read_exactly(task, tcp, &byte, 1) == PM_ECANCELLED);
	REQUIRE(task, pm_tcp_write(task, tcp, "x", 1) == PM_ECANCELLED);
	return 0;
}

Test(tcp, does_nothing_more_once_it_is_cancelled, .timeout = 20)
{
	start_connected(task_read_cancelled);
	turn();
	cr_assert(runner_cancel(1));
	run_until(1);
	expect_success(0);
	close_backdoor();
}

static pm_tcp *shared;

static int task_share(pm_task *task, const void *arg, size_t len)
{
	char byte;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &shared) == 0);
	REQUIRE(task, pm_tcp_read(task, shared, &byte, 1, &len) == PM_ESTATE);
	return 0;
}

static int task_close_shared(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	pm_tcp_close(shared);
	return 0;
}

Test(tcp, may_be_closed_under_a_reader, .timeout = 20)
{
	char byte;
	start_connected(task_share);
	turn();
	queue(2, task_close_shared, NULL, 0);
	run_until(2);
	expect_all_succeed();
	cr_assert_eq(recv(other, &byte, 1, 0), 0);
	close_backdoor();
}

static int task_read_bytewise(pm_task *task, const void *arg, size_t len)
{
	char byte;
	pm_tcp *tcp;
	(void)arg;
	REQUIRE(task, connect_to_test(task, &tcp) == 0);
	(void)!pm_sleep(task, 0);
	for (int i = 0; i < 1000; i++) {
		REQUIRE(task, pm_tcp_read(task, tcp, &byte, 1, &len) == 0);
	}
	return 0;
}

Test(tcp, leaves_others_their_turn, .timeout = 20)
{
	char text[1001];
	int turns = 0;
	memset(text, 'x', 1000);
	text[1000] = '\0';
	start_connected(task_read_bytewise);
	send_text(other, text);
	for (; (void)runner_turn(true), ended_ct == 0; turns++) {
		turn_loop(true);
	}
	expect_success(0);
	cr_assert_gt(turns, 20, "1000 reads without a pause");
	close_backdoor();
}

/* -------------------------------------------------------------------- listeners */

static pm_tcp_listener *door;
static int accept_ms = PM_FOREVER;
static bool accepting;

static int task_accept(pm_task *task, const void *arg, size_t len)
{
	pm_tcp *tcp;
	(void)arg;
	(void)len;
	int err = pm_tcp_listen(task, "127.0.0.1", 0, &door);
	if (err) {
		return err;
	}
	accepting = true;
	return pm_tcp_accept(task, door, accept_ms, &tcp);
}

static void expect_accept_error(int error)
{
	cr_assert_eq(ended[0].failure.error, error, "%s: %s",
		pm_error_name(ended[0].failure.error), ended[0].failure.message);
}

static void start_accept(int timeout_ms)
{
	accept_ms = timeout_ms;
	accepting = false;
	ended_ct = 0;
	queue(1, task_accept, NULL, 0);
	run_until_set(&accepting);
}

Test(tcp, accepts_no_longer_than_it_is_told, .timeout = 20)
{
	start_accept(20);
	run_until(1);
	expect_accept_error(PM_ETIMEDOUT);
	start_accept(0);
	run_until(1);
	expect_accept_error(PM_ETIMEDOUT);
}

Test(tcp, stops_accepting_when_it_is_cancelled, .timeout = 20)
{
	start_accept(PM_FOREVER);
	cr_assert(runner_cancel(1));
	(void)runner_turn(true);
	cr_assert_eq(ended_ct, 1);
	expect_accept_error(PM_ECANCELLED);
}

static int task_close_door(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	pm_tcp_listener_close(door);
	return 0;
}

Test(tcp, may_be_closed_under_one_who_accepts, .timeout = 20)
{
	start_accept(PM_FOREVER);
	queue(2, task_close_door, NULL, 0);
	run_until(2);
	cr_assert_eq(ended[1].failure.error, PM_ESTATE);
}

static int connect_to_door(void)
{
	struct sockaddr_in at = loopback("127.0.0.1", pm_tcp_port(door));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

Test(tcp, says_that_there_are_no_descriptors, .timeout = 20)
{
	start_accept(PM_FOREVER);
	int fd = connect_to_door();
	no_descriptors = true;
	uint64_t before_ms = clock_now_ms();
	run_until(1);
	no_descriptors = false;
	expect_accept_error(PM_ELIMIT);
	cr_assert_eq(ended[0].failure.code, EMFILE);
	cr_assert_geq(clock_now_ms() - before_ms, 40, "who tries again would spin");
	close(fd);
}

Test(tcp, accepts_when_there_are_descriptors_again, .timeout = 20)
{
	start_accept(PM_FOREVER);
	int fd = connect_to_door();
	no_descriptors = true;
	turn_loop(true);
	turn(); /* it has tried, and waits */
	no_descriptors = false;
	run_until(1);
	expect_accept_error(0);
	close(fd);
}

static uint16_t taken;

static int task_listen_on_taken(pm_task *task, const void *arg, size_t len)
{
	pm_tcp_listener *listener;
	(void)arg;
	(void)len;
	return pm_tcp_listen(task, "127.0.0.1", taken, &listener);
}

Test(tcp, says_that_a_port_is_taken, .timeout = 20)
{
	int fd = make_listener(1);
	taken = port_of(fd);
	run_one(task_listen_on_taken, NULL, 0);
	expect_accept_error(PM_ESYSTEM);
	cr_assert_eq(ended[0].failure.domain, PM_DOMAIN_ERRNO);
	cr_assert_eq(ended[0].failure.code, EADDRINUSE);
	close(fd);
}

static int task_listen_twice(pm_task *task, const void *arg, size_t len)
{
	pm_tcp_listener *a, *b;
	(void)arg;
	(void)len;
	REQUIRE(task, pm_tcp_listen(task, "127.0.0.1", 0, &a) == 0);
	REQUIRE(task, pm_tcp_listen(task, "127.0.0.1", pm_tcp_port(a), &b) == 0);
	REQUIRE(task, pm_tcp_port(a) == pm_tcp_port(b));
	REQUIRE(task, pm_tcp_listen(task, "", 0, &b) == PM_EINVAL);
	REQUIRE(task, pm_tcp_listen(task, "none.test", 0, &b) == PM_EDNS);
	REQUIRE(task, pm_tcp_listen(task, "192.0.2.1", 0, &b) == PM_ESYSTEM);
	REQUIRE(task, pm_task_failure(task)->code == EADDRNOTAVAIL);
	pm_tcp_listener_close(NULL);
	pm_tcp_close(NULL);
	return 0;
}

Test(tcp, shares_a_port, .timeout = 20)
{
	run_one(task_listen_twice, NULL, 0);
	expect_success(0);
}
