/* SPDX-License-Identifier: MIT
 *
 * fleet_rig - a whole master without processes: the pool, its slots and its wires are
 * real, and the test is the forkserver and all the workers.  So it says what each of
 * them does, in which order, and when one dies.
 *
 * Runs in: the test process.  A test file includes it once.  Jobs have a struct
 * fleet_order as their argument, and send it back.
 */
#ifndef TESTS_UNIT_FLEET_RIG_H
#define TESTS_UNIT_FLEET_RIG_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/lifeline.h"
#include "master/control.h"
#include "master/forkserver.h"
#include "master/pool.h"
#include "tests/support/harness.h"

enum {
	FLEET_HANDS = 16,
	FLEET_HELD = 4096,
	FLEET_JOBS = 4096,
	FLEET_ALONE = 2000,
	FLEET_GROUPS = 5
};

struct fleet_order {
	uint32_t number; /* below FLEET_JOBS */
};

/* A job as its worker has it. */
struct fleet_job {
	uint64_t id, ordinal;
	uint32_t attempt, epoch, number;
	bool begun;
	int error; /* that it will end with */
};

/* A worker. */
struct hand {
	bool alive, said_hello, said_bye, draining;
	struct proto_route route;
	uint32_t concurrency;
	int lifeline;
	struct wire jobs, results;
	struct inbox inbox;
	struct outbox outbox;
	struct blackbox *blackbox;
	struct fleet_job held[FLEET_HELD];
	size_t held_ct, begun_ct;
	uint64_t came_ct, did_ct; /* jobs that came; that began */
	uint64_t spared_ct;       /* that were cancelled before they began */
	uint64_t last_jobs;
	uint64_t cancels[PROTO_CANCEL_MAX], cancel_at;
	size_t cancel_ct;
	char job_path[WIRE_PATH_MAX + 1], result_path[WIRE_PATH_MAX + 1];
};

static struct {
	struct event_base *base;
	struct event *clock;
	pm_pool *pool;
	int door, blackbox;
	pid_t next_pid;
	struct hand hands[FLEET_HANDS]; /* by slot */
	unsigned begun[FLEET_JOBS];     /* times that job N began */
	unsigned inside, most;          /* jobs that have begun and not ended */
	unsigned group[FLEET_GROUPS];   /* of these, those with such a number */
	unsigned group_most;
	/* adds jobs to a result; or NULL */
	void (*emit)(uint32_t number, struct buf *emits);
	unsigned lives; /* workers that there were */
	/* of those that left in order: jobs that one began, and that one had */
	uint64_t did_max, did_min;
} fleet = {.door = -1, .blackbox = -1};

/* ------------------------------------------- instead of the real forkserver */

int pm_forkserver_start(void)
{
	return 0;
}

bool forkserver_knows(pm_task_fn *task)
{
	return task != NULL;
}

int forkserver_attach(const char *rundir, int *socket)
{
	int ends[2];
	(void)rundir;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
			     0, ends),
		0);
	fleet.door = ends[1];
	*socket = ends[0];
	return 0;
}

void forkserver_detach(int socket)
{
	close(socket);
}

static inline void fleet_report(
	const struct hand *h, enum control_type type, int status)
{
	struct control_event event = {.type = type,
		.slot = h->route.slot,
		.generation = h->route.generation,
		.pid = fleet.next_pid,
		.status = status};
	cr_assert_eq(control_send(fleet.door, &event, sizeof event, -1), 0);
}

/* --------------------------------------------------------------- life, death */

static inline void hand_start(const struct boot *boot, int lifeline, int blackbox)
{
	cr_assert_lt(boot->route.slot, FLEET_HANDS);
	struct hand *h = &fleet.hands[boot->route.slot];
	cr_assert(!h->alive, "slot %u has a worker", boot->route.slot);
	*h = (struct hand){.alive = true,
		.route = boot->route,
		.concurrency = boot->concurrency,
		.lifeline = lifeline,
		.blackbox = blackbox_attach(blackbox)};
	cr_assert(h->blackbox);
	memcpy(h->job_path, boot->job_path, sizeof h->job_path);
	memcpy(h->result_path, boot->result_path, sizeof h->result_path);
	cr_assert_eq(wire_dial(&h->jobs, WIRE_PULL, h->job_path), 0);
	cr_assert_eq(wire_dial(&h->results, WIRE_PUSH, h->result_path), 0);
	inbox_init(&h->inbox, PROTO_JOBS, &h->route, 1 << 20);
	outbox_init(&h->outbox, &h->results, PROTO_RESULTS, &h->route);
	fleet.next_pid++;
	fleet.lives++;
	fleet_report(h, CONTROL_SPAWNED, 0);
}

/* The last one: those on their own. */
static inline unsigned fleet_group(uint32_t number)
{
	return number >= FLEET_ALONE ? FLEET_GROUPS - 1 : number % (FLEET_GROUPS - 1);
}

static inline void fleet_leave(const struct fleet_job *job)
{
	if (job->begun) {
		fleet.inside--;
		fleet.group[fleet_group(job->number)]--;
	}
}

static inline void fleet_enter(const struct fleet_job *job)
{
	unsigned in_group = ++fleet.group[fleet_group(job->number)];
	fleet.begun[job->number]++;
	fleet.inside++;
	fleet.most = fleet.inside > fleet.most ? fleet.inside : fleet.most;
	if (job->number < FLEET_ALONE && in_group > fleet.group_most) {
		fleet.group_most = in_group;
	}
}

/* Whatever it has not sent is lost. */
static inline void hand_die(struct hand *h, int status)
{
	h->alive = false;
	for (size_t i = 0; i < h->held_ct; i++) {
		fleet_leave(&h->held[i]);
	}
	close(h->lifeline);
	wire_close(&h->jobs);
	wire_close(&h->results);
	inbox_fini(&h->inbox);
	outbox_fini(&h->outbox);
	blackbox_free(h->blackbox);
	if (status == 0) {
		fleet.did_max = h->did_ct > fleet.did_max ? h->did_ct : fleet.did_max;
		uint64_t had_ct = h->did_ct + h->spared_ct;
		fleet.did_min = had_ct < fleet.did_min ? had_ct : fleet.did_min;
	}
	fleet_report(h, CONTROL_EXITED, status);
}

static inline void hand_say(const struct hand *h, enum proto_life type, uint32_t count,
	uint64_t first, uint64_t second, uint64_t third)
{
	struct proto_life_message m = {.type = type,
		.slot = h->route.slot,
		.generation = h->route.generation,
		.count = count,
		.values = {first, second, third}};
	(void)lifeline_send(h->lifeline, &m);
}

static inline void hand_beat(const struct hand *h)
{
	hand_say(h, PROTO_HEARTBEAT, 3, h->held_ct, h->outbox.sequence,
		h->inbox.sequence);
}

/* ------------------------------------------------------------------- its jobs */

static inline enum inbox_verdict hand_take(
	void *ctx, uint64_t id, uint32_t attempt, const uint8_t *payload, size_t len)
{
	struct hand *h = ctx;
	struct proto_job job;
	struct fleet_order order;
	cr_assert_eq(proto_job_get(&job, payload, len), 0);
	cr_assert_eq(job.arg_len, sizeof order);
	cr_assert_lt(h->held_ct, FLEET_HELD);
	memcpy(&order, job.arg, sizeof order);
	h->held[h->held_ct++] = (struct fleet_job){.id = id,
		.ordinal = h->came_ct++,
		.attempt = attempt,
		.epoch = job.epoch,
		.number = order.number};
	return INBOX_TAKEN;
}

static inline void hand_remove(struct hand *h, size_t i)
{
	h->begun_ct -= h->held[i].begun;
	fleet_leave(&h->held[i]);
	h->held_ct--;
	memmove(&h->held[i], &h->held[i + 1], (h->held_ct - i) * sizeof *h->held);
}

/* The first that has not begun begins, as the real one does it; those that were taken
 * back go.  False: there is none, or no room. */
static inline bool hand_begin(struct hand *h)
{
	while (h->begun_ct < h->concurrency && h->begun_ct < h->held_ct) {
		struct fleet_job *job = &h->held[h->begun_ct];
		if (!blackbox_begin(h->blackbox, job->epoch, job->ordinal)) {
			hand_remove(h, h->begun_ct);
			continue;
		}
		job->begun = true;
		h->begun_ct++;
		h->did_ct++;
		fleet_enter(job);
		return true;
	}
	return false;
}

/* What was taken back, as far as it stands in front. */
static inline void hand_drop(struct hand *h)
{
	while (h->alive && h->begun_ct < h->held_ct &&
		h->held[h->begun_ct].epoch != blackbox_epoch(h->blackbox)) {
		hand_remove(h, h->begun_ct);
	}
}

/* Its result is put into the frame that is open. */
static inline void hand_end(struct hand *h, size_t i)
{
	struct fleet_job *job = &h->held[i];
	struct fleet_order order = {.number = job->number};
	struct proto_result result = {
		.bytes = (const uint8_t *)&order, .len = sizeof order};
	struct buf payload = {0}, emits = {0};
	if (job->error) {
		result = (struct proto_result){.error = job->error};
	}
	if (fleet.emit) {
		fleet.emit(job->number, &emits);
		result.emits = (const uint8_t *)emits.data;
		result.emits_len = emits.len;
	}
	cr_assert_eq(proto_result_put(&payload, &result), 0);
	cr_assert_geq(outbox_put(&h->outbox, job->id, job->attempt, payload.data,
			      payload.len),
		0);
	buf_fini(&payload);
	buf_fini(&emits);
	hand_remove(h, i);
}

static inline void hand_flush(struct hand *h)
{
	cr_assert_geq(outbox_flush(&h->outbox), 0);
}

/* What has begun learns of it at its end; what has not ends now. */
static inline void hand_cancel(struct hand *h, uint64_t id)
{
	for (size_t i = 0; i < h->held_ct; i++) {
		struct fleet_job *job = &h->held[i];
		bool stale = !job->begun && blackbox_epoch(h->blackbox) != job->epoch;
		if (job->id != id || stale) {
			continue;
		}
		job->error = PM_ECANCELLED;
		if (!job->begun) {
			h->spared_ct++;
			hand_end(h, i);
		}
		return;
	}
}

/* ------------------------------------------------------------ what it is told */

static inline void hand_obey(struct hand *h, const struct proto_life_message *m)
{
	if (m->type == PROTO_CANCEL) {
		h->cancel_at = m->values[0];
		for (uint32_t i = 1; i < m->count && h->cancel_ct < PROTO_CANCEL_MAX;
			i++) {
			h->cancels[h->cancel_ct++] = m->values[i];
		}
	} else if (m->type == PROTO_DRAIN) {
		h->draining = true;
		h->last_jobs = m->values[0];
	} else if (m->type == PROTO_ACK) {
		hand_die(h, 0);
	}
}

static inline void hand_listen(struct hand *h)
{
	struct proto_life_message m;
	while (h->alive && lifeline_receive(h->lifeline, &m) == LIFELINE_OK) {
		hand_obey(h, &m);
	}
}

/* One frame of jobs; false: there is none. */
static inline bool hand_read(struct hand *h)
{
	void *frame;
	size_t len;
	if (!h->alive || wire_receive(&h->jobs, &frame, &len)) {
		return false;
	}
	cr_assert_eq(inbox_take(&h->inbox, frame, len, hand_take, h), INBOX_TAKEN);
	wire_free(frame);
	return true;
}

static inline void hand_look(struct hand *h)
{
	struct pollfd ready = {.fd = h->results.ready_fd, .events = POLLIN};
	if (!h->said_hello && poll(&ready, 1, 0) > 0) {
		hand_say(h, PROTO_HELLO, 2, PROTO_VERSION, 1, 0);
		h->said_hello = true;
	}
	hand_listen(h);
	if (h->alive && h->cancel_ct && h->inbox.sequence >= h->cancel_at) {
		for (size_t i = 0; i < h->cancel_ct; i++) {
			hand_cancel(h, h->cancels[i]);
		}
		h->cancel_ct = 0;
	}
	while (h->alive && h->draining && hand_read(h)) {
	}
	hand_drop(h);
	if (h->alive && h->draining && !h->said_bye && h->held_ct == 0 &&
		h->inbox.sequence >= h->last_jobs) {
		hand_flush(h);
		hand_say(h, PROTO_BYE, 1, h->outbox.sequence, 0, 0);
		h->said_bye = list_empty(&h->outbox.waiting);
	}
}

/* ------------------------------------------------------------------- the fleet */

static inline void fleet_obey(const struct control_request *request, int fd)
{
	struct hand *h = &fleet.hands[request->boot.route.slot];
	if (request->type == CONTROL_BLACKBOX) {
		fleet.blackbox = fd;
	} else if (request->type == CONTROL_SPAWN) {
		hand_start(&request->boot, fd, fleet.blackbox);
	} else if (h->alive && h->route.generation == request->boot.route.generation) {
		hand_die(h, SIGKILL);
	}
}

/* Forkserver and workers do what they were told, and begin nothing by themselves. */
static inline void fleet_look(void)
{
	struct control_request request;
	int fd;
	while (control_receive(fleet.door, &request, sizeof request, &fd) == 0) {
		fleet_obey(&request, fd);
	}
	for (unsigned i = 0; i < FLEET_HANDS; i++) {
		if (fleet.hands[i].alive) {
			hand_look(&fleet.hands[i]);
		}
	}
}

static inline void fleet_clock_cb(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fleet_look();
}

/* The master's turn, and theirs. */
static inline void fleet_turn(void)
{
	cr_assert_geq(event_base_loop(fleet.base, EVLOOP_NONBLOCK), 0);
	fleet_look();
}

struct fleet_until {
	bool (*holds)(void *ctx);
	void *ctx;
};

static inline bool fleet_step(void *ctx)
{
	const struct fleet_until *u = ctx;
	fleet_turn();
	return u->holds(u->ctx);
}

static inline void fleet_until(bool (*holds)(void *ctx), void *ctx)
{
	struct fleet_until u = {.holds = holds, .ctx = ctx};
	cr_assert(wait_for(fleet_step, &u, 20000), "it did not come to pass");
}

static inline bool fleet_all_ready(void *unused)
{
	(void)unused;
	return pool_ready_ct(fleet.pool) >= fleet.pool->options.workers;
}

/* While the pool opens and closes, time passes for the workers, too. */
static inline void fleet_open(struct pm_pool_options *o)
{
	struct timeval often = {.tv_usec = 1000};
	fleet.base = event_base_new();
	fleet.clock = event_new(fleet.base, -1, EV_PERSIST, fleet_clock_cb, NULL);
	fleet.did_min = UINT64_MAX;
	fleet.did_max = 0;
	event_add(fleet.clock, &often);
	o->base = fleet.base;
	o->runtime_dir = temp_dir();
	cr_assert_eq(pm_pool_open(&fleet.pool, o), 0, "%s", pm_last_error());
	fleet_until(fleet_all_ready, NULL);
	event_del(fleet.clock);
}

static inline void fleet_close(void)
{
	struct timeval often = {.tv_usec = 1000};
	event_add(fleet.clock, &often);
	pm_pool_close(&fleet.pool);
	event_free(fleet.clock);
	event_base_free(fleet.base);
	close(fleet.door);
	for (unsigned i = 0; i < FLEET_HANDS; i++) {
		cr_assert(!fleet.hands[i].alive, "worker %u is left", i);
	}
}

/* ------------------------------------------------------------------------ jobs */

static inline int fleet_task(pm_task *task, const void *arg, size_t len)
{
	(void)task;
	(void)arg;
	(void)len;
	abort(); /* there is no worker that would run it */
}

static inline pm_future *fleet_submit(uint32_t number, bool once)
{
	struct fleet_order order = {.number = number};
	struct pm_job job = PM_JOB(order);
	pm_future *future = NULL;
	job.once = once;
	cr_assert_eq(pm_submit(fleet.pool, fleet_task, &job, &future), 0, "%s",
		pm_last_error());
	return future;
}

static inline bool fleet_is_done(void *future)
{
	return pm_future_state(future) == PM_DONE;
}

#endif
