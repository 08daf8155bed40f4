/* SPDX-License-Identifier: GPL-2.0 */
/* An IP header of either family in one form, so that one piece of code forwards both. */
#ifndef UNWIRED_IP_HEADER_H
#define UNWIRED_IP_HEADER_H

#include <stddef.h>

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "maps.h"

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_ICMPV4 1
#define PROTOCOL_IPV4 4
#define PROTOCOL_IPV6 41
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_MOBILITY 135

#define VERSION_6 bpf_htonl(0x60000000)
#define TRAFFIC_CLASS bpf_htonl(0x0ff00000)
#define FLOW_LABEL bpf_htonl(0x000fffff)

#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff

struct ip_header {
	struct address source;
	struct address destination;
	__be32 first_word; /* as IPv6 has it: version 6, traffic class, flow label; of IPv4 the type of service there */
	__u32 length;      /* of the packet, as its header says */
	__u16 size;        /* of the header, IPv4's options included */
	__u16 fragment;    /* IPv4's flags and offset, host order */
	__u8 version;
	__u8 protocol;
	__u8 hop_limit;
	__u8 unused;
};

static __always_inline int same_address(const struct address *a, const struct address *b)
{
	return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

static __always_inline int is_ipv4(const struct address *address)
{
	return !address->half[0] && address->word[2] == bpf_htonl(0xffff);
}

static __always_inline void set_ipv4(struct address *address, __be32 ipv4)
{
	address->half[0] = 0;
	address->word[2] = bpf_htonl(0xffff);
	address->word[3] = ipv4;
}

static __always_inline __u8 traffic_class_of(const struct ip_header *header)
{
	return bpf_ntohl(header->first_word) >> 20;
}

/* A part of a packet only (IPv4; in IPv6 that is a header of its own). */
static __always_inline int is_fragment(const struct ip_header *header)
{
	return header->fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
}

static __always_inline int is_tunnel_protocol(__u8 protocol)
{
	return protocol == PROTOCOL_IPV6 || protocol == PROTOCOL_IPV4;
}

/* Global functions (__noinline) are checked by the verifier once, whatever calls them: hence the pointer that it takes
 * for possibly null. */

/* The header at offset `at`; other than 0 when there is none. Nothing behind it was looked at. */
__noinline int read_header(struct __sk_buff *skb, __u32 at, struct ip_header *header)
{
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
	} raw;
	const int is_long = !bpf_skb_load_bytes(skb, at, &raw, sizeof(raw));

	if (!header || (!is_long && bpf_skb_load_bytes(skb, at, &raw, sizeof(raw.ipv4))))
		return -1;
	header->version = raw.ipv4.version;
	if (header->version == 6) {
		if (!is_long)
			return -1;
		__builtin_memcpy(&header->source, &raw.ipv6.saddr, sizeof(header->source));
		__builtin_memcpy(&header->destination, &raw.ipv6.daddr, sizeof(header->destination));
		__builtin_memcpy(&header->first_word, &raw.ipv6, sizeof(header->first_word));
		header->length = sizeof(raw.ipv6) + bpf_ntohs(raw.ipv6.payload_len);
		header->size = sizeof(raw.ipv6);
		header->fragment = 0;
		header->protocol = raw.ipv6.nexthdr;
		header->hop_limit = raw.ipv6.hop_limit;
		/* Never on the wire (RFC 6890 section 2.2.3); in the rows it would pass for IPv4. */
		return is_ipv4(&header->source) || is_ipv4(&header->destination) ? -1 : 0;
	}
	if (header->version != 4)
		return -1;
	set_ipv4(&header->source, raw.ipv4.saddr);
	set_ipv4(&header->destination, raw.ipv4.daddr);
	header->first_word = VERSION_6 | bpf_htonl(raw.ipv4.tos << 20);
	header->length = bpf_ntohs(raw.ipv4.tot_len);
	header->size = raw.ipv4.ihl * 4;
	header->fragment = bpf_ntohs(raw.ipv4.frag_off);
	header->protocol = raw.ipv4.protocol;
	header->hop_limit = raw.ipv4.ttl;
	return header->size < sizeof(raw.ipv4) || header->length < header->size;
}

/* Decrement the hop limit of the header at `at`, which is not 0, and correct IPv4's checksum (RFC 1624). */
static __always_inline int decrement_hop_limit(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	const __u8 hop_limit = header->hop_limit - 1;
	const __be16 before = bpf_htons(header->hop_limit << 8 | header->protocol);
	const __be16 after = bpf_htons(hop_limit << 8 | header->protocol);

	if (header->version == 6)
		return bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1,
					   BPF_F_RECOMPUTE_CSUM);
	return bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), before, after, sizeof(after)) ||
	       bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, ttl), &hop_limit, 1, 0);
}

#endif
