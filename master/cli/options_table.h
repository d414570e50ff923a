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
	KIND_SWITCH,      /* yes or no [bool] */
	KIND_ACTION,      /* a flag that is a command of its own; no value */
	KIND_NUMBER,      /* [unsigned] */
	KIND_COUNT,       /* a number that may be large [uint64_t] */
	KIND_WORKERS,     /* a number or "auto" [unsigned] */
	KIND_LIMIT,       /* a number or "none" [unsigned] */
	KIND_SIZE,        /* bytes, with K, M or G [uint64_t] */
	KIND_SECONDS,     /* range and field are milliseconds [unsigned] */
	KIND_RATE,        /* [double] */
	KIND_CHOICE,      /* a word of `argument`, by its place [an enum] */
	KIND_BODY,        /* [enum body_mode, see body_path] */
	KIND_STATUSES,    /* [struct status_set] */
	KIND_RETRY_ON,    /* [struct status_set, see retry_classes] */
	KIND_HALT,        /* [enum halt_when, see halt_fail_ct] */
	KIND_METHOD,      /* a token or "auto" [const char *] */
	KIND_PEM_FILE,    /* a readable file or the default [const char *] */
	KIND_FILE,        /* any file name but the empty one [const char *] */
	KIND_MAYBE_FILE,  /* the same, or "none" [const char *] */
	KIND_COLUMN,      /* anything but nothing [const char *] */
	KIND_FIELDS,      /* names or "auto" [const char *] */
	KIND_DATA,        /* bytes or @FILE [const char *, see data_len] */
	KIND_PROXY,       /* a URL, "env" or "none" [const char *] */
	KIND_DNS_SERVERS, /* addresses or "system" [const char *] */
	KIND_HEADERS,     /* repeatable [struct pm_header *, see header_ct] */
	KIND_RESOLVE,     /* repeatable [const char *const *, see resolve_ct] */
};

/* Where it may be set.  What decides which files one run reads and writes is
 * said for that run: a forgotten `force = yes` would destroy results. */
enum option_scope {
	SCOPE_FLAG = 1,
	SCOPE_ENV = 2,
	SCOPE_FILE = 4,
	SCOPE_ALL = 7,
	SCOPE_REPORT = 8, /* a flag of poolmap report; the others are none there */
};

/* Headings of --help, in this order. */
#define OPTION_GROUPS(X)                                                               \
	X(RESULTS, "Results")                                                          \
	X(JOBS, "Jobs")                                                                \
	X(REQUESTS, "Requests (a job's own values win)")                               \
	X(RETRIES, "Further attempts")                                                 \
	X(LIMITS, "Limits, across all workers")                                        \
	X(STOPS, "When to stop early")                                                 \
	X(NETWORK, "Connections and trust")                                            \
	X(POOL, "The pool")                                                            \
	X(REPORT, "Reports")                                                           \
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
	X(OUTPUT, "output", 'o', FILE, SCOPE_FLAG, RESULTS, \
		AT(output), 0, 0, "-", "FILE", \
		"where results go, one JSON object a line; - is standard output") \
	X(RESUME, "resume", 0, SWITCH, SCOPE_FLAG, RESULTS, \
		AT(resume), 0, 0, "no", NULL, \
		"go on with the existing FILE; what is done is not done again") \
	X(FORCE, "force", 0, SWITCH, SCOPE_FLAG, RESULTS, \
		AT(force), 0, 0, "no", NULL, \
		"overwrite the existing FILE; without --resume or --force an " \
		"existing FILE is an error") \
	X(UNORDERED, "unordered", 0, SWITCH, SCOPE_ALL, RESULTS, \
		AT(unordered), 0, 0, "no", NULL, \
		"write results as they complete, not in the order of the jobs") \
	X(BODY, "body", 0, BODY, SCOPE_ALL, RESULTS, \
		AT(body), 0, 0, "inline", "inline|none|dir:DIR|warc:PREFIX", \
		"put bodies into the results, leave them out, write each to a " \
		"file in DIR, or all to archives PREFIX-*.warc.gz") \
	X(RESPONSE_HEADERS, "response-headers", 0, SWITCH, SCOPE_ALL, RESULTS, \
		AT(response_headers), 0, 0, "no", NULL, \
		"put the headers of responses into the results") \
	X(ACCEPT, "accept", 0, STATUSES, SCOPE_ALL, RESULTS, \
		AT(accept), 100, 999, "200..399", "LIST", \
		"statuses that count as ok, such as 200..299,304") \
	X(FORMAT, "format", 0, CHOICE, SCOPE_ALL, RESULTS, \
		AT(format), 0, 0, "jsonl", "jsonl|csv", \
		"one JSON object a line, or CSV") \
	X(FIELDS, "fields", 0, FIELDS, SCOPE_ALL, RESULTS, \
		AT(fields), 0, 0, "auto", "LIST", \
		"the columns of --format csv, such as index,url,http_code") \
	X(FAILED, "failed", 0, MAYBE_FILE, SCOPE_FLAG, RESULTS, \
		AT(failed), 0, 0, "none", "FILE", \
		"write the jobs that failed here, to run them again") \
	X(RETRY_FAILED, "retry-failed", 0, MAYBE_FILE, SCOPE_FLAG, RESULTS, \
		AT(retry_failed), 0, 0, "none", "RESULTS", \
		"run only the jobs that failed in RESULTS; the other results " \
		"are taken over") \
	X(STATS, "stats", 0, MAYBE_FILE, SCOPE_FLAG, RESULTS, \
		AT(stats), 0, 0, "none", "FILE", \
		"write the summary here, as JSON") \
	X(SYNC, "sync", 0, CHOICE, SCOPE_ALL, RESULTS, \
		AT(sync), 0, 0, "interval", "none|interval|always", \
		"when what is written is forced to the disk") \
	X(CSV, "csv", 0, SWITCH, SCOPE_FLAG, JOBS, \
		AT(csv), 0, 0, "no", NULL, \
		"job files are CSV: --url-column has the URL, other columns " \
		"come back in the meta of the result") \
	X(TSV, "tsv", 0, SWITCH, SCOPE_FLAG, JOBS, \
		AT(tsv), 0, 0, "no", NULL, \
		"the same with tabs between the columns, and without quotes") \
	X(URL_COLUMN, "url-column", 0, COLUMN, SCOPE_ALL, JOBS, \
		AT(url_column), 0, 0, "url", "NAME|N", \
		"the column with the URL: its name in the first line, or its " \
		"number from 1 when there are no names") \
	X(TOTAL, "total", 0, COUNT, SCOPE_FLAG, JOBS, \
		AT(total), 0, UINT64_C(1000000000000), "0", "N", \
		"how many jobs standard input will bring, for the progress; " \
		"0: not known") \
	X(METHOD, "method", 'X', METHOD, SCOPE_ALL, REQUESTS, \
		AT(method), 0, 0, "auto", "M", \
		"request method; auto: GET, or POST when the job has a body") \
	X(HEADER, "header", 'H', HEADERS, SCOPE_ALL, REQUESTS, \
		AT(headers), 0, 0, "", "'K: V'", \
		"send this header; may be given more than once") \
	X(DATA, "data", 'd', DATA, SCOPE_ALL, REQUESTS, \
		AT(data), 0, 0, "", "BYTES|@FILE", \
		"the body to send, or the file that holds it") \
	X(TIMEOUT, "timeout", 0, SECONDS, SCOPE_ALL, REQUESTS, \
		AT(timeout_ms), 1, 86400000, "60", "SEC", \
		"longest time of one attempt, in seconds such as 2.5") \
	X(CONNECT_TIMEOUT, "connect-timeout", 0, SECONDS, SCOPE_ALL, REQUESTS, \
		AT(connect_timeout_ms), 1, 86400000, "10", "SEC", \
		"longest time until the connection is there") \
	X(STALL_TIMEOUT, "stall-timeout", 0, SECONDS, SCOPE_ALL, REQUESTS, \
		AT(stall_timeout_ms), 0, 86400000, "20", "SEC", \
		"longest time without a byte of the response; 0: any") \
	X(MAX_REDIRECTS, "max-redirects", 0, NUMBER, SCOPE_ALL, REQUESTS, \
		AT(max_redirects), 0, 100, "10", "N", \
		"a job with more redirects fails") \
	X(NO_FOLLOW, "no-follow", 0, SWITCH, SCOPE_ALL, REQUESTS, \
		AT(no_follow), 0, 0, "no", NULL, \
		"do not follow redirects: the redirect is the result") \
	X(MAX_BODY, "max-body", 0, SIZE, SCOPE_ALL, REQUESTS, \
		AT(max_body), 0, 256 * MIB, "10M", "SIZE", \
		"a job with a larger body fails; 0: with any body") \
	X(COMPRESSED, "compressed", 0, SWITCH, SCOPE_ALL, REQUESTS, \
		AT(compressed), 0, 0, "no", NULL, \
		"ask for compressed bodies; results have them as they were before") \
	X(HTTP2, "http2", 0, SWITCH, SCOPE_ALL, REQUESTS, \
		AT(http2), 0, 0, "no", NULL, \
		"use HTTP/2 where https servers offer it") \
	X(RETRIES, "retries", 0, NUMBER, SCOPE_ALL, RETRIES, \
		AT(retries), 0, 100, "2", "N", \
		"how many times a job that failed is tried again") \
	X(RETRY_ON, "retry-on", 0, RETRY_ON, SCOPE_ALL, RETRIES, \
		AT(retry_statuses), 100, 999, "dns,connect,timeout,stalled,reset,truncated,408,429,500,502..504,522,524", "LIST", \
		"after which errors and statuses, such as timeout,429,500..504") \
	X(RETRY_UNSAFE, "retry-unsafe", 0, SWITCH, SCOPE_ALL, RETRIES, \
		AT(retry_unsafe), 0, 0, "no", NULL, \
		"also requests that may do something twice, such as POST") \
	X(PER_HOST, "per-host", 0, LIMIT, SCOPE_ALL, LIMITS, \
		AT(per_host), 1, PM_CONCURRENCY_MAX, "none", "N", \
		"requests to one host at a time") \
	X(RATE, "rate", 0, RATE, SCOPE_ALL, LIMITS, \
		AT(rate), 0, 0, "none", "R", \
		"requests in all: 10/s, 30/m or 100/h") \
	X(HOST_RATE, "host-rate", 0, RATE, SCOPE_ALL, LIMITS, \
		AT(host_rate), 0, 0, "none", "R", \
		"requests to one host: 10/s, 30/m or 100/h") \
	X(POLITE, "polite", 0, SWITCH, SCOPE_ALL, LIMITS, \
		AT(polite), 0, 0, "no", NULL, \
		"one connection and one request per second to a host, and " \
		"what its robots.txt allows") \
	X(HALT, "halt", 0, HALT, SCOPE_ALL, STOPS, \
		AT(halt), 0, 0, "never", "soon|now,fail=N|N%", \
		"stop when N jobs, or N% of them, have failed: soon finishes " \
		"what is in flight, now does not; for example now,fail=5%") \
	X(FAIL_FAST, "fail-fast", 0, SWITCH, SCOPE_ALL, STOPS, \
		AT(fail_fast), 0, 0, "no", NULL, \
		"the same as --halt now,fail=1") \
	X(MAX_TIME, "max-time", 0, SECONDS, SCOPE_ALL, STOPS, \
		AT(max_time_ms), 0, UINT64_C(2592000000), "0", "SEC", \
		"longest time of the whole run; 0: any") \
	X(PROXY, "proxy", 0, PROXY, SCOPE_ALL, NETWORK, \
		AT(proxy), 0, 0, "none", "URL|env", \
		"HTTP or SOCKS proxy; env: those of the environment") \
	X(RESOLVE, "resolve", 0, RESOLVE, SCOPE_ALL, NETWORK, \
		AT(resolve), 0, 0, "", "HOST:PORT:ADDR", \
		"the address to use for this host and port; may be given more " \
		"than once") \
	X(DNS_SERVERS, "dns-servers", 0, DNS_SERVERS, SCOPE_ALL, NETWORK, \
		AT(dns_servers), 0, 0, "system", "LIST", \
		"name servers, such as 192.0.2.1,[2001:db8::1]:5353; system: " \
		"those of this machine") \
	X(DENY_PRIVATE, "deny-private", 0, SWITCH, SCOPE_ALL, NETWORK, \
		AT(deny_private), 0, 0, "no", NULL, \
		"never connect to loopback, private and link-local addresses, " \
		"whatever name or redirect leads there") \
	X(INSECURE, "insecure", 'k', SWITCH, SCOPE_ALL, NETWORK, \
		AT(insecure), 0, 0, "no", NULL, \
		"accept any certificate; anybody may then read along") \
	X(CACERT, "cacert", 0, PEM_FILE, SCOPE_ALL, NETWORK, \
		AT(ca_file), 0, 0, "system", "FILE", \
		"certificates to trust, PEM; system: those of this machine") \
	X(CERT, "cert", 0, PEM_FILE, SCOPE_ALL, NETWORK, \
		AT(cert), 0, 0, "none", "FILE", \
		"certificate of this client, PEM") \
	X(KEY, "key", 0, PEM_FILE, SCOPE_ALL, NETWORK, \
		AT(key), 0, 0, "none", "FILE", \
		"its private key, PEM; none: in the same file") \
	X(WORKERS, "workers", 'w', WORKERS, SCOPE_ALL, POOL, \
		AT(workers), 1, PM_WORKERS_MAX, "auto", "N|auto", \
		"worker processes; auto: the CPUs this process may use") \
	X(CONCURRENCY, "concurrency", 'c', NUMBER, SCOPE_ALL, POOL, \
		AT(concurrency), 1, PM_CONCURRENCY_MAX, "128", "N", \
		"jobs in flight in the whole pool") \
	X(WINDOW, "window", 0, COUNT, SCOPE_ALL, POOL, \
		AT(window), 1, PM_WINDOW_MAX, "65536", "N", \
		"how many jobs results may run ahead of the oldest unfinished job") \
	X(WINDOW_BYTES, "window-bytes", 0, SIZE, SCOPE_ALL, POOL, \
		AT(window_bytes), MIB, 64 * GIB, "256M", "SIZE", \
		"and how many bytes of memory they may take meanwhile") \
	X(MAX_JOBS_PER_WORKER, "max-jobs-per-worker", 0, NUMBER, SCOPE_ALL, POOL, \
		AT(max_jobs_per_worker), 0, 1000000000, "0", "N", \
		"a worker is replaced after this many jobs; 0: never") \
	X(WORKER_MEMORY, "worker-memory", 0, SIZE, SCOPE_ALL, POOL, \
		AT(worker_memory), 0, 1024 * GIB, "0", "SIZE", \
		"a worker that takes more memory is killed; the job that does it " \
		"again fails; 0: any") \
	X(NO_SANDBOX, "no-sandbox", 0, SWITCH, SCOPE_ALL, POOL, \
		AT(no_sandbox), 0, 0, "no", NULL, \
		"workers keep all rights to files, programs and processes") \
	X(SCHEDULER, "scheduler", 0, CHOICE, SCOPE_ALL, POOL, \
		AT(scheduler), 0, 0, "least-loaded", "least-loaded|round-robin", \
		"which worker gets the next job") \
	X(PROGRESS, "progress", 0, CHOICE, SCOPE_ALL, OTHER, \
		AT(progress), 0, 0, "auto", "auto|bar|log|json|none", \
		"on standard error; auto: a bar on a terminal, else a line " \
		"every 10 seconds") \
	X(QUIET, "quiet", 'q', SWITCH, SCOPE_ALL, OTHER, \
		AT(quiet), 0, 0, "no", NULL, \
		"no progress and no summary, only errors") \
	X(CONFIG, "config", 0, FILE, SCOPE_FLAG | SCOPE_ENV, OTHER, \
		NOWHERE, 0, 0, "", "FILE", \
		"read this configuration file, and no other") \
	X(NO_CONFIG, "no-config", 0, SWITCH, SCOPE_FLAG, OTHER, \
		NOWHERE, 0, 0, "no", NULL, \
		"read no configuration file") \
	X(JSON, "json", 0, FILE, SCOPE_REPORT, REPORT, \
		NOWHERE, 0, 0, "", "FILE", \
		"write the report here, as one JSON object; - is standard output") \
	X(HTML, "html", 0, FILE, SCOPE_REPORT, REPORT, \
		NOWHERE, 0, 0, "", "FILE", \
		"write it here, as a page for a browser; - is standard output") \
	X(HELP, "help", 'h', ACTION, SCOPE_FLAG | SCOPE_REPORT, OTHER, \
		NOWHERE, 0, 0, "", NULL, \
		"print this help") \
	X(VERSION, "version", 0, ACTION, SCOPE_FLAG | SCOPE_REPORT, OTHER, \
		NOWHERE, 0, 0, "", NULL, \
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
