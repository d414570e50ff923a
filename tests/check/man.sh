#!/bin/sh
# SPDX-License-Identifier: MIT
#
# man.sh BUILD_DIR - the manual pages say what poolmap.h and the command say.
#
# Each function of the header has one page, with the same prototype; each constant,
# each field and each error's name is explained somewhere; the examples compile;
# the options of the command are those of `poolmap run --help`, with their defaults;
# references lead to pages; and the formatter has nothing to complain about.  That
# each name is installed is checked by install.sh.
set -u
build=${1:?usage: man.sh BUILD_DIR}
cd "$(dirname "$0")/../.." || exit 2
dir=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-man-XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
bad=0

fail() {
	echo "man: $*"
	bad=1
}

header=common/poolmap.h
pages=$(ls common/*.[1-8] master/*.[1-8] worker/*.[1-8] master/cli/*.[1-8] 2>/dev/null)
pages3=$(echo "$pages" | grep '\.3$')
[ "$(echo "$pages" | wc -l)" -ge 15 ] || fail "cannot find the pages"

# ---------------------------------------------------------------------- the form

# What is in other packages, or not installed here, is no mistake of the page.
if command -v mandoc >/dev/null; then
	# Apart: one of its streams has a buffer, and the other comes in between.
	# shellcheck disable=SC2086 # words on purpose
	mandoc -Tlint -Wall $pages 2>"$dir/lint-2" |
		grep -v 'referenced manual not found' >"$dir/lint"
	grep -v 'outdated mandoc.db' "$dir/lint-2" >>"$dir/lint"
elif command -v groff >/dev/null; then
	for page in $pages; do groff -mdoc -ww -z -Tutf8 "$page"; done >"$dir/lint" 2>&1
elif man --version 2>/dev/null | grep -q '^man '; then
	for page in $pages; do man --warnings -E UTF-8 -l -Tutf8 -Z "$page"; done \
		2>"$dir/lint" >/dev/null
else
	echo "man: no mandoc, groff or man: the form of the pages is not checked"
	: >"$dir/lint"
fi
[ ! -s "$dir/lint" ] || fail "the formatter says: $(cat "$dir/lint")"

# ".Ss In a task" is shown as "<a> task": the formatter takes its word for a macro.
# shellcheck disable=SC2086 # words on purpose
grep -nE '^\.S[hs] (.* )?[A-Z][a-z]( |$)' $pages && fail 'a heading has a macro in it; write \&In'

for page in $pages3; do
	for section in NAME SYNOPSIS DESCRIPTION EXAMPLES "SEE ALSO"; do
		grep -qx "\.Sh $section" "$page" || fail "$page: has no section $section"
	done
done

names() {
	sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' "$1"
}

# "pm_map 3" for all there are
for page in $pages; do
	names "$page" | sed "s/\$/ ${page##*.}/"
done | sort >"$dir/names"
uniq -d "$dir/names" >"$dir/double"
[ ! -s "$dir/double" ] || fail "in more than one page's NAME: $(cat "$dir/double")"

# shellcheck disable=SC2086 # words on purpose
cat $pages | sed -nE 's/^\.(It )?Xr ([^ ]+) ([1-8]).*/\2 \3/p' | grep '^pm_\|poolmap' |
	sort -u | comm -23 - "$dir/names" >"$dir/nowhere"
[ ! -s "$dir/nowhere" ] || fail "references to pages that are not there: $(cat "$dir/nowhere")"

# ------------------------------------------------------------------- the functions

without_comments() {
	awk '{text = text $0 "\n"}
		END {
			while ((from = index(text, "/*")) > 0) {
				printf "%s", substr(text, 1, from - 1)
				text = substr(text, from)
				text = substr(text, index(text, "*/") + 2)
			}
			printf "%s", text
		}' "$1"
}

# One prototype or function type a line: int pm_sleep(pm_task *task, unsigned ms);
header_prototypes() {
	grep -v '^#' "$dir/header" | tr '\n\t' '  ' | tr ';' '\n' | tr -s ' ' |
		sed -nE 's/ PM_(MUSTCHECK|PRINTF\([0-9, ]*\))//g; s/\( /(/g; s/ *$/;/
			s/.*PM_API //p; s/.*(typedef [^{]*\()/\1/p'
}

page_prototypes() {
	awk '/^\.Sh / {on = $2 == "SYNOPSIS"}
		!on {next}
		/^typedef .*\(/ {print}
		/^\.Ft / {type = substr($0, 5); gsub(/"/, "", type)}
		/^\.Fo / {name = $2; args = ""}
		/^\.Fa / {arg = substr($0, 5); gsub(/"/, "", arg)
			args = args (args ? ", " : "") arg}
		/^\.Fc/ {print type (type ~ /\*$/ ? "" : " ") name "(" args ");"}' "$@"
}

without_comments $header >"$dir/header"
header_prototypes | sort >"$dir/want"
# shellcheck disable=SC2086 # words on purpose
page_prototypes $pages3 | sort >"$dir/got"
diff "$dir/want" "$dir/got" || fail "$header (<) and the pages (>) differ"
[ "$(grep -c '^[^t].*pm_' "$dir/want")" -ge "$(grep -c '^PM_API' $header)" ] ||
	fail "cannot read the prototypes of $header"

# NAME has the page itself and the functions of the SYNOPSIS.
for page in $pages3; do
	own=$(basename "$page" .3)
	page_prototypes "$page" | sed -n '/^typedef/!s/(.*//p' | sed 's/.*[ *]//' |
		sort >"$dir/want"
	names "$page" | grep -vx "$own\|poolmap" | sort >"$dir/got"
	grep -vx "$own" "$dir/want" | diff - "$dir/got" ||
		fail "$page: SYNOPSIS (<) and NAME (>) differ"
	names "$page" | grep -qx "$own" || fail "$page: its own name is not in NAME"
done

# ------------------------------------------------------- constants, fields, errors

# shellcheck disable=SC2013 # words on purpose
for name in $(grep -oE '\bPM_[A-Z0-9_]+\b' "$dir/header" | sort -u); do
	case $name in PM_API | PM_PRINTF | PM_MUSTCHECK) continue ;; esac
	# shellcheck disable=SC2086 # words on purpose
	grep -qw "$name" $pages3 || fail "$name: in no page"
done

# "pm_job arg" for each field of each struct
awk '/^struct pm_[a-z_]* \{/ {struct = $2; next}
	/^\};/ {struct = ""}
	!struct {next}
	{text = text $0}
	/;/ {
		if (match(text, /\(\*[a-z_]+\)/)) {
			print struct, substr(text, RSTART + 2, RLENGTH - 3)
		} else {
			ct = split(text, parts, ",")
			for (i = 1; i <= ct; i++) {
				match(parts[i], /[a-z_]+(\[.*\])?;?[ \t]*$/)
				name = substr(parts[i], RSTART)
				sub(/[^a-z_].*/, "", name)
				print struct, name
			}
		}
		text = ""
	}' "$dir/header" >"$dir/fields"
[ "$(wc -l <"$dir/fields")" -ge 100 ] || fail "cannot read the fields of $header"
while read -r struct field; do
	# shellcheck disable=SC2086 # words on purpose
	about=$(grep -lE "struct $struct\b" $pages3)
	# shellcheck disable=SC2086 # words on purpose
	grep -qw "$field" ${about:-/dev/null} || fail "struct $struct, $field: in no page"
done <"$dir/fields"

sed -nE 's/^\tPM_(E[A-Z]+) = -[0-9]+, *\/\* ([a-z_]+) .*/.It Er PM_\1 Pq Ql \2/p' $header \
	>"$dir/errors"
[ "$(wc -l <"$dir/errors")" -ge 25 ] || fail "cannot read the errors of $header"
while read -r line; do
	grep -qxF "$line" common/pm_error.3 || fail "common/pm_error.3 lacks: $line"
done <"$dir/errors"

# ------------------------------------------------------------------- the examples

examples() {
	awk '/^\.Sh / {on = $2 == "EXAMPLES"}
		on && /^\.Ed/ {code = 0}
		code {print}
		on && /^\.Bd -literal/ {code = 1}' "$1" | sed 's/\\e/\\/g; s/\\&//g'
}

for page in $pages3; do
	{
		printf '#include <poolmap.h>\n#include <stdio.h>\n#include <string.h>\n'
		examples "$page"
	} >"$dir/example.c"
	[ "$(wc -l <"$dir/example.c")" -gt 8 ] || fail "$page: has no example"
	# shellcheck disable=SC2046 # words on purpose
	${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function \
		-Icommon $(pkg-config --cflags libevent_core) -fsyntax-only "$dir/example.c" ||
		fail "$page: its example does not compile"
done

examples master/cli/poolmap.conf.5 >"$dir/poolmap.conf"
[ -s "$dir/poolmap.conf" ] || fail "poolmap.conf.5: has no example"
env -i API_TOKEN=x "$build/poolmap" config --config "$dir/poolmap.conf" >/dev/null ||
	fail "poolmap.conf.5: its example is not read"

# -------------------------------------------------------------------- the options

# From "  -o, --output FILE   where ... (default -)", over several lines:
# ".It Fl o , Fl -output Ar FILE", and "Default: -." or nothing.
help_options() {
	env -i "$build/poolmap" "$1" --help | awk '
	function tell() {
		said = ""
		if (match(text, /\(default [^)]*\)$/)) {
			said = "Default: " substr(text, RSTART + 9, RLENGTH - 10) "."
			gsub(/, /, ",", said) # a long one is broken behind a comma
		}
		if (item) {
			print item "|" said
		}
		item = text = ""
	}
	/^$/ {tell()}
	/^  (-.,|   ) --/ {
		tell()
		line = substr($0, 3)
		item = ".It " (line ~ /^-/ ? "Fl " substr(line, 2, 1) " , " : "") "Fl "
		line = substr(line, 6)
		end = index(line, "  ")
		what = end ? substr(line, 1, end - 1) : line
		sub(/ /, " Ar ", what)
		item = item what
		text = end ? substr(line, end) : ""
		next
	}
	/^      / {sub(/^ */, ""); text = text " " $0}'
}

# Those of the page in its sections from FROM to the one before TO.
page_options() {
	awk -v from="$1" -v to="$2" '
		index($0, from) == 1 {on = 1}
		!on {next}
		index($0, to) == 1 {if (item) print item "|" said; exit}
		more {said = said $0; more = 0}
		/^\.It Fl / {if (item) print item "|" said; item = $0; said = ""}
		/^Default: / {said = $0; more = sub(/\\c$/, "", said)}' master/cli/poolmap.1
}

help_options run >"$dir/help"
[ "$(wc -l <"$dir/help")" -ge 20 ] || fail "cannot read poolmap run --help"
page_options '.Ss Results' '.Ss Job files' >"$dir/page"
diff "$dir/help" "$dir/page" ||
	fail "poolmap run --help (<) and master/cli/poolmap.1 (>) have different options"

# Without those that all commands have, which are described there.
help_options report | grep -v 'Fl -help|\|Fl -version|' >"$dir/help"
[ -s "$dir/help" ] || fail "cannot read poolmap report --help"
page_options '.Ss Reports' '.Sh ENVIRONMENT' >"$dir/page"
diff "$dir/help" "$dir/page" ||
	fail "poolmap report --help (<) and master/cli/poolmap.1 (>) have different options"

exit $bad
