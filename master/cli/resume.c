/* SPDX-License-Identifier: MIT
 *
 * resume - what an existing results file says is done already, see resume.h.
 *
 * The scanner (scan.h) gives index and prefix of each line; here are the hash,
 * the bitmap, and the comparison with the job files.
 */
#include "master/cli/resume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/line.h"
#include "common/poolmap.h"
#include "master/cli/message.h"
#include "master/cli/scan.h"

struct resume {
	uint64_t *words; /* bit i: job i is done */
	size_t word_ct;
	uint64_t done_ct;
	uint64_t end;      /* highest done index + 1 */
	uint64_t sum;      /* of the hashes of all prefixes, mod 2^64 */
	bool in_order;     /* line k was index k, so far */
	uint64_t good_end; /* file offset behind the last complete line */
	uint64_t torn_bytes;
};

/* ----------------------------------------------------------------- hashing
 *
 * 64 bits over 8-byte words: xor a word in, multiply, fold the high half down.
 * Each step is a bijection of the state, so two texts that differ in one word
 * never collide.  The odd constants are the fractions of the square roots of
 * 2, 3 and 5.  It finds mistakes; it does not stop somebody who wants two
 * texts to collide. */

static const uint64_t MIX_A = UINT64_C(0x6a09e667f3bcc909);
static const uint64_t MIX_B = UINT64_C(0xbb67ae8584caa73b);
static const uint64_t MIX_C = UINT64_C(0x3c6ef372fe94f82b);

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * MIX_A;
	return h ^ h >> 32;
}

static uint64_t hash(const char *bytes, size_t len)
{
	uint64_t h = (uint64_t)len * MIX_C;
	uint64_t word;
	for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word) {
		memcpy(&word, bytes, sizeof word);
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	h = mix(h, word) * MIX_B;
	return h ^ h >> 29;
}

/* ----------------------------------------------------------------- the bitmap */

static int no_memory(const char *name)
{
	message_print(name, "out of memory");
	return EXIT_WORKERS;
}

bool resume_done(const struct resume *r, uint64_t index)
{
	uint64_t word = index / 64;
	return r && word < r->word_ct && (r->words[word] >> (index % 64) & 1u);
}

/* Doubling, from 8 KiB. */
static int grow(struct resume *r, uint64_t word)
{
	size_t ct = r->word_ct ? r->word_ct : 1024;
	while (ct <= word) {
		ct *= 2;
	}
	uint64_t *words = realloc(r->words, ct * sizeof *words);
	if (!words) {
		return PM_ENOMEM;
	}
	memset(words + r->word_ct, 0, (ct - r->word_ct) * sizeof *words);
	r->words = words;
	r->word_ct = ct;
	return 0;
}

static int mark(struct resume *r, const struct scan *s, uint64_t index)
{
	if (resume_done(r, index)) {
		return scan_damaged(s, "a second result of the same job");
	}
	if (index >= r->done_ct && index - r->done_ct >= PM_WINDOW_MAX) {
		return scan_damaged(s, "an index that no run can have got to");
	}
	if (index / 64 >= r->word_ct && grow(r, index / 64)) {
		return no_memory(s->name);
	}
	r->words[index / 64] |= UINT64_C(1) << (index % 64);
	r->in_order = r->in_order && index == r->done_ct;
	r->done_ct++;
	r->end = index >= r->end ? index + 1 : r->end;
	return 0;
}

/* ----------------------------------------------------------------- comparing */

static int foreign(const char *name, const char *why)
{
	message_print(name, "the results do not belong to this job file: %s", why);
	return EXIT_MISMATCH;
}

/* A job of the job file: its index, and the prefix that its result line has. */
struct job_prefix {
	uint64_t index;
	struct buf text;
};

static int render_prefix(
	struct job_prefix *p, const char *line, size_t len, bool too_long)
{
	struct job job = {0};
	buf_clear(&p->text);
	int err = too_long ? 0 : job_parse(&job, line, len);
	if (!err) {
		err = line_prefix(&p->text, p->index, &job);
		if (!too_long) {
			job_fini(&job);
		}
	}
	return err;
}

/* The next job of the job file that is done.  Returns 0 or an exit code. */
static int next_done_job(const struct resume *r, struct input *in, const char *name,
	struct job_prefix *p)
{
	const char *line;
	size_t len;
	bool too_long;
	do {
		/* Regular files never wait. */
		enum input_step step = input_next(in, &line, &len, &too_long);
		if (step != INPUT_LINE) {
			return step == INPUT_ERROR
				       ? EXIT_INPUT
				       : foreign(name,
						 "there are fewer jobs than results");
		}
		p->index = input_index(in);
	} while (!resume_done(r, p->index));
	return render_prefix(p, line, len, too_long) ? no_memory(name) : 0;
}

/* Is the sum over the jobs that are done the sum over the results? */
static int compare_sums(
	const struct resume *r, struct input *in, const char *name, bool *same)
{
	struct job_prefix p = {0};
	uint64_t sum = 0;
	int code = input_rewind(in);
	for (uint64_t i = 0; i < r->done_ct && !code; i++) {
		code = next_done_job(r, in, name, &p);
		sum += code ? 0 : hash(p.text.data, p.text.len);
	}
	buf_fini(&p.text);
	*same = sum == r->sum;
	return code;
}

/* Lines of results and of jobs side by side, up to the first that differ. */
static int find_difference(
	const struct resume *r, struct scan *s, struct input *in, struct job_prefix *p)
{
	struct scan_entry e;
	for (uint64_t i = 0; i < r->done_ct; i++) {
		int code = scan_next(s, &e);
		code = code ? code : next_done_job(r, in, s->name, p);
		if (code) {
			return code;
		}
		if (e.prefix_len != p->text.len ||
			memcmp(e.prefix, p->text.data, e.prefix_len) != 0) {
			message_at(s->name, s->line,
				"the results do not belong to this job file: "
				"%s:%" PRIu64 " is another job",
				input_name(in), input_line_number(in));
			return EXIT_MISMATCH;
		}
	}
	return foreign(s->name, "its jobs are others");
}

/* The sums differ: say so, and where it is easy, since which line.  It is for
 * results in order; the others would need all prefixes in memory. */
static int explain(const struct resume *r, const struct output *o, struct input *in)
{
	struct scan s;
	struct job_prefix p = {0};
	if (!r->in_order) {
		return foreign(output_name(o), "its jobs are others");
	}
	int code = input_rewind(in);
	code = code ? code : scan_init(&s, output_resume_fd(o), output_name(o));
	if (code) {
		return code;
	}
	code = find_difference(r, &s, in, &p);
	scan_fini(&s);
	buf_fini(&p.text);
	return code;
}

static int check_jobs(const struct resume *r, const struct output *o, struct input *in)
{
	bool same = false;
	int code = compare_sums(r, in, output_name(o), &same);
	if (!code && !same) {
		code = explain(r, o, in);
	}
	return code ? code : input_rewind(in);
}

/* ----------------------------------------------------------------- resuming */

static int read_lines(struct resume *r, struct scan *s)
{
	struct scan_entry e;
	for (;;) {
		int code = scan_next(s, &e);
		if (code || !e.prefix) {
			return code;
		}
		code = mark(r, s, e.index);
		if (code) {
			return code;
		}
		r->sum += hash(e.prefix, e.prefix_len);
	}
}

static int read_results(struct resume *r, const struct output *o)
{
	struct scan s;
	int code = scan_init(&s, output_resume_fd(o), output_name(o));
	if (code) {
		return code;
	}
	code = read_lines(r, &s);
	r->good_end = s.good_end;
	r->torn_bytes = s.offset - s.good_end;
	scan_fini(&s);
	return code;
}

static int go_on(const struct resume *r, struct output *o)
{
	if (r->torn_bytes) {
		message_print(output_name(o),
			"cut off the %" PRIu64 " bytes of a last line that was not "
			"finished; its job runs again",
			r->torn_bytes);
	}
	return output_resume_at(o, r->good_end, r->done_ct);
}

static int scan_all(
	struct resume *r, struct output *o, struct input *in, bool unordered)
{
	int code = read_results(r, o);
	if (code) {
		return code;
	}
	if (!unordered && !r->in_order) {
		message_print(output_name(o),
			"written with --unordered: resume with --unordered");
		return EXIT_MISMATCH;
	}
	code = check_jobs(r, o, in);
	return code ? code : go_on(r, o);
}

int resume_scan(struct resume **out, struct output *o, struct input *in, bool unordered)
{
	struct resume *r = calloc(1, sizeof *r);
	if (!r) {
		return no_memory(output_name(o));
	}
	r->in_order = true;
	int code = output_resume_fd(o) < 0 ? 0 : scan_all(r, o, in, unordered);
	if (code) {
		resume_free(r);
		return code;
	}
	*out = r;
	return 0;
}

void resume_free(struct resume *r)
{
	if (r) {
		free(r->words);
		free(r);
	}
}

uint64_t resume_done_ct(const struct resume *r)
{
	return r ? r->done_ct : 0;
}

uint64_t resume_torn_bytes(const struct resume *r)
{
	return r ? r->torn_bytes : 0;
}
