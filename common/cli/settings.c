/* SPDX-License-Identifier: MIT
 *
 * settings - the one instance, see settings.h.
 */
#include "common/cli/settings.h"

struct settings settings;
