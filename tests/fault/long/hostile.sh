#!/bin/sh
# tests/fault/test_hostile.c at length: each behaviour of a hostile server 330
# times, which makes 40,000 jobs.  Prints its figures on one line; exits 1 when it fails.
#
#   tests/fault/long/hostile.sh BUILD_DIR
set -u
program=${1:-build/release}/tests/fault/test_hostile
cd "$(dirname "$0")/../../.." || exit 2
said=$(POOLMAP_TEST_EACH="${POOLMAP_TEST_EACH:-330}" timeout -k 5 300 "$program" --verbose 2>&1)
status=$?
if [ "$status" -ne 0 ]; then
	printf '%s\n' "$said"
	exit 1
fi
printf '%s\n' "$said" | sed -n 's/.*\(hostile: [0-9].*\)/\1/p'
