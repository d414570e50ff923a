#!/bin/bash
# The pool against Python's pools, side by side in one run.
#
#   tests/bench/pool.sh BUILD_DIR [map|imap|submit|apply|sleep]...
#
# ROUNDS (5): the least of so many counts, as what comes on top is the machine's.
# SCALE (1): divides the numbers of jobs, for a trial.  PYTHON: /usr/bin/python3.
set -euo pipefail
build=$1
shift
parts=${*:-map imap submit apply sleep}
rounds=${ROUNDS:-5}
scale=${SCALE:-1}
python=${PYTHON:-/usr/bin/python3}

ours=$build/tests/bench/pool_bench
theirs=$(dirname "$0")/pool_bench.py
dir=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-bench-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# once NAME COMMAND CASE JOBS: appends "FIGURE KB" to $dir/NAME.  A command that fails
# or finds a wrong result ends the whole run.
once() {
	local name=$1 jobs=$((${!#} / scale))
	shift
	"${@:1:$#-1}" "$jobs" >"$dir/line"
	sed -n 's/^[a-z0-9-]* [0-9]* jobs \([0-9.]*\) [mu]s *\([0-9.-]*\).*$/\1 \2/p' \
		"$dir/line" >>"$dir/$name"
	echo "$jobs" >"$dir/$name.jobs"
	printf '  %-24s %s\n' "$name" "$(cat "$dir/line")"
}

# The least of a column.
least() {
	sort -n -k"${2:-1}" "$dir/$1" | awk -v c="${2:-1}" 'NR == 1 {print $c}'
}

# Microseconds of one job, from milliseconds of all.
per_job() {
	awk -v ms="$(least "$1")" -v ct="$(cat "$dir/$1.jobs")" 'BEGIN {printf "%.3f", ms * 1000 / ct}'
}

compare() { # OURS UNIT THEIRS...: figures per job, and how many times ours theirs is
	local ours=$1 name figure
	shift
	figure=$(per_job "$ours")
	awk -v n="$ours" -v us="$figure" 'BEGIN {printf "%-24s %9.2f us a job, %9.0f jobs/s\n", n, us, 1e6 / us}'
	for name in "$@"; do
		awk -v n="$name" -v us="$(per_job "$name")" -v ours="$figure" \
			'BEGIN {printf "%-24s %9.2f us a job, %9.0f jobs/s  %.1f times\n", n, us, 1e6 / us, us / ours}'
	done
}

map() {
	echo "== map: 1,000,000 jobs of 16 bytes, two workers; $rounds rounds"
	for _ in $(seq "$rounds"); do
		once pm_map "$ours" map 1000000
		once Pool.map "$python" "$theirs" map 1000000
		once Executor.map-1000 "$python" "$theirs" executor-1000 1000000
	done
	compare pm_map Pool.map Executor.map-1000
}

imap() {
	echo "== job by job: 1,000,000 with pm_imap; Python with chunks of one: 100,000 and 20,000"
	for _ in $(seq "$rounds"); do
		once pm_imap "$ours" imap 1000000
		once Pool.imap "$python" "$theirs" imap 100000
		once Executor.map-1 "$python" "$theirs" executor-1 20000
	done
	compare pm_imap Pool.imap Executor.map-1
}

submit() {
	echo "== futures: 1,000,000 with pm_submit, 10,000 at once; Python: 20,000"
	for _ in $(seq "$rounds"); do
		once pm_submit "$ours" submit 1000000
		once Executor.submit "$python" "$theirs" submit 20000
	done
	compare pm_submit Executor.submit
}

apply() {
	echo "== round trip: median of 20,000"
	for _ in $(seq "$rounds"); do
		once pm_apply "$ours" apply 20000
		once Pool.apply "$python" "$theirs" apply 20000
	done
	awk -v a="$(least pm_apply)" -v b="$(least Pool.apply)" \
		'BEGIN {printf "pm_apply %.1f us, Pool.apply %.1f us: %.1f times\n", a, b, b / a}'
}

sleep() {
	echo "== 10,000 tasks that sleep for 1 s, two workers"
	for _ in $(seq "$rounds"); do
		once pm_sleep "$ours" sleep 10000
		once asyncio.sleep "$python" "$theirs" sleep 10000
	done
	for name in pm_sleep asyncio.sleep; do
		printf '%-24s %s ms, %s kB of the workers a task\n' "$name" "$(least $name)" "$(least $name 2)"
	done
}

for part in $parts; do
	$part
done
