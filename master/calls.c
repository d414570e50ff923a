/* SPDX-License-Identifier: MIT
 *
 * calls - pm_map() and its relatives: start a map and wait for its end; see pool.h.
 *
 * Runs in: the master, in the host's call.
 */
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "master/pool.h"

/* ----------------------------------------------------------------- sources */

int pm_array_next(void *array, struct pm_job *job)
{
	struct pm_array *a = array;
	if (a->next == a->ct) {
		return PM_SOURCE_END;
	}
	*job = a->jobs[a->next++];
	return PM_SOURCE_JOB;
}

int pm_strings_next(void *strings, struct pm_job *job)
{
	struct pm_strings *s = strings;
	if (s->next == s->ct) {
		return PM_SOURCE_END;
	}
	const char *text = s->strings[s->next++];
	*job = (struct pm_job){.arg = text, .len = strlen(text)};
	return PM_SOURCE_JOB;
}

struct struct_source {
	const char *at;
	size_t size, ct;
};

static int structs_next(void *ctx, struct pm_job *job)
{
	struct struct_source *s = ctx;
	if (!s->ct) {
		return PM_SOURCE_END;
	}
	*job = (struct pm_job){.arg = s->at, .len = s->size};
	s->at += s->size;
	s->ct--;
	return PM_SOURCE_JOB;
}

/* ---------------------------------------------------------------- and wait */

static bool has_ended(void *ctx)
{
	return ((struct map *)ctx)->ended;
}

/* Run a map to its end.  It is on the caller's stack. */
static int run(struct map *m, struct pm_pool *pool, const struct pm_stream *stream)
{
	int err = map_open(m, pool, stream);
	if (err) {
		return err;
	}
	err = pool_run_until(pool, has_ended, m, PM_FOREVER);
	if (!err) {
		err = m->error;
		if (err && err == pool->broken) {
			(void)error_note(err, "%s", pool->broken_text);
		}
	}
	map_close(m);
	return err;
}

int pm_map_stream(pm_pool *pool, const struct pm_stream *stream)
{
	struct pm_stream copy = stream ? *stream : (struct pm_stream){0};
	int err = pool_check_task(pool, copy.task);
	if (err) {
		return err;
	}
	struct map m = {0};
	err = map_check_stream(&copy, false);
	return pool_leave(pool, err ? err : run(&m, pool, &copy));
}

/* Jobs of an array that a stopped map has not even taken: they end here.  What is told
 * of them is a callback like any other, in which the pool may be closed. */
static void fill_rest(
	struct map *m, pm_pool *pool, const struct pm_job *jobs, size_t ct)
{
	pool->depth++;
	for (uint64_t i = m->pulled; i < ct; i++) {
		struct pm_result *r = &m->results[i];
		r->index = i;
		r->worker = -1;
		r->tag = jobs ? jobs[i].tag : 0;
		cancel_fill(r, m->stop_error, pm_error_text(m->stop_error));
		if (m->on_result) {
			m->on_result(m->on_result_ctx, r);
		}
	}
	pool->depth--;
}

static bool has_limits(
	const struct pm_map_options *options, const struct pm_job *jobs, size_t ct)
{
	bool some = options && options->queue_timeout_ms;
	for (size_t i = 0; jobs && !some && i < ct; i++) {
		some = jobs[i].queue_timeout_ms;
	}
	return some;
}

/* A map over `ct` jobs of a source, whose results go to places in an array.  `jobs` is
 * NULL when they are made from something else. */
static int run_array(pm_pool *pool, struct pm_stream *stream,
	const struct pm_map_options *options, const struct pm_job *jobs, size_t ct,
	struct pm_result *results)
{
	struct map m = {.results = calloc(ct ? ct : 1, sizeof *results)};
	if (!m.results) {
		return error_note(PM_ENOMEM, "no memory for %zu results", ct);
	}
	if (options) {
		m.on_result = options->on_result;
		m.on_result_ctx = options->ctx;
		stream->stop_on = options->stop_on;
		stream->timeout_ms = options->timeout_ms;
		stream->queue_timeout_ms = options->queue_timeout_ms;
	}
	stream->unordered = true; /* each goes to its own place */
	stream->window_bytes = SIZE_MAX;
	m.whole = has_limits(options, jobs, ct);
	stream->window = m.whole ? PM_WINDOW_MAX : MAP_WINDOW;
	int err = run(&m, pool, stream);
	/* What stopped it is in the results; unless it was cut off after that, and some
	 * jobs have none. */
	if (m.stop_error && m.delivered == m.pulled) {
		fill_rest(&m, pool, jobs, ct);
		err = 0;
	}
	if (err) {
		pm_results_clear(m.results, ct);
	} else if (ct) {
		memcpy(results, m.results, ct * sizeof *results);
	}
	free(m.results);
	return pool_leave(pool, err);
}

static int check_array(const pm_pool *pool, pm_task_fn *task, const void *jobs,
	size_t ct, const void *to)
{
	int err = pool_check_task(pool, task);
	if (!err && ct && (!jobs || !to)) {
		err = error_note(PM_EINVAL, "jobs and results are needed");
	}
	return err;
}

int pm_map_with(pm_pool *pool, pm_task_fn *task, const struct pm_job *jobs, size_t ct,
	const struct pm_map_options *options, struct pm_result *results)
{
	int err = check_array(pool, task, jobs, ct, results);
	if (!err && options && (unsigned)options->stop_on > PM_STOP_FIRST_SUCCESS) {
		err = error_note(PM_EINVAL, "stop_on: %d is none", options->stop_on);
	}
	if (err) {
		return err;
	}
	struct pm_array source = {.jobs = jobs, .ct = ct};
	struct pm_stream stream = {
		.task = task, .source = pm_array_next, .ctx = &source};
	return run_array(pool, &stream, options, jobs, ct, results);
}

int pm_map(pm_pool *pool, pm_task_fn *task, const struct pm_job *jobs, size_t ct,
	struct pm_result *results)
{
	return pm_map_with(pool, task, jobs, ct, NULL, results);
}

int pm_starmap(pm_pool *pool, pm_task_fn *task, const void *structs, size_t size,
	size_t ct, struct pm_result *results)
{
	int err = check_array(pool, task, structs, ct, results);
	if (err) {
		return err;
	}
	struct struct_source source = {.at = structs, .size = size, .ct = ct};
	struct pm_stream stream = {
		.task = task, .source = structs_next, .ctx = &source};
	return run_array(pool, &stream, NULL, NULL, ct, results);
}

int pm_map_strings(pm_pool *pool, pm_task_fn *task, const char *const *strings,
	size_t ct, struct pm_result *results)
{
	int err = check_array(pool, task, strings, ct, results);
	for (size_t i = 0; !err && i < ct; i++) {
		err = strings[i] ? 0 : error_note(PM_EINVAL, "string %zu is NULL", i);
	}
	if (err) {
		return err;
	}
	struct pm_strings source = {.strings = strings, .ct = ct};
	struct pm_stream stream = {
		.task = task, .source = pm_strings_next, .ctx = &source};
	return run_array(pool, &stream, NULL, NULL, ct, results);
}

int pm_apply(pm_pool *pool, pm_task_fn *task, const void *arg, size_t len,
	struct pm_result *result)
{
	struct pm_job job = {.arg = arg, .len = len};
	return pm_map_with(pool, task, &job, 1, NULL, result);
}

void pm_results_clear(struct pm_result *results, size_t ct)
{
	for (size_t i = 0; i < ct; i++) {
		free(results[i].bytes);
		free((void *)(uintptr_t)results[i].message);
		results[i] = (struct pm_result){0};
	}
}
