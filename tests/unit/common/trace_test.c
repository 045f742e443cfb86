/* SPDX-License-Identifier: MIT */
/*
 * trace_test.c - what a capture says is in the trace, what it does not say is not; a trace comes back as it was; bad ones are refused with their line.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "profile.h"
#include "trace.h"

typedef int import_fn(FILE *in, const char *name, struct trace *ret, struct trace_summary *ret_summary, struct err *err);

static int import(import_fn *how, const char *text, struct trace *ret, struct trace_summary *ret_summary, struct err *err)
{
	FILE *in = fmemopen((char *)(uintptr_t)text, strlen(text), "r");
	int rc;

	cr_assert_not_null(in);
	rc = how(in, "c", ret, ret_summary, err);
	(void)fclose(in);
	return rc;
}

#define READ_CALL "7.5 0a.1 0b.2 T C3 1 6 read fh aa off 2000 count 1000 con = 1 len = 2\n"

Test(trace, a_call_of_nfsdump_is_an_op_with_hexadecimal_offset_and_length)
{
	static const char text[] = "7.25 0a.1 0b.2 U C3 f 4 access fh aa acc L con = 1 len = 2\n" READ_CALL;
	struct trace_summary s;
	struct err err = ERR_INIT;
	struct trace t;

	cr_assert_eq(import(trace_import_nfsdump, text, &t, &s, &err), 0, "%s", err.text);
	cr_assert_eq(t.ops_nr, 2u);
	cr_assert(t.op[0].kind == OP_ACCESS && t.op[0].at_ns == 0);
	cr_assert(t.op[1].kind == OP_PREAD && t.op[1].at_ns == 250000000 && t.op[1].offset_bytes == 0x2000 && t.op[1].length_bytes == 0x1000);
	cr_assert_eq(t.op[0].file, t.op[1].file);
	cr_assert_eq(s.clients_nr, 1u);
	cr_assert_eq(s.files_nr, 1u);
	cr_assert_eq(s.spec.size_bytes, 0x3000u);
	trace_release(&t);
}

Test(trace, a_reply_tells_whether_a_name_is_there_and_which_file_it_is)
{
	static const char text[] = "1.0 0a.1 0b.2 T C3 1 3 lookup fh dd name \"not here\" con\n"
				   "1.1 0b.2 0a.1 T R3 1 3 lookup 2  status=2\n"
				   "2.0 0c.1 0b.2 T C3 1 3 lookup fh dd name \"here\" con\n"
				   "2.1 0b.2 0c.1 T R3 1 3 lookup OK fh aa ftype 1 size 5000 status=0\n"
				   "3.0 0c.1 0b.2 T C3 2 1 getattr fh aa con\n"
				   "9.1 0b.2 0c.1 T R3 ff 1 getattr 2 status=2\n";
	struct trace_summary s;
	struct err err = ERR_INIT;
	struct trace t;

	cr_assert_eq(import(trace_import_nfsdump, text, &t, &s, &err), 0, "%s", err.text);
	cr_assert_eq(t.ops_nr, 3u);
	cr_assert_eq(t.op[0].kind, OP_STAT_MISS);
	cr_assert_eq(t.op[1].kind, OP_STAT);
	cr_assert_eq(t.op[1].file, t.op[2].file, "the file that the name is of");
	cr_assert_neq(t.op[0].file, t.op[1].file);
	cr_assert(t.op[0].client == 0 && t.op[1].client == 1 && t.op[2].client == 1);
	cr_assert_eq(s.spec.size_bytes, 0x5000u);
	trace_release(&t);
}

Test(trace, what_was_sent_again_or_has_no_op_is_counted_and_left_out)
{
	static const char text[] = READ_CALL READ_CALL "8.0 0a.1 0b.2 T C3 3 c remove fh dd name \"x\" con\n8.0 0a.1 0b.2 T R3 3 SHORT PACKET con\n"
				   "6.0 0a.1 0b.2 T C3 4 7 write fh aa off 0 count 10 stable U con\n6.5 0a.1 0b.2 T C3 5 7 write fh aa off 0 count 10 stable F con\n";
	struct trace_summary s;
	struct err err = ERR_INIT;
	struct trace t;

	cr_assert_eq(import(trace_import_nfsdump, text, &t, &s, &err), 0, "%s", err.text);
	cr_assert(s.left_out_nr == 1 && s.repeated_nr == 1 && s.unreadable_nr == 1);
	cr_assert_eq(t.ops_nr, 3u);
	cr_assert(t.op[0].kind == OP_WRITE && t.op[1].kind == OP_WRITE_FSYNC && t.op[2].kind == OP_PREAD, "in order of time");
	cr_assert_eq(t.op[2].at_ns, 1500000000u);
	trace_release(&t);
}

#define PACKET(time, from, to, rpc, nfs) "{\"_source\":{\"layers\":{\"frame\":{\"frame.time_epoch\":\"" time "\"},\"ip\":{\"ip.src\":\"" from "\",\"ip.dst\":\"" to "\"},\"rpc\":" rpc ",\"nfs\":" nfs "}}}"
#define RPC(xid, type, version, procedure) "{\"rpc.xid\":\"" xid "\",\"rpc.msgtyp\":\"" type "\",\"rpc.programversion\":\"" version "\",\"rpc.procedure\":\"" procedure "\"}"

Test(trace, a_packet_of_tshark_may_hold_several_calls_and_compounds)
{
	static const char *const text = "[\n"
		PACKET("5.5", "c", "s", "[" RPC("0x1", "0", "3", "6") "," RPC("0x2", "0", "3", "3") "]",
		       "[{\"file\":{\"nfs.fhandle\":\"aa\"},\"nfs.offset3\":\"8192\",\"nfs.count3\":\"512\"},{\"what\":{\"nfs.fhandle\":\"dd\",\"nfs.name\":\"x\"}}]") ",\n"
		PACKET("5.6", "s", "c", RPC("0x2", "1", "3", "3"), "{\"nfs.status\":\"2\"}") ",\n"
		PACKET("6.5", "d", "s", RPC("0x1", "0", "4", "1"), "{\"nfs.ops.count_tree\":{\"nfs.opcode_tree\":[{\"nfs.fhandle\":\"aa\"},{\"nfs.offset4\":\"4096\",\"nfs.count4\":\"99\"}]},\"nfs.main_opcode\":\"25\"}")
		"]\n";
	struct trace_summary s;
	struct err err = ERR_INIT;
	struct trace t;

	cr_assert_eq(import(trace_import_tshark, text, &t, &s, &err), 0, "%s", err.text);
	cr_assert_eq(t.ops_nr, 3u);
	cr_assert(t.op[0].kind == OP_PREAD && t.op[0].offset_bytes == 8192 && t.op[0].length_bytes == 512);
	cr_assert_eq(t.op[1].kind, OP_STAT_MISS);
	cr_assert(t.op[2].kind == OP_PREAD && t.op[2].offset_bytes == 4096 && t.op[2].length_bytes == 99 && t.op[2].at_ns == 1000000000);
	cr_assert_eq(t.op[2].file, t.op[0].file);
	cr_assert_eq(s.clients_nr, 2u);
	trace_release(&t);
}

Test(trace, a_capture_that_cannot_be_read_is_refused_with_its_line)
{
	static const struct {
		import_fn *how;
		const char *text, *says;
	} bad[] = {
		{ trace_import_nfsdump, READ_CALL "nonsense\n", "c:2: a line of nfsdump has at least eight fields" },
		{ trace_import_nfsdump, "x 0a.1 0b.2 T C3 1 6 read fh a\n", "c:1: the time is not" },
		{ trace_import_nfsdump, "1 0a.1 0b.2 T C4 1 6 read fh a\n", "c:1: the fifth field is" },
		{ trace_import_nfsdump, "1 0a.1 0b.2 T C3 zz 6 read fh a\n", "c:1: the xid is not" },
		{ trace_import_nfsdump, "1 0a.1 0b.2 T C3 1 6 reed fh a\n", "c:1: the eighth field is no procedure" },
		{ trace_import_nfsdump, "1 0a.1 0b.2 T C3 1 6 read off 0 count 1 con\n", "c:1: a call without a file handle" },
		{ trace_import_nfsdump, "1 0a.1 0b.2 T C3 1 6 read fh a off -1 count 1 con\n", "c:1: the offset is not" },
		{ trace_import_nfsdump, "1 0a.1 0b.2 T R3 1 6 read OK\n", "c:1: no call of NFS in it" },
		{ trace_import_tshark, "{}", "c:1: this is no list of packets" },
		{ trace_import_tshark, "[\n{\"a\": \"}\"", "c:2: the list of packets does not end" },
		{ trace_import_tshark, "[\n\n{\"a\": x}]", "c:3: this is not JSON" },
		{ trace_import_tshark, "[{\"a\": 1, \"a\": 2}]", "c:1: a packet has two fields of the same name; make it with tshark -T json --no-duplicate-keys" },
		{ trace_import_tshark, "[{\"_source\": {\"layers\": {\"nfs\": {}}}}]", "c:1: a packet of NFS needs the layers" },
		{ trace_import_tshark, "[]", "c:1: no call of NFS in it" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct trace_summary s;
		struct err err = ERR_INIT;
		struct trace t;

		cr_expect_eq(import(bad[i].how, bad[i].text, &t, &s, &err), -EINVAL, "%s", bad[i].text);
		cr_expect(strncmp(err.text, bad[i].says, strlen(bad[i].says)) == 0, "'%s' is told as '%s'", bad[i].text, err.text);
	}
}

Test(trace, more_ops_than_a_trace_may_have_are_an_error_with_the_line)
{
	struct trace_summary s;
	struct err err = ERR_INIT;
	struct trace t;
	FILE *in = tmpfile();

	cr_assert_not_null(in);
	for (unsigned int i = 0; i <= TRACE_OPS_MAX; i++)
		fprintf(in, "1 0a.1 0b.2 T C3 %x 1 getattr fh %x con\n", i, i);
	rewind(in);
	cr_assert_eq(trace_import_nfsdump(in, "c", &t, &s, &err), -EFBIG);
	cr_assert_str_eq(err.text, "c:131073: more than 131072 ops; import a shorter part of the capture");
	(void)fclose(in);
}

#define HEAD "# squall trace 1\ntime_ns,client,op,file,offset_bytes,length_bytes\n"

Test(trace, a_file_of_a_trace_is_checked_line_by_line)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "t:1: this is no trace of squall" },
		{ "# squall trace 2\n", "t:1: this is no trace of squall" },
		{ "# squall trace 1\ntime,client\n", "t:2: the second line is" },
		{ HEAD, "t:3: a trace without an op" },
		{ HEAD "1,0,stat,ff,0\n", "t:3: a line has six columns" },
		{ HEAD "1,0,stat,ff,0,0,0\n", "t:3: a line has six columns" },
		{ HEAD "-1,0,stat,ff,0,0\n", "t:3: the time is not" },
		{ HEAD "1,4294967296,stat,ff,0,0\n", "t:3: the client is not" },
		{ HEAD "1,0,create,ff,0,0\n", "t:3: this is no op that stands alone" },
		{ HEAD "1,0,stat,0xff,0,0\n", "t:3: the file is not" },
		{ HEAD "1,0,stat,ff,,0\n", "t:3: the offset is not" },
		{ HEAD "1,0,stat,ff,0,1048577\n", "t:3: the length is not" },
		{ HEAD "# so\n5,0,stat,ff,0,0\n4,0,stat,ff,0,0\n", "t:5: the time is before that of the line above" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err err = ERR_INIT;
		struct trace t;

		cr_expect_eq(trace_parse(bad[i].text, "t", &t, &err), -EINVAL, "%s", bad[i].text);
		cr_expect(strncmp(err.text, bad[i].says, strlen(bad[i].says)) == 0, "'%s' is told as '%s'", bad[i].text, err.text);
	}
}

static const char profile_head[] = "name: t\ndataset: {sites: 2}\nphases: [{name: baseline, for: 10s}]\njobs:\n";

static int parse(const char *jobs, struct profile *ret, struct err *err)
{
	char text[8192];

	(void)snprintf(text, sizeof text, "%s%s", profile_head, jobs);
	return profile_parse(text, "p.yaml", NULL, ret, err);
}

Test(trace, a_profile_with_a_trace_needs_no_file_once_it_is_written_out)
{
	char folder[] = "/tmp/squall-test-XXXXXX", path[64], jobs[256], *printed = NULL, *again = NULL;
	static const char text[] = HEAD "0,0,stat,1,0,0\n1000,1,stat_miss,2,0,0\n4000000000,0,pread,ffffffffffffffff,8192,65536\n";
	struct profile p = PROFILE_INIT, back = PROFILE_INIT;
	struct err err = ERR_INIT;

	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/a.trace", folder);
	cr_assert_eq(file_write(path, text, strlen(text), 0644, &err), 0, "%s", err.text);
	(void)snprintf(jobs, sizeof jobs, "  again: {trace: {file: %s, speed: 0.5}}\n", path);
	cr_assert_eq(parse(jobs, &p, &err), 0, "%s", err.text);
	cr_assert_eq(file_remove_tree(folder, &err), 0);
	cr_assert(p.jobs[0].mix[OP_STAT] == 1 && p.jobs[0].mix[OP_STAT_MISS] == 1 && p.jobs[0].mix[OP_PREAD] == 1);
	cr_assert_float_eq(p.jobs[0].arrival.pieces[0].from.value, 3 / 8.0, 1e-9, "its mean rate");
	cr_assert_eq(profile_print(&p, &printed), 0);
	cr_assert_eq(profile_parse(printed, "p.yaml", NULL, &back, &err), 0, "%s", err.text);
	cr_assert(back.jobs[0].trace.ops_nr == 3 && back.jobs[0].trace.op[2].file == UINT64_MAX && back.jobs[0].trace.op[2].length_bytes == 65536);
	cr_assert_float_eq(back.jobs[0].trace_speed, 0.5, 1e-9);
	cr_assert_eq(profile_print(&back, &again), 0);
	cr_assert_str_eq(again, printed);
	free(printed);
	free(again);
	profile_release(&p);
	profile_release(&back);
}

Test(trace, a_job_with_a_trace_that_says_too_much_or_too_little_is_refused)
{
	static const struct {
		const char *jobs, *says;
	} bad[] = {
		{ "  a: {trace: {file: x, packed: y}}\n", "p.yaml:5: a trace needs a file" },
		{ "  a: {trace: {speed: 1}}\n", "p.yaml:5: a trace needs a file" },
		{ "  a: {trace: {file: /no/such}}\n", "p.yaml:5: the trace cannot be read: /no/such: No such file" },
		{ "  a: {trace: {packed: AAAA}}\n", "p.yaml:5: the trace cannot be read: packed: it is cut or was changed" },
		{ "  a: {trace: {file: x, speed: 0}}\n", "p.yaml:5: the speed of a trace is 0.001 to 1000" },
		{ "  a: {trace: {file: x, sped: 2}}\n", "p.yaml:5: unknown key in trace 'sped'" },
		{ "  a: {trace: {file: x}, order: walk}\n", "p.yaml:5: 'a' has a trace, which says what is done and when: it has no order" },
		{ "  a: {trace: {file: x}, arrival: {constant: 1/s}}\n", "p.yaml:5: 'a' has a trace, which says what is done and when: it has no arrival" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct profile p = PROFILE_INIT;
		struct err err = ERR_INIT;

		cr_expect_eq(parse(bad[i].jobs, &p, &err), -EINVAL, "%s", bad[i].jobs);
		cr_expect(strncmp(err.text, bad[i].says, strlen(bad[i].says)) == 0, "'%s' is told as '%s'", bad[i].jobs, err.text);
	}
}
