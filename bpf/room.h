/* SPDX-License-Identifier: GPL-2.0 */
/* Room for outer headers, made and taken away, with segmentation offload kept alive. */
#ifndef UNWIRED_ROOM_H
#define UNWIRED_ROOM_H

#include "ip_header.h"

#define EINVAL 22
#define EALREADY 114

/* From kernel 6.3; older ones answer EINVAL. The inner header's family, which becomes that of the packet. */
#define ADJUST_ROOM_INNER_IPV4 (1ULL << 7)
#define ADJUST_ROOM_INNER_IPV6 (1ULL << 8)
#define FAMILY_DIFFERENCE 20 /* bytes by which an IPv6 header is longer, which bpf_skb_change_proto adds or takes away */

#define NOT_AGAIN (-EALREADY) /* of make_room: an offloaded packet that has to be cut before */

static __always_inline __u32 overhead_of(__u32 encapsulation)
{
	if (encapsulation == ENCAPSULATION_IPV6)
		return sizeof(struct ipv6hdr);
	if (encapsulation == ENCAPSULATION_IPV4)
		return sizeof(struct iphdr);
	return sizeof(struct iphdr) + sizeof(struct udphdr);
}

static __always_inline __be16 protocol_of_version(__u32 version)
{
	return version == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* The packet's segments keep their size: they grow and shrink with their headers. */
static __always_inline int adjust(struct __sk_buff *skb, __s32 length, __u64 flags)
{
	return bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, flags | BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* Take `length` bytes of outer headers off, behind which there is a packet of this version. */
static __always_inline int take_room(struct __sk_buff *skb, __s32 length, __u32 version)
{
	const __be16 protocol = protocol_of_version(version);
	int error;

	if (skb->protocol == protocol)
		return adjust(skb, -length, 0);
	error = adjust(skb, -length, version == 4 ? ADJUST_ROOM_INNER_IPV4 : ADJUST_ROOM_INNER_IPV6);
	if (error != -EINVAL)
		return error;
	error = bpf_skb_change_proto(skb, protocol, 0);
	if (error)
		return error;
	length += version == 4 ? -FAMILY_DIFFERENCE : FAMILY_DIFFERENCE;
	return length ? adjust(skb, -length, 0) : 0;
}

/* Have the packet be of this version, while the header that says so is still missing. */
static __always_inline int turn(struct __sk_buff *skb, __u32 version)
{
	const __be16 protocol = protocol_of_version(version);
	const __s32 some = 4;
	int error;

	if (skb->protocol == protocol)
		return 0;
	error = adjust(skb, some, 0);
	if (error)
		return error;
	error = adjust(skb, -some, version == 4 ? ADJUST_ROOM_INNER_IPV4 : ADJUST_ROOM_INNER_IPV6);
	if (error != -EINVAL)
		return error;
	/* The older kernel's way would have the segments be of the other family, too. */
	if (skb->gso_size)
		return adjust(skb, -some, 0) ?: NOT_AGAIN;
	if (version == 4)
		return adjust(skb, FAMILY_DIFFERENCE - some, 0) ?: bpf_skb_change_proto(skb, protocol, 0);
	return bpf_skb_change_proto(skb, protocol, 0) ?: adjust(skb, -some - FAMILY_DIFFERENCE, 0);
}

/* Room for the outer headers of `encapsulation` behind the link header. A packet that was decapsulated on this machine
 * still has the mark of a tunnel on it (skb->encapsulation survives even a veth), and EALREADY is the answer to a second
 * encapsulation. When it came out of the same kind of tunnel (`was`), the mark and the segmentation type that are still
 * there are the ones that we need; a packet that is not offloaded needs neither. */
static __always_inline int make_room(struct __sk_buff *skb, __u32 encapsulation, __u32 was)
{
	const __s32 length = overhead_of(encapsulation);
	__u64 flags = BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	int error;

	if (encapsulation != ENCAPSULATION_IPV6)
		flags = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	if (encapsulation == ENCAPSULATION_UDP)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	error = adjust(skb, length, flags);
	if (error != -EALREADY)
		return error;
	if (skb->gso_size && was != encapsulation)
		return NOT_AGAIN;
	error = turn(skb, encapsulation == ENCAPSULATION_IPV6 ? 6 : 4);
	return error ?: adjust(skb, length, 0);
}

#endif
