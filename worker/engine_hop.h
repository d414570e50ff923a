/* SPDX-License-Identifier: MIT
 *
 * engine_hop - what URLs and redirects say of where to connect.  Private to the libcurl
 * engine.
 *
 * Runs in: the worker.  Called by engine_route.c and engine_receive.c.
 */
#ifndef WORKER_ENGINE_HOP_H
#define WORKER_ENGINE_HOP_H

#include "worker/engine_route.h"

/* Host and port of a URL as libcurl reads it: an address in its usual spelling, a
 * name in ASCII.  `host` has ROUTE_HOST_MAX + 1 bytes.  0 or PM_EBADURL: it is none,
 * or the host is an address with a zone, which is there then, without it. */
int hop_parse(CURLU *parser, const char *url, char *host, uint16_t *port);

#endif
