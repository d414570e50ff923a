/* SPDX-License-Identifier: MIT
 *
 * leak - looks for descriptors that a task left open; see leak.h.
 */
#include "worker/leak.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "worker/runner.h"

static struct {
	bool on;
	bool fetched;               /* there was a fetch in this worker */
	unsigned thread_ct;         /* at first */
	unsigned stray_ct;          /* threads of ours that work for nobody */
	const struct pm_task *sole; /* the job that no other began beside; or NULL */
	struct buf before;          /* a byte for each descriptor: was it open? */
	struct buf kept;            /* numbers of descriptors, int */
} self;

/* ------------------------------------------------------------- descriptors */

/* The number that names an entry of /proc/self/fd; -1: none does. */
static int number(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);
	return end != name && !*end && n >= 0 && n < 1 << 24 ? (int)n : -1;
}

static int mark(struct buf *open, int fd)
{
	size_t len = (size_t)fd + 1;
	if (open->len < len) {
		if (buf_reserve(open, len - open->len)) {
			return PM_ENOMEM;
		}
		memset(open->data + open->len, 0, len - open->len);
		open->len = len;
	}
	open->data[fd] = 1;
	return 0;
}

static bool is_marked(const struct buf *open, int fd)
{
	return (size_t)fd < open->len && open->data[fd];
}

/* What is open now; an error when that cannot be told. */
static int look(struct buf *open)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int err = dir ? 0 : PM_ESYSTEM;
	buf_clear(open);
	while (!err && (entry = readdir(dir))) {
		int fd = number(entry->d_name);
		err = fd < 0 || fd == dirfd(dir) ? 0 : mark(open, fd);
	}
	if (dir) {
		closedir(dir);
	}
	return err;
}

static unsigned count_threads(void)
{
	unsigned ct = 0;
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		ct += entry->d_name[0] != '.';
	}
	if (dir) {
		closedir(dir);
	}
	return ct;
}

/* ---------------------------------------------------------------- the rule */

static bool is_kept(int fd)
{
	for (size_t at = 0; at < self.kept.len; at += sizeof fd) {
		if (!memcmp(self.kept.data + at, &fd, sizeof fd)) {
			return true;
		}
	}
	return false;
}

static bool is_socket(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Is it certain that what was opened was opened by tasks? */
static bool can_blame(void)
{
	return self.stray_ct == 0 &&
	       !(self.fetched && count_threads() > self.thread_ct);
}

static bool is_left(int fd)
{
	return !is_marked(&self.before, fd) && !is_kept(fd) &&
	       !(self.fetched && is_socket(fd));
}

/* "9 -> /etc/hosts" */
static void describe(struct buf *text, int fd)
{
	char link[64], target[200];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, target, sizeof target);
	(void)buf_printf(text, "%s%d -> %.*s", text->len ? ", " : "", fd,
		len > 0 ? (int)len : 1, len > 0 ? target : "?");
}

/* Close what is left; how many, and their description. */
static unsigned close_left(const struct buf *open, struct buf *text)
{
	unsigned ct = 0;
	for (size_t fd = 0; fd < open->len; fd++) {
		if (open->data[fd] && is_left((int)fd)) {
			describe(text, (int)fd);
			close((int)fd);
			ct++;
		}
	}
	return ct;
}

/* A job that has failed already keeps its error, and says this as well. */
static void fail(struct pm_task *task, unsigned ct, struct buf *text)
{
	struct pm_failure *f = &task->failure;
	struct buf message = {0};
	const char *list = buf_text(text);
	(void)buf_printf(&message, "%s%sleft %u descriptor%s open: %s", f->message,
		f->error ? "; " : "", ct, ct == 1 ? "" : "s", list ? list : "?");
	const char *words = buf_text(&message);
	(void)task_set_failure(task, f->error ? f->error : PM_ELEAK, f->domain, f->code,
		words ? words : pm_error_text(PM_ELEAK));
	buf_fini(&message);
}

/* --------------------------------------------------------------- interface */

void leak_watch(void)
{
	self.on = true;
	self.thread_ct = count_threads();
}

void leak_keep(int fd)
{
	(void)buf_put(&self.kept, &fd, sizeof fd);
}

void leak_stray(bool works_on)
{
	self.stray_ct += works_on ? 1u : -1u;
}

void leak_begin(const struct pm_task *task)
{
	if (self.on) {
		bool alone = runner_started_ct() == 1 && look(&self.before) == 0;
		self.sole = alone ? task : NULL;
	}
}

void leak_note(const struct pm_task *task)
{
	self.fetched = self.fetched || task->last_response;
}

static void judge(struct pm_task *task)
{
	struct buf open = {0}, text = {0};
	unsigned ct = look(&open) == 0 ? close_left(&open, &text) : 0;
	if (ct) {
		fail(task, ct, &text);
	}
	buf_fini(&open);
	buf_fini(&text);
}

void leak_end(struct pm_task *task)
{
	if (self.on && self.sole == task && can_blame()) {
		judge(task);
	}
}

void leak_fini(void)
{
	buf_fini(&self.before);
	buf_fini(&self.kept);
}
