#!/bin/sh
# SPDX-License-Identifier: MIT
#
# options.sh BUILD_DIR - every option of the table is told to the user.
#
# Each row of master/cli/options_table.h must stand in `poolmap run --help`, or, when
# its scope says so, in `poolmap report --help`;
# each that may stand in a file must stand in config/poolmap.conf, as a comment
# with its default, and nothing else may stand there.  What the defaults are is
# asked of the command itself.  Exits 1 and names what is missing.
set -u

poolmap=${1:?usage: options.sh BUILD_DIR}/poolmap
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
table=$root/master/cli/options_table.h
conf=$root/config/poolmap.conf
failed=0

missing() {
	echo "options.sh: $*" >&2
	failed=1
}

names=$(sed -n 's/^[[:space:]]*X([A-Z0-9_]*, "\([a-z0-9-]*\)", .*/\1/p' "$table")
help=$(env -i "$poolmap" run --help) || missing "poolmap run --help fails"
report_help=$(env -i "$poolmap" report --help) || missing "poolmap report --help fails"
effective=$(env -i "$poolmap" config --no-config) || missing "poolmap config fails"

# A wrong pattern above must not make this check succeed.
[ "$(echo "$names" | wc -l)" -ge 50 ] || missing "$table: cannot find its rows"

for name in $names; do
	scope=$(grep -A1 "X([A-Z0-9_]*, \"$name\"," "$table" | grep -o 'SCOPE_[A-Z_]*')
	case $scope in
	*SCOPE_REPORT*)
		echo "$report_help" | grep -qE "^  (-.,|   ) --$name( |\$)" ||
			missing "--$name: not in poolmap report --help"
		;;
	esac
	[ "$scope" != SCOPE_REPORT ] || continue
	echo "$help" | grep -qE "^  (-.,|   ) --$name( |\$)" ||
		missing "--$name: not in poolmap run --help"

	# "name = value   # default", without what follows the value.
	line=$(echo "$effective" | sed -n "s/^\($name = .*[^ ]\)  *# default\$/\1/p")
	if [ -n "$line" ]; then
		grep -qxF "# $line" "$conf" || missing "$conf: lacks \"# $line\""
	elif ! echo "$scope" | grep -q 'SCOPE_FLAG'; then
		missing "$name: may stand in a file, but is not in poolmap config"
	fi
done

# shellcheck disable=SC2013 # words on purpose
for key in $(sed -n 's/^# \([a-z0-9-]*\) = .*/\1/p' "$conf"); do
	echo "$effective" | grep -q "^$key = " ||
		missing "$conf: $key is not an option of the file"
done

exit $failed
