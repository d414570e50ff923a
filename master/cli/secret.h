/* SPDX-License-Identifier: MIT
 *
 * secret - what of a command line is not shown again: logs are read by many.
 *
 * Runs in: the master of the command, for `poolmap config`, messages and commands
 * that are advised.  Pure.
 */
#ifndef MASTER_CLI_SECRET_H
#define MASTER_CLI_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Has the value of --header, --proxy, --data a secret in it? */
bool secret_header(const char *text);
bool secret_proxy(const char *text);
bool secret_data(const char *text);

/* Where a URL has "USER:PASSWORD@", and how long that is; 0: it has none. */
size_t secret_user(const char *url, size_t *at);

#endif
