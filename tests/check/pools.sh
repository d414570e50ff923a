#!/bin/sh
# Each test that tests/POOLS.md names is there.
set -u
cd "$(dirname "$0")/../.." || exit 2
names=$(grep -oE '[a-z_0-9]+::[a-z_0-9]+' tests/POOLS.md | sort -u)
[ -n "$names" ] || {
	echo "pools: tests/POOLS.md names no test"
	exit 1
}
bad=0
for name in $names; do
	if ! grep -qsE "^Test\([a-z_0-9]+, ${name#*::}," tests/*/test_"${name%%::*}".c; then
		echo "pools: there is no test $name"
		bad=1
	fi
done
exit $bad
