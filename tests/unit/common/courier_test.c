/* SPDX-License-Identifier: MIT */
/*
 * courier_test.c - the process that speaks with a broker has no privileges, and is believed nothing.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../common/bus_seal.h"
#include "../../../common/courier.h"
#include "broker_fixture.h"
#include "clock.h"
#include "err.h"
#include "file.h"

TestSuite(courier, .fini = fixture_end, .timeout = 60);

static char *status_of(pid_t pid)
{
	char path[64], *text = NULL;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	return file_read(path, 1 << 16, &text, NULL, NULL) == 0 ? text : NULL;
}

static bool says(const char *status, const char *line)
{
	return status && strstr(status, line);
}

/* The courier of this process. @return 0: there is none */
static pid_t find_courier(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char parent[32];
	pid_t found = 0;

	cr_assert(proc);
	(void)snprintf(parent, sizeof parent, "\nPPid:\t%d\n", (int)getpid());
	while (found == 0 && (entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		char *status = pid > 0 ? status_of(pid) : NULL;

		if (says(status, parent) && says(status, "Name:\t" COURIER_NAME "\n"))
			found = pid;
		free(status);
	}
	(void)closedir(proc);
	return found;
}

static void begin_session(struct bus *a, struct bus *b)
{
	uint64_t deadline = clock_mono_ns() + 10 * NS_PER_S;
	struct bus_message m;
	struct err err = ERR_INIT;
	int rc = 0;

	cr_assert_eq(bus_join(a, "agent", &err), 0, "%s", err.text);
	cr_assert_eq(bus_send(a, "agent", "hello", NULL), 0);
	while (rc == 0 && clock_mono_ns() < deadline) {
		(void)bus_flush(a, clock_mono_ns());
		rc = bus_accept(b, clock_mono_ns() + NS_PER_MS, NULL);
	}
	cr_assert_eq(rc, 1);
	cr_assert_eq(bus_next(b, deadline, &m), 1);
	cr_assert_str_eq(m.kind, "hello");
	json_decref(m.body);
}

Test(courier, has_no_privileges_in_a_session)
{
	static const char *const lines[] = { "\nCapPrm:\t0000000000000000\n", "\nCapEff:\t0000000000000000\n", "\nCapInh:\t0000000000000000\n",
					     "\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n" };
	struct bus *a, *b;
	char *status;

	fixture_begin();
	open_bus(&a, BUS_COORDINATOR);
	open_bus(&b, "agent");
	begin_session(a, b);
	status = status_of(find_courier());
	cr_assert(status, "there is no courier");
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		cr_expect(says(status, lines[i]), "not %s in %s", lines[i] + 1, status);
	if (geteuid() == 0) {
		cr_expect(says(status, "\nUid:\t65534\t65534\t65534\t65534\n"), "%s", status);
		cr_expect(says(status, "\nGid:\t65534\t65534\t65534\t65534\n"), "%s", status);
		cr_expect(says(status, "\nGroups:\t \n"), "%s", status);
	}
	free(status);
	bus_free(a);
	bus_free(b);
	cr_expect_eq(find_courier(), 0, "it is left behind");
}

Test(courier, is_the_end_of_the_session_when_it_dies_and_another_takes_its_place)
{
	uint64_t begin = clock_mono_ns();
	struct bus_message m;
	struct bus *a, *b;

	fixture_begin();
	open_bus(&a, BUS_COORDINATOR);
	open_bus(&b, "agent");
	begin_session(a, b);
	cr_assert_eq(kill(find_courier(), SIGKILL), 0);
	begin = clock_mono_ns();
	cr_assert_eq(bus_next(b, begin + 10 * NS_PER_S, &m), 1);
	cr_expect_str_eq(m.kind, "gone");
	cr_expect_lt(clock_mono_ns() - begin, NS_PER_S / 2, "its death is seen and no silence waited for");
	bus_detach(b, BUS_COORDINATOR);
	bus_detach(a, "agent");
	while (bus_problem(b, NULL) < 0 && clock_mono_ns() < begin + 10 * NS_PER_S)
		(void)bus_accept(b, clock_mono_ns() + NS_PER_S / 10, NULL);
	begin_session(a, b);
	bus_free(a);
	bus_free(b);
}

/* What stands in the file "frames" of its identity is what the courier of an agent says (main.c). */
static void forge(const struct frame *frame, const void *text)
{
	static const struct courier_state fine = { .ready = 1, .connected = 1 };
	static const struct frame first = { .kind = FRAME_STATE, .bytes = sizeof fine };
	FILE *f = fopen(in("agent/frames"), "w");

	cr_assert(f && fwrite(&first, sizeof first, 1, f) == 1 && fwrite(&fine, sizeof fine, 1, f) == 1);
	cr_assert_eq(fwrite(frame, sizeof *frame, 1, f), 1);
	cr_assert(!text || fwrite(text, frame->bytes, 1, f) == 1);
	cr_assert_eq(fclose(f), 0);
}

/* What becomes of an agent whose courier says so. */
static struct bus_refused serve(struct err *ret_problem)
{
	uint64_t end = clock_mono_ns() + NS_PER_S / 2;
	struct bus *bus = bus_new();
	struct bus_refused refused = { 0 };
	struct err err = ERR_INIT;

	ret_problem->text[0] = '\0';
	if (bus_open(bus, "mqtts://127.0.0.1:1", in("agent"), 0, ret_problem) < 0)
		goto out;
	while (clock_mono_ns() < end && bus_problem(bus, NULL) == 0)
		cr_expect_eq(bus_accept(bus, clock_mono_ns() + NS_PER_S / 20, &err), 0, "there is a session with nobody");
	(void)bus_problem(bus, ret_problem);
	refused = bus_refused(bus);
out:
	bus_free(bus);
	return refused;
}

Test(courier, is_ended_when_it_says_what_is_no_frame)
{
	static const struct frame frames[] = {
		{ .kind = 0 },
		{ .kind = FRAME_STATE + 1 },
		{ .kind = FRAME_PUBLISH },
		{ .kind = FRAME_BYE },
		{ .kind = FRAME_STATE, .bytes = sizeof(struct courier_state) - 1 },
		{ .kind = FRAME_MESSAGE, .id = 2 },			/* there are two topics */
		{ .kind = FRAME_MESSAGE, .id = UINT32_MAX },
		{ .kind = FRAME_MESSAGE, .bytes = CLIENT_TEXT_BYTES_MAX + 1 },
		{ .kind = FRAME_MESSAGE, .bytes = UINT32_MAX },
		{ .kind = FRAME_ANSWER, .id = 1 },			/* nothing was published */
		{ .kind = FRAME_ANSWER, .id = CLIENT_FLIGHT_NR + 1 },
		{ .kind = FRAME_ANSWER, .id = 0, .bytes = 1 },
	};

	fixture_identities();
	for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
		struct err problem = ERR_INIT;

		forge(&frames[i], NULL);
		(void)serve(&problem);
		cr_expect(strstr(problem.text, "said what is none of its words"), "frame %zu: %s", i, problem.text);
	}
}

Test(courier, cannot_make_a_command)
{
	static const char parcel[] = "0123456789abcdef 0000000000000000 0000000000000000 {\"kind\": \"fault\", \"fault\": \"none\"}";
	struct err problem = ERR_INIT;
	EVP_PKEY *own = NULL;
	char *text = NULL;
	size_t bytes = 0;

	fixture_identities();
	forge(&(struct frame){ .kind = FRAME_MESSAGE, .bytes = sizeof parcel - 1 }, parcel);
	cr_expect_eq(serve(&problem).forged, 1, "without a signature");
	cr_assert_eq(certificate_key(in("agent"), &own, NULL), 0);
	cr_assert_eq(seal_make(own, "agent", UINT64_MAX, parcel, sizeof parcel - 1, &text, &bytes), 0);
	forge(&(struct frame){ .kind = FRAME_MESSAGE, .bytes = (uint32_t)bytes }, text);
	cr_expect_eq(serve(&problem).forged, 1, "with the key that it has");
	cr_expect_str_eq(problem.text, "");
	free(text);
	EVP_PKEY_free(own);
}
