/* SPDX-License-Identifier: GPL-2.0 */
/* From an uplink's ingress to where the packet leaves, past the kernel's own forwarding, for packets that it would do
 * nothing but forward. Everything else (Packet Too Big, Time Exceeded, unreachable, delivery to this host) is left to
 * the kernel. */
#ifndef UNWIRED_SHORTCUT_H
#define UNWIRED_SHORTCUT_H

#include "encapsulate.h"
#include "parse.h"
#include "route.h"

/* Whether a router may forward it without a second look (RFC 4291 section 2.5.6, RFC 8200 section 4.3). Hop limit 255
 * may be neighbour discovery: a neighbour that asks for a home address whose proxy this host is. A packet that is not
 * as long as it says is cut or dropped by the kernel. */
static __always_inline int is_plain(struct __sk_buff *skb, __u32 l2, const struct ipv6hdr *header)
{
	const __u8 *source = header->saddr.s6_addr, *destination = header->daddr.s6_addr;

	if (header->version != 6 || l2 + sizeof(*header) + bpf_ntohs(header->payload_len) != skb->len)
		return 0;
	if (header->nexthdr != IPPROTO_TCP && header->nexthdr != IPPROTO_UDP &&
	    (header->nexthdr == PROTOCOL_HOP_BY_HOP || header->hop_limit == 255))
		return 0;
	return header->hop_limit > 1 && source[0] && source[0] < 0xfe && destination[0] && destination[0] < 0xfe;
}

/* Into tunnel `number`. NO_VERDICT: the packet at `l2` is the kernel's. */
static __always_inline int shortcut_into_tunnel(struct __sk_buff *skb, const __u32 l2, const struct settings *settings,
						const struct ipv6hdr *header, __u32 number)
{
	if (!(settings->flags & SETTING_SHORTCUT) || !is_plain(skb, l2, header))
		return NO_VERDICT;
	return encapsulate(skb, l2, settings, header, number, 1);
}

/* On to its destination, when the packet at `l2` has come out of a tunnel from a mobile node. */
static __always_inline int shortcut_out_of_tunnel(struct __sk_buff *skb, const __u32 l2,
						  const struct settings *settings, const struct ipv6hdr *header)
{
	const struct route *route;
	__u32 length;
	__u8 hop_limit = header->hop_limit - 1;

	if (!l2 || !(settings->flags & SETTING_SHORTCUT) || !is_plain(skb, l2, header))
		return NO_VERDICT;
	route = find_route(skb, header);
	/* A route into the tunnel device is for a home address without binding. */
	if (!route || route->out_interface == settings->tunnel_interface)
		return NO_VERDICT;
	length = skb->len - l2;
	if (length > IPV6_PAYLOAD_MAX || !route->mtu ||
	    (length > route->mtu && segment_length(skb, l2, header->nexthdr) > route->mtu))
		return NO_VERDICT;
	if (bpf_skb_store_bytes(skb, l2 + offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1, BPF_F_RECOMPUTE_CSUM))
		return NO_VERDICT;
	return send_by(route);
}

#endif
