/* SPDX-License-Identifier: MIT */
/*
 * command.h - the commands of the program; main.c has the table. Each takes its own argv (argv[0] is its name) and returns an exit status.
 */
#ifndef SQUALL_COMMAND_H
#define SQUALL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct option;

int cmd_run(int argc, char **argv);
int cmd_reproduce(int argc, char **argv);
int cmd_agent(int argc, char **argv);
int cmd_collect(int argc, char **argv);
int cmd_fleet(int argc, char **argv);
int cmd_dataset(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_chaos(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/**
 * Check the options of a command line before getopt_long(3) reads it: that one takes `--dry` for `--dry-run`, and a script that relies on
 * it breaks with the next option. After this, getopt_long(argc, argv, "+" or "", options, NULL) meets nothing that it does not know.
 * @param command        as the user wrote it: "run", "lab up"
 * @param options        as of getopt_long(3); there are no short ones
 * @param stop_at_word   options end at the first word that is none, because what follows is another program's command line
 * Errors: -EINVAL unknown option (with the nearest), a value that is missing, a value that is not taken.
 */
int command_check_options(const char *command, int argc, char **argv, const struct option *options, bool stop_at_word, struct err *err);

/** -EINVAL "WHAT 'WORD' is unknown; did you mean ...?", or with all that there are. @param known NULL-terminated */
int command_unknown(struct err *err, const char *what, const char *word, const char *const known[]);

/**
 * The row of a table of structs whose first member is a name, `const char *`.
 * @return the row, or NULL with the sentence of command_unknown() in err
 */
const void *command_find(struct err *err, const char *what, const char *word, const void *table, size_t rows_nr, size_t row_bytes);

/** A list of names with commas between them, such as "load,chaos". @param ret_bits  bit i: known[i] is in it. Errors: as command_unknown() */
int command_choose(struct err *err, const char *what, const char *list, const char *const known[], unsigned int *ret_bits);

/**
 * Descriptors 0, 1 and 2 that are closed become /dev/null, opened the wrong way round: otherwise the next file that is opened, a record for
 * one, would be what is printed into. Writing to them fails still, and command_end() tells it.
 */
void command_begin(void);

/** What is printed must have reached stdout. @return the status, or EXIT_BROKEN with a sentence when a status said that all went well. */
int command_end(int status);

#endif
