#!/bin/sh
# Run the fuzz targets of a build by libFuzzer, one after the other.
#
#   tests/fuzz/run.sh BUILD_DIR
#
# FUZZ_SECONDS   for each of them; 60
# FUZZ_TARGETS   names, for example "job robots"; all
#
# One line for each: how many inputs, how much of the code they reached.  Exit status 1
# when one found something; the input that did it is in BUILD_DIR/found, and belongs
# into tests/fuzz/corpus/NAME when what it found is mended.
set -u
build=$1
cd "$(dirname "$0")/../.." || exit 2
seconds=${FUZZ_SECONDS:-60}
found=$build/found
mkdir -p "$found" && touch "$found/.begun" || exit 2
bad=0

if ! command -v clang >/dev/null; then
	echo "make fuzz: there is no clang (Debian: apt-get install clang libclang-rt-14-dev)" >&2
	exit 2
fi
all=$(cd tests/fuzz && for f in fuzz_*.c; do echo "${f%.c}"; done | sed 's/^fuzz_//')
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=tests/support/lsan.supp:print_suppressions=0}"

for name in ${FUZZ_TARGETS:-$all}; do
	# What it learns stays with the build; the seeds stay as they are.
	corpus=$build/corpus/$name
	mkdir -p "$corpus" || exit 2
	log=$found/$name.log
	if "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-max_len=65536 -print_final_stats=1 -close_fd_mask=3 -artifact_prefix="$found/$name-" \
		"$corpus" "tests/fuzz/corpus/$name" >"$log" 2>&1 </dev/null; then
		result=ok
	else
		result=FAILED
		bad=1
	fi
	execs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	cover=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) corp: \([0-9]*\).*/\1 edges, \3 inputs kept/p' "$log" | tail -1)
	echo "$result  fuzz_$name: ${execs:-0} execs in $seconds s, $cover"
	if [ $result != ok ]; then
		# Once more, with what it says itself.
		for input in "$found/$name"-*; do
			[ -n "$(find "$input" -newer "$found/.begun")" ] || continue
			echo "        $input"
			timeout -s KILL 60 "$build/tests/fuzz/fuzz_$name" "$input" 2>&1 </dev/null |
				grep -a -A8 'ERROR:\|not so:\|runtime error' | head -20
		done
	fi
done
exit $bad
