/* SPDX-License-Identifier: MIT
 *
 * Strangers on the result socket.  What they send is counted and dropped, and
 * changes nothing; even one who knows the pool's nonce changes no result.
 *
 * The one test that looks into the pool: for its nonce, and for what its ledger
 * expects.
 */
#include "tests/support/pool_rig.h"

#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/proto.h"
#include "master/pool.h"

/* ------------------------------------------------------------------- attack */

struct attack;
typedef void strike_fn(struct attack *a);

/* A stream of jobs with something hostile beside it, until all strikes are over and
 * all that was sent has been counted. */
struct attack {
	pm_pool *pool;
	struct event_base *base;
	struct event *timer;
	const char *socket_path;
	int push;
	strike_fn *strike;
	unsigned strikes_left;
	unsigned step; /* results between two strikes */

	uint32_t total, pulled, number;
	uint32_t delivered, wrong;
	uint64_t next_at;
	uint64_t sent, must_drop; /* frames; those of them that no one may take */
	struct job_id {
		uint64_t id;
		uint32_t attempt, slot;
	} seen; /* a job that was open once */
	uint32_t random;
};

static int task_nap(pm_task *task, const void *arg, size_t len)
{
	int err = pm_sleep(task, 1);
	return err ? err : pm_return(task, arg, len);
}

static int attack_source(void *ctx, struct pm_job *job)
{
	struct attack *a = ctx;
	if (a->pulled == a->total) {
		bool over = a->strikes_left == 0 &&
			    rig_stats(a->pool).frames_dropped >= a->must_drop;
		return over ? PM_SOURCE_END : PM_SOURCE_WAIT;
	}
	a->number = a->pulled++;
	*job = (struct pm_job){.arg = &a->number, .len = sizeof(a->number)};
	return PM_SOURCE_JOB;
}

static int attack_sink(void *ctx, const struct pm_result *r)
{
	struct attack *a = ctx;
	a->wrong += r->index != a->delivered || r->error != 0 ||
		    r->len != sizeof(uint32_t) || task_number(r->bytes) != r->index;
	a->delivered++;
	return PM_SINK_TAKEN;
}

static void attack_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct attack *a = ctx;
	(void)fd;
	(void)what;
	if (a->strikes_left > 0 &&
		(a->delivered >= a->next_at || a->pulled == a->total)) {
		a->strikes_left--;
		a->next_at = a->delivered + a->step;
		a->strike(a);
	}
	pm_pool_wake(a->pool);
}

static void attack_open(
	struct attack *a, uint32_t total, strike_fn *strike, unsigned strikes)
{
	struct pm_pool_options o = rig_options(2, 8);
	struct timeval often = {.tv_usec = 2000};
	int timeout = 5000;
	*a = (struct attack){.total = total,
		.strike = strike,
		.strikes_left = strikes,
		.step = total / (strikes + 1),
		.random = 12345};
	a->base = o.base = event_base_new();
	a->pool = rig_open(&o);
	a->socket_path = keep_printf("%s/r", only_entry(o.runtime_dir));
	a->push = nn_socket(AF_SP, NN_PUSH);
	cr_assert_geq(a->push, 0);
	nn_setsockopt(a->push, NN_SOL_SOCKET, NN_SNDTIMEO, &timeout, sizeof(timeout));
	cr_assert_geq(nn_connect(a->push, keep_printf("ipc://%s", a->socket_path)), 0);
	a->timer = event_new(a->base, -1, EV_PERSIST, attack_timer, a);
	event_add(a->timer, &often);
}

static void attack_run(struct attack *a)
{
	struct pm_stream stream = {.task = task_nap,
		.source = attack_source,
		.sink = attack_sink,
		.ctx = a,
		.window = 200};
	int err = pm_map_stream(a->pool, &stream);
	cr_assert_eq(err, 0, "%s: %s", pm_error_name(err), pm_last_error());
	cr_assert_eq(a->delivered, a->total);
	cr_assert_eq(a->wrong, 0, "%u results are wrong", a->wrong);
}

static void attack_close(struct attack *a)
{
	event_free(a->timer);
	nn_close(a->push);
	pm_pool_close(&a->pool);
	event_base_free(a->base);
}

/* ------------------------------------------------------------------- frames */

static void send_bytes(struct attack *a, const void *bytes, size_t len)
{
	cr_assert_eq(nn_send(a->push, bytes, len, 0), (int)len, "%s",
		nn_strerror(nn_errno()));
	a->sent++;
}

/* One that nobody may take. */
static void send_junk(struct attack *a, const void *bytes, size_t len)
{
	a->must_drop++;
	send_bytes(a, bytes, len);
}

static uint32_t some(struct attack *a, uint32_t below)
{
	a->random = a->random * 1664525u + 1013904223u;
	return (a->random >> 8) % below;
}

static struct proto_route route_of(struct attack *a, uint32_t slot)
{
	struct proto_route route = {
		.slot = slot, .generation = a->pool->slots[slot].generation};
	memcpy(route.nonce, a->pool->nonce, sizeof(route.nonce));
	return route;
}

/* A frame with one record: the result "evil" for this job. */
static void make_frame(struct buf *frame, enum proto_type type,
	const struct proto_route *route, uint64_t sequence, struct job_id job)
{
	struct buf payload = {0};
	struct proto_result result = {.bytes = (const uint8_t *)"evil", .len = 4};
	cr_assert_eq(proto_result_put(&payload, &result), 0);
	struct proto_record record = {.id = job.id,
		.attempt = job.attempt,
		.total = (uint32_t)payload.len,
		.length = (uint32_t)payload.len,
		.bytes = (const uint8_t *)payload.data};
	buf_clear(frame);
	cr_assert_eq(proto_frame_begin(frame, type, route, sequence), 0);
	cr_assert_eq(proto_record_put(frame, &record), 0);
	proto_frame_end(frame, 1);
	buf_fini(&payload);
}

/* An open job, as the ledger has it. */
static bool find_open_job(struct attack *a, struct job_id *id)
{
	const struct ledger *l = &a->pool->ledger;
	for (size_t i = 0; i < l->cap; i++) {
		const struct job *job = l->table[i];
		if (job && job->state == JOB_SENT) {
			*id = (struct job_id){
				job->id, job->attempts, job->slot->number};
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------------- garbage */

static void strike_garbage(struct attack *a)
{
	static const size_t lens[] = {0, 1, 4, PROTO_HEAD_BYTES - 1, PROTO_HEAD_BYTES,
		PROTO_HEAD_BYTES + 1, PROTO_HEAD_BYTES + PROTO_RECORD_BYTES, 4096,
		65536};
	static unsigned char bytes[65536];
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (unsigned char)some(a, 256);
	}
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		send_junk(a, bytes, lens[i]);
	}
	memset(bytes, 0, sizeof(bytes));
	send_junk(a, bytes, 100);
	memset(bytes, 0xff, sizeof(bytes));
	send_junk(a, bytes, 100);
}

static void expect_all_dropped(struct attack *a)
{
	struct pm_pool_stats s = rig_stats(a->pool);
	cr_assert_gt(a->must_drop, 0);
	cr_assert_eq(s.frames_dropped, a->must_drop, "%llu dropped, %llu sent",
		(unsigned long long)s.frames_dropped, (unsigned long long)a->must_drop);
	cr_assert_eq(s.workers_lost, 0);
	cr_assert_eq(s.jobs_rerun, 0);
	rig_check_works(a->pool);
}

Test(wires, count_and_drop_garbage, .timeout = 60)
{
	struct attack a;
	attack_open(&a, 1500, strike_garbage, 15);
	attack_run(&a);
	expect_all_dropped(&a);
	attack_close(&a);
}

/* ----------------------------------------------------------------- strangers */

/* All is right in them but one thing. */
static void strike_forged(struct attack *a)
{
	struct buf frame = {0};
	struct job_id job = {0};
	struct proto_route route = route_of(a, 0), bad;
	uint64_t next = a->pool->slots[0].inbox.sequence + 1;
	(void)find_open_job(a, &job);
	for (unsigned i = 0; i < PROTO_NONCE_BYTES; i++) {
		bad = route;
		bad.nonce[i] ^= 1;
		make_frame(&frame, PROTO_RESULTS, &bad, next, job);
		send_junk(a, frame.data, frame.len);
	}
	const uint32_t generations[] = {
		0, route.generation - 1, route.generation + 1, UINT32_MAX};
	for (size_t i = 0; i < sizeof(generations) / sizeof(*generations); i++) {
		bad = route;
		bad.generation = generations[i];
		make_frame(&frame, PROTO_RESULTS, &bad, next, job);
		send_junk(a, frame.data, frame.len);
	}
	const uint32_t slots[] = {a->pool->slot_ct, a->pool->slot_ct + 1, UINT32_MAX};
	for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
		bad = route;
		bad.slot = slots[i];
		make_frame(&frame, PROTO_RESULTS, &bad, next, job);
		send_junk(a, frame.data, frame.len);
	}
	make_frame(&frame, PROTO_JOBS, &route, next, job);
	send_junk(a, frame.data, frame.len);
	buf_fini(&frame);
}

Test(wires, drop_frames_that_are_not_of_this_pool_and_worker, .timeout = 60)
{
	struct attack a;
	attack_open(&a, 1500, strike_forged, 15);
	attack_run(&a);
	expect_all_dropped(&a);
	attack_close(&a);
}

static void put_u32(struct buf *frame, size_t at, uint32_t value)
{
	for (int i = 0; i < 4; i++) {
		frame->data[at + (size_t)i] = (char)(value >> (8 * i));
	}
}

/* The header of a worker, and a length, magic, version or type that cannot be. */
static void strike_lengths(struct attack *a)
{
	static const struct {
		size_t at;
		uint32_t value;
	} lies[] = {{44, 0}, {44, 1}, {44, UINT32_MAX}, {44, INT32_MAX}, {44, 1u << 20},
		{0, 0}, {0, UINT32_MAX}, {4, 0}, {4, UINT32_MAX}, {4, 0x00630001}};
	struct buf frame = {0};
	struct proto_route route = route_of(a, some(a, a->pool->slot_ct));
	struct job_id job = {0};
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		make_frame(&frame, PROTO_RESULTS, &route,
			a->pool->slots[route.slot].inbox.sequence + 1, job);
		put_u32(&frame, lies[i].at, lies[i].value);
		send_junk(a, frame.data, frame.len);
	}
	make_frame(&frame, PROTO_RESULTS, &route, 1, job);
	send_junk(a, frame.data, frame.len - 1); /* cut */
	send_junk(a, frame.data, PROTO_HEAD_BYTES);
	buf_fini(&frame);
}

Test(wires, drop_frames_with_absurd_headers, .timeout = 60)
{
	struct attack a;
	attack_open(&a, 1500, strike_lengths, 15);
	attack_run(&a);
	expect_all_dropped(&a);
	attack_close(&a);
}

/* Those who speak no nanomsg at all, or say nothing, or hang up. */
static void strike_socket(struct attack *a)
{
	static const char *const words[] = {
		"", "GET / HTTP/1.0\r\n\r\n", "\0SP", "\xff\xff"};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", a->socket_path);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_geq(fd, 0);
		cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0, "%s",
			strerror(errno));
		(void)!send(fd, words[i], i == 2 ? 3 : strlen(words[i]), MSG_NOSIGNAL);
		if (a->strikes_left % 2) {
			close(fd); /* the others stay, silent, to the end of the test */
		}
	}
}

Test(wires, do_not_care_for_strangers_without_manners, .timeout = 60)
{
	struct attack a;
	attack_open(&a, 1500, strike_socket, 15);
	attack_run(&a);
	struct pm_pool_stats s = rig_stats(a.pool);
	cr_assert_eq(s.frames_dropped, 0);
	cr_assert_eq(s.workers_lost, 0);
	rig_check_works(a.pool);
	attack_close(&a);
}

/* -------------------------------------------------------------------- insiders */

/* Remember an open job; next time it is done, and has another "result". */
static void strike_doubles(struct attack *a)
{
	struct buf frame = {0};
	if (a->seen.id && !ledger_find(&a->pool->ledger, a->seen.id)) {
		struct proto_route route = route_of(a, a->seen.slot);
		make_frame(&frame, PROTO_RESULTS, &route,
			a->pool->slots[route.slot].inbox.sequence + 1, a->seen);
		send_bytes(a, frame.data, frame.len);
		buf_fini(&frame);
	}
	a->seen = (struct job_id){0};
	(void)find_open_job(a, &a->seen);
}

/* The sender of such a frame has the nonce: to the master it is a worker gone mad,
 * which is replaced.  What it held runs again. */
Test(wires, take_no_result_twice, .timeout = 60)
{
	struct attack a;
	attack_open(&a, 4000, strike_doubles, 20);
	attack_run(&a);
	struct pm_pool_stats s = rig_stats(a.pool);
	cr_assert_geq(
		a.sent, 10, "only %llu doubles were sent", (unsigned long long)a.sent);
	cr_assert_geq(s.frames_dropped, 1);
	cr_assert_leq(s.workers_lost, a.sent);
	cr_assert_eq(s.results, a.total);
	rig_check_works(a.pool);
	attack_close(&a);
}

/* The sequence that the master expects, or one before or after it; records that
 * point beyond the frame, beyond their total, beyond any limit. */
static void strike_mad(struct attack *a)
{
	static const struct {
		size_t at; /* in the frame */
		uint32_t value;
	} lies[] = {{40, 0}, {40, 2}, {40, UINT32_MAX},            /* count */
		{48 + 12, 0}, {48 + 12, 3}, {48 + 12, UINT32_MAX}, /* total */
		{48 + 16, 1}, {48 + 16, UINT32_MAX},               /* offset */
		{48 + 20, 0}, {48 + 20, UINT32_MAX},               /* length */
		{48 + 24 + 12, UINT32_MAX}, {48 + 24 + 12, 5}};    /* message length */
	unsigned turn = a->strikes_left;
	struct buf frame = {0};
	struct proto_route route = route_of(a, turn % a->pool->slot_ct);
	uint64_t next = a->pool->slots[route.slot].inbox.sequence + 1;
	make_frame(
		&frame, PROTO_RESULTS, &route, next + turn % 3 - 1, (struct job_id){0});
	size_t lie = turn % (sizeof(lies) / sizeof(*lies));
	put_u32(&frame, lies[lie].at, lies[lie].value);
	send_bytes(a, frame.data, frame.len);
	buf_fini(&frame);
}

Test(wires, replace_a_worker_that_has_gone_mad, .timeout = 60)
{
	struct attack a;
	attack_open(&a, 5000, strike_mad, 24);
	attack_run(&a);
	struct pm_pool_stats s = rig_stats(a.pool);
	cr_assert_eq(a.sent, 24);
	cr_assert_geq(s.workers_lost, 12, "%llu were replaced",
		(unsigned long long)s.workers_lost);
	cr_assert_leq(s.workers_lost, 24);
	cr_assert_eq(s.results, a.total);
	rig_check_works(a.pool);
	attack_close(&a);
}

/* ---------------------------------------------------------------- the last frame */

/* Returns in another worker only. */
static int task_stay_once(pm_task *task, const void *arg, size_t len)
{
	int err = pm_task_attempt(task) > 1 ? 0 : pm_sleep(task, 600000);
	return err ? err : pm_return(task, arg, len);
}

/* As if the last frame of results had been lost on its way: the worker says that it
 * has sent it, nothing comes after it to show the gap, and the worker is not idle. */
Test(wires, notice_that_the_last_results_do_not_come, .timeout = 60)
{
	pm_pool *pool = rig_pool(1, 1);
	struct batch b = batch_new(1);
	batch_map(pool, task_echo, &b);
	batch_check(&b);
	batch_free(&b);
	pool->slots[0].inbox.sequence--;
	b = batch_new(1);
	batch_map(pool, task_stay_once, &b);
	batch_check(&b);
	cr_assert_eq(b.results[0].attempts, 2);
	cr_assert_eq(rig_stats(pool).workers_lost, 1);
	batch_free(&b);
	pm_pool_close(&pool);
}
