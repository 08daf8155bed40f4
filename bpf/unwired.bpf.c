// SPDX-License-Identifier: GPL-2.0
/* The forwarding of home agents and mobile nodes. Three programs, the same on both sides; only the rows differ:
 *
 *   tunnel_egress    egress of the tunnel device (a TUN that nobody reads): into the tunnel
 *   uplink_ethernet  ingress of an uplink with Ethernet headers: out of the tunnel, control packets to the daemon
 *   uplink_raw       the same for an uplink without link headers (TUN, PPP, WWAN)
 */
#include <stddef.h>

#include "decapsulate.h"
#include "encapsulate.h"
#include "members.h"
#include "punt.h"
#include "shortcut.h"

char LICENSE[] SEC("license") = "GPL";

#define PACKET_HOST 0 /* linux/if_packet.h: not one that only a promiscuous device takes */

SEC("tc")
int tunnel_egress(struct __sk_buff *skb)
{
	const struct settings *settings = read_settings();
	const struct forward_row *forward;
	struct ipv6hdr inner;
	int from_member = 0;
	__u32 tunnel;

	if (!settings || skb->protocol != bpf_htons(ETH_P_IPV6))
		return VERDICT_NEXT;
	if (settings->flags & SETTING_MEMBERS && skb->mark & MARK_FROM_MEMBER) {
		from_member = 1;
		skb->mark &= ~MARK_FROM_MEMBER;
	}
	if (bpf_skb_load_bytes(skb, 0, &inner, sizeof(inner)))
		return drop(COUNTER_MALFORMED);
	if (inner.daddr.s6_addr[0] == 0xff)
		return VERDICT_NEXT; /* multicast stays on its link */
	tunnel = tunnel_to(settings, &inner.daddr, from_member);
	if (!tunnel && from_member)
		return drop(COUNTER_MEMBER_NO_FORWARD);
	if (!tunnel) {
		forward = find_forward(settings, FROM_HOME_ADDRESS, &inner.saddr);
		if (forward)
			tunnel = forward->tunnel;
		else
			find_member_owner(settings, &inner.daddr, &tunnel);
	}
	if (!tunnel) {
		/* A home address without binding: whoever reads the device may have it. */
		count(COUNTER_NO_FORWARD);
		return VERDICT_NEXT;
	}
	return encapsulate(skb, 0, settings, &inner, tunnel, 0);
}

/* How far a packet has been opened. */
enum opened {
	OPENED_NOT,
	OPENED_FROM_MEMBER,
	OPENED_FROM_MOBILE_NODE,
};

static __always_inline int uplink_ingress(struct __sk_buff *skb, const __u32 l2)
{
	const struct settings *settings = read_settings();
	enum opened opened = OPENED_NOT;
	struct ipv6hdr header, inner;
	int direction, verdict, from_member = 0;
	__u32 walk, tunnel = 0;
	enum owner owner;

	/* A frame of a VLAN is seen again at the VLAN's own device. */
	if (!settings || skb->protocol != bpf_htons(ETH_P_IPV6) || skb->vlan_present ||
	    skb->pkt_type != PACKET_HOST)
		return VERDICT_NEXT;
	if (settings->flags & SETTING_MEMBERS && skb->mark & MARK_FROM_MEMBER)
		skb->mark &= ~MARK_FROM_MEMBER; /* only we say that */
	if (bpf_skb_load_bytes(skb, l2, &header, sizeof(header)))
		return VERDICT_NEXT;

	if (header.nexthdr != PROTOCOL_IPV6 && !may_be_control(header.nexthdr))
		goto to_home_address;
	walk = walk_from(skb, l2 + sizeof(header), header.nexthdr);
	owner = find_owner(settings, &header.daddr, &tunnel);
	if (owner == OWNER_OTHER)
		goto to_home_address;
	if (owner != OWNER_MEMBER) {
		if (walk & WALK_FRAGMENT) {
			count(COUNTER_FRAGMENT);
			return VERDICT_NEXT;
		}
		if (is_control(skb, l2, walk))
			return punt(settings);
	}
	if (!leads_to_tunnel(walk)) {
		if (owner == OWNER_MEMBER)
			goto into_tunnel;
		return VERDICT_NEXT;
	}

	if (owner == OWNER_SELF_FOR_MEMBERS) {
		verdict = open_from_member(skb, l2, settings, &header, &inner);
		if (verdict != NO_VERDICT)
			return verdict;
		opened = OPENED_FROM_MEMBER;
		from_member = 1;
		header = inner;
		owner = find_owner(settings, &header.daddr, &tunnel);
		if (owner != OWNER_SELF)
			goto to_home_address;
		walk = walk_from(skb, l2 + sizeof(header), header.nexthdr);
		if (!leads_to_tunnel(walk))
			return VERDICT_PASS; /* for us; control has gone to the daemon */
	}

	direction = decapsulate(skb, l2, settings, &header, WALK_OFFSET(walk) - l2, &inner);
	if (direction == NOT_ACCEPTED) {
		if (owner == OWNER_MEMBER)
			goto into_tunnel;
		return drop(COUNTER_REVERSE_CHECK);
	}
	if (direction < 0)
		return VERDICT_DROP;
	if (may_be_control(inner.nexthdr) && is_ours(settings, &inner.daddr) &&
	    is_control(skb, l2, walk_headers(skb, l2 + sizeof(inner), inner.nexthdr)))
		return punt(settings);
	if (direction == TO_HOME_ADDRESS)
		return VERDICT_PASS;
	opened = OPENED_FROM_MOBILE_NODE;
	header = inner;

to_home_address:
	tunnel = 0;
	if (settings->flags & SETTING_SHORTCUT || from_member)
		tunnel = tunnel_to(settings, &header.daddr, from_member);
	if (!tunnel && opened == OPENED_FROM_MEMBER)
		return drop(COUNTER_MEMBER_NO_FORWARD);
into_tunnel:
	verdict = NO_VERDICT;
	if (tunnel)
		verdict = shortcut_into_tunnel(skb, l2, settings, &header, tunnel);
	else if (opened == OPENED_FROM_MOBILE_NODE)
		verdict = shortcut_out_of_tunnel(skb, l2, settings, &header);
	if (verdict != NO_VERDICT)
		return verdict;
	if (from_member)
		skb->mark |= MARK_FROM_MEMBER;
	return opened ? VERDICT_PASS : VERDICT_NEXT;
}

SEC("tc")
int uplink_ethernet(struct __sk_buff *skb)
{
	return uplink_ingress(skb, ETH_HLEN);
}

SEC("tc")
int uplink_raw(struct __sk_buff *skb)
{
	return uplink_ingress(skb, 0);
}
