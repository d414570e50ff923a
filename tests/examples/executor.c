/* SPDX-License-Identifier: MIT
 *
 * executor - calls that block, on threads of the worker: reading files.
 * The twin of asyncio's run_in_executor().  One worker here: while a read blocks,
 * it goes on with the other files.
 *
 *   executor FILE...
 */
#include <poolmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lines {
	const char *path;
	long ct; /* -1: cannot be read */
};

/* On a thread: it may block, and must not call the library. */
static void count(void *arg)
{
	struct lines *lines = arg;
	FILE *f = fopen(lines->path, "re");
	int c;
	lines->ct = f ? 0 : -1;
	while (f && (c = getc(f)) != EOF) {
		lines->ct += c == '\n';
	}
	if (f) {
		fclose(f);
	}
}

static int count_lines(pm_task *task, const void *path, size_t len)
{
	struct lines lines = {.path = path};
	char text[32];
	(void)len;
	int err = pm_await_thread(task, count, &lines);
	if (err || lines.ct < 0) {
		return err ? err : pm_fail(task, 1, "cannot be read");
	}
	int n = snprintf(text, sizeof text, "%ld lines", lines.ct);
	return pm_return(task, text, (size_t)n);
}

static int print(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	printf("%s: %s\n", (const char *)r->arg,
		r->error ? r->message : (char *)r->bytes);
	return fflush(stdout) == 0 ? PM_SINK_TAKEN : PM_ESYSTEM;
}

int main(int argc, char **argv)
{
	struct pm_strings paths = {
		.strings = (const char *const *)argv + 1, .ct = (size_t)argc - 1};
	struct pm_stream stream = {.task = count_lines,
		.source = pm_strings_next,
		.sink = print,
		.ctx = &paths,
		.unordered = true};
	struct pm_pool_options options;
	pm_pool *pool;
	pm_pool_options_init(&options);
	options.workers = 1;
	if (pm_pool_open(&pool, &options) || pm_map_stream(pool, &stream)) {
		fprintf(stderr, "executor: %s\n", pm_last_error());
		return 1;
	}
	pm_pool_close(&pool);
}
