/* SPDX-License-Identifier: MIT
 *
 * Descriptors, threads and TCP in real workers, one of which serves the others: that
 * they are stopped in time, are nobody's leaks, and end with the worker.
 */
#include "tests/support/pool_rig.h"

/* ------------------------------------------------------------------ a service */

/* Ends by closing the listener when it is told so. */
static int answer(pm_task *task, pm_tcp *tcp, void *listener)
{
	const char *line;
	size_t len;
	int err;
	while ((err = pm_tcp_read_line(task, tcp, 100, &line, &len)) == 0 && line) {
		if (strcmp(line, "stop") == 0) {
			pm_tcp_listener_close(listener);
			return 0;
		}
		err = pm_tcp_write(task, tcp, line, len);
		err = err ? err : pm_tcp_write(task, tcp, "\n", 1);
		if (err) {
			return err;
		}
	}
	return err;
}

static int serve(pm_task *task)
{
	pm_tcp_listener *listener;
	int err = pm_tcp_listen(task, "127.0.0.1", 0, &listener);
	if (err) {
		return err;
	}
	atomic_store(&board->seen, pm_tcp_port(listener));
	err = pm_tcp_serve(task, listener, 10, answer, listener);
	return err == PM_ESTATE ? 0 : err;
}

static int connect_to_service(pm_task *task, pm_tcp **tcp)
{
	while (atomic_load(&board->seen) == 0) {
		int err = pm_sleep(task, 1);
		if (err) {
			return err;
		}
	}
	uint16_t port = (uint16_t)atomic_load(&board->seen);
	return pm_tcp_connect(task, "localhost", port, 20000, tcp);
}

static int say(pm_task *task, const char *words)
{
	const char *line;
	size_t len;
	pm_tcp *tcp;
	int err = connect_to_service(task, &tcp);
	err = err ? err : pm_tcp_write(task, tcp, words, strlen(words));
	err = err ? err : pm_tcp_read_line(task, tcp, 100, &line, &len);
	return err ? err : pm_return(task, line, line ? len : 0);
}

/* Job 0 is the service; the last one ends it when the others are through. */
static int task_service_or_client(pm_task *task, const void *arg, size_t len)
{
	uint32_t number = task_number(arg);
	char words[32];
	(void)len;
	if (number == 0) {
		return serve(task);
	}
	if (number == 100) {
		while (atomic_load(&board->inside) < 99) {
			int err = pm_sleep(task, 1);
			if (err) {
				return err;
			}
		}
		return say(task, "stop\n");
	}
	snprintf(words, sizeof words, "job %u\n", number);
	int err = say(task, words);
	atomic_fetch_add(&board->inside, 1);
	return err;
}

Test(io, serves_from_one_job_to_another, .timeout = 60)
{
	struct pm_pool_options o = rig_options(2, 200);
	struct batch b = batch_new(101);
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_service_or_client, &b);
	for (size_t i = 0; i < b.ct; i++) {
		char want[32];
		snprintf(want, sizeof want, "job %zu", i);
		cr_assert_eq(
			b.results[i].error, 0, "job %zu: %s", i, b.results[i].message);
		cr_assert(i == 0 || i == 100 || strcmp(b.results[i].bytes, want) == 0);
	}
	batch_free(&b);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

/* -------------------------------------------------------------------- threads */

static void add_one(void *number)
{
	++*(uint32_t *)number;
}

static int task_add_on_thread(pm_task *task, const void *arg, size_t len)
{
	uint32_t number = task_number(arg);
	int err = pm_await_thread(task, add_one, &number);
	number--;
	return err ? err : pm_return(task, &number, len);
}

Test(io, works_on_threads, .timeout = 60)
{
	pm_pool *pool = rig_pool(2, 50);
	struct batch b = batch_new(200);
	batch_map(pool, task_add_on_thread, &b);
	batch_check(&b);
	batch_free(&b);
	pm_pool_close(&pool);
}

/* ------------------------------------------------------------------- in time */

/* Waits for what never comes, each in its way. */
static int task_wait_for_ever(pm_task *task, const void *arg, size_t len)
{
	uint32_t number = task_number(arg);
	int pair[2], err;
	pm_tcp_listener *listener;
	pm_tcp *tcp;
	(void)len;
	if (number % 2) {
		err = pm_tcp_listen(task, NULL, 0, &listener);
		return err ? err : pm_tcp_accept(task, listener, PM_FOREVER, &tcp);
	}
	if (pipe(pair) < 0) {
		return PM_ESYSTEM;
	}
	err = pm_await_fd(task, pair[0], PM_READ, PM_FOREVER);
	close(pair[0]);
	close(pair[1]);
	return err;
}

Test(io, stops_at_the_deadline_of_the_job, .timeout = 60)
{
	struct pm_pool_options o = rig_options(2, 20);
	struct batch b = batch_new(20);
	o.job_timeout_ms = 50;
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_wait_for_ever, &b);
	for (size_t i = 0; i < b.ct; i++) {
		cr_assert_eq(b.results[i].error, PM_ETIMEDOUT, "job %zu: %s", i,
			b.results[i].message);
	}
	batch_free(&b);
	pm_pool_close(&pool);
	rig_check_nothing_left(o.runtime_dir);
}

/* --------------------------------------------------------------------- leaks */

static int task_use_all(pm_task *task, const void *arg, size_t len)
{
	uint32_t number = task_number(arg);
	pm_tcp_listener *listener;
	pm_tcp *tcp;
	int err = pm_await_thread(task, add_one, &number);
	err = err ? err : pm_tcp_listen(task, "localhost", 0, &listener);
	err = err ? err
		  : pm_tcp_connect(
			    task, "localhost", pm_tcp_port(listener), 20000, &tcp);
	err = err ? err : pm_tcp_accept(task, listener, PM_FOREVER, &tcp);
	return err ? err : pm_return(task, arg, len);
}

Test(io, is_nobodys_leak, .timeout = 60)
{
	struct pm_pool_options o = rig_options(1, 1);
	struct batch b = batch_new(20);
	o.check_descriptors = true;
	pm_pool *pool = rig_open(&o);
	batch_map(pool, task_use_all, &b);
	batch_check(&b);
	batch_free(&b);
	pm_pool_close(&pool);
}
