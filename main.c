/* SPDX-License-Identifier: MIT */
/*
 * main.c - the command table, and nothing else.
 */
#include <stdio.h>

int main(void)
{
	fputs("squall: no command is there yet\n", stderr);
	return 2;
}
