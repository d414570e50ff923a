#!/bin/sh
# Both libraries export the functions that poolmap.h declares, and nothing else;
# the shared one has the soname of its ABI.
set -u
build=$1
cd "$(dirname "$0")/../.." || exit 2
list=$(mktemp) || exit 2
trap 'rm -f "$list" "$list".*' EXIT

# `PM_API ... name(`, also when the declaration goes over several lines
grep -oE '^PM_API [^(]*\(' common/poolmap.h | sed 's/($//; s/.*[ *]//' | sort >"$list.header"
nm -D --defined-only "$build/libpoolmap.so.0" | awk '{print $3}' |
	grep -vE '^(_init|_fini|_edata|_end|__bss_start|__odr_asan.*|__asan.*|__ubsan.*)$' | sort >"$list.shared"
nm -g --defined-only "$build/libpoolmap.a" | awk 'NF == 3 {print $3}' |
	grep -vE '^(__odr_asan|__asan|__ubsan|DW\.ref)' | sort >"$list.static"

bad=0
for kind in shared static; do
	if ! diff "$list.header" "$list.$kind" >"$list"; then
		echo "symbols: poolmap.h (<) and the $kind library (>) differ:"
		cat "$list"
		bad=1
	fi
done
if ! readelf -d "$build/libpoolmap.so.0" | grep -q 'SONAME.*\[libpoolmap\.so\.0\]'; then
	echo "symbols: the soname is not libpoolmap.so.0"
	bad=1
fi
[ -s "$list.header" ] || {
	echo "symbols: no function found in poolmap.h"
	bad=1
}
exit $bad
