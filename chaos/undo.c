/* SPDX-License-Identifier: MIT */
/*
 * undo.c - carries out the opcodes of the journal and proves each. Everything that comes from an entry is checked here before it is used.
 */
#include "undo.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <math.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "clock.h"
#include "drbd.h"
#include "drbd_rates.h"
#include "err.h"
#include "freeze.h"
#include "journal.h"
#include "nfs.h"
#include "plan.h"
#include "process.h"
#include "tool.h"

#define UNDO_FOR_NS (60 * NS_PER_S)	/* a pool of nfsd that hangs lets go when the fault beside it is healed */
#define UNDO_AFTER_BOOT_NS (10 * NS_PER_S)	/* nothing of a fault hangs any more; a peer may not be there yet, and storage is not to wait for it */
#define UNDO_PAUSE_NS (300 * NS_PER_MS)
#define SETTING_BYTES 640	/* a path, and a few words */
#define PID_LARGEST (1 << 22)	/* PID_MAX_LIMIT of the kernel */

#define AFTER_BOOT 1u	/* looked at after a reboot too; the others it takes away */
#define ONCE 2u	/* not all of it can be seen here, but at the peer, or as a signal that is still to come: done once, whatever is proved */

struct opcode {
	const char *name;
	int (*plan)(const json_t *op, struct plan *plan, struct err *err);
	enum fault_verdict (*prove)(const json_t *op, char *evidence, size_t bytes);
	unsigned int flags;
	const char *verb;	/* of DRBD, that it undoes; NULL = of none. As long as one is at work, nothing is proved */
	/*
	 * What it sets back, and the key of its name: NULL = nothing, and the host has one. Opcodes with the same words and name set back the same thing: the
	 * later undo would bring back what the earlier fault has made of it.
	 */
	const char *sets, *of;
};

static const char *op_text(const json_t *op, const char *key)
{
	const char *text = json_string_value(json_object_get(op, key));

	return text ? text : "";
}

static json_int_t op_number(const json_t *op, const char *key)
{
	return json_integer_value(json_object_get(op, key));
}

static int plan_filter_del(const json_t *op, struct plan *plan, struct err *err)
{
	return plan_add_run(plan, err, "tc filter del dev %s egress pref %" JSON_INTEGER_FORMAT, op_text(op, "dev"), op_number(op, "pref"));
}

static int plan_qdisc_del(const json_t *op, struct plan *plan, struct err *err)
{
	if (strcmp(op_text(op, "parent"), "clsact") != 0)
		return err_set(err, -EBADMSG, "QDISC_DEL of '%s'", op_text(op, "parent"));
	return plan_add_run(plan, err, "tc qdisc del dev %s clsact", op_text(op, "dev"));
}

static int plan_ifb_del(const json_t *op, struct plan *plan, struct err *err)
{
	const char *dev = op_text(op, "dev");

	if (strcmp(dev, UNDO_IFB_DRBD) != 0 && strcmp(dev, UNDO_IFB_NFS) != 0)
		return err_set(err, -EBADMSG, "IFB_DEL of '%s'", dev);
	return plan_add_run(plan, err, "ip link del %s", dev);
}

static int plan_nothing(const json_t *op, struct plan *plan, struct err *err)
{
	(void)op;
	(void)plan;
	(void)err;
	return 0;
}

static int plan_dm_table(const json_t *op, struct plan *plan, struct err *err)
{
	const char *table = op_text(op, "table");

	if (table[strcspn(table, "'\n")] != '\0')
		return err_set(err, -EBADMSG, "DM_TABLE of more than one line");
	return undo_add_dm_table(plan, op_text(op, "name"), table, err);
}

static int plan_dm_remove(const json_t *op, struct plan *plan, struct err *err)
{
	const char *name = op_text(op, "name");

	if (strcmp(name, UNDO_DM_ORIGIN) != 0 && strcmp(name, UNDO_DM_SNAPSHOT) != 0)
		return err_set(err, -EBADMSG, "DM_REMOVE of '%s'", name);
	return plan_add_run(plan, err, "dmsetup remove %s", name);
}

static int check_threads(const json_t *op, struct err *err)
{
	if (op_number(op, "threads") < 1 || op_number(op, "threads") > 4096)
		return err_set(err, -EBADMSG, "%s of a number of threads that is out of range", op_text(op, "op"));
	return 0;
}

static int plan_nfsd_threads(const json_t *op, struct plan *plan, struct err *err)
{
	char text[24];
	int rc = check_threads(op, err);

	if (rc < 0)
		return rc;
	(void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT "\n", op_number(op, "threads"));
	return plan_add_write(plan, UNDO_NFSD_THREADS, text, err);
}

/* What nfsd can listen on, by its own words. Each makes a listener of IPv4 and one of IPv6. Source: fs/nfsd/nfsctl.c, __write_ports_addxprt() */
static const char *const nfsd_ports[] = { "tcp 2049\n", "udp 2049\n" };

static size_t count_of(const char *text, const char *line)
{
	size_t nr = 0;

	for (const char *p = text; (p = strstr(p, line)) != NULL; p += strlen(line))
		nr++;
	return nr;
}

static bool are_ports(const char *text)
{
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof nfsd_ports / sizeof nfsd_ports[0]; i++)
		bytes += count_of(text, nfsd_ports[i]) * strlen(nfsd_ports[i]);
	return bytes > 0 && bytes == strlen(text);
}

/* Listeners are made before threads, or the kernel makes those that it thinks best. */
static int plan_nfsd_serve(const json_t *op, struct plan *plan, struct err *err)
{
	const char *ports = op_text(op, "ports");
	int rc = check_threads(op, err);

	if (rc == 0 && !are_ports(ports))
		rc = err_set(err, -EBADMSG, "NFSD_SERVE of a listener that is neither 'tcp 2049' nor 'udp 2049'");
	if (rc == 0)
		rc = plan_add_write(plan, UNDO_NFSD_THREADS, "0\n", err);
	for (size_t i = 0; i < sizeof nfsd_ports / sizeof nfsd_ports[0] && rc == 0; i++)
		if (strstr(ports, nfsd_ports[i]))
			rc = plan_add_write(plan, UNDO_NFSD_PORTS, nfsd_ports[i], err);
	return rc < 0 ? rc : plan_nfsd_threads(op, plan, err);
}

static int plan_drbd_connect(const json_t *op, struct plan *plan, struct err *err)
{
	return plan_add_run(plan, err, "drbdadm connect %s", op_text(op, "resource"));
}

static int plan_drbd_attach(const json_t *op, struct plan *plan, struct err *err)
{
	return plan_add_run(plan, err, "drbdadm attach %s", op_text(op, "resource"));
}

static int plan_drbd_verify_end(const json_t *op, struct plan *plan, struct err *err)
{
	return plan_add_run(plan, err, "drbdadm disconnect %s", op_text(op, "resource"));
}

static struct drbd_rates rates_of(const json_t *op)
{
	struct drbd_rates rates;

	(void)snprintf(rates.plan_ahead, sizeof rates.plan_ahead, "%s", op_text(op, "plan_ahead"));
	(void)snprintf(rates.rate, sizeof rates.rate, "%s", op_text(op, "rate"));
	(void)snprintf(rates.min, sizeof rates.min, "%s", op_text(op, "min"));
	return rates;
}

static int plan_drbd_rates(const json_t *op, struct plan *plan, struct err *err)
{
	struct drbd_rates rates = rates_of(op);

	return drbd_rates_add(plan, op_text(op, "resource"), &rates, err);
}

static int plan_drbd_resume(const json_t *op, struct plan *plan, struct err *err)
{
	return plan_add_run(plan, err, "drbdadm resume-io %s", op_text(op, "resource"));
}

static int plan_drbd_resume_sync(const json_t *op, struct plan *plan, struct err *err)
{
	return plan_add_run(plan, err, "drbdadm resume-sync %s", op_text(op, "resource"));
}

/* A path stands in a command as one word. */
static int check_path(const json_t *op, struct err *err)
{
	const char *path = op_text(op, "path");
	bool is_word = path[0] != '\0' && path[0] != '-' && path[strcspn(path, "'\n")] == '\0';

	return is_word ? 0 : err_set(err, -EBADMSG, "%s of a path that is none", op_text(op, "op"));
}

static int plan_fs_thaw(const json_t *op, struct plan *plan, struct err *err)
{
	int rc = check_path(op, err);

	return rc < 0 ? rc : plan_add_run(plan, err, FREEZE_NAME " --unfreeze '%s'", op_text(op, "path"));
}

static int plan_exports(const json_t *op, struct plan *plan, struct err *err)
{
	const char *path = op_text(op, "path");
	struct nfs_export to[NFS_EXPORTS_MAX];
	int rc = check_path(op, err), nr;

	if (rc < 0)
		return rc;
	nr = nfs_parse_exports(op_text(op, "lines"), path, to, NFS_EXPORTS_MAX, err);
	if (nr < 0)
		return nr;
	for (int i = 0; i < nr && rc == 0; i++)
		rc = plan_add_run(plan, err, "exportfs -o %s '%s:%s'", to[i].options, to[i].client, path);
	return rc < 0 ? rc : plan_add_run(plan, err, "exportfs -f");	/* the kernel has kept what it was told meanwhile */
}

static int plan_clock_offset(const json_t *op, struct plan *plan, struct err *err)
{
	if (!json_is_integer(json_object_get(op, "offset_ns")) || op_number(op, "offset_ns") < 0)
		return err_set(err, -EBADMSG, "CLOCK_OFFSET before 1970");
	return plan_add_clock(plan, "set CLOCK_REALTIME to where it would be: as far ahead of CLOCK_BOOTTIME as before", op_number(op, "offset_ns"), err);
}

static struct process process_of(const json_t *op)
{
	return (struct process){ .pid = (pid_t)op_number(op, "pid"), .start = (uint64_t)op_number(op, "start") };
}

static int plan_continue(const json_t *op, struct plan *plan, struct err *err)
{
	struct process process = process_of(op);

	if (!json_is_integer(json_object_get(op, "pid")) || op_number(op, "pid") < 0 || op_number(op, "pid") > PID_LARGEST || op_number(op, "start") < 0)
		return err_set(err, -EBADMSG, "CONTINUE of a process that is none");
	return plan_add_signal(plan, op_text(op, "name"), &process, SIGCONT, err);
}

static void marker_path(const json_t *op, char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/none-%s", journal_state_dir(), op_text(op, "id"));
}

static int plan_marker_del(const json_t *op, struct plan *plan, struct err *err)
{
	char path[600];

	marker_path(op, path, sizeof path);
	return plan_add_run(plan, err, "rm -f %s", path);
}

int undo_qdisc_list(const char *dev, char **ret, struct err *err)
{
	char *text = NULL, *p;
	int rc;

	rc = tool_output(&text, err, "tc qdisc show dev %s", dev);
	if (rc < 0)
		return rc;
	while ((p = strstr(text, " refcnt ")) != NULL)	/* users of the qdisc, no setting */
		memmove(p, p + 8 + strspn(p + 8, "0123456789"), strlen(p + 8 + strspn(p + 8, "0123456789")) + 1);
	*ret = text;
	return 0;
}

int undo_nfsd_pool(unsigned int *ret, struct err *err)
{
	char *text = NULL;
	int rc;

	rc = tool_read(UNDO_NFSD_THREADS, &text, err);
	if (rc == 0)
		*ret = (unsigned int)strtoul(text, NULL, 10);
	free(text);
	return rc;
}

int undo_add_dm_table(struct plan *plan, const char *name, const char *table, struct err *err)
{
	int rc = plan_add_run(plan, err, "dmsetup load %s --table '%s'", name, table);

	if (rc == 0)
		rc = plan_add_run(plan, err, "dmsetup suspend --nolockfs %s", name);
	return rc < 0 ? rc : plan_add_run(plan, err, "dmsetup resume %s", name);
}

int undo_dm_table(const char *name, char **ret, struct err *err)
{
	int rc = tool_output(ret, err, "dmsetup table %s", name);

	if (rc == 0 && strlen(*ret) > 0 && (*ret)[strlen(*ret) - 1] == '\n')
		(*ret)[strlen(*ret) - 1] = '\0';
	return rc;
}

static enum fault_verdict prove_nothing(const json_t *op, char *evidence, size_t bytes)
{
	(void)op;
	(void)evidence;
	(void)bytes;
	return FAULT_CONFIRMED;
}

static enum fault_verdict unknown(const struct err *e, char *evidence, size_t bytes)
{
	(void)snprintf(evidence, bytes, "%.*s", (int)bytes - 1, e->text);
	return FAULT_INCONCLUSIVE;
}

static bool is_gone(const char *dev)
{
	return if_nametoindex(dev) == 0;
}

static enum fault_verdict prove_ifb_del(const json_t *op, char *evidence, size_t bytes)
{
	if (is_gone(op_text(op, "dev")))
		return FAULT_CONFIRMED;
	(void)snprintf(evidence, bytes, "the interface %s is still there", op_text(op, "dev"));
	return FAULT_MISMATCH;
}

static enum fault_verdict prove_qdisc_same(const json_t *op, char *evidence, size_t bytes)
{
	const char *dev = op_text(op, "dev");
	struct err e = ERR_INIT;
	char *list = NULL;
	bool same;

	if (is_gone(dev))
		return FAULT_CONFIRMED;
	if (undo_qdisc_list(dev, &list, &e) < 0)
		return unknown(&e, evidence, bytes);
	same = strcmp(list, op_text(op, "list")) == 0;
	(void)snprintf(evidence, bytes, "the qdisc listing of %s is %s: %.100s", dev, same ? "the one of before" : "not the one of before", list);
	evidence[strcspn(evidence, "\n")] = '\0';
	free(list);
	return same ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_dm_table(const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	char *table = NULL, *info = NULL;
	bool same;

	if (tool_output(&info, &e, "dmsetup info %s", op_text(op, "name")) < 0 || undo_dm_table(op_text(op, "name"), &table, &e) < 0) {
		free(info);
		return unknown(&e, evidence, bytes);
	}
	/* Left suspended, or with a table loaded and not swapped in, by who died between two commands. */
	same = strcmp(table, op_text(op, "table")) == 0 && !strstr(info, "SUSPENDED") && !strstr(info, "INACTIVE");
	free(info);
	(void)snprintf(evidence, bytes, "the table of %s is '%.100s'%s", op_text(op, "name"), table, same ? " as before" : ", not the one of before");
	free(table);
	return same ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

/* In whatever order. */
static bool has_lines(const char *text, const char *lines)
{
	for (const char *line = lines; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\n");
		const char *at = text;

		while (at && (strncmp(at, line, n) != 0 || (at[n] != '\n' && at[n] != '\0'))) {
			at = strchr(at, '\n');
			at = at ? at + 1 : NULL;
		}
		if (!at)
			return false;
	}
	return true;
}

static enum fault_verdict prove_dm_remove(const json_t *op, char *evidence, size_t bytes)
{
	const char *name = op_text(op, "name");
	struct err e = ERR_INIT;
	char *list = NULL;
	bool there;

	if (tool_output(&list, &e, "dmsetup info -c --noheadings -o name") < 0)
		return unknown(&e, evidence, bytes);
	there = has_lines(list, name);
	free(list);
	(void)snprintf(evidence, bytes, "the device %s is %s", name, there ? "still there" : "gone");
	return there ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

static enum fault_verdict prove_nfsd_threads(const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	unsigned int nr = 0;

	if (undo_nfsd_pool(&nr, &e) < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "nfsd has %u threads, %" JSON_INTEGER_FORMAT " before", nr, op_number(op, "threads"));
	return nr == op_number(op, "threads") ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_nfsd_serve(const json_t *op, char *evidence, size_t bytes)
{
	enum fault_verdict v = prove_nfsd_threads(op, evidence, bytes);
	struct err e = ERR_INIT;
	bool same = true;
	char *ports;
	size_t used;

	if (v != FAULT_CONFIRMED)
		return v;
	if (tool_read(UNDO_NFSD_PORTS, &ports, &e) < 0)
		return unknown(&e, evidence, bytes);
	for (size_t i = 0; i < sizeof nfsd_ports / sizeof nfsd_ports[0]; i++)
		same &= count_of(ports, nfsd_ports[i]) == count_of(op_text(op, "ports"), nfsd_ports[i]);
	free(ports);
	used = strlen(evidence);
	(void)snprintf(evidence + used, bytes - used, ", and %s listeners", same ? "the same" : "other");
	return same ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

/*
 * No file tells of it. FITHAW does, and heals what it finds. A freeze that waits for writers of a hung disk comes later: as long as there is one, nothing
 * is proved.
 */
static enum fault_verdict prove_fs_thaw(const json_t *op, char *evidence, size_t bytes)
{
	const char *path = op_text(op, "path");
	struct err e = ERR_INIT;
	int rc;

	if (tool_processes(FREEZE_NAME, NULL) != 0) {
		(void)snprintf(evidence, bytes, "a freeze of %s is still under way", path);
		return FAULT_MISMATCH;
	}
	rc = freeze_ask(path, FITHAW, &e);
	if (rc < 0 && rc != -EINVAL && rc != -EOPNOTSUPP)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "the file system of %s %s frozen", path, rc == 0 ? "was still" : "is not");
	return rc == 0 ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

static enum fault_verdict prove_exports(const json_t *op, char *evidence, size_t bytes)
{
	const char *before = op_text(op, "lines");
	struct err e = ERR_INIT;
	char *now = NULL;
	bool same;

	if (nfs_exports(op_text(op, "path"), &now, &e) < 0)
		return unknown(&e, evidence, bytes);
	same = has_lines(now, before) && has_lines(before, now);
	free(now);
	(void)snprintf(evidence, bytes, "%s is %sexported as before", op_text(op, "path"), same ? "" : "not ");
	return same ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_drbd_linked(const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	struct drbd_line line;

	if (drbd_line(op_text(op, "resource"), &line, &e) < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s", op_text(op, "resource"), line.state);
	return drbd_is_linked(line.state) ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_drbd_attach(const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	struct drbd_line line;

	if (drbd_line(op_text(op, "resource"), &line, &e) < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "the disks of %s are %s", op_text(op, "resource"), line.disks);
	return drbd_has_disk(&line) ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_drbd_verify_end(const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	struct drbd_line line;

	if (drbd_line(op_text(op, "resource"), &line, &e) < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s", op_text(op, "resource"), line.state);
	return strncmp(line.state, "Verify", 6) == 0 ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

/* The peers tell each other theirs when they connect, and afterwards when they are set: before that they are of no value, here or there. */
static enum fault_verdict prove_drbd_rates(const json_t *op, char *evidence, size_t bytes)
{
	struct drbd_rates before = rates_of(op), now;
	struct err e = ERR_INIT;
	struct drbd_line line;
	bool same;

	if (drbd_line(op_text(op, "resource"), &line, &e) < 0 || drbd_rates_read(op_text(op, "resource"), &now, &e) < 0)
		return unknown(&e, evidence, bytes);
	if (!drbd_is_linked(line.state)) {
		(void)snprintf(evidence, bytes, "%s is %s: its peer has the rates of the fault, and brings them along", op_text(op, "resource"), line.state);
		return FAULT_INCONCLUSIVE;
	}
	same = strcmp(now.plan_ahead, before.plan_ahead) == 0 && strcmp(now.rate, before.rate) == 0 && strcmp(now.min, before.min) == 0;
	(void)snprintf(evidence, bytes, "c-plan-ahead %s, resync-rate %s, c-min-rate %s%s", now.plan_ahead, now.rate, now.min, same ? " as before" : ", not as before");
	return same ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_drbd_without(const json_t *op, bool (*has)(const struct drbd_line *line), char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	struct drbd_line line;

	if (drbd_line(op_text(op, "resource"), &line, &e) < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%s is %s, flags %s", op_text(op, "resource"), line.state, line.flags);
	return has(&line) ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

static enum fault_verdict prove_drbd_resume(const json_t *op, char *evidence, size_t bytes)
{
	return prove_drbd_without(op, drbd_is_suspended, evidence, bytes);
}

static enum fault_verdict prove_drbd_resume_sync(const json_t *op, char *evidence, size_t bytes)
{
	return prove_drbd_without(op, drbd_is_sync_paused, evidence, bytes);
}

static enum fault_verdict prove_nft_gone(const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	char *list = NULL, needle[ALLOW_NAME_BYTES + 16];
	bool there;

	if (tool_output(&list, &e, "nft list tables") < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(needle, sizeof needle, "table inet %s\n", op_text(op, "table"));
	there = strstr(list, needle) != NULL;
	free(list);
	(void)snprintf(evidence, bytes, "the nft table %s is %s", op_text(op, "table"), there ? "still there" : "gone");
	return there ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

/* @param nr  how many are left, or -errno */
static enum fault_verdict none_left(int nr)
{
	return nr == 0 ? FAULT_CONFIRMED : nr < 0 ? FAULT_INCONCLUSIVE : FAULT_MISMATCH;
}

static enum fault_verdict prove_held_gone(const json_t *op, char *evidence, size_t bytes)
{
	int nr = tool_processes("nfsd", "fanotify_handle_event");

	(void)op;
	(void)snprintf(evidence, bytes, "%d nfsd threads wait in fanotify_handle_event", nr);
	return none_left(nr);
}

static enum fault_verdict prove_processes_gone(const json_t *op, char *evidence, size_t bytes)
{
	int nr = tool_processes(op_text(op, "name"), NULL);

	(void)snprintf(evidence, bytes, "%d processes are named %s", nr, op_text(op, "name"));
	return none_left(nr);
}

/* Whatever starts them has 60 s for it, as every undo. */
static enum fault_verdict prove_services_run(const json_t *op, char *evidence, size_t bytes)
{
	struct process found[PROCESSES_MAX];
	struct err e = ERR_INIT;
	int nr = process_leaders(op_text(op, "name"), found, &e);

	if (nr < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "%d of %s run, %" JSON_INTEGER_FORMAT " before", nr, op_text(op, "name"), op_number(op, "nr"));
	return nr >= op_number(op, "nr") ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_continue(const json_t *op, char *evidence, size_t bytes)
{
	struct process process = process_of(op);
	char state = process_state(&process);

	(void)snprintf(evidence, bytes, "%s (pid %d) %s", op_text(op, "name"), (int)process.pid, state == 'T' ? "is stopped" : state ? "runs" : "has ended");
	return state == 'T' ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

static enum fault_verdict prove_clock_offset(const json_t *op, char *evidence, size_t bytes)
{
	double off_ns = (double)clock_utc_offset_ns() - (double)op_number(op, "offset_ns");

	(void)snprintf(evidence, bytes, "CLOCK_REALTIME is %.6f s from where it would be", off_ns / 1e9);
	return fabs(off_ns) < CLOCK_OFFSET_ERROR_NS ? FAULT_CONFIRMED : FAULT_MISMATCH;
}

static enum fault_verdict prove_marker_gone(const json_t *op, char *evidence, size_t bytes)
{
	char path[600];
	bool there;

	marker_path(op, path, sizeof path);
	there = access(path, F_OK) == 0;
	(void)snprintf(evidence, bytes, "the mark is %s", there ? "still there" : "gone");
	return there ? FAULT_MISMATCH : FAULT_CONFIRMED;
}

static const struct opcode opcodes[] = {
	{ .name = "FILTER_DEL", .plan = plan_filter_del, .prove = prove_nothing },	/* proved with its clsact */
	{ .name = "QDISC_DEL", .plan = plan_qdisc_del, .prove = prove_nothing },	/* proved by QDISC_SAME */
	{ .name = "IFB_DEL", .plan = plan_ifb_del, .prove = prove_ifb_del, .flags = AFTER_BOOT },
	{ .name = "QDISC_SAME", .plan = plan_nothing, .prove = prove_qdisc_same },
	{ .name = "DM_TABLE", .plan = plan_dm_table, .prove = prove_dm_table, .sets = "the table of", .of = "name" },
	{ .name = "DM_REMOVE", .plan = plan_dm_remove, .prove = prove_dm_remove },
	{ .name = "DRBD_ATTACH", .plan = plan_drbd_attach, .prove = prove_drbd_attach, .sets = "the disk of", .of = "resource" },
	{ .name = "DRBD_VERIFY_END", .plan = plan_drbd_verify_end, .prove = prove_drbd_verify_end, .verb = "verify", .sets = "the connection of", .of = "resource" },
	{ .name = "DRBD_CONNECT", .plan = plan_drbd_connect, .prove = prove_drbd_linked, .verb = "disconnect", .sets = "the connection of", .of = "resource" },
	{ .name = "DRBD_RATES", .plan = plan_drbd_rates, .prove = prove_drbd_rates, .flags = AFTER_BOOT | ONCE, .verb = "disk-options", .sets = "the connection of", .of = "resource" },	/* a storm makes and ends connections */
	{ .name = "DRBD_LINKED", .plan = plan_nothing, .prove = prove_drbd_linked },	/* by itself, once nothing is in its way */
	{ .name = "DRBD_RESUME", .plan = plan_drbd_resume, .prove = prove_drbd_resume, .verb = "suspend-io", .sets = "the I/O of", .of = "resource" },
	{ .name = "DRBD_RESUME_SYNC", .plan = plan_drbd_resume_sync, .prove = prove_drbd_resume_sync, .verb = "pause-sync", .sets = "the resync of", .of = "resource" },
	{ .name = "NFSD_THREADS", .plan = plan_nfsd_threads, .prove = prove_nfsd_threads, .sets = "the threads of nfsd" },
	{ .name = "FS_THAW", .plan = plan_fs_thaw, .prove = prove_fs_thaw, .sets = "the freeze of", .of = "path" },
	{ .name = "EXPORTS", .plan = plan_exports, .prove = prove_exports, .sets = "the export of", .of = "path" },
	{ .name = "NFSD_SERVE", .plan = plan_nfsd_serve, .prove = prove_nfsd_serve, .sets = "the threads of nfsd" },
	{ .name = "NFT_GONE", .plan = plan_nothing, .prove = prove_nft_gone },
	{ .name = "HELD_GONE", .plan = plan_nothing, .prove = prove_held_gone, .flags = AFTER_BOOT },
	{ .name = "PROCESSES_GONE", .plan = plan_nothing, .prove = prove_processes_gone, .flags = AFTER_BOOT },
	{ .name = "SERVICES_RUN", .plan = plan_nothing, .prove = prove_services_run },	/* by themselves: their supervisor starts them */
	{ .name = "CONTINUE", .plan = plan_continue, .prove = prove_continue, .flags = ONCE, .sets = "the process", .of = "pid" },
	{ .name = "CLOCK_OFFSET", .plan = plan_clock_offset, .prove = prove_clock_offset, .sets = "the clock" },
	{ .name = "MARKER_DEL", .plan = plan_marker_del, .prove = prove_marker_gone, .flags = AFTER_BOOT },
};

static const struct opcode *opcode_find(const json_t *op, struct err *err)
{
	static const char *const names[] = { "dev", "name", "id", "table", "resource", NULL };
	const char *op_name = op_text(op, "op");

	for (size_t i = 0; names[i]; i++) {
		const char *v = json_string_value(json_object_get(op, names[i]));

		if (strcmp(names[i], "table") == 0 && strcmp(op_name, "DM_TABLE") == 0)
			continue;
		if (v && (!allow_name_is_plain(v) || strlen(v) >= ALLOW_NAME_BYTES)) {
			err_set(err, -EBADMSG, "the %s of an opcode is no plain name", names[i]);
			return NULL;
		}
	}
	for (size_t i = 0; i < sizeof opcodes / sizeof opcodes[0]; i++)
		if (strcmp(opcodes[i].name, op_name) == 0)
			return &opcodes[i];
	err_set(err, -EBADMSG, "unknown opcode '%s' in the journal", op_name);
	return NULL;
}

/* @return what a person reads, and is the same for the same setting; "" = of none */
static void setting_of(const json_t *op, char *ret, size_t bytes)
{
	const struct opcode *code = opcode_find(op, NULL);

	ret[0] = '\0';
	if (!code || !code->sets)
		return;
	if (!code->of)
		(void)snprintf(ret, bytes, "%s", code->sets);
	else if (json_is_integer(json_object_get(op, code->of)))
		(void)snprintf(ret, bytes, "%s %" JSON_INTEGER_FORMAT, code->sets, op_number(op, code->of));
	else
		(void)snprintf(ret, bytes, "%s %s", code->sets, op_text(op, code->of));
}

static bool undoes(const json_t *entry, const char *setting)
{
	bool other_boot = journal_is_of_other_boot(entry);
	char text[SETTING_BYTES];
	size_t i;
	json_t *op;

	json_array_foreach(json_object_get(entry, "undo"), i, op) {
		const struct opcode *code = opcode_find(op, NULL);

		if (!code || (other_boot && !(code->flags & AFTER_BOOT)))
			continue;
		setting_of(op, text, sizeof text);
		if (strcmp(text, setting) == 0)
			return true;
	}
	return false;
}

/* Whether the disk of an entry's fault is given up by DRBD, so that the peer's copy is the last. */
static bool takes_copy(const json_t *entry)
{
	size_t i;
	json_t *op;

	json_array_foreach(json_object_get(entry, "undo"), i, op)
		if (strcmp(op_text(op, "op"), "DRBD_ATTACH") == 0)
			return true;
	return false;
}

static bool risk_last_copy(const json_t *a, const json_t *b)
{
	return (takes_copy(a) || takes_copy(b)) && chaos_breaks_storage(op_text(a, "fault")) && chaos_breaks_storage(op_text(b, "fault"));
}

int undo_check_apart(const json_t *entry, const json_t *journal, struct err *err)
{
	char setting[SETTING_BYTES];
	size_t i, k;
	json_t *other, *op;

	json_array_foreach(journal, i, other) {
		if (strcmp(op_text(other, "id"), op_text(entry, "id")) == 0)
			continue;
		if (!journal_is_of_other_boot(other) && risk_last_copy(entry, other))
			return err_set(err, -EBUSY, "the fault %s is in force, and beside disk-error, which leaves one copy of the data, no other fault of DRBD or its disk may"
				       " be: wait until that one is healed (squall chaos status)", op_text(other, "id"));
		json_array_foreach(json_object_get(entry, "undo"), k, op) {
			setting_of(op, setting, sizeof setting);
			if (setting[0] != '\0' && undoes(other, setting))
				return err_set(err, -EBUSY, "the fault %s sets back %s too, and the later of two undos would bring back what the earlier fault has made of it:"
					       " wait until that one is healed (squall chaos status)", op_text(other, "id"), setting);
		}
	}
	return 0;
}

int undo_plan(const json_t *undo, struct plan *ret_plan, struct err *err)
{
	const struct opcode *code;
	size_t i;
	json_t *op;
	int first = 0, rc;

	json_array_foreach(undo, i, op) {
		struct err e = ERR_INIT;

		code = opcode_find(op, &e);
		rc = code ? code->plan(op, ret_plan, &e) : -EBADMSG;
		if (rc < 0 && first == 0)
			first = err_set(err, rc, "%s", e.text);
	}
	return first;
}

/* drbdadm gives up after some seconds, and dies with its holder, and what it has asked the kernel for is done all the same, later. */
static enum fault_verdict prove_op(const struct opcode *code, const json_t *op, char *evidence, size_t bytes)
{
	struct err e = ERR_INIT;
	int at_work = code->verb ? drbd_at_work(code->verb, &e) : 0;

	if (at_work == 0)
		return code->prove(op, evidence, bytes);
	if (at_work < 0)
		return unknown(&e, evidence, bytes);
	(void)snprintf(evidence, bytes, "a %s of DRBD is still under way", code->verb);
	return FAULT_MISMATCH;
}

/* A qdisc that is already as before is left alone: what is on it by now may be somebody else's. @param same  devices of which that is so */
static void leave_same(json_t *left, const json_t *same)
{
	for (size_t i = json_array_size(left); i-- > 0;) {
		const json_t *op = json_array_get(left, i);
		const struct opcode *code = opcode_find(op, NULL);

		if (code && code->prove == prove_nothing && json_object_get(same, op_text(op, "dev")))
			json_array_remove(left, i);
	}
}

/*
 * The worst of all proofs; the evidence of the worst, else of the last that had something to say.
 * @param left  NULL, or gets what is to be done: what is not proved, and what is proved by another opcode that is not, unless a reboot has taken it away.
 * @param unsent  whether what is done ONCE is still to be done, which is so until that is among `left` while it can be.
 */
static enum fault_verdict prove(const json_t *undo, bool other_boot, json_t *left, bool *unsent, char *evidence, size_t bytes)
{
	enum fault_verdict all = FAULT_CONFIRMED;
	json_t *same = json_object();
	bool sending = false;
	size_t i;
	json_t *op;

	json_array_foreach(undo, i, op) {
		char text[EVIDENCE_BYTES] = "";
		struct err e = ERR_INIT;
		const struct opcode *code = opcode_find(op, &e);
		bool taken = code && other_boot && !(code->flags & AFTER_BOOT), once = code && !taken && (code->flags & ONCE);
		enum fault_verdict v = FAULT_CONFIRMED;

		if (!code)
			v = unknown(&e, text, sizeof text);
		else if (!taken)
			v = prove_op(code, op, text, sizeof text);
		if (once && *unsent && v == FAULT_CONFIRMED)
			v = FAULT_MISMATCH;
		sending = sending || (once && v == FAULT_MISMATCH);
		if (left && code && !taken && (v != FAULT_CONFIRMED || code->prove == prove_nothing))
			json_array_append(left, op);
		if (code && code->prove == prove_qdisc_same && v == FAULT_CONFIRMED)
			json_object_set_new(same, op_text(op, "dev"), json_true());
		if (text[0] != '\0' && (v != FAULT_CONFIRMED || all == FAULT_CONFIRMED))
			(void)snprintf(evidence, bytes, "%s", text);
		if (all == FAULT_CONFIRMED || v == FAULT_MISMATCH)
			all = v;
	}
	leave_same(left, same);
	json_decref(same);
	*unsent = *unsent && !(left && sending);
	return all;
}

/* What is already as it was is left alone: what was never begun is not undone, and a heal can be asked for twice. */
static enum fault_verdict undo_once(const json_t *undo, bool other_boot, bool *unsent, char *evidence, size_t bytes)
{
	json_t *left = json_array();
	struct plan plan = PLAN_INIT;
	struct err e = ERR_INIT;
	enum fault_verdict v;

	evidence[0] = '\0';
	v = prove(undo, other_boot, left, unsent, evidence, bytes);
	if (v != FAULT_CONFIRMED) {
		undo_plan(left, &plan, &e);
		plan_run_all(&plan, &e);	/* "no such filter" is fine: what counts is the proof */
		plan_release(&plan);
		v = prove(undo, other_boot, NULL, unsent, evidence, bytes);
	}
	if (v != FAULT_CONFIRMED && e.text[0] != '\0') {
		size_t used = strlen(evidence);

		(void)snprintf(evidence + used, bytes - used, "%s%s", used > 0 ? "; " : "", e.text);
	}
	json_decref(left);
	return v;
}

static enum fault_verdict undo_until_proved(const json_t *entry, char *evidence, size_t bytes)
{
	const json_t *undo = json_object_get(entry, "undo");
	bool other_boot = journal_is_of_other_boot(entry), unsent = true;
	uint64_t end_ns = clock_mono_ns() + (other_boot ? UNDO_AFTER_BOOT_NS : UNDO_FOR_NS);
	struct err e = ERR_INIT;
	enum fault_verdict v;

	for (;;) {
		v = undo_once(undo, other_boot, &unsent, evidence, bytes);
		if (v == FAULT_CONFIRMED || clock_mono_ns() >= end_ns)
			break;
		clock_sleep_until_ns(clock_mono_ns() + UNDO_PAUSE_NS);
	}
	if (evidence[0] == '\0')
		(void)snprintf(evidence, bytes, "%s", other_boot ? "a reboot has taken it away" : "nothing had to be undone");
	if (v == FAULT_CONFIRMED && journal_strike(op_text(entry, "id"), &e) < 0)
		return unknown(&e, evidence, bytes);
	return v;
}

enum fault_verdict undo_entry(const json_t *entry, const char *why, struct fault_run *run, char *evidence, size_t bytes)
{
	struct audit_act act = { .act = "undo", .why = why, .entry = entry, .result = "begun" };
	struct err unwritten = ERR_INIT;
	enum fault_verdict v;
	size_t used;

	(void)audit_write(&act, &unwritten);
	if (run && run->fault->heal)
		run->fault->heal(run);
	v = undo_until_proved(entry, evidence, bytes);
	act.result = fault_verdict_names[v];
	act.evidence = evidence;
	(void)audit_write(&act, &unwritten);
	used = strlen(evidence);
	if (unwritten.text[0] != '\0')
		(void)snprintf(evidence + used, bytes - used, "; not in the audit log: %s", unwritten.text);
	return v;
}
