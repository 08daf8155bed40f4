/* SPDX-License-Identifier: GPL-2.0 */
/* The rows that user space and the programs share. src/unwired/dataplane/layout.py packs them; a test compares the two
 * by the object's BTF. Addresses are 16 bytes, an IPv4 address in its v4-mapped form, so that every encapsulation uses
 * the same rows. Whoever changes a row's meaning without changing its size increases ROWS_LAYOUT. */
#ifndef UNWIRED_ROWS_H
#define UNWIRED_ROWS_H

#include <linux/bpf.h>
#include <linux/types.h>

#define ROWS_LAYOUT 3

struct address {
	union {
		__u64 half[2];
		__be32 word[4];
	};
};

/* Which inner address a row is keyed by: unwired.core.forwarding.Direction. */
enum direction {
	TO_HOME_ADDRESS = 0,   /* inner destination: at the home agent */
	FROM_HOME_ADDRESS = 1, /* inner source: at the mobile node */
};

/* What is put around an inner packet of either family: unwired.core.forwarding.Encapsulation. */
enum encapsulation {
	ENCAPSULATION_IPV6 = 1,
	ENCAPSULATION_IPV4 = 2,
	ENCAPSULATION_UDP = 3, /* behind an IPv4 header */
};

struct forward_key {
	__u32 plane;
	__u32 direction;
	struct address address;
};

struct forward_row {
	__u32 tunnel;
	__u32 member; /* while this home agent is up, into the tunnel to it instead; 0: none */
};

struct tunnel_row {
	struct address local;
	struct address peer;
	__u32 interface;  /* the only one the outer packet may leave by; 0: any */
	__u32 mtu;        /* largest inner packet; 0: no limit of the tunnel's own */
	__u32 flow_label; /* of every outer IPv6 header; 0: by inner flow */
	__u32 flags;
	__u16 encapsulation;
	__be16 local_port; /* 0 without UDP */
	__be16 peer_port;
	__u16 unused;
};

struct tunnel_counters {
	__u64 packets_sent;
	__u64 bytes_sent;
	__u64 packets_received;
	__u64 bytes_received;
};

/* The reverse check, RFC 6275 sections 10.4.5 and 11.3.1. */
struct accept_key {
	__u32 plane;
	__u32 direction;
	struct address address;
	struct address outer_source;
	__be16 outer_port; /* 0 without UDP */
	__u16 unused;
	__u32 flags;
};

struct accept_row {
	__u32 tunnel;
	__u32 flags;
};

/* A prefix that moves with a home address (RFC 3963): what has no row of its own goes by that address's rows. */
struct mobile_prefix_key {
	__u32 length; /* bits: 32 of the plane and those of the prefix, of an IPv4 one in its v4-mapped form */
	__u32 plane;
	struct address prefix;
};

struct mobile_prefix_row {
	struct address home_address;
};

struct listen_key {
	__u32 plane;
	__u32 flags;
	struct address address;
};

#define LISTEN_TO_MEMBERS (1 << 0) /* tunnels to this address are opened for members only */

struct listen_row {
	__u32 flags;
};

/* The other home agents of the set. A member's death is one write: its member_row. */
struct member_key {
	__u32 plane;
	__u32 number;
};

struct member_row {
	__u32 tunnel; /* to its locator */
	__u32 up;
};

enum member_address_kind {
	MEMBER_HOME_AGENT_ADDRESS = 0, /* from the home prefix: what comes for it may arrive here */
	MEMBER_LOCATOR = 1,            /* where its tunnels to us come from */
};

struct member_address_key {
	__u32 plane;
	enum member_address_kind kind;
	struct address address;
};

struct member_address_row {
	__u32 member;
	__u32 tunnel;
};

/* Forward from ingress to egress without the kernel's forwarding path (and its netfilter hooks). */
#define SETTING_SHORTCUT (1 << 0)
/* There have been rows of this kind and direction: the others need no lookup. */
#define SETTING_FORWARDS(direction) (1 << (1 + (direction)))
#define SETTING_ACCEPTS(direction) (1 << (3 + (direction)))
#define SETTING_MEMBERS (1 << 5)
#define SETTING_MOBILE_PREFIXES (1 << 6)
/* TCP connections that start through a tunnel are told what it carries. */
#define SETTING_CLAMP_MSS (1 << 7)

struct settings {
	__u32 layout;         /* ROWS_LAYOUT of who made the maps */
	__u32 plane;          /* of everything that the attached devices carry */
	__u32 punt_interface; /* ifindex of the device that the daemon reads, 0: none yet */
	__u32 flags;          /* SETTING_... */
	__u32 tunnel_mtu;     /* of the tunnel device: the limit where a tunnel has none of its own */
	__u32 tunnel_interface;
	__u32 cutting_interface; /* of the pair beside the tunnel device: where offloaded packets are cut */
	__u32 unused;
	__u64 punt_interval_ns; /* each CPU punts one packet per interval ... */
	__u64 punt_burst_ns;    /* ... and may be this far ahead of it */
};

/* What became of packets: a closed list, the same as unwired.dataplane.layout.Counter and docs/data-plane.md. */
enum counter {
	COUNTER_ENCAPSULATED,
	COUNTER_DECAPSULATED,
	COUNTER_PUNTED,
	COUNTER_PUNT_LIMITED,
	COUNTER_PUNT_NO_DEVICE,
	COUNTER_NO_FORWARD,
	COUNTER_NO_TUNNEL,
	COUNTER_NO_ROUTE,
	COUNTER_TUNNEL_LOOP,
	COUNTER_TOO_BIG,
	COUNTER_REVERSE_CHECK,
	COUNTER_ECN_DROPPED,
	COUNTER_MALFORMED,
	COUNTER_FRAGMENT,
	COUNTER_ENCAPSULATE_FAILED,
	COUNTER_DECAPSULATE_FAILED,
	COUNTER_LINK_SCOPE,
	COUNTER_NOT_A_MEMBER,
	COUNTER_MEMBER_NO_FORWARD,
	COUNTER_NAT_UNKNOWN,
	COUNTER_TO_FRAGMENT,
	COUNTER_FRAGMENTS_LIMITED,
	COUNTER_CUT,
	COUNTER_COUNT,
};

/* The programs' own: a route that they have asked for. */
struct route {
	__u64 jiffies; /* when; no older one is used */
	struct address source;
	struct address destination;
	__be32 first_word; /* traffic class and flow label */
	__u32 in_interface;
	__u32 protocol;
	__u32 mtu; /* 0: not known */
	struct bpf_fib_lookup answer;
};

#endif
