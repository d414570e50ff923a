/* SPDX-License-Identifier: MIT
 *
 * report - the command `poolmap report`: what came of the jobs whose results are in
 * a file.
 *
 *	report_source.c  the bytes of the file, unpacked
 *	report_lines.c   its whole lines: JSON Lines, or rows of CSV (report_rows.c)
 *	report_read.c    what a line says
 *	report_facts.c   what all lines say together; report_hosts.c, host by host
 *	report_words.c   how text of strangers is written
 *	report_text.c, report_json.c, report_html.c, report_chart.c  the reports
 *
 * Runs in: the master of the command, which needs neither workers nor a loop for it.
 * Memory does not grow with the file.  Must never: write to the results, or lock
 * them; a run may be writing them.
 */
#ifndef MASTER_CLI_REPORT_H
#define MASTER_CLI_REPORT_H

#include "master/cli/options.h"

/* Make the report that the options ask for.  Returns the exit code; what went wrong
 * is printed. */
int report_command(const struct options *options);

#endif
