#!/bin/sh
# SPDX-License-Identifier: MIT
#
# install.sh BUILD_DIR - what `make install` puts somewhere works from there, and
# `make uninstall` takes all of it away.
#
# Programs outside the tree, in C11 and in C++17, are built with what pkg-config
# says, against the shared library and against the static one, and map a task of
# their own.  A staged installation (DESTDIR) has the same files and knows nothing
# of where it was staged.
set -u
build=${1:?usage: install.sh BUILD_DIR}
cd "$(dirname "$0")/../.." || exit 2
dir=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-install-XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
bad=0

fail() {
	echo "install: $*"
	bad=1
}

# Without what a make that runs this check wants to hand on.
quiet_make() {
	env -u MAKEFLAGS -u MAKEOVERRIDES -u MFLAGS -u DESTDIR \
		make -s B="$build" FLAVOUR="$(basename "$build")" "$@" ||
		fail "make $* fails"
}

files() {
	(cd "$1" && find . ! -type d | sort)
}

# ------------------------------------------------------------- the installation

prefix=$dir/prefix
stage=$dir/stage
quiet_make install PREFIX="$prefix"
quiet_make install PREFIX=/opt/poolmap DESTDIR="$stage"

files "$prefix" >"$dir/files"
files "$stage/opt/poolmap" | diff "$dir/files" - ||
	fail "PREFIX (<) and DESTDIR (>) do not get the same files"
[ "$(find "$stage" -mindepth 1 -maxdepth 2 | wc -l)" -eq 2 ] ||
	fail "DESTDIR: something is beside the prefix"
if grep -rlI "$dir" "$stage"; then
	fail "a staged file names the place where it was staged"
fi

for file in bin/poolmap include/poolmap.h lib/libpoolmap.a lib/pkgconfig/poolmap.pc \
	share/doc/poolmap/poolmap.conf; do
	[ -f "$prefix/$file" ] || fail "$file is not there"
done
# shellcheck disable=SC2013 # words on purpose
for name in $(grep -oE '^PM_API [^(]*\(' common/poolmap.h | sed 's/($//; s/.*[ *]//'); do
	[ -f "$prefix/share/man/man3/$name.3" ] || fail "there is no page $name.3"
done
for page in man1/poolmap.1 man3/libpoolmap.3 man5/poolmap.conf.5; do
	[ -f "$prefix/share/man/$page" ] || fail "there is no page $page"
done
version=$(sed -n 's/^#define PM_VERSION "\(.*\)"$/\1/p' common/poolmap.h)
so=libpoolmap.so
soname=$so.${version%%.*}
if [ ! -f "$prefix/lib/$so.$version" ] || [ -L "$prefix/lib/$so.$version" ]; then
	fail "$so.$version is no file"
fi
[ "$(readlink "$prefix/lib/$soname")" = "$so.$version" ] || fail "$soname leads elsewhere"
[ "$(readlink "$prefix/lib/$so")" = "$soname" ] || fail "$so leads elsewhere"

# ------------------------------------------------------------ programs outside

# The sanitizers of the libraries must be in the program, too.
sanitize=
if nm -D "$prefix/lib/$soname" | grep -q __asan_init; then
	sanitize=-fsanitize=address,undefined
elif nm -D "$prefix/lib/$soname" | grep -q __tsan_init; then
	sanitize=-fsanitize=thread
fi

cat >"$dir/app.c" <<'END'
#include <ctype.h>
#include <poolmap.h>
#include <stdio.h>

static int shout(pm_task *task, const void *arg, size_t len)
{
	const char *text = arg;
	char loud[16];
	size_t i;
	for (i = 0; i < len && i < sizeof loud; i++) {
		loud[i] = (char)toupper((unsigned char)text[i]);
	}
	return pm_return(task, loud, i);
}

int main(void)
{
	const char *const words[] = {"one", "two", ""};
	struct pm_result results[3];
	pm_pool *pool;
	size_t i;
	if (pm_pool_open(&pool, NULL) || pm_map_strings(pool, shout, words, 3, results)) {
		fprintf(stderr, "app: %s\n", pm_last_error());
		return 1;
	}
	for (i = 0; i < 3; i++) {
		printf("%s %s\n", pm_error_name(results[i].error),
			(const char *)results[i].bytes);
	}
	pm_results_clear(results, 3);
	pm_pool_close(&pool);
	return 0;
}
END

cat >"$dir/app.cc" <<'END'
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <poolmap.h>
#include <string>

static int shout(pm_task *task, const void *arg, size_t len)
{
	std::string text(static_cast<const char *>(arg), len);
	std::transform(text.begin(), text.end(), text.begin(),
		[](unsigned char c) { return static_cast<char>(std::toupper(c)); });
	return pm_return(task, text.data(), text.size());
}

int main()
{
	const std::array<const char *, 3> words{"one", "two", ""};
	std::array<pm_result, words.size()> results{};
	pm_pool *pool = nullptr;
	if (pm_pool_open(&pool, nullptr) ||
		pm_map_strings(pool, shout, words.data(), words.size(), results.data())) {
		std::fprintf(stderr, "app: %s\n", pm_last_error());
		return 1;
	}
	for (const auto &result : results) {
		std::printf("%s %s\n", pm_error_name(result.error),
			static_cast<const char *>(result.bytes));
	}
	pm_results_clear(results.data(), results.size());
	pm_pool_close(&pool);
}
END

printf 'ok ONE\nok TWO\nok \n' >"$dir/want"

# What pkg-config says of the installation.  Its libraries are in place of the
# machine's, should poolmap be installed there.
config() {
	PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config "$@" poolmap
}

[ "$(config --modversion)" = "$version" ] ||
	fail "poolmap.pc and poolmap.h have different versions"

# WHAT COMPILER...: build, and compare what the program prints.
works() {
	what=$1
	shift
	rm -f "$dir/app"
	# shellcheck disable=SC2086 # words on purpose
	if ! (cd "$dir" && "$@" -Wall -Wextra -Werror -pedantic $sanitize -o app); then
		fail "$what: does not build"
	elif ! LD_LIBRARY_PATH=$library_path timeout -k 5 60 "$dir/app" >"$dir/got"; then
		fail "$what: fails"
	elif ! diff "$dir/want" "$dir/got"; then
		fail "$what: prints (>) what it should not (<)"
	fi
}

# Both ways to link, for one compiler and source.
works_linked() {
	language=$1
	shift
	library_path=$prefix/lib
	# shellcheck disable=SC2046 # words on purpose
	works "$language, shared" "$@" $(config --cflags --libs)
	needs "$soname" || fail "$language, shared: does not ask for $soname"

	# The shared library is in the same folder, and the linker would prefer it.
	library_path=
	# shellcheck disable=SC2046 # words on purpose
	works "$language, static" "$@" $(config --static --cflags --libs |
		sed 's/-lpoolmap\>/-l:libpoolmap.a/')
	! needs "$so" || fail "$language, static: asks for the shared library"
}

needs() {
	[ -e "$dir/app" ] && readelf -d "$dir/app" | grep -q "NEEDED.*\[$1"
}

works_linked "C11" "${CC:-cc}" -std=c11 app.c
if command -v "${CXX:-c++}" >/dev/null; then
	works_linked "C++17" "${CXX:-c++}" -std=c++17 app.cc
else
	echo "install: no C++ compiler: C++ is not checked"
fi
"$prefix/bin/poolmap" --version >/dev/null || fail "bin/poolmap does not start"

# --------------------------------------------------------------- and away again

mkdir "$prefix/share/doc/another"
quiet_make uninstall PREFIX="$prefix"
quiet_make uninstall PREFIX=/opt/poolmap DESTDIR="$stage"
quiet_make uninstall PREFIX="$dir/nothing"
for root in "$prefix" "$stage"; do
	left=$(
		find "$root" ! -type d
		find "$root/" -mindepth 1 -name '*poolmap*' | grep -v '/opt/poolmap$'
	)
	[ -z "$left" ] || fail "make uninstall leaves $left"
done
[ -d "$prefix/share/doc/another" ] || fail "make uninstall removes what is not ours"
[ ! -e "$dir/nothing" ] || fail "make uninstall makes something"

exit $bad
