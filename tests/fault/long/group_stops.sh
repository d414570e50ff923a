#!/bin/sh
# All processes of a pool are stopped at once, for longer than a worker may be silent,
# and go on again, the workers last: nobody takes them for dead.
#
#   tests/fault/long/group_stops.sh BUILD_DIR [STOPS]
#
# SPDX-License-Identifier: MIT
set -eu
build=${1:-build/release}
stops=${2:-5}
# shellcheck source=tests/support/chaos_rig.sh
. "$(dirname "$0")/../../support/chaos_rig.sh"

# Stopped for so long each time; a silent worker is killed after a second.
stopped_s=3

setsid "$build/tests/fault/prog_chaos" frozen $((stops * (stopped_s + 1) + 1)) >"$dir/said" 2>&1 &
program=$!
until pid=$(sed -n 's/^pid //p' "$dir/said") && [ -n "$pid" ]; do
	kill -0 "$program" 2>/dev/null || die "$(cat "$dir/said")"
done
i=0
while [ "$i" -lt "$stops" ]; do
	kill -s STOP -- "-$pid"
	sleep $stopped_s # it is this time that is tested
	kill -CONT "$pid"
	sleep 0.2
	kill -s CONT -- "-$pid"
	sleep 0.8
	i=$((i + 1))
done
wait "$program" || die "$(cat "$dir/said")"
echo "group_stops: stopped $stops times for $stopped_s s, allowed silence 1 s;" \
	"$(sed -n 's/^frozen: //p' "$dir/said")"
