"""The rows of the BPF maps as bytes: bpf/rows.h in Python, compared with the object's BTF by a test."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

ROWS_LAYOUT = 3
"""Increased with bpf/rows.h when a row changes its meaning without changing its size."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A C structure: ``fields`` are (name, format character(s) of ``struct``), without padding, in native order."""

    name: str
    fields: tuple[tuple[str, str], ...]
    packer: struct.Struct = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "packer", struct.Struct("=" + "".join(code for _, code in self.fields)))

    @property
    def size(self) -> int:
        return self.packer.size


FORWARD_KEY = Layout("forward_key", (("plane", "I"), ("direction", "I"), ("address", "16s")))
FORWARD_ROW = Layout("forward_row", (("tunnel", "I"), ("member", "I")))
TUNNEL_KEY = Layout("", (("number", "I"),))
"""A plain number in C."""
TUNNEL_ROW = Layout(
    "tunnel_row",
    (
        ("local", "16s"),
        ("peer", "16s"),
        ("interface", "I"),
        ("mtu", "I"),
        ("flow_label", "I"),
        ("flags", "I"),
        ("encapsulation", "H"),
        ("local_port", "2s"),
        ("peer_port", "2s"),
        ("unused", "H"),
    ),
)
"""Ports are in network order."""
TUNNEL_COUNTERS = Layout(
    "tunnel_counters",
    (("packets_sent", "Q"), ("bytes_sent", "Q"), ("packets_received", "Q"), ("bytes_received", "Q")),
)
ACCEPT_KEY = Layout(
    "accept_key",
    (
        ("plane", "I"),
        ("direction", "I"),
        ("address", "16s"),
        ("outer_source", "16s"),
        ("outer_port", "2s"),
        ("unused", "H"),
        ("flags", "I"),
    ),
)
ACCEPT_ROW = Layout("accept_row", (("tunnel", "I"), ("flags", "I")))
LISTEN_KEY = Layout("listen_key", (("plane", "I"), ("flags", "I"), ("address", "16s")))
LISTEN_ROW = Layout("listen_row", (("flags", "I"),))
LISTEN_TO_MEMBERS = 1
"""Flag of a listen row: tunnels to the address are opened for members only."""
MOBILE_PREFIX_KEY = Layout("mobile_prefix_key", (("length", "I"), ("plane", "I"), ("prefix", "16s")))
MOBILE_PREFIX_ROW = Layout("mobile_prefix_row", (("home_address", "16s"),))
PLANE_BITS = 32
"""What the length in a mobile prefix's key is more than the prefix's."""
MEMBER_KEY = Layout("member_key", (("plane", "I"), ("number", "I")))
MEMBER_ROW = Layout("member_row", (("tunnel", "I"), ("up", "I")))
MEMBER_ADDRESS_KEY = Layout("member_address_key", (("plane", "I"), ("kind", "I"), ("address", "16s")))
MEMBER_ADDRESS_ROW = Layout("member_address_row", (("member", "I"), ("tunnel", "I")))
SETTINGS = Layout(
    "settings",
    (
        ("layout", "I"),
        ("plane", "I"),
        ("punt_interface", "I"),
        ("flags", "I"),
        ("tunnel_mtu", "I"),
        ("tunnel_interface", "I"),
        ("cutting_interface", "I"),
        ("unused", "I"),
        ("punt_interval_ns", "Q"),
        ("punt_burst_ns", "Q"),
    ),
)
SETTING_SHORTCUT = 1
"""Forward from ingress to egress past the kernel's forwarding path (bpf/shortcut.h)."""
SETTING_FORWARDS = (2, 4)
"""By direction: there have been forwards of it, look them up."""
SETTING_ACCEPTS = (8, 16)
SETTING_MEMBERS = 32
"""There have been members."""
SETTING_MOBILE_PREFIXES = 64
SETTING_CLAMP_MSS = 128
"""Lower the maximum segment size of TCP connections that start through a tunnel (bpf/clamp.h)."""
MARK_FROM_MEMBER = 1 << 29
"""The bit of a packet's mark that says, on its way through the kernel, that it came from a member (bpf/members.h)."""
LAYOUTS = (
    FORWARD_KEY,
    FORWARD_ROW,
    TUNNEL_ROW,
    TUNNEL_COUNTERS,
    ACCEPT_KEY,
    ACCEPT_ROW,
    LISTEN_KEY,
    LISTEN_ROW,
    MOBILE_PREFIX_KEY,
    MOBILE_PREFIX_ROW,
    MEMBER_KEY,
    MEMBER_ROW,
    MEMBER_ADDRESS_KEY,
    MEMBER_ADDRESS_ROW,
    SETTINGS,
)


class MemberAddressKind(IntEnum):
    """Which of a member's addresses a row is about: ``enum member_address_kind``."""

    HOME_AGENT_ADDRESS = 0
    LOCATOR = 1


class Counter(IntEnum):
    """What became of packets (bpf/counters.h); their names in lower case are the keys of ``counters()``."""

    ENCAPSULATED = 0
    """Sent into a tunnel."""
    DECAPSULATED = 1
    """Taken out of a tunnel."""
    PUNTED = 2
    """Control packets given to the daemon."""
    PUNT_LIMITED = 3
    """Control packets dropped because more came than the limit lets through."""
    PUNT_NO_DEVICE = 4
    """Control packets dropped because the daemon has never set a punt device."""
    NO_FORWARD = 5
    """Reached the tunnel device although neither address has a row: a home address without binding."""
    NO_TUNNEL = 6
    """The forward row's tunnel does not exist."""
    NO_ROUTE = 7
    """The tunnel's outer addresses are not routed, or by another interface than the one it is bound to."""
    TUNNEL_LOOP = 8
    """The tunnel's peer is itself routed into the tunnel device."""
    TOO_BIG = 9
    """Larger than the tunnel's MTU or the outgoing link's, and the kernel had not said so."""
    REVERSE_CHECK = 10
    """A tunnel packet to an address of ours that no acceptance row allows: forged, or from a stale care-of address."""
    ECN_DROPPED = 11
    """Congestion experienced outside, not ECN-capable inside (RFC 6040 section 4.2)."""
    MALFORMED = 12
    """No IP header where there must be one, or lengths in it that cannot be."""
    FRAGMENT = 13
    """A fragment to an address of ours, left to the kernel."""
    ENCAPSULATE_FAILED = 14
    """The kernel could not make room."""
    DECAPSULATE_FAILED = 15
    """The kernel could not take the outer headers off."""
    LINK_SCOPE = 16
    """In a tunnel, but from or to an address that means something on one link only."""
    NOT_A_MEMBER = 17
    """In a tunnel to our locator that is no member's."""
    MEMBER_NO_FORWARD = 18
    """From a member, neither for us nor for a home address that has a row: it goes to no other member."""
    NAT_UNKNOWN = 19
    """In UDP from where nobody is known, with a home address inside that is: given to the daemon, which asks."""
    TO_FRAGMENT = 20
    """Too big, and has to pass all the same: given to the daemon whole, to be sent in fragments."""
    FRAGMENTS_LIMITED = 21
    """The same, dropped because more came than the limit lets through."""
    CUT = 22
    """Offloaded packets cut before they were encapsulated: they had come out of another kind of tunnel."""
