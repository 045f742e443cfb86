/* SPDX-License-Identifier: MIT */
/*
 * profile_faults.c - faults and their instants. What the arguments mean is chaos.h's to say.
 */
#include <errno.h>
#include <string.h>

#include "err.h"
#include "profile_parts.h"
#include "units.h"

/* "storm+10s", "after", "host-reboot+5s" */
int profile_parse_when(const struct profile *p, const struct yaml *node, struct when *ret, struct err *err)
{
	char text[2 * NAME_BYTES];
	char *plus;
	int rc = yaml_to_text(node, text, sizeof text, err);

	if (rc < 0)
		return rc;
	plus = strrchr(text, '+');
	if (plus) {
		*plus = '\0';
		if (units_parse_duration(plus + 1, &ret->offset_ns) < 0)
			return yaml_error(node, err, "'%s' is no duration; write PHASE+10s", plus + 1);
	}
	if (strlen(text) == 0 || strlen(text) >= sizeof ret->name)
		return yaml_error(node, err, "'%s' is no instant; write PHASE, EVENT or PHASE+10s", node->text);
	memcpy(ret->name, text, strlen(text) + 1);
	ret->phase_idx = profile_phase(p, text);
	return 0;
}

/* What it is, where, and for how long. */
static int parse_what(const struct yaml *node, struct fault_plan *ret, struct err *err)
{
	const struct yaml *value;
	int rc = yaml_to_text(yaml_get(node, "fault"), ret->fault, sizeof ret->fault, err);

	if (rc == 0 && (value = yaml_get(node, "on")))
		rc = yaml_to_text(value, ret->on, sizeof ret->on, err);
	if (rc == 0 && (value = yaml_get(node, "for"))) {
		rc = yaml_to_duration(value, &ret->for_ns, err);
		if (rc == 0 && ret->for_ns == 0)
			rc = yaml_error(value, err, "a fault for no time does nothing");
	}
	return rc;
}

/* What it says is report.h's to know: schedule_check() asks. */
static int parse_condition(const struct yaml *node, struct named_line *ret, struct err *err)
{
	int rc = yaml_to_text(node, ret->text, sizeof ret->text, err);

	ret->line = node->line;
	return rc == 0 && ret->text[0] == '\0' ? yaml_error(node, err, "when is empty; write when: nfsd.hung_ratio > 0.3") : rc;
}

int profile_parse_fault(struct profile *p, const struct yaml *node, struct fault_plan *ret, struct err *err)
{
	static const char *const keys[] = { "fault", "on", "at", "when", "until", "for", "repeat", "args", NULL };
	const struct yaml *value;
	int rc = yaml_check_keys(node, "a fault", keys, err);

	*ret = (struct fault_plan){ .line = node->line, .args = yaml_get(node, "args"), .at.phase_idx = -1, .until.phase_idx = -1 };
	if (rc < 0)
		return rc;
	if (!yaml_get(node, "fault") || !yaml_get(node, "at"))
		return yaml_error(node, err, "a fault needs its name and an instant: {fault: NAME, at: PHASE+10s}");
	if (yaml_get(node, "until") && yaml_get(node, "for"))
		return yaml_error(node, err, "a fault lasts for a time or until an event, not both");
	rc = parse_what(node, ret, err);
	if (rc == 0)
		rc = profile_parse_when(p, yaml_get(node, "at"), &ret->at, err);
	if (rc == 0 && (value = yaml_get(node, "when")))
		rc = parse_condition(value, &ret->condition, err);
	if (rc == 0 && (value = yaml_get(node, "until")))
		rc = profile_parse_when(p, value, &ret->until, err);
	return rc;
}

int profile_parse_choice(const struct yaml *node, struct fault_plan *ret, uint64_t *ret_weight, struct err *err)
{
	static const char *const keys[] = { "fault", "weight", "on", "for", "args", NULL };
	int rc = yaml_check_keys(node, "a fault of random_faults", keys, err);

	*ret = (struct fault_plan){ .line = node->line, .args = yaml_get(node, "args"), .until.phase_idx = -1 };
	*ret_weight = 1;
	if (rc < 0)
		return rc;
	if (!yaml_get(node, "fault") || !yaml_get(node, "for"))
		return yaml_error(node, err, "what is drawn needs its name and how long it lasts: {fault: NAME, for: 10s}");
	if (yaml_get(node, "weight"))
		rc = yaml_to_u64(yaml_get(node, "weight"), 1, 1000000, ret_weight, err);
	return rc < 0 ? rc : parse_what(node, ret, err);
}

static int check_when(const struct profile *p, const struct fault_plan *f, const struct when *when, struct err *err)
{
	if (when->name[0] == '\0' || when->phase_idx >= 0)
		return 0;
	for (unsigned int i = 0; i < p->faults_nr; i++)
		if (&p->faults[i] != f && strcmp(p->faults[i].fault, when->name) == 0)
			return 0;
	return err_set(err, -EINVAL, "%s:%u: '%s' is neither a phase nor another fault of this profile", p->file, f->line, when->name);
}

static bool begins_in_last_phase(const struct profile *p, const struct when *at)
{
	return at->phase_idx >= 0 && profile_phase_start(p, (unsigned int)at->phase_idx) + at->offset_ns >= profile_phase_start(p, p->phases_nr - 1);
}

int profile_check_times(struct profile *p, struct err *err)
{
	int rc = 0;

	for (unsigned int i = 0; i < p->faults_nr && rc == 0; i++) {
		rc = check_when(p, &p->faults[i], &p->faults[i].at, err);
		if (rc == 0)
			rc = check_when(p, &p->faults[i], &p->faults[i].until, err);
		if (rc == 0 && begins_in_last_phase(p, &p->faults[i].at))
			rc = err_set(err, -EINVAL, "%s:%u: the last phase must be clean: no fault may begin in '%s'", p->file, p->faults[i].line,
				     p->phases[p->phases_nr - 1].name);
	}
	return rc;
}
