/* SPDX-License-Identifier: MIT
 *
 * failed - the list of jobs that failed, see failed.h.
 *
 * Before the list is written anew, each line that it holds is looked for among
 * the lines of the job files: a list of something else is not for us to empty.
 * For that the hashes of its lines are sorted, 8 bytes a line, and the job
 * files are read until all were found.
 */
#include "master/cli/failed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/outcome.h"
#include "master/cli/line_hash.h"
#include "master/cli/message.h"
#include "master/cli/pack.h"

enum { BLOCK = 64 * 1024 };

static int no_memory(const char *name)
{
	message_print(name, "out of memory");
	return EXIT_WORKERS;
}

static int foreign(const char *name)
{
	message_print(name, "is no list of failed jobs of this run; name another file, "
			    "or delete it");
	return EXIT_MISMATCH;
}

/* ----------------------------------------------------------------- the lines */

#define COMMENT "# job "

/* Of a line that is no job the reason is kept: a comment stands for it. */
static int put_comment(struct buf *room, uint64_t index, const char *why, size_t len)
{
	int err = buf_printf(room, COMMENT "%" PRIu64 ": ", index);
	return err   ? err
	       : len ? buf_put(room, why, len)
		     : buf_puts(room, "its line is too long");
}

/* The bytes of the job's line, and its LF. */
static int put_job(struct output *list, struct buf *room, uint64_t index,
	const char *line, size_t len, bool bad)
{
	buf_clear(room);
	int err = bad ? put_comment(room, index, line, len) : buf_put(room, line, len);
	err = err ? err : buf_puts(room, "\n");
	return err ? no_memory(output_name(list))
		   : output_put(list, room->data, room->len);
}

int failed_put(struct output *list, const struct pm_result *result)
{
	struct job_head head;
	struct buf room = {0};
	if (result->arg_len < sizeof head) {
		return 0;
	}
	memcpy(&head, result->arg, sizeof head);
	int code = put_job(list, &room, head.index,
		(const char *)result->arg + sizeof head, result->arg_len - sizeof head,
		head.bad != 0);
	buf_fini(&room);
	return code;
}

/* ------------------------------------------------------- what is there already */

struct known {
	uint64_t *hashes; /* of the lines; sorted by find_all() */
	size_t ct, cap;
	size_t found_ct;
	uint64_t *found; /* bitmap */
};

static void known_fini(struct known *k)
{
	free(k->hashes);
	free(k->found);
}

static int add_hash(struct known *k, uint64_t hash)
{
	if (k->ct == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 1024;
		uint64_t *hashes = reallocarray(k->hashes, cap, sizeof *hashes);
		if (!hashes) {
			return PM_ENOMEM;
		}
		k->hashes = hashes;
		k->cap = cap;
	}
	k->hashes[k->ct++] = hash;
	return 0;
}

/* Take the complete lines out of `text`.  Comments stand for jobs, too. */
static int take_lines(struct known *k, struct buf *text)
{
	size_t at = 0;
	const char *lf;
	while (at < text->len && (lf = memchr(text->data + at, '\n', text->len - at))) {
		size_t len = (size_t)(lf - text->data) - at;
		if (text->data[at] != '#' &&
			add_hash(k, line_hash(text->data + at, len))) {
			return PM_ENOMEM;
		}
		at += len + 1;
	}
	buf_consume(text, at);
	return 0;
}

/* `rest`: what stands behind the last line. */
static int read_lines(
	struct known *k, struct unpack *source, const char *name, struct buf *rest)
{
	long n = 1;
	int err = 0;
	while (!err && n > 0 && rest->len <= JOB_LINE_MAX) {
		err = buf_reserve(rest, BLOCK);
		n = err ? 0 : unpack_read(source, rest->data + rest->len, BLOCK);
		rest->len += n > 0 ? (size_t)n : 0;
		err = err ? err : take_lines(k, rest);
	}
	return err                                 ? no_memory(name)
	       : n < 0 || rest->len > JOB_LINE_MAX ? foreign(name)
						   : 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The first of the equal ones. */
static size_t lower_bound(const struct known *k, uint64_t hash)
{
	size_t from = 0, to = k->ct;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (k->hashes[middle] < hash) {
			from = middle + 1;
		} else {
			to = middle;
		}
	}
	return from;
}

static void find_one(struct known *k, uint64_t hash)
{
	for (size_t i = lower_bound(k, hash); i < k->ct && k->hashes[i] == hash; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);
		k->found_ct += !(k->found[i / 64] & bit);
		k->found[i / 64] |= bit;
	}
}

static int find_all(struct known *k, struct input *in, const char *name)
{
	const char *line;
	size_t len;
	bool too_long;
	k->found = calloc(k->ct / 64 + 1, sizeof *k->found);
	if (!k->found) {
		return no_memory(name);
	}
	qsort(k->hashes, k->ct, sizeof *k->hashes, by_value);
	int code = input_rewind(in);
	while (!code && k->found_ct < k->ct) {
		enum input_step step = input_next(in, &line, &len, &too_long);
		if (step != INPUT_LINE) {
			return step == INPUT_ERROR ? EXIT_INPUT : foreign(name);
		}
		find_one(k, line_hash(line, len));
	}
	return code;
}

static bool may_be_comment(const struct buf *start)
{
	size_t len = strlen(COMMENT);
	return memcmp(start->data, COMMENT, start->len < len ? start->len : len) == 0;
}

/* A list that holds no whole line: the start of a comment or of a job's line, if
 * anything, and zeros that a power cut left. */
static int check_first(struct buf *rest, struct input *in, const char *name)
{
	const char *line;
	size_t len;
	bool too_long;
	while (rest->len && !rest->data[rest->len - 1]) {
		rest->len--;
	}
	bool found = !rest->len || may_be_comment(rest);
	int code = found ? 0 : input_rewind(in);
	while (!code && !found) {
		enum input_step step = input_next(in, &line, &len, &too_long);
		if (step != INPUT_LINE) {
			return step == INPUT_ERROR ? EXIT_INPUT : foreign(name);
		}
		found = len >= rest->len && memcmp(line, rest->data, rest->len) == 0;
	}
	return code;
}

static int check_lines(
	struct known *k, struct unpack *source, struct input *in, const char *name)
{
	struct buf rest = {0};
	int code = read_lines(k, source, name, &rest);
	if (!code) {
		code = k->ct ? find_all(k, in, name) : check_first(&rest, in, name);
	}
	buf_fini(&rest);
	return code;
}

/* Does the file hold lines of the job files, and nothing else? */
static int check_list(struct output *list, struct input *in)
{
	struct known k = {0};
	const char *name = output_name(list);
	int fd = output_resume_fd(list);
	uint64_t end, torn;
	bool packed =
		output_packed(list) ? unpack_may_be_packed(fd) : unpack_is_packed(fd);
	struct unpack *source = unpack_new(fd, packed);
	if (!source) {
		return no_memory(name);
	}
	int code = unpack_find_end(source, &end, &torn)
			   ? foreign(name)
			   : check_lines(&k, source, in, name);
	known_fini(&k);
	unpack_free(source);
	return code;
}

/* ------------------------------------------------------------------- going on */

/* Write those that the results say have failed. */
static int write_anew(struct output *list, struct input *in, const struct resume *r)
{
	const char *line;
	size_t len;
	bool too_long;
	struct buf room = {0};
	int code = input_rewind(in);
	for (uint64_t left = resume_failed_ct(r); left && !code;) {
		if (input_next(in, &line, &len, &too_long) != INPUT_LINE) {
			code = EXIT_INPUT;
		} else if (resume_failed(r, input_index(in))) {
			code = put_job(
				list, &room, input_index(in), line, len, too_long);
			left--;
		}
	}
	buf_fini(&room);
	return code;
}

static int go_on(struct output *list, struct input *in, const struct resume *r)
{
	if (!resume_knows_ok(r)) {
		message_print(output_name(list), "the results do not say which jobs "
						 "failed: they need the field ok");
		return EXIT_MISMATCH;
	}
	int code = check_list(list, in);
	code = code ? code : output_resume_at(list, 0, 0);
	code = code ? code : write_anew(list, in, r);
	return code ? code : input_rewind(in);
}

int failed_open(struct output **out, const struct settings *want, struct input *in,
	const struct resume *r)
{
	struct settings mine = *want;
	struct output *list;
	mine.output = want->failed;
	mine.format = FORMAT_JSONL; /* a line is a line */
	int code = output_open(&list, &mine, in);
	if (code) {
		return code;
	}
	code = output_resume_fd(list) < 0 ? 0 : go_on(list, in, r);
	if (code) {
		output_discard(list);
		return code;
	}
	*out = list;
	return 0;
}
