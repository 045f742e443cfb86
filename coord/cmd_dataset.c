/* SPDX-License-Identifier: MIT */
/*
 * cmd_dataset.c - `squall dataset`: build, check and remove the files that a load works on.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "err.h"
#include "exec.h"
#include "load.h"
#include "profile.h"
#include "units.h"

#define JOBS_MAX_NR 256

static const char help[] =
	"Usage: squall dataset build DIR --profile FILE [--jobs N] [--part K/N]\n"
	"       squall dataset verify DIR [--jobs N]\n"
	"       squall dataset remove DIR\n"
	"       squall dataset scan TREE\n"
	"\n"
	"  build    make the dataset of a profile in DIR, unless it is there; go on with one that was killed on the way\n"
	"  verify   every file is there with its size and content\n"
	"  remove   what the manifest names, and nothing else\n"
	"  scan     print the dataset: of a profile that comes nearest to a tree that is there; follows no link, opens no file\n"
	"\n"
	"  --profile FILE  whose dataset and seed\n"
	"  --jobs N        threads, 1 to 256 (default 8)\n"
	"  --part K/N      this host makes part K of N: it is whole once N hosts have made theirs, all at once or one after the other\n"
	"\n"
	"Exit status: 0 done, 2 usage or profile error, 3 broken, or verify has found a file that is missing or changed, 77 a mount is missing.\n";

/* A live line on a terminal; elsewhere a line each tenth of the whole. */
static void progress(uint64_t done, uint64_t total)
{
	static uint64_t tenths_told = UINT64_MAX;
	uint64_t tenths = total ? done * 10 / total : 0;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rdataset: %llu of %llu files%s", (unsigned long long)done, (unsigned long long)total, done == total ? "\n" : "");
	else if (tenths != tenths_told)
		fprintf(stderr, "dataset: %llu of %llu files\n", (unsigned long long)done, (unsigned long long)total);
	tenths_told = tenths;
}

struct options {
	const char *profile;		/* NULL = not given */
	unsigned int jobs;		/* 0 = not given */
	struct dataset_part part;	/* of = 0: not given */
};

static int build(const char *dir, const struct options *o, struct err *err)
{
	struct dataset_part part = o->part.of > 0 ? o->part : DATASET_WHOLE;
	struct profile profile = PROFILE_INIT;
	int rc = profile_load(o->profile, NULL, &profile, err);

	if (rc == 0)
		rc = dataset_build(dir, &profile.dataset, profile.seed, part, o->jobs, progress, err);
	if (rc == 1)
		printf("%s has part %u of %u of the dataset of %s; not all others are whole yet\n", dir, part.nr, part.of, profile.name);
	if (rc == 0)
		printf("%s has the dataset of %s: %llu files\n", dir, profile.name, (unsigned long long)profile.dataset.sites * profile.dataset.files_per_site);
	profile_release(&profile);
	return rc < 0 ? rc : 0;
}

static int verify(const char *dir, unsigned int jobs, struct err *err)
{
	struct err first = ERR_INIT;
	uint64_t bad = 0;
	int rc = dataset_verify(dir, jobs, progress, &bad, &first, err);

	if (rc == 0 && bad > 0)
		rc = err_set(err, -EIO, "%s: %llu files are missing or changed; %s", dir, (unsigned long long)bad, first.text);
	if (rc == 0)
		printf("%s: every file is there with its size and content\n", dir);
	return rc;
}

static int remove_all(const char *dir, struct err *err)
{
	int rc = dataset_remove(dir, err);

	if (rc == 0)
		printf("%s: the dataset is removed\n", dir);
	return rc;
}

static int scan(const char *dir, struct err *err)
{
	struct dataset_shape shape;
	char all[24], largest[24];
	int rc = dataset_scan(dir, &shape, err);

	if (rc < 0)
		return rc;
	printf("# %llu files in %llu folders, %llu of them in the root; %s, the largest file %s; %u folders deep\n", (unsigned long long)shape.files_nr,
	       (unsigned long long)shape.folders_nr, (unsigned long long)shape.sites_nr, units_format_bytes(shape.bytes, all, sizeof all),
	       units_format_bytes(shape.largest_bytes, largest, sizeof largest), shape.deepest);
	printf("# not followed: %llu links, mounts and devices; not readable: %llu\n", (unsigned long long)shape.not_followed_nr,
	       (unsigned long long)shape.unreadable_nr);
	if (shape.scaled_down)
		printf("# more than a dataset can hold: it has fewer files than the tree\n");
	printf("dataset: {sites: %u, files_per_site: %u, depth: %u, size: ", shape.spec.sites, shape.spec.files_per_site, shape.spec.depth);
	if (shape.spec.lognormal)
		printf("{lognormal: {mu: %.3f, sigma: %.3f, max: %lluB}}}\n", shape.spec.mu, shape.spec.sigma, (unsigned long long)shape.spec.size_bytes);
	else
		printf("%lluB}\n", (unsigned long long)shape.spec.size_bytes);
	return fflush(stdout) != 0 || ferror(stdout) ? err_set(err, -EIO, "stdout: %s", strerror(errno)) : 0;
}

static int parse_jobs(const char *text, unsigned int *ret, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n < 1 || n > JOBS_MAX_NR)
		return err_set(err, -EINVAL, "--jobs '%s': a number from 1 to %d is wanted", text, JOBS_MAX_NR);
	*ret = (unsigned int)n;
	return 0;
}

static int parse_part(const char *text, struct dataset_part *ret, struct err *err)
{
	int end = 0;

	if (sscanf(text, "%4u/%4u%n", &ret->nr, &ret->of, &end) != 2 || text[end] != '\0' || ret->nr < 1 || ret->nr > ret->of || ret->of > DATASET_PARTS_MAX)
		return err_set(err, -EINVAL, "--part '%s': K/N is wanted, such as 2/3, with N up to %d", text, DATASET_PARTS_MAX);
	return 0;
}

static const char *const verbs[] = { "build", "verify", "remove", "scan", NULL };
enum verb { BUILD, VERIFY, REMOVE, SCAN };

static int check_words(int words, char *const word[], const struct options *o, enum verb *ret_verb, struct err *err)
{
	enum verb verb = BUILD;

	if (words == 0)
		return err_set(err, -EINVAL, "dataset: one of build, verify, remove, scan is wanted; see squall dataset --help");
	while (verbs[verb] && strcmp(word[0], verbs[verb]) != 0)
		verb++;
	if (!verbs[verb])
		return command_unknown(err, "dataset: the verb", word[0], verbs);
	if (words != 2)
		return err_set(err, -EINVAL, "dataset %s wants one folder; see squall dataset --help", word[0]);
	if (verb == BUILD && !o->profile)
		return err_set(err, -EINVAL, "dataset build: --profile FILE is missing");
	if (verb != BUILD && o->profile)
		return err_set(err, -EINVAL, "dataset: --profile is an option of squall dataset build");
	if (verb > VERIFY && o->jobs > 0)
		return err_set(err, -EINVAL, "dataset: --jobs is an option of squall dataset build and verify");
	if (verb != BUILD && o->part.of > 0)
		return err_set(err, -EINVAL, "dataset: --part is an option of squall dataset build");
	*ret_verb = verb;
	return 0;
}

static int act(enum verb verb, const char *dir, const struct options *o, struct err *err)
{
	int rc = exec_path_answers(dir, err);

	if (rc < 0)
		return rc;
	switch (verb) {
	case BUILD:
		return build(dir, o, err);
	case VERIFY:
		return verify(dir, o->jobs, err);
	case REMOVE:
		return remove_all(dir, err);
	case SCAN:
		return scan(dir, err);
	}
	return -EINVAL;
}

int cmd_dataset(int argc, char **argv)
{
	static const struct option long_options[] = { { "profile", required_argument, NULL, 'p' },
						     { "jobs", required_argument, NULL, 'j' },
						     { "part", required_argument, NULL, 'k' },
						     { "help", no_argument, NULL, 'h' }, { 0 } };
	struct options o = { .jobs = 0 };
	struct err err = ERR_INIT;
	enum verb verb = BUILD;
	int option, rc = command_check_options("dataset", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
		if (option == 'j')
			rc = parse_jobs(optarg, &o.jobs, &err);
		else if (option == 'k')
			rc = parse_part(optarg, &o.part, &err);
		else
			o.profile = optarg;
	}
	if (rc == 0)
		rc = check_words(argc - optind, argv + optind, &o, &verb, &err);
	if (rc == 0)
		rc = act(verb, argv[optind + 1], &o, &err);
	if (rc < 0)
		fprintf(stderr, "squall: %s\n", err.text);
	return (int)err_exit_status(rc);
}
