/* SPDX-License-Identifier: MIT
 *
 * fuzz_gunzip - compressed job files and compressed results.  The first byte says how
 * much is added, and taken, at a time: that must change nothing of what comes out.
 */
#include <fcntl.h>

#include "common/poolmap.h"
#include "master/cli/gunzip.h"
#include "master/cli/pack.h"
#include "tests/fuzz/fuzz.h"

enum { OUT_MAX = 1 << 20 };

struct outcome {
	bool bad, whole;
	uint64_t len, sum;
};

static void note(struct outcome *o, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		o->sum = o->sum * 31 + (uint8_t)bytes[i];
	}
	o->len += len;
}

static void unzip(struct outcome *o, const uint8_t *data, size_t size, size_t step)
{
	static char out[GUNZIP_BLOCK];
	struct gunzip *g = gunzip_new();
	const char *why = NULL;
	enum gunzip_step did = GUNZIP_MORE;
	size_t len = 0;
	FUZZ_CHECK(g);
	*o = (struct outcome){0};
	while (o->len < OUT_MAX && did != GUNZIP_BAD) {
		if (did == GUNZIP_MORE) {
			size_t part = size < step ? size : step;
			if (!part) {
				break;
			}
			memcpy(gunzip_room(g), data, part);
			gunzip_add(g, part);
			data += part;
			size -= part;
		}
		did = gunzip_next(g, out, step, &len, &why);
		if (did == GUNZIP_BYTES) {
			FUZZ_CHECK(len >= 1 && len <= step);
			note(o, out, len);
		}
	}
	o->bad = did == GUNZIP_BAD;
	FUZZ_CHECK(!o->bad || why);
	o->whole = gunzip_is_whole(g);
	gunzip_free(g);
}

static void check_pack(const uint8_t *data, size_t size)
{
	static char out[4096];
	char path[FUZZ_PATH_MAX];
	int fd = fuzz_file(path, data, size);
	uint64_t end = 0, torn = 0, ct = 0;
	struct unpack *u = unpack_new(fd, true);
	long len = 0;
	FUZZ_CHECK(u);
	if (unpack_find_end(u, &end, &torn) == 0) {
		FUZZ_CHECK(end + torn == size);
		while (ct < OUT_MAX && (len = unpack_read(u, out, sizeof out)) > 0) {
			FUZZ_CHECK((size_t)len <= sizeof out);
			ct += (uint64_t)len;
		}
		FUZZ_CHECK(len >= 0); /* it was read to there before */
	}
	unpack_free(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome one, other;
	if (!size || size > 65536) {
		return 0;
	}
	unzip(&one, data + 1, size - 1, GUNZIP_BLOCK);
	unzip(&other, data + 1, size - 1, 1u + data[0] * 16u);
	if (one.len < OUT_MAX && other.len < OUT_MAX) {
		FUZZ_CHECK(one.bad == other.bad && one.whole == other.whole);
		FUZZ_CHECK(one.bad || (one.len == other.len && one.sum == other.sum));
	}
	check_pack(data + 1, size - 1);
	return 0;
}
