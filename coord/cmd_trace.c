/* SPDX-License-Identifier: MIT */
/*
 * cmd_trace.c - `squall trace`: make a trace of what clients have done, for a job to replay.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "err.h"
#include "trace.h"

static const char help[] =
	"Usage: squall trace import --from nfsdump|tshark FILE\n"
	"\n"
	"Prints a trace of the calls of NFS in FILE (-: stdin), for the trace: of a job; says on stderr what is in it, and the dataset: of about its shape.\n"
	"\n"
	"  --from FORMAT  nfsdump: its text; tshark: its JSON, see squall-traces(7)\n"
	"\n"
	"Exit status: 0 done, 2 usage, or this is no such capture, 3 broken.\n";

static const char *const formats[] = { "nfsdump", "tshark", NULL };

static void summarize(const struct trace *t, const struct trace_summary *s)
{
	fprintf(stderr, "# %u ops of %u clients on %u files in %.3f s\n", t->ops_nr, s->clients_nr, s->files_nr, (double)t->op[t->ops_nr - 1].at_ns / 1e9);
	fprintf(stderr, "# left out: %llu calls that a job has no op for, %llu that were sent again, %llu lines without their packet\n",
		(unsigned long long)s->left_out_nr, (unsigned long long)s->repeated_nr, (unsigned long long)s->unreadable_nr);
	fprintf(stderr, "dataset: {sites: %u, files_per_site: %u, depth: %u, size: {lognormal: {mu: %.3f, sigma: %.3f, max: %lluB}}}\n", s->spec.sites,
		s->spec.files_per_site, s->spec.depth, s->spec.mu, s->spec.sigma, (unsigned long long)s->spec.size_bytes);
}

static int import(const char *path, bool is_tshark, struct err *err)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct trace trace = { .op = NULL };
	struct trace_summary summary;
	int rc;

	if (!in) {
		rc = -errno;
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	rc = is_tshark ? trace_import_tshark(in, path, &trace, &summary, err) : trace_import_nfsdump(in, path, &trace, &summary, err);
	if (in != stdin)
		(void)fclose(in);
	if (rc == 0) {
		rc = trace_print(&trace, stdout);
		if (rc < 0)
			(void)err_set(err, rc, "stdout: %s", strerror(errno));
		else
			summarize(&trace, &summary);
	}
	trace_release(&trace);
	return rc;
}

int cmd_trace(int argc, char **argv)
{
	static const struct option long_options[] = { { "from", required_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct err err = ERR_INIT;
	unsigned int format = 0;
	int option, rc = command_check_options("trace", argc, argv, long_options, false, &err);

	while (rc == 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_AS_EXPECTED;
		}
		rc = command_choose(&err, "--from", optarg, formats, &format);
	}
	if (rc < 0)
		;
	else if (argc - optind < 1)
		rc = err_set(&err, -EINVAL, "trace: the verb import is wanted; see squall trace --help");
	else if (strcmp(argv[optind], "import") != 0)
		rc = command_unknown(&err, "trace: the verb", argv[optind], (const char *const[]){ "import", NULL });
	else if (argc - optind != 2 || (format != 1 && format != 2))
		rc = err_set(&err, -EINVAL, "trace import wants --from nfsdump or --from tshark, and a file; see squall trace --help");
	else
		rc = import(argv[optind + 1], format == 2, &err);
	if (rc < 0)
		fprintf(stderr, "squall: %s\n", err.text);
	return (int)err_exit_status(rc);
}
