/* SPDX-License-Identifier: MIT
 *
 * config - the configuration file, see config.h.
 *
 * libconfuse parses.  Nothing but whole text that config_clean.h has seen ever
 * reaches it: when its scanner cannot read it ends the process.
 */
#include "master/cli/config.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/config_clean.h"
#include "master/cli/message.h"
#include "master/cli/options.h"
#include "master/cli/store.h"

#define SYSTEM_FILE "/etc/poolmap/poolmap.conf"

/* -------------------------------------------------------------- which file */

/* "<folder><name>", or NULL when the folder is not absolute or memory is out;
 * *err tells these apart. */
static char *join(const char *folder, const char *name, int *err)
{
	if (!folder || folder[0] != '/') {
		return NULL;
	}
	size_t folder_len = strlen(folder), name_len = strlen(name);
	char *path = malloc(folder_len + name_len + 1);
	if (!path) {
		*err = PM_ENOMEM;
		return NULL;
	}
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the name ends it */
	memcpy(path, folder, folder_len);
	memcpy(path + folder_len, name, name_len + 1);
	return path;
}

static char *user_file(int *err)
{
	const char *folder = getenv("XDG_CONFIG_HOME");
	if (folder && folder[0] == '/') {
		return join(folder, "/poolmap/poolmap.conf", err);
	}
	return join(getenv("HOME"), "/.config/poolmap/poolmap.conf", err);
}

/* A file that may not be looked at counts as one that is there: reading it then
 * says why it cannot be read, instead of a run with other settings. */
static bool is_there(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

int config_find(char **path)
{
	int err = 0;
	char *found = user_file(&err);
	if (found && !is_there(found)) {
		free(found);
		found = NULL;
	}
	if (!found && !err && is_there(SYSTEM_FILE)) {
		found = join(SYSTEM_FILE, "", &err);
	}
	if (!err) {
		*path = found;
	}
	return err;
}

/* -------------------------------------------------------------- its bytes */

static int read_all(int fd, struct buf *text)
{
	for (;;) {
		if (buf_reserve(text, 4096)) {
			errno = ENOMEM;
			return PM_ENOMEM;
		}
		ssize_t n = read(fd, text->data + text->len, 4096);
		if (n == 0) {
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			return PM_EINVAL;
		}
		text->len += n > 0 ? (size_t)n : 0;
		if (text->len > CONFIG_BYTES_MAX) {
			errno = EFBIG;
			return PM_EINVAL;
		}
	}
}

static int read_file(const char *path, struct buf *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int code = fd < 0 || read_all(fd, text) ? EXIT_USAGE : 0;
	if (code) {
		message_print(path,
			"%s (--config FILE names another file, --no-config reads none)",
			strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return code;
}

/* ----------------------------------------------------------------- parsing */

/* libconfuse's callbacks carry no context, so this is where they find it. */
static struct reading {
	struct config *config;
	int code;    /* of the first error, which is printed */
	cfg_t *cfg;  /* the whole file */
	cfg_t *host; /* the section that gave the last of config->hosts */
} reading;

/* Print the first error; the others follow from it. */
static void fail(int line, const char *fmt, ...) PM_PRINTF(2, 3);

static void fail(int line, const char *fmt, ...)
{
	char text[512];
	if (reading.code) {
		return;
	}
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	message_at(reading.config->path, (uint64_t)line, "%s", text);
	reading.code = EXIT_USAGE;
}

static int out_of_memory(void)
{
	message_errno("configuration", ENOMEM);
	return EXIT_WORKERS;
}

#define HOST "host"
#define CONCURRENCY "concurrency"
#define RATE "rate"

static void fail_unknown(const cfg_t *cfg, const char *name)
{
	const int line = cfg->line;
	const struct option_row *near = options_nearest(name, SCOPE_FILE);
	if (cfg != reading.cfg) {
		fail(line,
			"%s: unknown in a host section, where " CONCURRENCY " and " RATE
			" may stand",
			name);
		return;
	}
	if (options_named(name)) {
		fail(line, "%s: may not stand in a file; use --%s on the command line",
			name, name);
	} else if (near) {
		fail(line, "%s: unknown option; did you mean %s?", name, near->name);
	} else {
		fail(line, "%s: unknown option (see poolmap run --help)", name);
	}
}

__attribute__((format(printf, 2, 0))) static void on_error(
	cfg_t *cfg, const char *fmt, va_list args)
{
	static const char unknown[] = "no such option '";
	char text[256];
	vsnprintf(text, sizeof(text), fmt, args);
	size_t len = strlen(text);
	if (strncmp(text, unknown, sizeof(unknown) - 1) == 0 && text[len - 1] == '\'') {
		text[len - 1] = '\0';
		fail_unknown(cfg, text + sizeof(unknown) - 1);
	} else {
		fail(cfg->line,
			"%s (a line is: NAME = VALUE, and values with commas or "
			"spaces are in quotes)",
			text);
	}
}

static const struct config_entry *entry_of(enum option_id id)
{
	for (size_t i = 0; i < reading.config->entry_ct; i++) {
		if (reading.config->entries[i].id == id) {
			return &reading.config->entries[i];
		}
	}
	return NULL;
}

static bool add_entry(enum option_id id, unsigned line, const char *value)
{
	struct config *c = reading.config;
	struct config_entry *more =
		realloc(c->entries, (c->entry_ct + 1) * sizeof(*more));
	if (!more) {
		return false;
	}
	c->entries = more;
	struct config_entry *entry = &more[c->entry_ct];
	/* NOLINTNEXTLINE(gcc-malloc-leak): the table keeps it */
	*entry = (struct config_entry){id, line, strdup(value)};
	if (!entry->text) {
		return false;
	}
	c->entry_ct++;
	return true;
}

/* One value was read.  A list that begins anew has dropped its old values, so
 * that its first value is then its only one. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	enum option_id id = (enum option_id)(options_named(opt->name) - option_rows);
	const struct config_entry *first = entry_of(id);
	const bool is_list = opt->flags & CFGF_LIST;
	if (first && (!is_list || opt->nvalues == 1)) {
		fail(cfg->line, "%s: set before, in line %u; %s", opt->name,
			first->line,
			is_list ? "use += to add to it" : "remove one of them");
		return -1;
	}
	if (!add_entry(id, (unsigned)cfg->line, value)) {
		reading.code = out_of_memory();
		return -1;
	}
	*(const char **)result = value; /* libconfuse makes its own copy */
	return 0;
}

/* The entry of a section, which is made with its first value; NULL: no memory. */
static struct config_host *host_of(cfg_t *section)
{
	struct config *c = reading.config;
	if (section == reading.host) {
		return &c->hosts[c->host_ct - 1];
	}
	struct config_host *more = realloc(c->hosts, (c->host_ct + 1) * sizeof(*more));
	if (!more) {
		return NULL;
	}
	c->hosts = more;
	/* NOLINTNEXTLINE(gcc-malloc-leak): the table keeps it */
	more[c->host_ct] = (struct config_host){.pattern = strdup(cfg_title(section))};
	if (!more[c->host_ct].pattern) {
		return NULL;
	}
	reading.host = section;
	return &more[c->host_ct++];
}

/* One value of a host section was read. */
static int on_host_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct config_host *host = host_of(cfg);
	if (!host) {
		reading.code = out_of_memory();
		return -1;
	}
	struct config_text *text =
		strcmp(opt->name, RATE) == 0 ? &host->rate : &host->concurrency;
	if (text->text) {
		fail(cfg->line, "%s: set before, in line %u; remove one of them",
			opt->name, text->line);
		return -1;
	}
	/* NOLINTNEXTLINE(gcc-malloc-leak): the table keeps it */
	*text = (struct config_text){(unsigned)cfg->line, strdup(value)};
	if (!text->text) {
		reading.code = out_of_memory();
		return -1;
	}
	*(const char **)result = value; /* libconfuse makes its own copy */
	return 0;
}

/* A section that says nothing would still hide the ones behind it. */
static void check_hosts(cfg_t *cfg)
{
	for (unsigned i = 0; i < cfg_size(cfg, HOST); i++) {
		cfg_t *host = cfg_getnsec(cfg, HOST, i);
		if (!cfg_size(host, CONCURRENCY) && !cfg_size(host, RATE)) {
			fail(host->line,
				"host \"%s\": says nothing; give it a " CONCURRENCY
				" or a " RATE,
				cfg_title(host));
		}
	}
}

static cfg_opt_t option_of(const struct option_row *row)
{
	cfg_opt_t one = CFG_STR_CB(row->name, NULL, CFGF_NODEFAULT, on_value);
	cfg_opt_t list = CFG_STR_LIST_CB(row->name, NULL, CFGF_NODEFAULT, on_value);
	return store_is_list(row) ? list : one;
}

static cfg_t *parser_new(void)
{
	cfg_opt_t end = CFG_END(), opts[OPTION_CT + 2];
	cfg_opt_t host[] = {
		CFG_STR_CB(CONCURRENCY, NULL, CFGF_NODEFAULT, on_host_value),
		CFG_STR_CB(RATE, NULL, CFGF_NODEFAULT, on_host_value), CFG_END()};
	cfg_opt_t hosts =
		CFG_SEC(HOST, host, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	size_t ct = 0;
	for (size_t i = 0; i < OPTION_CT; i++) {
		if (option_rows[i].scope & SCOPE_FILE) {
			opts[ct++] = option_of(&option_rows[i]);
		}
	}
	opts[ct++] = hosts;
	opts[ct] = end;
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	if (cfg) {
		cfg_set_error_function(cfg, on_error);
	}
	return cfg;
}

/* `header = {}` drops what was set before it without a word. */
static void check_lists(cfg_t *cfg)
{
	for (size_t i = 0; i < OPTION_CT; i++) {
		const struct option_row *row = &option_rows[i];
		const struct config_entry *first = entry_of((enum option_id)i);
		if (store_is_list(row) && first && !cfg_size(cfg, row->name)) {
			fail((int)first->line,
				"%s: set again later; remove one of them", row->name);
		}
	}
}

static int parse(struct config *config, const char *text)
{
	cfg_t *cfg = parser_new();
	if (!cfg) {
		return out_of_memory();
	}
	reading = (struct reading){.config = config, .cfg = cfg};
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
		fail(cfg->line, "not understood (a line is: NAME = VALUE)");
	}
	check_lists(cfg);
	check_hosts(cfg);
	cfg_free(cfg);
	return reading.code;
}

int config_read(struct config *config, const char *path)
{
	struct buf text = {0};
	config->path = strdup(path);
	if (!config->path) {
		return out_of_memory();
	}
	int code = read_file(path, &text);
	if (!code && !buf_text(&text)) {
		code = out_of_memory();
	}
	code = code ? code : config_clean(&text, path);
	code = code ? code : parse(config, text.data);
	buf_fini(&text);
	return code;
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < config->entry_ct; i++) {
		free(config->entries[i].text);
	}
	for (size_t i = 0; i < config->host_ct; i++) {
		free(config->hosts[i].pattern);
		free(config->hosts[i].concurrency.text);
		free(config->hosts[i].rate.text);
	}
	free(config->entries);
	free(config->hosts);
	free(config->path);
	*config = (struct config){0};
}
