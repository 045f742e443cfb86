/* SPDX-License-Identifier: MIT */
/*
 * parse_test.c - the kernel's texts. The fixtures in data/ are made by hand after the documented formats.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

#include "../../../observe/parse.h"

#define MS 1000000ULL

static char *fixture(const char *name)
{
	char path[256], *text = NULL;
	size_t bytes;

	snprintf(path, sizeof path, "tests/unit/observe/data/%s", name);
	cr_assert_eq(file_read(path, 1u << 20, &text, &bytes, NULL), 0, "%s: run from the top of the tree", path);
	return text;
}

Test(parse, status_gives_the_state_and_the_sum_of_both_counters)
{
	struct nfsd_thread_state state;
	char *text = fixture("status-blocked.txt");

	cr_assert(nfsd_status_parse(text, &state));
	cr_expect_eq(state.state, 'D');
	cr_expect_eq(state.switches, 40338);
	*strstr(text, "nonvoluntary") = '\0';
	cr_expect_not(nfsd_status_parse(text, &state), "a counter is missing");
	cr_expect_not(nfsd_status_parse("", &state));
	free(text);
}

Test(parse, blocked_is_d_off_the_socket_locks_and_s_in_an_upcall)
{
	static const struct { char state; const char *wchan; bool blocked; } cases[] = {
		{ 'D', "drbd_make_request", true }, { 'D', "", true }, { 'D', "0", true }, { 'D', "svc_tcp_sendto", false },
		{ 'D', "svc_tcp_sendto.isra.0", false }, { 'D', "svc_recv", false }, { 'S', "svc_recv", false }, { 'S', "cache_check", true },
		{ 'S', "cache_check_rcu", true }, { 'R', "0", false }, { 'I', "svc_recv", false }, { 'S', "", false }, { 'I', "cache_check", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		cr_expect_eq(nfsd_is_blocked(cases[i].state, cases[i].wchan), cases[i].blocked, "%c %s", cases[i].state, cases[i].wchan);
}

/* Ten samples a second; each character is one: a letter = blocked with that count of switches, '.' = not blocked. */
static uint64_t hung_ms(const char *samples, uint64_t *ret_total_ms)
{
	uint64_t total = 0, hung = 0, now = 77 * MS;
	struct nfsd_wait wait;

	nfsd_wait_init(&wait, samples[0] != '.', (uint64_t)samples[0], now);
	for (size_t i = 1; samples[i] != '\0'; i++) {
		now += 100 * MS;
		nfsd_wait_step(&wait, samples[i] != '.', (uint64_t)samples[i], now, &total, &hung);
	}
	*ret_total_ms = total / MS;
	return hung / MS;
}

Test(parse, a_wait_counts_whole_once_it_is_half_a_second_long)
{
	static const struct { const char *samples; uint64_t hung_ms; } cases[] = {
		{ "aaaaa", 0 },			/* 400 ms */
		{ "aaaaaa", 500 },
		{ "aaaaaaaa", 700 },
		{ "aaaaaaaab", 700 },
		{ "aaabbbcccdddeee", 0 },	/* busy: always blocked, never for long */
		{ "aaaaabbbbbb", 500 },		/* 400 ms, then 500 ms */
		{ "...aaaaaa..", 500 },
		{ "aaa.aaaaa", 0 },
		{ "..........", 0 },
	};
	uint64_t total;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cr_expect_eq(hung_ms(cases[i].samples, &total), cases[i].hung_ms, "%s", cases[i].samples);
		cr_expect_eq(total, 100 * (strlen(cases[i].samples) - 1));
	}
}

Test(parse, a_long_pause_between_samples_counts_once)
{
	struct nfsd_wait wait;
	uint64_t total = 0, hung = 0;

	nfsd_wait_init(&wait, true, 5, 0);
	nfsd_wait_step(&wait, true, 5, 3000 * MS, &total, &hung);
	cr_expect_eq(hung, 3000 * MS);
	nfsd_wait_step(&wait, true, 5, 3100 * MS, &total, &hung);
	cr_expect_eq(hung, 3100 * MS);
	cr_expect_eq(total, hung);
}

Test(parse, proc_drbd_gives_each_configured_minor)
{
	static struct drbd_minor m[DRBD_MINORS_MAX];
	char *text = fixture("drbd-two-minors.txt");

	cr_assert_eq(drbd_proc_parse(text, m), 3);
	cr_expect_eq(m[0].minor, 0);
	cr_expect_str_eq(m[0].cs, "Connected");
	cr_expect_str_eq(m[0].ro, "Primary/Secondary");
	cr_expect_str_eq(m[0].ds, "UpToDate/UpToDate");
	cr_expect(m[0].connected && m[0].primary && m[0].up_to_date);
	cr_expect(m[0].lo == 2 && m[0].pe == 46 && m[0].ua == 1 && m[0].ap == 47);
	cr_expect_eq(m[1].minor, 3);
	cr_expect(!m[1].connected && !m[1].primary && !m[1].up_to_date);
	cr_expect_eq(m[2].minor, 7);
	cr_expect(m[2].connected && m[2].pe == 3 && m[2].ua == 3);
	free(text);
	text = fixture("drbd9.txt");
	cr_expect_eq(drbd_proc_parse(text, m), 0);
	free(text);
	cr_expect_eq(drbd_proc_parse(" 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", m), 1);
	cr_expect_eq(drbd_proc_parse("\n 0: cs:Connected\n ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", m), 0, "in two lines");
	cr_expect_eq(drbd_proc_parse(" 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", m), 1);
	cr_expect_eq(m[0].pe, 0, "the text ended before the counters");
}

Test(parse, the_oldest_request_is_the_oldest_of_all_lines)
{
	static const struct { const char *file; bool found; uint64_t age_ms; } cases[] = {
		{ "oldest-writes-and-read.txt", true, 2190 }, { "oldest-none.txt", false, 0 }, { "oldest-overtaken.txt", true, 0 },
		{ "oldest-timing-stats-off.txt", true, 640 }, { "drbd9.txt", false, 0 },
	};
	uint64_t age;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *text = fixture(cases[i].file);

		cr_expect_eq(drbd_oldest_parse(text, &age), cases[i].found, "%s", cases[i].file);
		cr_expect_eq(age, cases[i].age_ms * MS, "%s: %llu", cases[i].file, (unsigned long long)age);
		free(text);
	}
	cr_expect_not(drbd_oldest_parse("", &age));
}

static const struct mount_op *op_find(const struct mount_stats *s, const char *name)
{
	for (unsigned int i = 0; i < s->ops_nr; i++) {
		if (strcmp(s->ops[i].name, name) == 0)
			return &s->ops[i];
	}
	return NULL;
}

Test(parse, mountstats_takes_the_topmost_mount_that_holds_this_path)
{
	static struct mount_stats s;
	char *text = fixture("mountstats.txt");
	const struct mount_op *op;

	cr_assert(mountstats_parse(text, "/mnt/home", &s));
	cr_expect_eq(s.age_s, 1234);
	cr_expect_str_eq(s.options, "rw,vers=4.1,rsize=131072,wsize=131072,namlen=255,acregmin=3,hard,proto=tcp,nconnect=2,timeo=600,retrans=2,sec=sys,"
				   "clientaddr=192.0.2.10,local_lock=none");
	cr_expect_eq(s.connects, 4, "two transports");
	cr_expect_eq(s.backlog, 42);
	cr_expect_eq(s.ops_nr, 5);
	op = op_find(&s, "READ");
	cr_assert_not_null(op);
	cr_expect(op->ops == 1000 && op->transmissions == 1007 && op->rtt_ms == 32000 && op->rtt_valid);
	op = op_find(&s, "WRITE");
	cr_assert_not_null(op);
	cr_expect(op->ops == 500 && !op->rtt_valid, "a sum below zero is not a time");
	cr_expect_eq(op_find(&s, "COMMIT")->ops, 0);
	cr_assert(mountstats_parse(text, "/mnt/home/site-7/logs", &s));
	cr_expect_eq(s.age_s, 1234);

	cr_assert(mountstats_parse(text, "/mnt/home2", &s));
	cr_expect(s.age_s == 500 && s.connects == 8 && s.backlog == 33 && s.ops_nr == 1);
	cr_expect_eq(s.ops[0].rtt_ms, 44);
	cr_assert(mountstats_parse(text, "/mnt/my files", &s));
	cr_expect_eq(s.age_s, 77);
	cr_expect_not(mountstats_parse(text, "/mnt", &s));
	cr_expect_not(mountstats_parse(text, "/mnt/home3", &s));
	cr_expect_not(mountstats_parse(text, "/tmp", &s), "a mount, but not of NFS");
	cr_expect_not(mountstats_parse("", "/mnt", &s));
	free(text);
}

Test(parse, mountstats_takes_the_deepest_mount)
{
	static const char text[] = "device s:/root mounted on / with fstype nfs4 statvers=1.1\n\tage:\t1\n"
				   "device s:/home mounted on /mnt/home with fstype nfs statvers=1.1\n\tage:\t2\n"
				   "device tmpfs mounted on /mnt/home/ram with fstype tmpfs\n"
				   "device s:/mnt mounted on /mnt with fstype nfs statvers=1.1\n\tage:\t3\n";
	static struct mount_stats s;

	cr_expect(mountstats_parse(text, "/mnt/home/a", &s) && s.age_s == 2);
	cr_expect(mountstats_parse(text, "/mnt/homes", &s) && s.age_s == 3);
	cr_expect(mountstats_parse(text, "/srv", &s) && s.age_s == 1);
	cr_expect_not(mountstats_parse(text, "/mnt/home/ram/a", &s), "in memory, whatever is below it");
}

Test(parse, mountstats_finds_one_mount_among_many)
{
	static struct mount_stats s;
	size_t room = 4u << 20, used = 0;
	char *text = malloc(room);

	for (int i = 0; i < 5000; i++)
		used += (size_t)snprintf(text + used, room - used,
					 "device s:/e mounted on /m/%d with fstype nfs4 statvers=1.1\n\tage:\t%d\n\tper-op statistics\n\t  READ: %d 1 0 0 0 0 1 1\n", i, i, i);
	cr_assert(mountstats_parse(text, "/m/4321", &s));
	cr_expect(s.age_s == 4321 && s.ops_nr == 1 && s.ops[0].ops == 4321);
	free(text);
}

Test(parse, a_text_that_is_cut_anywhere_is_survived)
{
	static const char *const files[] = { "mountstats.txt", "drbd-two-minors.txt", "oldest-writes-and-read.txt", "diskstats.txt", "pressure-io.txt",
					     "kmsg.txt", "status-blocked.txt", "stat.txt" };
	static struct drbd_minor minors[DRBD_MINORS_MAX];
	static struct mount_stats stats;
	struct nfsd_thread_state state;
	struct pressure_line pressure;
	struct disk_line disk;
	struct cpu_line cpu;
	uint64_t age;
	char out[64];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		char *text = fixture(files[i]);

		for (size_t n = strlen(text); n-- > 0;) {
			char *cut = strndup(text, n);	/* of its own, so that a sanitizer sees its end */

			(void)mountstats_parse(cut, "/mnt/home", &stats);
			(void)drbd_proc_parse(cut, minors);
			(void)drbd_oldest_parse(cut, &age);
			(void)nfsd_status_parse(cut, &state);
			(void)pressure_line_parse(cut, &pressure);
			(void)disk_line_parse(cut, &disk);
			(void)cpu_line_parse(cut, &cpu);
			(void)kmsg_parse(cut, out, sizeof out);
			free(cut);
		}
		free(text);
	}
}

Test(parse, diskstats_gives_whole_disks)
{
	char *text = fixture("diskstats.txt"), names[128] = "";
	struct disk_line d;

	for (const char *line = text; line; line = line_next(line)) {
		if (!disk_line_parse(line, &d))
			continue;
		(void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", d.name);
		if (strcmp(d.name, "vda") == 0)
			cr_expect(d.read_ops == 9001 && d.write_ops == 7300 && d.busy_ms == 5555);
		if (strcmp(d.name, "drbd0") == 0)
			cr_expect(d.read_ops == 5 && d.write_ops == 18446744073709551615ULL && d.busy_ms == 123456);
	}
	cr_expect_str_eq(names, "vda sda nvme0n1 drbd0 dm-2 ");
	free(text);
}

Test(parse, memory_is_in_bytes)
{
	char *text = fixture("meminfo.txt");
	struct memory_line m;

	cr_assert(memory_line_parse(text, &m));
	cr_expect_str_eq(m.key, "MemTotal");
	cr_expect_eq(m.bytes, 512000000u);
	cr_expect_not(memory_line_parse("HugePages_Total:       0", &m), "a number of pages");
	cr_expect_not(memory_line_parse("MemTotal: 99999999999999999999 kB", &m));
	free(text);
}

Test(parse, pressure_gives_some_and_full)
{
	char *text = fixture("pressure-io.txt");
	struct pressure_line p;

	cr_assert(pressure_line_parse(text, &p));
	cr_expect_str_eq(p.kind, "some");
	cr_expect_lt(fabs(p.avg10_pct - 64.25), 1e-9);
	cr_assert(pressure_line_parse(line_next(text), &p));
	cr_expect_str_eq(p.kind, "full");
	cr_expect_not(pressure_line_parse("most avg10=1.00", &p));
	free(text);
}

Test(parse, stat_gives_all_processors_together)
{
	char *text = fixture("stat.txt");
	struct cpu_line cpu;

	cr_assert(cpu_line_parse(text, &cpu));
	cr_expect_eq(cpu.idle, 9000 + 250, "with I/O under way it is idle, too");
	cr_expect_eq(cpu.steal, 100);
	cr_expect_eq(cpu.total, 11000, "guest time is in user time already");
	cr_expect_not(cpu_line_parse(line_next(text), &cpu), "one processor is not all");
	cr_expect_not(cpu_line_parse("cpu  1 2 3 4 5 6 7\n8", &cpu), "a line that ends too early does not go on in the next one");
	free(text);
}

Test(parse, no_secret_of_drbd_comes_through)
{
	static const char *const shows[] = {
		"net {\n  shared-secret \t\"SECRET\";\n}\n", "shared-secret SECRET;\n", "shared-secret\n\"SECRET\";", "shared-secret \"SECRET",
		"shared-secret \"a\\\" SECRET\"; # SECRET\n", "shared-secret \"a\nSECRET\n\\\\\" SECRET;\nshared-secret \"SECRET\";", "shared-secret \"\\",
		"shared-secret \"shared-secret SECRET\";\nshared-secret",
	};
	char *clean;

	for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++) {
		clean = drbd_show_clean(shows[i]);
		cr_expect(!strstr(clean, "SECRET") && strstr(clean, "shared-secret (not recorded);\n"), "%s: %s", shows[i], clean);
		free(clean);
	}
	clean = drbd_show_clean("net {\n  shared-secret \t\"a\\\\\";\n  ping-int 10;\n}\n");
	cr_expect_str_eq(clean, "net {\n  shared-secret (not recorded);\n  ping-int 10;\n}\n");
	free(clean);
}

Test(parse, kmsg_gives_the_kernels_own_text)
{
	char *text = fixture("kmsg.txt"), out[128], small[8];

	cr_assert(kmsg_parse(text, out, sizeof out));
	cr_expect_str_eq(out, "block drbd0: conn( Connected -> NetworkFailure )");
	cr_assert(kmsg_parse(text, small, sizeof small));
	cr_expect_str_eq(small, "block d");
	cr_expect_not(kmsg_parse("30,5,6,-;systemd[1]: Started", out, sizeof out), "facility 3 is not the kernel");
	cr_expect_not(kmsg_parse("4,5,6,-", out, sizeof out));
	cr_expect_not(kmsg_parse("", out, sizeof out));
	free(text);
}
