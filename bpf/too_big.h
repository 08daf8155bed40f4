/* SPDX-License-Identifier: GPL-2.0 */
/* What a tunnel does not carry although the kernel, which sends Packet Too Big, did not know: the daemon says it in its
 * place, or sends the packet in fragments. */
#ifndef UNWIRED_TOO_BIG_H
#define UNWIRED_TOO_BIG_H

#include "punt.h"
#include "tunnel.h"

#define TOO_BIG_QUOTED 1200 /* bytes of a packet that the daemon gets to tell its sender */
#define IPV6_MTU_MIN 1280

/* The length of one packet on the wire: of each segment when this one is to be segmented. `header` is at `at`. */
__noinline int segment_length(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	__u32 headers;
	__u8 protocol, first, data_offset;

	if (!header)
		return 0;
	if (!skb->gso_size)
		return skb->len - at;
	headers = header->size;
	protocol = header->protocol;
	if (is_tunnel_protocol(protocol)) { /* a mobile node's tunnel, on its way to a member */
		if (bpf_skb_load_bytes(skb, at + headers, &first, 1) ||
		    bpf_skb_load_bytes(skb,
				       at + headers + (first >> 4 == 4 ? offsetof(struct iphdr, protocol)
								       : offsetof(struct ipv6hdr, nexthdr)),
				       &protocol, 1))
			return skb->len - at;
		headers += first >> 4 == 4 ? (first & 15) * 4 : sizeof(struct ipv6hdr);
	}
	if (protocol == IPPROTO_UDP)
		headers += sizeof(struct udphdr);
	else if (protocol == IPPROTO_TCP && !bpf_skb_load_bytes(skb, at + headers + 12, &data_offset, 1))
		headers += (data_offset >> 4) * 4;
	return headers + skb->gso_size;
}

/* Whether a packet, or each segment of it, has to pass whatever the path carries: its sender is promised so (RFC 2473
 * sections 7.1 and 7.2). The punt device segments what is to be segmented. */
static __always_inline int goes_in_fragments(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	return header->version == 4 ? !(header->fragment & IPV4_DONT_FRAGMENT)
				    : segment_length(skb, at, header) <= IPV6_MTU_MIN;
}

static __always_inline int is_told_now(void)
{
	const __u64 now = bpf_jiffies64();
	__u32 zero = 0;
	__u64 *told_at = bpf_map_lookup_elem(&too_big_told_at, &zero);

	if (!told_at || *told_at == now)
		return 0;
	*told_at = now;
	return 1;
}

/* Give the daemon the packet at `at` as encapsulated, with the MTU of the path where nobody else needs that field and with
 * hop limit 0, by which it is known: docs/data-plane.md, "What the daemon reads". */
__noinline int tell_too_big(struct __sk_buff *skb, __u32 at, const struct ip_header *header, __u32 number)
{
	const struct settings *settings = read_settings();
	const struct tunnel_row *tunnel = bpf_map_lookup_elem(&tunnels, &number);
	__u32 encapsulation, overhead, limit, length = skb->len - at;
	struct head head = {};
	int whole;

	if (!settings || !tunnel || !header || !settings->punt_interface)
		return drop(COUNTER_TOO_BIG);
	encapsulation = tunnel->encapsulation;
	overhead = overhead_of(encapsulation);
	limit = limit_of(tunnel, find_tunnel_route(skb, tunnel, VERSION_6, settings->tunnel_interface));
	whole = goes_in_fragments(skb, at, header);
	if (whole) {
		if (!is_earned(PUNTED_TO_FRAGMENT, SECOND_NS / TO_FRAGMENT_PER_SECOND, BURST_NS))
			return drop(COUNTER_FRAGMENTS_LIMITED);
		count(COUNTER_TO_FRAGMENT);
	} else {
		count(COUNTER_TOO_BIG);
		if (!is_told_now())
			return VERDICT_DROP;
		if (length > TOO_BIG_QUOTED) {
			length = TOO_BIG_QUOTED;
			if (bpf_skb_change_tail(skb, at + length, 0))
				return VERDICT_DROP;
		}
	}
	limit += overhead;
	write_outer(&head, tunnel, header->version, length,
		    VERSION_6 | (header->first_word & TRAFFIC_CLASS) | (bpf_htonl(limit) & FLOW_LABEL));
	if (encapsulation == ENCAPSULATION_IPV6) {
		head.ipv6.header.hop_limit = 0;
	} else {
		head.ipv4.header.ttl = 0;
		head.ipv4.header.id = bpf_htons(limit);
	}
	if (make_room(skb, encapsulation, 0) ||
	    bpf_skb_store_bytes(skb, at, &head, overhead, BPF_F_RECOMPUTE_CSUM))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	return bpf_redirect(settings->punt_interface, 0);
}

#endif
