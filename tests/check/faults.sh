#!/bin/sh
# Each of the 96 faults has its line in tests/FAULTS.md, and each test that is named
# there is there.
cd "$(dirname "$0")/../.." || exit 2
bad=0
for n in $(seq 96); do
	grep -q "^| $n | .* | .* | .* |\$" tests/FAULTS.md || {
		echo "tests/FAULTS.md: no line for fault $n"
		bad=1
	}
done
# shellcheck disable=SC2013 # words on purpose
for test in $(grep -oE '(unit|integration|fault)/test_[a-z0-9_]+::[a-z0-9_]+' tests/FAULTS.md | sort -u); do
	grep -qE "^(Test\([a-z0-9_]+, *|[[:space:]]+)${test##*::}[,)]" "tests/${test%%::*}.c" || {
		echo "tests/FAULTS.md: there is no $test"
		bad=1
	}
done
exit $bad
