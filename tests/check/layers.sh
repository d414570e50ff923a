#!/bin/sh
# The folder is the process: common/ knows neither master/ nor worker/, these two
# never include each other, the library never includes the command, and each
# third-party library has its one door.
set -u
cd "$(dirname "$0")/../.." || exit 2
bad=0

forbid() { # WHAT PATTERN FILES...
	what=$1
	pattern=$2
	shift 2
	if grep -nE "$pattern" "$@" /dev/null; then
		echo "layers: $what"
		bad=1
	fi
}

forbid "common/ includes master/ or worker/" '#include "(master|worker)/' common/*.[ch] common/cli/*.[ch]
forbid "master/ includes worker/" '#include "worker/' master/*.[ch] master/cli/*.[ch]
forbid "worker/ includes master/" '#include "master/' worker/*.[ch] worker/cli/*.[ch]
forbid "the library includes the command" '#include "[a-z]*/cli/' common/*.[ch] master/*.[ch] worker/*.[ch]
# A client of the public header: of the library's own it may use what is no
# part of the pool.
forbid "the command includes the pool's insides" \
	'#include "(master|worker)/[a-z_]*\.h"|#include "common/(proto|wire|inbox|outbox|lifeline|boot)\.h"' \
	master/cli/*.[ch] worker/cli/*.[ch] common/cli/*.[ch]

door() { # HEADER FILES...
	header=$1
	shift
	keep=$(printf '%s\n' "$@")
	for file in common/*.[ch] common/cli/*.[ch] master/*.[ch] master/cli/*.[ch] worker/*.[ch] worker/cli/*.[ch]; do
		if grep -q "#include <$header" "$file" && ! printf '%s\n' "$keep" | grep -qx "$file"; then
			echo "layers: $file includes <$header...>, whose door is: $*"
			bad=1
		fi
	done
}

door nanomsg/ common/wire.c
door curl/ worker/engine_*.[ch]
door ares worker/resolver_ares.c
door jansson.h common/cli/json_load.h
door confuse.h master/cli/config.c
door openssl/ common/cli/digest.c
door zlib.h worker/cli/warc_file.c master/cli/gunzip.c master/cli/pack.c
door seccomp.h worker/cli/sandbox_calls.c

# The library never exits, prints, installs signal handlers, or changes the
# directory of its host.  worker/ and the forkserver are processes of their own.
# shellcheck disable=SC2046 # words on purpose
forbid "the library prints, exits or changes its host" \
	'[^_a-z](exit|printf|perror|puts|chdir|signal|nn_term|umask)\(' \
	common/*.c $(printf '%s\n' master/*.c | grep -v forkserver_main.c)
# Tasks have threads, and so have hosts: what keeps its answer in a place of its own
# is banned, too, as is what changes the environment under a getenv().
forbid "a function that is not safe with threads" \
	'[^_a-z](strtok|localtime|gmtime|asctime|ctime|inet_ntoa|rand|srand|gethostbyname|getpw[a-z]*|setenv|putenv|unsetenv)\(' \
	common/*.[ch] common/cli/*.[ch] master/*.[ch] master/cli/*.[ch] worker/*.[ch] worker/cli/*.[ch]
forbid "a banned function" \
	'[^_a-z](sprintf|strcpy|strcat|strncpy|strncat|atoi|atol|gets|alloca|vsprintf)\(' \
	common/*.[ch] common/cli/*.[ch] master/*.[ch] master/cli/*.[ch] worker/*.[ch] worker/cli/*.[ch]

exit $bad
