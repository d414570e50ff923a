#!/bin/sh
# Run the Criterion programs of a build and count what they say.
#
#   tests/run.sh BUILD_DIR [unit|integration|fault|tsan|valgrind]
#
# Ends with the line `N passed, N failed`; exits 1 when a test failed, a program
# crashed, or a program ran no test at all.
set -u
build=$1
what=${2:-all}
cd "$(dirname "$0")/.." || exit 2

report=$(mktemp -d "${TMPDIR:-/tmp}/poolmap-report-XXXXXX") || exit 2
trap 'rm -rf "$report"' EXIT
trap 'exit 130' INT TERM

passed=0
failed=0
wrapper=
jobs=

# A program that outlives this has hung as a whole: its tests have time-outs of
# their own, which end first.
limit=300

# What sanitizers say; Criterion does not notice a leak that is found at exit.
reports='ERROR: \(Address\|Leak\)Sanitizer\|WARNING: ThreadSanitizer\|runtime error:'

one() {
	program=$1
	[ -x "$program" ] || return
	name=${program#"$build"/tests/}
	xml=$report/result.xml
	rm -f "$xml"
	# shellcheck disable=SC2086 # words on purpose
	timeout -k 5 $limit $wrapper "$program" $jobs --xml="$xml" >"$report/out" 2>&1
	status=$?
	line=$(grep -m1 '<testsuites' "$xml" 2>/dev/null)
	tests=$(printf '%s' "$line" | sed -n 's/.* tests="\([0-9]*\)".*/\1/p')
	bad=$(printf '%s' "$line" | sed -n 's/.* failures="\([0-9]*\)".*/\1/p')
	bad=${bad:-0} # a crash counts as a failure there, too
	if [ -z "$tests" ] || [ "$tests" -eq 0 ]; then
		echo "FAILED  $name: no test ran (exit status $status)"
		cat "$report/out"
		failed=$((failed + 1))
		return
	fi
	if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || grep -q "$reports" "$report/out"; }; then
		bad=1 # the runner itself, or a sanitizer in a process that no test waits for
	fi
	passed=$((passed + tests - bad))
	failed=$((failed + bad))
	if [ "$bad" -eq 0 ]; then
		echo "ok      $name: $tests"
	else
		echo "FAILED  $name: $bad of $tests (exit status $status)"
		cat "$report/out"
	fi
}

# A program that passes when it exits 0 and no sanitizer reports anything.
program() {
	if timeout -k 5 $limit "$@" >"$report/out" 2>&1 && ! grep -q "$reports" "$report/out"; then
		echo "ok      $(printf '%s' "$*" | cut -c -70)"
		passed=$((passed + 1))
	else
		echo "FAILED  $(printf '%s' "$*" | cut -c -70)"
		cat "$report/out"
		failed=$((failed + 1))
	fi
}

kind() {
	for source in tests/"$1"/test_*.c; do
		[ -e "$source" ] && one "$build/${source%.c}"
	done
}

check() {
	if "$@" >"$report/out" 2>&1; then
		echo "ok      $1"
		passed=$((passed + 1))
	else
		echo "FAILED  $1"
		cat "$report/out"
		failed=$((failed + 1))
	fi
}

checks() {
	for script in tests/check/*.sh; do
		[ -e "$script" ] && check "$script" "$build"
	done
}

# The inputs of the fuzz targets, those that found something once among them.
corpora() {
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "${source%.c}")
		program "$build/tests/fuzz/$name" tests/fuzz/corpus/"${name#fuzz_}"/*
	done
}

# A test that expects SIGSEGV must get it, not the sanitizer's report.
export ASAN_OPTIONS="${ASAN_OPTIONS:-handle_segv=0:handle_abort=0:handle_sigbus=0:allow_user_segv_handler=1:detect_stack_use_after_return=0}"
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=tests/support/lsan.supp:print_suppressions=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

case $what in
all)
	kind unit
	jobs=-j1
	kind integration
	kind fault
	corpora
	check tests/model/run.sh short
	checks
	;;
unit) kind unit ;;
integration | fault)
	jobs=-j1
	kind "$what"
	;;
tsan)
	# Criterion does not start under ThreadSanitizer (it wants memory where the
	# shadow is), so what has threads runs as programs: hosts with pools and
	# threads, and the command with its coroutines.
	export TSAN_OPTIONS="suppressions=tests/support/tsan.supp second_deadlock_stack=1 die_after_fork=0"
	for mode in plain threads pools-in-threads futures-in-threads foreign-thread \
		twice fork-then-open; do
		mkdir "$report/$mode"
		program "$build/tests/fault/prog_host" "$mode" "$report/$mode"
	done
	program tests/support/demo.sh "$build"
	;;
valgrind)
	limit=1500
	wrapper="valgrind -q --trace-children=yes --error-exitcode=99 --leak-check=full \
--errors-for-leak-kinds=definite --show-leak-kinds=definite \
--suppressions=tests/support/valgrind.supp \
--trace-children-skip=*/sh,*/env,*/strace,*/cat,*/head,*/tests/support/origin"
	# The tests of the tests' own tools are left out: they take minutes here.
	for source in tests/unit/test_*.c; do
		case $source in
		*/test_origin.c | */test_harness.c) ;;
		*) one "$build/${source%.c}" ;;
		esac
	done
	jobs=-j1
	# shellcheck disable=SC2013 # words on purpose
	for source in $(grep -l 'valgrind: run' tests/integration/test_*.c tests/fault/test_*.c); do
		one "$build/${source%.c}"
	done
	;;
*)
	echo "usage: tests/run.sh BUILD_DIR [unit|integration|fault|tsan|valgrind]" >&2
	exit 2
	;;
esac

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
