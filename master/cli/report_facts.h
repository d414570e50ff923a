/* SPDX-License-Identifier: MIT
 *
 * report_facts - what all results of a file say together.
 *
 * Runs in: the master of the command; filled by report, rendered by the reports.
 */
#ifndef MASTER_CLI_REPORT_FACTS_H
#define MASTER_CLI_REPORT_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "master/cli/report_hosts.h"
#include "master/cli/report_read.h"
#include "master/cli/summary.h"
#include "master/cli/tally.h"

enum { REPORT_SLOWEST = 5, REPORT_FAILED = 50 };

/* A job that is named. */
struct report_job {
	uint64_t index; /* UINT64_MAX: not known */
	uint64_t time_us;
	unsigned class, http_code;
	char *url; /* NULL: it has none */
	char *why; /* NULL: not known */
};

struct report_facts {
	const char *name; /* of the file; "-" is standard input */
	unsigned unknown; /* enum summary_unknown */
	bool has_urls;
	bool torn;
	struct tally tally;
	struct report_hosts hosts;
	struct report_job slowest[REPORT_SLOWEST]; /* slowest first */
	size_t slowest_ct;
	struct report_job failed[REPORT_FAILED]; /* the first ones */
	size_t failed_ct;
};

/* `fields` are those of the file, bits of 1 << enum report_field.  Returns 0 or
 * PM_ENOMEM; report_facts_fini() in any case. */
int report_facts_init(struct report_facts *f, const char *name, unsigned fields);
void report_facts_fini(struct report_facts *f);

/* Count a result.  Returns 0 or PM_ENOMEM. */
int report_facts_add(struct report_facts *f, const struct report_result *result);

/* All are counted: put them in order. */
void report_facts_end(struct report_facts *f);

/* What came of it: "ok", the class of its failure, or "failed" when that is not
 * known. */
const char *report_outcome(const struct report_facts *f, const struct report_job *job);

/* For the code that a run's summary shares. */
struct summary_facts report_facts_summary(const struct report_facts *f);

/* The reports: append one.  Return 0 or PM_ENOMEM. */
int report_text(struct buf *out, const struct report_facts *f);
int report_json(struct buf *out, const struct report_facts *f);
int report_html(struct buf *out, const struct report_facts *f);

#endif
