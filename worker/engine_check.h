/* SPDX-License-Identifier: MIT
 *
 * engine_check - what a request must be like before an engine sees it.
 *
 * Runs in: the worker.  Called by the engine at the start of a transfer, and
 * when a session is made; local_address_check() by tcp_connect.c, too.
 * Plain functions of plain data; the first thing wrong is the answer.
 */
#ifndef WORKER_ENGINE_CHECK_H
#define WORKER_ENGINE_CHECK_H

#include "common/poolmap.h"

/* Limits of a request, beyond which it is refused. */
enum {
	REQUEST_URL_MAX = 65536,               /* bytes of the URL: PM_EBADURL */
	REQUEST_METHOD_MAX = 32,               /* bytes of the method: PM_EINVAL */
	REQUEST_HEADERS_MAX = 1000,            /* headers: PM_EINVAL */
	REQUEST_HEADER_BYTES_MAX = 256 * 1024, /* all of them: PM_EINVAL */
	REQUEST_CREDENTIAL_MAX = 16384,        /* bytes of each: PM_EINVAL */
	REQUEST_INTERFACE_MAX = 15,            /* bytes of the name: PM_EINVAL */
};

/* What the check learned on the way. */
struct request_facts {
	uint32_t host_hash;  /* of the host name, whatever its case */
	size_t header_bytes; /* names and values */
	const char *host; /* in the URL, if libcurl writes it the same way, or NULL */
	size_t host_len;
	uint16_t port; /* with such a host */
};

/* Returns 0; PM_EBADURL, PM_ESCHEME or PM_EINVAL, and *failure says why. */
int request_check(const struct pm_request *request, struct request_facts *facts,
	struct pm_failure *failure);

/* Parts of it, for what sessions have in common with requests.  `proxy` and `text`
 * are not NULL; "env" is one.  PM_EBADURL or PM_ESCHEME for a URL, PM_EINVAL for the
 * others. */
int url_check(const char *url, uint32_t *host_hash, struct pm_failure *failure);
int headers_check(const struct pm_header *headers, size_t ct, size_t *bytes,
	struct pm_failure *failure);
int credentials_check(
	const char *user, const char *password, struct pm_failure *failure);
int proxy_check(const char *proxy, struct pm_failure *failure);
int cert_check(const char *cert, const char *key, struct pm_failure *failure);
int local_address_check(const char *text, struct pm_failure *failure);

/* Is it the word for what the environment says? */
bool proxy_is_env(const char *proxy);

/* Is `name` the name of one of them? */
bool headers_have(const struct pm_header *headers, size_t ct, const char *name);

/* The method it stands for: its own, or the default. */
const char *request_method(const struct pm_request *request);

#endif
