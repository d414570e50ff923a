#!/bin/sh
# A run of some jobs in which one call fails: the k-th that takes memory, makes a
# process, opens, writes, sends or maps, of the master, of the forkserver or of a worker;
# and, in the first two, all that come after it.  It ends in its time, by itself, with an
# exit code that the manual knows and a word on why, and leaves no process and no
# directory.  Resumed, it gives what a run in peace does.  A job whose worker had no
# memory may have failed, but has its one result in its place.
#
#   tests/fault/long/torture.sh BUILD_DIR [SAMPLES [FORM...]]
#
# Of each kind all k, but not more than 2000 in workers; or so many, at equal distances
# from a random first one on.  Forms: plain much of the command, host based of the
# library.
# With TORTURE_GO_ON set, tells all that is wrong and not the first thing only.
# TORTURE_ONLY_WHO and TORTURE_ONLY_WHAT: some of who and what can fail.
#
# SPDX-License-Identifier: MIT
set -eu
build=${1:-build/release}
samples=${2:-0}
shift $(($# < 2 ? $# : 2))
forms=${*:-plain much host based}
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then TMPDIR=/dev/shm; fi
# shellcheck source=tests/support/chaos_rig.sh
. "$(dirname "$0")/../../support/chaos_rig.sh"

# AddressSanitizer wants to be the first library; memory never fails there.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"

jobs_ct=40
limit_s=20
start_origin
mixed_jobs $jobs_ct >"$dir/jobs"
failed=failed
wrong_ct=0

wrong() {
	what_is_wrong="$form, $who, $what $k${on:+ and on}: $*"
	[ -n "${TORTURE_GO_ON:-}" ] || die "$what_is_wrong"
	echo "$what_is_wrong" >&2
	wrong_ct=$((wrong_ct + 1))
}

# Words on purpose: what goes before, and options.  A worker whose libevent was refused
# a descriptor waits for what never comes, and the job has its time.
run() {
	before=$1
	shift
	case $form in
	host | based)
		code=0
		# shellcheck disable=SC2086
		timeout -s KILL $limit_s $before "$build/tests/fault/prog_torture" \
			"$dir/runtime" $flags 9>&- 2>"$dir/said" || code=$?
		return
		;;
	esac
	# shellcheck disable=SC2086
	into_place timeout -s KILL $limit_s $before \
		"$poolmap" run -q -w 2 -c 4 --timeout 5 --sync always $flags "$@"
}

tortured() {
	rm -f "$dir/state"
	run "env LD_PRELOAD=$build/tests/fault/torture.so TORTURE_WHO=$who TORTURE_WHAT=$what \
		TORTURE_AT=$k TORTURE_STATE=$dir/state ${on:+TORTURE_ON=1}"
}

# The first word of the state: calls.  The second: those that failed.
state() {
	[ ! -s "$dir/state" ] || od -An -v -w8 -tu8 "$dir/state" | sed -n "$1s/ //gp"
}

left_behind() {
	ls -A "$dir/runtime"
}

check_end() {
	# shellcheck disable=SC2254 # patterns
	case $code in
	$expected | $known) ;;
	*) wrong "exit code $code: $(cat "$dir/said")" ;;
	esac
	[ "$code" -eq "$expected" ] || grep -q "^$command: [^ ]" "$dir/said" ||
		wrong "exit code $code without a word: $(cat "$dir/said")"
	check_no_orphan "$dir/"
	[ -z "$(left_behind)" ] || wrong "leaves $(left_behind)"
	rm -rf "$dir/runtime"
	mkdir "$dir/runtime"
}

same() {
	same_parts "$dir/peace/$out" >"$dir/same.a"
	same_parts "$place/$out" >"$dir/same.b"
	cmp -s "$dir/same.a" "$dir/same.b" || {
		cat "$dir/said" >&2
		wrong "$1: other results: $(diff "$dir/same.a" "$dir/same.b" | head -c 600)"
		return
	}
	cmp -s "$dir/peace/failed" "$place/failed" || wrong "$1: another list of failed jobs"
}

check_resumed() {
	tortured_code=$code
	[ "$code" -ne 1 ] || same "done"
	[ "$code" -ne 2 ] || [ ! -s "$place/$out" ] || wrong "exit code 2, and a result"
	run "" --resume
	[ "$code" -eq 1 ] ||
		wrong "$tortured_code, then exit code $code when resumed: $(cat "$dir/said")"
	same "resumed"
}

# One line for each job, in order.  A success is what it is in peace; a failure is that
# of the job, or says that it was not the job.
check_worker() {
	if [ "$code" -ne 1 ]; then
		check_resumed
		return
	fi
	same_parts "$dir/peace/$out" >"$dir/same.a"
	same_parts "$place/$out" >"$dir/same.b"
	verdicts 1 "$dir/same.a" >"$dir/places.a"
	verdicts 1 "$dir/same.b" >"$dir/places.b"
	cmp -s "$dir/places.a" "$dir/places.b" || wrong "lost, double or out of order"
	strange=$(diff "$dir/same.a" "$dir/same.b" | grep '^>.*"ok":true' || :)
	[ -z "$strange" ] || wrong "another result: $strange"
	verdicts '1 \2' "$dir/same.a" >"$dir/places.a"
	verdicts '1 \2' "$dir/same.b" >"$dir/places.b"
	strange=$(diff "$dir/places.a" "$dir/places.b" | grep '^>' |
		grep -Ev '"(internal|worker_lost)"' || :)
	[ -z "$strange" ] || wrong "another error: $strange"
}

# The places of the results, and with 1 \2 their errors.  libcurl has one code for no
# memory and for a head that is too large, and one for no memory and for no address.
verdicts() {
	# shellcheck disable=SC1003 # the number of a group follows
	sed -E 's/"(headers_too_large|dns)"(.*"exitcode":(27|6),)/"internal"\2/
		s/.*"index":([0-9]+),.*"error":("[a-z_]+"|null).*/\'"$1/" "$2"
}

sweep() {
	k=0 on='' most=$samples
	[ "$who" != worker ] || [ "$most" -gt 0 ] || most=2000
	fresh
	tortured
	[ "$code" -eq "$expected" ] || wrong "counted: exit code $code: $(cat "$dir/said")"
	ct=$(state 1)
	calls=$((calls + ct))
	every=$((most ? (ct + most - 1) / most : 1))
	[ "$ct" -gt 0 ] || return 0
	k=$((1 + $(dice "$every")))
	while [ "$k" -le "$ct" ]; do
		for on in "" $ons; do
			fresh
			tortured
			[ "$(state 2)" -gt 0 ] || continue # it went another way
			case_ct=$((case_ct + 1))
			check_end
			case $command,$who in
			prog_torture,*) ;;
			*,worker) check_worker ;;
			*) check_resumed ;;
			esac
		done
		k=$((k + every))
	done
}

for form in $forms; do
	out=out.jsonl
	flags="--no-config"
	command=poolmap expected=1 known='[0-7]'
	case $form in
	host | based)
		command=prog_torture expected=0 known=3 flags=
		[ "$form" = host ] || flags=base
		;;
	much)
		cat >"$dir/conf" <<-END
			concurrency = 4
			body = "dir:$place/bodies"
			per-host = 3
			host-rate = 5000/s
			header = { "X-One: 1", "X-Two: 2" }
			response-headers = yes
		END
		flags="--config $dir/conf"
		;;
	esac
	case_ct=0 calls=0
	in_peace "$expected"
	for who in ${TORTURE_ONLY_WHO:-master forkserver worker}; do
		ons=on
		[ "$who" != worker ] || ons=
		for what in ${TORTURE_ONLY_WHAT:-memory process open write wire map}; do
			sweep
		done
	done
	echo "torture: $form: $case_ct of $calls calls failed"
done
[ $wrong_ct -eq 0 ]
