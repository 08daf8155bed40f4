/* SPDX-License-Identifier: GPL-2.0 */
/* From an IPv6 header along its extension headers (RFC 8200 section 4.1), with no trust in any length. */
#ifndef UNWIRED_PARSE_H
#define UNWIRED_PARSE_H

#include "ip_header.h"

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

/* Whether a next header value can lead to anything that the daemon wants to see. */
static __always_inline int may_be_control(__u8 next_header)
{
	return next_header == PROTOCOL_MOBILITY || next_header == PROTOCOL_ICMPV6 ||
	       next_header == PROTOCOL_DESTINATION_OPTIONS || next_header == PROTOCOL_ROUTING ||
	       next_header == PROTOCOL_HOP_BY_HOP;
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

#endif
