/* SPDX-License-Identifier: GPL-2.0 */
/* Into the tunnel: RFC 2473 section 3.1, RFC 4213 section 3, RFC 2003, RFC 5555 section 4.1. */
#ifndef UNWIRED_ENCAPSULATE_H
#define UNWIRED_ENCAPSULATE_H

#include "clamp.h"
#include "too_big.h"

/* Set on an offloaded packet that came out of one kind of tunnel while the kernel forwards it to the tunnel device. */
#define MARK_WAS_SHIFT 27
#define MARK_WAS (3U << MARK_WAS_SHIFT)

/* The packet has not been forwarded by the kernel. What the kernel would answer with an ICMP error is then left to it
 * (NO_VERDICT): it meets us again at the tunnel device's egress. */
#define AT_INGRESS (1U << 8)
#define VERDICT_TOO_BIG (-3) /* for tell_too_big */
#define WAS(how) ((how) & 0xff) /* the kind of tunnel that it came out of, 0: none that we know */

/* The outer flow label: stateless, from the inner addresses and label, or the ports where the sender sets no label;
 * never 0 (RFC 6437 section 3, RFC 6438 section 3). */
static __always_inline __be32 outer_flow_label(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	const __be32 label = header->first_word & FLOW_LABEL;
	__u32 ports = 0;

	if (!label && !is_fragment(header) && (header->protocol == IPPROTO_UDP || header->protocol == IPPROTO_TCP))
		bpf_skb_load_bytes(skb, at + header->size, &ports, sizeof(ports));
	return bpf_htonl(flow_hash(&header->source, &header->destination, label ^ ports ^ header->protocol) >> 12 ?: 1);
}

/* Write the start of the inner header, decremented, behind the outer ones; its length, or 0. */
static __always_inline __u32 start_inner(struct __sk_buff *skb, __u32 at, const struct ip_header *header, __u8 *inner)
{
	__u32 checksum;

	if (bpf_skb_load_bytes(skb, at, inner, INNER_START_MAX))
		return 0;
	if (header->version == 6) {
		inner[offsetof(struct ipv6hdr, hop_limit)]--;
		return INNER_START_IPV6;
	}
	inner[offsetof(struct iphdr, ttl)]--; /* one less in that word is one more in the checksum (RFC 1624) */
	checksum = inner[10] << 8 | inner[11];
	checksum += 0x100;
	checksum += checksum >= 0xffff;
	inner[10] = checksum >> 8;
	inner[11] = checksum;
	return INNER_START_IPV4;
}

/* The outer headers, and the start of the inner one at ingress, into the room made for them. */
static __always_inline int store_head(struct __sk_buff *skb, __u32 at, const struct head *head, __u32 size)
{
	if (!size || size > sizeof(*head))
		return -1;
	return bpf_skb_store_bytes(skb, at, head, size, BPF_F_RECOMPUTE_CSUM);
}

/* Encapsulate the packet whose header is at `at` (0: a device without link header) in tunnel `number` and send it; `how`
 * is AT_INGRESS and the kind of tunnel that it came out of. Nothing has been done when it returns VERDICT_TOO_BIG, or
 * NO_VERDICT: the kernel is to have it; without AT_INGRESS: it has to be cut into its segments first. */
__noinline int encapsulate(struct __sk_buff *skb, __u32 at, const struct ip_header *header, __u32 number, __u32 how)
{
	const __u32 length = skb->len - at, packets = packets_of(skb);
	const struct settings *settings = read_settings();
	const struct tunnel_row *tunnel = bpf_map_lookup_elem(&tunnels, &number);
	const struct route *route;
	__u32 limit, size, encapsulation, was = WAS(how), in_interface = skb->ifindex;
	struct head head = {};
	__be32 first_word;
	int error;

	if (!settings || !header)
		return VERDICT_DROP;
	if (!tunnel || !tunnel->encapsulation || tunnel->encapsulation > ENCAPSULATION_UDP)
		return drop(COUNTER_NO_TUNNEL);
	encapsulation = tunnel->encapsulation;
	size = overhead_of(encapsulation);
	/* RFC 6040 section 4.1, normal mode: the whole traffic class is copied, congestion experienced included. */
	first_word = VERSION_6 | (header->first_word & TRAFFIC_CLASS);
	if (encapsulation == ENCAPSULATION_IPV6)
		first_word |= bpf_htonl(tunnel->flow_label) & FLOW_LABEL ?: outer_flow_label(skb, at, header);
	if (!(how & AT_INGRESS))
		in_interface = settings->tunnel_interface; /* which forwards, as the lookup wants it */
	route = find_tunnel_route(skb, tunnel, first_word, in_interface);
	/* Bound to an interface: never by another one. It is a rule by source address that makes them agree. */
	if (!route || (tunnel->interface && out_interface_of(route) != tunnel->interface))
		return drop(COUNTER_NO_ROUTE);
	if (out_interface_of(route) == settings->tunnel_interface)
		return drop(COUNTER_TUNNEL_LOOP);

	/* At the tunnel device's egress the kernel has sent Packet Too Big already, by the MTU of the inner packet's
	 * route; this catches the rest, as what is to go to a member: no route knows of that tunnel's MTU. */
	limit = limit_of(tunnel, route);
	if (how & AT_INGRESS)
		limit = at_most_device(settings, limit);
	if (limit && length > limit && segment_length(skb, at, header) > limit)
		return how & AT_INGRESS ? NO_VERDICT : VERDICT_TOO_BIG;
	/* The outer header of an offloaded packet has its length, too. */
	if (length + (encapsulation == ENCAPSULATION_IPV6 ? 0 : size) > IP_LENGTH_MAX)
		return NO_VERDICT;
	if (is_tcp_start(settings, skb, header))
		clamp(skb, at, header, at_most_device(settings, limit));

	write_outer(&head, tunnel, header->version, length, first_word);
	if (how & AT_INGRESS) {
		__u8 *inner = head.ipv6.inner;
		__u32 start;

		if (encapsulation == ENCAPSULATION_IPV4)
			inner = head.ipv4.inner;
		else if (encapsulation == ENCAPSULATION_UDP)
			inner = head.udp.inner;
		start = start_inner(skb, at, header, inner);
		if (!start)
			return drop(COUNTER_MALFORMED);
		size += start;
	}
	if (!was && header->version == 6 && is_tunnel_protocol(header->protocol))
		was = ENCAPSULATION_IPV6; /* a mobile node's tunnel, on its way to a member */
	error = make_room(skb, encapsulation, was);
	if (error == NOT_AGAIN)
		return NO_VERDICT;
	if (error || store_head(skb, at, &head, size))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	/* bpf_redirect_neigh wants a link header to overwrite. */
	if (!at && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	count(COUNTER_ENCAPSULATED);
	count_sent(number, packets, length);
	return send_by(route);
}

#endif
