/* SPDX-License-Identifier: MIT
 *
 * origin_certs - the certificates of the origin: an authority of its own, and
 * what it and others have signed, right and wrong.
 *
 * Runs in: the origin, before it serves.  Everything is made anew at each start,
 * so that no key is ever kept; what clients need is written into one directory.
 */
#include "tests/support/origin_tls.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#define DAY_S 86400L

/* What is different about a certificate. */
struct wish {
	const char *name;      /* of its subject */
	const char *alt_names; /* NULL: it is an authority */
	long from_s, to_s;     /* seconds from now */
};

static const struct wish ca_wish = {"origin CA", NULL, -DAY_S, DAY_S};
static const struct wish other_ca_wish = {"other CA", NULL, -DAY_S, DAY_S};
static const struct wish good_wish = {
	"localhost", "IP:127.0.0.1,DNS:localhost", -DAY_S, DAY_S};
static const struct wish wrong_host_wish = {
	"wrong.test", "DNS:wrong.test,IP:192.0.2.1", -DAY_S, DAY_S};
static const struct wish expired_wish = {
	"localhost", "IP:127.0.0.1,DNS:localhost", -3 * DAY_S, -DAY_S};
static const struct wish client_wish = {"client", "DNS:client.test", -DAY_S, DAY_S};

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool good = e && X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
	return good;
}

static bool add_extensions(X509 *cert, const struct wish *w)
{
	if (!w->alt_names) {
		return add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
		       add_extension(cert, NID_key_usage, "critical,keyCertSign");
	}
	return add_extension(cert, NID_basic_constraints, "CA:FALSE") &&
	       add_extension(cert, NID_subject_alt_name, w->alt_names);
}

static bool fill(X509 *cert, const struct wish *w, EVP_PKEY *key, const X509 *issuer)
{
	static long serial = 1;
	X509_NAME *name = X509_get_subject_name(cert);
	return X509_set_version(cert, X509_VERSION_3) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), w->from_s) &&
	       X509_gmtime_adj(X509_getm_notAfter(cert), w->to_s) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		       (const unsigned char *)w->name, -1, -1, 0) &&
	       X509_set_issuer_name(
		       cert, X509_get_subject_name(issuer ? issuer : cert)) &&
	       X509_set_pubkey(cert, key) && add_extensions(cert, w);
}

void identity_fini(struct identity *i)
{
	X509_free(i->cert);
	EVP_PKEY_free(i->key);
	*i = (struct identity){NULL, NULL};
}

/* `by` NULL: signed with its own key. */
static bool make(struct identity *i, const struct wish *w, const struct identity *by)
{
	i->key = EVP_EC_gen("P-256");
	i->cert = X509_new();
	return i->key && i->cert && fill(i->cert, w, i->key, by ? by->cert : NULL) &&
	       X509_sign(i->cert, by ? by->key : i->key, EVP_sha256());
}

static const struct wish *wish_of(enum identity_kind kind)
{
	switch (kind) {
	case IDENTITY_CA:
		return &ca_wish;
	case IDENTITY_OTHER_CA:
		return &other_ca_wish;
	case IDENTITY_WRONG_HOST:
		return &wrong_host_wish;
	case IDENTITY_EXPIRED:
		return &expired_wish;
	case IDENTITY_CLIENT:
		return &client_wish;
	default:
		return &good_wish;
	}
}

bool identity_make(
	struct identity *i, enum identity_kind kind, const struct identity *ca)
{
	*i = (struct identity){NULL, NULL};
	bool alone = kind == IDENTITY_CA || kind == IDENTITY_OTHER_CA ||
		     kind == IDENTITY_SELF_SIGNED;
	if (kind != IDENTITY_UNKNOWN_CA) {
		return make(i, wish_of(kind), alone ? NULL : ca);
	}
	struct identity other;
	bool good = identity_make(&other, IDENTITY_OTHER_CA, NULL) &&
		    make(i, wish_of(kind), &other);
	identity_fini(&other);
	return good;
}

/* ---------------------------------------------------------------------- files */

static FILE *create(const char *dir, const char *name)
{
	char path[4096];
	int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (len < 0 || (size_t)len >= sizeof(path)) {
		return NULL;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

bool identity_write(const struct identity *i, const char *dir, const char *cert_name,
	const char *key_name, const char *password)
{
	FILE *f = cert_name ? create(dir, cert_name) : NULL;
	bool good = !cert_name || (f && PEM_write_X509(f, i->cert));
	if (f && key_name == cert_name) {
		good = good &&
		       PEM_write_PrivateKey(f, i->key, NULL, NULL, 0, NULL, NULL);
		key_name = NULL;
	}
	good = (!f || fclose(f) == 0) && good;
	if (!good || !key_name) {
		return good;
	}
	f = create(dir, key_name);
	good = f && PEM_write_PrivateKey(f, i->key, password ? EVP_aes_128_cbc() : NULL,
			    NULL, 0, NULL, (void *)(uintptr_t)password);
	return (!f || fclose(f) == 0) && good;
}
