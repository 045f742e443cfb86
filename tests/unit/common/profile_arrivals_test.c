/* SPDX-License-Identifier: MIT */
/*
 * profile_arrivals_test.c - each way to write an arrival comes to the timeline that docs/arrivals.scd says; bad ones are refused in one sentence.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "profile.h"

static const char good[] = "name: t\n"
			   "dataset: {sites: 2}\n"
			   "jobs:\n"
			   "  reads: {mix: {read: 1}, arrival: {constant: 100/s}, phases: [baseline, end]}\n"
			   "phases: [{name: calibrate, for: 3s}, {name: baseline, for: 10s}, {name: storm, for: 7s}, {name: end, for: 5s}]\n";

struct want {
	double for_s, from, to;
	enum rate_kind from_kind, to_kind;
};

static struct job parse(struct profile *p, const char *arrival)
{
	char set[1024];
	const char *const sets[] = { set, NULL };
	struct err err = ERR_INIT;

	(void)snprintf(set, sizeof set, "jobs.reads.arrival=%s", arrival);
	cr_assert_eq(profile_parse(good, "g.yaml", sets, p, &err), 0, "%s: %s", arrival, err.text);
	return p->jobs[0];
}

static void compare(const char *what, const struct arrival *a, const struct want want[], unsigned int nr)
{
	cr_assert_eq(a->pieces_nr, nr, "%s has %u pieces, not %u", what, a->pieces_nr, nr);
	for (unsigned int i = 0; i < nr; i++) {
		const struct rate_piece *p = &a->pieces[i];

		cr_assert_eq(p->for_ns, (uint64_t)(want[i].for_s * 1e9), "%s: piece %u lasts %lu ns", what, i, p->for_ns);
		cr_assert(p->from.kind == want[i].from_kind && p->to.kind == want[i].to_kind, "%s: piece %u", what, i);
		cr_assert_float_eq(p->from.value, want[i].from, 1e-9, "%s: piece %u begins with %g", what, i, p->from.value);
		cr_assert_float_eq(p->to.value, want[i].to, 1e-9, "%s: piece %u ends with %g", what, i, p->to.value);
	}
}

Test(profile_arrivals, each_way_to_write_one_is_a_timeline)
{
	static const struct {
		const char *text;
		enum arrival_kind kind;
		bool random, repeats;
		unsigned int nr;
		struct want want[5];
	} cases[] = {
		{ "{constant: 30/m}", ARRIVAL_CONSTANT, false, false, 1, { { 0, 0.5, 0.5, 0, 0 } } },
		{ "{poisson: 40% of capacity}", ARRIVAL_POISSON, true, false, 1, { { 0, 0.4, 0.4, RATE_CAPACITY, RATE_CAPACITY } } },
		{ "{spike: {from: 5% of capacity, to: 3x baseline}}", ARRIVAL_SPIKE, true, false, 2,
		  { { 5, 0.05, 3, RATE_CAPACITY, RATE_BASELINE }, { 0, 3, 3, RATE_BASELINE, RATE_BASELINE } } },
		{ "{spike: {from: 1/s, to: 2/s, rise: 0, poisson: false}}", ARRIVAL_SPIKE, false, false, 1, { { 0, 2, 2, 0, 0 } } },
		{ "{ramp: {from: 0/s, to: 300/s}}", ARRIVAL_RAMP, true, false, 2, { { 15, 0, 300, 0, 0 }, { 0, 300, 300, 0, 0 } } },
		{ "{ramp: {from: 9/s, to: 0/s, for: 4s}}", ARRIVAL_RAMP, true, false, 2, { { 4, 9, 0, 0, 0 }, { 0, 0, 0, 0, 0 } } },
		{ "{step: {from: 1x baseline, to: 4x baseline, at: 6s}}", ARRIVAL_STEP, true, false, 2,
		  { { 6, 1, 1, RATE_BASELINE, RATE_BASELINE }, { 0, 4, 4, RATE_BASELINE, RATE_BASELINE } } },
		{ "{step: {levels: [{rate: 5/s, for: 2s}, {rate: 0/s, for: 1s}, {rate: 50% of capacity}], poisson: false}}", ARRIVAL_STEP, false, false, 3,
		  { { 2, 5, 5, 0, 0 }, { 1, 0, 0, 0, 0 }, { 0, 0.5, 0.5, RATE_CAPACITY, RATE_CAPACITY } } },
		{ "{burst: {rate: 2x baseline, on: 500ms, off: 2s}}", ARRIVAL_BURST, true, true, 2,
		  { { 0.5, 2, 2, RATE_BASELINE, RATE_BASELINE }, { 2, 0, 0, 0, 0 } } },
		{ "{burst: {rate: 9/s, on: 1s, off: 2s, idle: 1/s, poisson: false}}", ARRIVAL_BURST, false, true, 2, { { 1, 9, 9, 0, 0 }, { 2, 1, 1, 0, 0 } } },
		{ "{replay: {points: '1.5, 10; 3,40% of capacity;4,0', poisson: false}}", ARRIVAL_REPLAY, false, false, 4,
		  { { 1.5, 0, 0, 0, 0 }, { 1.5, 10, 10, 0, 0 }, { 1, 0.4, 0.4, RATE_CAPACITY, RATE_CAPACITY }, { 0, 0, 0, 0, 0 } } },
		{ "{closed: {think: 20ms}}", ARRIVAL_CLOSED, true, false, 0, { { 0, 0, 0, 0, 0 } } },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct profile p = PROFILE_INIT;
		struct job j = parse(&p, cases[i].text);

		cr_assert_eq(j.arrival.kind, cases[i].kind, "%s", cases[i].text);
		cr_assert_eq(j.arrival.random, cases[i].random, "%s", cases[i].text);
		cr_assert_eq(j.arrival.repeats, cases[i].repeats, "%s", cases[i].text);
		compare(cases[i].text, &j.arrival, cases[i].want, cases[i].nr);
		profile_release(&p);
	}
}

/* A folder with a profile that replays a file beside it. */
struct folder {
	char dir[64], profile[96], timeline[96];
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
	close(fd);
}

static void make_folder(struct folder *f, const char *timeline)
{
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/squall-test-XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	(void)snprintf(f->profile, sizeof f->profile, "%s/p.yaml", f->dir);
	(void)snprintf(f->timeline, sizeof f->timeline, "%s/day.csv", f->dir);
	write_file(f->profile, good);
	if (timeline)
		write_file(f->timeline, timeline);
}

static void remove_folder(struct folder *f)
{
	struct err err = ERR_INIT;

	cr_assert_eq(file_remove_tree(f->dir, &err), 0, "%s", err.text);
}

static const char *const replay[] = { "jobs.reads.arrival={replay: day.csv}", NULL };

Test(profile_arrivals, a_file_is_replayed_and_the_printed_profile_needs_it_no_more)
{
	static const struct want want[] = { { 10, 120, 120, 0, 0 },
					    { 10, 0.1, 0.1, 0, 0 },
					    { 40.25, 1. / 3, 1. / 3, RATE_CAPACITY, RATE_CAPACITY },
					    { 0, 2.5, 2.5, RATE_BASELINE, RATE_BASELINE } };
	struct profile p = PROFILE_INIT, again = PROFILE_INIT;
	struct err err = ERR_INIT;
	char *first, *second;
	struct folder f;

	make_folder(&f, "second,rate\n# a day\n0,120\n10,0.1\r\n\n20,33.3333333333% of capacity\n60.25,2.5x baseline");
	cr_assert_eq(profile_load(f.profile, replay, &p, &err), 0, "%s", err.text);
	remove_folder(&f);
	compare("day.csv", &p.jobs[0].arrival, want, 4);
	cr_assert(profile_needs_calibration(&p));
	cr_assert_eq(profile_print(&p, &first), 0);
	cr_assert_not_null(strstr(first, "0,120;10,0.1;20,33.3333333333% of capacity;60.25,2.5x baseline"), "%s", first);
	cr_assert_eq(profile_parse(first, "g.yaml", NULL, &again, &err), 0, "%s in\n%s", err.text, first);
	compare("the printed one", &again.jobs[0].arrival, want, 4);
	cr_assert_eq(profile_print(&again, &second), 0);
	cr_assert_str_eq(first, second);
	free(first);
	free(second);
	profile_release(&p);
	profile_release(&again);
}

Test(profile_arrivals, a_bad_timeline_is_refused_with_its_line)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ NULL, "day.csv: No such file" },
		{ "0,1\n5\n", "day.csv:2: '5' is no second,rate" },
		{ "0,100\n5m,300\n", "day.csv:2: '5m,300' is no second,rate" },
		{ "0,fast\n", "day.csv:1: '0,fast' is no second,rate" },
		{ "0,-1\n", "day.csv:1: '0,-1' is no second,rate" },
		{ "0,nan\n", "day.csv:1: '0,nan' is no second,rate" },
		{ "0,inf% of capacity\n", "is no second,rate" },
		{ "0,1\n0,2\n", "day.csv:2: second '0' is not after the one before" },
		{ "0,1\n7,2\n6.5,1\n", "day.csv:3: second '6.5' is not after the one before" },
		{ "0,0\n9,0\n", "the rate is 0 all the time" },
		{ "", "the rate is 0 all the time" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;
		struct folder f;

		make_folder(&f, bad[i].text);
		cr_expect_eq(profile_load(f.profile, replay, &p, &err), -EINVAL, "%zu is taken", i);
		cr_expect_not_null(strstr(err.text, bad[i].says), "%s, not %s", err.text, bad[i].says);
		remove_folder(&f);
	}
}

Test(profile_arrivals, a_timeline_has_a_limit)
{
	struct profile p = PROFILE_INIT;
	struct err err = ERR_INIT;
	size_t bytes;
	char *text;
	FILE *out = open_memstream(&text, &bytes);
	struct folder f;

	for (unsigned int i = 0; i <= PIECES_MAX; i++)
		(void)fprintf(out, "%u,1\n", i);
	cr_assert_eq(fclose(out), 0);
	make_folder(&f, text);
	cr_expect_eq(profile_load(f.profile, replay, &p, &err), -EINVAL);
	cr_expect_not_null(strstr(err.text, "a timeline has at most 4096 rates"), "%s", err.text);
	text[bytes - strlen("4096,1\n")] = '\0';
	write_file(f.timeline, text);
	err = (struct err)ERR_INIT;
	cr_expect_eq(profile_load(f.profile, replay, &p, &err), 0, "%s", err.text);
	cr_expect_eq(p.jobs[0].arrival.pieces_nr, PIECES_MAX);
	profile_release(&p);
	remove_folder(&f);
	free(text);
}

Test(profile_arrivals, what_is_wrong_is_refused_with_its_line_and_the_next_step)
{
	static const struct {
		const char *set, *sentence;
	} cases[] = {
		{ "{brust: {}}", "unknown key in arrival 'brust'; did you mean 'burst'?" },
		{ "{constant: 0/s}", "the rate is 0 all the time: nothing ever arrives" },
		{ "{poisson: 0% of capacity}", "'0% of capacity' is no rate; write 500/s" },
		{ "{poisson: 1e999x baseline}", "is no rate" },
		{ "{spike: {from: 1/s}}", "spike needs a rate 'to'" },
		{ "{spike: {from: 1/s, to: 2/s, for: 1s}}", "unknown key in spike 'for'" },
		{ "{ramp: {from: 1/s, to: 2/s, rise: 1s}}", "unknown key in ramp 'rise'" },
		{ "{step: {from: 1/s, to: 2/s}}", "step needs a time 'at'" },
		{ "{step: {from: 1/s, to: 2/s, at: 0}}", "'at' must be longer than 0" },
		{ "{step: {levels: []}}", "levels is a list" },
		{ "{step: {levels: [{rate: 1/s}, {rate: 2/s}]}}", "a level needs a time 'for'" },
		{ "{step: {levels: [{rate: 1/s, for: 1s}]}}", "the last level lasts until the job ends" },
		{ "{step: {levels: [{for: 1s}]}}", "a level needs a rate" },
		{ "{step: {levels: [{rate: 1/s}], at: 3s}}", "unknown key in step 'at'" },
		{ "{burst: {rate: 1/s, on: 1s}}", "burst needs a time 'off'" },
		{ "{burst: {rate: 1/s, on: 0, off: 1s}}", "'on' must be longer than 0" },
		{ "{burst: {rate: 0/s, on: 1s, off: 1s}}", "the rate is 0 all the time" },
		{ "{burst: {rate: 1/s, on: 1s, off: 1s, poisson: maybe}}", "maybe" },
		{ "{replay: {}}", "replay needs the name of a file" },
		{ "{replay: {file: x.csv, points: '0,1'}}", "replay needs the name of a file" },
		{ "{replay: {points: [1, 2]}}", "what replay takes is one text" },
		{ "{closed: {thinks: 1s}}", "unknown key in closed 'thinks'; did you mean 'think'?" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char set[256];
		const char *const sets[] = { set, NULL };
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;

		(void)snprintf(set, sizeof set, "jobs.reads.arrival=%s", cases[i].set);
		cr_assert_eq(profile_parse(good, "g.yaml", sets, &p, &err), -EINVAL, "%s was taken", cases[i].set);
		cr_assert_not_null(strstr(err.text, cases[i].sentence), "%s gave '%s'", cases[i].set, err.text);
		cr_assert_eq(strncmp(err.text, "g.yaml:", 7), 0, "%s gave '%s'", cases[i].set, err.text);
	}
}
