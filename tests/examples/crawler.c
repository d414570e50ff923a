/* SPDX-License-Identifier: MIT
 *
 * crawler - pages that lead to further pages: each task adds the links of its page
 * as new jobs, down to some depth, and no page is fetched twice.
 * The twin of the small crawlers that asyncio and Twisted are shown with.
 *
 *   crawler URL DEPTH       (links such as <a href="/path">)
 */
#include <poolmap.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SEEN = 1 << 22 };

struct page {
	unsigned depth; /* how far its links may lead */
	char url[256];
};

/* A flag for each hash of a URL, in memory that all workers share, as it is made before
 * them.  Two pages with one hash are taken for the same: rare in a small crawl. */
static _Atomic unsigned char *seen;

static bool is_new(const char *url)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (; *url; url++) {
		hash = (hash ^ (unsigned char)*url) * 1099511628211u;
	}
	return !atomic_exchange(&seen[(hash ^ hash >> 32) % SEEN], 1);
}

static int crawl(pm_task *task, const void *arg, size_t len);

static int emit_link(pm_task *task, const struct page *from, const char *path)
{
	struct page to = {.depth = from->depth - 1};
	const char *host = strstr(from->url, "://");
	size_t site = host ? (size_t)(host - from->url) + 3 : 0;
	site += strcspn(from->url + site, "/");
	int n = snprintf(to.url, sizeof to.url, "%.*s%.*s", (int)site, from->url,
		(int)strcspn(path, "\""), path);
	return n < (int)sizeof to.url ? pm_emit(task, crawl, &PM_JOB(to)) : 0;
}

/* Its result is the page's URL; nothing, when it was there before. */
static int crawl(pm_task *task, const void *arg, size_t len)
{
	static const char link[] = "href=\"";
	const struct page *page = arg;
	struct pm_response *res;
	(void)len;
	/* a second attempt is one whose worker died: its links are not added yet */
	if (!is_new(page->url) && pm_task_attempt(task) == 1) {
		return 0;
	}
	int err = pm_await_get(task, page->url, &res);
	const char *at = err || page->depth == 0 ? NULL : strstr(res->body, link);
	for (; at && !err; at = strstr(at, link)) {
		at += sizeof(link) - 1;
		err = *at == '/' ? emit_link(task, page, at) : 0;
	}
	return err ? err : pm_return(task, page->url, strlen(page->url));
}

static int start(void *ctx, struct pm_job *job)
{
	struct page **first = ctx;
	if (!*first) {
		return PM_SOURCE_END;
	}
	*job = (struct pm_job){.arg = *first, .len = sizeof(**first)};
	*first = NULL;
	return PM_SOURCE_JOB;
}

static int print(void *ctx, const struct pm_result *r)
{
	(void)ctx;
	if (r->error || r->len > 0) {
		printf("%s\n", r->error ? r->message : (char *)r->bytes);
	}
	return PM_SINK_TAKEN;
}

int main(int argc, char **argv)
{
	struct page page = {
		.depth = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1};
	struct page *first = &page;
	struct pm_stream stream = {
		.task = crawl, .source = start, .sink = print, .ctx = &first};
	pm_pool *pool;
	snprintf(page.url, sizeof page.url, "%s",
		argc > 1 ? argv[1] : "http://127.0.0.1/");
	void *map = mmap(
		NULL, SEEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	seen = map;
	if (map == MAP_FAILED || pm_pool_open(&pool, NULL) ||
		pm_map_stream(pool, &stream)) {
		fprintf(stderr, "crawler: %s\n", pm_last_error());
		return 1;
	}
	pm_pool_close(&pool);
}
