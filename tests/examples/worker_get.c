/* SPDX-License-Identifier: MIT
 *
 * worker_get - one task in a process of its own, and its result: a page's text.
 * The twin of aiomultiprocess's Worker, the Process that one awaits for a result.
 *
 *   worker_get URL
 */
#include <poolmap.h>
#include <stdio.h>
#include <string.h>

static int get(pm_task *task, const void *url, size_t len)
{
	struct pm_response *res;
	(void)len;
	int err = pm_await_get(task, url, &res);
	return err ? err : pm_return(task, res->body, res->body_len);
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "http://127.0.0.1:8080/";
	pm_process *worker;
	if (pm_process_start(&worker, get, url, strlen(url), "getter") ||
		pm_process_join(worker, PM_FOREVER)) {
		fprintf(stderr, "worker_get: %s\n", pm_last_error());
		return 1;
	}
	const struct pm_result *r = pm_process_result(worker);
	int error = r->error;
	printf("%s\n", error ? r->message : (char *)r->bytes);
	return pm_process_close(&worker) || error ? 1 : 0;
}
