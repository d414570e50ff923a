/* SPDX-License-Identifier: MIT
 *
 * json_load - see json_load.h.
 */
#include "common/cli/json_load.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/poolmap.h"

static _Thread_local bool refused;

static void *allocate(size_t size)
{
	void *p = malloc(size);
	refused = refused || !p;
	return p;
}

int json_load(
	json_t **root, const char *text, size_t len, size_t flags, json_error_t *why)
{
	json_set_alloc_funcs(allocate, free);
	refused = false;
	json_t *loaded = json_loadb(text, len, flags, why);
	if (refused) {
		json_decref(loaded);
		return PM_ENOMEM;
	}
	if (!loaded) {
		return PM_EINVAL;
	}
	*root = loaded;
	return 0;
}
