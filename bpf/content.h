/* SPDX-License-Identifier: GPL-2.0 */
/* What stands behind an IP header at an address of ours: control, which goes to the daemon before a stack without mobility
 * support answers a Home Address option or a type 2 routing header with an error; or a tunnel. */
#ifndef UNWIRED_CONTENT_H
#define UNWIRED_CONTENT_H

#include "parse.h"

#define TUNNEL_PORT bpf_htons(4191) /* RFC 5555 section 2.3.2.2 */

#define MESSAGE_MIN 8 /* bytes, of a mobility header as of the ICMP messages below */
#define ICMPV6_DESTINATION_UNREACHABLE 1
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_HOME_AGENT_DISCOVERY_REQUEST 144
#define ICMPV6_MOBILE_PREFIX_ADVERTISEMENT 147
#define ICMPV4_DESTINATION_UNREACHABLE 3
#define ICMPV4_TIME_EXCEEDED 11
#define ICMPV4_PARAMETER_PROBLEM 12
#define ECHO_IDENTIFIER TUNNEL_PORT /* of the echo requests by which the daemon probes a tunnel */

enum content_kind {
	CONTENT_OTHER, /* the stack's */
	CONTENT_CONTROL,
	CONTENT_TUNNEL,
	CONTENT_NAT_PROBE,
	CONTENT_FRAGMENT,
	CONTENT_MALFORMED,
};

struct content {
	__u32 kind;
	__u32 at;          /* where a tunnel's inner packet begins */
	__u16 version;     /* that packet's, as what is before it says */
	__be16 source_port; /* of a tunnel in UDP, else 0 */
};

/* Whether anything that is ours can stand behind a header with this protocol. */
static __always_inline int may_be_ours(const struct ip_header *header)
{
	if (is_tunnel_protocol(header->protocol))
		return 1;
	if (header->version == 6)
		return may_be_control(header->protocol);
	return header->protocol == IPPROTO_UDP || header->protocol == PROTOCOL_ICMPV4;
}

/* Whether the ICMPv6 message at `at` is the daemon's: discovery (RFC 6275 sections 6.5 to 6.8), an answer to its own echo
 * request, or an error that quotes a packet of a tunnel or of the mobility protocol sent by this packet's destination
 * (RFC 2473 section 8). */
__noinline int icmpv6_is_control(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	struct {
		__u8 type;
		__u8 code;
		__u16 checksum;
		__be16 identifier;
		__be16 sequence;
	} message;
	struct ip_header quoted = {};
	__u32 walk;

	if (!header || bpf_skb_load_bytes(skb, at, &message, sizeof(message)))
		return 0;
	if (message.type >= ICMPV6_HOME_AGENT_DISCOVERY_REQUEST && message.type <= ICMPV6_MOBILE_PREFIX_ADVERTISEMENT)
		return 1;
	if (message.type == ICMPV6_ECHO_REPLY)
		return message.identifier == ECHO_IDENTIFIER;
	if (message.type < ICMPV6_DESTINATION_UNREACHABLE || message.type > ICMPV6_PARAMETER_PROBLEM)
		return 0;
	at += sizeof(message);
	if (read_header(skb, at, &quoted) || quoted.version != 6 || !same_address(&quoted.source, &header->destination))
		return 0;
	walk = walk_headers(skb, at + quoted.size, quoted.protocol);
	return walk & WALK_MOBILE || is_tunnel_protocol(WALK_PROTOCOL(walk)) ||
	       WALK_PROTOCOL(walk) == PROTOCOL_MOBILITY;
}

/* Whether the ICMPv4 message at `at` is an error about a tunnel packet sent by this packet's destination. */
static __always_inline int icmpv4_is_control(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	struct ip_header quoted = {};
	__be16 source_port;
	__u8 type;

	if (bpf_skb_load_bytes(skb, at, &type, sizeof(type)))
		return 0;
	if (type != ICMPV4_DESTINATION_UNREACHABLE && type != ICMPV4_TIME_EXCEEDED && type != ICMPV4_PARAMETER_PROBLEM)
		return 0;
	at += MESSAGE_MIN;
	if (read_header(skb, at, &quoted) || quoted.version != 4 || !same_address(&quoted.source, &header->destination))
		return 0;
	if (is_tunnel_protocol(quoted.protocol))
		return 1;
	return quoted.protocol == IPPROTO_UDP &&
	       !bpf_skb_load_bytes(skb, at + quoted.size, &source_port, sizeof(source_port)) &&
	       source_port == TUNNEL_PORT;
}

/* Whether what an IPv6 header at an address of ours leads to, as walked, is the daemon's. */
static __always_inline int is_control(struct __sk_buff *skb, const struct ip_header *header, __u32 walk)
{
	if (walk & WALK_FRAGMENT)
		return 0;
	if (walk & WALK_MOBILE)
		return 1;
	if (walk & WALK_CUT || WALK_OFFSET(walk) + MESSAGE_MIN > skb->len)
		return 0;
	if (WALK_PROTOCOL(walk) == PROTOCOL_ICMPV6)
		return icmpv6_is_control(skb, WALK_OFFSET(walk), header);
	return WALK_PROTOCOL(walk) == PROTOCOL_MOBILITY;
}

__noinline int walk_to_control(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	return header ? is_control(skb, header, walk_headers(skb, at + header->size, header->protocol)) : 0;
}

/* The same for the packet whose header is at `at`. */
static __always_inline int leads_to_control(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	return header->version == 6 && may_be_control(header->protocol) && walk_to_control(skb, at, header);
}

static __always_inline void look_into_ipv6(struct __sk_buff *skb, __u32 at, const struct ip_header *header,
					   struct content *content)
{
	const __u32 walk = walk_headers(skb, at + header->size, header->protocol);

	if (walk & WALK_FRAGMENT) {
		content->kind = CONTENT_FRAGMENT;
	} else if (is_control(skb, header, walk)) {
		content->kind = CONTENT_CONTROL;
	} else if (!(walk & WALK_CUT) && is_tunnel_protocol(WALK_PROTOCOL(walk))) {
		content->kind = CONTENT_TUNNEL;
		content->at = WALK_OFFSET(walk);
		content->version = WALK_PROTOCOL(walk) == PROTOCOL_IPV4 ? 4 : 6;
	}
}

/* A datagram to our port: the version field tells what it carries (RFC 5555 section 4.1). The checksum is not looked at: a
 * sender may leave it out, and what is inside has its own. */
static __always_inline void look_into_udp(struct __sk_buff *skb, __u32 at, const struct ip_header *header,
					  struct content *content)
{
	struct udphdr udp;
	__u32 length;
	__u8 first;

	if (bpf_skb_load_bytes(skb, at, &udp, sizeof(udp)) || udp.dest != TUNNEL_PORT)
		return;
	length = bpf_ntohs(udp.len);
	content->kind = CONTENT_MALFORMED;
	if (length <= sizeof(udp) || length > header->length - header->size ||
	    bpf_skb_load_bytes(skb, at + sizeof(udp), &first, sizeof(first)))
		return;
	content->at = at + sizeof(udp);
	content->version = first >> 4;
	content->source_port = udp.source;
	content->kind = content->version == 6 || content->version == 4 ? CONTENT_TUNNEL : CONTENT_NAT_PROBE;
}

static __always_inline void look_into_ipv4(struct __sk_buff *skb, __u32 at, const struct ip_header *header,
					   struct content *content)
{
	const __u32 offset = at + header->size;

	if (is_fragment(header)) {
		content->kind = CONTENT_FRAGMENT;
	} else if (header->protocol == IPPROTO_UDP) {
		look_into_udp(skb, offset, header, content);
	} else if (header->protocol == PROTOCOL_ICMPV4 && icmpv4_is_control(skb, offset, header)) {
		content->kind = CONTENT_CONTROL;
	}
}

__noinline int look_behind(struct __sk_buff *skb, __u32 at, const struct ip_header *header, struct content *content)
{
	if (!header || !content)
		return -1;
	if (header->version == 6)
		look_into_ipv6(skb, at, header, content);
	else
		look_into_ipv4(skb, at, header, content);
	return 0;
}

/* Fills `content` with what is behind the header at `at`, of a packet to an address of ours. */
static __always_inline void look_into(struct __sk_buff *skb, __u32 at, const struct ip_header *header,
				      struct content *content)
{
	__builtin_memset(content, 0, sizeof(*content));
	if (is_tunnel_protocol(header->protocol) && !is_fragment(header)) {
		content->kind = CONTENT_TUNNEL;
		content->at = at + header->size;
		content->version = header->protocol == PROTOCOL_IPV4 ? 4 : 6;
	} else {
		look_behind(skb, at, header, content);
	}
}

/* The header of the packet in the tunnel that is `content`; other than 0 when there is none, or when it is longer than
 * what it is in. */
static __always_inline int read_inner(struct __sk_buff *skb, __u32 at, const struct ip_header *outer,
				      const struct content *content, struct ip_header *inner)
{
	return read_header(skb, content->at, inner) || inner->version != content->version ||
	       content->at + inner->length > at + outer->length;
}

#endif
