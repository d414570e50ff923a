/* SPDX-License-Identifier: MIT
 *
 * options_table - every option of the command, once.
 *
 * Defaults, command line flags, POOLMAP_* variables, keys of the configuration
 * file, --help and `poolmap config` are all made from this table; a new option
 * is a new row, a field of struct settings and a line in config/poolmap.conf.
 * tests/check/options.sh reads the rows as text: one X( per option, with the
 * name behind it on the same line.
 *
 * Runs in: the master of the command.  Never holds code that decides.
 */
#ifndef MASTER_CLI_OPTIONS_TABLE_H
#define MASTER_CLI_OPTIONS_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* What a value looks like.  In brackets: the type of its settings field. */
enum option_kind {
	KIND_SWITCH,   /* yes or no [bool] */
	KIND_ACTION,   /* a flag that is a command of its own; no value */
	KIND_NUMBER,   /* [unsigned] */
	KIND_COUNT,    /* a number that may be large [uint64_t] */
	KIND_WORKERS,  /* a number or "auto" [unsigned] */
	KIND_SIZE,     /* bytes, with K, M or G [uint64_t] */
	KIND_SECONDS,  /* range and field are milliseconds [unsigned] */
	KIND_BODY,     /* [enum body_mode] */
	KIND_STATUSES, /* [struct status_set] */
	KIND_METHOD,   /* a token or "auto" [const char *] */
	KIND_CA_FILE,  /* a readable file or "system" [const char *] */
	KIND_FILE,     /* any file name but the empty one [const char *] */
	KIND_HEADERS,  /* repeatable [struct pm_header *, see header_ct] */
};

/* Where it may be set.  What decides which files one run reads and writes is
 * said for that run: a forgotten `force = yes` would destroy results. */
enum option_scope {
	SCOPE_FLAG = 1,
	SCOPE_ENV = 2,
	SCOPE_FILE = 4,
	SCOPE_ALL = 7,
};

/* Headings of --help, in this order. */
#define OPTION_GROUPS(X)                                                               \
	X(RESULTS, "Results")                                                          \
	X(POOL, "The pool")                                                            \
	X(REQUESTS, "Requests (a job's own values win)")                               \
	X(OTHER, "Other")

enum option_group {
#define X(id, title) GROUP_##id,
	OPTION_GROUPS(X)
#undef X
};

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* X(id, name, letter, kind, scope, group, field, min, max, default, argument,
 *   help)
 * A letter of 0: there is none.  NOWHERE: no field of struct settings.  The
 * default is text, and is read like text that a user wrote. */
/* clang-format off */
#define OPTIONS_TABLE(X) \
	X(OUTPUT, "output", 'o', FILE, SCOPE_FLAG, RESULTS, AT(output), \
		0, 0, "-", "FILE", \
		"where results go, one JSON object a line; - is standard output") \
	X(RESUME, "resume", 0, SWITCH, SCOPE_FLAG, RESULTS, AT(resume), \
		0, 0, "no", NULL, \
		"go on with the existing FILE; what is done is not done again") \
	X(FORCE, "force", 0, SWITCH, SCOPE_FLAG, RESULTS, AT(force), \
		0, 0, "no", NULL, \
		"overwrite the existing FILE; without --resume or --force an " \
		"existing FILE is an error") \
	X(UNORDERED, "unordered", 0, SWITCH, SCOPE_ALL, RESULTS, AT(unordered), \
		0, 0, "no", NULL, \
		"write results as they complete, not in the order of the jobs") \
	X(BODY, "body", 0, BODY, SCOPE_ALL, RESULTS, AT(body), \
		0, 0, "inline", "inline|none", \
		"put bodies into the results, or leave them out") \
	X(ACCEPT, "accept", 0, STATUSES, SCOPE_ALL, RESULTS, AT(accept), \
		100, 999, "200..399", "LIST", \
		"statuses that count as ok, such as 200..299,304") \
	X(WORKERS, "workers", 'w', WORKERS, SCOPE_ALL, POOL, AT(workers), \
		1, PM_WORKERS_MAX, "auto", "N|auto", \
		"worker processes; auto: the CPUs this process may use") \
	X(CONCURRENCY, "concurrency", 'c', NUMBER, SCOPE_ALL, POOL, AT(concurrency), \
		1, PM_CONCURRENCY_MAX, "128", "N", \
		"jobs in flight in the whole pool") \
	X(WINDOW, "window", 0, COUNT, SCOPE_ALL, POOL, AT(window), \
		1, PM_WINDOW_MAX, "65536", "N", \
		"how many jobs results may run ahead of the oldest unfinished job") \
	X(WINDOW_BYTES, "window-bytes", 0, SIZE, SCOPE_ALL, POOL, AT(window_bytes), \
		MIB, 64 * GIB, "256M", "SIZE", \
		"and how many bytes of memory they may take meanwhile") \
	X(METHOD, "method", 'X', METHOD, SCOPE_ALL, REQUESTS, AT(method), \
		0, 0, "auto", "M", \
		"request method; auto: GET, or POST when the job has a body") \
	X(HEADER, "header", 'H', HEADERS, SCOPE_ALL, REQUESTS, AT(headers), \
		0, 0, "", "'K: V'", \
		"send this header; may be given more than once") \
	X(TIMEOUT, "timeout", 0, SECONDS, SCOPE_ALL, REQUESTS, AT(timeout_ms), \
		1, 86400000, "60", "SEC", \
		"longest time of one attempt, in seconds such as 2.5") \
	X(CONNECT_TIMEOUT, "connect-timeout", 0, SECONDS, SCOPE_ALL, REQUESTS, \
		AT(connect_timeout_ms), 1, 86400000, "10", "SEC", \
		"longest time until the connection is there") \
	X(MAX_REDIRECTS, "max-redirects", 0, NUMBER, SCOPE_ALL, REQUESTS, \
		AT(max_redirects), 0, 100, "10", "N", \
		"a job with more redirects fails") \
	X(NO_FOLLOW, "no-follow", 0, SWITCH, SCOPE_ALL, REQUESTS, AT(no_follow), \
		0, 0, "no", NULL, \
		"do not follow redirects: the redirect is the result") \
	X(MAX_BODY, "max-body", 0, SIZE, SCOPE_ALL, REQUESTS, AT(max_body), \
		0, 256 * MIB, "10M", "SIZE", \
		"a job with a larger body fails; 0: with any body") \
	X(INSECURE, "insecure", 'k', SWITCH, SCOPE_ALL, REQUESTS, AT(insecure), \
		0, 0, "no", NULL, \
		"accept any certificate; anybody may then read along") \
	X(CACERT, "cacert", 0, CA_FILE, SCOPE_ALL, REQUESTS, AT(ca_file), \
		0, 0, "system", "FILE", \
		"certificates to trust, PEM; system: those of this machine") \
	X(CONFIG, "config", 0, FILE, SCOPE_FLAG | SCOPE_ENV, OTHER, NOWHERE, \
		0, 0, "", "FILE", \
		"read this configuration file, and no other") \
	X(NO_CONFIG, "no-config", 0, SWITCH, SCOPE_FLAG, OTHER, NOWHERE, \
		0, 0, "no", NULL, \
		"read no configuration file") \
	X(QUIET, "quiet", 'q', SWITCH, SCOPE_ALL, OTHER, AT(quiet), \
		0, 0, "no", NULL, \
		"no progress and no summary, only errors") \
	X(HELP, "help", 'h', ACTION, SCOPE_FLAG, OTHER, NOWHERE, \
		0, 0, "", NULL, \
		"print this help") \
	X(VERSION, "version", 0, ACTION, SCOPE_FLAG, OTHER, NOWHERE, \
		0, 0, "", NULL, \
		"print the versions of poolmap and of its libraries")
/* clang-format on */

enum option_id {
#define X(id, ...) OPTION_##id,
	OPTIONS_TABLE(X)
#undef X
		OPTION_CT
};

/* A row of the table. */
struct option_row {
	const char *name;
	char letter;
	enum option_kind kind;
	unsigned scope; /* enum option_scope */
	enum option_group group;
	size_t offset; /* in struct settings; OPTION_NOWHERE: no field */
	uint64_t min, max;
	const char *default_text;
	const char *argument; /* its name in --help; NULL: takes none */
	const char *help;
};

#define OPTION_NOWHERE SIZE_MAX

extern const struct option_row option_rows[OPTION_CT];

#endif
