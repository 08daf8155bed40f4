/* SPDX-License-Identifier: GPL-2.0 */
/* Where a packet leaves: the kernel's routes, rules by source address included, and its neighbours. */
#ifndef UNWIRED_ROUTE_H
#define UNWIRED_ROUTE_H

#include "counters.h"
#include "parse.h"

#define AF_INET6 10
#define EINVAL 22

/* From kernel 6.3; older ones answer EINVAL. */
#define FIB_LOOKUP_SKIP_NEIGHBOUR (1U << 2)

static __always_inline __u32 mix(__u32 hash, __u32 value)
{
	hash = (hash ^ value) * 0x9e3779b1;
	return hash ^ hash >> 15;
}

/* A number for the flow of a packet: addresses, flow label and whatever `more` tells flows apart. */
static __always_inline __u32 flow_hash(const struct ipv6hdr *header, __u32 more)
{
	const __u32 *source = (const void *)&header->saddr, *destination = (const void *)&header->daddr;
	__u32 hash = mix(first_word(header) & FLOW_LABEL, more);

	hash = mix(hash, source[0] ^ source[1] ^ destination[0] ^ destination[1]);
	hash = mix(hash, source[2] ^ destination[3]);
	return mix(hash, source[3] ^ destination[2]);
}

static __always_inline int same_route_key(const struct route_key *a, const struct route_key *b)
{
	return same_address(&a->source, &b->source) && same_address(&a->destination, &b->destination) &&
	       a->first_word == b->first_word && a->in_interface == b->in_interface && a->jiffies == b->jiffies;
}

/* The route of a packet with this header, as of one that came in by the device it is at; 0 when the kernel has none that
 * forwards. The kernel is asked once a jiffy and flow: a tenth of the cost of forwarding a small packet is the lookup. */
static __always_inline const struct route *find_route(struct __sk_buff *skb, const struct ipv6hdr *header)
{
	struct route_key key = {
		.jiffies = bpf_jiffies64(),
		.first_word = first_word(header) & bpf_htonl(0x0fffffff),
		.in_interface = skb->ifindex,
	};
	struct bpf_fib_lookup lookup = { .family = AF_INET6 };
	__u32 index = flow_hash(header, 0) % ROUTES;
	struct route *route = bpf_map_lookup_elem(&routes, &index);
	int result;

	if (!route)
		return 0;
	__builtin_memcpy(&key.source, &header->saddr, sizeof(key.source));
	__builtin_memcpy(&key.destination, &header->daddr, sizeof(key.destination));
	if (same_route_key(&route->key, &key))
		return route;

	lookup.l4_protocol = header->nexthdr;
	lookup.ifindex = key.in_interface;
	lookup.flowinfo = key.first_word;
	lookup.tot_len = 1; /* asks for the route's MTU, in mtu_result */
	__builtin_memcpy(lookup.ipv6_src, &key.source, sizeof(lookup.ipv6_src));
	__builtin_memcpy(lookup.ipv6_dst, &key.destination, sizeof(lookup.ipv6_dst));
	result = bpf_fib_lookup(skb, &lookup, sizeof(lookup), FIB_LOOKUP_SKIP_NEIGHBOUR);
	if (result == -EINVAL)
		result = bpf_fib_lookup(skb, &lookup, sizeof(lookup), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	route->key = key;
	route->out_interface = lookup.ifindex;
	route->mtu = result == BPF_FIB_LKUP_RET_SUCCESS ? lookup.mtu_result : 0;
	__builtin_memcpy(&route->next_hop, lookup.ipv6_dst, sizeof(route->next_hop));
	return route;
}

/* The kernel resolves the neighbour and writes the link header. */
static __always_inline int send_by(const struct route *route)
{
	struct bpf_redir_neigh next_hop = { .nh_family = AF_INET6 };

	__builtin_memcpy(next_hop.ipv6_nh, &route->next_hop, sizeof(next_hop.ipv6_nh));
	return bpf_redirect_neigh(route->out_interface, &next_hop, sizeof(next_hop), 0);
}

#endif
