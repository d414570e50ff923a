/* SPDX-License-Identifier: MIT
 *
 * resolver_hosts - see resolver_hosts.h.
 *
 * Every word of the file counts as a name: too many are no harm.
 */
#include "worker/resolver_hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LOOK_MS = 1000, FIRST_CAP = 64 };

static uint64_t hash_of(const char *text, size_t len)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		c = c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
		hash = (hash ^ c) * 1099511628211u;
	}
	return hash ? hash : 1;
}

/* Where it is, or the free place where it would be; some place is always free. */
static size_t place_of(const struct hosts *h, uint64_t hash)
{
	size_t at = hash & (h->cap - 1);
	while (h->hashes[at] && h->hashes[at] != hash) {
		at = (at + 1) & (h->cap - 1);
	}
	return at;
}

static bool grow(struct hosts *h)
{
	struct hosts old = *h;
	size_t cap = old.cap ? old.cap * 2 : FIRST_CAP;
	uint64_t *hashes = calloc(cap, sizeof(*hashes));
	if (!hashes) {
		return false;
	}
	h->hashes = hashes;
	h->cap = cap;
	for (size_t i = 0; i < old.cap; i++) {
		if (old.hashes[i]) {
			h->hashes[place_of(h, old.hashes[i])] = old.hashes[i];
		}
	}
	free(old.hashes);
	return true;
}

static bool add(struct hosts *h, const char *word, size_t len)
{
	if (h->ct * 2 >= h->cap && !grow(h)) {
		return false;
	}
	uint64_t hash = hash_of(word, len);
	size_t at = place_of(h, hash);
	h->ct += !h->hashes[at];
	h->hashes[at] = hash;
	return true;
}

static bool add_line(struct hosts *h, const char *line)
{
	static const char blanks[] = " \t\r\n";
	bool good = true;
	while (*line && *line != '#' && good) {
		size_t len = strcspn(line, " \t\r\n#");
		good = !len || add(h, line, len);
		line += len;
		line += strspn(line, blanks);
	}
	return good;
}

static bool read_all(struct hosts *h)
{
	char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(h->path, "re");
	if (!f) {
		return errno == ENOENT;
	}
	bool good = true;
	while (good && getline(&line, &room, f) >= 0) {
		good = add_line(h, line);
	}
	good = good && !ferror(f);
	free(line);
	(void)fclose(f);
	return good;
}

static void forget(struct hosts *h)
{
	free(h->hashes);
	h->hashes = NULL;
	h->cap = h->ct = 0;
}

static void look(struct hosts *h, uint64_t now_ms)
{
	struct stat st = {0};
	bool first = h->looked_ms == 0;
	h->looked_ms = now_ms;
	(void)stat(h->path, &st);
	if (!first && st.st_mtim.tv_sec == h->changed.tv_sec &&
		st.st_mtim.tv_nsec == h->changed.tv_nsec) {
		return;
	}
	h->changed = st.st_mtim;
	forget(h);
	h->unread = !grow(h) || !read_all(h);
}

void hosts_init(struct hosts *h, const char *path)
{
	*h = (struct hosts){.path = path};
}

void hosts_fini(struct hosts *h)
{
	forget(h);
}

bool hosts_may_have(struct hosts *h, const char *name, uint64_t now_ms)
{
	if (!h->looked_ms || now_ms - h->looked_ms >= LOOK_MS) {
		look(h, now_ms);
	}
	return h->unread || h->hashes[place_of(h, hash_of(name, strlen(name)))] != 0;
}
