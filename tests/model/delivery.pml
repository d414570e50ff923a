/* SPDX-License-Identifier: MIT
 *
 * The delivery of jobs, as a model for spin: a master with its ledger, SLOTS places for
 * workers, pipelines that lose what is unread when a process goes, and FAULTS things that
 * go wrong at any moment.  `make model` looks at every state.
 *
 * What is promised, whatever happens:
 *   - a job never gets a second result               assert in deliver()
 *   - a job never gets none                          no end but that of master()
 *   - nothing goes on for ever                      assert in bury()
 *   - job ONCE never runs twice                      assert in begin()
 *   - job ONCE is not given up without a fault, and a worker that leaves in order
 *     leaves nothing behind                          asserts in lose() and bury()
 *
 * Left out, for it changes nothing of this: frames of several records, credit, deadlines,
 * cancelling, which of the jobs of a dead worker is to blame (verdict.c).  Not in here at
 * all: the file of results, and a run that goes on with one.
 *
 * Each MUTANT leaves out one thing that the protocol needs, and must break a promise:
 *   NO_MATCH      results are not held against the ledger
 *   NO_ACK        a worker leaves when it has said BYE
 *   NO_LAST_JOB   a worker that is to drain does not wait for the jobs on their way
 *   NO_EPOCH      a worker begins what was taken back
 *   NO_TURNSTILE  it looks at the epoch first, and says that it begins afterwards
 *   NO_BEGUN      the master does not ask what a dead worker had begun
 *   NO_BURIAL     jobs run again when a worker is doomed, not when it is dead
 *   NO_REQUEUE    they do not run again
 *   NO_GAP        missing frames are not noticed
 *   NO_BEAT       nor is it noticed that nothing comes
 *   NO_RESULTS_BEAT   the same, for results that a draining worker has sent
 *   NO_WATCHDOG   nor that a worker is silent
 *   NO_GENERATION frames of a predecessor count as those of its successor
 */
#ifndef JOBS
#define JOBS 3
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef RECALLS
#define RECALLS 1
#endif
#ifndef BEATS
#define BEATS 1 /* heartbeats at bad moments; one that would help comes in any case */
#endif
#define SLOTS 2
#define ONCE 0
#define LIVES 10   /* of a slot: far more than faults and jobs can take */
#define MAX_JOBS 2 /* then a worker is recycled */

mtype = { QUEUED, SENT, DONE };                  /* a job */
mtype = { READY, DRAINING, LOST, GONE };         /* a slot; EMPTY and STARTING are left out */
mtype = { DRAIN, ACK, BYE, BEAT };               /* on the lifeline */

/* ------------------------------------------------------------------- the wires */

chan jobs[SLOTS] = [JOBS] of { byte, byte, byte, byte }; /* job, attempt, epoch, sequence */
chan out[SLOTS] = [JOBS] of { byte, byte, byte, byte };  /* generation, sequence, job, attempt:
                                                            with the worker, or on the way */
chan results = [JOBS] of { byte, byte, byte, byte, byte }; /* slot first: at the master */
chan down[SLOTS] = [2] of { mtype, byte };
chan up[SLOTS] = [3] of { mtype, byte, byte, byte, byte }; /* generation, three values */

/* ------------------------------------------- what the master and the kernel know */

mtype job[JOBS] = QUEUED;
byte holder[JOBS], attempt[JOBS], ordinal[JOBS];
byte got[JOBS]; /* results that were delivered */

mtype slot[SLOTS] = READY;
byte generation[SLOTS], epoch[SLOTS], sent[SLOTS], recalled[SLOTS], read[SLOTS];
bool broken[SLOTS], said_bye[SLOTS];
byte bye[SLOTS];
bool to_kill[SLOTS];
bool over; /* every job is done, the pool closes */

bool alive[SLOTS] = true, stopped[SLOTS], orderly[SLOTS];

/* the black box: shared memory, outlives its worker */
byte box_epoch[SLOTS], box_begun[SLOTS];

/* ------------------------------------------------------------ the worker's memory */

byte running[SLOTS];     /* job + 1 */
byte its_attempt[SLOTS]; /* of that job */
byte taken[SLOTS];       /* frames of jobs that were read */
byte made[SLOTS];        /* results */
bool draining[SLOTS], bye_said[SLOTS];
byte last_job[SLOTS];

/* ------------------------------------------------------------------ the outside */

byte ran[JOBS];
byte faults, recalls, beats;
hidden byte k, k_generation, k_sequence, k_job, k_attempt, k_slot, k_epoch;

#define CAN_WORK(s) (alive[s] && !stopped[s])
#define LISTENS(s) (slot[s] == READY || slot[s] == DRAINING)
#define FAULTY (faults < FAULTS)

/* ------------------------------------------------------------------- the master */

inline deliver(j)
{
	got[j]++;
	assert(got[j] == 1);
	job[j] = DONE
}

inline doom(s)
{
	if
	:: LISTENS(s) ->
		slot[s] = LOST;
		to_kill[s] = true;
#ifdef NO_BURIAL
		lose(s)
#endif
	:: else
	fi
}

inline check_bye(s)
{
	if
	:: said_bye[s] && slot[s] == DRAINING && read[s] >= bye[s] ->
		down[s]!ACK, 0;
		said_bye[s] = false
	:: else
	fi
}

inline match(s, j, a)
{
	if
#ifdef NO_MATCH
	:: true -> deliver(j)
#else
	:: job[j] == SENT && holder[j] == s && attempt[j] == a -> deliver(j)
	:: else
#endif
	fi
}

inline take(s, g, q, j, a)
{
	if
#ifndef NO_GENERATION
	:: g != generation[s] -> skip
#endif
	:: slot[s] == GONE -> skip
	:: else ->
		if
#ifndef NO_GAP
		:: broken[s] || q != read[s] + 1 ->
			broken[s] = true;
			doom(s)
#endif
		:: else ->
			read[s] = q;
			match(s, j, a)
		fi;
		check_bye(s)
	fi
}

/* The jobs of a worker that is lost. */
inline lose(s)
{
	k = 0;
	do
	:: k < JOBS && job[k] == SENT && holder[k] == s ->
		assert(!orderly[s]);
		if
#ifndef NO_BEGUN
		:: k == ONCE && ordinal[k] < box_begun[s] ->
			assert(faults > 0);
			deliver(k)
#endif
#ifdef NO_REQUEUE
		:: else
#else
		:: else -> job[k] = QUEUED
#endif
		fi;
		k++
	:: k < JOBS && !(job[k] == SENT && holder[k] == s) -> k++
	:: else -> break
	od;
	k = 0
}

/* A process that has ended: what it said counts, then what it left. */
inline bury(s)
{
	do
	:: nempty(results) ->
		results?k_slot, k_generation, k_sequence, k_job, k_attempt;
		take(k_slot, k_generation, k_sequence, k_job, k_attempt)
	:: empty(results) -> break
	od;
	lose(s);
	to_kill[s] = false;
	do :: nempty(jobs[s]) -> jobs[s]?_,_,_,_ :: empty(jobs[s]) -> break od;
	do :: nempty(down[s]) -> down[s]?_,_ :: empty(down[s]) -> break od;
	do :: nempty(up[s]) -> up[s]?_,_,_,_,_ :: empty(up[s]) -> break od;
	running[s] = 0; its_attempt[s] = 0; taken[s] = 0; made[s] = 0; last_job[s] = 0;
	draining[s] = false; bye_said[s] = false; orderly[s] = false; stopped[s] = false;
	epoch[s] = 0; sent[s] = 0; recalled[s] = 0; read[s] = 0; bye[s] = 0;
	broken[s] = false; said_bye[s] = false;
	box_epoch[s] = 0; box_begun[s] = 0;
	k_slot = 0; k_generation = 0; k_sequence = 0; k_job = 0; k_attempt = 0;
	if
	:: over -> slot[s] = GONE
	:: else ->
		slot[s] = READY;
		generation[s]++;
		assert(generation[s] < LIVES);
		alive[s] = true
	fi
}

#define MAY_TAKE(s) (sent[s] - recalled[s] < MAX_JOBS)

inline send(j, s)
{
	job[j] = SENT;
	holder[j] = s;
	attempt[j]++;
	ordinal[j] = sent[s];
	sent[s]++;
	jobs[s]!j, attempt[j], epoch[s], sent[s]
}

inline drain(s)
{
	slot[s] = DRAINING;
	down[s]!DRAIN, sent[s]
}

/* What has not begun goes to others. */
inline recall(s)
{
	recalls++;
	box_epoch[s]++;
	epoch[s]++;
	k = 0;
	do
	:: k < JOBS && job[k] == SENT && holder[k] == s && ordinal[k] >= box_begun[s] ->
		job[k] = QUEUED;
		attempt[k]--;
		recalled[s]++;
		k++
	:: k < JOBS && !(job[k] == SENT && holder[k] == s && ordinal[k] >= box_begun[s]) -> k++
	:: else -> break
	od;
	k = 0
}

#define HOLDS(s, j) (job[j] == SENT && holder[j] == s)
#if JOBS == 2
#define HOLDS_ANY(s) (HOLDS(s, 0) || HOLDS(s, 1))
#define ALL_DONE (job[0] == DONE && job[1] == DONE)
#else
#define HOLDS_ANY(s) (HOLDS(s, 0) || HOLDS(s, 1) || HOLDS(s, 2))
#define ALL_DONE (job[0] == DONE && job[1] == DONE && job[2] == DONE)
#endif

/* It has read every job and holds none, its results are here, and jobs are open; or
 * frames of jobs do not reach it; or its results do not come. */
#define OVERDUE(s, held, results_ct, jobs_ct) \
	(jobs_ct == sent[s] && results_ct <= read[s] && !held && HOLDS_ANY(s))
#define JOBS_STUCK(s) (taken[s] < sent[s] && empty(jobs[s]))
#ifdef NO_RESULTS_BEAT
#define RESULTS_STUCK(s) false
#else
#define RESULTS_STUCK(s) (made[s] > read[s] && empty(out[s]))
#endif

proctype manager(byte s) /* the master's turns that are about one slot */
{
	byte g, held, results_ct, jobs_ct;
	do
	/* a job for it */
	:: atomic { slot[s] == READY && MAY_TAKE(s) && job[0] == QUEUED && nfull(jobs[s]) -> send(0, s) }
	:: atomic { slot[s] == READY && MAY_TAKE(s) && job[1] == QUEUED && nfull(jobs[s]) -> send(1, s) }
#if JOBS > 2
	:: atomic { slot[s] == READY && MAY_TAKE(s) && job[2] == QUEUED && nfull(jobs[s]) -> send(2, s) }
#endif
	/* it has had its jobs, or there are no more */
	:: atomic { slot[s] == READY && (!MAY_TAKE(s) || over) && nfull(down[s]) -> drain(s) }
	:: atomic { LISTENS(s) && recalls < RECALLS && HOLDS_ANY(s) -> recall(s) }

	/* the lifeline */
	:: atomic { LISTENS(s) && up[s]?[BYE, _, _, _, _] ->
		up[s]?BYE, g, bye[s], _, _;
		said_bye[s] = true;
		check_bye(s); g = 0 }
	:: atomic { LISTENS(s) && up[s]?[BEAT, _, _, _, _] ->
		up[s]?BEAT, g, held, results_ct, jobs_ct;
		if
		:: OVERDUE(s, held, results_ct, jobs_ct) -> doom(s)
		:: else
		fi;
		g = 0; held = 0; results_ct = 0; jobs_ct = 0 }
#ifndef NO_BEAT
	/* the heartbeat that comes when nothing else does */
	:: atomic { timeout && LISTENS(s) && CAN_WORK(s) &&
		(OVERDUE(s, running[s], made[s], taken[s]) ||
		JOBS_STUCK(s) || RESULTS_STUCK(s)) -> doom(s) }
#endif
#ifndef NO_WATCHDOG
	:: atomic { LISTENS(s) && stopped[s] -> doom(s) }
#endif
	/* the forkserver has reported its end */
	:: atomic { slot[s] != GONE && !alive[s] -> bury(s) }
	:: slot[s] == GONE -> break
	od
}

active proctype master()
{
	byte s, g, q, j, a;
	atomic { run manager(0); run manager(1); run worker(0); run worker(1); run world(0); run world(1) }
	do
	:: atomic { nempty(results) ->
		results?s, g, q, j, a;
		take(s, g, q, j, a);
		s = 0; g = 0; q = 0; j = 0; a = 0 }
	:: atomic { !over && ALL_DONE -> over = true }
	:: over && slot[0] == GONE && slot[1] == GONE -> break
	od;
	assert(ALL_DONE)
}

/* ------------------------------------------------------------------- the worker */

inline leave(s, in_order)
{
	alive[s] = false;
	orderly[s] = in_order
}

inline begin(s, j, a)
{
	box_begun[s] = taken[s]; /* frames and jobs are the same here */
	running[s] = j + 1;
	its_attempt[s] = a;
	ran[j]++;
	assert(j != ONCE || ran[j] == 1)
}

proctype worker(byte s)
{
	byte j, a, e, q;
end:	do
	:: atomic { CAN_WORK(s) && !running[s] && nempty(jobs[s]) ->
		jobs[s]?j, a, e, q;
		taken[s]++;
		if
#ifndef NO_GAP
		:: q != taken[s] -> leave(s, false)
#endif
		:: else ->
			taken[s] = q;
			if
#ifndef NO_EPOCH
			:: e != box_epoch[s] -> skip
#endif
			:: else ->
#ifdef NO_TURNSTILE
				goto looked; back:
				if
				:: !CAN_WORK(s) || q != taken[s] -> goto none
				:: else
				fi;
#endif
				begin(s, j, a)
			fi
		fi;
none:		j = 0; a = 0; e = 0; q = 0 }
	:: atomic { CAN_WORK(s) && running[s] && nfull(out[s]) ->
		made[s]++;
		out[s]!generation[s], made[s], running[s] - 1, its_attempt[s];
		running[s] = 0;
		its_attempt[s] = 0 }
	:: atomic { CAN_WORK(s) && down[s]?[DRAIN, _] ->
		down[s]?DRAIN, last_job[s];
		draining[s] = true }
	:: atomic { CAN_WORK(s) && down[s]?[ACK, _] -> down[s]?ACK, _; leave(s, true) }
	:: atomic { CAN_WORK(s) && draining[s] && !bye_said[s] && !running[s] &&
#ifndef NO_LAST_JOB
		taken[s] >= last_job[s] &&
#endif
		nfull(up[s]) ->
		up[s]!BYE, generation[s], made[s], 0, 0;
		bye_said[s] = true;
#ifdef NO_ACK
		leave(s, true)
#endif
		}
	:: atomic { CAN_WORK(s) && beats < BEATS && len(up[s]) < 2 ->
		beats++;
		up[s]!BEAT, generation[s], running[s], made[s], taken[s] }
#ifdef NO_TURNSTILE
	:: atomic { false -> looked: skip }; /* others get their turn here */
		goto back
#endif
	od
}

/* ------------------------------------------------- pipelines, kernel, forkserver */

proctype world(byte s)
{
	byte g, q, j, a;
end:	do
	/* a result travels; of one that is dead, too, or it is lost with it */
	:: atomic { nempty(out[s]) && nfull(results) ->
		out[s]?g, q, j, a;
		results!s, g, q, j, a;
		g = 0; q = 0; j = 0; a = 0 }
	:: atomic { nempty(out[s]) && out[s]?[_, _, _, _] &&
		(!alive[s] || !out[s]?[eval(generation[s]), _, _, _]) ->
		out[s]?_, _, _, _ }
	:: atomic { to_kill[s] && alive[s] -> alive[s] = false }

	/* faults: killed; stopped, and perhaps continued; a frame lost on either way */
	:: atomic { FAULTY && alive[s] -> faults++; alive[s] = false }
	:: atomic { FAULTY && CAN_WORK(s) -> faults++; stopped[s] = true }
	:: atomic { alive[s] && stopped[s] && to_kill[s] -> stopped[s] = false }
	:: atomic { FAULTY && alive[s] && nempty(out[s]) -> faults++; out[s]?_, _, _, _ }
	:: atomic { FAULTY && alive[s] && nempty(jobs[s]) -> faults++; jobs[s]?_, _, _, _ }
	/* a worker that lies: a result of a job that it has not run, or never had */
	:: atomic { FAULTY && CAN_WORK(s) && nfull(out[s]) ->
		faults++;
		made[s]++;
		if
		:: out[s]!generation[s], made[s], 0, attempt[0]
		:: out[s]!generation[s], made[s], 1, attempt[1]
		fi }
	od
}
