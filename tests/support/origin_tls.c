/* SPDX-License-Identifier: MIT
 *
 * origin_tls - the kinds of TLS ports, see origin_tls.h.
 *
 * Runs in: the origin.  Called by origin_listen.c.
 */
#include "tests/support/origin_tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct tls_kind tls_kinds[] = {
	{"good", IDENTITY_GOOD, false, false, H2_NONE},
	{"wrong-host", IDENTITY_WRONG_HOST, false, false, H2_NONE},
	{"expired", IDENTITY_EXPIRED, false, false, H2_NONE},
	{"self-signed", IDENTITY_SELF_SIGNED, false, false, H2_NONE},
	{"unknown-ca", IDENTITY_UNKNOWN_CA, false, false, H2_NONE},
	{"client", IDENTITY_GOOD, true, false, H2_NONE},
	{"no-sessions", IDENTITY_GOOD, false, true, H2_NONE},
	{"h2", IDENTITY_GOOD, false, false, H2_ANSWER},
	{"h2-refuse", IDENTITY_GOOD, false, false, H2_REFUSE},
	{"h2-reset", IDENTITY_GOOD, false, false, H2_RESET},
	{"h2-away", IDENTITY_GOOD, false, false, H2_AWAY},
	{"h2-bomb", IDENTITY_GOOD, false, false, H2_BOMB},
	{"h2-cut", IDENTITY_GOOD, false, false, H2_CUT},
	{NULL, IDENTITY_CA, false, false, H2_NONE},
};

struct tls {
	struct identity ca;
};

static void complain(const char *what)
{
	char why[256];
	ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
	fprintf(stderr, "origin: %s: %s\n", what, why);
}

static bool write_client(const struct tls *t, const char *dir)
{
	static const char both[] = "client-both.pem";
	struct identity client;
	bool good = identity_make(&client, IDENTITY_CLIENT, &t->ca) &&
		    identity_write(&client, dir, "client.pem", "client.key", NULL) &&
		    identity_write(&client, dir, both, both, NULL) &&
		    identity_write(&client, dir, NULL, "client-locked.key", "secret");
	identity_fini(&client);
	return good;
}

static bool write_stranger(const char *dir)
{
	static const char name[] = "stranger.pem";
	struct identity stranger;
	bool good = identity_make(&stranger, IDENTITY_UNKNOWN_CA, NULL) &&
		    identity_write(&stranger, dir, name, name, NULL);
	identity_fini(&stranger);
	return good;
}

struct tls *tls_open(const char *dir)
{
	struct tls *t = calloc(1, sizeof(*t));
	if (t && identity_make(&t->ca, IDENTITY_CA, NULL) &&
		identity_write(&t->ca, dir, "ca.pem", NULL, NULL) &&
		write_client(t, dir) && write_stranger(dir)) {
		return t;
	}
	complain("cannot make certificates");
	tls_close(t);
	return NULL;
}

void tls_close(struct tls *t)
{
	if (t) {
		identity_fini(&t->ca);
		free(t);
	}
}

/* The first of the client's that we have, too; it lists h2 first. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *ctx)
{
	static const unsigned char ours[] = "\2h2\10http/1.1";
	unsigned char *chosen;
	(void)ssl;
	(void)ctx;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in,
		    in_len) != OPENSSL_NPN_NEGOTIATED) {
		return SSL_TLSEXT_ERR_NOACK;
	}
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool want_client(SSL_CTX *context, const struct tls *t)
{
	SSL_CTX_set_verify(
		context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), t->ca.cert) &&
	       SSL_CTX_add_client_CA(context, t->ca.cert);
}

SSL_CTX *tls_context(struct tls *t, const struct tls_kind *kind)
{
	static const unsigned char id[] = "origin";
	struct identity own;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	bool good = identity_make(&own, kind->identity, &t->ca) && context &&
		    SSL_CTX_use_certificate(context, own.cert) &&
		    SSL_CTX_use_PrivateKey(context, own.key) &&
		    SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1) &&
		    (!kind->wants_client || want_client(context, t));
	identity_fini(&own);
	if (!good) {
		complain(kind->name);
		SSL_CTX_free(context);
		return NULL;
	}
	if (kind->forgets) {
		SSL_CTX_set_num_tickets(context, 0);
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	}
	if (kind->h2 != H2_NONE) {
		SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	}
	return context;
}
