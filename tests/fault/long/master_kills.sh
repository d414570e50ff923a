#!/bin/sh
# `poolmap run` is killed at random moments and resumed each time, and its workers are
# killed too: the results are those of a run in peace, and nobody is left.
#
#   tests/fault/long/master_kills.sh BUILD_DIR [JOBS [KILLS]]
#
# SPDX-License-Identifier: MIT
set -eu
build=${1:-build/release}
jobs=${2:-200000}
kills=${3:-20}
# shellcheck source=tests/support/chaos_rig.sh
. "$(dirname "$0")/../../support/chaos_rig.sh"

start_origin
mixed_jobs "$jobs" >"$dir/jobs"
out=$dir/out.jsonl

run() {
	"$poolmap" run --no-config -q -w 2 -o "$@" "$dir/jobs" 9>&- 2>>"$dir/said"
}

now_ms() {
	awk '{ printf "%d", $1 * 1000 }' /proc/uptime
}

size() {
	if [ -e "$out" ]; then stat -c %s "$out"; else echo 0; fi
}

kill_worker() {
	# shellcheck disable=SC2013 # words on purpose
	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		workers=$(cat "/proc/$child/task/$child/children" 2>/dev/null) || continue
		# shellcheck disable=SC2086 # words on purpose
		set -- $workers
		[ $# -gt 0 ] || return 0
		shift "$(dice $#)"
		if kill -KILL "$1" 2>/dev/null; then workers_killed=$((workers_killed + 1)); fi
		return 0
	done
}

# Kills go by what was written, not by the clock: on a slow machine there are as many.
# A worker dies when a 200th of the results has come since the last one did.
kill_at() {
	next=$(($(size) + total / 200))
	while at=$(size) && [ "$at" -lt "$2" ] && kill -0 "$1" 2>/dev/null; do
		[ "$at" -lt "$next" ] || {
			kill_worker "$1"
			next=$((at + total / 200))
		}
	done
	kill -KILL "$1" 2>/dev/null || die "ended before it was killed: $(cat "$dir/said")"
}

begin=$(now_ms)
run "$dir/peace.jsonl" || [ $? -eq 1 ] || die "the run in peace: $(cat "$dir/said")"
peace=$(($(now_ms) - begin))
total=$(stat -c %s "$dir/peace.jsonl")

workers_killed=0
killed=0
begin=$(now_ms)
while [ "$killed" -lt "$kills" ]; do
	at=$(size)
	step=$(((total - at) * 3 / 2 / (kills - killed + 1) + 1))
	run "$out" --resume &
	wrapper=$!
	# the subshell's only child is the run
	until run=$(cat "/proc/$wrapper/task/$wrapper/children" 2>/dev/null) && [ -n "$run" ]; do
		kill -0 "$wrapper" 2>/dev/null || die "does not start: $(cat "$dir/said")"
	done
	run=${run% }
	kill_at "$run" $((at + $(dice "$step")))
	wait "$wrapper" 2>/dev/null || :
	check_no_orphan "$out"
	killed=$((killed + 1))
done
code=0
run "$out" --resume || code=$?
[ "$code" -eq 1 ] || die "exit code $code at last: $(cat "$dir/said")"
took=$(($(now_ms) - begin))
check_same "$dir/peace.jsonl" "$out" "after $killed kills"
check_no_orphan "$out"
[ "$(wc -l <"$out")" -eq "$jobs" ] || die "$(wc -l <"$out") results"
again=$(grep -c '"attempts":[^1]' "$out") || :
echo "master_kills: $jobs results as in a run in peace; master killed $killed times," \
	"$workers_killed workers killed; $again jobs begun again; no process left after 1 s;" \
	"$took ms, in peace $peace ms"
