/* SPDX-License-Identifier: MIT
 *
 * cpus - how many CPUs this process may really use.
 *
 * Runs in: the master.  The number in the box is not it: a scheduling affinity
 * (taskset, cpuset) and the quota of a cgroup (containers) are both smaller.
 */
#include "master/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/poolmap.h"

unsigned cpus_of_quota(const char *text)
{
	char *end;
	if (strncmp(text, "max", 3) == 0) {
		return UINT_MAX;
	}
	unsigned long long quota = strtoull(text, &end, 10);
	if (end == text || *end != ' ') {
		return UINT_MAX;
	}
	unsigned long long period = strtoull(end, NULL, 10);
	if (!quota || !period || quota / period >= UINT_MAX) {
		return UINT_MAX;
	}
	return (unsigned)(quota / period + (quota % period != 0));
}

/* First line of a file; empty when there is none. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	line[0] = '\0';
	if (f) {
		if (!fgets(line, (int)size, f)) {
			line[0] = '\0';
		}
		(void)fclose(f);
	}
	line[strcspn(line, "\n")] = '\0';
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The quota of a group binds, and so does that of every group above it. */
static unsigned quota_upwards(char *group)
{
	unsigned least = UINT_MAX;
	for (;;) {
		char path[PATH_MAX + 32], line[128];
		snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
		read_line(path, line, sizeof line);
		if (*line) {
			least = smaller(least, cpus_of_quota(line));
		}
		char *slash = strrchr(group, '/');
		if (!slash) {
			return least;
		}
		*slash = '\0';
	}
}

/* cgroup v2: the line "0::/path".  Version 1 keeps quota and period in two files
 * of its cpu controller, most often seen at its root from inside a container. */
static unsigned quota(void)
{
	char line[PATH_MAX], group[PATH_MAX] = "";
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0) {
			snprintf(group, sizeof group, "%s", line + 3);
		}
	}
	if (f) {
		(void)fclose(f);
	}
	unsigned v2 = quota_upwards(group);
	char quota_us[40], period_us[40], both[96];
	read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota_us, sizeof quota_us);
	read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period_us, sizeof period_us);
	snprintf(both, sizeof both, "%s %s", quota_us, period_us);
	unsigned v1 = *quota_us && *quota_us != '-' ? cpus_of_quota(both) : UINT_MAX;
	return smaller(v1, v2);
}

/* The mask may be larger than cpu_set_t on very large machines: ask with a
 * larger one until the kernel is content. */
static unsigned affinity(void)
{
	for (int room = CPU_SETSIZE; room <= 1 << 20; room *= 4) {
		cpu_set_t *set = CPU_ALLOC((size_t)room);
		size_t size = CPU_ALLOC_SIZE((size_t)room);
		int ct = set && sched_getaffinity(0, size, set) == 0
				 ? CPU_COUNT_S(size, set)
				 : 0;
		CPU_FREE(set);
		if (ct > 0) {
			return (unsigned)ct;
		}
	}
	return 1;
}

unsigned pm_cpus(void)
{
	return smaller(affinity(), quota());
}
