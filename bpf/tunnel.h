/* SPDX-License-Identifier: GPL-2.0 */
/* A tunnel's outer header, its way, and how much it carries. */
#ifndef UNWIRED_TUNNEL_H
#define UNWIRED_TUNNEL_H

#include "room.h"
#include "route.h"

#define OUTER_HOP_LIMIT 64
#define IP_LENGTH_MAX 65535

/* Enough of the inner header to have its hop limit, and IPv4's checksum, rewritten in the same go. */
#define INNER_START_IPV6 8
#define INNER_START_IPV4 12
#define INNER_START_MAX INNER_START_IPV4

/* What becomes the packet's first bytes. */
struct head {
	union {
		struct {
			struct ipv6hdr header;
			__u8 inner[INNER_START_MAX];
		} ipv6;
		struct {
			struct iphdr header;
			__u8 inner[INNER_START_MAX];
		} ipv4;
		struct {
			struct iphdr header;
			struct udphdr udp;
			__u8 inner[INNER_START_MAX];
		} udp;
	};
};

static __always_inline void write_checksum(struct iphdr *header)
{
	const __u16 *words = (const void *)header;
	__u32 sum = 0;

	header->check = 0;
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	header->check = ~((sum & 0xffff) + (sum >> 16));
}

/* The outer headers for `length` bytes of inner packet. `first_word` has traffic class and flow label. */
static __always_inline void write_outer(struct head *head, const struct tunnel_row *tunnel, __u32 version, __u32 length,
					__be32 first_word)
{
	const __u8 protocol = version == 4 ? PROTOCOL_IPV4 : PROTOCOL_IPV6;
	struct iphdr *ipv4 = &head->ipv4.header;
	struct udphdr *udp = &head->udp.udp;

	if (tunnel->encapsulation == ENCAPSULATION_IPV6) {
		*(__be32 *)&head->ipv6.header = first_word;
		head->ipv6.header.payload_len = bpf_htons(length);
		head->ipv6.header.nexthdr = protocol;
		head->ipv6.header.hop_limit = OUTER_HOP_LIMIT;
		__builtin_memcpy(&head->ipv6.header.saddr, &tunnel->local, sizeof(head->ipv6.header.saddr));
		__builtin_memcpy(&head->ipv6.header.daddr, &tunnel->peer, sizeof(head->ipv6.header.daddr));
		return;
	}
	/* Never fragmented on the way, so the identification means nothing (RFC 6864 section 4.1). */
	ipv4->version = 4;
	ipv4->ihl = sizeof(*ipv4) / 4;
	ipv4->tos = bpf_ntohl(first_word) >> 20;
	ipv4->tot_len = bpf_htons(length + overhead_of(tunnel->encapsulation));
	ipv4->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ipv4->ttl = OUTER_HOP_LIMIT;
	ipv4->protocol = protocol;
	ipv4->saddr = tunnel->local.word[3];
	ipv4->daddr = tunnel->peer.word[3];
	if (tunnel->encapsulation == ENCAPSULATION_UDP) {
		ipv4->protocol = IPPROTO_UDP;
		udp->source = tunnel->local_port;
		udp->dest = tunnel->peer_port;
		udp->len = bpf_htons(length + sizeof(*udp)); /* and no checksum: what is inside has its own */
	}
	write_checksum(ipv4);
}

static __always_inline const struct route *find_tunnel_route(struct __sk_buff *skb, const struct tunnel_row *tunnel,
							     __be32 first_word, __u32 in_interface)
{
	return find_route(skb, &tunnel->local, &tunnel->peer, first_word, in_interface,
			  tunnel->encapsulation == ENCAPSULATION_UDP ? IPPROTO_UDP : PROTOCOL_IPV6);
}

/* The largest inner packet: the less of what the tunnel's row and the outgoing link say; 0: neither says. */
static __always_inline __u32 limit_of(const struct tunnel_row *tunnel, const struct route *route)
{
	const __u32 overhead = overhead_of(tunnel->encapsulation);
	__u32 limit = tunnel->mtu;

	if (route && route->mtu > overhead && (!limit || limit > route->mtu - overhead))
		limit = route->mtu - overhead;
	return limit;
}

/* Less than that, if it is more than what the kernel takes for granted. */
static __always_inline __u32 at_most_device(const struct settings *settings, __u32 limit)
{
	return limit && limit < settings->tunnel_mtu ? limit : settings->tunnel_mtu;
}

/* The largest inner packet of a tunnel that a packet has come out of. */
__noinline int limit_of_number(struct __sk_buff *skb, __u32 number)
{
	const struct settings *settings = read_settings();
	const struct tunnel_row *tunnel = bpf_map_lookup_elem(&tunnels, &number);

	if (!settings || !tunnel)
		return 0;
	/* As of what comes from the tunnel device: that one forwards. */
	return at_most_device(settings, limit_of(tunnel, find_tunnel_route(skb, tunnel, VERSION_6,
									   settings->tunnel_interface)));
}

#endif
