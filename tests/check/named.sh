#!/bin/sh
# Each test that tests/POOLS.md and tests/COMPLAINTS.md name is there, and each row of a
# table has something in each of its columns.
set -u
cd "$(dirname "$0")/../.." || exit 2
bad=0
for table in tests/POOLS.md tests/COMPLAINTS.md; do
	names=$(grep -oE '[a-z_0-9]+::[a-z_0-9]+' "$table" | sort -u)
	[ -n "$names" ] || {
		echo "$table: names no test"
		bad=1
	}
	for name in $names; do
		if ! grep -qsE "^Test\([a-z_0-9]+, ${name#*::}," tests/*/test_"${name%%::*}".c; then
			echo "$table: there is no test $name"
			bad=1
		fi
	done
	if grep -nE '^\|.*\|[[:space:]]*\|' "$table"; then
		echo "$table: nothing stands there; say why not"
		bad=1
	fi
done
exit $bad
