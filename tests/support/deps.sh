#!/bin/sh
# Install what the build, the tests and the demo need, and nothing that is there
# already.  Debian 12; with sudo when not root.
#
#   tests/support/deps.sh [PACKAGE...]   these, too: what only some targets need
set -eu

packages="gcc libc6-dev make binutils pkg-config git \
libevent-dev libnanomsg-dev libcurl4-openssl-dev libc-ares-dev libjansson-dev libconfuse-dev \
libssl-dev zlib1g-dev libseccomp-dev libcriterion-dev ca-certificates strace procps $*"

missing=
for package in $packages; do
	if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
		missing="$missing $package"
	fi
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo=sudo
	if ! command -v sudo >/dev/null; then
		echo "make deps: not root and no sudo: install these, then go on:$missing" >&2
		exit 1
	fi
fi
echo "make deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# An image without package lists, or with old ones, knows no package.
# shellcheck disable=SC2086 # words on purpose
$sudo apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 || {
	$sudo apt-get update -q
	$sudo apt-get install -y -q --no-install-recommends $missing
}
