/* SPDX-License-Identifier: MIT
 *
 * store - puts the text of an option's value into struct settings, by the kind
 * of its row.
 *
 * What a text means is said by master/cli/values.h; here is which fields it
 * fills.  Runs in: the master of the command, called by master/cli/assign.c.
 * Never prints, and never reads a file.
 */
#ifndef MASTER_CLI_STORE_H
#define MASTER_CLI_STORE_H

#include <stdbool.h>

#include "master/cli/options.h"
#include "master/cli/values.h"

/* `text` is the options' own, and may be cut into pieces here.  Returns 0;
 * PM_EINVAL with the reason in *why; PM_ENOMEM. */
int store_value(struct options *o, const struct option_row *row, char *text,
	struct value_error *why);

/* Has it any number of values, which come one by one?  Then forget them. */
bool store_is_list(const struct option_row *row);
void store_clear_list(struct options *o, const struct option_row *row);

#endif
