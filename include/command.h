/* SPDX-License-Identifier: MIT */
/*
 * command.h - the commands of the program; main.c has the table. Each takes its own argv (argv[0] is its name) and returns an exit status.
 */
#ifndef SQUALL_COMMAND_H
#define SQUALL_COMMAND_H

int cmd_run(int argc, char **argv);
int cmd_reproduce(int argc, char **argv);
int cmd_agent(int argc, char **argv);
int cmd_dataset(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_chaos(int argc, char **argv);
int cmd_lab(int argc, char **argv);

#endif
