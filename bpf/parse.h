/* SPDX-License-Identifier: GPL-2.0 */
/* From an IPv6 header along its extension headers (RFC 8200 section 4.1), with no trust in any length. */
#ifndef UNWIRED_PARSE_H
#define UNWIRED_PARSE_H

#include <stddef.h>

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "maps.h"

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_IPV6 41
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_MOBILITY 135

#define OPTION_PAD1 0
#define OPTION_HOME_ADDRESS 0xc9 /* RFC 6275 section 6.3 */
#define ROUTING_TYPE_2 2         /* RFC 6275 section 6.4 */

#define HEADERS_MAX 6  /* a chain that is longer is the kernel's */
#define OPTIONS_MAX 16 /* per destination options header; RFC 8504 section 5.3 lets receivers stop at 8 */

/* What walk_headers found, packed into one number because a global function returns nothing wider. */
#define WALK_PROTOCOL(walk) ((walk) & 0xff)
#define WALK_OFFSET(walk) ((walk) >> 16)
#define WALK_MOBILE (1 << 8)   /* a Home Address option or a type 2 routing header on the way */
#define WALK_FRAGMENT (1 << 9) /* a fragment header: nothing behind it was looked at */
#define WALK_CUT (1 << 10)     /* the packet ends inside a header, or the chain is too long or leads elsewhere */

struct extension_header {
	__u8 next_header;
	__u8 length; /* in 8 bytes, without the first 8 */
	__u8 type;   /* of a routing header */
	__u8 segments_left;
};

#define VERSION_6 bpf_htonl(0x60000000)
#define TRAFFIC_CLASS bpf_htonl(0x0ff00000)
#define FLOW_LABEL bpf_htonl(0x000fffff)

/* The first 32 bits of an IPv6 header: version, traffic class, flow label. */
static __always_inline __be32 first_word(const struct ipv6hdr *header)
{
	return *(const __be32 *)header;
}

static __always_inline int same_address(const struct address *a, const struct address *b)
{
	return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

/* Whether a next header value can lead to anything that the daemon wants to see. */
static __always_inline int may_be_control(__u8 next_header)
{
	return next_header == PROTOCOL_MOBILITY || next_header == PROTOCOL_ICMPV6 ||
	       next_header == PROTOCOL_DESTINATION_OPTIONS || next_header == PROTOCOL_ROUTING ||
	       next_header == PROTOCOL_HOP_BY_HOP;
}

/* Global functions below: the verifier checks each once, whatever calls it. */

/* The length of one packet on the wire: of each segment when this one is to be segmented. `protocol` is the next header
 * of the IPv6 header at `l2`. */
__noinline int segment_length(struct __sk_buff *skb, __u32 l2, __u32 protocol)
{
	__u32 headers = sizeof(struct ipv6hdr);
	__u8 inner_protocol, data_offset;

	if (!skb->gso_size)
		return skb->len - l2;
	if (protocol == PROTOCOL_IPV6) { /* a mobile node's tunnel, on its way to a member */
		if (bpf_skb_load_bytes(skb, l2 + headers + offsetof(struct ipv6hdr, nexthdr), &inner_protocol, 1))
			return skb->len - l2;
		protocol = inner_protocol;
		headers += sizeof(struct ipv6hdr);
	}
	if (protocol == IPPROTO_UDP)
		headers += sizeof(struct udphdr);
	else if (protocol == IPPROTO_TCP && !bpf_skb_load_bytes(skb, l2 + headers + 12, &data_offset, 1))
		headers += (data_offset >> 4) * 4;
	return headers + skb->gso_size;
}

__noinline int has_home_address_option(struct __sk_buff *skb, __u32 offset, __u32 end)
{
	struct {
		__u8 type;
		__u8 length;
	} option;

	for (int i = 0; i < OPTIONS_MAX && offset < end; i++) {
		if (bpf_skb_load_bytes(skb, offset, &option, sizeof(option)))
			return 0;
		if (option.type == OPTION_HOME_ADDRESS)
			return 1;
		offset += option.type == OPTION_PAD1 ? 1 : 2 + (__u32)option.length;
	}
	return 0;
}

__noinline int walk_headers(struct __sk_buff *skb, __u32 offset, __u32 next_header)
{
	struct extension_header header;
	__u32 length, found = 0;

	for (int i = 0; i < HEADERS_MAX; i++) {
		if (next_header == PROTOCOL_FRAGMENT)
			return found | WALK_FRAGMENT | next_header | offset << 16;
		if (next_header != PROTOCOL_HOP_BY_HOP && next_header != PROTOCOL_DESTINATION_OPTIONS &&
		    next_header != PROTOCOL_ROUTING)
			return found | (next_header & 0xff) | offset << 16;
		if (bpf_skb_load_bytes(skb, offset, &header, sizeof(header)))
			break;
		length = 8 + 8 * (__u32)header.length;
		if (next_header == PROTOCOL_ROUTING && header.type == ROUTING_TYPE_2)
			found |= WALK_MOBILE;
		else if (next_header == PROTOCOL_ROUTING && header.segments_left)
			break; /* not at its destination yet (RFC 8200 section 4.4): the kernel's */
		if (next_header == PROTOCOL_DESTINATION_OPTIONS &&
		    has_home_address_option(skb, offset + 2, offset + length))
			found |= WALK_MOBILE;
		next_header = header.next_header;
		offset += length;
	}
	return found | WALK_CUT;
}

/* The same for any packet, at no cost for one that has no headers to walk along. */
static __always_inline __u32 walk_from(struct __sk_buff *skb, __u32 offset, __u8 next_header)
{
	return may_be_control(next_header) ? walk_headers(skb, offset, next_header) : next_header | offset << 16;
}

static __always_inline int leads_to_tunnel(__u32 walk)
{
	return !(walk & (WALK_CUT | WALK_FRAGMENT)) && WALK_PROTOCOL(walk) == PROTOCOL_IPV6;
}

#endif
