/* SPDX-License-Identifier: MIT */
/*
 * tool_test.c - processes are found by their name, all of them and no other; texts are whole, and events arrive.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../chaos/holder.h"
#include "../../../chaos/tool.h"
#include "err.h"
#include "exec.h"

/* A child of that name, which lives until it is killed. */
static pid_t start_named(const char *name)
{
	int ready[2];
	pid_t pid;
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, name);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

Test(tool, an_event_arrives_whatever_its_evidence_is_made_of)
{
	char line[512] = "";
	json_t *event;
	int fd[2];

	cr_assert_eq(pipe(fd), 0);
	holder_event(fd[1], "healed", "/srv/h\xc3\xb6me is exported\nas bef\xc3", json_pack("{s:s}", "verdict", "confirmed"));
	close(fd[1]);
	cr_assert_gt(read(fd[0], line, sizeof line - 1), 0);
	event = json_loads(line, 0, NULL);
	cr_expect_str_eq(json_string_value(json_object_get(event, "evidence")), "/srv/h??me is exported as bef?");
	cr_expect_str_eq(json_string_value(json_object_get(event, "verdict")), "confirmed");
	json_decref(event);
	close(fd[0]);
}

Test(tool, a_text_is_whole_or_none)
{
	char path[] = "/tmp/squall-tool-XXXXXX", *text = NULL;
	struct err err = ERR_INIT;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, EXEC_OUTPUT_MAX / 2), 0);
	cr_expect_eq(tool_read(path, &text, &err), 0, "%s", err.text);
	cr_assert_eq(ftruncate(fd, EXEC_OUTPUT_MAX + 1), 0);
	free(text);
	text = NULL;
	cr_expect_eq(tool_read(path, &text, &err), -EFBIG);
	cr_expect_eq(tool_output(&text, &err, "cat %s", path), -EFBIG);
	cr_expect_null(text);
	close(fd);
	(void)unlink(path);
}

Test(tool, processes_of_a_name_are_found_with_their_pids, .timeout = 60)
{
	pid_t pid[2], found[3] = { 0, 0, 0 };
	char name[16];

	(void)snprintf(name, sizeof name, "sq-%d", (int)getpid());
	cr_assert_eq(tool_pids(name, found, 3), 0);
	for (int i = 0; i < 2; i++)
		pid[i] = start_named(name);
	cr_expect_eq(tool_processes(name, NULL), 2);
	cr_expect_eq(tool_pids(name, found, 3), 2);
	cr_expect((found[0] == pid[0] && found[1] == pid[1]) || (found[0] == pid[1] && found[1] == pid[0]), "%d and %d", (int)found[0], (int)found[1]);
	cr_expect_eq(found[2], 0);
	found[1] = 0;
	cr_expect_eq(tool_pids(name, found, 1), 2, "there are more than there is room for");
	cr_expect_eq(found[1], 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(kill(pid[i], SIGKILL), 0);
		cr_assert_eq(waitpid(pid[i], NULL, 0), pid[i]);
	}
	cr_expect_eq(tool_pids(name, found, 3), 0);
}
