/* SPDX-License-Identifier: GPL-2.0 */
/* Counting what became of packets. */
#ifndef UNWIRED_COUNTERS_H
#define UNWIRED_COUNTERS_H

#include "maps.h"

static __always_inline void count(enum counter counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

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

static __always_inline struct tunnel_counters *counters_of(__u32 tunnel)
{
	struct tunnel_counters *row = bpf_map_lookup_elem(&tunnel_counters, &tunnel);
	struct tunnel_counters zeros = {};

	if (row)
		return row;
	bpf_map_update_elem(&tunnel_counters, &tunnel, &zeros, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tunnel_counters, &tunnel);
}

static __always_inline void count_sent(__u32 tunnel, __u32 packets, __u32 bytes)
{
	struct tunnel_counters *row = counters_of(tunnel);

	if (row) {
		__sync_fetch_and_add(&row->packets_sent, packets);
		__sync_fetch_and_add(&row->bytes_sent, bytes);
	}
}

static __always_inline void count_received(__u32 tunnel, __u32 packets, __u32 bytes)
{
	struct tunnel_counters *row = counters_of(tunnel);

	if (row) {
		__sync_fetch_and_add(&row->packets_received, packets);
		__sync_fetch_and_add(&row->bytes_received, bytes);
	}
}

#endif
