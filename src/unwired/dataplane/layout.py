"""The rows of the BPF maps as bytes: bpf/rows.h in Python, compared with the object's BTF by a test."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

ROWS_LAYOUT = 1
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
FORWARD_ROW = Layout("forward_row", (("tunnel", "I"), ("flags", "I")))
TUNNEL_ROW = Layout(
    "tunnel_row",
    (
        ("local", "16s"),
        ("peer", "16s"),
        ("interface", "I"),
        ("mtu", "I"),
        ("encapsulation", "H"),
        ("local_port", "H"),
        ("peer_port", "H"),
        ("flags", "H"),
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
LAYOUTS = (
    FORWARD_KEY,
    FORWARD_ROW,
    TUNNEL_ROW,
    TUNNEL_COUNTERS,
    ACCEPT_KEY,
    ACCEPT_ROW,
    LISTEN_KEY,
    LISTEN_ROW,
    SETTINGS,
)


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
    LINK_SCOPE = 16
    """The kernel could not take the outer headers off."""
