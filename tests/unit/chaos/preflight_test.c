/* SPDX-License-Identifier: MIT */
/*
 * preflight_test.c - what the checks read in the output of drbdsetup, drbdadm, ss and in Pacemaker's configuration.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "../../../chaos/confine.h"
#include "../../../chaos/faults.h"
#include "../../../chaos/preflight.h"
#include "../../../chaos/tool.h"

static const char show[] =
	"resource r0 {\n"
	"    options {\n"
	"    }\n"
	"    net {\n"
	"        max-buffers     \t4096;\n"
	"    }\n"
	"    _this_host {\n"
	"        address\t\t\tipv4 10.0.2.11:7789;\n"
	"        volume 0 {\n"
	"            device\t\t\tminor 0;\n"
	"            disk\t\t\t\"/dev/mapper/store\";\n"
	"            meta-disk\t\t\tinternal;\n"
	"            disk {\n"
	"                on-io-error     \tdetach;\n"
	"%s"
	"            }\n"
	"        }\n"
	"    }\n"
	"}\n";

Test(preflight, disk_timeout_is_off_when_it_is_0_or_not_said)
{
	static const struct {
		const char *line;
		unsigned long timeout;
	} cases[] = { { "", 0 }, { "                disk-timeout    \t0; # 1/10 seconds\n", 0 }, { "                disk-timeout    \t300; # 1/10 seconds\n", 300 } };
	char text[1024];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		(void)snprintf(text, sizeof text, show, cases[i].line);
		cr_assert_eq(preflight_disk_timeout(text), cases[i].timeout, "%s", cases[i].line);
	}
}

static const char dump[] =
	"# /etc/drbd.conf\n"
	"common {\n"
	"%s"
	"}\n"
	"\n"
	"# resource r0 on store-a: not ignored, not stacked\n"
	"resource r0 {\n"
	"    on reboot-host {\n"
	"        disk             /dev/mapper/halt;\n"
	"    }\n"
	"    disk {\n"
	"        on-io-error      detach;\n"
	"    }\n"
	"%s"
	"}\n";

Test(preflight, a_handler_that_takes_the_host_down_is_found_wherever_it_stands)
{
	static const char harmless[] = "    handlers {\n        split-brain      \"/usr/lib/drbd/notify-split-brain.sh root\";\n    }\n";
	static const struct {
		const char *command, *name;
	} deadly[] = { { "        local-io-error   \"echo o > /proc/sysrq-trigger ; halt -f\";\n", "local-io-error" },
		       { "        pri-on-incon-degr \"/usr/lib/drbd/notify-emergency-reboot.sh\";\n", "pri-on-incon-degr" },
		       { "        fence-peer       /sbin/poweroff;\n", "fence-peer" } };
	char text[2048], handlers[512], name[64];

	(void)snprintf(text, sizeof text, dump, "", "");
	cr_assert(!preflight_deadly_handler(text, name, sizeof name), "a name of a host or a disk is no handler: %s", name);
	(void)snprintf(text, sizeof text, dump, harmless, harmless);
	cr_assert(!preflight_deadly_handler(text, name, sizeof name), "%s", name);
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
		(void)snprintf(handlers, sizeof handlers, "    handlers {\n        split-brain      true;\n%s    }\n", deadly[i].command);
		for (int common = 0; common < 2; common++) {
			(void)snprintf(text, sizeof text, dump, common ? handlers : harmless, common ? "" : handlers);
			cr_assert(preflight_deadly_handler(text, name, sizeof name), "%s", text);
			cr_assert_str_eq(name, deadly[i].name);
		}
	}
}

Test(preflight, pacemaker_is_in_charge_of_what_its_configuration_names)
{
	static const char cib[] = "<cib><configuration><crm_config><cluster_property_set id=\"c\">\n"
				  "<nvpair id=\"c-maintenance-mode\" name=\"maintenance-mode\" value=\"%s\"/>\n"
				  "</cluster_property_set></crm_config><resources><primitive id=\"drbd\" class=\"ocf\" provider=\"linbit\" type=\"drbd\">\n"
				  "<instance_attributes id=\"i\"><nvpair id=\"i-drbd_resource\" name=\"drbd_resource\" value=\"%s\"/></instance_attributes>\n"
				  "</primitive></resources></configuration></cib>\n";
	char text[1024];

	(void)snprintf(text, sizeof text, cib, "false", "r0");
	cr_assert(preflight_is_managed(text, "r0"));
	cr_assert(!preflight_is_managed(text, "r"), "another resource");
	cr_assert(!preflight_is_managed(text, "r1"));
	(void)snprintf(text, sizeof text, cib, "true", "r0");
	cr_assert(!preflight_is_managed(text, "r0"), "it looks on in maintenance mode");
	cr_assert(!preflight_is_managed("", "r0"));
}

Test(preflight, pacemaker_is_in_charge_of_nfs_where_it_has_an_agent_for_it)
{
	static const char cib[] = "<cib><configuration><crm_config><nvpair id=\"m\" name=\"maintenance-mode\" value=\"%s\"/></crm_config><resources>\n"
				  "<primitive id=\"nfsserver\" class=\"ocf\" provider=\"heartbeat\" type=\"IPaddr2\"/>\n<primitive id=\"p\" %s/>\n</resources></configuration></cib>\n";
	static const struct {
		const char *primitive;
		bool managed;
	} cases[] = {
		{ "class=\"ocf\" provider=\"heartbeat\" type=\"nfsserver\"", true },
		{ "class=\"ocf\" provider=\"heartbeat\" type=\"exportfs\"", true },
		{ "class=\"ocf\" provider=\"heartbeat\" type=\"Filesystem\"", true },
		{ "class=\"systemd\" type=\"nfs-server\"", true },
		{ "class=\"systemd\" type=\"postgresql\"", false },
	};
	char text[1024];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		(void)snprintf(text, sizeof text, cib, "false", cases[i].primitive);
		cr_expect_eq(preflight_is_managed(text, ""), cases[i].managed, "%s", cases[i].primitive);
		(void)snprintf(text, sizeof text, cib, "true", cases[i].primitive);
		cr_expect_not(preflight_is_managed(text, ""), "it looks on in maintenance mode: %s", cases[i].primitive);
	}
}

Test(preflight, the_configuration_of_pacemaker_can_be_read_by_who_is_to_read_it)
{
	static const char *const of_cluster[] = { "nfsd-threads", "nfs-port-cut", "drbd-disconnect", "disk-slow" }, *const others[] = { "none", "net-cut", "client-pause" };

	for (size_t i = 0; i < sizeof of_cluster / sizeof of_cluster[0]; i++)
		cr_expect_eq(preflight_capabilities(fault_find(of_cluster[i])), CONFINE_CAP(DAC_READ_SEARCH), "%s", of_cluster[i]);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		cr_expect_eq(preflight_capabilities(fault_find(others[i])), 0, "%s", others[i]);
}

Test(preflight, sessions_are_those_of_sshd_and_of_the_agent)
{
	static const char text[] = "0      0                 10.0.0.5:22           10.0.0.9:51514 users:((\"sshd\",pid=812,fd=4),(\"sshd\",pid=801,fd=4))\n"
				   "0      0                 10.0.1.5:2049         10.0.1.7:901\n"
				   "0      36      [::ffff:10.0.2.5]:2223  [::ffff:10.0.2.1]:40112 users:((\"squall\",pid=77,fd=5),(\"squall\",pid=70,fd=5))\n"
				   "0      0              10.0.3.5:40000         10.0.3.9:443   users:((\"curl\",pid=700,fd=5))\n"
				   "0      0      [fe80::1%eth4]:22       [fe80::2%eth4]:51000 users:((\"sshd-session\",pid=9,fd=4))";
	static const char *const local[] = { "10.0.0.5", "10.0.2.5", "fe80::1" };
	struct preflight_session s;
	const char *rest = text;

	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		cr_assert(preflight_next_session(&rest, 70, &s), "there is no session over %s", local[i]);
		cr_assert_str_eq(s.local, local[i]);
	}
	cr_assert(!preflight_next_session(&rest, 70, &s), "%s", s.local);
	rest = text;
	cr_assert(preflight_next_session(&rest, 7, &s) && strcmp(s.peer, "10.0.0.9:51514") == 0);
	cr_assert(preflight_next_session(&rest, 7, &s) && strcmp(s.local, "fe80::1") == 0, "pid 7 is neither 70 nor 77: %s", s.local);
}

Test(preflight, an_address_is_found_on_its_interface)
{
	char dev[16];

	cr_assert_eq(tool_interface_of("127.0.0.1", dev, sizeof dev), 0);
	cr_assert_str_eq(dev, "lo");
	cr_assert_eq(tool_interface_of("192.0.2.1", dev, sizeof dev), -ENODEV, "it is for documentation, and nobody's");
}
