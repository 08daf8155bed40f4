/* SPDX-License-Identifier: GPL-2.0 */
/* Control packets go whole to the device that the daemon reads, before a stack without mobility support answers a Home
 * Address option or a type 2 routing header with an ICMPv6 error. */
#ifndef UNWIRED_PUNT_H
#define UNWIRED_PUNT_H

#include "counters.h"
#include "parse.h"

#define MESSAGE_MIN 8 /* bytes, of a mobility header as of the ICMPv6 messages below */
#define ICMPV6_DESTINATION_UNREACHABLE 1
#define ICMPV6_PARAMETER_PROBLEM 4
#define ICMPV6_HOME_AGENT_DISCOVERY_REQUEST 144
#define ICMPV6_MOBILE_PREFIX_ADVERTISEMENT 147

/* Whether the ICMPv6 message at `offset` is the daemon's: discovery (RFC 6275 sections 6.5 to 6.8), or an error that
 * quotes a packet of a tunnel or of the mobility protocol sent by `destination` (RFC 2473 section 8). */
__noinline int icmpv6_is_control(struct __sk_buff *skb, __u32 offset, __u32 header_offset)
{
	struct in6_addr destination;
	struct ipv6hdr quoted;
	__u8 type;
	__u32 walk;

	if (bpf_skb_load_bytes(skb, offset, &type, sizeof(type)))
		return 0;
	if (type >= ICMPV6_HOME_AGENT_DISCOVERY_REQUEST && type <= ICMPV6_MOBILE_PREFIX_ADVERTISEMENT)
		return 1;
	if (type < ICMPV6_DESTINATION_UNREACHABLE || type > ICMPV6_PARAMETER_PROBLEM)
		return 0;
	if (bpf_skb_load_bytes(skb, offset + 8, &quoted, sizeof(quoted)) ||
	    bpf_skb_load_bytes(skb, header_offset + offsetof(struct ipv6hdr, daddr), &destination, sizeof(destination)))
		return 0;
	if (!same_address((void *)&quoted.saddr, (void *)&destination))
		return 0;
	walk = walk_headers(skb, offset + 8 + sizeof(quoted), quoted.nexthdr);
	return walk & WALK_MOBILE || WALK_PROTOCOL(walk) == PROTOCOL_IPV6 || WALK_PROTOCOL(walk) == PROTOCOL_MOBILITY;
}

static __always_inline int is_control(struct __sk_buff *skb, __u32 header_offset, __u32 walk)
{
	if (walk & WALK_FRAGMENT)
		return 0;
	if (walk & WALK_MOBILE)
		return 1;
	if (walk & WALK_CUT || WALK_OFFSET(walk) + MESSAGE_MIN > skb->len)
		return 0;
	if (WALK_PROTOCOL(walk) == PROTOCOL_ICMPV6)
		return icmpv6_is_control(skb, WALK_OFFSET(walk), header_offset);
	return WALK_PROTOCOL(walk) == PROTOCOL_MOBILITY;
}

/* A flood must leave the CPU to the data: the generic cell rate algorithm, one clock per CPU, no locks. */
static __always_inline int punt_is_earned(const struct settings *settings)
{
	__u32 zero = 0;
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 *earned_at_ns = bpf_map_lookup_elem(&punt_earned_at_ns, &zero);

	if (!earned_at_ns)
		return 0;
	if (*earned_at_ns < now_ns)
		*earned_at_ns = now_ns;
	if (*earned_at_ns - now_ns > settings->punt_burst_ns)
		return 0;
	*earned_at_ns += settings->punt_interval_ns;
	return 1;
}

static __always_inline int punt(const struct settings *settings)
{
	if (!settings->punt_interface)
		return drop(COUNTER_PUNT_NO_DEVICE);
	if (!punt_is_earned(settings))
		return drop(COUNTER_PUNT_LIMITED);
	count(COUNTER_PUNTED);
	return bpf_redirect(settings->punt_interface, 0);
}

#endif
