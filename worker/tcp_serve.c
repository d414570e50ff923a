/* SPDX-License-Identifier: MIT
 *
 * tcp_serve - a child for each connection: pm_tcp_serve(); see tcp.h.
 *
 * Runs in: the worker.  Called by tasks.
 *
 * Each child owns its connection from the moment it is made, and a place: it gives
 * that back at its end, also when it never began.  What they share outlives the call,
 * as the children may.
 */
#include <stdlib.h>

#include "worker/tcp.h"

struct serving {
	struct pm_task *task; /* NULL: it has left */
	struct tcp_socket *listener;
	pm_tcp_handler_fn *handler;
	void *ctx;
	unsigned max;
	unsigned taken_ct;  /* places */
	bool parked;        /* waits for one */
	struct place *left; /* by children that have ended */
};

struct place {
	struct tcp_owned owned; /* by the child */
	struct serving *serving;
	struct pm_tcp *tcp;
	struct pm_task *child;
	struct place *next; /* in `left` */
};

/* ------------------------------------------------------------------ in a child */

static void leave_place(struct tcp_owned *owned)
{
	struct place *place = (struct place *)(void *)owned; /* its first member */
	struct serving *s = place->serving;
	tcp_disown(owned);
	s->taken_ct--;
	if (!s->task) {
		free(place);
		if (s->taken_ct == 0) {
			free(s);
		}
		return;
	}
	place->next = s->left;
	s->left = place;
	if (s->parked) {
		s->parked = false;
		task_wake(s->task);
	}
}

static int handle(struct pm_task *task, const void *arg, size_t len)
{
	struct place *place;
	(void)len;
	memcpy(&place, arg, sizeof place);
	return place->serving->handler(task, place->tcp, place->serving->ctx);
}

/* ------------------------------------------------------------ in the task that serves
 */

static void reap(struct serving *s)
{
	struct place *place;
	while ((place = s->left)) {
		s->left = place->next;
		pm_child_free(place->child);
		free(place);
	}
}

static int spawn(struct serving *s, struct pm_tcp *tcp)
{
	struct place *place = calloc(1, sizeof *place);
	int err = place ? pm_spawn(s->task, handle, &place, sizeof place, &place->child)
			: PM_ENOMEM;
	if (err) {
		free(place);
		return err;
	}
	place->serving = s;
	place->tcp = tcp;
	place->owned.close = leave_place;
	tcp_own(place->child, &place->owned); /* first: so it goes last */
	tcp_give(tcp, place->child);
	s->taken_ct++;
	return 0;
}

static void stop_waiting(void *ctx)
{
	struct serving *s = ctx;
	s->parked = false;
}

static int await_place(struct serving *s)
{
	int err = 0;
	while (!err && s->taken_ct >= s->max) {
		s->parked = true;
		err = task_park(s->task, stop_waiting, s);
	}
	reap(s);
	return err;
}

/* Not the listener's fault, and others may end and give back. */
static bool is_shortage(int err)
{
	return err == PM_ELIMIT || err == PM_ENOMEM;
}

/* A connection that cannot have a child is closed. */
static int start_child(struct serving *s, struct pm_tcp *tcp)
{
	enum { PAUSE_MS = 50 };
	int err = spawn(s, tcp);
	if (err) {
		pm_tcp_close(tcp);
	}
	return is_shortage(err) ? pm_sleep(s->task, PAUSE_MS) : err;
}

static int serve_one(struct serving *s, pm_tcp_listener *listener)
{
	pm_tcp *tcp;
	int err = await_place(s);
	if (err) {
		return err;
	}
	if (s->listener->closed) {
		return tcp_fail(s->task, PM_ESTATE, "closed by another task");
	}
	err = pm_tcp_accept(s->task, listener, PM_FOREVER, &tcp);
	if (err) {
		return is_shortage(err) ? 0 : err; /* that has paused */
	}
	return start_child(s, tcp);
}

static void leave(struct serving *s)
{
	reap(s);
	s->task = NULL;
	if (s->taken_ct == 0) {
		free(s);
	}
}

static int serve(struct serving *s, pm_tcp_listener *listener)
{
	int err = tcp_socket_begin(s->listener, s->task);
	if (!err) {
		while (!err) {
			err = serve_one(s, listener);
		}
		tcp_socket_end(s->listener);
	}
	leave(s);
	return err;
}

int pm_tcp_serve(pm_task *task, pm_tcp_listener *listener, unsigned max,
	pm_tcp_handler_fn *handler, void *ctx)
{
	if (!listener || !max || !handler) {
		return tcp_fail(task, PM_EINVAL,
			"pm_tcp_serve() needs a listener, a handler and a place for "
			"one connection");
	}
	struct serving *s = calloc(1, sizeof *s);
	if (!s) {
		return tcp_fail(task, PM_ENOMEM, pm_error_text(PM_ENOMEM));
	}
	s->task = task;
	s->listener = tcp_listener_socket(listener);
	s->handler = handler;
	s->ctx = ctx;
	s->max = max;
	return serve(s, listener);
}
