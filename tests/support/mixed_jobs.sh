#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mixed_jobs.sh PORT COUNT - print a job file of COUNT mixed jobs against the
# origin that listens on 127.0.0.1:PORT.
#
# Of each hundred jobs 70 are pages of various sizes, 10 redirects, 8 pages that
# are not there, 5 slow ones, 5 POSTs with a body, and 2 go wrong: a timeout and,
# in turn, a reset and a line that is no job.  The same arguments always give the
# same file: nothing in it is random, and the kinds are well mixed because 37 and
# 100 have no common divisor.

usage() {
	echo "usage: mixed_jobs.sh PORT COUNT" >&2
	exit 2
}

[ $# -eq 2 ] || usage
for number in "$@"; do
	case $number in
	'' | *[!0-9]*) usage ;;
	esac
done

exec awk -v port="$1" -v count="$2" '
function page(i) {
	if (i % 7 == 0) return "/size/" (i % 200) * 512 "?chunked"
	if (i % 5 == 0) return "/bytes/" i % 4000
	if (i % 3 == 0) return "/echo?job=" i
	return "/size/" (i * 131) % 20000
}
function post(i) {
	printf "{\"url\":\"%s/echo\",\"id\":\"post-%d\",\"method\":\"POST\",", base, i
	printf "\"headers\":{\"Content-Type\":\"text/plain\"},"
	printf "\"body\":\"job %d says h\\u00e9llo\\n\",\"meta\":{\"n\":%d,\"even\":%s}}\n", \
		i, i, i % 2 ? "false" : "true"
}
function wrong(i, k) {
	if (k == 98) {
		printf "{\"url\":\"%s/hang\",\"id\":%d,\"timeout\":0.2}\n", base, i
	} else if (int(i / 100) % 2 == 0) {
		printf "{\"url\":\"%s/reset\",\"id\":%d}\n", base, i
	} else {
		print "this line is no job"
	}
}
BEGIN {
	base = "http://127.0.0.1:" port
	for (i = 0; i < count; i++) {
		k = (i * 37) % 100
		if (k < 70) print base page(i)
		else if (k < 80) print base "/redirect/" 1 + i % 3
		else if (k < 88) print base "/missing/" i
		else if (k < 93) print base "/delay/200"
		else if (k < 98) post(i)
		else wrong(i, k)
	}
}'
