/* SPDX-License-Identifier: GPL-2.0 */
/* Into the tunnel: RFC 2473 section 3.1, with segmentation offload kept alive. */
#ifndef UNWIRED_ENCAPSULATE_H
#define UNWIRED_ENCAPSULATE_H

#include "counters.h"
#include "parse.h"
#include "route.h"

#define EALREADY 114
#define OUTER_HOP_LIMIT 64
#define IPV6_PAYLOAD_MAX 65535

#define VERSION_6 bpf_htonl(0x60000000)
#define TRAFFIC_CLASS bpf_htonl(0x0ff00000)
#define FLOW_LABEL bpf_htonl(0x000fffff)

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

/* Send the encapsulated packet where its outer addresses are routed. */
static __always_inline int send_outer(struct __sk_buff *skb, const struct ipv6hdr *outer, __u32 interface)
{
	struct bpf_fib_lookup route;
	int result = find_route(skb, outer, 0, &route);

	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return drop(COUNTER_TOO_BIG);
	if (interface && route.ifindex != interface) {
		/* The main route is another interface's: let the kernel find this one's. */
		count(COUNTER_ENCAPSULATED);
		return bpf_redirect_neigh(interface, 0, 0, 0);
	}
	if (result != BPF_FIB_LKUP_RET_SUCCESS)
		return drop(COUNTER_NO_ROUTE);
	if (route.ifindex == skb->ifindex)
		return drop(COUNTER_TUNNEL_LOOP);
	count(COUNTER_ENCAPSULATED);
	return send_by(&route);
}

/* What becomes the packet's first bytes: the outer header, and the start of the inner one with its hop limit. */
struct head {
	struct ipv6hdr outer;
	__u8 inner[8];
};

/* Encapsulate the packet whose IPv6 header `inner` is at `l2` (0: a device without link header) and send it.
 * `at_ingress`: the packet has not been forwarded by the kernel. What the kernel would answer with an ICMPv6 error is
 * then left to it (NO_VERDICT): it meets us again at the tunnel device's egress. */
static __always_inline int encapsulate(struct __sk_buff *skb, const __u32 l2, const struct settings *settings,
				       const struct ipv6hdr *inner, __u32 number, const int at_ingress)
{
	const __u32 length = skb->len - l2;
	const __u32 packets = packets_of(skb);
	const struct tunnel_row *tunnel = bpf_map_lookup_elem(&tunnels, &number);
	struct head head = {};
	__u32 interface, limit, ports = 0;
	int verdict;

	if (!tunnel || tunnel->encapsulation != ENCAPSULATION_IPV6_IN_IPV6)
		return drop(COUNTER_NO_TUNNEL);
	limit = tunnel->mtu;
	if (at_ingress && (!limit || limit > settings->tunnel_mtu))
		limit = settings->tunnel_mtu;
	if (length > IPV6_PAYLOAD_MAX || (limit && length > limit && segment_length(skb, l2, inner) > limit))
		return at_ingress ? NO_VERDICT : drop(COUNTER_TOO_BIG);
	if (inner->nexthdr == IPPROTO_UDP || inner->nexthdr == IPPROTO_TCP)
		bpf_skb_load_bytes(skb, l2 + sizeof(*inner), &ports, sizeof(ports));
	/* RFC 6040 section 4.1, normal mode: the whole traffic class is copied, congestion experienced included. */
	*(__be32 *)&head.outer = VERSION_6 | (first_word(inner) & TRAFFIC_CLASS) | flow_label(inner, ports);
	head.outer.payload_len = bpf_htons(length);
	head.outer.nexthdr = PROTOCOL_IPV6;
	head.outer.hop_limit = OUTER_HOP_LIMIT;
	__builtin_memcpy(&head.outer.saddr, &tunnel->local, sizeof(head.outer.saddr));
	__builtin_memcpy(&head.outer.daddr, &tunnel->peer, sizeof(head.outer.daddr));
	__builtin_memcpy(head.inner, inner, sizeof(head.inner));
	if (at_ingress)
		head.inner[7]--;
	interface = tunnel->interface;

	/* bpf_redirect_neigh wants a link header to overwrite. */
	if (!l2 && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	if (grow(skb) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, &head, at_ingress ? sizeof(head) : sizeof(head.outer), BPF_F_RECOMPUTE_CSUM))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	verdict = send_outer(skb, &head.outer, interface);
	if (verdict != VERDICT_DROP)
		count_sent(number, packets, length);
	return verdict;
}

#endif
