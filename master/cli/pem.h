/* SPDX-License-Identifier: MIT
 *
 * pem - does a file hold what --cacert, --cert and --key are for?
 *
 * Only the lines that begin its parts are read (RFC 7468), never the parts: TLS is
 * the workers' business.  But a name that was mistaken is found before the first job
 * and not by each of them.  Runs in: the master of the command, called by
 * master/cli/options_check.c.  Never prints.
 */
#ifndef MASTER_CLI_PEM_H
#define MASTER_CLI_PEM_H

enum pem_parts {
	PEM_CERTIFICATE = 1,
	PEM_KEY = 2,    /* a private one */
	PEM_LOCKED = 4, /* the key has a password */
};

/* What the file has of these; 0 also when it cannot be read. */
unsigned pem_parts(const char *path);

#endif
