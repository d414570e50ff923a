/* SPDX-License-Identifier: MIT
 *
 * bare_loop - the measure that poolmap is held against: the least that libcurl
 * on libevent costs for a list of URLs.
 *
 *   bare_loop FILE CONCURRENCY [CA_FILE]
 *
 * One process, one CURLM, curl_multi_socket_action(), easy handles that are used
 * again, keep-alive; bodies are counted and dropped, nothing is written.
 * The options that make libcurl cheaper are set: NOSIGNAL, MAXCONNECTS, and
 * libevent's change list.  With a CA_FILE each transfer has a connection of its own,
 * and the transfers share what TLS can share: the parsed store of certificates,
 * which libcurl keeps when there is no CAPATH, and sessions.  Prints one line:
 * transfers, bytes, failures.
 */
#include <curl/curl.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct event_base *base;
static struct event *timer;
static CURLM *multi;
static FILE *list;
static unsigned running;
static unsigned long done_ct, failed_ct;
static unsigned long long body_bytes;

static size_t count_body(char *bytes, size_t size, size_t ct, void *unused)
{
	(void)bytes;
	(void)unused;
	body_bytes += size * ct;
	return size * ct;
}

static void start_next(CURL *easy)
{
	char line[4096];
	if (!fgets(line, sizeof line, list)) {
		return;
	}
	line[strcspn(line, "\n")] = '\0';
	curl_easy_setopt(easy, CURLOPT_URL, line);
	curl_multi_add_handle(multi, easy);
	running++;
}

static void collect(void)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(multi, &left))) {
		CURL *easy = message->easy_handle;
		failed_ct += message->data.result != CURLE_OK;
		done_ct++;
		curl_multi_remove_handle(multi, easy);
		running--;
		start_next(easy);
	}
	if (!running) {
		event_base_loopbreak(base);
	}
}

static void socket_cb(evutil_socket_t fd, short what, void *unused)
{
	int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) |
		   (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int still;
	(void)unused;
	curl_multi_socket_action(multi, fd, mask, &still);
	collect();
}

static int on_socket(
	CURL *easy, curl_socket_t fd, int what, void *unused, void *watched)
{
	struct event *event = watched;
	(void)easy;
	(void)unused;
	if (event) {
		event_free(event);
		event = NULL;
	}
	if (what != CURL_POLL_REMOVE) {
		short kind =
			(short)((what & CURL_POLL_IN ? EV_READ : 0) |
				(what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);
		event = event_new(base, fd, kind, socket_cb, NULL);
		event_add(event, NULL);
	}
	curl_multi_assign(multi, fd, event);
	return 0;
}

static void timer_cb(evutil_socket_t fd, short what, void *unused)
{
	int still;
	(void)fd;
	(void)what;
	(void)unused;
	curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &still);
	collect();
}

static int on_timer(CURLM *m, long ms, void *unused)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	(void)m;
	(void)unused;
	if (ms < 0) {
		evtimer_del(timer);
	} else {
		evtimer_add(timer, &tv);
	}
	return 0;
}

static void open_loop(long concurrency)
{
	struct event_config *config = event_config_new();
	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	timer = evtimer_new(base, timer_cb, NULL);
	curl_global_init(CURL_GLOBAL_ALL);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, concurrency);
}

static void set_tls(CURL *easy, CURLSH *sessions, const char *ca_file)
{
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SHARE, sessions);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

int main(int argc, char **argv)
{
	bool good = argc == 3 || argc == 4;
	long concurrency = good ? strtol(argv[2], NULL, 10) : 0;
	list = good ? fopen(argv[1], "re") : NULL;
	if (!list || concurrency < 1) {
		fprintf(stderr, "usage: bare_loop FILE CONCURRENCY [CA_FILE]\n");
		return 2;
	}
	open_loop(concurrency);
	CURLSH *sessions = curl_share_init();
	curl_share_setopt(sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	for (long i = 0; i < concurrency; i++) {
		CURL *easy = curl_easy_init();
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_body);
		if (argc == 4) {
			set_tls(easy, sessions, argv[3]);
		}
		start_next(easy);
	}
	event_base_dispatch(base);
	printf("%lu transfers, %llu bytes, %lu failed\n", done_ct, body_bytes,
		failed_ct);
	return failed_ct ? 1 : 0;
}
