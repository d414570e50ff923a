#!/bin/sh
# The model of the delivery of jobs: every state of it, and mutants, which must fail.
#
#   tests/model/run.sh [short]
#
# short: fewer things go wrong at once, and some of the mutants; for `make test`.
# One line for each, and exit status 1 when the protocol fails or a mutant passes.
set -u
cd "$(dirname "$0")" || exit 2
model=$PWD/delivery.pml

for tool in spin cc; do
	if ! command -v $tool >/dev/null; then
		echo "model: skipped, there is no $tool (Debian: apt-get install spin gcc)"
		[ "${1:-}" = short ]
		exit
	fi
done

work=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-model-XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 2
bad=0
optimise=-O1
[ "${1:-}" != short ] || optimise=-O0 # the compiler takes longer than the search

# Every state for these definitions; the answer is in $work/out.
search() {
	rm -f pan ./*.trail
	# shellcheck disable=SC2086 # words on purpose
	spin -a $2 "$model" >out 2>&1 && cc $optimise -w -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c ||
		return 2
	timeout -k 5 "$1" ./pan -m100000 -n >out 2>&1
	! grep -q 'errors: [1-9]' out || return 1
	grep -q 'errors: 0' out && ! grep -q 'not completed\|too small' out || return 2
}

said() { # what pan found
	sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' out | head -1
}

holds() {
	search 900 "$1"
	case $? in
	0) echo "holds   $1: $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' out) states" ;;
	1)
		echo "FAILED  $1: $(said)"
		bad=1
		;;
	*)
		echo "FAILED  $1: the search did not end"
		cat out
		bad=1
		;;
	esac
}

mutant() {
	search 300 "-D$1 $2"
	if [ $? -eq 1 ]; then
		echo "broken  $1: $(said)"
	else
		echo "FAILED  $1: nothing is found"
		bad=1
	fi
}

small='-DJOBS=2 -DFAULTS=1 -DRECALLS=0 -DBEATS=0'
recalls='-DJOBS=2 -DFAULTS=0 -DRECALLS=1 -DBEATS=0'
if [ "${1:-}" = short ]; then
	holds "$recalls"
	mutant NO_ACK "$recalls"
	mutant NO_TURNSTILE "$recalls"
	mutant NO_REQUEUE "$small"
	exit $bad
fi

holds '-DJOBS=2 -DFAULTS=1 -DRECALLS=1 -DBEATS=1'
holds "-DJOBS=2 -DFAULTS=2 -DRECALLS=0 -DBEATS=0"
holds "-DJOBS=3 -DFAULTS=0 -DRECALLS=1 -DBEATS=0"
for name in NO_ACK NO_LAST_JOB NO_EPOCH NO_TURNSTILE; do
	mutant $name "$recalls"
done
for name in NO_BEGUN NO_BURIAL NO_REQUEUE NO_GAP NO_BEAT NO_RESULTS_BEAT NO_WATCHDOG; do
	mutant $name "$small"
done
for name in NO_MATCH NO_GENERATION; do
	mutant $name "-DJOBS=2 -DFAULTS=2 -DRECALLS=0 -DBEATS=0"
done
exit $bad
