#!/bin/sh
# Every Criterion test has a time-out, and none sleeps.
set -u
cd "$(dirname "$0")/../.." || exit 2
bad=0
for file in tests/*/test_*.c; do
	awk -v file="$file" '
		/^(Test|ParameterizedTest|Theory)\(/ {text = ""; on = 1; line = NR}
		on {text = text $0}
		on && /\{/ {
			on = 0
			if (text !~ /\.timeout *= */ && text !~ /\.timeout=/) {
				print file ":" line ": no .timeout"; bad = 1
			}
		}
		END {exit bad}' "$file" || bad=1
done
if grep -nE '[^_a-z](sleep|usleep|nanosleep)\(' tests/*/test_*.c | grep -v pm_sleep; then
	echo "tests: a sleep"
	bad=1
fi
exit $bad
