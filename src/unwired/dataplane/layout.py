"""The rows of the BPF maps as bytes: bpf/rows.h in Python, compared with the object's BTF by a test."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

ROWS_LAYOUT = 2
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
        ("local_port", "H"),
        ("peer_port", "H"),
        ("unused", "H"),
    ),
)
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
        ("outer_port", "I"),
        ("flags", "I"),
    ),
)
ACCEPT_ROW = Layout("accept_row", (("tunnel", "I"), ("flags", "I")))
LISTEN_KEY = Layout("listen_key", (("plane", "I"), ("flags", "I"), ("address", "16s")))
LISTEN_ROW = Layout("listen_row", (("flags", "I"),))
LISTEN_TO_MEMBERS = 1
"""Flag of a listen row: tunnels to the address are opened for members only."""
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
    """No IPv6 header where there must be one."""
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
