# What the scripts of tests/fault/long share: an origin, a job file, a run to compare
# with, and what is left of runs that were killed.  Sourced with the build directory in
# $build; gives $dir, which is removed at the end, and $poolmap.
#
# SPDX-License-Identifier: MIT
#
# shellcheck shell=sh

build=$(cd "$build" && pwd)
# shellcheck disable=SC2034 # for those who source it
poolmap=$build/poolmap
name=${0##*/}
origin=
dir=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-test-XXXXXX")
mkdir "$dir/runtime"
export XDG_RUNTIME_DIR="$dir/runtime" TMPDIR="$dir/runtime" LC_ALL=C

cleanup() {
	exec 9>&- # the origin's standard input ends, and with it the origin
	[ -z "$origin" ] || wait "$origin" 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die() {
	echo "$name: $*" >&2
	exit 1
}

start_origin() {
	mkfifo "$dir/life"
	"$build/tests/support/origin" <"$dir/life" >"$dir/origin" &
	origin=$!
	exec 9>"$dir/life"
	until grep -q listening "$dir/origin"; do
		kill -0 "$origin" || die "no origin"
	done
	port=$(sed -n 's/^listening .*:\([0-9]*\)$/\1/p' "$dir/origin")
}

# Mixed: bodies of text and of bytes, ids, failures, lines that are no jobs.
mixed_jobs() {
	awk -v ct="$1" -v origin="http://127.0.0.1:$port" 'BEGIN {
		for (i = 0; i < ct; i++) {
			if (i % 5 == 0) print origin "/size/" i % 1000
			else if (i % 5 == 1) print "x:" i
			else if (i % 5 == 2) print "{\"url\":\"" origin "/bytes/" i % 1000 "\",\"id\":" i "}"
			else if (i % 5 == 3) print origin "/size/" i % 77 "?\"," i
			else print "no job " i
		}
	}'
}

# All that a run writes is in a directory of its own.
place=$dir/place
fresh() {
	rm -rf "$place"
	mkdir "$place"
}

# into_place COMMAND...: the command and its options, with what may go before it.  It
# writes $out, $failed and stats.  Sets $code; what it said is in $dir/said.
into_place() {
	code=0
	# shellcheck disable=SC2154 # the script says which
	"$@" -o "$place/$out" --failed "$place/$failed" --stats "$place/stats" "$dir/jobs" \
		9>&- 2>"$dir/said" || code=$?
}

# in_peace CODE: the run, as run() of the script says, that all others are compared
# with: $dir/peace.
in_peace() {
	fresh
	run ""
	# shellcheck disable=SC2154 # of the script
	[ "$code" -eq "$1" ] || die "$form, in peace: exit code $code: $(cat "$dir/said")"
	rm -rf "$dir/peace"
	mv "$place" "$dir/peace"
}

# Results without what differs from run to run: times, workers, and how often a job
# was begun that lost its worker.
same_parts() {
	case $1 in
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac | sed -E 's/"time_[a-z]+":[0-9.]+,//g; s/"attempts":[0-9]+,"worker":-?[0-9]+//'
}

# 0 ... $1 - 1
dice() {
	echo $(($(od -An -N4 -tu4 /dev/urandom) % $1))
}

# Every process of a run has its command line.  They may take a second to go.
check_no_orphan() {
	tries=0
	while pgrep -f -- "$1" >/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || die "after a second is left: $(pgrep -af -- "$1")"
		sleep 0.01
	done
}

check_same() {
	same_parts "$1" >"$dir/same.a"
	same_parts "$2" >"$dir/same.b"
	cmp -s "$dir/same.a" "$dir/same.b" ||
		die "$3: other results: $(diff "$dir/same.a" "$dir/same.b" | head -c 600)"
}
