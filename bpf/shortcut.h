/* SPDX-License-Identifier: GPL-2.0 */
/* From an uplink's ingress to where the packet leaves, past the kernel's own forwarding, for packets that it would do
 * nothing but forward. Everything else (Packet Too Big, Time Exceeded, unreachable, delivery to this host) is left to
 * the kernel. */
#ifndef UNWIRED_SHORTCUT_H
#define UNWIRED_SHORTCUT_H

#include "encapsulate.h"

/* Of the first byte of an IPv6 address, of an IPv4 one's with a zero before: a unicast address that is routed
 * (RFC 4291 section 2.4, RFC 6890 section 2.2.2). */
static __always_inline int is_routed(const struct address *address, __u32 version)
{
	const __u8 *bytes = (const void *)address;

	if (version == 6)
		return bytes[0] && bytes[0] < 0xfe;
	return bytes[12] && bytes[12] != 127 && bytes[12] < 224 && !(bytes[12] == 169 && bytes[13] == 254);
}

/* Whether a router may forward it without a second look (RFC 4291 section 2.5.6, RFC 8200 section 4.3; RFC 1812 sections
 * 5.2.4 and 5.3). Hop limit 255 may be neighbour discovery: a neighbour that asks for a home address whose proxy this host
 * is. A packet that is not as long as it says is cut or dropped by the kernel. */
static __always_inline int is_plain(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	if (at + header->length != skb->len || header->hop_limit <= 1)
		return 0;
	if (header->version == 4) {
		if (header->size != sizeof(struct iphdr))
			return 0; /* options */
	} else if (header->protocol != IPPROTO_TCP && header->protocol != IPPROTO_UDP &&
		   (header->protocol == PROTOCOL_HOP_BY_HOP || header->hop_limit == 255)) {
		return 0;
	}
	return is_routed(&header->source, header->version) && is_routed(&header->destination, header->version);
}

/* On to its destination, when the packet at `at` has come out of a tunnel from a mobile node. NO_VERDICT: the packet is
 * the kernel's. */
__noinline int send_on(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	const struct settings *settings = read_settings();
	const struct route *route;
	__u32 length = skb->len - at;

	if (!header || !settings || !at || !(settings->flags & SETTING_SHORTCUT) || !is_plain(skb, at, header))
		return NO_VERDICT;
	route = find_route(skb, &header->source, &header->destination, header->first_word, skb->ifindex,
			   header->protocol);
	/* A route into the tunnel device is for a home address without binding. */
	if (!route || out_interface_of(route) == settings->tunnel_interface)
		return NO_VERDICT;
	if (!route->mtu || (length > route->mtu && segment_length(skb, at, header) > route->mtu))
		return NO_VERDICT;
	if (decrement_hop_limit(skb, at, header))
		return NO_VERDICT;
	return send_by(route);
}

#endif
