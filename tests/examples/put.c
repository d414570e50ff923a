/* SPDX-License-Identifier: MIT
 *
 * put - one task in a process of its own: a PUT with parameters.
 * The twin of aiomultiprocess's Process, which runs one coroutine function.
 *
 *   put URL
 */
#include <poolmap.h>
#include <stdio.h>
#include <string.h>

static int put(pm_task *task, const void *url, size_t len)
{
	const struct pm_param params[] = {{"name", "poolmap"}, {"answer", "42 & more"}};
	struct pm_request req = {
		.url = url, .method = "PUT", .params = params, .param_ct = 2};
	struct pm_response *res;
	(void)len;
	int err = pm_await_fetch(task, &req, &res);
	if (err) {
		return err;
	}
	return res->status == 200 ? pm_return(task, res->body, res->body_len)
				  : pm_fail(task, res->status, "not accepted");
}

int main(int argc, char **argv)
{
	const char *url = argc > 1 ? argv[1] : "http://127.0.0.1:8080/";
	pm_process *process;
	int code;
	if (pm_process_start(&process, put, url, strlen(url), "putter") ||
		pm_process_join(process, PM_FOREVER) ||
		pm_process_exit_code(process, &code)) {
		fprintf(stderr, "put: %s\n", pm_last_error());
		return 1;
	}
	const struct pm_result *r = pm_process_result(process);
	printf("process %s ended with %d\n", pm_process_name(process), code);
	printf("%s\n", r->error ? r->message : (char *)r->bytes);
	return pm_process_close(&process) ? 1 : 0;
}
