/* SPDX-License-Identifier: MIT
 *
 * session - what the requests of a pm_session have in common.
 *
 * Runs in: the worker; a session that a program makes before it starts workers
 * is part of their image, and works there, too.  Read by compose.c, which makes
 * it part of a request, and by the engine, which needs the jar.
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include "common/poolmap.h"

struct engine_jar;

/* Its options, copied and good: base_url does not end with '/'. */
const struct pm_session_options *session_options(const struct pm_session *session);

/* Its cookies; NULL: it keeps none. */
struct engine_jar *session_jar(const struct pm_session *session);

/* The worker ends: free the sessions that nobody has freed. */
void session_fini(void);

#endif
