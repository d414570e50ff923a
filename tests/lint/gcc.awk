# What gcc -fanalyzer found, without what a source file says is not so.
#
#   awk -f gcc.awk REPORT SOURCE...
#
# A marker stands where the finding does or, for a leak, where the memory comes from:
#   NOLINT(gcc-malloc-leak): reason         in that line
#   NOLINTNEXTLINE(gcc-malloc-leak): reason in the line before
# One that excuses nothing is itself a finding, and so is a file that does not compile.
# A test that gives up has no time to tidy, and one that finds no memory fails by its
# crash; and gcc does not know that cr_assert() ends it.  So of tests some checks are
# no findings; valgrind and the sanitizers run them.
#
# SPDX-License-Identifier: MIT

function place(text, part) { # file:line
	split(text, part, ":")
	sub(/^\.\//, "", part[1])
	return part[1] ":" part[2]
}

# Does the line at file:line, or the one before it, excuse this check?
function excused(at, check, part, key) {
	split(at, part, ":")
	read_file(part[1])
	key = at " " check
	if (key in marked) {
		used[key] = 1
		return 1
	}
	return 0
}

function read_file(name, text, n, check, at) {
	if (name in known) {
		return
	}
	known[name] = 1
	while ((getline text < name) > 0) {
		n++
		if (match(text, /NOLINT(NEXTLINE)?\(gcc-[a-z-]*\)/)) {
			check = substr(text, RSTART, RLENGTH)
			at = name ":" (check ~ /NEXTLINE/ ? n + 1 : n)
			gsub(/.*\(gcc-|\)/, "", check)
			marked[at " " check] = name ":" n
		}
	}
	close(name)
}

function of_test(at, check) {
	return at ~ /^(\.\/)?tests\// && check ~ /^(possible-)?null-|-leak$|^use-of-uninit/
}

function judge() {
	if (finding != "" && !good) {
		print finding
	}
	finding = ""
}

BEGIN {
	for (i = 2; i < ARGC; i++) {
		read_file(ARGV[i])
		delete ARGV[i]
	}
}

/: (fatal )?error: / {
	judge()
	print
}

/ warning: .*\[-Wanalyzer-/ {
	judge()
	finding = $0
	check = $0
	gsub(/.*\[-Wanalyzer-|\].*/, "", check)
	good = excused(place($0), check) || of_test($0, check)
}

/ note: \(1\) / { # where the path to it begins
	good = good || of_test($0, check)
}

/ note: .*allocated here/ {
	if (finding != "" && check ~ /leak/ && excused(place($0), check)) {
		good = 1
	}
}

END {
	judge()
	for (key in marked) {
		if (!(key in used)) {
			print marked[key] ": warning: gcc has nothing to be excused here"
		}
	}
}
