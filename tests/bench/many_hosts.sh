#!/bin/bash
# What 20,000 hosts cost, and how long it takes when none of them can be looked up.
#
#   tests/bench/many_hosts.sh BUILD_DIR
#
# Two origins listen on 10,000 addresses of loopback each: hosts that are addresses are
# all different, of names two have the same one.  Needs some 10,100 descriptors for each.
set -euo pipefail
build=$1
rounds=${ROUNDS:-3}
ct=20000
addresses=10000

# shellcheck source=tests/bench/rounds.sh
. "$(dirname "$0")/rounds.sh"

if [ "$(ulimit -Hn)" != unlimited ] && [ "$(ulimit -Hn)" -lt $((addresses + 100)) ]; then
	echo "bench: $((addresses + 100)) descriptors are needed; ulimit -Hn says $(ulimit -Hn)" >&2
	exit 1
fi

# fetched NAME OPTION...: a run, measured
fetched() {
	local name=$1
	shift
	measured "$name" "$build/poolmap" run --no-config -q --force -o "$dir/out" "$@"
}

expect_all() { # PATTERN
	local got
	got=$(grep -c "$1" "$dir/out" || :)
	if [ "$got" -ne $ct ]; then
		echo "bench: $got of $ct results have $1" >&2
		exit 1
	fi
}

lists() {
	awk -v ct=$ct -v half=$addresses -v a="$1" -v b="$2" -v dir="$dir" 'BEGIN {
		for (i = 0; i < ct; i++) {
			at = i % half; n = at + 1
			ip = sprintf("127.1.%d.%d", n / 256, n % 256)
			print "http://" ip ":" (i < half ? a : b) "/size/100" >(dir "/literals.jobs")
			print "http://h" at ".n" i ".test:" a "/size/100" >(dir "/names.jobs")
			print "http://h" i % 10 ".n" i % 10 ".test:" a "/size/100?" i >(dir "/few.jobs")
			print "http://silent.n" i ".test:" a "/size/100" >(dir "/silent.jobs")
		}
	}'
}

cost() {
	local name
	echo "== $ct URLs of 10 hosts without reuse, of $ct addresses, and of $ct names; $rounds rounds"
	for _ in $(seq "$rounds"); do
		fetched few -w 1 -c 64 --dns-servers "$dns" -H 'Connection: close' "$dir/few.jobs"
		expect_all '"ok":true'
		for name in literals names; do
			fetched $name -w 1 -c 64 --dns-servers "$dns" "$dir/$name.jobs"
			expect_all '"ok":true'
		done
	done
	for name in literals names; do
		echo "CPU per job: $name / few = $(ratio "$(median $name 3)" "$(median few 3)")  (at most 1.30)"
	done
}

# asked LIFE NAME: end that server; what it has been asked.
asked() {
	eval "exec $1>&-"
	until grep -q asked "$dir/$2"; do :; done
	echo "the server was $(tail -1 "$dir/$2") times"
}

# Each job has a second for its connection, and there are ten rounds of them.
dead() {
	echo "== $ct names, 2,000 at once, each with 1 s to connect; a server that is silent, then none"
	fetched silent -c 2000 --retries 0 --connect-timeout 1 --dns-servers "$1" "$dir/silent.jobs"
	expect_all '"error":"timeout".*Resolving host'
	asked 7 mute
	fetched none -c 2000 --retries 0 --connect-timeout 1 --dns-servers "$1" "$dir/silent.jobs"
	expect_all '"error":"\(dns\|timeout\)".*host'
}

mkfifo "$dir/life" "$dir/dns-life" "$dir/mute-life"
exec 7<>"$dir/mute-life" 8<>"$dir/dns-life" 9<>"$dir/life"
start dns "$dir/dns-life" "$build/tests/bench/dns_server"
start mute "$dir/mute-life" "$build/tests/bench/dns_server"
start first "$dir/life" "$build/tests/support/origin" --addresses $addresses
start second "$dir/life" "$build/tests/support/origin" --addresses $addresses
dns=$(cat "$dir/dns")
lists "$(sed 's/.*://' "$dir/first")" "$(sed 's/.*://' "$dir/second")"
cost
asked 8 dns
dead "$(cat "$dir/mute")"
