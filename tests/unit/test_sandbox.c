/* SPDX-License-Identifier: MIT
 *
 * Unit tests of worker/cli/sandbox: a child enters it and tries what an intruder
 * would, and what a worker must be able to do.
 */
#include <criterion/criterion.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/cli/kernel.h"
#include "tests/support/deeds.h"
#include "tests/unit/scratch.h"
#include "worker/cli/body_dir.h"
#include "worker/cli/sandbox.h"

/* What a child has to tell. */
struct told {
	int entered; /* errno of sandbox_enter() */
	int deeds[DEED_CT];
	int others[16]; /* of a test's own */
	bool done;
};

static struct told *told;
static struct deed_targets targets;
static char word[4] = "good", inside[96];

static void make_targets(void)
{
	scratch_make();
	snprintf(targets.dir, sizeof(targets.dir), "%s/home", scratch);
	snprintf(targets.secret, sizeof(targets.secret), "%s/home/secret", scratch);
	snprintf(inside, sizeof(inside), "%s/bodies", scratch);
	cr_assert_eq(mkdir(targets.dir, 0700), 0);
	FILE *f = fopen(targets.secret, "w");
	cr_assert(f && fputs("key", f) >= 0 && fclose(f) == 0);
	targets.master = getpid();
	targets.word = word;
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(told, MAP_FAILED);
}

/* Do something in a child, in the sandbox or not. */
static void in_child(const struct sandbox *sandbox, void (*act)(void))
{
	memset(told, 0, sizeof(*told));
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		const char *what;
		told->entered = sandbox && sandbox_enter(sandbox, &what) ? errno : 0;
		act();
		told->done = true;
		_exit(0);
	}
	int status;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "the child ended with %x", (unsigned)status);
	cr_assert(told->done);
	cr_assert_eq(told->entered, 0, "%s", strerror(told->entered));
}

static void do_deeds(void)
{
	for (int i = 0; i < DEED_CT; i++) {
		told->deeds[i] = deeds[i].act(&targets);
	}
}

/* This build, or this kernel, confines nothing. */
static bool is_open(void)
{
	return kernel_is_watched() || kernel_landlock_abi() < 6 ||
	       !kernel_has_seccomp();
}

/* Otherwise the next test would prove nothing.  Some kernels trace no parents. */
Test(sandbox, deeds_are_let_without_it, .timeout = 60)
{
	make_targets();
	if (is_open()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
	in_child(NULL, do_deeds);
	for (int i = 0; i < DEED_CT; i++) {
		bool by_yama =
			told->deeds[i] == EPERM && deeds[i].act == deed_write_memory;
		cr_assert(!told->deeds[i] || by_yama, "%s: %s", deeds[i].name,
			strerror(told->deeds[i]));
	}
}

Test(sandbox, denies_each_deed, .timeout = 60)
{
	struct sandbox sandbox = {.dir = -1};
	make_targets();
	if (is_open()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
	in_child(&sandbox, do_deeds);
	for (int i = 0; i < DEED_CT; i++) {
		cr_assert(told->deeds[i], "it was let: %s", deeds[i].name);
	}
	cr_assert_eq(memcmp(word, "good", 4), 0);
}

Test(sandbox, denies_each_deed_beside_a_directory_for_bodies, .timeout = 60)
{
	make_targets();
	if (is_open()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
	struct sandbox sandbox = {.dir = body_dir_open(inside), .file_bytes = 1 << 20};
	cr_assert_geq(sandbox.dir, 0);
	in_child(&sandbox, do_deeds);
	for (int i = 0; i < DEED_CT; i++) {
		cr_assert(told->deeds[i], "it was let: %s", deeds[i].name);
	}
	body_dir_close();
}

/* ---------------------------------------------------------------- what it lets */

static void *set_flag(void *flag)
{
	*(int *)flag = 0;
	return NULL;
}

static int can_read(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int why = fd < 0 ? errno : read(fd, &byte, 1) < 0 ? errno : 0;
	close(fd);
	return why;
}

static void do_work(void)
{
	pthread_t thread;
	struct addrinfo *found;
	told->others[0] = ECHILD;
	if (pthread_create(&thread, NULL, set_flag, &told->others[0]) == 0) {
		pthread_join(thread, NULL);
	}
	told->others[1] = getaddrinfo("localhost", NULL, NULL, &found);
	if (!told->others[1]) {
		freeaddrinfo(found);
	}
	told->others[2] = can_read("/etc/hosts");
	told->others[3] = can_read("/etc/resolv.conf") == EACCES ? EACCES : 0;
	told->others[4] = can_read("/etc/ssl/certs/ca-certificates.crt");
	told->others[5] = can_read("/dev/urandom");
	told->others[6] = can_read(targets.secret); /* named by the user */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	told->others[7] = deed_result(fd);
	told->others[8] = deed_result(socket(AF_UNIX, SOCK_STREAM, 0));
	told->others[9] =
		deed_result(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
				    -1, 0) == MAP_FAILED
				    ? -1
				    : 0);
}

Test(sandbox, lets_a_worker_work, .timeout = 60)
{
	const char *files[] = {NULL, targets.secret};
	struct sandbox sandbox = {.files = files, .file_ct = 2, .dir = -1};
	make_targets();
	in_child(&sandbox, do_work);
	for (size_t i = 0; i < sizeof(told->others) / sizeof(*told->others); i++) {
		cr_assert_eq(
			told->others[i], 0, "%zu: %s", i, strerror(told->others[i]));
	}
}

static void do_body(void)
{
	struct buf path = {0};
	char hex[DIGEST_HEX_LEN + 1];
	struct body_file b;
	told->others[0] = body_file_begin(&b, inside);
	for (int i = 0; i < 100 && !told->others[0]; i++) {
		static char bytes[1000];
		told->others[0] = body_file_add(&b, bytes, sizeof(bytes));
	}
	if (!told->others[0]) {
		told->others[1] = body_file_keep(&b, true, inside, hex, &path);
		told->others[2] = can_read(buf_text(&path));
	}
	body_file_fini(&b);
	buf_fini(&path);
}

/* Made without a name in one directory, and linked into another. */
Test(sandbox, lets_bodies_into_their_directory, .timeout = 60)
{
	make_targets();
	struct sandbox sandbox = {.dir = body_dir_open(inside), .file_bytes = 1 << 20};
	cr_assert_geq(sandbox.dir, 0);
	in_child(&sandbox, do_body);
	cr_assert_eq(told->others[0] || told->others[1] || told->others[2], 0,
		"%d %d %d", told->others[0], told->others[1], told->others[2]);
	body_dir_close();
}

/* ------------------------------------------------------------------- the rest */

static void do_seal(void)
{
	sandbox_seal();
	sandbox_seal();
	told->others[0] = deed_result(socket(AF_UNIX, SOCK_STREAM, 0));
	told->others[1] = deed_result(syscall(SYS_socket, (1L << 32) | AF_UNIX,
		SOCK_STREAM, 0)); /* the kernel cuts */
	told->others[2] = deed_result(socket(AF_INET, SOCK_STREAM, 0));
}

Test(sandbox, sealed_it_opens_no_local_socket, .timeout = 60)
{
	struct sandbox sandbox = {.dir = -1};
	make_targets();
	if (is_open()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
	in_child(&sandbox, do_seal);
	cr_assert_eq(told->others[0], EACCES);
	cr_assert(told->others[1]);
	cr_assert_eq(told->others[2], 0);
}

static void look_at_limits(void)
{
	struct rlimit core = {1, 1}, size = {1, 1};
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_FSIZE, &size);
	told->others[0] = (int)core.rlim_max;
	told->others[1] = (int)size.rlim_max;
	told->others[2] = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	told->others[3] = setrlimit(RLIMIT_CORE, &core) == 0;
}

Test(sandbox, sets_limits_that_stay, .timeout = 60)
{
	struct sandbox sandbox = {.dir = -1};
	make_targets();
	if (is_open()) {
		cr_skip_test("no sandbox in this build, or this kernel");
	}
	in_child(&sandbox, look_at_limits);
	cr_assert_eq(told->others[0], 0);
	cr_assert_eq(told->others[1], 0);
	cr_assert_eq(told->others[2], 1);
	cr_assert_eq(told->others[3], 0);
}
