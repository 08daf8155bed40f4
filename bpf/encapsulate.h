/* SPDX-License-Identifier: GPL-2.0 */
/* Into the tunnel: RFC 2473 section 3.1, with segmentation offload kept alive. */
#ifndef UNWIRED_ENCAPSULATE_H
#define UNWIRED_ENCAPSULATE_H

#include <linux/tcp.h>
#include <linux/udp.h>

#include "counters.h"
#include "parse.h"

#define AF_INET6 10
#define EINVAL 22
#define EALREADY 114
#define OUTER_HOP_LIMIT 64
#define IPV6_PAYLOAD_MAX 65535

#define VERSION_6 bpf_htonl(0x60000000)
#define TRAFFIC_CLASS bpf_htonl(0x0ff00000)
#define FLOW_LABEL bpf_htonl(0x000fffff)

/* From kernel 6.3; older ones answer EINVAL. */
#define FIB_LOOKUP_SKIP_NEIGHBOUR (1U << 2)

/* The first 32 bits of an IPv6 header: version, traffic class, flow label. */
static __always_inline __be32 first_word(const struct ipv6hdr *header)
{
	return *(const __be32 *)header;
}

static __always_inline __u32 mix(__u32 hash, __u32 value)
{
	hash = (hash ^ value) * 0x9e3779b1;
	return hash ^ hash >> 15;
}

/* The outer flow label: stateless, from what identifies the inner flow (RFC 6437 section 3, RFC 6438 section 3), never
 * 0. `ports` are the transport's when they can be read, else 0. */
static __always_inline __be32 flow_label(const struct ipv6hdr *inner, __u32 ports)
{
	const __u32 *source = (const void *)&inner->saddr, *destination = (const void *)&inner->daddr;
	__u32 hash = first_word(inner) & FLOW_LABEL;

	hash = mix(hash, ports ^ inner->nexthdr);
	hash = mix(hash, source[0] ^ source[1] ^ destination[0] ^ destination[1]);
	hash = mix(hash, source[2] ^ destination[3]);
	hash = mix(hash, source[3] ^ destination[2]);
	return bpf_htonl((hash >> 12) ?: 1);
}

/* The length of one packet on the wire: of each segment when this one is to be segmented. */
static __always_inline __u32 segment_length(struct __sk_buff *skb, __u32 l2, const struct ipv6hdr *inner)
{
	__u32 length = sizeof(*inner) + skb->gso_size;
	__u8 data_offset;

	if (!skb->gso_size)
		return skb->len - l2;
	if (inner->nexthdr == IPPROTO_UDP)
		return length + sizeof(struct udphdr);
	if (inner->nexthdr == IPPROTO_TCP && !bpf_skb_load_bytes(skb, l2 + sizeof(*inner) + 12, &data_offset, 1))
		return length + (data_offset >> 4) * 4;
	return length;
}

/* Room for an outer IPv6 header behind the link header. A packet that was decapsulated on this host still has the mark
 * of a tunnel on it (skb->encapsulation survives even a veth) and EALREADY is the answer to a second encapsulation: the
 * mark and the segmentation type that are still there are then the ones that we need. */
static __always_inline int grow(struct __sk_buff *skb)
{
	const int length = sizeof(struct ipv6hdr);
	int error = bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC,
					BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_FIXED_GSO);

	if (error == -EALREADY)
		error = bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	return error;
}

/* Send the encapsulated packet where its outer addresses are routed, rules by source address included. */
static __always_inline int send_outer(struct __sk_buff *skb, const struct ipv6hdr *outer, __u32 interface)
{
	struct bpf_fib_lookup route = {
		.family = AF_INET6,
		.l4_protocol = PROTOCOL_IPV6,
		.ifindex = skb->ifindex,
		.flowinfo = first_word(outer) & ~VERSION_6,
	};
	struct bpf_redir_neigh next_hop = { .nh_family = AF_INET6 };
	int result;

	__builtin_memcpy(route.ipv6_src, &outer->saddr, sizeof(route.ipv6_src));
	__builtin_memcpy(route.ipv6_dst, &outer->daddr, sizeof(route.ipv6_dst));
	result = bpf_fib_lookup(skb, &route, sizeof(route), FIB_LOOKUP_SKIP_NEIGHBOUR);
	if (result == -EINVAL)
		result = bpf_fib_lookup(skb, &route, sizeof(route), 0);
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return drop(COUNTER_TOO_BIG);
	if (interface && route.ifindex != interface) {
		/* The main route is another interface's: let the kernel find this one's. */
		count(COUNTER_ENCAPSULATED);
		return bpf_redirect_neigh(interface, 0, 0, 0);
	}
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return drop(COUNTER_NO_ROUTE);
	if (route.ifindex == skb->ifindex)
		return drop(COUNTER_TUNNEL_LOOP);
	__builtin_memcpy(next_hop.ipv6_nh, route.ipv6_dst, sizeof(next_hop.ipv6_nh));
	count(COUNTER_ENCAPSULATED);
	return bpf_redirect_neigh(route.ifindex, &next_hop, sizeof(next_hop), 0);
}

/* Encapsulate the packet whose IPv6 header `inner` is at `l2` (0: a device without link header) and send it. */
static __always_inline int encapsulate(struct __sk_buff *skb, const __u32 l2, const struct ipv6hdr *inner,
				       const struct forward_row *forward)
{
	const __u32 length = skb->len - l2;
	const __u32 packets = packets_of(skb);
	const __u32 number = forward->tunnel;
	const struct tunnel_row *tunnel = bpf_map_lookup_elem(&tunnels, &number);
	struct ipv6hdr outer = {};
	__u32 interface, ports = 0;
	int verdict;

	if (!tunnel || tunnel->encapsulation != ENCAPSULATION_IPV6_IN_IPV6)
		return drop(COUNTER_NO_TUNNEL);
	/* The kernel has sent Packet Too Big already, by the route's or the device's MTU; this is for the rest. */
	if (length > IPV6_PAYLOAD_MAX || (tunnel->mtu && segment_length(skb, l2, inner) > tunnel->mtu))
		return drop(COUNTER_TOO_BIG);
	if (inner->nexthdr == IPPROTO_UDP || inner->nexthdr == IPPROTO_TCP)
		bpf_skb_load_bytes(skb, l2 + sizeof(*inner), &ports, sizeof(ports));
	/* RFC 6040 section 4.1, normal mode: the whole traffic class is copied, congestion experienced included. */
	*(__be32 *)&outer = VERSION_6 | (first_word(inner) & TRAFFIC_CLASS) | flow_label(inner, ports);
	outer.payload_len = bpf_htons(length);
	outer.nexthdr = PROTOCOL_IPV6;
	outer.hop_limit = OUTER_HOP_LIMIT;
	__builtin_memcpy(&outer.saddr, &tunnel->local, sizeof(outer.saddr));
	__builtin_memcpy(&outer.daddr, &tunnel->peer, sizeof(outer.daddr));
	interface = tunnel->interface;

	/* bpf_redirect_neigh wants a link header to overwrite. */
	if (!l2 && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	if (grow(skb) || bpf_skb_store_bytes(skb, ETH_HLEN, &outer, sizeof(outer), BPF_F_RECOMPUTE_CSUM))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	verdict = send_outer(skb, &outer, interface);
	if (verdict != VERDICT_DROP)
		count_sent(number, packets, length);
	return verdict;
}

#endif
