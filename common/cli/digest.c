/* SPDX-License-Identifier: MIT
 *
 * digest - see digest.h.
 *
 * Once the algorithm is found and the context is there, libcrypto has nothing
 * left to fail of: that is asserted.
 */
#include "common/cli/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/poolmap.h"

/* Looked up once in a process: that takes longer than the digest of a page. */
static EVP_MD *algorithm;

int digest_start(struct digest *d)
{
	/* When libcrypto has no memory for its own beginnings, a fetch does not fail:
	 * it dereferences NULL.  This question does not. */
	if (!algorithm && OSSL_LIB_CTX_get0_global_default()) {
		algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	}
	if (algorithm && !d->context) {
		d->context = EVP_MD_CTX_new();
	}
	return algorithm && d->context &&
			       EVP_DigestInit_ex2(d->context, algorithm, NULL) == 1
		       ? 0
		       : PM_ENOMEM;
}

void digest_add(struct digest *d, const void *bytes, size_t len)
{
	int ok = EVP_DigestUpdate(d->context, bytes, len);
	assert(ok == 1);
	(void)ok;
}

void digest_end(struct digest *d, char hex[DIGEST_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[DIGEST_HEX_LEN / 2];
	int ok = EVP_DigestFinal_ex(d->context, raw, NULL);
	assert(ok == 1);
	(void)ok;
	for (size_t i = 0; i < sizeof raw; i++) {
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	hex[DIGEST_HEX_LEN] = '\0';
}

void digest_fini(struct digest *d)
{
	EVP_MD_CTX_free(d->context);
	d->context = NULL;
}
