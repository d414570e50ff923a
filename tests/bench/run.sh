#!/bin/bash
# The measurements of tests/bench/README.md, all in one run, side by side.
#
#   tests/bench/run.sh BUILD_DIR [keepalive|tls|hosts|concurrency|memory|bodies]...
#
# Needs nginx, curl and wget2 beside what the build needs:
#   apt-get install --no-install-recommends nginx-light wget2 curl
# Servers listen on loopback, on ports that the kernel chooses or that are free.
set -euo pipefail
build=$1
shift
parts=${*:-keepalive tls hosts concurrency memory bodies}
rounds=${ROUNDS:-5}

for tool in nginx curl wget2; do
	if ! PATH=$PATH:/usr/sbin command -v $tool >/dev/null; then
		echo "bench: $tool is missing: apt-get install --no-install-recommends nginx-light wget2 curl" >&2
		exit 1
	fi
done
PATH=$PATH:/usr/sbin

# shellcheck source=tests/bench/rounds.sh
. "$(dirname "$0")/rounds.sh"
poolmap=$build/poolmap
bare=$build/tests/bench/bare_loop

start_nginx() {
	local port
	for port in $(seq 18400 18499); do
		# An address in use makes nginx fail, and the next port is tried.
		cat >"$dir/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 10000000; keepalive_timeout 60; default_type text/plain;
	client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
	uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
	server { listen 127.0.0.1:$port backlog=4096; location / { return 200 "$(printf 'x%.0s' $(seq 100))"; }
		location /own { return 200 "$(printf 'x%.0s' $(seq 93))\$args"; } }
}
CONF
		nginx -e "$dir/nginx.log" -c "$dir/nginx.conf" >/dev/null 2>&1 &
		local pid=$!
		for _ in $(seq 100); do
			if curl -s -o /dev/null "http://127.0.0.1:$port/"; then
				pids+=("$pid")
				url=http://127.0.0.1:$port
				return
			fi
			kill -0 "$pid" 2>/dev/null || break
		done
		kill "$pid" 2>/dev/null || :
	done
	echo "bench: nginx does not start: $(tail -1 "$dir/nginx.log")" >&2
	exit 1
}

start_origin() {
	mkfifo "$dir/life"
	exec 9<>"$dir/life"
	start origin "$dir/life" "$build/tests/support/origin" --tls "$dir"
	until grep -q 'tls h2-cut' "$dir/origin"; do :; done
	origin=$(sed -n 's/^listening //p' "$dir/origin")
}

check_results() { # FILE COUNT: every index once, in order
	awk -v want="$2" '{
		if (match($0, /^\{"index":[0-9]+,/) == 0 || substr($0, 10, RLENGTH - 10) != NR - 1 || !/"ok":true/) {
			print "bench: line " NR " is wrong: " $0; exit 1
		}
	} END {if (NR != want) {print "bench: " NR " results, not " want; exit 1}}' "$1"
}

keepalive() {
	local ct=100000
	echo "== $ct URLs of one nginx worker, keep-alive, 100-byte bodies; $rounds rounds"
	seq $ct | sed "s|^|$url/p?|" >"$dir/urls"
	sed 's/.*/url = "&"\noutput = "\/dev\/null"/' "$dir/urls" >"$dir/curl.conf"
	for _ in $(seq "$rounds"); do
		measured bare-128 "$bare" "$dir/urls" 128
		measured poolmap-128 "$poolmap" run --no-config -q -c 128 "$dir/urls" -o "$dir/out" --force
		check_results "$dir/out" $ct
		measured bare-64 "$bare" "$dir/urls" 64
		measured poolmap-64 "$poolmap" run --no-config -q -c 64 "$dir/urls" -o "$dir/out" --force
		check_results "$dir/out" $ct
		measured curl-Z-64 curl -s -Z --parallel-max 64 -K "$dir/curl.conf"
		measured wget2-64 wget2 -q --max-threads=64 -O /dev/null -i "$dir/urls"
	done
	local c
	for c in 128 64; do
		echo "CPU per URL at -c $c: poolmap / bare loop = $(ratio "$(median poolmap-$c 3)" "$(median bare-$c 3)")  (at most 1.60)"
	done
	echo "wall time: poolmap -c 64 / curl -Z = $(ratio "$(median poolmap-64 2)" "$(median curl-Z-64 2)"), poolmap -c 64 / wget2 = $(ratio "$(median poolmap-64 2)" "$(median wget2-64 2)")  (below 1)"
}

# The authorities of the system and the origin's: a store of the usual size.  A port
# that resumes sessions, and one that does not.
tls() {
	local ct=10000 port workers
	cat "${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}" "$dir/ca.pem" >"$dir/cas.pem"
	echo "== $ct URLs of the origin, each on a TLS connection of its own; $rounds rounds"
	for port in good no-sessions; do
		seq $ct | sed "s|^|https://$(sed -n "s/^tls $port //p" "$dir/origin")/size/100?|" >"$dir/$port"
	done
	for _ in $(seq "$rounds"); do
		for port in good no-sessions; do
			measured "bare-$port" "$bare" "$dir/$port" 64 "$dir/cas.pem"
			for workers in 1 2; do
				measured "poolmap-$port-$workers" "$poolmap" run --no-config -q -w $workers -c 64 \
					--cacert "$dir/cas.pem" -H 'Connection: close' "$dir/$port" -o "$dir/out" --force
				check_results "$dir/out" $ct
			done
		done
	done
	for port in good no-sessions; do
		for workers in 1 2; do
			echo "CPU per handshake, $port, -w $workers: poolmap / bare loop = $(ratio \
				"$(median poolmap-$port-$workers 3)" "$(median bare-$port 3)")  (at most 1.20)"
		done
	done
}

# fast_done NAME CONCURRENCY FILE COUNT: the time until so many results of the fast host
# are there
fast_done() {
	local from to pid
	from=$(date +%s%3N)
	exec 3< <(exec "$poolmap" run --no-config -q --unordered -c "$2" \
		--resolve "slow.test:${origin#*:}:127.0.0.1" \
		--resolve "fast.test:${origin#*:}:127.0.0.1" "$3" 2>/dev/null 9>&-)
	pid=$!
	[ "$(grep -c -m "$4" '"url":"http:..fast.*"ok":true' <&3)" -eq "$4" ]
	to=$(date +%s%3N)
	kill "$pid" 2>/dev/null || : # alone, it is over
	exec 3<&-
	echo "0 $((to - from))" >>"$dir/$1"
	printf '  %-22s wall %6s ms\n' "$1" $((to - from))
}

hosts() {
	local ct=1000 ms c
	echo "== $ct URLs of a fast host, alone and with $ct of one that answers after 5 s; $rounds rounds"
	seq $ct | sed "s|^|http://slow.test:${origin#*:}/delay/5000?|" >"$dir/slow"
	for ms in 0 10 100; do
		seq $ct | sed "s|^|http://fast.test:${origin#*:}/delay/$ms?|" >"$dir/fast"
		cat "$dir/slow" "$dir/fast" >"$dir/slow-first"
		shuf --random-source="$dir/slow-first" "$dir/slow-first" >"$dir/shuffled"
		for c in 64 128; do
			for _ in $(seq "$rounds"); do
				fast_done alone-$ms-$c $c "$dir/fast" $ct
				fast_done slow-first-$ms-$c $c "$dir/slow-first" $ct
				fast_done shuffled-$ms-$c $c "$dir/shuffled" $ct
			done
			echo "time of the fast host ($ms ms, -c $c): slow ones before / alone = $(ratio \
				"$(median slow-first-$ms-$c 2)" "$(median alone-$ms-$c 2)"), shuffled $(ratio \
				"$(median shuffled-$ms-$c 2)" "$(median alone-$ms-$c 2)")  (at most 1.20)"
		done
	done
}

concurrency() {
	echo "== 10,000 URLs that answer after 1 s, -c 10000"
	seq 10000 | sed "s|^|http://$origin/delay/1000?|" >"$dir/slow"
	measured poolmap-10000 "$poolmap" run --no-config -q -c 10000 "$dir/slow" -o "$dir/out" --force
	check_results "$dir/out" 10000
	echo "wall time: $(median poolmap-10000 2) ms  (below 3000)"
}

memory() {
	echo "== peak memory of the master, --body none"
	seq 1000000 | sed "s|^|$url/p?|" >"$dir/million"
	head -100000 "$dir/million" >"$dir/some"
	measured master-100k "$poolmap" run --no-config -q --body none "$dir/some" -o "$dir/out" --force
	check_results "$dir/out" 100000
	measured master-1M "$poolmap" run --no-config -q --body none "$dir/million" -o "$dir/out" --force
	check_results "$dir/out" 1000000
	echo "peak RSS of the master: 100,000 lines $(median master-100k 4) kB, 1,000,000 lines $(median master-1M 4) kB  (below 65536, within 2048)"
}

# bodies_of NAME COUNT BODY: a run; each result has its body where it should be
bodies_of() {
	rm -rf "$dir/bodies"
	mkdir "$dir/bodies"
	head -"$2" "$dir/million" >"$dir/some"
	measured "$1" "$poolmap" run --no-config -q --body "$3" "$dir/some" -o "$dir/out" --force
	check_results "$dir/out" "$2"
	local got
	case $3 in
	inline) got=$(grep -o '"body":"x\{93\}[0-9]*"' "$dir/out" | sort -u | wc -l) ;;
	dir:*) got=$(find "$dir/bodies" -type f | wc -l) ;;
	*) got=$("$build/tests/bench/warc_read" "$dir"/bodies/* | sort -u | wc -l) ;;
	esac
	if [ "$got" -ne "$2" ]; then
		echo "bench: $1: $got of $2 bodies" >&2
		exit 1
	fi
}

bodies() {
	local form body # all bodies differ
	echo "== peak memory of the master, with bodies; each of them is read again"
	seq 1000000 | sed "s|^|$url/own?|" >"$dir/million"
	for form in inline dir warc; do
		case $form in
		dir) body="dir:$dir/bodies" ;;
		warc) body="warc:$dir/bodies/pages" ;;
		*) body=inline ;;
		esac
		bodies_of $form-100k 100000 "$body"
		bodies_of $form-1M 1000000 "$body"
		echo "peak RSS of the master, $form: 100,000 lines $(median $form-100k 4) kB, 1,000,000 lines $(median \
			$form-1M 4) kB  (below 65536, within 2048)"
	done
}

start_nginx
start_origin
for part in $parts; do
	$part
done
