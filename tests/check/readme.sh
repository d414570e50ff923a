#!/bin/sh
# The C program in the README is tests/examples/get.c, which the tests build and run.
set -u
cd "$(dirname "$0")/../.." || exit 2
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
awk '/^```c$/ {on = 1; next} /^```$/ {on = 0} on' README.md >"$dir/readme.c"
awk '/^#include/ {on = 1} on' tests/examples/get.c >"$dir/example.c"
if ! diff "$dir/example.c" "$dir/readme.c"; then
	echo "readme: the C example differs from tests/examples/get.c (<)"
	exit 1
fi
# What it links to is there.
grep -oE '\]\([A-Za-z0-9_./-]+\)' README.md | tr -d '])(' | while read -r path; do
	[ -e "$path" ] || {
		echo "readme: it links to $path, which is not there"
		exit 1
	}
done
