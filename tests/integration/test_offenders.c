/* SPDX-License-Identifier: MIT
 *
 * Tasks that misbehave, each in the middle of a map of others that do not: only its job
 * fails, the error says what happened, and the pool goes on.
 */
#include "tests/support/pool_rig.h"

enum { LIMIT = 60, JOBS = 60, OFFENDER = 20, MIB = 1 << 20 };

enum offence {
	NONE,
	SEGFAULT,
	EXIT,     /* with status 3 */
	LOOP,     /* for ever */
	OVERFLOW, /* of its stack */
	BIG,      /* a result of 20 MiB */
	LEAK,     /* a descriptor that stays open */
	GREED,    /* 256 MiB, and they are held */
	OFFENCES
};

struct plan {
	uint32_t number;
	uint32_t offence;
};

static volatile bool for_ever = true;

static void write_to_constant(void)
{
	/* not NULL: there are machines with memory at 0 */
	volatile char *volatile read_only = (volatile char *)(uintptr_t) "constant";
	*read_only = 1; /* NOLINT(gcc-write-to-string-literal): meant */
}

static void leave(void)
{
	if (RIG_SANITIZED) {
		_exit(3); /* exit() has a code of its own when it sees leaks */
	}
	exit(3);
}

static void loop(void)
{
	while (for_ever) {
	}
}

/* Frames of a size that cannot step over a guard page. */
static unsigned overflow(unsigned depth)
{
	volatile char frame[512];
	frame[depth % sizeof(frame)] = (char)depth;
	unsigned below = for_ever ? overflow(depth + 1) : 0;
	return below + (unsigned char)frame[depth % sizeof(frame)];
}

static int return_20_mib(pm_task *task)
{
	char *bytes = calloc(20, MIB);
	int err = bytes ? pm_return(task, bytes, 20 * MIB) : PM_ENOMEM;
	free(bytes);
	return err;
}

static int take_256_mib(pm_task *task)
{
	size_t size = (size_t)256 * MIB;
	volatile char *bytes = malloc(size); /* or else nothing would be written */
	if (!bytes) {
		return PM_ENOMEM;
	}
	for (size_t i = 0; i < size; i += 1024) {
		bytes[i] = 1;
	}
	int err = pm_sleep(task, 600000);
	free((void *)(uintptr_t)bytes);
	return err;
}

static int task_offend(pm_task *task, const void *arg, size_t len)
{
	struct plan p;
	(void)len;
	memcpy(&p, arg, sizeof(p));
	int err = pm_sleep(task, 1);
	switch (p.offence) {
	case SEGFAULT:
		write_to_constant();
		break;
	case EXIT:
		leave();
		break;
	case LOOP:
		loop();
		break;
	case OVERFLOW:
		atomic_store(&board->seen, (int)overflow(0));
		break;
	case BIG:
		return return_20_mib(task);
	case GREED:
		return take_256_mib(task);
	case LEAK:
		err = open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? PM_ESYSTEM : err;
		break;
	}
	return err ? err : pm_return(task, &p.number, sizeof(p.number));
}

/* ------------------------------------------------------------------ what is said */

static const struct {
	int error, domain, code;
	const char *words; /* in the message */
	bool kills;        /* its worker */
} ends[OFFENCES] = {
	[SEGFAULT] = {PM_EWORKERLOST, PM_DOMAIN_SIGNAL, SIGSEGV,
		"signal 11 (Segmentation fault)", true},
	[EXIT] = {PM_EWORKERLOST, PM_DOMAIN_EXIT, 3, "exited with status 3", true},
	[LOOP] = {PM_EWORKERLOST, PM_DOMAIN_SIGNAL, SIGKILL,
		"the task kept the CPU for more than 1000 ms", true},
	[OVERFLOW] = {PM_EWORKERLOST, PM_DOMAIN_SIGNAL, SIGSEGV,
		"ran over the end of its stack", true},
	[BIG] = {PM_ETOOBIG, PM_DOMAIN_NONE, 0, "20971520", false},
	[LEAK] = {PM_ELEAK, PM_DOMAIN_NONE, 0, "/etc/passwd", false},
	[GREED] = {PM_EWORKERLOST, PM_DOMAIN_SIGNAL, SIGKILL,
		"memory limit of 134217728 bytes", true},
};

static void check_end(const struct pm_result *r, enum offence offence)
{
	cr_assert_eq(r->error, ends[offence].error, "offence %d: %s, %s", offence,
		pm_error_name(r->error), r->message);
	cr_assert_eq(r->domain, ends[offence].domain, "offence %d: %s", offence,
		pm_domain_name(r->domain));
	cr_assert_eq(r->code, ends[offence].code, "offence %d: %d", offence, r->code);
	cr_assert_null(r->bytes);
	cr_assert(r->message && *r->message);
	if (!RIG_SANITIZED || offence != OVERFLOW) { /* its frames are other ones */
		cr_assert(strstr(r->message, ends[offence].words), "offence %d: %s",
			offence, r->message);
	}
}

/* ------------------------------------------------------------------ in a map */

/* Two workers that run one task each: so a descriptor that is left open can be told
 * whose it is. */
static struct pm_pool_options strict_options(void)
{
	struct pm_pool_options o = rig_options(2, 2);
	o.max_bytes = MIB;
	o.hang_timeout_ms = 1000;
	o.check_descriptors = true;
	/* a sanitizer's own memory counts as well */
	o.worker_memory_bytes = RIG_SANITIZED ? 0 : (size_t)128 * MIB;
	return o;
}

struct trial {
	struct pm_pool_options options;
	pm_pool *pool;
	struct plan plans[JOBS];
	struct batch batch;
};

static void trial_open(struct trial *t, struct pm_pool_options options)
{
	t->options = options;
	t->pool = rig_open(&options);
	t->batch = batch_new(JOBS);
	for (uint32_t i = 0; i < JOBS; i++) {
		t->plans[i] = (struct plan){.number = i};
		t->batch.jobs[i].arg = &t->plans[i];
		t->batch.jobs[i].len = sizeof(t->plans[i]);
	}
}

/* The others came through, whatever became of their workers. */
static void trial_run(struct trial *t)
{
	batch_map(t->pool, task_offend, &t->batch);
	for (uint32_t i = 0; i < JOBS; i++) {
		if (t->plans[i].offence == NONE) {
			batch_check_one(&t->batch, i);
		}
	}
}

/* The pool goes on, and nothing is left of it in the end. */
static void trial_close(struct trial *t)
{
	rig_check_works(t->pool);
	pm_pool_close(&t->pool);
	rig_check_nothing_left(t->options.runtime_dir);
	batch_free(&t->batch);
}

static void try_one(enum offence offence)
{
	static struct trial t;
	trial_open(&t, strict_options());
	t.plans[OFFENDER].offence = offence;
	trial_run(&t);
	check_end(&t.batch.results[OFFENDER], offence);
	if (ends[offence].kills) {
		cr_assert_geq(rig_stats(t.pool).workers_lost, 1);
	} else {
		cr_assert_eq(rig_stats(t.pool).workers_lost, 0);
		cr_assert_eq(rig_stats(t.pool).jobs_rerun, 0);
		cr_assert_eq(t.batch.results[OFFENDER].attempts, 1);
	}
	trial_close(&t);
}

Test(offenders, segmentation_fault, .timeout = LIMIT)
{
	try_one(SEGFAULT);
}

Test(offenders, exit_of_the_worker, .timeout = LIMIT)
{
	try_one(EXIT);
}

Test(offenders, endless_loop, .timeout = LIMIT)
{
	try_one(LOOP);
}

Test(offenders, stack_overflow, .timeout = LIMIT)
{
	try_one(OVERFLOW);
}

Test(offenders, result_of_20_mib_where_1_is_allowed, .timeout = LIMIT)
{
	try_one(BIG);
}

Test(offenders, leaked_descriptor, .timeout = LIMIT)
{
	try_one(LEAK);
}

Test(offenders, too_much_memory, .timeout = LIMIT)
{
	if (RIG_SANITIZED) {
		cr_skip_test("a sanitizer takes more by itself");
	}
	try_one(GREED);
}

/* By the defaults it may be as large: no harm is done at all. */
Test(offenders, result_of_20_mib_where_64_are_allowed, .timeout = LIMIT)
{
	static struct trial t;
	trial_open(&t, rig_options(2, 8));
	t.plans[OFFENDER].offence = BIG;
	trial_run(&t);
	const struct pm_result *r = &t.batch.results[OFFENDER];
	cr_assert_eq(r->error, 0, "%s", r->message);
	cr_assert_eq(r->len, (size_t)20 * MIB);
	cr_assert_eq(rig_stats(t.pool).workers_lost, 0);
	trial_close(&t);
}

/* With a time limit of its own, that is what it has broken; and it is not tried again,
 * as it had all its time. */
Test(offenders, endless_loop_with_a_deadline, .timeout = LIMIT)
{
	static struct trial t;
	trial_open(&t, strict_options());
	t.plans[OFFENDER].offence = LOOP;
	t.batch.jobs[OFFENDER].timeout_ms = 200;
	trial_run(&t);
	const struct pm_result *r = &t.batch.results[OFFENDER];
	cr_assert_eq(
		r->error, PM_ETIMEDOUT, "%s: %s", pm_error_name(r->error), r->message);
	cr_assert(strstr(r->message, "more than 200 ms without a pause"), "%s",
		r->message);
	cr_assert_eq(r->attempts, 1);
	cr_assert_eq(rig_stats(t.pool).workers_lost, 1);
	trial_close(&t);
}

/* All of them at once: to each its own. */
Test(offenders, all_of_them_in_one_map, .timeout = LIMIT)
{
	static struct trial t;
	trial_open(&t, strict_options());
	int last = RIG_SANITIZED ? LEAK : GREED;
	for (int o = NONE + 1; o <= last; o++) {
		t.plans[o * 8].offence = (uint32_t)o;
	}
	trial_run(&t);
	for (int o = NONE + 1; o <= last; o++) {
		check_end(&t.batch.results[o * 8], (enum offence)o);
	}
	trial_close(&t);
}
