/* SPDX-License-Identifier: MIT */
/*
 * command.c - what every command line has in common: exact options, the nearest name, an stdout that is checked.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "err.h"
#include "yaml.h"

#define OPTIONS_MAX 32
#define LIST_BYTES 256
#define WORDS_BYTES 64
#define ROWS_MAX 16

static int unknown_option(const char *command, const char *word, const struct option *options, struct err *err)
{
	const char *names[OPTIONS_MAX + 1] = { NULL }, *near;
	char name[64];

	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
	for (size_t i = 0; options[i].name && i < OPTIONS_MAX; i++)
		names[i] = options[i].name;
	near = name[0] == '-' && name[1] == '-' ? yaml_nearest(name + 2, names) : NULL;
	for (size_t i = 0; !near && name[0] == '-' && name[1] == '-' && name[2] != '\0' && names[i]; i++)
		if (strncmp(names[i], name + 2, strlen(name + 2)) == 0)
			near = names[i];
	if (near)
		return err_set(err, -EINVAL, "%s: unknown option %s; did you mean --%s?", command, name, near);
	return err_set(err, -EINVAL, "%s: unknown option %s; see squall %s --help", command, name, command);
}

/* @return 0, 1 when the next word is the option's value, -EINVAL */
static int check_option(const char *command, const char *word, const char *next, const struct option *options, struct err *err)
{
	size_t bytes = strcspn(word, "=");
	const struct option *o = options;

	while (o->name && (strncmp(word, "--", 2) != 0 || strlen(o->name) != bytes - 2 || strncmp(o->name, word + 2, bytes - 2) != 0))
		o++;
	if (!o->name)
		return unknown_option(command, word, options, err);
	if (o->has_arg == no_argument)
		return word[bytes] == '=' ? err_set(err, -EINVAL, "%s: --%s takes no value", command, o->name) : 0;
	if (word[bytes] == '=')
		return 0;
	return next ? 1 : err_set(err, -EINVAL, "%s: --%s needs a value", command, o->name);
}

int command_check_options(const char *command, int argc, char **argv, const struct option *options, bool stop_at_word, struct err *err)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		int rc;

		if (argv[i][0] != '-' || argv[i][1] == '\0') {	/* "-" alone is a word */
			if (stop_at_word)
				return 0;
			continue;
		}
		rc = check_option(command, argv[i], argv[i + 1], options, err);
		if (rc < 0)
			return rc;
		i += rc;
	}
	return 0;
}

int command_unknown(struct err *err, const char *what, const char *word, const char *const known[])
{
	const char *near = yaml_nearest(word, known);
	char list[LIST_BYTES];

	if (near)
		return err_set(err, -EINVAL, "%s '%s' is unknown; did you mean '%s'?", what, word, near);
	(void)yaml_names(known, list, sizeof list);	/* what does not fit is cut */
	return err_set(err, -EINVAL, "%s '%s' is unknown; there are %s", what, word, list);
}

const void *command_find(struct err *err, const char *what, const char *word, const void *table, size_t rows_nr, size_t row_bytes)
{
	const char *known[ROWS_MAX + 1] = { NULL };

	assert(rows_nr <= ROWS_MAX);
	for (size_t i = 0; i < rows_nr; i++) {
		const void *row = (const char *)table + i * row_bytes;

		known[i] = *(const char *const *)row;
		if (strcmp(word, known[i]) == 0)
			return row;
	}
	(void)command_unknown(err, what, word, known);
	return NULL;
}

int command_choose(struct err *err, const char *what, const char *list, const char *const known[], unsigned int *ret_bits)
{
	size_t bytes = strcspn(list, ",");

	if (strlen(list) >= WORDS_BYTES)
		return err_set(err, -EINVAL, "%s '%s': names with commas between them are wanted, %d characters at the most", what, list, WORDS_BYTES - 1);
	*ret_bits = 0;
	for (;; list += bytes + 1, bytes = strcspn(list, ",")) {
		char word[WORDS_BYTES];
		unsigned int i = 0;

		(void)snprintf(word, sizeof word, "%.*s", (int)bytes, list);
		while (known[i] && strcmp(known[i], word) != 0)
			i++;
		if (!known[i])
			return command_unknown(err, what, word, known);
		*ret_bits |= 1u << i;
		if (list[bytes] == '\0')
			return 0;
	}
}

void command_begin(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)	/* open(2) takes the lowest that is free, and those below are not */
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int command_end(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (status == EXIT_AS_EXPECTED || status == EXIT_NOT_AS_EXPECTED || status == EXIT_VOID)
		fprintf(stderr, "squall: stdout could not be written: %s\n", errno ? strerror(errno) : "an earlier write failed");
	return status == EXIT_USAGE || status == EXIT_NEEDS ? status : EXIT_BROKEN;
}
