/* SPDX-License-Identifier: MIT
 *
 * name_hash - where a name that comes from outside goes in a hash table.
 *
 * Runs in: any process, on any thread; called by tables of hosts and lanes.  The key is
 * chosen anew in each process, and SipHash keeps it secret: so nobody can write a
 * job file whose hosts all go to one place and make each look-up a walk through all
 * of them.  Must never: be stored, or compared between processes.
 */
#ifndef COMMON_NAME_HASH_H
#define COMMON_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t name_hash(const void *name, size_t len);

/* SipHash-2-4 with this key; for name_hash() and its tests. */
uint64_t name_siphash(const uint64_t key[2], const void *bytes, size_t len);

#endif
