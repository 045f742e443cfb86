/* SPDX-License-Identifier: MIT */
/*
 * profile_test.c - the profiles that are delivered parse to what they say, print to what they are, and bad ones are refused in one sentence.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "profile.h"
#include "yaml.h"

static const char good[] = "name: t\n"
			   "dataset: {sites: 2}\n"
			   "jobs:\n"
			   "  reads: {mix: {read: 1}, arrival: {constant: 100/s}}\n"
			   "phases: [{name: baseline, for: 10s}, {name: end, for: 5s}]\n"
			   "faults: []\n";

Test(profile, the_first_case_says_what_was_meant)
{
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;
	const struct job *visitors = &p.jobs[0], *crawl = &p.jobs[1];

	cr_assert_eq(profile_load("profiles/pythonanywhere-2015.yaml", NULL, &p, &err), 0, "%s", err.text);
	cr_assert_eq(p.seed, 20150905u);
	cr_assert_eq(p.expect, VERDICT_REPRODUCED);
	cr_assert(visitors->is_page);
	cr_assert_eq(visitors->page_nr, 10u);
	cr_assert_eq(visitors->arrival.kind, ARRIVAL_POISSON);
	cr_assert_eq(visitors->arrival.pieces[0].from.kind, RATE_CAPACITY);
	cr_assert_float_eq(visitors->arrival.pieces[0].from.value, 0.12, 1e-9);
	cr_assert_eq(visitors->timeout_ns, 30000000000u);
	cr_assert_eq(crawl->order, ORDER_WALK);
	cr_assert_eq(crawl->phases, 4u);
	cr_assert_eq(crawl->arrival.pieces[0].to.kind, RATE_BASELINE);
	cr_assert_eq(p.faults_nr, 2u);
	cr_assert_eq(p.faults[0].at.phase_idx, 2);
	cr_assert_eq(p.faults[0].at.offset_ns, 10000000000u);
	cr_assert_str_eq(p.faults[0].until.name, "host-reboot");
	cr_assert_eq(p.faults[0].until.phase_idx, -1);
	cr_assert_eq(p.signature_nr, 5u);
	cr_assert_str_eq(p.signature[0].text, "nfsd.hung_ratio >= 0.5 for 10s");
	cr_assert_eq(p.arms_nr, 1u);
	cr_assert(profile_needs_calibration(&p));
	profile_release(&p);
}

Test(profile, a_sweep_is_every_combination_and_comes_behind_the_arms)
{
	static const char *const sets[] = { "arms={a: [seed=9]}", "sweep={phases.0.for: [1s, 2s], jobs.reads.slots: [1, 2, 4], dataset.for: [x]}", NULL };
	static const char *const names[] = { "a", "phases.0.for=1s slots=1 dataset.for=x", "phases.0.for=1s slots=2 dataset.for=x", "phases.0.for=1s slots=4 dataset.for=x",
					     "phases.0.for=2s slots=1 dataset.for=x", "phases.0.for=2s slots=2 dataset.for=x", "phases.0.for=2s slots=4 dataset.for=x" };
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
	cr_assert_eq(p.arms_nr, sizeof names / sizeof names[0]);
	for (size_t i = 0; i < p.arms_nr; i++)
		cr_assert_str_eq(p.arms[i].name, names[i]);
	cr_assert_eq(p.arms[6].set_nr, 3u);
	cr_assert_str_eq(p.arms[6].set[0].text, "phases.0.for=2s");
	cr_assert_str_eq(p.arms[6].set[1].text, "jobs.reads.slots=4");
	profile_release(&p);
}

Test(profile, what_is_printed_reads_back_with_every_default_written_out)
{
	static const char *const sets[] = { "jobs.reads.retry={after: 2s}", NULL };
	struct profile p = PROFILE_INIT, again = PROFILE_INIT;
	struct err err = ERR_INIT;
	char *first, *second;

	cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
	cr_assert_eq(profile_print(&p, &first), 0);
	cr_assert_not_null(strstr(first, "slots: 64"));
	cr_assert_not_null(strstr(first, "tries: 3"));
	cr_assert_not_null(strstr(first, "backoff: 1x"));
	cr_assert_eq(profile_parse(first, "g.yaml", NULL, &again, &err), 0, "%s in\n%s", err.text, first);
	cr_assert_eq(profile_print(&again, &second), 0);
	cr_assert_str_eq(first, second);
	cr_assert_eq(memcmp(p.phases, again.phases, sizeof p.phases), 0);
	free(first);
	free(second);
	profile_release(&p);
	profile_release(&again);
}

Test(profile, an_override_changes_what_it_names)
{
	static const char *const sets[] = { "jobs.reads.arrival.constant=7/s", "seed=9", NULL };
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
	cr_assert_float_eq(p.jobs[0].arrival.pieces[0].from.value, 7, 1e-9);
	cr_assert_eq(p.seed, 9u);
	profile_release(&p);
}

Test(profile, an_order_has_a_name_and_zipf_an_exponent)
{
	static const struct {
		const char *set;
		enum order order;
		double s;
	} cases[] = { { "jobs.reads.order=random", ORDER_RANDOM, 1 }, { "jobs.reads.order=walk", ORDER_WALK, 1 }, { "jobs.reads.order=zipf", ORDER_ZIPF, 1 },
		      { "jobs.reads.order={zipf: 0.8}", ORDER_ZIPF, 0.8 } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *const sets[] = { cases[i].set, NULL };
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
		cr_assert_eq(p.jobs[0].order, cases[i].order, "%s", cases[i].set);
		cr_assert_float_eq(p.jobs[0].zipf_s, cases[i].s, 1e-9, "%s", cases[i].set);
		profile_release(&p);
	}
}

Test(profile, a_fault_that_is_repeated_stands_after_the_listed_ones)
{
	const char *const sets[] = { "faults=[{fault: none, at: baseline+1s, for: 1s, repeat: {times: 3, every: 2s}}, {fault: none, at: baseline, when: nfsd.blocked > 1}]", NULL };
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
	cr_assert_eq(p.faults_nr, 4u);
	cr_assert_str_eq(p.faults[1].key, "faults.1");
	cr_assert_str_eq(p.faults[1].condition.text, "nfsd.blocked > 1");
	cr_assert_str_eq(p.faults[0].condition.text, "");
	cr_assert_str_eq(p.faults[3].key, "faults.0 (3 of 3)");
	cr_assert_eq(p.faults[3].at.offset_ns, 5000000000u);
	cr_assert_eq(p.faults[3].for_ns, 1000000000u);
	profile_release(&p);
}

static void draw(unsigned int seed, struct profile *ret)
{
	static const char drawn[] = "random_faults={from: baseline+10s, until: end, gap: 20s, at_once: 2, of: [{fault: a, for: 30s, weight: 3}, {fault: b, for: 5s}, {fault: c, for: 9s}]}";
	char seed_set[32];
	const char *const sets[] = { drawn, "phases.0.for=8m", seed_set, NULL };
	struct err err = ERR_INIT;

	(void)snprintf(seed_set, sizeof seed_set, "seed=%u", seed);
	*ret = (struct profile)PROFILE_INIT;
	cr_assert_eq(profile_parse(good, "g.yaml", sets, ret, &err), 0, "%s", err.text);
}

static unsigned int in_force_with(const struct profile *p, unsigned int idx)
{
	uint64_t at = p->faults[idx].at.offset_ns;
	unsigned int nr = 0;

	for (unsigned int i = 0; i <= idx; i++) {
		if (p->faults[i].at.offset_ns + p->faults[i].for_ns <= at)
			continue;
		nr++;
		cr_assert(i == idx || strcmp(p->faults[i].fault, p->faults[idx].fault) != 0, "%s twice at a time", p->faults[i].fault);
	}
	return nr;
}

Test(profile, faults_drawn_at_random_keep_to_their_span_their_limit_and_their_weights)
{
	unsigned int drawn = 0, of_a = 0;

	for (unsigned int seed = 1; seed <= 300; seed++) {
		struct profile p;

		draw(seed, &p);
		for (unsigned int i = 0; i < p.faults_nr; i++) {
			cr_assert(i == 0 || p.faults[i].at.offset_ns >= p.faults[i - 1].at.offset_ns);
			cr_assert_geq(p.faults[i].at.offset_ns, 10000000000u);
			cr_assert_leq(p.faults[i].at.offset_ns + p.faults[i].for_ns, 480000000000u);
			cr_assert_leq(in_force_with(&p, i), 2u);
			of_a += strcmp(p.faults[i].fault, "a") == 0;
		}
		drawn += p.faults_nr;
		profile_release(&p);
	}
	/* 3 of 5 draws are of a; a gap is 20 s and more, by what has to wait: of 470 s less than 23.5 a run, more than half of that. */
	cr_assert_float_eq((double)of_a / drawn, 0.6, 0.02, "%u of %u", of_a, drawn);
	cr_assert(drawn < 300 * 23.5 && drawn > 300 * 12, "%u", drawn);
}

Test(profile, the_same_seed_draws_the_same_faults_and_another_one_others)
{
	struct profile one, same, other;

	draw(5, &one);
	draw(5, &same);
	draw(6, &other);
	cr_assert_eq(one.faults_nr, same.faults_nr);
	for (unsigned int i = 0; i < one.faults_nr; i++)
		cr_assert(one.faults[i].at.offset_ns == same.faults[i].at.offset_ns && strcmp(one.faults[i].fault, same.faults[i].fault) == 0);
	cr_assert_neq(one.faults[0].at.offset_ns, other.faults[0].at.offset_ns);
	profile_release(&one);
	profile_release(&same);
	profile_release(&other);
}

Test(profile, a_job_logs_its_ops_from_a_time_on_or_not_at_all)
{
	const char *const sets[] = { "jobs.reads.log_ops=100ms", NULL };

	for (int with = 0; with < 2; with++) {
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(profile_parse(good, "g.yaml", with ? sets : NULL, &p, &err), 0, "%s", err.text);
		cr_assert_eq(p.jobs[0].logs_ops, with == 1);
		cr_assert_eq(p.jobs[0].log_from_ns, with ? 100000000u : 0u);
		profile_release(&p);
	}
}

Test(profile, a_retry_says_how_long_each_attempt_is_waited_for)
{
	static const struct {
		const char *set;
		unsigned int tries;
		uint64_t wait_ms[4], all_ms;
	} cases[] = { { "jobs.reads.retry={after: 2s}", 3, { 2000, 2000, 2000 }, 6000 },
		      { "jobs.reads.retry={after: 2s, tries: 4, backoff: 2x}", 4, { 2000, 4000, 8000, 16000 }, 30000 },
		      { "jobs.reads.retry={after: 100ms, tries: 2, backoff: 1.5x}", 2, { 100, 150 }, 250 },
		      { "jobs.reads.timeout=7s", 0, { 0 }, 7000 } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *const sets[] = { cases[i].set, NULL };
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
		cr_assert_eq(p.jobs[0].retry.tries, cases[i].tries, "%s", cases[i].set);
		for (unsigned int k = 0; k < cases[i].tries; k++)
			cr_assert_eq(retry_wait_ns(&p.jobs[0].retry, k), cases[i].wait_ms[k] * 1000000u, "%s: attempt %u", cases[i].set, k);
		cr_assert_eq(job_gives_up_ns(&p.jobs[0]), cases[i].all_ms * 1000000u, "%s", cases[i].set);
		profile_release(&p);
	}
}

/* Each bad profile is the good one with one assignment. */
Test(profile, what_is_wrong_is_refused_with_its_line_and_the_next_step)
{
	static const struct {
		const char *set, *sentence;
	} cases[] = { { "jbos=1", "unknown key in the profile 'jbos'; did you mean 'jobs'?" },
		      { "jobs.reads.slots=0", "g.yaml:4: slots: 0 is out of range; 1 to 4096" },
		      { "jobs.reads.log_ops=30", "'30' is not a duration; write a number with" },
		      { "jobs.reads.timeout=30", "'30' is not a duration; write a number with" },
		      { "jobs.reads.retry={tries: 3}", "retry needs the time after which an attempt is given up" },
		      { "jobs.reads.retry={after: 0s}", "'after' must be longer than 0" },
		      { "jobs.reads.retry={after: 1s, tries: 1}", "tries: 1 is out of range; 2 to 10" },
		      { "jobs.reads.retry={after: 1s, tries: 11}", "tries: 11 is out of range; 2 to 10" },
		      { "jobs.reads.retry={after: 1s, backoff: 2}", "backoff: '2' is no factor; write 2x" },
		      { "jobs.reads.retry={after: 1s, backoff: x}", "backoff: 'x' is no factor; write 2x" },
		      { "jobs.reads.retry={after: 1s, backoff: []}", "backoff: 'this' is no factor; write 2x" },
		      { "jobs.reads.retry={after: 1s, backoff: 0.5x}", "backoff: '0.5x' is out of range; 1x to 10x" },
		      { "jobs.reads.retry={after: 1s, backoff: 11x}", "backoff: '11x' is out of range; 1x to 10x" },
		      { "jobs.reads.retry={after: 1h, tries: 10, backoff: 2x}", "would be waited for longer than 24h" },
		      { "jobs.reads={mix: {read: 1}, arrival: {closed: {}}, retry: {after: 1s}}", "a closed loop has no retry" },
		      { "jobs.reads={mix: {read: 1}, arrival: {constant: 1/s}, timeout: 9s, retry: {after: 1s}}", "'reads' has a timeout and a retry" },
		      { "jobs.reads={mix: {read: 1}, arrival: {constant: 1/s}, queue: 0, retry: {after: 1s}}", "retry needs a queue of 1 or more" },
		      { "jobs.reads.arrival={constant: fast}", "'fast' is no rate; write 500/s" },
		      { "jobs.reads.arrival={constant: 1/s, poisson: 1/s}", "arrival takes one of" },
		      { "jobs.reads.mix={raed: 1}", "unknown key in mix 'raed'; did you mean 'read'?" },
		      { "jobs.reads.page=webapp", "needs either a mix of ops or a page" },
		      { "jobs.reads={page: nowhere, arrival: {constant: 1/s}}", "unknown page 'nowhere'; write a list of ops" },
		      { "jobs.reads={page: [stat x 1025], arrival: {constant: 1/s}}", "'stat x 1025': a page has 1 to 1024 ops" },
		      { "jobs.reads={page: [stat x 1024, stat], arrival: {constant: 1/s}}", "'stat': a page has 1 to 1024 ops" },
		      { "jobs.reads={page: [stat x 0], arrival: {constant: 1/s}}", "'stat x 0': a page has 1 to 1024 ops" },
		      { "jobs.reads={page: [stat x -1], arrival: {constant: 1/s}}", "'stat x -1': a page has 1 to 1024 ops" },
		      { "jobs.reads={page: [sta x 2], arrival: {constant: 1/s}}", "'sta'; did you mean 'stat'?" },
		      { "jobs.reads={page: [stat x 2x], arrival: {constant: 1/s}}", "'stat x 2x'" },
		      { "pages={unused: [raed]}", "'raed'; did you mean 'read'?" },
		      { "pages={unused: []}", "a page is a list of ops" },
		      { "pages=[read]", "pages is a mapping" },
		      { "jobs.reads.mix={create: 1}", "create works in a page alone: [create, rename]" },
		      { "pages={x: [stat, unlink]}", "op 2 of the page needs a create before it" },
		      { "pages={x: [create, rename, unlink]}", "op 3 of the page needs a create before it" },
		      { "pages={x: [create x 2, unlink]}", "op 2 of the page creates a file while" },
		      { "pages={x: [create, stat]}", "the page leaves a file that it created" },
		      { "jobs.reads.mix={read_all: 1}", "read_all works in a page alone: [open_only, read_first, read_all, close]" },
		      { "pages={x: [stat, read_all]}", "op 2 of the page needs an open_only before it" },
		      { "pages={x: [open_only, close, read_first, close]}", "op 3 of the page needs an open_only before it" },
		      { "pages={x: [open_only, stat, open_only, close]}", "op 3 of the page opens a file while" },
		      { "pages={x: [open_only, read_all]}", "the page leaves a file open; end with close" },
		      { "jobs.reads={engine: nfs3, nfs: {server: 10.0.0.1, path: /a}, page: [open_only, close], arrival: {constant: 1/s}}", "engine nfs3 cannot do open_only" },
		      { "jobs.reads.phases=[nowhere]", "'nowhere' is no phase" },
		      { "jobs.reads.order=zpif", "unknown order 'zpif'; did you mean 'zipf'?" },
		      { "jobs.reads.order={zipf: 0}", "the exponent of zipf is 0.05 to 5" },
		      { "jobs.reads.order={zipf: 6}", "the exponent of zipf is 0.05 to 5" },
		      { "jobs.reads.order={walk: 1}", "unknown key in order 'walk'" },
		      { "jobs.reads.order={}", "order is random, walk, zipf or" },
		      { "jobs={}", "jobs is missing" },
		      { "phases=[{name: storm, for: 5s}]", "a profile has a phase named baseline" },
		      { "dataset.size={lognormal: {mu: 1}}", "lognormal needs mu, sigma and max" },
		      { "faults=[{fault: none}]", "a fault needs its name and an instant" },
		      { "faults=[{fault: none, at: nowhere+1s}]", "'nowhere' is neither a phase nor another fault" },
		      { "faults=[{fault: none, at: end}]", "the last phase must be clean" },
		      { "faults=[{fault: none, at: baseline, for: 1s, until: end}]", "not both" },
		      { "expect=perhaps", "unknown expect 'perhaps'" },
		      { "name=../x", "cannot be the name of a folder" },
		      { "seed=x", "seed: 'x' is not a whole number" } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *const sets[] = { cases[i].set, NULL };
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), -EINVAL, "%s was taken", cases[i].set);
		cr_assert_not_null(strstr(err.text, cases[i].sentence), "%s gave '%s'", cases[i].set, err.text);
		cr_assert_eq(strncmp(err.text, "g.yaml:", 7), 0, "%s gave '%s'", cases[i].set, err.text);
	}
}

Test(profile, a_page_of_the_profile_is_its_list_with_repeats_and_comes_before_the_one_that_is_built_in)
{
	static const char *const sets[] = { "pages={start: [stat_miss x 200, stat, open x 2, append_fsync], webapp: [create, write, unlink]}",
					    "jobs.start={page: start, arrival: {constant: 1/s}}",
					    "jobs.own={page: webapp, arrival: {constant: 1/s}}", NULL };
	static const unsigned int own[] = { OP_CREATE, OP_WRITE, OP_UNLINK };
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), 0, "%s", err.text);
	cr_assert_eq(p.jobs[1].page_nr, 204u);
	for (unsigned int i = 0; i < 200; i++)
		cr_assert_eq(p.jobs[1].page[i], OP_STAT_MISS);
	cr_assert_eq(p.jobs[1].page[200], OP_STAT);
	cr_assert_eq(p.jobs[1].page[202], OP_OPEN);
	cr_assert_eq(p.jobs[1].page[203], OP_APPEND_FSYNC);
	cr_assert_eq(p.jobs[2].page_nr, 3u);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(p.jobs[2].page[i], own[i]);
	profile_release(&p);
}

Test(profile, a_missing_file_is_named)
{
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(profile_load("/no/such.yaml", NULL, &p, &err), -EINVAL);
	cr_assert_str_eq(err.text, "/no/such.yaml: No such file or directory; a profile is a YAML file, such as profiles/smoke.yaml");
}

#define WITH_JOB(job) "name: t\ndataset: {sites: 2}\njobs:\n  a: " job "\nphases: [{name: baseline, for: 1s}, {name: end, for: 1s}]\nfaults: []\n"

Test(profile, an_engine_is_asked_for_no_more_than_it_can_do)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ WITH_JOB("{engine: lidaio, mix: {pread: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: unknown engine 'lidaio'; did you mean 'libaio'?" },
		{ WITH_JOB("{engine: libaio, mix: {pread: 1, stat: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine libaio cannot do stat" },
		{ WITH_JOB("{engine: libaio, page: webapp, arrival: {constant: 1/s}}"), "p.yaml:4: engine libaio cannot do stat" },
		{ WITH_JOB("{direct: true, mix: {pread: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine sync has no direct: true" },
		{ WITH_JOB("{slots: 4097, mix: {pread: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: slots: 4097 is out of range; 1 to 4096" },
		{ WITH_JOB("{engine: io_uring, mix: {pread: 1, readdir: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine io_uring cannot do readdir" },
		{ WITH_JOB("{engine: io_uring, direct: true, mix: {pread: 1, stat: 1}, arrival: {constant: 1/s}}"),
		  "p.yaml:4: engine io_uring has no direct: true for stat" },
		{ WITH_JOB("{engine: nfs3, mix: {read: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine nfs3 needs nfs: {server: , path: }" },
		{ WITH_JOB("{engine: nfs3, nfs: {server: a}, mix: {read: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: nfs needs a server and a path" },
		{ WITH_JOB("{engine: nfs3, nfs: {server: a, path: b}, mix: {read: 1}, arrival: {constant: 1/s}}"), "begins with '/'" },
		{ WITH_JOB("{engine: nfs3, nfs: {server: a, path: /b, ports: 1}, mix: {read: 1}, arrival: {constant: 1/s}}"), "did you mean 'port'?" },
		{ WITH_JOB("{engine: nfs3, nfs: {server: a, path: /b, port: 65536}, mix: {read: 1}, arrival: {constant: 1/s}}"), "1 to 65535" },
		{ WITH_JOB("{engine: nfs3, nfs: {server: a, path: /b, first_uid: 1000}, mix: {write: 1}, arrival: {constant: 1/s}}"),
		  "p.yaml:4: with first_uid no client may do write" },
		{ WITH_JOB("{engine: nfs3, nfs: {server: a, path: /b}, mix: {lock: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine nfs3 needs the lock_port" },
		{ WITH_JOB("{nfs: {server: a, path: /b}, mix: {read: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine sync has no nfs" },
		{ WITH_JOB("{engine: libaio, queue: 0, mix: {pread: 1}, arrival: {constant: 1/s}}"), "p.yaml:4: engine libaio needs a queue" },
	};
	static const char fine[] = WITH_JOB("{engine: libaio, direct: true, slots: 10000, mix: {pread: 1}, arrival: {constant: 1/s}}");
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;
	char *text;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err = (struct err)ERR_INIT;
		cr_assert_eq(profile_parse(bad[i].text, "p.yaml", NULL, &p, &err), -EINVAL, "%zu is taken", i);
		cr_assert_not_null(strstr(err.text, bad[i].says), "%s, not %s", err.text, bad[i].says);
	}
	err = (struct err)ERR_INIT;
	cr_assert_eq(profile_parse(fine, "p.yaml", NULL, &p, &err), 0, "%s", err.text);
	cr_assert(p.jobs[0].direct);
	cr_assert_eq(profile_print(&p, &text), 0);
	cr_assert_not_null(strstr(text, "direct: true"));
	free(text);
	profile_release(&p);
}

Test(profile, an_nfs_server_has_ports_by_default_and_is_printed_with_them)
{
	static const char text[] = WITH_JOB("{engine: nfs3, nfs: {server: a, path: /b, mount_port: 7, lock_port: 8, deadline: 2s, first_uid: 1000}, mix: {read: 1, lock: 1}, arrival: {constant: 1/s}}");
	struct profile p = PROFILE_INIT, again = PROFILE_INIT;
	struct err err = ERR_INIT;
	char *printed;

	cr_assert_eq(profile_parse(text, "p.yaml", NULL, &p, &err), 0, "%s", err.text);
	cr_assert_eq(profile_print(&p, &printed), 0);
	cr_assert_not_null(strstr(printed, "port: 2049"), "%s", printed);
	cr_assert_eq(profile_parse(printed, "q.yaml", NULL, &again, &err), 0, "%s", err.text);
	cr_assert_str_eq(again.jobs[0].nfs.server, "a");
	cr_assert_str_eq(again.jobs[0].nfs.path, "/b");
	cr_assert_eq(again.jobs[0].nfs.port, 2049);
	cr_assert_eq(again.jobs[0].nfs.mount_port, 7);
	cr_assert_eq(again.jobs[0].nfs.lock_port, 8);
	cr_assert_eq(again.jobs[0].nfs.deadline_ns, 2000000000);
	cr_assert(again.jobs[0].nfs.own_users);
	cr_assert_eq(again.jobs[0].nfs.first_uid, 1000);
	free(printed);
	profile_release(&p);
	profile_release(&again);
}
