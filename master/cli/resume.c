/* SPDX-License-Identifier: MIT
 *
 * resume - what an existing results file says is done already, see resume.h.
 *
 * The scanner (scan.h) gives index and prefix of each line; here are
 * the bitmap and the comparison with the job files.
 */
#include "master/cli/resume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cli/job.h"
#include "common/cli/line.h"
#include "common/poolmap.h"
#include "master/cli/line_hash.h"
#include "master/cli/message.h"
#include "master/cli/scan.h"

/* Of so many jobs it is worth the memory to say which result is of another. */
enum { HASHES_MAX = 32 << 20 };

struct bits {
	uint64_t *words;
	size_t word_ct;
};

struct resume {
	struct bits done;   /* bit i: job i is done */
	struct bits failed; /* and is not ok */
	uint64_t done_ct, failed_ct;
	bool knows_ok;                /* every line said whether it is */
	uint64_t end;                 /* highest done index + 1 */
	uint64_t sum;                 /* of the hashes of all prefixes, mod 2^64 */
	bool in_order;                /* line k was index k, so far */
	uint64_t odd_line, odd_index; /* else: the first that was not, at this line */
	uint64_t good_end;            /* file offset behind the last complete line */
	uint64_t torn_bytes;
};

/* ----------------------------------------------------------------- the bitmap */

static int no_memory(const char *name)
{
	message_print(name, "out of memory");
	return EXIT_WORKERS;
}

static bool has_bit(const struct bits *b, uint64_t index)
{
	uint64_t word = index / 64;
	return word < b->word_ct && (b->words[word] >> (index % 64) & 1u);
}

/* Doubling, from 8 KiB. */
static int grow(struct bits *b, uint64_t word)
{
	size_t ct = b->word_ct ? b->word_ct : 1024;
	while (ct <= word) {
		ct *= 2;
	}
	uint64_t *words = realloc(b->words, ct * sizeof *words);
	if (!words) {
		return PM_ENOMEM;
	}
	memset(words + b->word_ct, 0, (ct - b->word_ct) * sizeof *words);
	b->words = words;
	b->word_ct = ct;
	return 0;
}

static int set_bit(struct bits *b, uint64_t index)
{
	if (index / 64 >= b->word_ct && grow(b, index / 64)) {
		return PM_ENOMEM;
	}
	b->words[index / 64] |= UINT64_C(1) << (index % 64);
	return 0;
}

bool resume_done(const struct resume *r, uint64_t index)
{
	return r && has_bit(&r->done, index);
}

bool resume_failed(const struct resume *r, uint64_t index)
{
	return r && has_bit(&r->failed, index);
}

bool resume_ok(const struct resume *r, uint64_t index)
{
	return resume_done(r, index) && r->knows_ok && !resume_failed(r, index);
}

static int mark(struct resume *r, const struct scan *s, const struct scan_entry *e)
{
	uint64_t index = e->index;
	if (resume_done(r, index)) {
		return scan_damaged(s, "a second result of the same job");
	}
	if (index >= r->done_ct && index - r->done_ct >= PM_WINDOW_MAX) {
		return scan_damaged(s, "an index that no run can have got to");
	}
	if (set_bit(&r->done, index) || (e->ok == 0 && set_bit(&r->failed, index))) {
		return no_memory(s->file.name);
	}
	if (r->in_order && index != r->done_ct) {
		r->in_order = false;
		r->odd_line = s->line;
		r->odd_index = index;
	}
	r->knows_ok = r->knows_ok && e->ok >= 0;
	r->done_ct++;
	r->failed_ct += e->ok == 0;
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
	struct buf line; /* of JSON */
	struct buf text; /* with csv: the cells, else empty */
};

static void job_prefix_fini(struct job_prefix *p)
{
	buf_fini(&p->line);
	buf_fini(&p->text);
}

static int render_line(
	struct job_prefix *p, const char *line, size_t len, bool too_long)
{
	struct job job = {0};
	buf_clear(&p->line);
	int err = too_long ? 0 : job_parse(&job, line, len);
	if (!err) {
		err = line_prefix(&p->line, p->index, &job);
		if (!too_long) {
			job_fini(&job);
		}
	}
	return err;
}

static int render_prefix(struct job_prefix *p, const struct csv *csv, const char *line,
	size_t len, bool too_long)
{
	buf_clear(&p->text);
	int err = render_line(p, line, len, too_long);
	if (err || !csv) {
		return err;
	}
	return csv_key_of_line(csv, &p->text, p->line.data, p->line.len);
}

/* What the result of the job must start with. */
static const struct buf *prefix_of(const struct job_prefix *p, const struct csv *csv)
{
	return csv ? &p->text : &p->line;
}

/* The next job of the job file that is done.  Returns 0 or an exit code. */
static int next_done_job(const struct resume *r, struct input *in,
	const struct scan_file *file, struct job_prefix *p)
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
				       : foreign(file->name,
						 "there are fewer jobs than results");
		}
		p->index = input_index(in);
	} while (!resume_done(r, p->index));
	return render_prefix(p, file->csv, line, len, too_long) ? no_memory(file->name)
								: 0;
}

/* Is the sum over the jobs that are done the sum over the results? */
static int compare_sums(const struct resume *r, struct input *in,
	const struct scan_file *file, bool *same)
{
	struct job_prefix p = {0};
	uint64_t sum = 0;
	int code = input_rewind(in);
	for (uint64_t i = 0; i < r->done_ct && !code; i++) {
		code = next_done_job(r, in, file, &p);
		if (!code) {
			const struct buf *prefix = prefix_of(&p, file->csv);
			sum += line_hash(prefix->data, prefix->len);
		}
	}
	job_prefix_fini(&p);
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
		code = code ? code : next_done_job(r, in, &s->file, p);
		if (code) {
			return code;
		}
		const struct buf *prefix = prefix_of(p, s->file.csv);
		if (e.prefix_len != prefix->len ||
			memcmp(e.prefix, prefix->data, e.prefix_len) != 0) {
			message_at(s->file.name, s->line,
				"the results do not belong to this job file: "
				"%s:%" PRIu64 " is another job",
				input_name(in), input_line_number(in));
			return EXIT_MISMATCH;
		}
	}
	return foreign(s->file.name, "its jobs are others");
}

/* The same for results in any order, by the hashes of the jobs that are done.  They
 * are read again, and may have been edited since. */
static int find_odd_hash(
	const struct resume *r, struct scan *s, struct input *in, uint64_t *hashes)
{
	struct job_prefix p = {0};
	struct scan_entry e = {0};
	int code = 0;
	for (uint64_t i = 0; i < r->done_ct && !code; i++) {
		code = next_done_job(r, in, &s->file, &p);
		if (!code) {
			const struct buf *prefix = prefix_of(&p, s->file.csv);
			hashes[p.index] = line_hash(prefix->data, prefix->len);
		}
	}
	job_prefix_fini(&p);
	for (uint64_t i = 0; i < r->done_ct && !code; i++) {
		code = scan_next(s, &e);
		bool same = !code && e.prefix && e.index < r->end &&
			    line_hash(e.prefix, e.prefix_len) == hashes[e.index];
		if (!code && !same) {
			message_at(s->file.name, s->line,
				"the results do not belong to this job file: its job "
				"%" PRIu64 " is another",
				e.index);
			return EXIT_MISMATCH;
		}
	}
	return code ? code : foreign(s->file.name, "its jobs are others");
}

static int find_in_any_order(const struct resume *r, struct scan *s, struct input *in)
{
	uint64_t *hashes = r->end <= HASHES_MAX ? calloc(r->end, sizeof *hashes) : NULL;
	int code = hashes ? find_odd_hash(r, s, in, hashes)
			  : foreign(s->file.name, "its jobs are others");
	free(hashes);
	return code;
}

/* The sums differ: say so, and at which line. */
static int explain(
	const struct resume *r, const struct scan_file *file, struct input *in)
{
	struct scan s;
	struct job_prefix p = {0};
	int code = input_rewind(in);
	code = code ? code : scan_init(&s, file);
	if (code) {
		return code;
	}
	code = r->in_order ? find_difference(r, &s, in, &p)
			   : find_in_any_order(r, &s, in);
	scan_fini(&s);
	job_prefix_fini(&p);
	return code;
}

static int check_jobs(
	const struct resume *r, const struct scan_file *file, struct input *in)
{
	bool same = false;
	int code = compare_sums(r, in, file, &same);
	if (!code && !same) {
		code = explain(r, file, in);
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
		code = mark(r, s, &e);
		if (code) {
			return code;
		}
		r->sum += line_hash(e.prefix, e.prefix_len);
	}
}

static int read_results(struct resume *r, const struct scan_file *file)
{
	struct scan s;
	int code = scan_init(&s, file);
	if (code) {
		return code;
	}
	code = read_lines(r, &s);
	scan_end(&s, &r->good_end, &r->torn_bytes);
	scan_fini(&s);
	return code;
}

static int go_on(const struct resume *r, struct output *o)
{
	if (r->torn_bytes) {
		message_print(output_name(o),
			"cut off the %" PRIu64 " bytes of a last %s that was not "
			"finished; %s again",
			r->torn_bytes, output_packed(o) ? "part" : "line",
			output_packed(o) ? "its jobs run" : "its job runs");
	}
	return output_resume_at(o, r->good_end, r->done_ct);
}

/* Without an index in each row, their order is all there is. */
const char *resume_unfit(const struct csv *csv, bool unordered)
{
	if (csv && csv_column(csv, CSV_URL) < 0 && csv_column(csv, CSV_ID) < 0) {
		return "its rows need the field url or id to be told from those of "
		       "other jobs";
	}
	return csv && unordered && csv_column(csv, CSV_INDEX) < 0
		       ? "with --unordered its rows need the field index to be read "
			 "again"
		       : NULL;
}

static int check_order(
	const struct resume *r, const struct scan_file *file, bool unordered)
{
	if (!unordered && !r->in_order) {
		message_at(file->name, r->odd_line,
			"the result of job %" PRIu64 " at the place of another: was it "
			"written with --unordered? then resume with --unordered; else "
			"lines are missing or were moved",
			r->odd_index);
		return EXIT_MISMATCH;
	}
	const char *unfit = resume_unfit(file->csv, unordered);
	if (unfit) {
		message_print(file->name, "%s", unfit);
		return EXIT_MISMATCH;
	}
	return 0;
}

static int read_all(struct resume *r, const struct scan_file *file, struct input *in,
	bool unordered)
{
	int code = read_results(r, file);
	code = code ? code : check_order(r, file, unordered);
	return code ? code : check_jobs(r, file, in);
}

static struct resume *new_resume(const char *name)
{
	struct resume *r = calloc(1, sizeof *r);
	if (r) {
		r->in_order = r->knows_ok = true;
	} else {
		no_memory(name);
	}
	return r;
}

static int check_packed(const struct scan_file *file)
{
	if (file->packed ? unpack_may_be_packed(file->fd)
			 : !unpack_is_packed(file->fd)) {
		return 0;
	}
	message_print(file->name,
		file->packed ? "is not packed, as its name says; rename it"
			     : "is packed: it needs a name that ends in .gz");
	return EXIT_MISMATCH;
}

static int scan_output(struct resume *r, struct output *o, struct input *in,
	const struct csv *csv, bool unordered)
{
	struct scan_file file = {.fd = output_resume_fd(o),
		.name = output_name(o),
		.packed = output_packed(o),
		.csv = csv};
	int code = check_packed(&file);
	code = code ? code : read_all(r, &file, in, unordered);
	return code ? code : go_on(r, o);
}

int resume_scan(struct resume **out, struct output *o, struct input *in,
	const struct csv *csv, bool unordered)
{
	struct resume *r = new_resume(output_name(o));
	if (!r) {
		return EXIT_WORKERS;
	}
	int code = output_resume_fd(o) < 0 ? 0 : scan_output(r, o, in, csv, unordered);
	if (code) {
		resume_free(r);
		return code;
	}
	*out = r;
	return 0;
}

int resume_read(struct resume **out, const struct scan_file *file, struct input *in,
	bool unordered)
{
	struct resume *r = new_resume(file->name);
	if (!r) {
		return EXIT_WORKERS;
	}
	int code = read_all(r, file, in, unordered);
	if (!code && !r->knows_ok) {
		message_print(file->name, "its rows need the field ok");
		code = EXIT_MISMATCH;
	}
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
		free(r->done.words);
		free(r->failed.words);
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

uint64_t resume_failed_ct(const struct resume *r)
{
	return r ? r->failed_ct : 0;
}

bool resume_knows_ok(const struct resume *r)
{
	return !r || r->knows_ok;
}

bool resume_in_order(const struct resume *r)
{
	return !r || r->in_order;
}
