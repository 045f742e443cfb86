/* SPDX-License-Identifier: MIT */
/*
 * rpcs_test.c - what debugfs says of RPCs in flight, as Linux 6.1 writes it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../include/file.h"
#include "../../../loadgen/rpcs.h"

static char dir[64];

static void put(const char *client, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/sunrpc/rpc_clnt/%s/xprt", dir, client);
	cr_assert_eq(file_mkdirs(path, 0755, NULL), 0);
	(void)snprintf(path, sizeof path, "%s/sunrpc/rpc_clnt/%s/%s", dir, client, name);
	cr_assert_eq(file_write(path, text, strlen(text), 0644, NULL), 0);
}

static void init(void)
{
	memcpy(dir, "/tmp/squall-rpcs-XXXXXX", sizeof "/tmp/squall-rpcs-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void fini(void)
{
	cr_assert_eq(file_remove_tree(dir, NULL), 0);
}

static const char *text(const json_t *rpc, const char *key)
{
	return json_string_value(json_object_get(rpc, key));
}

Test(rpcs, each_is_told_with_its_server_and_what_it_waits_for, .init = init, .fini = fini)
{
	const json_t *first, *rpc;
	json_t *rpcs;

	put("4", "xprt/info", "netid: tcp\naddr:  10.0.1.11\nport:  2049\nstate: 0x6\nnetns: 4026531840\n");
	put("4", "tasks",
	    "   42 0801      0 0x4 0x9a3c51d0    60000 nfs_pgio_common_ops [nfs] nfsv3 READ a:call_status [sunrpc] q:xprt_pending\n"
	    "   43 0801    -11 0x4 0x1d0        0 nfs3_proc_ops nfsv3 GETATTR a:call_reserveresult q:none\n"
	    "   44 2801      0 0x4 0x0        0 rpc_default_ops [sunrpc] nfsv4 no proc a:rpc_prepare_task [sunrpc] q:ForeChannel Slot table\n"
	    "a line of another kernel\n");
	rpcs = rpcs_in_flight(dir);
	cr_assert_not_null(rpcs);
	first = json_object_get(rpcs, "first");
	cr_assert_eq(json_integer_value(json_object_get(rpcs, "nr")), 3);
	cr_assert_eq(json_array_size(first), 3);
	rpc = json_array_get(first, 0);
	cr_expect_str_eq(text(rpc, "server"), "10.0.1.11");
	cr_expect_str_eq(text(rpc, "rpc"), "nfsv3 READ");
	cr_expect_str_eq(text(rpc, "xid"), "0x9a3c51d0");
	cr_expect_str_eq(text(rpc, "action"), "call_status");
	cr_expect_str_eq(text(rpc, "queue"), "xprt_pending");
	cr_expect_eq(json_integer_value(json_object_get(rpc, "status")), 0);
	rpc = json_array_get(first, 1);
	cr_expect_str_eq(text(rpc, "rpc"), "nfsv3 GETATTR");
	cr_expect_str_eq(text(rpc, "xid"), "0x000001d0");
	cr_expect_str_eq(text(rpc, "queue"), "none");
	cr_expect_eq(json_integer_value(json_object_get(rpc, "status")), -11);
	rpc = json_array_get(first, 2);
	cr_expect_str_eq(text(rpc, "rpc"), "nfsv4 no proc");
	cr_expect_str_eq(text(rpc, "action"), "rpc_prepare_task");
	cr_expect_str_eq(text(rpc, "queue"), "ForeChannel Slot table");
	json_decref(rpcs);
}

Test(rpcs, of_very_many_all_are_counted_and_the_first_are_told, .init = init, .fini = fini)
{
	size_t bytes = 1000 * 128;
	char *tasks = calloc(1, bytes), *at = tasks;
	json_t *rpcs;

	for (int i = 0; i < 1000; i++)
		at += snprintf(at, bytes - (size_t)(at - tasks),
			       "%5d 0801      0 0x1 0x%x    60000 nfs_pgio_common_ops [nfs] nfsv3 READ a:call_status [sunrpc] q:xprt_backlog\n", i, i);
	put("1", "tasks", tasks);
	rpcs = rpcs_in_flight(dir);
	cr_assert_eq(json_integer_value(json_object_get(rpcs, "nr")), 1000);
	cr_assert_eq(json_array_size(json_object_get(rpcs, "first")), RPCS_TOLD_MAX);
	cr_expect_str_eq(text(json_array_get(json_object_get(rpcs, "first"), 255), "xid"), "0x000000ff");
	cr_expect_str_eq(text(json_array_get(json_object_get(rpcs, "first"), 0), "server"), "");
	json_decref(rpcs);
	free(tasks);
}

Test(rpcs, where_there_are_none_or_nothing_can_be_read_nothing_is_said, .init = init, .fini = fini)
{
	cr_assert_null(rpcs_in_flight(dir));
	put("1", "tasks", "");
	cr_assert_null(rpcs_in_flight(dir));
}
