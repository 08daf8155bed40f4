/* SPDX-License-Identifier: GPL-2.0 */
/* What the rows say of an address: whose it is, where it leads, where it may come from. */
#ifndef UNWIRED_LOOKUP_H
#define UNWIRED_LOOKUP_H

#include "ip_header.h"

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
									    const struct address *address)
{
	const struct member_address_key key = { .plane = settings->plane, .kind = kind, .address = *address };

	return bpf_map_lookup_elem(&member_addresses, &key);
}

/* Whose `address` is, as home agent; of a live member `tunnel` gets the tunnel to it. */
static __always_inline enum owner find_member_owner(const struct settings *settings, const struct address *address,
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

/* Whose `address` is: an enum owner; of a live member `tunnel` gets the tunnel to it. */
__noinline int find_owner(const struct address *address, __u32 *tunnel)
{
	const struct settings *settings = read_settings();
	struct listen_key key = {};
	const struct listen_row *listen;

	if (!settings || !address || !tunnel)
		return OWNER_OTHER;
	key.plane = settings->plane;
	key.address = *address;
	listen = bpf_map_lookup_elem(&listens, &key);
	if (!listen)
		return find_member_owner(settings, address, tunnel);
	return listen->flags & LISTEN_TO_MEMBERS ? OWNER_SELF_FOR_MEMBERS : OWNER_SELF;
}

static __always_inline int is_ours(const struct address *address)
{
	__u32 tunnel = 0;
	const int owner = find_owner(address, &tunnel);

	return owner == OWNER_SELF || owner == OWNER_SELF_FOR_MEMBERS;
}

/* The home address whose mobile prefix an address is in, else 0. */
static __always_inline const struct address *find_mobile_prefix(const struct settings *settings,
								const struct address *address)
{
	const struct mobile_prefix_key key = {
		.length = 32 + 128, .plane = settings->plane, .prefix = *address,
	};
	const struct mobile_prefix_row *row;

	if (!(settings->flags & SETTING_MOBILE_PREFIXES))
		return 0;
	row = bpf_map_lookup_elem(&mobile_prefixes, &key);
	return row ? &row->home_address : 0;
}

static __always_inline const struct forward_row *find_forward(const struct settings *settings,
							      enum direction direction, const struct address *address)
{
	struct forward_key key = { .plane = settings->plane, .direction = direction, .address = *address };
	const struct address *home_address;
	const struct forward_row *row;

	if (!(settings->flags & SETTING_FORWARDS(direction)))
		return 0;
	row = bpf_map_lookup_elem(&forwards, &key);
	if (row)
		return row;
	home_address = find_mobile_prefix(settings, address);
	if (!home_address)
		return 0;
	key.address = *home_address;
	return bpf_map_lookup_elem(&forwards, &key);
}

/* The tunnel for what goes to a home address: to the binding's primary while that is up, else to the mobile node;
 * 0 when the address has no row. */
__noinline __u32 find_tunnel_to(const struct address *home_address, __u32 from_member)
{
	const struct settings *settings = read_settings();
	const struct forward_row *forward;
	const struct member_row *member;

	if (!settings || !home_address)
		return 0;
	forward = find_forward(settings, TO_HOME_ADDRESS, home_address);
	if (!forward)
		return 0;
	if (forward->member && !from_member) {
		member = find_member(settings, forward->member);
		if (member && member->up)
			return member->tunnel;
	}
	return forward->tunnel;
}

static __always_inline __u32 tunnel_to(const struct settings *settings, const struct address *home_address,
				       int from_member)
{
	return settings->flags & SETTING_FORWARDS(TO_HOME_ADDRESS) ? find_tunnel_to(home_address, from_member) : 0;
}

/* The tunnel that something with this inner address is accepted from, 0 when it is not. */
__noinline __u32 find_accepted_from(__u32 direction, const struct address *address, const struct address *outer_source,
				    __u32 outer_port)
{
	const struct settings *settings = read_settings();
	struct accept_key key = { .direction = direction, .outer_port = outer_port };
	const struct address *home_address;
	const struct accept_row *row;

	if (!settings || !address || !outer_source)
		return 0;
	key.plane = settings->plane;
	key.address = *address;
	key.outer_source = *outer_source;
	row = bpf_map_lookup_elem(&accepts, &key);
	if (row)
		return row->tunnel;
	home_address = find_mobile_prefix(settings, address);
	if (!home_address)
		return 0;
	key.address = *home_address;
	row = bpf_map_lookup_elem(&accepts, &key);
	return row ? row->tunnel : 0;
}

static __always_inline __u32 accepted_from(const struct settings *settings, enum direction direction,
					   const struct address *address, const struct address *outer_source,
					   __u32 outer_port)
{
	if (!(settings->flags & SETTING_ACCEPTS(direction)))
		return 0;
	return find_accepted_from(direction, address, outer_source, outer_port);
}

#endif
