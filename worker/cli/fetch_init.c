/* SPDX-License-Identifier: MIT
 *
 * fetch_init - what a worker of `poolmap run` needs before its first fetch; see
 * fetch_task.h.
 */
#include "common/cli/fetch_task.h"
#include "common/cli/settings.h"

int fetch_init(const void *arg, size_t len)
{
	(void)arg;
	(void)len;
	if (!settings.dns_servers) {
		return 0;
	}
	int err = pm_worker_dns_servers(settings.dns_servers);
	return err ? pm_worker_fail("--dns-servers %s: %s", settings.dns_servers,
			     pm_error_text(err))
		   : 0;
}
