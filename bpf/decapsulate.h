/* SPDX-License-Identifier: GPL-2.0 */
/* Out of the tunnel: only what an acceptance row allows (RFC 6275 sections 10.4.5 and 11.3.1). */
#ifndef UNWIRED_DECAPSULATE_H
#define UNWIRED_DECAPSULATE_H

#include "clamp.h"
#include "content.h"
#include "counters.h"
#include "tunnel.h"

#define ECN 3
#define ECN_NOT_CAPABLE 0
#define ECN_CAPABLE_1 1
#define ECN_CAPABLE_0 2
#define ECN_CONGESTION_EXPERIENCED 3
#define HOP_LIMIT_OF_THIS_LINK 255

static __always_inline int refuse(enum counter reason)
{
	count(reason);
	return -1;
}

/* Whether a packet must not leave the link that it is on (RFC 4291 sections 2.5.6 and 2.7; RFC 3927 section 7, RFC 5771
 * section 4, RFC 919): in a tunnel it would come from anywhere and pass for a neighbour's. */
static __always_inline int is_of_one_link(const struct ip_header *header)
{
	const __u8 *source = (const void *)&header->source, *destination = (const void *)&header->destination;

	if (header->version == 4)
		return (source[12] == 169 && source[13] == 254) || (destination[12] == 169 && destination[13] == 254) ||
		       header->destination.word[3] == 0xffffffff ||
		       (destination[12] == 224 && !destination[13] && !destination[14]);
	return (source[0] == 0xfe && (source[1] & 0xc0) == 0x80) ||
	       (destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80) ||
	       (destination[0] == 0xff && (destination[1] & 0x0f) <= 2);
}

/* The ECN field of a packet that leaves a tunnel, -1 when it is to be dropped: RFC 6040 section 4.2, figure 4. */
static __always_inline int ecn_out_of(__u8 outer, __u8 inner)
{
	if (outer == ECN_CONGESTION_EXPERIENCED)
		return inner == ECN_NOT_CAPABLE ? -1 : outer;
	return outer == ECN_CAPABLE_1 && inner == ECN_CAPABLE_0 ? outer : inner;
}

/* Set the ECN field of the header at `at`. */
static __always_inline int set_ecn(struct __sk_buff *skb, __u32 at, struct ip_header *header, __u8 ecn)
{
	const __u8 before = traffic_class_of(header), after = (before & ~ECN) | ecn;
	__u8 first[2];

	if (before == after)
		return 0;
	header->first_word = (header->first_word & ~TRAFFIC_CLASS) | bpf_htonl((__u32)after << 20);
	if (header->version == 6)
		return bpf_skb_store_bytes(skb, at, &header->first_word, sizeof(header->first_word),
					   BPF_F_RECOMPUTE_CSUM);
	first[0] = 0x40 | header->size / 4;
	first[1] = after;
	return bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), bpf_htons(first[0] << 8 | before),
				   bpf_htons(first[0] << 8 | after), 2) ||
	       bpf_skb_store_bytes(skb, at, first, sizeof(first), 0);
}

/* Take `length` bytes of outer headers off the packet whose header `outer` is at `at`, and which came in tunnel `number`.
 * Afterwards `inner`, the header behind them, is that at `at`. Other than 0: the reason has been counted. */
__noinline int take_off(struct __sk_buff *skb, __u32 at_and_length, const struct ip_header *outer,
			struct ip_header *inner, __u32 number)
{
	const __u32 at = at_and_length & 0xffff, length = at_and_length >> 16;
	const struct settings *settings = read_settings();
	const __u32 packets = packets_of(skb), inner_length = skb->len - at - length;
	const __u8 hop_limit = HOP_LIMIT_OF_THIS_LINK - 1;
	int ecn;

	if (!settings || !outer || !inner)
		return -1;
	if (is_of_one_link(inner))
		return refuse(COUNTER_LINK_SCOPE);
	ecn = ecn_out_of(traffic_class_of(outer) & ECN, traffic_class_of(inner) & ECN);
	if (ecn < 0)
		return refuse(COUNTER_ECN_DROPPED);
	if (take_room(skb, length, inner->version) || set_ecn(skb, at, inner, ecn))
		return refuse(COUNTER_DECAPSULATE_FAILED);
	/* From now on the packet looks like one of this link, and neighbour discovery takes hop limit 255 as the proof
	 * of that (RFC 4861 section 3.1): nobody may speak it from afar. */
	if (inner->version == 6 && inner->hop_limit == HOP_LIMIT_OF_THIS_LINK) {
		inner->hop_limit = hop_limit;
		if (bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1,
					BPF_F_RECOMPUTE_CSUM))
			return refuse(COUNTER_DECAPSULATE_FAILED);
	}
	if (is_tcp_start(settings, skb, inner))
		clamp(skb, at, inner, limit_of_number(skb, number));
	count(COUNTER_DECAPSULATED);
	count_received(number, packets, inner_length);
	return 0;
}

#endif
