/* SPDX-License-Identifier: GPL-2.0 */
/* What became of packets: a closed list, the same as unwired.dataplane.layout.Counter and docs/data-plane.md. */
#ifndef UNWIRED_COUNTERS_H
#define UNWIRED_COUNTERS_H

#include "maps.h"

enum counter {
	COUNTER_ENCAPSULATED,
	COUNTER_DECAPSULATED,
	COUNTER_PUNTED,
	COUNTER_PUNT_LIMITED,
	COUNTER_PUNT_NO_DEVICE,
	COUNTER_NO_FORWARD,
	COUNTER_NO_TUNNEL,
	COUNTER_NO_ROUTE,
	COUNTER_TUNNEL_LOOP,
	COUNTER_TOO_BIG,
	COUNTER_REVERSE_CHECK,
	COUNTER_ECN_DROPPED,
	COUNTER_MALFORMED,
	COUNTER_FRAGMENT,
	COUNTER_ENCAPSULATE_FAILED,
	COUNTER_DECAPSULATE_FAILED,
	COUNTER_COUNT,
};

static __always_inline void count(enum counter counter)
{
	__u32 index = counter;
	__u64 *value = bpf_map_lookup_elem(&counters, &index);

	if (value)
		(*value)++;
}

static __always_inline int drop(enum counter reason)
{
	count(reason);
	return VERDICT_DROP;
}

/* A segmentation offload packet counts as the packets it will become. */
static __always_inline __u32 packets_of(struct __sk_buff *skb)
{
	return skb->gso_segs ?: 1;
}

static __always_inline void count_sent(__u32 tunnel, __u32 packets, __u32 bytes)
{
	struct tunnel_counters *row = bpf_map_lookup_elem(&tunnel_counters, &tunnel);

	if (row) {
		row->packets_sent += packets;
		row->bytes_sent += bytes;
	}
}

static __always_inline void count_received(__u32 tunnel, __u32 packets, __u32 bytes)
{
	struct tunnel_counters *row = bpf_map_lookup_elem(&tunnel_counters, &tunnel);

	if (row) {
		row->packets_received += packets;
		row->bytes_received += bytes;
	}
}

#endif
