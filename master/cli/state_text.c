/* SPDX-License-Identifier: MIT
 *
 * state_text - see state_text.h.
 */
#include "master/cli/state_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli/json_load.h"
#include "common/cli/line.h"

static const char start[] = "{\"poolmap_state\":";
static const char damaged[] = "is damaged";
static const char out_of_memory[] = "cannot be read: out of memory";

bool state_text_is_one(const char *text, size_t len)
{
	size_t head = sizeof start - 1;
	return memcmp(text, start, len < head ? len : head) == 0;
}

/* ----------------------------------------------------------------- writing */

static int put_file(struct buf *out, const struct input_file *f)
{
	int err = buf_puts(out, "{\"path\":");
	err = err ? err : line_string(out, f->path, strlen(f->path));
	return err ? err
		   : buf_printf(out,
			     ",\"bytes\":%" PRIu64 ",\"hashed\":%" PRIu64
			     ",\"sha256\":\"%s\"}",
			     f->bytes, f->hashed, f->sha256);
}

int state_text_put(struct buf *out, const struct input *in)
{
	int err = buf_printf(out, "%s%d,\"job_files\":[", start, (int)STATE_VERSION);
	for (size_t i = 0; i < input_file_ct(in) && !err; i++) {
		struct input_file f = input_file(in, i);
		err = i ? buf_puts(out, ",") : 0;
		err = err ? err : put_file(out, &f);
	}
	return err ? err : buf_puts(out, "]}\n");
}

/* ----------------------------------------------------------------- reading */

static bool read_number(uint64_t *n, const json_t *value)
{
	*n = (uint64_t)json_integer_value(value);
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

static const char *read_file(struct state_file *f, const json_t *value)
{
	const char *path = json_string_value(json_object_get(value, "path"));
	const char *sha256 = json_string_value(json_object_get(value, "sha256"));
	if (!path || !sha256 || strlen(sha256) != DIGEST_HEX_LEN ||
		!read_number(&f->bytes, json_object_get(value, "bytes")) ||
		!read_number(&f->hashed, json_object_get(value, "hashed"))) {
		return damaged;
	}
	f->path = strdup(path);
	memcpy(f->sha256, sha256, sizeof f->sha256);
	return f->path ? NULL : out_of_memory;
}

static const char *read_files(struct state_files *files, const json_t *list)
{
	const char *why = NULL;
	size_t ct = json_array_size(list);
	if (!ct) {
		return damaged;
	}
	files->all = calloc(ct, sizeof *files->all);
	if (!files->all) {
		return out_of_memory;
	}
	for (; files->ct < ct && !why; files->ct++) {
		why = read_file(
			&files->all[files->ct], json_array_get(list, files->ct));
	}
	return why;
}

static const char *read_root(struct state_files *files, const json_t *root)
{
	const json_t *version = json_object_get(root, "poolmap_state");
	if (!json_is_integer(version)) {
		return damaged;
	}
	if (json_integer_value(version) != STATE_VERSION) {
		return "is of another version of poolmap";
	}
	return read_files(files, json_object_get(root, "job_files"));
}

const char *state_text_read(struct state_files *files, const char *text, size_t len)
{
	json_t *root = NULL;
	*files = (struct state_files){0};
	int err = json_load(&root, text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *why = err == PM_ENOMEM ? out_of_memory
			  : err            ? damaged
					   : read_root(files, root);
	json_decref(root);
	if (why) {
		state_text_fini(files);
	}
	return why;
}

void state_text_fini(struct state_files *files)
{
	for (size_t i = 0; i < files->ct; i++) {
		free(files->all[i].path);
	}
	free(files->all);
	*files = (struct state_files){0};
}
