/* SPDX-License-Identifier: GPL-2.0 */
/* The home agents of a set: each has every binding, one of them is a binding's primary and has its traffic from the
 * others, in tunnels between their locators. What came in such a tunnel is delivered or dropped, and never goes into
 * another one: so whatever members believe of each other, no packet goes round. */
#ifndef UNWIRED_MEMBERS_H
#define UNWIRED_MEMBERS_H

#include "decapsulate.h"
#include "punt.h"

/* Set on a packet that came from a member while the kernel forwards it to the tunnel device. */
#define MARK_FROM_MEMBER (1U << 29)

/* Whose an address is. */
enum owner {
	OWNER_OTHER,
	OWNER_SELF,
	OWNER_SELF_FOR_MEMBERS, /* our locator */
	OWNER_MEMBER,           /* another home agent, which is up; one that is not is us */
};

static __always_inline const struct member_row *find_member(const struct settings *settings, __u32 number)
{
	const struct member_key key = { .plane = settings->plane, .number = number };

	return bpf_map_lookup_elem(&members, &key);
}

static __always_inline const struct member_address_row *find_member_address(const struct settings *settings,
									    enum member_address_kind kind,
									    const struct in6_addr *address)
{
	struct member_address_key key = { .plane = settings->plane, .kind = kind };

	__builtin_memcpy(&key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&member_addresses, &key);
}

/* Whose `address` is, as home agent; of a live member `tunnel` gets the tunnel to it. */
static __always_inline enum owner find_member_owner(const struct settings *settings, const struct in6_addr *address,
						    __u32 *tunnel)
{
	const struct member_address_row *found;
	const struct member_row *member;

	if (!(settings->flags & SETTING_MEMBERS))
		return OWNER_OTHER;
	found = find_member_address(settings, MEMBER_HOME_AGENT_ADDRESS, address);
	if (!found)
		return OWNER_OTHER;
	member = find_member(settings, found->member);
	if (!member)
		return OWNER_OTHER;
	if (!member->up)
		return OWNER_SELF;
	*tunnel = member->tunnel;
	return OWNER_MEMBER;
}

static __always_inline enum owner find_owner(const struct settings *settings, const struct in6_addr *address,
					     __u32 *tunnel)
{
	struct listen_key key = { .plane = settings->plane };
	const struct listen_row *listen;

	__builtin_memcpy(&key.address, address, sizeof(key.address));
	listen = bpf_map_lookup_elem(&listens, &key);
	if (!listen)
		return find_member_owner(settings, address, tunnel);
	return listen->flags & LISTEN_TO_MEMBERS ? OWNER_SELF_FOR_MEMBERS : OWNER_SELF;
}

static __always_inline int is_ours(const struct settings *settings, const struct in6_addr *address)
{
	__u32 tunnel;
	const enum owner owner = find_owner(settings, address, &tunnel);

	return owner == OWNER_SELF || owner == OWNER_SELF_FOR_MEMBERS;
}

static __always_inline const struct forward_row *find_forward(const struct settings *settings,
							      enum direction direction,
							      const struct in6_addr *address)
{
	struct forward_key key = { .plane = settings->plane, .direction = direction };

	if (!(settings->flags & SETTING_FORWARDS(direction)))
		return 0;
	__builtin_memcpy(&key.address, address, sizeof(key.address));
	return bpf_map_lookup_elem(&forwards, &key);
}

/* The tunnel for what goes to a home address: to the binding's primary while that is up, else to the mobile node;
 * 0 when the address has no row. */
static __always_inline __u32 tunnel_to(const struct settings *settings, const struct in6_addr *home_address,
				       int from_member)
{
	const struct forward_row *forward = find_forward(settings, TO_HOME_ADDRESS, home_address);
	const struct member_row *member;

	if (!forward)
		return 0;
	if (forward->member && !from_member) {
		member = find_member(settings, forward->member);
		if (member && member->up)
			return member->tunnel;
	}
	return forward->tunnel;
}

/* Out of a member's tunnel: `outer` ends at our locator. A control packet inside for us goes to the daemon with its
 * outer header, which says by which member it came. NO_VERDICT: opened, and `inner` is the packet's header. */
static __always_inline int open_from_member(struct __sk_buff *skb, const __u32 l2, const struct settings *settings,
					    const struct ipv6hdr *outer, struct ipv6hdr *inner)
{
	const __u32 length = sizeof(*outer), at = l2 + length;
	const struct member_address_row *from = find_member_address(settings, MEMBER_LOCATOR, &outer->saddr);

	/* Members put nothing between their header and the packet. */
	if (!from || outer->nexthdr != PROTOCOL_IPV6)
		return drop(COUNTER_NOT_A_MEMBER);
	/* Hop limit 0 is how tell_too_big marks its packets. */
	if (!outer->hop_limit || bpf_skb_load_bytes(skb, at, inner, sizeof(*inner)) || inner->version != 6)
		return drop(COUNTER_MALFORMED);
	if (may_be_control(inner->nexthdr) && is_ours(settings, &inner->daddr) &&
	    is_control(skb, at, walk_headers(skb, at + sizeof(*inner), inner->nexthdr)))
		return punt(settings);
	return take_off(skb, l2, outer, length, inner, from->tunnel) ? VERDICT_DROP : NO_VERDICT;
}

#endif
