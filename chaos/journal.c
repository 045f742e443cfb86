/* SPDX-License-Identifier: MIT */
/*
 * journal.c - the folder of entries. Works from any process; two that heal at once do the same twice, which is allowed.
 */
#include "journal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allow.h"
#include "err.h"
#include "faults.h"
#include "file.h"
#include "json_text.h"
#include "tool.h"

#define ENTRY_BYTES_MAX (256u << 10)

const char *journal_state_dir(void)
{
	const char *state = getenv("SQUALL_STATE");

	return state && state[0] == '/' ? state : "/var/lib/squall";
}

static int entry_path(const char *id, char *ret, size_t bytes)
{
	if (!id || !allow_name_is_plain(id) || strlen(id) >= FAULT_ID_BYTES)
		return -EINVAL;
	return snprintf(ret, bytes, "%s/journal/%s.json", journal_state_dir(), id) < (int)bytes ? 0 : -ENAMETOOLONG;
}

static void journal_folder(char *ret, size_t bytes)
{
	(void)snprintf(ret, bytes, "%s/journal", journal_state_dir());
}

int journal_write(const json_t *entry, struct err *err)
{
	char path[600], folder[512];
	char *text;
	int rc;

	rc = entry_path(json_string_value(json_object_get(entry, "id")), path, sizeof path);
	if (rc < 0)
		return err_set(err, rc, "a journal entry has no usable id");
	journal_folder(folder, sizeof folder);
	rc = file_mkdirs(folder, 0700, err);
	if (rc < 0)
		return rc;
	text = json_text(entry, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	rc = file_write(path, text, strlen(text), 0600, err);
	free(text);
	return rc < 0 ? rc : file_sync_folder(folder, err);
}

int journal_read(const char *id, json_t **ret_entry, struct err *err)
{
	char path[600];
	char *text = NULL;
	size_t bytes;
	json_t *entry;
	int rc;

	rc = entry_path(id, path, sizeof path);
	if (rc < 0)
		return err_set(err, rc, "not an id of a journal entry");
	rc = file_read(path, ENTRY_BYTES_MAX, &text, &bytes, err);
	if (rc < 0)
		return rc;
	entry = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (!json_is_object(entry) || !json_is_array(json_object_get(entry, "undo")) || !json_is_string(json_object_get(entry, "fault")) ||
	    !json_is_string(json_object_get(entry, "id")) || strcmp(json_string_value(json_object_get(entry, "id")), id) != 0) {
		json_decref(entry);
		return err_set(err, -EBADMSG, "%s is not a journal entry", path);
	}
	*ret_entry = entry;
	return 0;
}

int journal_strike(const char *id, struct err *err)
{
	char path[600], folder[512];
	int rc;

	rc = entry_path(id, path, sizeof path);
	if (rc < 0)
		return err_set(err, rc, "not an id of a journal entry");
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "cannot strike out %s: %m", path);
	journal_folder(folder, sizeof folder);
	return file_sync_folder(folder, err);
}

bool journal_is_of_other_boot(const json_t *entry)
{
	const char *then = json_string_value(json_object_get(entry, "boot_id"));
	char now[64];

	return then && then[0] != '\0' && tool_boot_id(now, sizeof now) == 0 && strcmp(now, then) != 0;
}

static int is_entry(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && n - 5 < FAULT_ID_BYTES && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".json") == 0;
}

json_t *journal_list(struct err *err)
{
	struct dirent **names = NULL;
	json_t *list = json_array();
	char path[512];
	int nr;

	journal_folder(path, sizeof path);
	nr = scandir(path, &names, is_entry, alphasort);
	if (!list || (nr < 0 && errno != ENOENT))	/* to heal nothing because nothing could be read would be a lie */
		(void)err_set(err, list ? -errno : -ENOMEM, "cannot read the journal %s: %s", path, list ? strerror(errno) : "out of memory");
	for (int i = 0; i < nr; i++) {
		json_t *entry = NULL;
		int rc;

		names[i]->d_name[strlen(names[i]->d_name) - 5] = '\0';
		rc = i < JOURNAL_ENTRIES_MAX ? journal_read(names[i]->d_name, &entry, err) : err_set(err, -E2BIG, "too many journal entries");
		if (rc == 0 && json_array_append_new(list, entry) < 0)
			(void)err_set(err, -ENOMEM, "%s: out of memory", names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return list;
}
