/* SPDX-License-Identifier: MIT
 *
 * sandbox_files - which files a worker of the command may use: Landlock; see
 * sandbox.h.
 *
 * Runs in: the workers of the command, once.  Everything that is not allowed here is
 * denied by path, whoever the user is.  What is open already stays open.  By system
 * call, as libc has no functions for it, and with numbers of our own, as headers are
 * older than kernels.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/cli/sandbox.h"

enum { NR_CREATE_RULESET = 444, NR_ADD_RULE = 445, NR_RESTRICT_SELF = 446 };
enum { RULE_PATH_BENEATH = 1 };

/* Rights, and the version of the interface from which on they are known. */
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,           /* 2: to link and rename into another directory */
	FS_TRUNCATE = 1 << 14,        /* 3 */
	FS_IOCTL_DEV = 1 << 15,       /* 5 */
	NET_BIND_TCP = 1 << 0,        /* 4 */
	SCOPE_ABSTRACT_UNIX = 1 << 0, /* 6: sockets of others */
	SCOPE_SIGNAL = 1 << 1,        /* 6: processes outside */

	READ = FS_READ_FILE | FS_READ_DIR,
	WRITE = READ | FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
		FS_REFER | FS_TRUNCATE,
	OF_FILES =
		FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
};

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* What a look-up, a TLS handshake and libc itself read.  Single files of /etc: it
 * holds secrets, too.  No program may be run, from anywhere. */
static const char *const system_files[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/nsswitch.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/etc/ld.so.cache",
	"/etc/ssl/certs",
	"/etc/ssl/openssl.cnf",
	"/etc/pki/tls",
	"/etc/pki/ca-trust",
	"/etc/ca-certificates",
	"/etc/crypto-policies",
	"/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates",
	"/usr/share/zoneinfo",
	"/usr/lib",
	"/usr/lib32",
	"/usr/lib64",
	"/usr/local/lib",
	"/lib",
	"/lib64",
	"/sys/devices/system/cpu",
	"/proc/self",
	"/dev/null",
	"/dev/urandom",
};

static struct ruleset_attr wanted_of(int abi)
{
	struct ruleset_attr a = {.fs = FS_ALL_1};
	a.fs |= abi >= 2 ? FS_REFER : 0;
	a.fs |= abi >= 3 ? FS_TRUNCATE : 0;
	a.fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
	a.net = abi >= 4 ? NET_BIND_TCP : 0;
	a.scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0;
	return a;
}

/* Kernels refuse a struct that is longer than theirs. */
static size_t size_of(int abi)
{
	return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static int allow(int ruleset, int fd, uint64_t rights, uint64_t known)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		return -1;
	}
	struct path_attr rule = {.allowed = rights & known, .fd = fd};
	if (!S_ISDIR(st.st_mode)) {
		rule.allowed &= OF_FILES;
	}
	return (int)syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

/* What is not there needs no rule. */
static int allow_path(int ruleset, const char *path, uint64_t known)
{
	int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
	if (fd < 0) {
		return 0;
	}
	int err = allow(ruleset, fd, READ, known);
	int why = errno;
	close(fd);
	errno = why;
	return err;
}

static int add_rules(int ruleset, const struct sandbox *s, uint64_t known)
{
	int err = 0;
	for (size_t i = 0; !err && i < sizeof system_files / sizeof *system_files;
		i++) {
		err = allow_path(ruleset, system_files[i], known);
	}
	for (size_t i = 0; !err && i < s->file_ct; i++) {
		err = allow_path(ruleset, s->files[i], known);
	}
	return !err && s->dir >= 0 ? allow(ruleset, s->dir, WRITE, known) : err;
}

int sandbox_files(const struct sandbox *sandbox, int abi)
{
	if (abi < 2 && sandbox->dir >= 0) {
		return 0; /* it forbids to link from one directory into another */
	}
	struct ruleset_attr wanted = wanted_of(abi);
	int ruleset = (int)syscall(NR_CREATE_RULESET, &wanted, size_of(abi), 0);
	if (ruleset < 0) {
		return -1;
	}
	int err = add_rules(ruleset, sandbox, wanted.fs);
	if (!err) {
		err = (int)syscall(NR_RESTRICT_SELF, ruleset, 0);
	}
	int why = errno;
	close(ruleset);
	errno = why;
	return err;
}
