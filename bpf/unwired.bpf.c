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

char LICENSE[] SEC("license") = "GPL";

#define PACKET_OTHERHOST 3

SEC("tc")
int tunnel_egress(struct __sk_buff *skb)
{
	const struct settings *settings = read_settings();
	const struct forward_row *forward;
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
	forward = bpf_map_lookup_elem(&forwards, &key);
	if (!forward) {
		key.direction = FROM_HOME_ADDRESS;
		__builtin_memcpy(&key.address, &inner.saddr, sizeof(key.address));
		forward = bpf_map_lookup_elem(&forwards, &key);
	}
	if (!forward) {
		/* A home address without binding: whoever reads the device may have it. */
		count(COUNTER_NO_FORWARD);
		return VERDICT_NEXT;
	}
	return encapsulate(skb, 0, &inner, forward);
}

static __always_inline int uplink_ingress(struct __sk_buff *skb, const __u32 l2)
{
	const struct settings *settings = read_settings();
	struct ipv6hdr header, inner;
	__u32 walk;

	/* A frame of a VLAN is seen again at the VLAN's own device. */
	if (!settings || skb->protocol != bpf_htons(ETH_P_IPV6) || skb->vlan_present ||
	    skb->pkt_type == PACKET_OTHERHOST)
		return VERDICT_NEXT;
	if (bpf_skb_load_bytes(skb, l2, &header, sizeof(header)))
		return VERDICT_NEXT;

	if (header.nexthdr == PROTOCOL_IPV6)
		walk = PROTOCOL_IPV6 | (l2 + sizeof(header)) << 16;
	else if (may_be_control(header.nexthdr))
		walk = walk_headers(skb, l2 + sizeof(header), header.nexthdr);
	else
		return VERDICT_NEXT;
	if (!listened(settings, &header.daddr))
		return VERDICT_NEXT;
	if (walk & WALK_FRAGMENT) {
		count(COUNTER_FRAGMENT);
		return VERDICT_NEXT;
	}
	if (is_control(skb, l2, walk))
		return punt(settings);
	if (walk & WALK_CUT || WALK_PROTOCOL(walk) != PROTOCOL_IPV6)
		return VERDICT_NEXT;

	if (decapsulate(skb, l2, settings, &header, WALK_OFFSET(walk) - l2, &inner) == VERDICT_DROP)
		return VERDICT_DROP;
	if (may_be_control(inner.nexthdr) && listened(settings, &inner.daddr) &&
	    is_control(skb, l2, walk_headers(skb, l2 + sizeof(inner), inner.nexthdr)))
		return punt(settings);
	return VERDICT_PASS;
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
