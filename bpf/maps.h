/* SPDX-License-Identifier: GPL-2.0 */
/* The maps. User space pins each under its own name and sets the capacities. */
#ifndef UNWIRED_MAPS_H
#define UNWIRED_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "rows.h"

#define CAPACITY 131072
#define COUNTERS_MAX 64
#define ROUTES 1024
#define MEMBERS_MAX 1024

/* The same numbers under cls_bpf's direct action and tcx. */
enum verdict {
	VERDICT_NEXT = -1, /* not ours: other programs, then the stack */
	VERDICT_PASS = 0,
	VERDICT_DROP = 2,
};
#define NO_VERDICT (-2) /* of a part of a program: not decided yet */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CAPACITY);
	__type(key, struct forward_key);
	__type(value, struct forward_row);
} forwards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CAPACITY);
	__type(key, __u32);
	__type(value, struct tunnel_row);
} tunnels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CAPACITY);
	__type(key, struct accept_key);
	__type(value, struct accept_row);
} accepts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CAPACITY);
	__type(key, struct mobile_prefix_key);
	__type(value, struct mobile_prefix_row);
} mobile_prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CAPACITY);
	__type(key, struct listen_key);
	__type(value, struct listen_row);
} listens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MEMBERS_MAX);
	__type(key, struct member_key);
	__type(value, struct member_row);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MEMBERS_MAX);
	__type(key, struct member_address_key);
	__type(value, struct member_address_row);
} member_addresses SEC(".maps");

/* Apart from the tunnels, so that a handover rewrites a tunnel without losing its counts; a row appears with a tunnel's first
 * packet. Not per processor: that would take kilobytes for each on a large machine. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CAPACITY);
	__type(key, __u32);
	__type(value, struct tunnel_counters);
} tunnel_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, enum counter);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/* What the daemon is given: each has a limit of its own. */
enum punted {
	PUNTED_CONTROL,
	PUNTED_FROM_STRANGER,
	PUNTED_NAT_PROBE,
	PUNTED_NAT_UNKNOWN,
	PUNTED_TO_FRAGMENT,
	PUNTED_COUNT,
};

/* When this CPU's punts so far will have been earned, in ktime. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PUNTED_COUNT);
	__type(key, enum punted);
	__type(value, __u64);
} punt_earned_at_ns SEC(".maps");

/* The jiffy in which this CPU has last told the daemon of a packet that is too big. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} too_big_told_at SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROUTES);
	__type(key, __u32);
	__type(value, struct route);
} routes SEC(".maps");

static __always_inline const struct settings *read_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

#endif
