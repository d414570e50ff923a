/* SPDX-License-Identifier: MIT
 *
 * config_clean - makes the text of a configuration file safe for libconfuse, see
 * config_clean.h.
 */
#include "master/cli/config_clean.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"
#include "master/cli/message.h"

/* A walk over the text, by the rules of libconfuse's scanner. */
struct scan {
	char *at;
	unsigned line;
	const char *path;
	unsigned depth;     /* braces that are open */
	unsigned open_line; /* of the last one that was opened */
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

static int scan_brace(struct scan *s)
{
	if (*s->at == '{') {
		s->depth++;
		s->open_line = s->line;
	} else if (s->depth) { /* else libconfuse says what is wrong */
		s->depth--;
	}
	s->at++;
	return 0;
}

/* A section that the end of the file closes would be taken as whole. */
static int check_is_closed(struct scan *s)
{
	if (s->depth == 0) {
		return 0;
	}
	s->line = s->open_line;
	return refuse(s, "premature end of the file: this { has no }");
}

static int scan_token(struct scan *s)
{
	const char next = s->at[1];
	switch (*s->at) {
	case '\n':
		s->line++;
		s->at++;
		return 0;
	case '{':
	case '}':
		return scan_brace(s);
	case ' ':
	case '\t':
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
	struct scan s = {.at = text->data, .line = 1, .path = path};
	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->data[i];
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
			return refuse(&s, "a control character; is this a text file?");
		}
		s.line += c == '\n';
	}
	return 0;
}

int config_clean(struct buf *text, const char *path)
{
	struct scan s = {.at = text->data, .line = 1, .path = path};
	int code = check_is_text(text, path);
	if (!code && strncmp(s.at, "\xef\xbb\xbf", 3) == 0) {
		blank(&s, 3); /* a byte order mark */
	}
	while (!code && *s.at) {
		code = scan_token(&s);
	}
	code = code ? code : check_is_closed(&s);
	/* So that a line that is cut short is the last one, and is named. */
	while (text->len && strchr(" \t\n", text->data[text->len - 1])) {
		text->data[--text->len] = '\0';
	}
	return code;
}
