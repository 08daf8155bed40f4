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
#define TOO_BIG_QUOTED 1200 /* bytes of a packet that the daemon gets to tell its sender */

/* The outer flow label: stateless, from the inner addresses and label, or the ports where the sender sets no label;
 * never 0 (RFC 6437 section 3, RFC 6438 section 3). */
static __always_inline __be32 outer_flow_label(struct __sk_buff *skb, __u32 l2, const struct ipv6hdr *inner)
{
	__u32 ports = 0;

	if (!(first_word(inner) & FLOW_LABEL) && (inner->nexthdr == IPPROTO_UDP || inner->nexthdr == IPPROTO_TCP))
		bpf_skb_load_bytes(skb, l2 + sizeof(*inner), &ports, sizeof(ports));
	return bpf_htonl(flow_hash(inner, ports ^ inner->nexthdr) >> 12 ?: 1);
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

/* What becomes the packet's first bytes: the outer header, and the start of the inner one with its hop limit. */
struct head {
	struct ipv6hdr outer;
	__u8 inner[8];
};

/* The tunnel carries no more than `limit` bytes, less than this packet has, and the kernel, which sends Packet Too Big,
 * does not know. The daemon says it in its place when it is told, at most once a jiffy: it gets the packet as
 * encapsulated, cut, with the MTU of the path as flow label and hop limit 0. The only other punts that start with a
 * tunnel's header are what comes from members, which never has that hop limit (members.h); host/driver.py tells the two
 * apart by it. */
static __always_inline int tell_too_big(struct __sk_buff *skb, const struct settings *settings, struct head *head,
					__u32 limit)
{
	const __u64 now = bpf_jiffies64();
	__u32 zero = 0;
	__u64 *told_at = bpf_map_lookup_elem(&too_big_told_at, &zero);

	count(COUNTER_TOO_BIG);
	if (!told_at || *told_at == now || !settings->punt_interface || !limit)
		return VERDICT_DROP;
	*told_at = now;
	*(__be32 *)&head->outer = VERSION_6 | bpf_htonl((limit + sizeof(head->outer)) & 0xfffff);
	head->outer.payload_len = bpf_htons(TOO_BIG_QUOTED);
	head->outer.hop_limit = 0;
	if (skb->len < TOO_BIG_QUOTED || bpf_skb_change_tail(skb, TOO_BIG_QUOTED, 0) ||
	    bpf_skb_change_head(skb, ETH_HLEN, 0) || grow(skb) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, &head->outer, sizeof(head->outer), BPF_F_RECOMPUTE_CSUM))
		return VERDICT_DROP;
	return bpf_redirect(settings->punt_interface, 0);
}

/* Encapsulate the packet whose IPv6 header `inner` is at `l2` (0: a device without link header) and send it.
 * `at_ingress`: the packet has not been forwarded by the kernel. What the kernel would answer with an ICMPv6 error is
 * then left to it (NO_VERDICT): it meets us again at the tunnel device's egress. */
static __always_inline int encapsulate(struct __sk_buff *skb, const __u32 l2, const struct settings *settings,
				       const struct ipv6hdr *inner, __u32 number, const int at_ingress)
{
	const __u32 length = skb->len - l2;
	const __u32 packets = packets_of(skb);
	const struct tunnel_row *tunnel = bpf_map_lookup_elem(&tunnels, &number);
	const struct route *route;
	struct head head = {};
	__u32 interface, limit;

	if (!tunnel || tunnel->encapsulation != ENCAPSULATION_IPV6_IN_IPV6)
		return drop(COUNTER_NO_TUNNEL);
	limit = tunnel->mtu;
	interface = tunnel->interface;
	/* RFC 6040 section 4.1, normal mode: the whole traffic class is copied, congestion experienced included. */
	*(__be32 *)&head.outer = VERSION_6 | (first_word(inner) & TRAFFIC_CLASS) |
				 (bpf_htonl(tunnel->flow_label) & FLOW_LABEL ?: outer_flow_label(skb, l2, inner));
	head.outer.payload_len = bpf_htons(length);
	head.outer.nexthdr = PROTOCOL_IPV6;
	head.outer.hop_limit = OUTER_HOP_LIMIT;
	__builtin_memcpy(&head.outer.saddr, &tunnel->local, sizeof(head.outer.saddr));
	__builtin_memcpy(&head.outer.daddr, &tunnel->peer, sizeof(head.outer.daddr));
	__builtin_memcpy(head.inner, inner, sizeof(head.inner));
	if (at_ingress)
		head.inner[offsetof(struct ipv6hdr, hop_limit)]--;

	route = find_route(skb, &head.outer);
	/* Bound to an interface: never by another one. It is a rule by source address that makes them agree. */
	if (!route || (interface && route->out_interface != interface))
		return drop(COUNTER_NO_ROUTE);
	if (route->out_interface == settings->tunnel_interface)
		return drop(COUNTER_TUNNEL_LOOP);

	/* At the tunnel device's egress the kernel has sent Packet Too Big already, by the MTU of the inner packet's
	 * route; this catches the rest, as what is to go to a member: no route knows of that tunnel's MTU. */
	if (at_ingress && (!limit || limit > settings->tunnel_mtu))
		limit = settings->tunnel_mtu;
	if (route->mtu && (!limit || limit > route->mtu - sizeof(head.outer)))
		limit = route->mtu - sizeof(head.outer);
	if (length > IPV6_PAYLOAD_MAX || (limit && length > limit && segment_length(skb, l2, inner->nexthdr) > limit))
		return at_ingress ? NO_VERDICT : tell_too_big(skb, settings, &head, limit);

	/* bpf_redirect_neigh wants a link header to overwrite. */
	if (!l2 && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	if (grow(skb) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, &head, at_ingress ? sizeof(head) : sizeof(head.outer),
				BPF_F_RECOMPUTE_CSUM))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	count(COUNTER_ENCAPSULATED);
	count_sent(number, packets, length);
	return send_by(route);
}

#endif
