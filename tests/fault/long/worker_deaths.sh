#!/bin/sh
# Workers are killed, crash and are stopped all the time; see prog_chaos.c.
#
#   tests/fault/long/worker_deaths.sh BUILD_DIR
#
# SPDX-License-Identifier: MIT
set -eu
build=${1:-build/release}
# shellcheck source=tests/support/chaos_rig.sh
. "$(dirname "$0")/../../support/chaos_rig.sh"

chaos=$build/tests/fault/prog_chaos
"$chaos" kills 1000000 50 2
"$chaos" crashes 100000 100
"$chaos" stops 20 2500
