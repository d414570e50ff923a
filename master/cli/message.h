/* SPDX-License-Identifier: MIT
 *
 * message - what the command says to people, and the exit codes it ends with.
 *
 * Writes lines of the form `poolmap: WHAT: WHY` to standard error.  Runs in the
 * master of the command; called by every file of master/cli/.  What comes from
 * outside (paths, job lines, texts of libraries) may hold anything: control
 * characters are escaped here, so that no message can steer a terminal or pose
 * as two lines.
 *
 * The rule of master/cli/: who finds an error prints it, once, and returns the
 * exit code; who gets an exit code passes it on and prints nothing.
 *
 * Must never: fail, allocate, or end the process.
 */
#ifndef MASTER_CLI_MESSAGE_H
#define MASTER_CLI_MESSAGE_H

#include <stdarg.h>
#include <stdint.h>

/* Exit codes of `poolmap run`; part of the contract of the command line. */
enum exit_code {
	EXIT_USAGE = 2,    /* nothing was fetched or written */
	EXIT_INPUT = 3,    /* the job file cannot be read (any more) */
	EXIT_OUTPUT = 4,   /* the results cannot be written */
	EXIT_WORKERS = 5,  /* workers cannot run, or there is no memory */
	EXIT_MISMATCH = 6, /* output in use, or not of this job file */
	EXIT_HALTED = 7,   /* stopped by --halt or --max-time */
};

/* Longest line that is written, so that one write(2) to a pipe is whole; and
 * the most of it that WHAT may take.  A longer text ends in "...". */
enum { MESSAGE_MAX = 4096, MESSAGE_WHAT_MAX = 1536 };

/* What takes a progress line off the terminal: called before each message.
 * NULL, as at the start: nothing does. */
void message_before(void (*clear)(void *ctx), void *ctx);

/* poolmap: WHAT: WHY */
void message_print(const char *what, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* poolmap: WHAT:LINE: WHY */
void message_at(const char *what, uint64_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* poolmap: WHAT: text of the errno value */
void message_errno(const char *what, int error);

#endif
