#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a job costs in Python's pools of two workers, when it does nothing.

    pool_bench.py map|imap|executor-1|executor-1000|submit|apply|sleep CT

The same as pool_bench.c: jobs of 16 bytes that give them back, every result
checked, measured from the open pool to the last result.  sleep: asyncio, half of
the tasks in each of two processes.
"""
import asyncio
import statistics
import struct
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Barrier, Pool

WORKERS = 2


def echo(arg):
    return arg


def items(ct):
    return [struct.pack("=QQ", i, 2 * i) for i in range(ct)]


def check(got, expected):
    if got != expected:
        sys.exit("pool_bench.py: a result is wrong")


def timed(run, jobs):
    begin = time.perf_counter()
    got = list(run(jobs))
    took = time.perf_counter() - begin
    check(got, jobs)
    return f"{took * 1e3:.1f} ms"


def meet(start):
    global barrier
    barrier = start


def wait_for_all(_):
    barrier.wait()


def ready_pool():
    """A pool whose workers all run."""
    pool = Pool(WORKERS, meet, (Barrier(WORKERS),))
    pool.map(wait_for_all, range(WORKERS), chunksize=1)
    return pool


def with_pool(run):
    def case(ct):
        with ready_pool() as pool:
            return timed(lambda jobs: run(pool, jobs), items(ct))

    return case


def with_executor(run):
    def case(ct):
        with ProcessPoolExecutor(WORKERS, initializer=meet,
                                 initargs=(Barrier(WORKERS),)) as executor:
            list(executor.map(wait_for_all, range(WORKERS)))
            return timed(lambda jobs: run(executor, jobs), items(ct))

    return case


def submit(executor, jobs):
    futures = [executor.submit(echo, job) for job in jobs]
    return [future.result() for future in futures]


def apply(ct):
    took = []
    with ready_pool() as pool:
        for job in items(ct):
            begin = time.perf_counter()
            got = pool.apply(echo, (job,))
            took.append(time.perf_counter() - begin)
            check(got, job)
    return f"{statistics.median(took) * 1e6:.1f} us"


def status_kb(key):
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(key):
                return int(line.split()[1])
    sys.exit(f"pool_bench.py: there is no {key}")


async def sleeper(number):
    await asyncio.sleep(1)
    return number


async def sleep_all(numbers):
    return await asyncio.gather(*[sleeper(number) for number in numbers])


def sleep_many(numbers):
    before = status_kb("VmRSS:")
    got = asyncio.run(sleep_all(numbers))
    return got, status_kb("VmHWM:") - before


def sleep(ct):
    halves = [list(range(k, ct, WORKERS)) for k in range(WORKERS)]
    with ready_pool() as pool:
        begin = time.perf_counter()
        got = pool.map(sleep_many, halves, chunksize=1)
        took = time.perf_counter() - begin
    check([numbers for numbers, _ in got], halves)
    return f"{took * 1e3:.1f} ms {sum(kb for _, kb in got) / ct:.1f} kB"


CASES = {
    "map": with_pool(lambda pool, jobs: pool.map(echo, jobs)),
    "imap": with_pool(lambda pool, jobs: pool.imap(echo, jobs, chunksize=1)),
    "executor-1": with_executor(lambda e, jobs: e.map(echo, jobs, chunksize=1)),
    "executor-1000": with_executor(lambda e, jobs: e.map(echo, jobs, chunksize=1000)),
    "submit": with_executor(submit),
    "apply": apply,
    "sleep": sleep,
}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CASES or not sys.argv[2].isdecimal():
        sys.exit(__doc__)
    print(sys.argv[1], sys.argv[2], "jobs", CASES[sys.argv[1]](int(sys.argv[2])))
