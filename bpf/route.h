/* SPDX-License-Identifier: GPL-2.0 */
/* Where a packet leaves: the kernel's routes, rules by source address included, and its neighbours. */
#ifndef UNWIRED_ROUTE_H
#define UNWIRED_ROUTE_H

#include "counters.h"
#include "ip_header.h"
#include "room.h"

#define AF_INET 2
#define AF_INET6 10

/* From kernel 6.3; older ones answer EINVAL. */
#define FIB_LOOKUP_SKIP_NEIGHBOUR (1U << 2)

static __always_inline __u32 mix(__u32 hash, __u32 value)
{
	hash = (hash ^ value) * 0x9e3779b1;
	return hash ^ hash >> 15;
}

/* A number for the flow between two addresses; `more` tells flows apart. */
static __always_inline __u32 flow_hash(const struct address *source, const struct address *destination, __u32 more)
{
	__u32 hash = mix(0, more);

	hash = mix(hash, source->word[0] ^ source->word[1] ^ destination->word[0] ^ destination->word[1]);
	hash = mix(hash, source->word[2] ^ destination->word[3]);
	return mix(hash, source->word[3] ^ destination->word[2]);
}

static __always_inline int is_route_of(const struct route *route, const struct address *source,
				       const struct address *destination, __be32 first_word, __u32 in_interface,
				       __u32 protocol)
{
	return same_address(&route->source, source) && same_address(&route->destination, destination) &&
	       route->first_word == first_word && route->in_interface == in_interface &&
	       route->protocol == protocol && route->jiffies == bpf_jiffies64();
}

/* Ask the kernel. Other than 0 when it has no route that forwards. */
static __always_inline int ask_route(struct __sk_buff *skb, struct route *route, const struct address *source,
				     const struct address *destination, __be32 first_word, __u32 in_interface,
				     __u32 protocol)
{
	struct bpf_fib_lookup *lookup = &route->answer;
	int result;

	__builtin_memset(lookup, 0, sizeof(*lookup));
	lookup->l4_protocol = protocol;
	lookup->ifindex = in_interface;
	lookup->tot_len = 1; /* asks for the route's MTU, in mtu_result */
	if (is_ipv4(destination)) {
		lookup->family = AF_INET;
		lookup->tos = bpf_ntohl(first_word) >> 20;
		lookup->ipv4_src = source->word[3];
		lookup->ipv4_dst = destination->word[3];
	} else {
		lookup->family = AF_INET6;
		lookup->flowinfo = first_word & bpf_htonl(0x0fffffff);
		__builtin_memcpy(lookup->ipv6_src, source, sizeof(lookup->ipv6_src));
		__builtin_memcpy(lookup->ipv6_dst, destination, sizeof(lookup->ipv6_dst));
	}
	route->jiffies = 0;
	result = bpf_fib_lookup(skb, lookup, sizeof(*lookup), FIB_LOOKUP_SKIP_NEIGHBOUR);
	if (result == -EINVAL)
		result = bpf_fib_lookup(skb, lookup, sizeof(*lookup), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return -1;
	route->source = *source;
	route->destination = *destination;
	route->first_word = first_word;
	route->in_interface = in_interface;
	route->protocol = protocol;
	route->mtu = result == BPF_FIB_LKUP_RET_SUCCESS ? lookup->mtu_result : 0;
	route->jiffies = bpf_jiffies64();
	return 0;
}

/* Where the route of such a packet, as of one that came in by that interface, is among the routes; negative when there is
 * none. The kernel is asked once a jiffy and flow: a tenth of the cost of forwarding a small packet is the lookup. */
__noinline int find_route_index(struct __sk_buff *skb, const struct address *source, const struct address *destination,
				__be32 first_word, __u64 interface_and_protocol)
{
	const __u32 in_interface = interface_and_protocol, protocol = interface_and_protocol >> 32;
	struct route *route;
	__u32 index;

	if (!source || !destination)
		return -1;
	index = flow_hash(source, destination, first_word) % ROUTES;
	route = bpf_map_lookup_elem(&routes, &index);
	if (!route)
		return -1;
	if (!is_route_of(route, source, destination, first_word, in_interface, protocol) &&
	    ask_route(skb, route, source, destination, first_word, in_interface, protocol))
		return -1;
	return index;
}

static __always_inline const struct route *find_route(struct __sk_buff *skb, const struct address *source,
						      const struct address *destination, __be32 first_word,
						      __u32 in_interface, __u32 protocol)
{
	const int index =
		find_route_index(skb, source, destination, first_word, in_interface | (__u64)protocol << 32);

	return index < 0 ? 0 : bpf_map_lookup_elem(&routes, &index);
}

static __always_inline __u32 out_interface_of(const struct route *route)
{
	return route->answer.ifindex;
}

/* The kernel resolves the neighbour and writes the link header. */
static __always_inline int send_by(const struct route *route)
{
	struct bpf_redir_neigh next_hop = {};

	next_hop.nh_family = route->answer.family; /* IPv6 may be that of an IPv4 packet (RFC 8950) */
	if (next_hop.nh_family == AF_INET)
		next_hop.ipv4_nh = route->answer.ipv4_dst;
	else
		__builtin_memcpy(next_hop.ipv6_nh, route->answer.ipv6_dst, sizeof(next_hop.ipv6_nh));
	return bpf_redirect_neigh(out_interface_of(route), &next_hop, sizeof(next_hop), 0);
}

#endif
