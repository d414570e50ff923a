#!/bin/sh
# The demo: a local server, 2,000 mixed jobs, one run, the first results.
#
#   tests/support/demo.sh BUILD_DIR
#
# Exits 0 when the run did what it should: every job has a result, and some jobs
# failed, because the list is made so (exit code 1 of `poolmap run`).
set -eu
build=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-demo-XXXXXX")
origin=
cleanup() {
	exec 9>&- # the origin's standard input ends, and with it the origin
	[ -z "$origin" ] || wait "$origin" 2>/dev/null || :
}
trap cleanup EXIT
trap 'exit 130' INT TERM

mkfifo "$dir/life"
"$build/tests/support/origin" <"$dir/life" >"$dir/origin" &
origin=$!
exec 9>"$dir/life"
until grep -q listening "$dir/origin"; do
	kill -0 "$origin" || exit 1
done
port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$dir/origin")

sh tests/support/mixed_jobs.sh "$port" 2000 >"$dir/jobs.txt"
rm "$dir/life" "$dir/origin"

show() {
	printf '\n$ %s\n' "$*"
}
show head -3 "$dir/jobs.txt"
head -3 "$dir/jobs.txt"
show "$build/poolmap" run --no-config --timeout 2 "$dir/jobs.txt" -o "$dir/results.jsonl"
code=0
"$build/poolmap" run --no-config --timeout 2 "$dir/jobs.txt" -o "$dir/results.jsonl" 9>&- || code=$?
printf '(exit code %s: every job has a result, some are not ok)\n' "$code"
show head -3 "$dir/results.jsonl"
head -3 "$dir/results.jsonl" | cut -c 1-400

lines=$(wc -l <"$dir/results.jsonl")
if [ "$code" -ne 1 ] || [ "$lines" -ne 2000 ]; then
	echo "demo: expected exit code 1 and 2000 results, got $code and $lines" >&2
	exit 1
fi
printf '\nThe server was there for the demo only: a second try of what failed finds nobody.\n'
printf 'Jobs and results stay in %s.\n' "$dir"
