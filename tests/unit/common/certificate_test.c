/* SPDX-License-Identifier: MIT */
/*
 * certificate_test.c - what is issued is judged by the openssl program, which shares nothing but libcrypto with squall.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "clock.h"
#include "err.h"
#include "exec.h"
#include "file.h"

static char folder[] = "/tmp/squall-certificate-XXXXXX", authority[64];

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(authority, sizeof authority, "%s/ca", folder);
	cr_assert_eq(certificate_authority(authority, NULL), 0);
}

static void tear_down(void)
{
	(void)file_remove_tree(folder, NULL);
}

TestSuite(certificate, .init = set_up, .fini = tear_down);

static const char *in(const char *name)
{
	static char path[4][128];
	static int turn;

	turn = (turn + 1) % 4;
	(void)snprintf(path[turn], sizeof path[0], "%s/%s", folder, name);
	return path[turn];
}

static void issue(const char *name, enum certificate_use use, const char *address)
{
	struct err err = ERR_INIT;

	cr_assert_eq(certificate_issue(authority, name, use, address, in(name), &err), 0, "%s", err.text);
}

/* What `openssl verify` thinks of it, with the list of withdrawn certificates. */
static int openssl_verify(const char *purpose, const char *certificate)
{
	const char *const argv[] = { "/usr/bin/openssl", "verify", "-x509_strict", "-crl_check", "-purpose", purpose, "-CAfile", in("ca/ca.pem"), "-CRLfile",
				     in("ca/crl.pem"), in(certificate), NULL };

	return exec_check(argv, NULL, 10 * NS_PER_S, NULL);
}

Test(certificate, a_client_s_is_valid_for_a_client_alone)
{
	issue("client-1", CERTIFICATE_CLIENT, NULL);
	cr_assert_eq(openssl_verify("sslclient", "client-1/cert.pem"), 0);
	cr_assert_neq(openssl_verify("sslserver", "client-1/cert.pem"), 0);
}

static bool is_at(const char *address)
{
	const char *const at[] = { "/usr/bin/openssl", "x509", "-noout", "-checkip", address, "-in", in("broker/cert.pem"), NULL };
	struct exec_result result = EXEC_RESULT_INIT;
	bool is;

	cr_assert_eq(exec_run(at, NULL, 10 * NS_PER_S, &result, NULL), 0);
	is = strstr(result.out, "does match") != NULL;
	exec_result_release(&result);
	return is;
}

Test(certificate, a_server_s_is_valid_for_a_server_alone_at_its_addresses)
{
	issue("broker", CERTIFICATE_SERVER, "192.0.2.7,198.51.100.3");
	cr_assert_eq(openssl_verify("sslserver", "broker/cert.pem"), 0);
	cr_assert_neq(openssl_verify("sslclient", "broker/cert.pem"), 0);
	cr_assert(is_at("192.0.2.7") && is_at("198.51.100.3") && !is_at("192.0.2.3"));
}

Test(certificate, what_is_withdrawn_is_refused_and_nothing_else)
{
	struct err err = ERR_INIT;

	issue("client-1", CERTIFICATE_CLIENT, NULL);
	issue("client-2", CERTIFICATE_CLIENT, NULL);
	issue("client-3", CERTIFICATE_CLIENT, NULL);
	for (int turn = 0; turn < 2; turn++)	/* once more is fine */
		cr_assert_eq(certificate_revoke(authority, in("client-1"), &err), 0, "%s", err.text);
	cr_assert_eq(certificate_revoke(authority, in("client-3"), &err), 0, "%s", err.text);
	cr_assert_neq(openssl_verify("sslclient", "client-1/cert.pem"), 0);
	cr_assert_eq(openssl_verify("sslclient", "client-2/cert.pem"), 0);
	cr_assert_neq(openssl_verify("sslclient", "client-3/cert.pem"), 0);
}

Test(certificate, keys_are_for_their_owner_alone)
{
	struct stat st;

	issue("client-1", CERTIFICATE_CLIENT, NULL);
	cr_assert_eq(stat(in("client-1/key.pem"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(stat(in("ca/ca.key"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(certificate, a_name_that_would_be_another_topic_or_path_is_refused)
{
	static const char *const names[] = { "", "#", "+", "a/b", "..", "A", "a b", "123456789012345678901234567890123" };
	struct err err = ERR_INIT;
	char name[CERTIFICATE_NAME_BYTES];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		cr_assert_eq(certificate_issue(authority, names[i], CERTIFICATE_CLIENT, NULL, in("x"), &err), -EINVAL, "%s", names[i]);
	issue("12345678901234567890123456789012", CERTIFICATE_CLIENT, NULL);
	cr_assert_eq(certificate_name(in("12345678901234567890123456789012"), name, &err), 0);
	cr_assert_str_eq(name, "12345678901234567890123456789012");
}

Test(certificate, an_authority_is_never_replaced)
{
	struct err err = ERR_INIT;

	cr_assert_eq(certificate_authority(authority, &err), -EEXIST);
	cr_assert_not_null(strstr(err.text, authority));
}
