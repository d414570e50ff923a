#!/bin/sh
# A run of some jobs is killed at its k-th write, fsync, rename, truncate, unlink; its
# k-th write and fsync of an output or its state fail; its results are cut anywhere.
# Resumed, it gives what a run in peace does, and whatever was written before ends in
# a whole line.
#
#   tests/fault/long/crash_points.sh BUILD_DIR [STEP JOBS [FORM...]]
#
# Every STEP-th k, and all of them with 1; of the places to cut, every eighth of those.
# Forms: jsonl csv gz dir.
#
# SPDX-License-Identifier: MIT
set -eu
build=${1:-build/release}
step=${2:-1}
jobs_ct=${3:-300}
shift $(($# < 3 ? $# : 3))
forms=${*:-jsonl csv gz dir}
# There are many thousand fsyncs, and what they do is not for us to test.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then TMPDIR=/dev/shm; fi
# shellcheck source=tests/support/chaos_rig.sh
. "$(dirname "$0")/../../support/chaos_rig.sh"
# LeakSanitizer does not work under strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

start_origin
mixed_jobs "$jobs_ct" >"$dir/jobs"

# Words on purpose: what goes before, and options.  One job at a time makes a write of
# each result.
run() {
	before=$1
	shift
	# shellcheck disable=SC2086
	into_place $before "$poolmap" run --no-config -q -w 1 -c 2 $flags "$@"
}

# Jobs that the summary speaks of: done now, and before.
summed() {
	sed -n 's/.*"jobs":{"done":\([0-9]*\),.*"skipped":\([0-9]*\),.*}$/\1 \2/p' "$place/stats" |
		awk '{ print $1 + $2 } END { if (!NR) print -1 }'
}

resume_and_check() {
	run "" --resume
	[ "$code" -eq 1 ] || die "$form, $1: exit code $code when resumed: $(cat "$dir/said")"
	check_same "$dir/peace/$out" "$place/$out" "$form, $1"
	zcat -f "$place/$failed" | cmp -s "$dir/failed" - || die "$form, $1: another list of failed jobs"
	[ "$(summed)" -eq "$jobs_ct" ] || die "$form, $1: the summary is of $(summed) jobs"
	[ "$form" != dir ] || diff -r "$dir/peace/bodies" "$place/bodies" >/dev/null ||
		die "$form, $1: other bodies"
	case_ct=$((case_ct + 1))
}

# How often the run in peace makes a system call, on any file or on its outputs only.
count() {
	fresh
	run "strace -qq -o $dir/trace -e trace=$1 $2"
	wc -l <"$dir/trace"
}

# Each in turn, from a random first one on, so that in time all are tested.
sweep() {
	k=$((1 + $(dice $((step < $1 || $1 < 1 ? step : $1)))))
	while [ "$k" -le "$1" ]; do
		fresh
		"$2" "$k"
		k=$((k + step))
	done
}

killed_at() {
	run "strace -qq -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$1"
	[ "$code" -eq 137 ] || [ "$code" -eq 1 ] || die "$form, killed: exit code $code"
	resume_and_check "killed at $call $1"
}

sweep_kills() {
	for call in write fsync rename ftruncate unlink unlinkat; do
		ct=$(count "$call" "")
		sweep "$ct" killed_at
		kills=$((kills + ct))
	done
}

# Every worker, when it gives its k-th body a name: the run goes on with others.  Not at
# the first ones, where no worker gets further than the one before: the job that
# each dies of is poison then.
worker_killed_at() {
	[ "$1" -ge 8 ] || return 0
	run "strace -f -qq -o $dir/trace -e trace=$call -e inject=$call:signal=KILL:when=$1"
	[ "$code" -eq 1 ] || die "$form, workers killed: exit code $code: $(cat "$dir/said")"
	! grep -q 'killed by SIGKILL' "$dir/trace" || workers=$((workers + 1))
	resume_and_check "workers killed at $call $1"
}

sweep_worker_kills() {
	workers=0
	for call in linkat renameat; do
		sweep 30 worker_killed_at
	done
	[ "$step" -gt 1 ] || [ "$workers" -gt 0 ] || die "$form: no worker was killed"
}

ends_whole() {
	case $out in
	*.gz) [ ! -s "$place/$out" ] || gzip -t "$place/$out" ;;
	*) [ ! -s "$place/$out" ] || [ -z "$(tail -c 1 "$place/$out")" ] ;;
	esac
}

# Once, or from then on, by turns.
more=
fails_at() {
	if [ -n "$more" ]; then more=; else more=+; fi
	run "strace -qq -o $dir/trace $paths -e trace=$call -e inject=$call:error=$error:when=$1$more"
	expected=1 # the last ones may not come, when results come in larger parts
	if grep -q INJECTED "$dir/trace"; then
		expected=4
		failures=$((failures + 1))
		[ -s "$dir/said" ] || die "$form, $error at $call $1: says nothing"
	fi
	[ "$code" -eq $expected ] ||
		die "$form, $error at $call $1: exit code $code: $(cat "$dir/said")"
	ends_whole || die "$form, $error at $call $1: is torn"
	resume_and_check "$error at $call $1$more"
}

sweep_errors() {
	paths="-P $place/$out -P $place/$out.state.new -P $place/$failed"
	for error in ENOSPC EIO; do
		for call in write fsync; do
			sweep "$(count "$call" "$paths")" fails_at
		done
	done
}

# Of the shorter list nothing may be left.
cut() {
	cp -r "$dir/peace/." "$place"
	truncate -s "$((size - $1))" "$place/$out"
	truncate -s "$((failed_size > $1 ? failed_size - $1 : 0))" "$place/$failed"
}

cut_at() {
	cut "$1"
	resume_and_check "cut $1 bytes before the end"
}

filled_at() {
	cut "$1"
	truncate -s "$size" "$place/$out"
	truncate -s "$failed_size" "$place/$failed"
	resume_and_check "zeros in the last $1 bytes"
}

sweep_cuts() {
	size=$(stat -c %s "$dir/peace/$out")
	failed_size=$(stat -c %s "$dir/peace/$failed")
	last=$((size < 4096 ? size : 4096))
	every=$step
	[ "$step" -eq 1 ] || step=$((step * 8))
	sweep "$last" cut_at
	sweep "$last" filled_at
	step=$every
}

for form in $forms; do
	out=out.jsonl failed=failed
	flags="--sync always"
	case $form in
	csv) out=out.csv flags="$flags --format csv --fields index,id,url,ok,error,body,body_base64" ;;
	gz) out=out.jsonl.gz failed=failed.gz ;;
	dir) flags="$flags --body dir:$place/bodies" ;;
	esac
	case_ct=0 kills=0 failures=0
	in_peace 1
	zcat -f "$dir/peace/$failed" >"$dir/failed"
	sweep_kills
	[ "$form" != dir ] || sweep_worker_kills
	sweep_errors
	# The k-th of few may be one that does not come this time.
	[ "$step" -gt 1 ] || [ "$failures" -gt 0 ] || die "$form: no failure was seen"
	sweep_cuts
	check_no_orphan "$place/"
	echo "crash_points: $form: $case_ct cases resumed: killed at every $step. of $kills system" \
		"calls, $failures times ENOSPC or EIO, cut and zeroed in the last $last bytes"
done
