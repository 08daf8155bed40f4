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
#include "punt.h"
#include "shortcut.h"

char LICENSE[] SEC("license") = "GPL";

#define PACKET_HOST 0 /* linux/if_packet.h: not one that only a promiscuous device takes */

SEC("tc")
int tunnel_egress(struct __sk_buff *skb)
{
	const struct settings *settings = read_settings();
	const struct forward_row *forward = 0;
	struct forward_key key = { .direction = TO_HOME_ADDRESS };
	struct ipv6hdr inner;

	if (!settings || skb->protocol != bpf_htons(ETH_P_IPV6))
		return VERDICT_NEXT;
	if (bpf_skb_load_bytes(skb, 0, &inner, sizeof(inner)))
		return drop(COUNTER_MALFORMED);
	if (inner.daddr.s6_addr[0] == 0xff)
		return VERDICT_NEXT; /* multicast stays on its link */
	key.plane = settings->plane;
	__builtin_memcpy(&key.address, &inner.daddr, sizeof(key.address));
	if (settings->flags & SETTING_FORWARDS(TO_HOME_ADDRESS))
		forward = bpf_map_lookup_elem(&forwards, &key);
	if (!forward && settings->flags & SETTING_FORWARDS(FROM_HOME_ADDRESS)) {
		key.direction = FROM_HOME_ADDRESS;
		__builtin_memcpy(&key.address, &inner.saddr, sizeof(key.address));
		forward = bpf_map_lookup_elem(&forwards, &key);
	}
	if (!forward) {
		/* A home address without binding: whoever reads the device may have it. */
		count(COUNTER_NO_FORWARD);
		return VERDICT_NEXT;
	}
	return encapsulate(skb, 0, settings, &inner, forward->tunnel, 0);
}

static __always_inline int uplink_ingress(struct __sk_buff *skb, const __u32 l2)
{
	const struct settings *settings = read_settings();
	struct ipv6hdr header, inner;
	int direction, verdict;
	__u32 walk;

	/* A frame of a VLAN is seen again at the VLAN's own device. */
	if (!settings || skb->protocol != bpf_htons(ETH_P_IPV6) || skb->vlan_present ||
	    skb->pkt_type != PACKET_HOST)
		return VERDICT_NEXT;
	if (bpf_skb_load_bytes(skb, l2, &header, sizeof(header)))
		return VERDICT_NEXT;

	walk = header.nexthdr | (l2 + sizeof(header)) << 16;
	if (may_be_control(header.nexthdr))
		walk = walk_headers(skb, l2 + sizeof(header), header.nexthdr);
	else if (header.nexthdr != PROTOCOL_IPV6)
		goto forward;
	if (!listened(settings, &header.daddr))
		goto forward;
	if (walk & WALK_FRAGMENT) {
		count(COUNTER_FRAGMENT);
		return VERDICT_NEXT;
	}
	if (is_control(skb, l2, walk))
		return punt(settings);
	if (walk & WALK_CUT || WALK_PROTOCOL(walk) != PROTOCOL_IPV6)
		return VERDICT_NEXT;

	direction = decapsulate(skb, l2, settings, &header, WALK_OFFSET(walk) - l2, &inner);
	if (direction < 0)
		return VERDICT_DROP;
	if (may_be_control(inner.nexthdr) && listened(settings, &inner.daddr) &&
	    is_control(skb, l2, walk_headers(skb, l2 + sizeof(inner), inner.nexthdr)))
		return punt(settings);
	if (direction == TO_HOME_ADDRESS)
		return VERDICT_PASS;
	verdict = shortcut_into_tunnel(skb, l2, settings, &inner);
	if (verdict == NO_VERDICT)
		verdict = shortcut_out_of_tunnel(skb, l2, settings, &inner);
	return verdict == NO_VERDICT ? VERDICT_PASS : verdict;

forward:
	verdict = shortcut_into_tunnel(skb, l2, settings, &header);
	return verdict == NO_VERDICT ? VERDICT_NEXT : verdict;
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
