#!/bin/sh
# poolmap.h compiles alone: as C11, and as C++17 where a C++ compiler is there.
set -u
cd "$(dirname "$0")/../.." || exit 2
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
echo '#include "poolmap.h"' >"$dir/alone.c"
cp "$dir/alone.c" "$dir/alone.cc"
${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -Icommon -fsyntax-only "$dir/alone.c" || exit 1
if command -v c++ >/dev/null; then
	c++ -std=c++17 -pedantic -Wall -Wextra -Werror -Icommon -fsyntax-only "$dir/alone.cc" || exit 1
fi
