/* SPDX-License-Identifier: GPL-2.0 */
/* The maximum segment size of TCP connections that start through a tunnel, lowered to what it carries: where Packet Too
 * Big is lost, they would stall. */
#ifndef UNWIRED_CLAMP_H
#define UNWIRED_CLAMP_H

#include "ip_header.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_PADDING 1
#define TCP_OPTION_SEGMENT_SIZE 2
#define TCP_OPTION_SEGMENT_SIZE_LENGTH 4
#define TCP_OPTIONS_MAX 40
#define TCP_FLAGS 13 /* offset of the byte */
#define TCP_SYN 2
#define TCP_HEADER_LENGTH 12

static __always_inline int replace_segment_size(struct __sk_buff *skb, __u32 tcp, __u32 at, __u32 size_max)
{
	__be16 before, after, from, to;

	if (bpf_skb_load_bytes(skb, at, &before, sizeof(before)) || bpf_ntohs(before) <= size_max)
		return 0;
	after = bpf_htons(size_max);
	from = before;
	to = after;
	if ((at - tcp) & 1) { /* its bytes count in two words of the checksum */
		from = (__be16)(from << 8 | from >> 8);
		to = (__be16)(to << 8 | to >> 8);
	}
	return bpf_l4_csum_replace(skb, tcp + offsetof(struct tcphdr, check), from, to, sizeof(to)) ||
	       bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0);
}

/* Of the TCP header at `tcp`, when it is a SYN: no other packet has the option. */
__noinline int clamp_segment_size(struct __sk_buff *skb, __u32 tcp, __u32 size_max)
{
	__u8 flags, data_offset, kind, length;
	__u32 at, end;

	if (bpf_skb_load_bytes(skb, tcp + TCP_FLAGS, &flags, 1) || !(flags & TCP_SYN) ||
	    bpf_skb_load_bytes(skb, tcp + TCP_HEADER_LENGTH, &data_offset, 1))
		return 0;
	at = tcp + sizeof(struct tcphdr);
	end = tcp + (data_offset >> 4) * 4;
	for (int i = 0; i < TCP_OPTIONS_MAX; i++) {
		if (at + TCP_OPTION_SEGMENT_SIZE_LENGTH > end || bpf_skb_load_bytes(skb, at, &kind, 1) ||
		    kind == TCP_OPTION_END)
			return 0;
		if (kind == TCP_OPTION_PADDING) {
			at++;
			continue;
		}
		if (bpf_skb_load_bytes(skb, at + 1, &length, 1) || length < 2)
			return 0;
		if (kind == TCP_OPTION_SEGMENT_SIZE)
			return length == TCP_OPTION_SEGMENT_SIZE_LENGTH
				       ? replace_segment_size(skb, tcp, at + 2, size_max)
				       : 0;
		at += length;
	}
	return 0;
}

static __always_inline int is_tcp_start(const struct settings *settings, struct __sk_buff *skb,
					const struct ip_header *header)
{
	return settings->flags & SETTING_CLAMP_MSS && header->protocol == IPPROTO_TCP && !skb->gso_size &&
	       !(header->fragment & IPV4_FRAGMENT_OFFSET);
}

/* The packet at `at` goes through a tunnel that carries packets of up to `mtu` bytes (0: not known). */
static __always_inline void clamp(struct __sk_buff *skb, __u32 at, const struct ip_header *header, __u32 mtu)
{
	const __u32 headers = (header->version == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
			      sizeof(struct tcphdr);

	if (mtu > headers)
		clamp_segment_size(skb, at + header->size, mtu - headers);
}

#endif
