/* SPDX-License-Identifier: MIT
 *
 * fetch_init - what a worker of `poolmap run` needs before its first fetch; see
 * fetch_task.h.
 *
 * Runs in: the workers of the command, before they have a thread or a connection.
 */
#include <errno.h>
#include <locale.h>
#include <string.h>

#include "common/cli/fetch_task.h"
#include "common/cli/job.h"
#include "common/cli/settings.h"
#include "worker/cli/body_dir.h"
#include "worker/cli/sandbox.h"
#include "worker/cli/warc_file.h"

/* A job may say more than --max-body.  A WARC file grows to 1 GiB, and then by one
 * record. */
#define WARC_BYTES (UINT64_C(3) << 30)
enum { SLACK_BYTES = 1 << 20 };

/* Job files are UTF-8 whatever the user's locale is, and libcurl reads the name of a
 * host as text of the locale.  A system without that locale has hosts in ASCII. */
static void read_hosts_as_utf8(void)
{
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

static int use_dns_servers(void)
{
	if (!settings.dns_servers) {
		return 0;
	}
	int err = pm_worker_dns_servers(settings.dns_servers);
	return err ? pm_worker_fail("--dns-servers %s: %s", settings.dns_servers,
			     pm_error_text(err))
		   : 0;
}

/* Where bodies go: -1 also when it cannot be opened, of which each job will tell. */
static int body_dir(void)
{
	switch (settings.body) {
	case BODY_DIR:
		return body_dir_open(settings.body_path);
	case BODY_WARC:
		return warc_file_dir(settings.body_path);
	default:
		return -1;
	}
}

static uint64_t file_bytes(void)
{
	switch (settings.body) {
	case BODY_DIR:
		return JOB_BODY_MAX + SLACK_BYTES;
	case BODY_WARC:
		return WARC_BYTES;
	default:
		return 0;
	}
}

static int enter_sandbox(void)
{
	const char *files[] = {settings.ca_file, settings.cert, settings.key};
	struct sandbox sandbox = {
		.files = files,
		.file_ct = sizeof files / sizeof *files,
		.dir = body_dir(),
		.file_bytes = file_bytes(),
	};
	const char *what;
	return sandbox_enter(&sandbox, &what)
		       ? pm_worker_fail("the sandbox cannot be entered: %s: %s; "
					"--no-sandbox goes without",
				 what, strerror(errno))
		       : 0;
}

int fetch_init(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	read_hosts_as_utf8();
	int err = use_dns_servers();
	return err || settings.no_sandbox ? err : enter_sandbox();
}
