/* SPDX-License-Identifier: GPL-2.0 */
/* The home agents of a set: each has every binding, one of them is a binding's primary and has its traffic from the
 * others, in tunnels between their locators. What came in such a tunnel is delivered or dropped, and never goes into
 * another one: so whatever members believe of each other, no packet goes round. */
#ifndef UNWIRED_MEMBERS_H
#define UNWIRED_MEMBERS_H

#include "decapsulate.h"
#include "lookup.h"
#include "punt.h"

/* Set on a packet that came from a member while the kernel forwards it to the tunnel device. */
#define MARK_FROM_MEMBER (1U << 29)

/* Whether a packet to an address of ours, with its header at `at`, is control: by itself, or in a tunnel in IPv4, where
 * whoever opens it has to know by which mapping it came. */
static __always_inline int is_for_daemon(struct __sk_buff *skb, __u32 at, const struct ip_header *header)
{
	struct content content = {};
	struct ip_header inner = {};

	if (!may_be_ours(header) || !is_ours(&header->destination))
		return 0;
	look_into(skb, at, header, &content);
	if (content.kind == CONTENT_CONTROL)
		return 1;
	return content.kind == CONTENT_TUNNEL && header->version == 4 &&
	       !read_inner(skb, at, header, &content, &inner) && leads_to_control(skb, content.at, &inner) &&
	       is_ours(&inner.destination);
}

/* What to do with a packet in a tunnel to our locator; `outer` is at `at`. A control packet inside for us goes to the daemon
 * with its outer header, which says by which member it came. NO_VERDICT: it is to be opened, `inner` is the header inside,
 * and `tunnel` gets the tunnel's number. */
__noinline int look_from_member(struct __sk_buff *skb, __u32 at, const struct ip_header *outer, struct ip_header *inner,
				__u32 *tunnel)
{
	const struct settings *settings = read_settings();
	const struct member_address_row *from;
	struct content content = {};

	if (!settings || !outer || !inner || !tunnel)
		return VERDICT_DROP;
	from = find_member_address(settings, MEMBER_LOCATOR, &outer->source);
	/* Members put nothing between their header and the packet. */
	if (!from || outer->version != 6 || !is_tunnel_protocol(outer->protocol))
		return drop(COUNTER_NOT_A_MEMBER);
	content.at = at + outer->size;
	content.version = outer->protocol == PROTOCOL_IPV4 ? 4 : 6;
	if (read_inner(skb, at, outer, &content, inner))
		return drop(COUNTER_MALFORMED);
	if (is_for_daemon(skb, content.at, inner))
		return punt_control(settings);
	*tunnel = from->tunnel;
	return NO_VERDICT;
}

#endif
