// SPDX-License-Identifier: GPL-2.0
/* The forwarding of home agents and mobile nodes. The programs are the same on both sides; only the rows differ:
 *
 *   tunnel_egress    egress of the tunnel device (a TUN that nobody reads): into the tunnel
 *   cut_ingress      where offloaded packets come back in segments that it could not encapsulate in one piece
 *   uplink_ethernet  ingress of an uplink with Ethernet headers: out of the tunnel, control packets to the daemon
 *   uplink_raw       the same for an uplink without link headers (TUN, PPP, WWAN)
 */
#include <stddef.h>

#include "decapsulate.h"
#include "encapsulate.h"
#include "lookup.h"
#include "members.h"
#include "punt.h"
#include "shortcut.h"

char LICENSE[] SEC("license") = "GPL";

#define PACKET_HOST 0 /* linux/if_packet.h: not one that only a promiscuous device takes */

static __always_inline int is_multicast(const struct ip_header *header)
{
	const __u8 *destination = (const void *)&header->destination;

	return header->version == 4 ? destination[12] >= 224 : destination[0] == 0xff;
}

/* An offloaded packet that the kernel cannot encapsulate: out by a device that cuts it, whose other end is ours, too. The
 * mark stays on it, and a link header is what that end finds its family by. */
static __always_inline int cut(struct __sk_buff *skb, const struct settings *settings, const struct ip_header *header)
{
	struct ethhdr link = { .h_proto = protocol_of_version(header->version) };

	if (!settings->cutting_interface || bpf_skb_change_head(skb, sizeof(link), 0) ||
	    bpf_skb_store_bytes(skb, 0, &link, sizeof(link), 0))
		return drop(COUNTER_ENCAPSULATE_FAILED);
	count(COUNTER_CUT);
	return bpf_redirect(settings->cutting_interface, 0);
}

static __always_inline int into_tunnel(struct __sk_buff *skb, const __u32 l2)
{
	const struct settings *settings = read_settings();
	const struct forward_row *forward;
	struct ip_header header = {};
	__u32 tunnel, was, mark;
	int from_member = 0, verdict;

	if (!settings || (skb->protocol != bpf_htons(ETH_P_IPV6) && skb->protocol != bpf_htons(ETH_P_IP)))
		return VERDICT_NEXT;
	if (read_header(skb, l2, &header))
		return drop(COUNTER_MALFORMED);
	mark = skb->mark;
	was = (mark & MARK_WAS) >> MARK_WAS_SHIFT;
	if (settings->flags & SETTING_MEMBERS && mark & MARK_FROM_MEMBER)
		from_member = 1;
	skb->mark = mark & ~MARK_WAS & ~(from_member ? MARK_FROM_MEMBER : 0);
	if (is_multicast(&header))
		return VERDICT_NEXT; /* it stays on its link */
	tunnel = tunnel_to(settings, &header.destination, from_member);
	if (!tunnel && from_member)
		return drop(COUNTER_MEMBER_NO_FORWARD);
	if (!tunnel) {
		forward = find_forward(settings, FROM_HOME_ADDRESS, &header.source);
		if (forward)
			tunnel = forward->tunnel;
		else
			find_member_owner(settings, &header.destination, &tunnel);
	}
	if (!tunnel) {
		/* A home address without binding: whoever reads the device may have it. */
		count(COUNTER_NO_FORWARD);
		return VERDICT_NEXT;
	}
	verdict = encapsulate(skb, l2, &header, tunnel, was);
	if (verdict == VERDICT_TOO_BIG)
		return tell_too_big(skb, l2, &header, tunnel);
	if (verdict != NO_VERDICT)
		return verdict;
	if (l2) /* cut already */
		return drop(COUNTER_ENCAPSULATE_FAILED);
	skb->mark = mark;
	return cut(skb, settings, &header);
}

SEC("tc")
int tunnel_egress(struct __sk_buff *skb)
{
	return into_tunnel(skb, 0);
}

SEC("tc")
int cut_ingress(struct __sk_buff *skb)
{
	const int verdict = into_tunnel(skb, ETH_HLEN);

	return verdict == VERDICT_NEXT ? VERDICT_DROP : verdict;
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
	enum direction direction = FROM_HOME_ADDRESS;
	enum opened opened = OPENED_NOT;
	struct ip_header header = {}, inner = {};
	struct content content = {};
	int verdict, owner, from_member = 0, is_tunnel_control;
	__u32 accepted, tunnel = 0, was = 0;

	/* A frame of a VLAN is seen again at the VLAN's own device. */
	if (!settings || (skb->protocol != bpf_htons(ETH_P_IPV6) && skb->protocol != bpf_htons(ETH_P_IP)) ||
	    skb->vlan_present || skb->pkt_type != PACKET_HOST)
		return VERDICT_NEXT;
	/* Only we say that. */
	if (skb->mark & MARK_WAS)
		skb->mark &= ~MARK_WAS;
	if (settings->flags & SETTING_MEMBERS && skb->mark & MARK_FROM_MEMBER)
		skb->mark &= ~MARK_FROM_MEMBER;
	if (read_header(skb, l2, &header))
		return VERDICT_NEXT;

	if (!may_be_ours(&header))
		goto to_home_address;
	owner = find_owner(&header.destination, &tunnel);
	if (owner == OWNER_OTHER)
		goto to_home_address;
	look_into(skb, l2, &header, &content);
	if (owner == OWNER_MEMBER) {
		if (content.kind != CONTENT_TUNNEL)
			goto into_tunnel;
	} else {
		if (content.kind == CONTENT_FRAGMENT) {
			count(COUNTER_FRAGMENT);
			return VERDICT_NEXT;
		}
		if (content.kind == CONTENT_OTHER)
			return VERDICT_NEXT;
		/* Hop limit 0 is how too_big.h marks its packets. */
		if (content.kind == CONTENT_MALFORMED || !header.hop_limit)
			return drop(COUNTER_MALFORMED);
		if (content.kind == CONTENT_CONTROL)
			return punt_control(settings);
		if (content.kind == CONTENT_NAT_PROBE)
			return punt_nat_probe(settings);
	}

	if (owner == OWNER_SELF_FOR_MEMBERS) {
		verdict = look_from_member(skb, l2, &header, &inner, &tunnel);
		if (verdict != NO_VERDICT)
			return verdict;
		if (take_off(skb, l2 | (__u32)header.size << 16, &header, &inner, tunnel))
			return VERDICT_DROP;
		opened = OPENED_FROM_MEMBER;
		from_member = 1;
		was = ENCAPSULATION_IPV6;
		header = inner;
		owner = find_owner(&header.destination, &tunnel);
		if (owner != OWNER_SELF)
			goto to_home_address;
		look_into(skb, l2, &header, &content);
		if (!may_be_ours(&header) || content.kind != CONTENT_TUNNEL)
			return VERDICT_PASS; /* for us; control has gone to the daemon */
	}

	if (read_inner(skb, l2, &header, &content, &inner))
		return drop(COUNTER_MALFORMED);
	accepted = accepted_from(settings, FROM_HOME_ADDRESS, &inner.source, &header.source, content.source_port);
	if (!accepted) {
		direction = TO_HOME_ADDRESS;
		accepted = accepted_from(settings, direction, &inner.destination, &header.source, content.source_port);
	}
	is_tunnel_control = leads_to_control(skb, content.at, &inner);
	if (is_tunnel_control && header.version == 4) {
		/* Whole, because only the outer header says where the mobile node is; it names no member, that is in
		 * the inner one. */
		switch (find_owner(&inner.destination, &tunnel)) {
		case OWNER_SELF:
		case OWNER_SELF_FOR_MEMBERS:
			return accepted ? punt_control(settings) : punt_from_stranger(settings);
		case OWNER_MEMBER:
			if (from_member)
				return drop(COUNTER_MEMBER_NO_FORWARD);
			verdict = encapsulate(skb, l2, &header, tunnel, 0);
			return verdict < 0 ? drop(COUNTER_TOO_BIG) : verdict;
		}
	}
	if (!accepted) {
		if (owner == OWNER_MEMBER)
			goto into_tunnel;
		if (content.source_port && !from_member && find_forward(settings, TO_HOME_ADDRESS, &inner.source))
			return punt_nat_unknown(settings);
		return drop(COUNTER_REVERSE_CHECK);
	}
	if (take_off(skb, l2 | (content.at - l2) << 16, &header, &inner, accepted))
		return VERDICT_DROP;
	if (is_tunnel_control && is_ours(&inner.destination))
		return punt_control(settings);
	if (direction == TO_HOME_ADDRESS)
		return VERDICT_PASS;
	opened = OPENED_FROM_MOBILE_NODE;
	was = header.version == 6 ? ENCAPSULATION_IPV6 : content.source_port ? ENCAPSULATION_UDP : ENCAPSULATION_IPV4;
	header = inner;

to_home_address:
	tunnel = 0;
	if (settings->flags & SETTING_SHORTCUT || opened)
		tunnel = tunnel_to(settings, &header.destination, from_member);
	if (!tunnel && opened == OPENED_FROM_MEMBER)
		return drop(COUNTER_MEMBER_NO_FORWARD);
into_tunnel:
	verdict = NO_VERDICT;
	if (tunnel) {
		if (settings->flags & SETTING_SHORTCUT && is_plain(skb, l2, &header))
			verdict = encapsulate(skb, l2, &header, tunnel, AT_INGRESS | was);
	} else if (opened == OPENED_FROM_MOBILE_NODE) {
		verdict = send_on(skb, l2, &header);
	}
	if (verdict != NO_VERDICT)
		return verdict;
	if (from_member)
		skb->mark |= MARK_FROM_MEMBER;
	if (tunnel && was && skb->gso_size)
		skb->mark |= was << MARK_WAS_SHIFT;
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
