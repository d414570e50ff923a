# What the measurements of whole commands share: a directory, servers that end with the
# script, rounds and their medians.  Sourced with the build directory in $build.
#
# Standard input of each server is a pipe that the script holds open as 7, 8 or 9: a
# server cannot outlive it.  Commands that are measured do not get these.
#
# SPDX-License-Identifier: MIT
#
# shellcheck shell=bash

measure=${build:?}/tests/bench/measure
dir=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-bench-XXXXXX")
pids=()
finish() {
	exec 7>&- 8>&- 9>&- || :
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# start NAME LIFE COMMAND...: a server that runs until the pipe LIFE is closed; waits for
# its first line, which is in $dir/NAME.
start() {
	local name=$1 life=$2
	shift 2
	"$@" <"$life" >"$dir/$name" 7>&- 8>&- 9>&- &
	pids+=($!)
	until [ -s "$dir/$name" ]; do
		kill -0 $! 2>/dev/null || exit 1
	done
}

# measured NAME COMMAND...: appends "exit wall cpu peak" to $dir/NAME
measured() {
	local name=$1 code wall cpu peak
	shift
	"$measure" "$@" >/dev/null 2>"$dir/err" 7>&- 8>&- 9>&- || :
	sed -n 's/^measure: exit \([0-9]*\) wall_ms \([0-9]*\) cpu_ms \([0-9]*\) peak_kb \([0-9]*\)$/\1 \2 \3 \4/p' \
		"$dir/err" | tail -1 | tee -a "$dir/$name" >"$dir/last"
	read -r code wall cpu peak <"$dir/last"
	printf '  %-22s exit %s  wall %6s ms  cpu %6s ms  peak %7s kB\n' \
		"$name" "$code" "$wall" "$cpu" "$peak"
}

# median NAME COLUMN
median() {
	cut -d' ' -f"$2" "$dir/$1" | sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'
}
