#!/bin/sh
# Static analysis: gcc -fanalyzer, clang-tidy and cppcheck on the C files, shellcheck on
# the scripts.
#
#   FLAGS=... tests/lint/run.sh OUT_DIR [FILE...]
#
# FLAGS: what a compiler needs to read a file.  Without files, all that git knows.  Ends
# with a line of figures; exit status 1 when anything is found.  OUT_DIR has the whole
# reports, with the paths that lead to what was found.
#
# An exception stands where the finding does, with its reason:
#   NOLINT(CHECK): or NOLINTNEXTLINE(CHECK):   clang-tidy; and gcc, with the option's
#                                              name, as in gcc-malloc-leak
#   cppcheck-suppress CHECK ; reason           cppcheck, in the line before
# and shellcheck has its own.  What one of them should not look for at all stands in .clang-tidy and
# tests/lint/cppcheck.txt.
#
# SPDX-License-Identifier: MIT
set -u
out=$1
shift
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd) || exit 2
cd "$(dirname "$0")/../.." || exit 2
rm -f "$out"/*.found
touch "$out/cppcheck.found" "$out/shellcheck.found"
export out FLAGS="${FLAGS:-}" LC_ALL=C

# shellcheck disable=SC2046 # words on purpose
[ $# -gt 0 ] || set -- $(git ls-files)
sources=$(printf '%s\n' "$@" | grep '\.c$')
scripts=$(printf '%s\n' "$@" | xargs grep -lE '^#!/bin/sh|^# shellcheck shell=' --)
source_ct=$(printf '%s' "$sources" | grep -c .)
script_ct=$(printf '%s' "$scripts" | grep -c .)

if [ $((source_ct + script_ct)) -eq 0 ]; then
	echo "make lint: there is nothing to look at: $*" >&2
	exit 2
fi

# A report for each file, several at a time, and all of them as $out/NAME.txt.
each() { # NAME COMMAND
	rm -rf "${out:?}/$1"
	mkdir "$out/$1" || exit 2
	# shellcheck disable=SC2016 # for the shells of xargs
	printf '%s\n' "$sources" |
		xargs -r -n 1 -P "$(nproc)" sh -c "$2"' >"$out/'"$1"'/$(echo "$0" | tr / _)" 2>&1'
	find "$out/$1" -type f | sort | xargs -r cat >"$out/$1.txt"
}

figures=
found_any=0
tell() { # NAME
	sed "s|^$PWD/||" "$out/$1.found"
	found=$(wc -l <"$out/$1.found")
	[ "$found" -eq 0 ] || found_any=1
	figures="$figures, $1 $found"
}

for tool in gcc clang-tidy cppcheck shellcheck; do
	if ! command -v $tool >/dev/null; then
		echo "make lint: there is no $tool (Debian: apt-get install $tool)" >&2
		exit 2
	fi
done

# shellcheck disable=SC2016 # for the shells of xargs
each gcc 'gcc $FLAGS -O1 -fanalyzer -fdiagnostics-path-format=separate-events \
	-c -o /dev/null "$0"'
# shellcheck disable=SC2086 # words on purpose
awk -f tests/lint/gcc.awk "$out/gcc.txt" $sources | sort -u >"$out/gcc.found"
tell gcc

# One by one: with several files the checker of va_list finds what is not so.
# shellcheck disable=SC2016 # for the shells of xargs
each clang-tidy 'clang-tidy --quiet "$0" -- $FLAGS'
grep -E '^[^ ].*(error|warning): ' "$out/clang-tidy.txt" | sort -u >"$out/clang-tidy.found"
tell clang-tidy

[ -z "$sources" ] || printf '%s\n' "$sources" |
	cppcheck -q -j "$(nproc)" --std=c11 --language=c --library=posix,gnu \
		--enable=warning,performance,portability,style --inline-suppr \
		--suppressions-list=tests/lint/cppcheck.txt -I. -D_GNU_SOURCE \
		'-Devutil_timercmp(a,b,op)=((a)->tv_sec op (b)->tv_sec)' \
		'-DTest(suite,name,...)=void suite##_##name(void)' '-DTestSuite(...)=' \
		'-DParameterizedTest(type,suite,name,...)=void suite##_##name(type)' \
		'-DParameterizedTestParameters(suite,name)=struct p suite##_##name##_p(void)' \
		--template='{file}:{line}: {severity}: {message} [{id}]' \
		--file-list=- >"$out/cppcheck.found" 2>&1
tell cppcheck

# shellcheck disable=SC2086 # words on purpose
[ -z "$scripts" ] || shellcheck -x -f gcc $scripts >"$out/shellcheck.found" 2>&1
tell shellcheck

exceptions=$(printf '%s\n' "$@" | xargs grep -hE 'NOLINT(NEXTLINE)?\(|cppcheck-suppress [a-z]|shellcheck disable=' -- | wc -l)
echo "lint: $source_ct C files, $script_ct scripts; found by${figures#,}; $exceptions exceptions stand there"
exit $found_any
