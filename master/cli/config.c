/* SPDX-License-Identifier: MIT
 *
 * config - the configuration file, see config.h.
 *
 * libconfuse parses.  What its scanner would pass over in silence is refused
 * before (a comment or string without end, a stray * or +, a variable that is
 * not set), and comments are blanked out, for it counts their lines wrongly
 * (libconfuse 3.3).  Nothing but whole, clean text ever reaches it: when its
 * scanner cannot read it ends the process.
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
#include "master/cli/message.h"
#include "master/cli/options.h"

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

/* ---------------------------------------------------------------- cleaning */

/* A walk over the text, by the rules of libconfuse's scanner. */
struct scan {
	char *at;
	unsigned line;
	const char *path;
};

/* Print why the text is refused at this line; returns the exit code. */
static int refuse(const struct scan *s, const char *why)
{
	message_at(s->path, s->line, "%s", why);
	return EXIT_USAGE;
}

static void blank(struct scan *s, size_t len)
{
	memset(s->at, ' ', len);
	s->at += len;
}

static int scan_block_comment(struct scan *s)
{
	const char *end = strstr(s->at + 2, "*/");
	if (!end) {
		return refuse(s, "the comment that starts here has no end");
	}
	end += 2;
	while (s->at < end) {
		if (*s->at == '\n') {
			s->line++;
			s->at++;
		} else {
			blank(s, 1);
		}
	}
	return 0;
}

/* libconfuse takes a variable that is not set for an empty text: a token that
 * somebody forgot to export would be no token. */
static int check_is_set(const struct scan *s, const char *text, size_t len)
{
	char name[128];
	snprintf(name, sizeof(name), "%.*s", (int)(len < 127 ? len : 127), text);
	if (len < sizeof(name) && getenv(name)) {
		return 0;
	}
	message_at(s->path, s->line,
		"${%s}: not set in the environment; set it, or write ${%s:-default}",
		name, name);
	return EXIT_USAGE;
}

static int scan_variable(struct scan *s)
{
	const char *name = s->at + 2;
	size_t len = strspn(name,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	const char *rest = name + len;
	size_t default_len = strncmp(rest, ":-", 2) == 0 ? strcspn(rest, "}\"'\n") : 0;
	if (len == 0 || rest[default_len] != '}') {
		return refuse(s, "not a variable such as ${NAME} or ${NAME:-default}");
	}
	s->at += 2 + len + default_len + 1;
	return default_len ? 0 : check_is_set(s, name, len);
}

/* A character of a string, or a pair that starts with a backslash. */
static int scan_character(struct scan *s, char quote)
{
	const char next = s->at[1];
	if (quote == '"' && *s->at == '$' && next == '{') {
		return scan_variable(s);
	}
	if (*s->at != '\\') {
		s->at++;
		return 0;
	}
	if (quote == '"' && (!next || !strchr("\"\\$", next))) {
		return refuse(
			s, "in a \"string\", \\ may only stand before \" \\ and $");
	}
	s->at += next && next != '\n' ? 2 : 1;
	return 0;
}

static int scan_string(struct scan *s)
{
	const char quote = *s->at++;
	while (*s->at != quote) {
		if (!*s->at || *s->at == '\n') {
			return refuse(s, "a string has no closing quote in its line");
		}
		int code = scan_character(s, quote);
		if (code) {
			return code;
		}
	}
	s->at++;
	return 0;
}

static int scan_stray(struct scan *s)
{
	if (*s->at == '\r') {
		return refuse(s, "a carriage return that ends no line");
	}
	message_at(s->path, s->line,
		"\"%c\" does not belong here; text with such characters goes in "
		"\"quotes\"",
		*s->at);
	return EXIT_USAGE;
}

static int scan_plain(struct scan *s)
{
	s->at += strcspn(s->at, " #\"'\t\n\r={}()+,*");
	return 0;
}

static int scan_token(struct scan *s)
{
	const char next = s->at[1];
	switch (*s->at) {
	case '\n':
		s->line++;
		s->at++;
		return 0;
	case ' ':
	case '\t':
	case '{':
	case '}':
	case '(':
	case ')':
	case '=':
	case ',':
		s->at++;
		return 0;
	case '\r':
		return next == '\n' ? blank(s, 1), 0 : scan_stray(s);
	case '+':
		return next == '=' ? s->at += 2, 0 : scan_stray(s);
	case '*':
		return scan_stray(s);
	case '#':
		blank(s, strcspn(s->at, "\n"));
		return 0;
	case '/':
		if (next == '*') {
			return scan_block_comment(s);
		}
		if (next == '/') {
			blank(s, strcspn(s->at, "\n"));
			return 0;
		}
		return scan_plain(s);
	case '$':
		return next == '{' ? scan_variable(s) : scan_plain(s);
	case '"':
	case '\'':
		return scan_string(s);
	default:
		return scan_plain(s);
	}
}

/* A NUL would hide what follows it. */
static int check_is_text(const struct buf *text, const char *path)
{
	struct scan s = {text->data, 1, path};
	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->data[i];
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
			return refuse(&s, "a control character; is this a text file?");
		}
		s.line += c == '\n';
	}
	return 0;
}

/* Refuse what libconfuse would misread, and blank out comments, in place. */
static int clean(struct buf *text, const char *path)
{
	struct scan s = {text->data, 1, path};
	int code = check_is_text(text, path);
	if (!code && strncmp(s.at, "\xef\xbb\xbf", 3) == 0) {
		blank(&s, 3); /* a byte order mark */
	}
	while (!code && *s.at) {
		code = scan_token(&s);
	}
	/* So that a line that is cut short is the last one, and is named. */
	while (text->len && strchr(" \t\n", text->data[text->len - 1])) {
		text->data[--text->len] = '\0';
	}
	return code;
}

/* ----------------------------------------------------------------- parsing */

/* libconfuse's callbacks carry no context, so this is where they find it. */
static struct reading {
	struct config *config;
	int code; /* of the first error, which is printed */
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

static void fail_unknown(int line, const char *name)
{
	const struct option_row *near = options_nearest(name, SCOPE_FILE);
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
		fail_unknown(cfg->line, text + sizeof(unknown) - 1);
	} else {
		fail(cfg->line, "%s (a line is: NAME = VALUE)", text);
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

static cfg_opt_t option_of(const struct option_row *row)
{
	cfg_opt_t one = CFG_STR_CB(row->name, NULL, CFGF_NODEFAULT, on_value);
	cfg_opt_t list = CFG_STR_LIST_CB(row->name, NULL, CFGF_NODEFAULT, on_value);
	return row->kind == KIND_HEADERS ? list : one;
}

static cfg_t *parser_new(void)
{
	cfg_opt_t end = CFG_END(), opts[OPTION_CT + 1];
	size_t ct = 0;
	for (size_t i = 0; i < OPTION_CT; i++) {
		if (option_rows[i].scope & SCOPE_FILE) {
			opts[ct++] = option_of(&option_rows[i]);
		}
	}
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
		if (row->kind == KIND_HEADERS && first && !cfg_size(cfg, row->name)) {
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
	reading = (struct reading){config, 0};
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
		fail(cfg->line, "not understood (a line is: NAME = VALUE)");
	}
	check_lists(cfg);
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
	code = code ? code : clean(&text, path);
	code = code ? code : parse(config, text.data);
	buf_fini(&text);
	return code;
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < config->entry_ct; i++) {
		free(config->entries[i].text);
	}
	free(config->entries);
	free(config->path);
	*config = (struct config){0};
}
