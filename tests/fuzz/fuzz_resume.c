/* SPDX-License-Identifier: MIT
 *
 * fuzz_resume - results against the job file they are said to belong to: which jobs are
 * done.  Results and jobs are the two parts of the input, split at a byte 0xff, which
 * is in no UTF-8.
 */
#include "master/cli/input.h"
#include "master/cli/resume.h"
#include "tests/fuzz/fuzz.h"

static int job_file(char path[FUZZ_PATH_MAX], const uint8_t *data, size_t size)
{
	int fd = memfd_create("jobs", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, FUZZ_PATH_MAX, "/proc/self/fd/%d", fd);
	return fd;
}

static void check(const struct resume *r)
{
	uint64_t done = 0, failed = 0;
	for (uint64_t i = 0; i < 4096; i++) {
		done += resume_done(r, i);
		failed += resume_failed(r, i);
		FUZZ_CHECK(!resume_ok(r, i) || !resume_failed(r, i));
		FUZZ_CHECK(resume_done(r, i) || !resume_ok(r, i));
		FUZZ_CHECK(!resume_in_order(r) || !resume_done(r, i) || i == 0 ||
			   resume_done(r, i - 1));
	}
	FUZZ_CHECK(done <= resume_done_ct(r) && failed <= resume_failed_ct(r));
	FUZZ_CHECK(!resume_done(r, UINT64_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char results_path[FUZZ_PATH_MAX], jobs_path[FUZZ_PATH_MAX];
	const char *path = jobs_path;
	const uint8_t *results = data;
	size_t len = fuzz_part(&data, &size, 0xff);
	struct scan_file file = {
		.fd = fuzz_file(results_path, results, len), .name = "results"};
	int fd = job_file(jobs_path, data, size);
	struct input *in;
	struct resume *r;
	if (input_open(&in, &path, 1) == 0) {
		for (int unordered = 0; unordered < 2; unordered++) {
			if (resume_read(&r, &file, in, unordered) == 0) {
				check(r);
				resume_free(r);
			}
			if (input_rewind(in)) {
				break;
			}
		}
		input_close(in);
	}
	close(fd);
	return 0;
}
