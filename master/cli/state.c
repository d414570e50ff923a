/* SPDX-License-Identifier: MIT
 *
 * state - see state.h.
 */
#include "master/cli/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/poolmap.h"
#include "master/cli/durable.h"
#include "master/cli/message.h"
#include "master/cli/state_text.h"

/* Longer than the longest command line makes it. */
enum { TEXT_MAX = 64 << 20 };

static int no_memory(const char *name)
{
	message_print(name, "out of memory");
	return EXIT_WORKERS;
}

/* ----------------------------------------------------------------- its name */

/* Where the results really are, to be freed; NULL with errno. */
static char *real_place(const char *results)
{
	struct stat st;
	bool is_link = lstat(results, &st) == 0 && S_ISLNK(st.st_mode);
	return is_link ? realpath(results, NULL) : strdup(results);
}

static int set_names(struct state *s, const char *results)
{
	struct buf path = {0};
	s->results = real_place(results);
	if (!s->results) {
		return errno == ENOMEM ? no_memory(results) : 0; /* a nameless file */
	}
	if (buf_printf(&path, "%s.state", s->results) || !buf_text(&path)) {
		buf_fini(&path);
		return no_memory(results);
	}
	s->path = path.data;
	return 0;
}

static const char *name_in_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool same_directory(const char *a, const char *b)
{
	struct stat x, y;
	char *of_a = durable_directory(a), *of_b = durable_directory(b);
	bool same = of_a && of_b && stat(of_a, &x) == 0 && stat(of_b, &y) == 0 &&
		    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
	free(of_a);
	free(of_b);
	return same;
}

/* Is it that name, by whatever path? */
static bool is_name(const struct state *s, const char *other)
{
	return other &&
	       strcmp(name_in_directory(s->path), name_in_directory(other)) == 0 &&
	       same_directory(s->path, other);
}

static int check_names(const struct state *s, const struct settings *want)
{
	if (is_name(s, want->failed) || is_name(s, want->stats) ||
		is_name(s, want->retry_failed)) {
		message_print(s->path, "is the name of the state of this run; name "
				       "another file");
		return EXIT_USAGE;
	}
	return 0;
}

/* ------------------------------------------------------------- what is there */

/* Room for all of it.  Returns 0 or an errno. */
static int read_all(int fd, struct buf *text)
{
	ssize_t n = 1;
	while (n != 0 && text->len <= TEXT_MAX) {
		if (buf_reserve(text, 65536)) {
			return ENOMEM;
		}
		n = read(fd, text->data + text->len, 65536);
		if (n < 0 && errno != EINTR) {
			return errno;
		}
		text->len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int refuse_errno(const struct state *s, int error)
{
	message_print(s->path,
		"cannot be read, and may tell which job files %s is of: "
		"%s",
		s->results, strerror(error));
	return EXIT_OUTPUT;
}

static int refuse_foreign(const struct state *s)
{
	message_print(s->path,
		"is no state of a run, and has the name of that of %s; move it, or "
		"name another output",
		s->results);
	return EXIT_MISMATCH;
}

/* The file of that name, as far as it is regular and ours.  *text stays empty when
 * there is none. */
static int read_text(const struct state *s, const struct input *in, struct buf *text)
{
	struct stat st;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		bool none = errno == ENOENT || errno == ENAMETOOLONG;
		return none ? 0 : refuse_errno(s, errno);
	}
	int error = fstat(fd, &st) ? errno : 0;
	bool ours = !error && S_ISREG(st.st_mode) &&
		    !input_has_file(in, st.st_dev, st.st_ino);
	error = ours ? read_all(fd, text) : error;
	close(fd);
	if (error) {
		return refuse_errno(s, error);
	}
	ours = ours && text->len <= TEXT_MAX &&
	       state_text_is_one(text->data, text->len);
	return ours ? 0 : refuse_foreign(s);
}

static int refuse_damaged(const struct state *s, const char *why)
{
	message_print(s->path,
		"%s, and does not tell any more which job files %s is of; without it "
		"only ids and URLs of jobs that are done are compared",
		why, s->results);
	return EXIT_MISMATCH;
}

/* ----------------------------------------------------------------- comparing */

static int refuse_count(const struct state *s, size_t before, size_t now)
{
	message_print(s->results,
		"is of a run with %zu job files, not %zu; name the same, or remove %s: "
		"then only ids and URLs of jobs that are done are compared",
		before, now, s->path);
	return EXIT_MISMATCH;
}

/* What became of the file; `grown`: behind what it had in it. */
static void tell_change(const struct state *s, const struct input_file *now,
	const struct state_file *before, bool grown)
{
	const char *what = now->bytes < before->bytes ? "has shrunk"
			   : grown                    ? "has grown"
						      : "was edited";
	bool renamed = strcmp(now->path, before->path) != 0;
	message_print(now->name,
		"%s, from %" PRIu64 " to %" PRIu64 " bytes, since the run began whose "
		"results are in %s%s%s; %s, or remove %s: then only ids and URLs of "
		"jobs that are done are compared",
		what, before->bytes, now->bytes, s->results,
		renamed ? ", if it is the file that was " : "",
		renamed ? before->path : "",
		grown ? "give the added jobs an output of their own"
		      : "go on with the file as it was",
		s->path);
}

/* Of the bytes that the state's is of. */
static int digest_now(struct input *in, size_t i, const struct input_file *now,
	uint64_t hashed, char sha256[DIGEST_HEX_LEN + 1])
{
	if (now->hashed != hashed) {
		return input_digest(in, i, hashed, sha256);
	}
	memcpy(sha256, now->sha256, DIGEST_HEX_LEN + 1);
	return 0;
}

static int compare_file(const struct state *s, struct input *in, size_t i,
	const struct state_file *before)
{
	struct input_file now = input_file(in, i);
	char sha256[DIGEST_HEX_LEN + 1] = "";
	int code = now.bytes < before->bytes
			   ? 0
			   : digest_now(in, i, &now, before->hashed, sha256);
	bool same = strcmp(sha256, before->sha256) == 0;
	if (code || (same && now.bytes == before->bytes)) {
		return code;
	}
	tell_change(s, &now, before, same);
	return EXIT_MISMATCH;
}

static int compare(
	const struct state *s, struct input *in, const struct state_files *files)
{
	if (files->ct != input_file_ct(in)) {
		return refuse_count(s, files->ct, input_file_ct(in));
	}
	int code = input_pin(in);
	for (size_t i = 0; i < files->ct && !code; i++) {
		code = compare_file(s, in, i, &files->all[i]);
	}
	return code;
}

static int compare_text(const struct state *s, struct input *in, const struct buf *text)
{
	struct state_files files;
	const char *why = state_text_read(&files, text->data, text->len);
	if (why) {
		return refuse_damaged(s, why);
	}
	int code = compare(s, in, &files);
	state_text_fini(&files);
	return code;
}

/* ------------------------------------------------------------------- opening */

static int check_existing(struct state *s, struct input *in, bool has_results)
{
	struct buf text = {0};
	int code = read_text(s, in, &text);
	if (!code && text.data && has_results) {
		code = compare_text(s, in, &text);
		s->kept = !code;
	}
	buf_fini(&text);
	return code;
}

int state_prepare(const struct settings *want, struct input *in)
{
	struct stat st;
	bool is_file = strcmp(want->output, "-") != 0 &&
		       (stat(want->output, &st) || S_ISREG(st.st_mode));
	return is_file && input_regular(in) ? input_pin(in) : 0;
}

int state_open(struct state *s, const struct settings *want, struct input *in,
	const struct output *o)
{
	if (!output_is_file(o) || !input_regular(in)) {
		return 0;
	}
	int code = set_names(s, want->output);
	if (code || !s->path) {
		return code;
	}
	code = check_names(s, want);
	code = code ? code : check_existing(s, in, output_has_results(o));
	return code ? code : input_pin(in);
}

int state_compare(const char *results, struct input *in)
{
	struct state s = {0};
	int code = input_regular(in) ? set_names(&s, results) : 0;
	if (!code && s.path) {
		code = check_existing(&s, in, true);
	}
	state_close(&s);
	return code;
}

/* ------------------------------------------------------------ writing, ending */

static int refuse_write(const struct state *s, int error)
{
	message_print(s->path,
		"cannot be written, and is to tell which job files %s "
		"is of: %s",
		s->results, strerror(error));
	return EXIT_OUTPUT;
}

/* Results may be in a file whose directory is not ours, or have the longest name. */
static bool is_forbidden(const struct state *s, int error)
{
	struct stat st;
	bool forbidden = error == EACCES || error == EPERM || error == EROFS ||
			 error == ENAMETOOLONG;
	return forbidden && lstat(s->path, &st);
}

/* That is no reason not to fetch, but people are to know. */
static void go_without(struct state *s, int error)
{
	message_print(s->results,
		"goes without a state beside it (%s): --resume will compare only ids "
		"and URLs of jobs that are done",
		strerror(error));
	free(s->path);
	s->path = NULL;
}

int state_write(struct state *s, const struct input *in, enum sync_mode sync)
{
	struct buf text = {0};
	if (!s->path || s->kept) {
		return 0;
	}
	int error = state_text_put(&text, in) ? ENOMEM : 0;
	error = error ? error
		      : durable_replace_own(s->path, &text,
				sync == SYNC_NONE ? DURABLE_LATER : DURABLE_AT_ONCE);
	buf_fini(&text);
	if (is_forbidden(s, error)) {
		go_without(s, error);
		return 0;
	}
	if (error) {
		return refuse_write(s, error);
	}
	if (sync != SYNC_NONE) {
		durable_name(s->path);
	}
	s->written = true;
	return 0;
}

int state_complete(struct state *s)
{
	if (s->path && unlink(s->path) && errno != ENOENT) {
		message_print(s->path,
			"the run is complete, but this cannot be "
			"removed: %s",
			strerror(errno));
		return EXIT_OUTPUT;
	}
	return 0;
}

void state_close(struct state *s)
{
	struct stat st;
	if (s->written && stat(s->results, &st) && errno == ENOENT) {
		unlink(s->path);
	}
	free(s->results);
	free(s->path);
	*s = (struct state){0};
}
