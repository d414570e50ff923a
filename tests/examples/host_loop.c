/* SPDX-License-Identifier: MIT
 *
 * host_loop - a pool in a loop that is the program's own: poll() on what the program
 * reads and on the pool's descriptor.  It fetches the URLs that come in on standard
 * input, a line each, and prints answers as they come.
 * The twin of a hand-made loop over select(), with the pool as one more socket.
 */
#include <poll.h>
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int left; /* not answered yet */

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

static void done(pm_future *future, void *ctx)
{
	const struct pm_result *r = pm_future_result(future);
	printf("%d: %s\n", (int)r->tag, r->error ? r->message : (char *)r->bytes);
	fflush(stdout);
	(void)ctx;
	left--;
}

static int start(pm_pool *pool, const char *url)
{
	static uint64_t number;
	struct pm_job job = {.arg = url, .len = strcspn(url, "\n"), .tag = ++number};
	pm_future *future;
	int err = pm_submit(pool, get, &job, &future);
	if (!err) {
		left++;
		err = pm_future_on_done(future, done, NULL);
		pm_future_free(&future);
	}
	return err;
}

int main(void)
{
	char line[1000];
	pm_pool *pool;
	int err = pm_pool_open(&pool, NULL);
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = err ? -1 : pm_pool_fd(pool), .events = POLLIN}};
	setvbuf(stdin, NULL, _IONBF, 0); /* poll() sees all that is to be read */
	while (!err && (left > 0 || fds[0].fd >= 0)) {
		poll(fds, 2, -1);
		if (fds[0].revents && fgets(line, sizeof line, stdin)) {
			err = start(pool, line);
		} else if (fds[0].revents) {
			fds[0].fd = -1; /* the end: poll() leaves it out */
		}
		if (!err && fds[1].revents) {
			err = pm_pool_step(pool);
		}
	}
	if (err) {
		fprintf(stderr, "host_loop: %s\n", pm_error_text(err));
		return 1;
	}
	pm_pool_close(&pool);
}
