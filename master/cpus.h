/* SPDX-License-Identifier: MIT
 *
 * cpus - how many CPUs this process may really use: pm_cpus() of poolmap.h.
 */
#ifndef MASTER_CPUS_H
#define MASTER_CPUS_H

/* CPUs that a cgroup quota allows, rounded up: "max 100000", "150000 100000".
 * UINT_MAX for no quota, or for a text that is none. */
unsigned cpus_of_quota(const char *text);

#endif
