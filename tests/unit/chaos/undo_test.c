/* SPDX-License-Identifier: MIT */
/*
 * undo_test.c - opcodes become commands, and what is no opcode, or has a word in it that is none, becomes nothing.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "err.h"

#include "../../../chaos/plan.h"
#include "../../../chaos/undo.h"

static void expect(const char *op, const char *commands)
{
	json_t *undo = json_loads(op, 0, NULL);
	struct plan plan = PLAN_INIT;
	struct err err = ERR_INIT;
	int rc = undo_plan(undo, &plan, &err);
	char *text = plan_print(&plan, "");

	cr_assert(undo && text, "%s", op);
	cr_expect_eq(rc, commands ? 0 : -EBADMSG, "%s: %d %s", op, rc, err.text);
	cr_expect_str_eq(text, commands ? commands : "", "%s", op);
	free(text);
	plan_release(&plan);
	json_decref(undo);
}

Test(undo, a_file_system_is_thawed_by_its_path)
{
	expect("[{\"op\": \"FS_THAW\", \"path\": \"/srv/home\"}]", "fsfreeze --unfreeze '/srv/home'\n");
	expect("[{\"op\": \"FS_THAW\", \"path\": \"/srv/two words\"}]", "fsfreeze --unfreeze '/srv/two words'\n");
	expect("[{\"op\": \"FS_THAW\", \"path\": \"/a' --freeze '/b\"}]", NULL);
	expect("[{\"op\": \"FS_THAW\", \"path\": \"--freeze\"}]", NULL);
	expect("[{\"op\": \"FS_THAW\"}]", NULL);
}

Test(undo, a_path_is_exported_to_whom_it_was)
{
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  *(sync,rw)\\n/srv/home  10.0.0.0/8(sync,ro,sec=sys:krb5)\\n\"}]",
	       "exportfs -o sync,rw '*:/srv/home'\nexportfs -o sync,ro,sec=sys:krb5 '10.0.0.0/8:/srv/home'\nexportfs -f\n");
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home2  *(rw)\\n\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  -u(rw)\\n\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  *(rw) *(ro)\\n\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"/srv/home\", \"lines\": \"/srv/home  *(rw\"}]", NULL);
	expect("[{\"op\": \"EXPORTS\", \"path\": \"-r\", \"lines\": \"-r  *(rw)\\n\"}]", NULL);
}

Test(undo, nfsd_listens_before_it_has_threads)
{
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 8, \"ports\": \"tcp 2049\\ntcp 2049\\n\"}]",
	       "write \"0\" to /proc/fs/nfsd/threads\nwrite \"tcp 2049\" to /proc/fs/nfsd/portlist\nwrite \"8\" to /proc/fs/nfsd/threads\n");
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 1, \"ports\": \"udp 2049\\ntcp 2049\\n\"}]",
	       "write \"0\" to /proc/fs/nfsd/threads\nwrite \"tcp 2049\" to /proc/fs/nfsd/portlist\nwrite \"udp 2049\" to /proc/fs/nfsd/portlist\n"
	       "write \"1\" to /proc/fs/nfsd/threads\n");
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 8, \"ports\": \"rdma 20049\\ntcp 2049\\n\"}]", NULL);
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 8, \"ports\": \"\"}]", NULL);
	expect("[{\"op\": \"NFSD_SERVE\", \"threads\": 0, \"ports\": \"tcp 2049\\n\"}]", NULL);
}

Test(undo, only_interfaces_of_our_own_are_deleted)
{
	expect("[{\"op\": \"IFB_DEL\", \"dev\": \"squall-ifb\"}, {\"op\": \"IFB_DEL\", \"dev\": \"squall-ifb-nfs\"}]",
	       "ip link del squall-ifb\nip link del squall-ifb-nfs\n");
	expect("[{\"op\": \"IFB_DEL\", \"dev\": \"eth0\"}]", NULL);
}

Test(undo, what_is_no_opcode_is_refused)
{
	expect("[{\"op\": \"REBOOT\"}]", NULL);
	expect("[{\"op\": \"QDISC_DEL\", \"dev\": \"eth0; reboot\", \"parent\": \"clsact\"}]", NULL);
	expect("[7]", NULL);
}
