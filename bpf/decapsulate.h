/* SPDX-License-Identifier: GPL-2.0 */
/* Out of the tunnel: only what an acceptance row allows (RFC 6275 sections 10.4.5 and 11.3.1). */
#ifndef UNWIRED_DECAPSULATE_H
#define UNWIRED_DECAPSULATE_H

#include "counters.h"
#include "parse.h"

#define ECN_NOT_CAPABLE 0
#define ECN_CAPABLE_1 1
#define ECN_CAPABLE_0 2
#define ECN_CONGESTION_EXPERIENCED 3
#define HOP_LIMIT_OF_THIS_LINK 255

#define NOT_ACCEPTED (-2)

/* The ECN field: bits 5 and 4 of the header's second byte. */
static __always_inline __u8 ecn_of(const struct ipv6hdr *header)
{
	return header->flow_lbl[0] >> 4 & 3;
}

static __always_inline int refuse(enum counter reason)
{
	count(reason);
	return -1;
}

/* Whether a packet must not leave the link that it is on (RFC 4291 sections 2.5.6 and 2.7): in a tunnel it would come
 * from anywhere and pass for a neighbour's. */
static __always_inline int is_of_one_link(const struct ipv6hdr *header)
{
	const __u8 *source = header->saddr.s6_addr, *destination = header->daddr.s6_addr;

	return (source[0] == 0xfe && (source[1] & 0xc0) == 0x80) ||
	       (destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80) ||
	       (destination[0] == 0xff && (destination[1] & 0x0f) <= 2);
}

/* Take `length` bytes of outer headers off the packet, which came in tunnel `number`. Afterwards `inner`, the header
 * behind them, is as the packet's header at `l2`. Returns -1 with the reason counted. */
static __always_inline int take_off(struct __sk_buff *skb, const __u32 l2, const struct ipv6hdr *outer, __u32 length,
				    struct ipv6hdr *inner, __u32 number)
{
	const __u32 packets = packets_of(skb), inner_length = skb->len - l2 - length;
	const __u8 outer_ecn = ecn_of(outer);
	__u8 inner_ecn, changed = 0;

	if (is_of_one_link(inner))
		return refuse(COUNTER_LINK_SCOPE);

	/* RFC 6040 section 4.2, figure 4. */
	inner_ecn = ecn_of(inner);
	if (outer_ecn == ECN_CONGESTION_EXPERIENCED && inner_ecn == ECN_NOT_CAPABLE)
		return refuse(COUNTER_ECN_DROPPED);

	/* Segments keep their size, as in encapsulate.h. No flag about the family: it stays IPv6 (and the flag needs
	 * kernel 6.3). */
	if (bpf_skb_adjust_room(skb, -(__s32)length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return refuse(COUNTER_DECAPSULATE_FAILED);
	if (outer_ecn == ECN_CONGESTION_EXPERIENCED ||
	    (outer_ecn == ECN_CAPABLE_1 && inner_ecn == ECN_CAPABLE_0)) {
		inner->flow_lbl[0] = (inner->flow_lbl[0] & ~0x30) | outer_ecn << 4;
		changed = 1;
	}
	/* From now on the packet looks like one of this link, and neighbour discovery takes hop limit 255 as the proof
	 * of that (RFC 4861 section 3.1): nobody may speak it from afar. */
	if (inner->hop_limit == HOP_LIMIT_OF_THIS_LINK) {
		inner->hop_limit--;
		changed = 1;
	}
	if (changed && bpf_skb_store_bytes(skb, l2, inner, offsetof(struct ipv6hdr, saddr), BPF_F_RECOMPUTE_CSUM))
		return refuse(COUNTER_DECAPSULATE_FAILED);
	count(COUNTER_DECAPSULATED);
	count_received(number, packets, inner_length);
	return 0;
}

/* Out of a tunnel with `length` bytes of outer headers, when a row allows it. `inner` gets the header behind them.
 * Returns the row's direction, NOT_ACCEPTED, or -1 with the reason counted. */
static __always_inline int decapsulate(struct __sk_buff *skb, const __u32 l2, const struct settings *settings,
				       const struct ipv6hdr *outer, __u32 length, struct ipv6hdr *inner)
{
	struct accept_key key = { .plane = settings->plane, .direction = FROM_HOME_ADDRESS };
	const struct accept_row *accept = 0;

	if (bpf_skb_load_bytes(skb, l2 + length, inner, sizeof(*inner)) || inner->version != 6)
		return refuse(COUNTER_MALFORMED);
	__builtin_memcpy(&key.outer_source, &outer->saddr, sizeof(key.outer_source));
	__builtin_memcpy(&key.address, &inner->saddr, sizeof(key.address));
	if (settings->flags & SETTING_ACCEPTS(FROM_HOME_ADDRESS))
		accept = bpf_map_lookup_elem(&accepts, &key);
	if (!accept && settings->flags & SETTING_ACCEPTS(TO_HOME_ADDRESS)) {
		key.direction = TO_HOME_ADDRESS;
		__builtin_memcpy(&key.address, &inner->daddr, sizeof(key.address));
		accept = bpf_map_lookup_elem(&accepts, &key);
	}
	if (!accept)
		return NOT_ACCEPTED;
	return take_off(skb, l2, outer, length, inner, accept->tunnel) ? -1 : key.direction;
}

#endif
