/* SPDX-License-Identifier: MIT
 *
 * options: sources and their precedence, the command line, conflicts, help, and
 * `poolmap config`.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli/outcome.h"
#include "common/poolmap.h"
#include "master/cli/help.h"
#include "master/cli/message.h"
#include "master/cli/options.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Where the library is linked, its own is used. */
__attribute__((weak)) const char *pm_version_text(void)
{
	return "poolmap " PM_VERSION " stub/1";
}

static char folder[] = "/tmp/poolmap-options-XXXXXX";
static char file[sizeof(folder) + 32], config_flag[sizeof(file) + 16];

/* Nothing of the machine's or the user's own configuration may be seen. */
static void begin(void)
{
	clearenv();
	cr_assert_not_null(mkdtemp(folder));
	setenv("XDG_CONFIG_HOME", folder, 1);
	snprintf(file, sizeof(file), "%s/test.conf", folder);
	snprintf(config_flag, sizeof(config_flag), "--config=%s", file);
}

static void end(void)
{
	unlink(file);
	rmdir(folder);
}

TestSuite(options, .init = begin, .fini = end);

static void write_config(const char *text)
{
	FILE *f = fopen(file, "w");
	cr_assert_not_null(f);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
}

/* A configuration that says nothing, and is a certificate and a key as well. */
static void write_pem_config(void)
{
	write_config("/*\n-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
		     "*/\n");
}

/* What goes to a descriptor between start and stop. */
struct capture {
	FILE *file;
	int fd, saved;
	char text[16384];
};

static void capture_start(struct capture *c, int fd)
{
	fflush(NULL);
	c->file = tmpfile();
	cr_assert_not_null(c->file);
	c->fd = fd;
	c->saved = dup(fd);
	dup2(fileno(c->file), fd);
}

static const char *capture_stop(struct capture *c)
{
	fflush(NULL);
	dup2(c->saved, c->fd);
	close(c->saved);
	rewind(c->file);
	c->text[fread(c->text, 1, sizeof(c->text) - 1, c->file)] = '\0';
	fclose(c->file);
	return c->text;
}

enum { WORDS_MAX = 256 };

/* The words up to NULL, as argv behind "poolmap". */
static int load_words(struct options *o, va_list words)
{
	static char *argv[WORDS_MAX + 1];
	int argc = 0;
	for (const char *word = "poolmap"; word; word = va_arg(words, const char *)) {
		cr_assert_lt(argc, WORDS_MAX);
		argv[argc] = strdup(word);
		cr_assert_not_null(argv[argc]);
		argc++;
	}
	argv[argc] = NULL;
	int code = options_load(o, argc, argv);
	for (int i = 0; i < argc; i++) {
		free(argv[i]); /* the options must not need it any more */
	}
	return code;
}

/* Loads, and expects that nothing is said. */
static void load(struct options *o, ...)
{
	struct capture c;
	va_list words;
	va_start(words, o);
	capture_start(&c, STDERR_FILENO);
	int code = load_words(o, words);
	const char *said = capture_stop(&c);
	va_end(words);
	cr_assert_eq(code, 0, "it ends with %d: %s", code, said);
	cr_assert_str_empty(said, "it says: %s", said);
}

/* Expects exit code 2 and just this one line, behind "poolmap: ". */
static void refuse(const char *line, ...)
{
	struct options o;
	struct capture c;
	char expected[1024];
	va_list words;
	va_start(words, line);
	capture_start(&c, STDERR_FILENO);
	int code = load_words(&o, words);
	const char *said = capture_stop(&c);
	va_end(words);
	snprintf(expected, sizeof(expected), "poolmap: %s\n", line);
	cr_assert_eq(code, EXIT_USAGE, "it ends with %d, not with: %s", code, line);
	cr_assert_str_eq(said, expected, "it says: %s", said);
}

static void expect_source(const struct options *o, enum option_id id,
	enum option_source source, const char *text)
{
	const struct option_value *value = &o->values[id];
	const char *name = option_rows[id].name;
	cr_assert_eq(value->source, source, "%s comes from %d", name, value->source);
	cr_assert_eq(value->text_ct, 1, "%s has %zu texts", name, value->text_ct);
	cr_assert_str_eq(value->texts[0], text, "%s is %s", name, value->texts[0]);
}

Test(options, has_the_documented_defaults, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", NULL);
	const struct settings *s = &o.settings;
	cr_assert_eq(o.command, COMMAND_RUN);
	cr_assert_eq(s->input_ct, 1);
	cr_assert_str_eq(s->inputs[0], "-");
	cr_assert_str_eq(s->output, "-");
	cr_assert_not(s->resume || s->force || s->unordered || s->no_follow ||
		      s->insecure || s->quiet);
	cr_assert_eq(s->workers, 0);
	cr_assert_eq(s->concurrency, 128);
	cr_assert_eq(s->window, 65536);
	cr_assert_eq(s->window_bytes, 256 << 20);
	cr_assert_null(s->method);
	cr_assert_eq(s->header_ct, 0);
	cr_assert_eq(s->timeout_ms, 60000);
	cr_assert_eq(s->connect_timeout_ms, 10000);
	cr_assert_eq(s->max_redirects, 10);
	cr_assert_null(s->ca_file);
	cr_assert_eq(s->body, BODY_INLINE);
	cr_assert_eq(s->max_body, 10 << 20);
	cr_assert(status_set_has(&s->accept, 200) && status_set_has(&s->accept, 399));
	cr_assert_not(
		status_set_has(&s->accept, 199) || status_set_has(&s->accept, 400));
	expect_source(&o, OPTION_CONCURRENCY, SOURCE_DEFAULT, "128");
	cr_assert_null(o.config.path);
	options_fini(&o);
}

Test(options, has_the_documented_defaults_of_requests_and_stops, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", NULL);
	const struct settings *s = &o.settings;
	cr_assert_not(s->response_headers || s->retry_unsafe || s->polite ||
		      s->deny_private || s->http2 || s->compressed || s->fail_fast ||
		      s->csv || s->tsv);
	cr_assert(!s->body_path && !s->data && !s->proxy && !s->cert && !s->key &&
		  !s->resolve_ct && !s->dns_servers && !s->failed && !s->stats &&
		  !s->retry_failed && !s->fields && !s->host_rule_ct);
	cr_assert_eq(s->data_len, 0);
	cr_assert_eq(s->stall_timeout_ms, 20000);
	cr_assert_eq(s->retries, 2);
	cr_assert_eq(s->retry_classes,
		1u << OUTCOME_DNS | 1u << OUTCOME_CONNECT | 1u << OUTCOME_TIMEOUT |
			1u << OUTCOME_STALLED | 1u << OUTCOME_RESET |
			1u << OUTCOME_TRUNCATED);
	const int again[] = {408, 429, 500, 502, 503, 504, 522, 524};
	for (int status = 0, i = 0; status < 1000; status++) {
		bool is = i < (int)LENGTH(again) && status == again[i];
		i += is;
		cr_assert_eq(
			status_set_has(&s->retry_statuses, status), is, "%d", status);
	}
	cr_assert(s->per_host == 0 && s->rate <= 0 && s->host_rate <= 0);
	cr_assert(s->halt == HALT_NEVER && s->halt_fail_ct == 0);
	cr_assert_eq(s->max_time_ms, 0);
	cr_assert_eq(s->progress, PROGRESS_AUTO);
	cr_assert_eq(s->sync, SYNC_INTERVAL);
	cr_assert_eq(s->format, FORMAT_JSONL);
	cr_assert_eq(s->max_jobs_per_worker, 0);
	cr_assert_eq(s->scheduler, PM_LEAST_LOADED);
	cr_assert_str_eq(s->url_column, "url");
	cr_assert_eq(s->total, 0);
	options_fini(&o);
}

Test(options, reads_flags_of_requests, .timeout = 10)
{
	struct options o;
	write_pem_config();
	load(&o, "run", "--no-config", "--body=dir:x", "--response-headers",
		"--data=a=b", "--stall-timeout=0", "--proxy=socks5h://p:1", "--http2",
		"--compressed", "--cert", file, "--key", file, "--resolve=a:1:::1",
		"--resolve", "b:2:127.0.0.1", "--dns-servers=::1,127.0.0.1:53",
		"--deny-private", NULL);
	const struct settings *s = &o.settings;
	cr_assert_eq(s->body, BODY_DIR);
	cr_assert_str_eq(s->body_path, "x");
	cr_assert(s->response_headers && s->http2 && s->compressed && s->deny_private);
	cr_assert_str_eq(s->data, "a=b");
	cr_assert_eq(s->data_len, 3);
	cr_assert_eq(s->stall_timeout_ms, 0);
	cr_assert_str_eq(s->proxy, "socks5h://p:1");
	cr_assert_str_eq(s->cert, file);
	cr_assert_str_eq(s->key, file);
	cr_assert_eq(s->resolve_ct, 2);
	cr_assert_str_eq(s->resolve[0], "a:1:::1");
	cr_assert_str_eq(s->resolve[1], "b:2:127.0.0.1");
	cr_assert_str_eq(s->dns_servers, "::1,127.0.0.1:53");
	options_fini(&o);
	load(&o, "run", "--no-config", "--body=warc:y", "--proxy=env", NULL);
	cr_assert_eq(s->body, BODY_WARC);
	cr_assert_str_eq(s->body_path, "y");
	cr_assert_str_eq(s->proxy, "env");
	options_fini(&o);
	load(&o, "run", "--no-config", "--proxy=me:word@p:1", NULL);
	cr_assert_str_eq(s->proxy, "http://me:word@p:1");
	options_fini(&o);
	write_config("body = \"dir:x\"\n");
	load(&o, "run", config_flag, "--body=none", NULL);
	cr_assert_eq(s->body, BODY_NONE);
	cr_assert_null(s->body_path);
	options_fini(&o);
}

Test(options, reads_flags_of_retries_limits_and_stops, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "--retries=0", "--retry-on=404,tls",
		"--retry-unsafe", "--per-host=3", "--rate=30/m", "--host-rate=2/s",
		"--polite", "--halt=soon,fail=2.5%", "--max-time=1.5",
		"--max-jobs-per-worker=7", "--scheduler=round-robin", NULL);
	const struct settings *s = &o.settings;
	cr_assert_eq(s->retries, 0);
	cr_assert(status_set_has(&s->retry_statuses, 404) &&
		  !status_set_has(&s->retry_statuses, 503));
	cr_assert_eq(s->retry_classes, 1u << OUTCOME_TLS);
	cr_assert(s->retry_unsafe && s->polite);
	cr_assert_eq(s->per_host, 3);
	cr_assert_float_eq(s->rate, 0.5, 1e-9);
	cr_assert_float_eq(s->host_rate, 2, 1e-9);
	cr_assert_eq(s->halt, HALT_SOON);
	cr_assert_eq(s->halt_fail_ct, 0);
	cr_assert_float_eq(s->halt_fail_percent, 2.5, 1e-9);
	cr_assert_eq(s->max_time_ms, 1500);
	cr_assert_eq(s->max_jobs_per_worker, 7);
	cr_assert_eq(s->scheduler, PM_ROUND_ROBIN);
	options_fini(&o);
}

Test(options, reads_flags_of_inputs_and_outputs, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "--failed=f", "--stats=s", "--progress=json",
		"--sync=always", "--format=csv", "--fields=index,url", "--csv",
		"--url-column=3", "--total=1000000000000", "--retry-failed=r", "jobs",
		NULL);
	const struct settings *s = &o.settings;
	cr_assert_str_eq(s->failed, "f");
	cr_assert_str_eq(s->stats, "s");
	cr_assert_eq(s->progress, PROGRESS_JSON);
	cr_assert_eq(s->sync, SYNC_ALWAYS);
	cr_assert_eq(s->format, FORMAT_CSV);
	cr_assert_str_eq(s->fields, "index,url");
	cr_assert(s->csv && !s->tsv);
	cr_assert_str_eq(s->url_column, "3");
	cr_assert_eq(s->total, UINT64_C(1000000000000));
	cr_assert_str_eq(s->retry_failed, "r");
	options_fini(&o);
}

Test(options, folds_fail_fast_into_halt, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "--fail-fast", NULL);
	cr_assert(o.settings.halt == HALT_NOW && o.settings.halt_fail_ct == 1);
	options_fini(&o);
	/* The stronger source wins. */
	write_config("fail-fast = yes\n");
	load(&o, "run", config_flag, "--halt=soon,fail=9", NULL);
	cr_assert(o.settings.halt == HALT_SOON && o.settings.halt_fail_ct == 9);
	options_fini(&o);
	load(&o, "run", config_flag, "--halt=never", NULL);
	cr_assert_eq(o.settings.halt, HALT_NEVER);
	options_fini(&o);
	write_config("halt = \"soon,fail=9%\"\n");
	load(&o, "run", config_flag, "--fail-fast", NULL);
	cr_assert(o.settings.halt == HALT_NOW && o.settings.halt_fail_ct == 1 &&
		  o.settings.halt_fail_percent <= 0);
	options_fini(&o);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

Test(options, reads_data_from_a_file_as_it_is, .timeout = 10)
{
	struct options o;
	char path[sizeof(folder) + 32], flag[sizeof(path) + 16], line[512];
	snprintf(path, sizeof(path), "%s/data", folder);
	snprintf(flag, sizeof(flag), "--data=@%s", path);
	write_file(path, "a\0b\r\n", 5);
	load(&o, "run", "--no-config", flag, NULL);
	cr_assert_eq(o.settings.data_len, 5);
	cr_assert_eq(memcmp(o.settings.data, "a\0b\r\n", 5), 0);
	options_fini(&o);
	write_file(path, "", 0);
	load(&o, "run", "--no-config", flag, NULL);
	cr_assert(o.settings.data && o.settings.data_len == 0);
	options_fini(&o);
	cr_assert_eq(truncate(path, OPTIONS_DATA_MAX), 0);
	load(&o, "run", "--no-config", flag, NULL);
	cr_assert_eq(o.settings.data_len, OPTIONS_DATA_MAX);
	options_fini(&o);
	cr_assert_eq(truncate(path, OPTIONS_DATA_MAX + 1), 0);
	snprintf(line, sizeof(line), "--data: @%s: longer than 16 MiB", path);
	refuse(line, "run", "--no-config", flag, NULL);
	unlink(path);
	snprintf(line, sizeof(line),
		"--data: @%s: cannot be read: No such file or directory", path);
	refuse(line, "run", "--no-config", flag, NULL);
	refuse("--data: is empty; name a file", "run", "--no-config", "-d@", NULL);
}

Test(options, reads_limits_of_hosts, .timeout = 10)
{
	struct options o;
	write_config("host \"*.Example.COM\" { concurrency = 2 rate = \"5/s\" }\n"
		     "host \"*\" { rate = 30/m }\n");
	load(&o, "run", config_flag, NULL);
	const struct host_rule *rules = o.settings.host_rules;
	cr_assert_eq(o.settings.host_rule_ct, 2);
	cr_assert_str_eq(rules[0].pattern, "*.example.com");
	cr_assert_eq(rules[0].per_host, 2);
	cr_assert_float_eq(rules[0].host_rate, 5, 1e-9);
	cr_assert_str_eq(rules[1].pattern, "*");
	cr_assert_eq(rules[1].per_host, 0);
	cr_assert_float_eq(rules[1].host_rate, 0.5, 1e-9);
	options_fini(&o);
}

Test(options, refuses_bad_limits_of_hosts_with_their_line, .timeout = 10)
{
	const struct {
		const char *text, *line;
	} cases[] = {
		{"\nhost \"a\" {\n concurrency = 0\n}\n",
			"%s:3: host \"a\": concurrency = 0: out of range, 1 to 100000"},
		{"host \"a\" { concurrency = none }\n",
			"%s:1: host \"a\": concurrency = none: not a whole number; 1 "
			"to 100000 is allowed"},
		{"host \"a\" {\n rate = 0/s\n}\n",
			"%s:2: host \"a\": rate = 0/s: out of range, 1/h to 1000000/s; "
			"\"none\": no limit"},
		{"host \"a*\" {\n rate = 1/s\n}\n",
			"%s:2: host \"a*\": not a host such as \"example.com\", "
			"\"*.example.com\" or \"*\""},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char line[512];
		const char *at = strstr(cases[i].line, "%s") + 2;
		snprintf(line, sizeof(line), "%s%s", file, at);
		write_config(cases[i].text);
		refuse(line, "run", config_flag, NULL);
	}
}

Test(options, reads_every_flag, .timeout = 10)
{
	struct options o;
	write_pem_config();
	load(&o, "run", "--output", "out", "--workers", "3", "--concurrency=500",
		"--unordered", "--window", "1000", "--window-bytes", "2M", "--force",
		"--body", "none", "--max-body", "0", "--timeout", "2.5",
		"--connect-timeout", "0.5", "--max-redirects", "0", "--no-follow",
		"--accept", "200,404", "--header", "A: b", "--header", "C:d",
		"--method", "PUT", "--insecure", "--cacert", file, "--config", file,
		"--quiet", "jobs", NULL);
	const struct settings *s = &o.settings;
	cr_assert_str_eq(s->output, "out");
	cr_assert_eq(s->workers, 3);
	cr_assert_eq(s->concurrency, 500);
	cr_assert(s->unordered && s->force && s->no_follow && s->insecure && s->quiet);
	cr_assert_eq(s->window, 1000);
	cr_assert_eq(s->window_bytes, 2 << 20);
	cr_assert_eq(s->body, BODY_NONE);
	cr_assert_eq(s->max_body, 0);
	cr_assert_eq(s->timeout_ms, 2500);
	cr_assert_eq(s->connect_timeout_ms, 500);
	cr_assert_eq(s->max_redirects, 0);
	cr_assert(status_set_has(&s->accept, 404) && !status_set_has(&s->accept, 201));
	cr_assert_eq(s->header_ct, 2);
	cr_assert_str_eq(s->headers[0].name, "A");
	cr_assert_str_eq(s->headers[0].value, "b");
	cr_assert_str_eq(s->headers[1].name, "C");
	cr_assert_str_eq(s->headers[1].value, "d");
	cr_assert_str_eq(s->method, "PUT");
	cr_assert_str_eq(s->ca_file, file);
	cr_assert_str_eq(o.config.path, file);
	cr_assert_str_eq(s->inputs[0], "jobs");
	options_fini(&o);
}

Test(options, reads_short_flags_also_in_one_word, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "-kqkqkqkqkqkqkqkqkqkqkqkqkqkqkq", "-w3", "-c",
		"7", "-o", "x", "-XPOST", "-HA: b", NULL);
	cr_assert(o.settings.insecure && o.settings.quiet);
	cr_assert_eq(o.settings.workers, 3);
	cr_assert_eq(o.settings.concurrency, 7);
	cr_assert_str_eq(o.settings.output, "x");
	cr_assert_str_eq(o.settings.method, "POST");
	cr_assert_str_eq(o.settings.headers[0].value, "b");
	options_fini(&o);
}

Test(options, takes_flags_behind_job_files_up_to_two_dashes, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "a", "-w", "3", "-", "--", "-w", "--quiet",
		NULL);
	const char *const inputs[] = {"a", "-", "-w", "--quiet"};
	cr_assert_eq(o.settings.workers, 3);
	cr_assert_not(o.settings.quiet);
	cr_assert_eq(o.settings.input_ct, LENGTH(inputs), "%zu", o.settings.input_ct);
	for (size_t i = 0; i < LENGTH(inputs); i++) {
		cr_assert_str_eq(o.settings.inputs[i], inputs[i], "input %zu is %s", i,
			o.settings.inputs[i]);
	}
	options_fini(&o);
}

Test(options, takes_the_last_of_repeated_flags, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "-w", "3", "-w", "5", "-q", "--quiet=no", NULL);
	cr_assert_eq(o.settings.workers, 5);
	cr_assert_not(o.settings.quiet);
	expect_source(&o, OPTION_WORKERS, SOURCE_FLAG, "5");
	options_fini(&o);
}

Test(options, prefers_flags_to_environment_to_file_to_default, .timeout = 10)
{
	struct options o;
	write_config("workers = 1\nwindow = 1\ntimeout = 1\nquiet = yes\n");
	setenv("POOLMAP_WORKERS", "2", 1);
	setenv("POOLMAP_WINDOW", "2", 1);
	setenv("POOLMAP_UNORDERED", "on", 1);
	load(&o, "run", config_flag, "--workers=3", "--quiet=no", NULL);
	cr_assert_eq(o.settings.workers, 3);
	cr_assert_eq(o.settings.window, 2);
	cr_assert_eq(o.settings.timeout_ms, 1000);
	cr_assert_eq(o.settings.connect_timeout_ms, 10000);
	cr_assert(o.settings.unordered);
	cr_assert_not(o.settings.quiet);
	expect_source(&o, OPTION_WORKERS, SOURCE_FLAG, "3");
	expect_source(&o, OPTION_WINDOW, SOURCE_ENV, "2");
	expect_source(&o, OPTION_TIMEOUT, SOURCE_FILE, "1");
	expect_source(&o, OPTION_CONNECT_TIMEOUT, SOURCE_DEFAULT, "10");
	cr_assert_eq(o.values[OPTION_TIMEOUT].line, 3);
	options_fini(&o);
}

Test(options, takes_words_that_undo_a_method_and_a_ca_file, .timeout = 10)
{
	struct options o;
	write_config("method = PUT\ncacert = /nowhere\n");
	load(&o, "run", config_flag, "--method=auto", "--cacert=system", NULL);
	cr_assert_null(o.settings.method);
	cr_assert_null(o.settings.ca_file);
	options_fini(&o);
}

Test(options, takes_headers_from_the_strongest_source_alone, .timeout = 10)
{
	struct options o;
	write_config("header = {\"A: file\", \"B: file\"}\n");
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 2);
	cr_assert_str_eq(o.settings.headers[1].name, "B");
	options_fini(&o);

	setenv("POOLMAP_HEADER", "C: env\n\nD: env\n", 1);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 2);
	cr_assert_str_eq(o.settings.headers[0].name, "C");
	cr_assert_str_eq(o.settings.headers[1].value, "env");
	options_fini(&o);

	load(&o, "run", config_flag, "-HE: flag", NULL);
	cr_assert_eq(o.settings.header_ct, 1);
	cr_assert_str_eq(o.settings.headers[0].name, "E");
	options_fini(&o);

	setenv("POOLMAP_HEADER", "", 1);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 0);
	cr_assert_eq(o.values[OPTION_HEADER].source, SOURCE_ENV);
	options_fini(&o);
}

Test(options, limits_the_number_of_headers, .timeout = 10)
{
	char lines[OPTIONS_HEADERS_MAX * 8 + 16] = "";
	size_t len = 0;
	for (int i = 0; i < OPTIONS_HEADERS_MAX; i++) {
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "A: %d\n", i);
	}
	struct options o;
	setenv("POOLMAP_HEADER", lines, 1);
	load(&o, "run", "--no-config", NULL);
	cr_assert_eq(o.settings.header_ct, OPTIONS_HEADERS_MAX);
	cr_assert_str_eq(o.settings.headers[99].value, "99");
	options_fini(&o);
	snprintf(lines + len, sizeof(lines) - len, "B: c\n");
	setenv("POOLMAP_HEADER", lines, 1);
	refuse("POOLMAP_HEADER: more than 100 headers", "run", "--no-config", NULL);
}

Test(options, reads_the_file_that_a_variable_names, .timeout = 10)
{
	struct options o;
	write_config("workers = 9\n");
	setenv("POOLMAP_CONFIG", file, 1);
	load(&o, "run", NULL);
	cr_assert_eq(o.settings.workers, 9);
	options_fini(&o);
	load(&o, "run", "--no-config", NULL);
	cr_assert_eq(o.settings.workers, 0);
	options_fini(&o);
	setenv("POOLMAP_CONFIG", "/nowhere/x.conf", 1);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.workers, 9);
	options_fini(&o);
}

Test(options, refuses_what_it_does_not_know, .timeout = 10)
{
	refuse("no command: say what to do, as in poolmap run jobs.txt (see poolmap "
	       "--help)",
		NULL);
	refuse("rnu: unknown command; did you mean poolmap run?", "rnu", NULL);
	refuse("fetch: unknown command (see poolmap --help)", "fetch", "x", NULL);
	refuse("-q: options follow the command, as in poolmap run -q (see poolmap "
	       "--help)",
		"-q", "run", NULL);
	refuse("--wrokers: unknown option; did you mean --workers?", "run", "--wrokers",
		"3", NULL);
	refuse("--wrokers: unknown option; did you mean --workers?", "run",
		"--wrokers=3", NULL);
	refuse("-z: unknown option (see poolmap run --help)", "run", "-qz", NULL);
	refuse("-z: unknown option (see poolmap config --help)", "config", "-z", NULL);
	refuse("--: unknown option (see poolmap run --help)", "run", "--=x", NULL);
	refuse("jobs: poolmap config takes no job file (see poolmap config --help)",
		"config", "jobs", NULL);
}

Test(options, refuses_abbreviations, .timeout = 10)
{
	refuse("--work: unknown option; did you mean --workers?", "run", "--work", "3",
		NULL);
	refuse("--work: unknown option; did you mean --workers?", "run", "a",
		"--work=3", NULL);
	refuse("--quie: unknown option; did you mean --quiet?", "run", "--quie", NULL);
	refuse("--he: unknown option; did you mean --header?", "run", "--he", "A: b",
		NULL);
}

Test(options, refuses_missing_and_needless_values, .timeout = 10)
{
	refuse("--output: needs a value, as in --output FILE (see poolmap run --help)",
		"run", "--output", NULL);
	refuse("--workers: needs a value, as in --workers N|auto (see poolmap config "
	       "--help)",
		"config", "-w", NULL);
	refuse("--force: takes no value (see poolmap run --help)", "run", "--force=yes",
		NULL);
	refuse("--quiet=maybe: neither yes nor no (true, false, on, off, 1, 0 will do "
	       "too)",
		"run", "--quiet=maybe", NULL);
	refuse("--output \"\": is empty; name a file", "run", "--output", "", NULL);
	refuse("--config \"\": is empty; name a file", "run", "--config", "", NULL);
	refuse("--method \"G T\": not a method such as GET, of at most 32 letters, "
	       "without "
	       "spaces",
		"run", "-X", "G T", NULL);
}

Test(options, names_option_and_range_of_a_bad_value, .timeout = 10)
{
	char line[512];
	refuse("--workers 0: out of range, 1 to 500 or \"auto\"", "run", "-w", "0",
		NULL);
	refuse("--concurrency 100001: out of range, 1 to 100000", "run", "-c", "100001",
		NULL);
	refuse("--window 16777217: out of range, 1 to 16777216", "run",
		"--window=16777217", NULL);
	refuse("--window-bytes 1023K: out of range, 1M to 64G", "run",
		"--window-bytes=1023K", NULL);
	refuse("--max-body 257M: out of range, 0 to 256M", "run", "--max-body=257M",
		NULL);
	refuse("--timeout 0: out of range, 0.001 to 86400 seconds", "run",
		"--timeout=0", NULL);
	refuse("--max-redirects 101: out of range, 0 to 100", "run",
		"--max-redirects=101", NULL);
	refuse("--retries 101: out of range, 0 to 100", "run", "--retries=101", NULL);
	refuse("--per-host 0: out of range, 1 to 100000 or \"none\"", "run",
		"--per-host=0", NULL);
	refuse("--rate 0/s: out of range, 1/h to 1000000/s; \"none\": no limit", "run",
		"--rate=0/s", NULL);
	refuse("--halt now,fail=0: out of range: fail=1 or more, or a part above 0% "
	       "and up to 100%",
		"run", "--halt=now,fail=0", NULL);
	refuse("--max-time 2592000.001: out of range, 0 to 2592000 seconds", "run",
		"--max-time=2592000.001", NULL);
	refuse("--total 1000000000001: out of range, 0 to 1000000000000", "run",
		"--total=1000000000001", NULL);
	refuse("--body dir:: names no directory, as in dir:bodies", "run",
		"--body=dir:", NULL);
	refuse("--sync often: none of none|interval|always", "run", "--sync=often",
		NULL);
	setenv("POOLMAP_WORKERS", "0", 1);
	refuse("POOLMAP_WORKERS=0: out of range, 1 to 500 or \"auto\"", "run",
		"--no-config", NULL);
	unsetenv("POOLMAP_WORKERS");
	write_config("\n\nworkers = 501\n");
	snprintf(line, sizeof(line),
		"%s:3: workers = 501: out of range, 1 to 500 or \"auto\"", file);
	refuse(line, "run", config_flag, NULL);
	/* A mistake that a flag hides is still one. */
	refuse(line, "run", config_flag, "-w", "3", NULL);
}

Test(options, refuses_unknown_variables, .timeout = 10)
{
	struct options o;
	setenv("POOLMAP_BUILD_DIR", "build/debug", 1);
	setenv("POOLMAPX", "1", 1);
	load(&o, "run", "--no-config", NULL);
	options_fini(&o);

	const struct {
		const char *name, *line;
	} cases[] = {
		{"POOLMAP_WORKRS", "POOLMAP_WORKRS: unknown variable; did you mean "
				   "POOLMAP_WORKERS?"},
		{"POOLMAP_workers", "POOLMAP_workers: unknown variable; did you mean "
				    "POOLMAP_WORKERS?"},
		{"POOLMAP_MAX-BODY", "POOLMAP_MAX-BODY: unknown variable; did you mean "
				     "POOLMAP_MAX_BODY?"},
		{"POOLMAP_FOO",
			"POOLMAP_FOO: unknown variable; unset it (see poolmap run "
			"--help)"},
		{"POOLMAP_JSON",
			"POOLMAP_JSON: unknown variable; unset it (see poolmap run "
			"--help)"},
		{"POOLMAP_", "POOLMAP_: unknown variable; unset it (see poolmap run "
			     "--help)"},
		{"POOLMAP_OUTPUT",
			"POOLMAP_OUTPUT: may not be set in the environment; use "
			"--output on the command line"},
		{"POOLMAP_NO_CONFIG",
			"POOLMAP_NO_CONFIG: may not be set in the "
			"environment; use --no-config on the command line"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		setenv(cases[i].name, "1", 1);
		refuse(cases[i].line, "run", "--no-config", NULL);
		unsetenv(cases[i].name);
	}
	setenv("POOLMAP_WORKERS", "", 1);
	refuse("POOLMAP_WORKERS=\"\": neither a number, 1 to 500, nor \"auto\"", "run",
		"--no-config", NULL);
	unsetenv("POOLMAP_WORKERS");
	setenv("POOLMAP_CONFIG", "", 1);
	refuse("POOLMAP_CONFIG=\"\": is empty; name a file", "run", NULL);
}

Test(options, refuses_conflicts, .timeout = 10)
{
	struct options o;
	refuse("--resume: cannot be used with --force; go on with the output, or "
	       "overwrite it",
		"run", "--no-config", "--resume", "--force", "-o", "x", "jobs", NULL);
	refuse("--resume: needs --output FILE; a run to standard output cannot be "
	       "resumed",
		"run", "--no-config", "--resume", "jobs", NULL);
	refuse("--resume: needs job files; standard input cannot be read again from "
	       "its "
	       "beginning",
		"run", "--no-config", "--resume", "-o", "x", NULL);
	refuse("--resume: needs job files; standard input cannot be read again from "
	       "its "
	       "beginning",
		"run", "--no-config", "--resume", "-o", "x", "jobs", "-", NULL);
	load(&o, "run", "--no-config", "--resume", "-o", "x", "jobs", NULL);
	cr_assert(o.settings.resume);
	options_fini(&o);
	refuse("--no-config: cannot be used with --config; leave one of them out",
		"run", "--no-config", "--config", "x", NULL);
	refuse("--csv: cannot be used with --tsv; job files are one or the other",
		"run", "--no-config", "--csv", "--tsv", NULL);
	refuse("--url-column: needs --csv or --tsv", "run", "--no-config",
		"--url-column=x", NULL);
	refuse("--fields: needs --format csv", "run", "--no-config", "--fields=index",
		NULL);
	refuse("--key: needs --cert", "run", "--no-config", "--key=/etc/passwd", NULL);
	refuse("--fail-fast: cannot be used with --halt; it means --halt now,fail=1",
		"run", "--no-config", "--fail-fast", "--halt=soon,fail=2", NULL);
	refuse("--retry-failed: needs the job files of that run; standard input cannot "
	       "be read again from its beginning",
		"run", "--no-config", "--retry-failed=x", NULL);
	/* What a file says for other runs is no conflict. */
	write_config("fields = index\nurl-column = link\n");
	load(&o, "run", config_flag, NULL);
	options_fini(&o);
}

Test(options, wants_a_ca_file_that_can_be_read, .timeout = 10)
{
	char line[512];
	refuse("--cacert /nowhere: cannot be read: No such file or directory", "run",
		"--no-config", "--cacert", "/nowhere", NULL);
	refuse("--cert /nowhere: cannot be read: No such file or directory", "run",
		"--no-config", "--cert", "/nowhere", NULL);
	write_config("\ncacert = /tmp\n");
	snprintf(
		line, sizeof(line), "%s:2: cacert = /tmp: is not a regular file", file);
	refuse(line, "run", config_flag, NULL);
}

Test(options, wants_pem_files_that_hold_what_they_are_for, .timeout = 10)
{
	static const struct {
		const char *option, *text, *why;
	} cases[] = {
		{"cacert", "#\n", "has no certificate in PEM form"},
		{"cert", "/*\n-----BEGIN CERTIFICATE-----\n*/\n",
			"has not both a certificate and its private key in PEM form; "
			"--key names another file for the key"},
		{"cert",
			"/*\n-----BEGIN CERTIFICATE-----\n"
			"-----BEGIN ENCRYPTED PRIVATE KEY-----\n*/\n",
			"the private key has a password; take a copy without one"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[512], flag[sizeof(file) + 16];
		write_config(cases[i].text);
		snprintf(flag, sizeof(flag), "--%s=%s", cases[i].option, file);
		/* Of a long path the first 64 letters are shown. */
		snprintf(line, sizeof(line), "--%s %.64s%s: %s", cases[i].option, file,
			strlen(file) > 64 ? "..." : "", cases[i].why);
		refuse(line, "run", "--no-config", flag, NULL);
	}
}

Test(options, never_shows_a_header_in_an_error, .timeout = 10)
{
	char line[512];
	refuse("--header: not a header such as 'Name: value'", "run", "-H",
		"Authorization hunter2", NULL);
	refuse("--header: Authorization has a control character in its value", "run",
		"-H", "Authorization: hunter2\r", NULL);
	write_config("header = \"Cookie hunter2\"\n");
	snprintf(line, sizeof(line), "%s:1: header: not a header such as 'Name: value'",
		file);
	refuse(line, "run", config_flag, NULL);
}

Test(options, answers_help_and_version_without_reading_more, .timeout = 10)
{
	struct options o;
	setenv("POOLMAP_NONSENSE", "1", 1);
	load(&o, "--help", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_HELP);
	load(&o, "-h", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_HELP);
	load(&o, "--version", NULL);
	cr_assert_eq(o.command, COMMAND_VERSION);
	load(&o, "run", "--workers", "0", "jobs", "--help", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_RUN);
	load(&o, "config", "-h", NULL);
	cr_assert(o.command == COMMAND_HELP && o.help_on == COMMAND_CONFIG);
	load(&o, "run", "--version", NULL);
	cr_assert_eq(o.command, COMMAND_VERSION);
	options_fini(&o);
}

static void expect_narrow(const char *text)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		cr_assert_leq(len, 80, "%zu columns: %.*s", len, (int)len, line);
		cr_assert(len == 0 || line[len - 1] != ' ', "ends in a space: %.*s",
			(int)len, line);
		line += len + (line[len] == '\n');
	}
}

Test(options, prints_help_of_80_columns_with_every_option, .timeout = 10)
{
	const enum options_command about[] = {
		COMMAND_HELP, COMMAND_CONFIG, COMMAND_REPORT, COMMAND_RUN};
	struct capture c;
	for (size_t i = 0; i < LENGTH(about); i++) {
		capture_start(&c, STDOUT_FILENO);
		int code = options_print_help(about[i]);
		const char *text = capture_stop(&c);
		cr_assert_eq(code, 0);
		cr_assert(strstr(text, "Usage: poolmap"), "%s", text);
		expect_narrow(text);
	}
	for (size_t i = 0; i < OPTION_CT; i++) {
		char name[64];
		if (!(option_rows[i].scope & SCOPE_FLAG)) {
			continue;
		}
		snprintf(name, sizeof(name), " --%s", option_rows[i].name);
		const char *at = strstr(c.text, name);
		cr_assert_not_null(at, "no%s", name);
		cr_assert(strchr(" \n", at[strlen(name)]), "no%s", name);
	}
	cr_assert(strstr(c.text, "(default 128)"));
	cr_assert(strstr(c.text, "/etc/poolmap/poolmap.conf"));
}

Test(options, prints_the_version, .timeout = 10)
{
	struct capture c;
	capture_start(&c, STDOUT_FILENO);
	int code = options_print_version();
	const char *text = capture_stop(&c);
	cr_assert_eq(code, 0);
	cr_assert_eq(strncmp(text, pm_version_text(), strlen(pm_version_text())), 0,
		"%s", text);
}

Test(options, ends_with_4_when_standard_output_is_full, .timeout = 10)
{
	struct capture c;
	cr_assert_not_null(freopen("/dev/full", "w", stdout));
	capture_start(&c, STDERR_FILENO);
	int code = options_print_help(COMMAND_RUN);
	const char *said = capture_stop(&c);
	cr_assert_eq(code, EXIT_OUTPUT);
	cr_assert_str_eq(said, "poolmap: standard output: No space left on device\n");
}

/* What `poolmap config` prints for *o. */
static const char *print_config(const struct options *o, struct capture *c)
{
	capture_start(c, STDOUT_FILENO);
	int code = options_print_config(o);
	const char *text = capture_stop(c);
	cr_assert_eq(code, 0);
	return text;
}

Test(options, prints_a_configuration_with_its_sources, .timeout = 10)
{
	struct options o;
	struct capture c;
	char line[512];
	write_config("# x\ntimeout = 2.5\n");
	setenv("POOLMAP_MAX_BODY", "1M", 1);
	load(&o, "config", config_flag, "-w", "3", NULL);
	cr_assert_eq(o.command, COMMAND_CONFIG);
	const char *text = print_config(&o, &c);
	snprintf(line, sizeof(line), "# configuration file: %s\n", file);
	cr_assert_eq(strncmp(text, line, strlen(line)), 0, "%s", text);
	cr_assert(strstr(text, "\nconcurrency = 128                # default\n"), "%s",
		text);
	cr_assert(
		strstr(text, "\nmax-body = 1M                    # POOLMAP_MAX_BODY\n"),
		"%s", text);
	cr_assert(strstr(text, "\nworkers = 3                      # command line\n"),
		"%s", text);
	snprintf(line, sizeof(line), "\ntimeout = 2.5                    # %s:2\n",
		file);
	cr_assert(strstr(text, line), "%s", text);
	cr_assert(strstr(text, "\n# output = "), "%s", text);
	options_fini(&o);
}

Test(options, reads_back_what_it_prints, .timeout = 10)
{
	struct options a, b;
	struct capture c;
	/* A name with all that means something in a configuration file. */
	char ca[sizeof(folder) + 64];
	snprintf(ca, sizeof(ca), "%s/a \"b\" \\ ${c} # 'd' \xc3\xa9", folder);
	FILE *f = fopen(ca, "w");
	cr_assert_not_null(f);
	cr_assert_geq(fputs("-----BEGIN CERTIFICATE-----\n", f), 0);
	fclose(f);
	load(&a, "config", "--no-config", "--workers=2", "-c9", "--unordered",
		"--window=77", "--window-bytes=3M", "--body=none",
		"--accept=200..299,304", "-XPUT", "-HA: \"b\" \\ ${c} # 'd'", "-HE: f",
		"--timeout=0.25", "--connect-timeout=3", "--max-redirects=2",
		"--no-follow", "--max-body=5K", "-k", "--cacert", ca, "-q",
		"--resolve=a:1:::1", "--resolve=b:2:[::1]", "--per-host=2",
		"--rate=30/m", "--halt=now,fail=5%", "--retry-on=503,tls",
		"--dns-servers=[::1]:53,::1", "--fields=index,url", "--format=csv",
		"--proxy=http://p:1", "--url-column=a b", "--csv", "--max-time=0.5",
		NULL);
	write_config(print_config(&a, &c));
	load(&b, "run", config_flag, NULL);
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_value *x = &a.values[i], *y = &b.values[i];
		if (!(option_rows[i].scope & SCOPE_FILE)) {
			continue;
		}
		cr_assert_eq(y->source, SOURCE_FILE, "%s", option_rows[i].name);
		cr_assert_eq(x->text_ct, y->text_ct, "%s", option_rows[i].name);
		for (size_t j = 0; j < x->text_ct; j++) {
			cr_assert_str_eq(x->texts[j], y->texts[j], "%s: %s",
				x->texts[j], y->texts[j]);
		}
	}
	unlink(ca);
	options_fini(&a);
	options_fini(&b);
}

Test(options, hides_secret_headers_in_what_it_prints, .timeout = 10)
{
	struct options o;
	struct capture c;
	load(&o, "config", "--no-config", "-H", "authorization: hunter2", "-H",
		"Accept: text/html", "-H", "Proxy-Authorization:hunter2", "-H",
		"COOKIE: hunter2", "-H", "X-Cookie: shown", NULL);
	const char *text = print_config(&o, &c);
	cr_assert_not(strstr(text, "hunter2"), "%s", text);
	cr_assert(
		strstr(text, "\n# header += \"authorization: (hidden)\""), "%s", text);
	cr_assert(strstr(text, "\n# header += \"COOKIE: (hidden)\""), "%s", text);
	cr_assert(strstr(text, "\nheader = \"Accept: text/html\""), "%s", text);
	cr_assert(strstr(text, "\nheader += \"X-Cookie: shown\""), "%s", text);
	write_config(text);
	options_fini(&o);
	load(&o, "run", config_flag, NULL);
	cr_assert_eq(o.settings.header_ct, 2, "what is hidden is not read back");
	options_fini(&o);
}

Test(options, hides_data_and_proxies_with_passwords, .timeout = 10)
{
	struct options o;
	struct capture c;
	load(&o, "config", "--no-config", "-dhunter2\nforce=yes",
		"--proxy=http://me:hunter2@p", NULL);
	const char *text = print_config(&o, &c);
	cr_assert_not(strstr(text, "hunter2"), "%s", text);
	cr_assert(strstr(text, "\n# data = (hidden) "), "%s", text);
	cr_assert(strstr(text, "\n# proxy = (hidden) "), "%s", text);
	options_fini(&o);
	refuse("--proxy: not a proxy such as http://proxy.example:8080", "run",
		"--no-config", "--proxy=http://me:hunter2@p q", NULL);
}

Test(options, prints_limits_of_hosts_and_reads_them_back, .timeout = 10)
{
	struct options o;
	struct capture c;
	write_config("host \"*.a\" {\n concurrency = 2\n rate = 5/s\n}\n"
		     "host b { rate = \"1/h\" }\n");
	load(&o, "config", config_flag, NULL);
	char text[sizeof(c.text)], first[512];
	snprintf(text, sizeof(text), "%s", print_config(&o, &c));
	snprintf(first, sizeof(first), "\nhost \"*.a\" {\n\tconcurrency = 2 # %s:2\n",
		file);
	cr_assert(strstr(text, first), "%s", text);
	write_config(text);
	options_fini(&o);
	load(&o, "config", config_flag, NULL);
	cr_assert_eq(o.settings.host_rule_ct, 2);
	cr_assert_str_eq(o.settings.host_rules[1].pattern, "b");
	options_fini(&o);
}

Test(options, prints_no_line_end_of_a_file_name, .timeout = 10)
{
	struct options o;
	struct capture c;
	load(&o, "config", "--no-config", "-o", "x\nforce = yes", NULL);
	const char *text = print_config(&o, &c);
	cr_assert_not(strstr(text, "\nforce"), "%s", text);
	options_fini(&o);
}

Test(options, can_be_finished_twice, .timeout = 10)
{
	struct options o;
	load(&o, "run", "--no-config", "-HA: b", "jobs", NULL);
	options_fini(&o);
	options_fini(&o);
	cr_assert_null(o.settings.headers);
}

Test(options, of_a_report_are_its_own, .timeout = 10)
{
	struct options o;
	load(&o, "report", "--html", "a", "r.jsonl", "--html=b", NULL);
	cr_assert_eq(o.command, COMMAND_REPORT);
	cr_assert_str_eq(o.settings.inputs[0], "r.jsonl");
	cr_assert_str_eq(options_text(&o, OPTION_HTML), "b");
	cr_assert_null(options_text(&o, OPTION_JSON));
	options_fini(&o);
}

Test(options, has_a_consistent_table, .timeout = 10)
{
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_row *row = &option_rows[i];
		char name[OPTIONS_ENV_NAME_MAX];
		options_env_name(name, row->name);
		cr_assert_eq(strlen(name), strlen("POOLMAP_") + strlen(row->name), "%s",
			row->name);
		cr_assert_eq(
			options_named(row->name), row, "%s is there twice", row->name);
		cr_assert_geq(row->max, row->min, "%s", row->name);
		cr_assert(row->scope & (SCOPE_FLAG | SCOPE_REPORT), "%s is no flag",
			row->name);
		for (size_t j = 0; j < i && row->letter; j++) {
			cr_assert_neq(row->letter, option_rows[j].letter,
				"-%c is there twice", row->letter);
		}
	}
}
