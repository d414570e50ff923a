/* SPDX-License-Identifier: MIT
 *
 * origin_tls - the TLS side of the origin: one port for each thing that a
 * certificate, or a server of HTTP/2, can be.
 *
 * Runs in: the origin, when it is started with --tls DIR.
 *
 *   origin_certs.c  authorities and certificates, made at each start
 *   origin_tls.c    the kinds of ports, and their contexts
 *   origin_h2.c     as much of HTTP/2 as it takes to answer a request
 */
#ifndef TESTS_SUPPORT_ORIGIN_TLS_H
#define TESTS_SUPPORT_ORIGIN_TLS_H

#include <openssl/ssl.h>

#include "tests/support/origin.h"

/* --------------------------------------------------------------- certificates */

struct identity {
	X509 *cert;
	EVP_PKEY *key;
};

enum identity_kind {
	IDENTITY_CA,
	IDENTITY_OTHER_CA,
	IDENTITY_GOOD, /* for 127.0.0.1 and localhost */
	IDENTITY_WRONG_HOST,
	IDENTITY_EXPIRED,
	IDENTITY_SELF_SIGNED,
	IDENTITY_UNKNOWN_CA,
	IDENTITY_CLIENT,
};

/* False: OpenSSL refused something; identity_fini() is needed all the same. */
bool identity_make(
	struct identity *i, enum identity_kind kind, const struct identity *ca);
void identity_fini(struct identity *i);

/* As PEM files in `dir`.  The same pointer for both names: one file.  A name that is
 * NULL: not that one. */
bool identity_write(const struct identity *i, const char *dir, const char *cert_name,
	const char *key_name, const char *password);

/* ---------------------------------------------------------------------- ports */

/* What a server of HTTP/2 does with a stream. */
enum h2_manner {
	H2_NONE, /* it speaks HTTP/1.1 */
	H2_ANSWER,
	H2_REFUSE, /* the first one of all: REFUSED_STREAM */
	H2_RESET,  /* every one: INTERNAL_ERROR */
	H2_AWAY,   /* the first one of all: GOAWAY, it was not looked at */
	H2_BOMB,   /* a head of 48 MB in one frame of 16 KiB */
	H2_CUT,    /* half an answer, and the end of the connection */
};

struct tls_kind {
	const char *name;
	enum identity_kind identity;
	bool wants_client;
	bool forgets; /* no session is ever resumed */
	enum h2_manner h2;
};

/* Ends with a name that is NULL. */
extern const struct tls_kind tls_kinds[];

/* What all ports share.  ca.pem, client.pem, client.key, client-both.pem (certificate
 * and key), client-locked.key (its password is "secret") and stranger.pem (of an
 * unknown authority, with its key) are written into `dir`.  NULL after a message. */
struct tls *tls_open(const char *dir);
void tls_close(struct tls *t);

/* NULL after a message. */
SSL_CTX *tls_context(struct tls *t, const struct tls_kind *kind);

/* ---------------------------------------------------------------- connections */

/* A connection of a TLS port. */
struct conn *conn_open_tls(
	struct server *s, evutil_socket_t fd, SSL_CTX *context, enum h2_manner manner);

/* HTTP/2: called when the handshake is over, and when something has arrived. */
void h2_begin(struct conn *c);
void h2_read(struct conn *c);

#endif
