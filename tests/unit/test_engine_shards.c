/* SPDX-License-Identifier: MIT
 *
 * The engine's shards: how transfers spread over them, and how a worn one is
 * replaced.  Looks inside: from outside only the speed would tell.
 */
#include "tests/unit/engine_rig.h"

TestSuite(engine_shards, .init = set_up, .fini = tear_down, .timeout = 60);

enum { CROWD = 600 };
static struct outcome crowd[CROWD + 1];
static unsigned crowd_done;

static void count_one(struct outcome *o)
{
	cr_assert_eq(o->result.failure.error, 0, "%s", o->result.failure.message);
	crowd_done++;
}

Test(engine_shards, one_host_fills_as_many_shards_as_it_needs, .timeout = 60)
{
	open_engine(CROWD);
	cr_assert_eq(engine->slot_ct, 3);
	for (int round = 0; round < 2; round++) {
		crowd_done = 0;
		for (int i = 0; i < CROWD + 1; i++) { /* one more than it was for */
			crowd[i].then = count_one;
			start(&crowd[i], NO_REQUEST, "/ok");
		}
		for (unsigned i = 0; i < 3; i++) {
			cr_assert_geq(engine->slots[i]->running.ct, 200);
		}
		wait_for(&crowd_done, CROWD + 1);
		for (int i = 0; i < CROWD + 1; i++) {
			forget(&crowd[i]);
		}
	}
	cr_assert_leq(server.connections, CROWD + 2, "%u", server.connections);
}

Test(engine_shards, few_fetches_of_one_host_stay_in_one_shard, .timeout = 60)
{
	open_engine(CROWD);
	for (int i = 0; i < 10; i++) {
		fetch_and_forget(NO_REQUEST, "/ok");
	}
	unsigned used = 0;
	for (unsigned i = 0; i < 3; i++) {
		used += engine->slots[i] != NULL;
	}
	cr_assert_eq(used, 1);
	cr_assert_eq(server.connections, 1);
}

Test(engine_shards, a_shard_that_made_many_connections_is_replaced, .timeout = 60)
{
	struct outcome slow = {0};
	open_engine(4);
	start(&slow, NO_REQUEST, "/hang"); /* keeps the first shard draining */
	wait_for(&server.seen_ct, 1);
	engine->slots[0]->connects = SHARD_CONNECTS_MAX - 2;
	struct shard *first = engine->slots[0];
	for (int i = 0; i < 4; i++) {
		fetch_and_forget(NO_REQUEST, "/close");
	}
	cr_assert_neq(engine->slots[0], first);
	cr_assert_eq(engine->draining.ct, 1);
	cr_assert_eq(slow.calls, 0);
	engine_cancel(slow.transfer);
	fetch_and_forget(NO_REQUEST, "/ok");
	cr_assert_eq(engine->draining.ct, 0);
}

Test(engine_shards, a_worn_shard_that_cannot_be_replaced_keeps_no_connection,
	.timeout = 60)
{
	struct outcome slow[SHARDS_DRAINING_MAX + 1] = {{0}};
	open_engine(SHARDS_DRAINING_MAX + 2);
	for (unsigned i = 0; i <= SHARDS_DRAINING_MAX; i++) {
		start(&slow[i], NO_REQUEST, "/hang");
		wait_for(&server.seen_ct, i + 1);
		engine->slots[0]->connects = SHARD_CONNECTS_MAX;
	}
	cr_assert_eq(engine->draining.ct, SHARDS_DRAINING_MAX);
	unsigned before = server.connections;
	for (int i = 0; i < 3; i++) {
		fetch_and_forget(NO_REQUEST, "/ok");
	}
	cr_assert_eq(server.connections, before + 3);
	for (unsigned i = 0; i <= SHARDS_DRAINING_MAX; i++) {
		engine_cancel(slow[i].transfer);
	}
	while (engine->draining.ct) {
		event_base_loop(base, EVLOOP_ONCE);
	}
	for (int i = 0; i < 3; i++) {
		fetch_and_forget(NO_REQUEST, "/ok");
	}
	cr_assert_eq(server.connections, before + 4);
}

Test(engine_shards, a_broken_shard_fails_its_fetches_and_is_replaced, .timeout = 60)
{
	struct outcome o = {.stop_loop = true};
	open_engine(1);
	start(&o, NO_REQUEST, "/hang");
	wait_for(&server.seen_ct, 1);
	engine->slots[0]->broken = true;
	event_active(&engine->slots[0]->timer, EV_TIMEOUT, 0);
	event_base_dispatch(base);
	cr_assert_eq(o.calls, 1);
	cr_assert_eq(o.result.failure.error, PM_ESYSTEM);
	forget(&o);
	fetch_and_forget(NO_REQUEST, "/ok");
}
