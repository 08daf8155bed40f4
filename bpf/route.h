/* SPDX-License-Identifier: GPL-2.0 */
/* Where a packet leaves: the kernel's routes, rules by source address included, and its neighbours. */
#ifndef UNWIRED_ROUTE_H
#define UNWIRED_ROUTE_H

#include "counters.h"
#include "parse.h"

#define AF_INET6 10
#define EINVAL 22
#define NO_VERDICT (-2) /* not sent: the caller decides */

/* From kernel 6.3; older ones answer EINVAL. */
#define FIB_LOOKUP_SKIP_NEIGHBOUR (1U << 2)

/* Route a packet with this header and of `length` bytes (0: as long as it is now), as one that came in by the device it
 * is at. One of BPF_FIB_LKUP_RET_*, with `route->ifindex` and the next hop in `route->ipv6_dst`. */
static __always_inline int find_route(struct __sk_buff *skb, const struct ipv6hdr *header, __u16 length,
				      struct bpf_fib_lookup *route)
{
	int result;

	__builtin_memset(route, 0, sizeof(*route));
	route->family = AF_INET6;
	route->l4_protocol = header->nexthdr;
	route->ifindex = skb->ifindex;
	route->tot_len = length;
	route->flowinfo = first_word(header) & bpf_htonl(0x0fffffff);
	__builtin_memcpy(route->ipv6_src, &header->saddr, sizeof(route->ipv6_src));
	__builtin_memcpy(route->ipv6_dst, &header->daddr, sizeof(route->ipv6_dst));
	result = bpf_fib_lookup(skb, route, sizeof(*route), FIB_LOOKUP_SKIP_NEIGHBOUR);
	if (result == -EINVAL)
		result = bpf_fib_lookup(skb, route, sizeof(*route), 0);
	return result == BPF_FIB_LKUP_RET_NO_NEIGH ? BPF_FIB_LKUP_RET_SUCCESS : result;
}

/* The kernel resolves the neighbour and writes the link header. */
static __always_inline int send_by(const struct bpf_fib_lookup *route)
{
	struct bpf_redir_neigh next_hop = { .nh_family = AF_INET6 };

	__builtin_memcpy(next_hop.ipv6_nh, route->ipv6_dst, sizeof(next_hop.ipv6_nh));
	return bpf_redirect_neigh(route->ifindex, &next_hop, sizeof(next_hop), 0);
}

#endif
