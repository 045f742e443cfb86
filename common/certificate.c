/* SPDX-License-Identifier: MIT */
/*
 * certificate.c - X.509 by libcrypto. Every file is written whole or not at all.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "certificate.h"
#include "err.h"
#include "file.h"

#define HOUR (3600L)
#define YEAR (365 * 24 * HOUR)
#define AUTHORITY_YEARS 10
#define PEM_BYTES_MAX (1u << 20)
#define PATH_BYTES 512

bool certificate_name_is_fine(const char *name)
{
	size_t bytes = strlen(name);

	return bytes >= 1 && bytes < CERTIFICATE_NAME_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == bytes;
}

/* What libcrypto says of its last failure, in a sentence. */
static int failed(struct err *err, const char *what)
{
	unsigned long code = ERR_peek_last_error();

	ERR_clear_error();
	return err_set(err, -EIO, "certificate: %s: %s", what, code ? ERR_reason_error_string(code) : "libcrypto failed");
}

static int write_pem(const char *folder, const char *name, mode_t mode, BIO *pem, struct err *err)
{
	char path[PATH_BYTES];
	char *text = NULL;
	long bytes = BIO_get_mem_data(pem, &text);

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	return bytes > 0 ? file_write(path, text, (size_t)bytes, mode, err) : failed(err, path);
}

static int write_key(const char *folder, const char *name, EVP_PKEY *key, struct err *err)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int rc = pem && PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) ? write_pem(folder, name, 0600, pem, err) : failed(err, name);

	BIO_free(pem);
	return rc;
}

static int write_certificate(const char *folder, const char *name, X509 *x, struct err *err)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int rc = pem && PEM_write_bio_X509(pem, x) ? write_pem(folder, name, 0644, pem, err) : failed(err, name);

	BIO_free(pem);
	return rc;
}

static int write_revoked(const char *folder, X509_CRL *crl, struct err *err)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int rc = pem && PEM_write_bio_X509_CRL(pem, crl) ? write_pem(folder, "crl.pem", 0644, pem, err) : failed(err, "crl.pem");

	BIO_free(pem);
	return rc;
}

static int read_pem(const char *folder, const char *name, BIO **ret, struct err *err)
{
	char path[PATH_BYTES], *text = NULL;
	size_t bytes = 0;
	int rc;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	rc = file_read(path, PEM_BYTES_MAX, &text, &bytes, err);
	if (rc < 0)
		return rc;
	*ret = BIO_new(BIO_s_mem());
	if (!*ret || BIO_write(*ret, text, (int)bytes) != (int)bytes)
		rc = err_set(err, -ENOMEM, "%s: no memory", path);
	OPENSSL_cleanse(text, bytes);
	free(text);
	return rc;
}

static int read_certificate(const char *folder, const char *name, X509 **ret, struct err *err)
{
	BIO *pem = NULL;
	int rc = read_pem(folder, name, &pem, err);

	if (rc == 0) {
		*ret = PEM_read_bio_X509(pem, NULL, NULL, NULL);
		if (!*ret)
			rc = err_set(err, -EBADMSG, "%s/%s: this is no certificate", folder, name);
	}
	BIO_free(pem);
	ERR_clear_error();
	return rc;
}

struct authority {
	X509 *certificate;
	EVP_PKEY *key;
};

static void authority_release(struct authority *a)
{
	X509_free(a->certificate);
	EVP_PKEY_free(a->key);
}

static int read_key(const char *folder, const char *name, EVP_PKEY **ret, struct err *err)
{
	BIO *pem = NULL;
	int rc = read_pem(folder, name, &pem, err);

	if (rc == 0) {
		*ret = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
		if (!*ret)
			rc = err_set(err, -EBADMSG, "%s/%s: this is no key", folder, name);
	}
	BIO_free(pem);
	ERR_clear_error();
	return rc;
}

static int authority_load(const char *folder, struct authority *ret, struct err *err)
{
	int rc = read_certificate(folder, "ca.pem", &ret->certificate, err);

	if (rc == 0)
		rc = read_key(folder, "ca.key", &ret->key, err);
	if (rc == 0 && X509_check_private_key(ret->certificate, ret->key) != 1)
		rc = err_set(err, -EBADMSG, "%s/ca.key: this is not the key of ca.pem", folder);
	ERR_clear_error();
	return rc;
}

static bool extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool fine;

	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	fine = extension && X509_add_ext(x, extension, -1);
	X509_EXTENSION_free(extension);
	return fine;
}

static bool set_serial(X509 *x)
{
	unsigned char bytes[16];
	BIGNUM *number = NULL;
	bool fine;

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);	/* positive, and always as long */
	number = BN_bin2bn(bytes, sizeof bytes, NULL);
	fine = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	return fine;
}

/* Without extensions and signature. It is valid from an hour ago: the clocks of a fleet differ. */
static X509 *certificate_new(const char *name, EVP_PKEY *key, const X509_NAME *issuer, long seconds)
{
	X509 *x = X509_new();

	if (x && X509_set_version(x, X509_VERSION_3) && set_serial(x) && X509_gmtime_adj(X509_getm_notBefore(x), -HOUR) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), seconds) && X509_set_pubkey(x, key) &&
	    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) &&
	    X509_set_issuer_name(x, issuer ? issuer : X509_get_subject_name(x)))
		return x;
	X509_free(x);
	return NULL;
}

/* Signed anew: everything that is withdrawn, and when. A list that has run out would keep everybody out, so it is valid as long as the authority. */
static int sign_revoked(const char *folder, const struct authority *a, X509_CRL *crl, struct err *err)
{
	ASN1_TIME *now = X509_gmtime_adj(NULL, -HOUR), *then = X509_gmtime_adj(NULL, AUTHORITY_YEARS * YEAR);
	int rc;

	if (now && then && X509_CRL_set_version(crl, X509_CRL_VERSION_2) && X509_CRL_set_issuer_name(crl, X509_get_subject_name(a->certificate)) &&
	    X509_CRL_set1_lastUpdate(crl, now) && X509_CRL_set1_nextUpdate(crl, then) && X509_CRL_sort(crl) && X509_CRL_sign(crl, a->key, NULL) > 0)
		rc = write_revoked(folder, crl, err);
	else
		rc = failed(err, "the list of withdrawn certificates");
	ASN1_TIME_free(now);
	ASN1_TIME_free(then);
	return rc;
}

int certificate_authority(const char *folder, struct err *err)
{
	struct authority a = { .key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	X509_CRL *crl = X509_CRL_new();
	char path[PATH_BYTES];
	struct stat st;
	int rc = 0;

	(void)snprintf(path, sizeof path, "%s/ca.key", folder);
	if (lstat(path, &st) == 0)
		rc = err_set(err, -EEXIST, "%s: there is an authority already", folder);
	if (rc == 0)
		a.certificate = a.key ? certificate_new("squall", a.key, NULL, AUTHORITY_YEARS * YEAR) : NULL;
	if (rc == 0 && !(crl && a.certificate && extend(a.certificate, a.certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
			 extend(a.certificate, a.certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
			 extend(a.certificate, a.certificate, NID_subject_key_identifier, "hash") && X509_sign(a.certificate, a.key, NULL) > 0))
		rc = failed(err, "the authority");
	if (rc == 0)
		rc = file_mkdirs(folder, 0700, err);
	if (rc == 0)
		rc = write_certificate(folder, "ca.pem", a.certificate, err);
	if (rc == 0)
		rc = sign_revoked(folder, &a, crl, err);
	if (rc == 0)
		rc = write_key(folder, "ca.key", a.key, err);
	X509_CRL_free(crl);
	authority_release(&a);
	return rc;
}

/* As libcrypto reads them: "IP:A,IP:B". One that is cut off is no address. */
static void name_addresses(const char *addresses, char *ret, size_t bytes)
{
	size_t used = 0;

	for (const char *next = addresses; next && used < bytes; next = strchr(next, ',') ? strchr(next, ',') + 1 : NULL)
		used += (size_t)snprintf(ret + used, bytes - used, "%sIP:%.*s", used > 0 ? "," : "", (int)strcspn(next, ","), next);
}

int certificate_issue(const char *authority, const char *name, enum certificate_use use, const char *addresses, const char *identity, struct err *err)
{
	struct authority a = { 0 };
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	char alternative[128];
	int rc;

	if (!certificate_name_is_fine(name))
		return err_set(err, -EINVAL, "the name '%s' is not fit for a certificate; take 1 to 32 of a to z, 0 to 9 and -", name);
	rc = authority_load(authority, &a, err);
	if (rc < 0)
		goto out;
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	x = key ? certificate_new(name, key, X509_get_subject_name(a.certificate), YEAR) : NULL;
	name_addresses(addresses ? addresses : "", alternative, sizeof alternative);
	if (!x || !extend(x, a.certificate, NID_basic_constraints, "critical,CA:FALSE") || !extend(x, a.certificate, NID_key_usage, "critical,digitalSignature") ||
	    !extend(x, a.certificate, NID_ext_key_usage, use == CERTIFICATE_SERVER ? "serverAuth" : "clientAuth") ||
	    (addresses && !extend(x, a.certificate, NID_subject_alt_name, alternative)) || !extend(x, a.certificate, NID_subject_key_identifier, "hash") ||
	    !extend(x, a.certificate, NID_authority_key_identifier, "keyid") || X509_sign(x, a.key, NULL) <= 0) {
		rc = failed(err, name);
		goto out;
	}
	rc = file_mkdirs(identity, 0700, err);
	if (rc == 0)
		rc = write_key(identity, "key.pem", key, err);
	if (rc == 0)
		rc = write_certificate(identity, "ca.pem", a.certificate, err);
	if (rc == 0)
		rc = write_certificate(identity, "cert.pem", x, err);
out:
	X509_free(x);
	EVP_PKEY_free(key);
	authority_release(&a);
	return rc;
}

static bool add_revoked(X509_CRL *crl, X509 *x)
{
	X509_REVOKED *revoked = X509_REVOKED_new(), *there = NULL;
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	bool fine = revoked && now;

	if (fine && X509_CRL_get0_by_cert(crl, &there, x) == 0) {
		fine = X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(x)) && X509_REVOKED_set_revocationDate(revoked, now) &&
		       X509_CRL_add0_revoked(crl, revoked);
		if (fine)
			revoked = NULL;		/* it is the list's */
	}
	X509_REVOKED_free(revoked);
	ASN1_TIME_free(now);
	return fine;
}

int certificate_revoke(const char *authority, const char *identity, struct err *err)
{
	struct authority a = { 0 };
	X509_CRL *crl = NULL;
	X509 *x = NULL;
	BIO *pem = NULL;
	int rc = read_certificate(identity, "cert.pem", &x, err);

	if (rc == 0)
		rc = authority_load(authority, &a, err);
	if (rc == 0)
		rc = read_pem(authority, "crl.pem", &pem, err);
	if (rc == 0) {
		crl = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL);
		if (!crl)
			rc = err_set(err, -EBADMSG, "%s/crl.pem: this is no list of withdrawn certificates", authority);
	}
	if (rc == 0)
		rc = add_revoked(crl, x) ? sign_revoked(authority, &a, crl, err) : failed(err, identity);
	BIO_free(pem);
	X509_free(x);
	X509_CRL_free(crl);
	authority_release(&a);
	return rc;
}

int certificate_name(const char *identity, char ret_name[CERTIFICATE_NAME_BYTES], struct err *err)
{
	X509 *x = NULL;
	int rc = read_certificate(identity, "cert.pem", &x, err);
	char name[CERTIFICATE_NAME_BYTES + 1];

	if (rc < 0)
		return rc;
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name) > 0 && certificate_name_is_fine(name))
		memcpy(ret_name, name, CERTIFICATE_NAME_BYTES);
	else
		rc = err_set(err, -EBADMSG, "%s/cert.pem: its name is not one of squall's", identity);
	X509_free(x);
	return rc;
}

int certificate_key(const char *identity, EVP_PKEY **ret, struct err *err)
{
	return read_key(identity, "key.pem", ret, err);
}

int certificate_pin(const char *of, const char *identity, struct err *err)
{
	X509 *x = NULL;
	int rc = read_certificate(of, "cert.pem", &x, err);

	if (rc == 0)
		rc = write_certificate(identity, "coordinator.pem", x, err);
	X509_free(x);
	return rc;
}

int certificate_pinned(const char *identity, EVP_PKEY **ret, struct err *err)
{
	X509 *x = NULL;
	int rc = read_certificate(identity, "coordinator.pem", &x, err);

	if (rc == 0) {
		*ret = X509_get_pubkey(x);
		if (!*ret || EVP_PKEY_get_id(*ret) != EVP_PKEY_ED25519)
			rc = err_set(err, -EBADMSG, "%s/coordinator.pem: its key is not one of squall's", identity);
	}
	X509_free(x);
	return rc;
}
