"""What the daemon may make in the kernel's network configuration: one small class each, made and unmade by netlink.

Every route and rule carries ``PROTOCOL``, so that a person (and a host manager) sees whose it is. Objects are values:
equal objects are the same thing in the kernel, and ``of_message`` gives the object that a netlink message is about.
Addresses and prefix lengths are those of the v4-mapped form where they are IPv4, and say the family; an address that is
left out is UNSPECIFIED in both.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from unwired.host import netlink
from unwired.host.netlink import Message, Netlink
from unwired.wire.address import (
    IPV4_BITS,
    UNSPECIFIED,
    UNSPECIFIED_IPV4,
    Address,
    format_address,
    format_prefix,
    is_ipv4,
    parse_address,
)

PROTOCOL: Final = 77
"""Our number as the origin of routes and rules (rtm_protocol); the kernel's list has none for mobility."""
MAIN_TABLE: Final = 254
METRIC: Final = 64
"""Better than router advertisements (1024) and host managers (100 and up)."""

NTF_PROXY = 0x08
_IFA_F_NODAD = 0x02
_RTN_UNICAST, _RTN_THROW = 1, 9
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 0, 253, 255
_RTNH_F_ONLINK = 4
_FR_ACT_TO_TBL = 1
_OWN_PACKETS = "lo"
"""The interface that packets of this host come in by, as rules see it."""
_SYSCTL = Path("/proc/sys")


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address on an interface, without duplicate address detection."""

    interface: int
    address: Address
    length: int
    TAG: ClassVar[str] = "address"

    def make(self, kernel: Netlink) -> None:
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        more = {} if is_ipv4(self.address) else {"IFA_FLAGS": _IFA_F_NODAD}
        kernel.change(netlink.RTM_NEWADDR, flags, self._fields(), self._attributes() | more)

    def unmake(self, kernel: Netlink) -> None:
        kernel.change(netlink.RTM_DELADDR, 0, self._fields(), self._attributes())

    def _fields(self) -> dict[str, Any]:
        length = _wire_length(self.address, self.length)
        return {"family": _family(self.address), "prefixlen": length, "index": self.interface}

    def _attributes(self) -> dict[str, Any]:
        text = format_address(self.address)
        return {"IFA_LOCAL": text, "IFA_ADDRESS": text}

    def __str__(self) -> str:
        return f"address {format_prefix(self.address, self.length)} on interface {self.interface}"


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A route; ``gateway`` and ``source`` (the address that new connections take) unspecified: none. ``interface`` 0 is
    a throw route: the lookup goes on with the next rule."""

    table: int
    destination: Address
    length: int
    interface: int
    gateway: Address = UNSPECIFIED
    source: Address = UNSPECIFIED
    TAG: ClassVar[str] = "route"

    def make(self, kernel: Netlink) -> None:
        fields = self._fields()
        if is_ipv4(self.destination):
            direct = self.interface and self.gateway == UNSPECIFIED
            fields["scope"] = _RT_SCOPE_LINK if direct else _RT_SCOPE_UNIVERSE
            # A gateway that DHCP or a person gave need not be in the prefix of an address.
            fields["flags"] = 0 if self.gateway == UNSPECIFIED else _RTNH_F_ONLINK
        kernel.change(netlink.RTM_NEWROUTE, netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE, fields, self._attributes())

    def unmake(self, kernel: Netlink) -> None:
        kernel.change(netlink.RTM_DELROUTE, 0, self._fields() | {"scope": _RT_SCOPE_NOWHERE}, self._attributes())

    def _fields(self) -> dict[str, Any]:
        return {
            "family": _family(self.destination),
            "dst_len": _wire_length(self.destination, self.length),
            "table": min(self.table, 255),
            "proto": PROTOCOL,
            "type": _RTN_UNICAST if self.interface else _RTN_THROW,
        }

    def _attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {"RTA_TABLE": self.table, "RTA_PRIORITY": METRIC}
        if _wire_length(self.destination, self.length):
            attributes["RTA_DST"] = format_address(self.destination)
        if self.interface:
            attributes["RTA_OIF"] = self.interface
        if self.gateway != UNSPECIFIED:
            attributes["RTA_GATEWAY"] = format_address(self.gateway)
        if self.source != UNSPECIFIED:
            attributes["RTA_PREFSRC"] = format_address(self.source)
        return attributes

    def __str__(self) -> str:
        text = f"route {format_prefix(self.destination, self.length)} in table {self.table}"
        if self.gateway != UNSPECIFIED:
            text += f" via {format_address(self.gateway)}"
        return text + (f" to interface {self.interface}" if self.interface else " (throw)")


@dataclass(frozen=True, slots=True)
class HostRule:
    """Packets from ``source``/``length`` (no bits: all of the family) are routed by ``table``. ``suppress_length`` n:
    routes of that table with a prefix of n bits or fewer (as IPv4 counts them) do not count; -1: all count.
    ``own_only``: packets that this host forwards are not concerned."""

    priority: int
    table: int
    source: Address = UNSPECIFIED
    length: int = 0
    suppress_length: int = -1
    own_only: bool = False
    TAG: ClassVar[str] = "rule"

    def make(self, kernel: Netlink) -> None:
        kernel.change(
            netlink.RTM_NEWRULE, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL, self._fields(), self._attributes()
        )

    def unmake(self, kernel: Netlink) -> None:
        kernel.change(netlink.RTM_DELRULE, 0, self._fields(), self._attributes())

    def _fields(self) -> dict[str, Any]:
        return {
            "family": _family(self.source),
            "src_len": _wire_length(self.source, self.length),
            "table": min(self.table, 255),
            "action": _FR_ACT_TO_TBL,
        }

    def _attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "FRA_TABLE": self.table,
            "FRA_PRIORITY": self.priority,
            "FRA_PROTOCOL": PROTOCOL,
        }
        if _wire_length(self.source, self.length):
            attributes["FRA_SRC"] = format_address(self.source)
        if self.suppress_length >= 0:
            attributes["FRA_SUPPRESS_PREFIXLEN"] = self.suppress_length
        if self.own_only:
            attributes["FRA_IIFNAME"] = _OWN_PACKETS
        return attributes

    def __str__(self) -> str:
        all_of = "all IPv4" if is_ipv4(self.source) else "all"
        source = format_prefix(self.source, self.length) if _wire_length(self.source, self.length) else all_of
        return f"rule {self.priority} from {source} to table {self.table}"


@dataclass(frozen=True, slots=True)
class ProxyNeighbour:
    """Neighbour solicitations for ``address`` on an interface, or ARP requests, are answered in its place."""

    interface: int
    address: Address
    TAG: ClassVar[str] = "proxy_neighbour"

    def make(self, kernel: Netlink) -> None:
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        kernel.change(netlink.RTM_NEWNEIGH, flags, self._fields(), self._attributes())

    def unmake(self, kernel: Netlink) -> None:
        kernel.change(netlink.RTM_DELNEIGH, 0, self._fields(), self._attributes())

    def _fields(self) -> dict[str, Any]:
        return {"family": _family(self.address), "ifindex": self.interface, "flags": NTF_PROXY}

    def _attributes(self) -> dict[str, Any]:
        return {"NDA_DST": format_address(self.address)}

    def __str__(self) -> str:
        return f"proxy neighbour {format_address(self.address)} on interface {self.interface}"


@dataclass(frozen=True, slots=True)
class AddressLabel:
    """A label for source address selection (RFC 6724 section 2.1), of the addresses in an IPv6 prefix."""

    prefix: Address
    length: int
    label: int
    TAG: ClassVar[str] = "address_label"

    def make(self, kernel: Netlink) -> None:
        flags = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        kernel.change(netlink.RTM_NEWADDRLABEL, flags, self._fields(), self._attributes())

    def unmake(self, kernel: Netlink) -> None:
        kernel.change(netlink.RTM_DELADDRLABEL, 0, self._fields(), self._attributes())

    def _fields(self) -> dict[str, Any]:
        return {"family": socket.AF_INET6, "prefixlen": self.length}

    def _attributes(self) -> dict[str, Any]:
        return {"IFAL_ADDRESS": format_address(self.prefix), "IFAL_LABEL": self.label}

    def __str__(self) -> str:
        return f"address label {self.label} of {format_address(self.prefix)}/{self.length}"


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting below /proc/sys; the value it had before is restored."""

    name: str
    value: str
    TAG: ClassVar[str] = "sysctl"

    def exists(self) -> bool:
        return (_SYSCTL / self.name).exists()

    def read(self) -> str:
        return (_SYSCTL / self.name).read_text().strip()

    def write(self, value: str) -> None:
        (_SYSCTL / self.name).write_text(value)

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


NetlinkObject = HostAddress | HostRoute | HostRule | ProxyNeighbour | AddressLabel
KernelObject = NetlinkObject | Sysctl
CLASSES: Final[dict[str, type[KernelObject]]] = {
    kind.TAG: kind for kind in (HostAddress, HostRoute, HostRule, ProxyNeighbour, AddressLabel, Sysctl)
}


def of_message(message: Message) -> NetlinkObject | None:
    """The object that a netlink message (new or deleted address, route, rule, neighbour) is about, as far as it could
    be one of ours."""
    kind = message["header"]["type"]
    if message["family"] not in (socket.AF_INET, socket.AF_INET6):
        return None
    anything, bits = (UNSPECIFIED_IPV4, IPV4_BITS) if message["family"] == socket.AF_INET else (UNSPECIFIED, 0)
    if kind in (netlink.RTM_NEWADDR, netlink.RTM_DELADDR):
        address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        return HostAddress(message["index"], parse_address(address), bits + message["prefixlen"])
    if kind in (netlink.RTM_NEWROUTE, netlink.RTM_DELROUTE):
        if message["proto"] != PROTOCOL:
            return None
        return HostRoute(
            message.get_attr("RTA_TABLE"),
            _packed(message.get_attr("RTA_DST"), anything),
            bits + message["dst_len"],
            0 if message["type"] == _RTN_THROW else message.get_attr("RTA_OIF") or 0,
            _packed(message.get_attr("RTA_GATEWAY")),
            _packed(message.get_attr("RTA_PREFSRC")),
        )
    if kind in (netlink.RTM_NEWRULE, netlink.RTM_DELRULE):
        if message.get_attr("FRA_PROTOCOL") != PROTOCOL:
            return None
        suppress = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
        return HostRule(
            message.get_attr("FRA_PRIORITY") or 0,
            message.get_attr("FRA_TABLE"),
            _packed(message.get_attr("FRA_SRC"), anything),
            bits + message["src_len"],
            -1 if suppress is None or suppress == 2**32 - 1 else suppress,
            message.get_attr("FRA_IIFNAME") == _OWN_PACKETS,
        )
    if kind in (netlink.RTM_NEWNEIGH, netlink.RTM_DELNEIGH) and message["flags"] & NTF_PROXY:
        return ProxyNeighbour(message["ifindex"], _packed(message.get_attr("NDA_DST")))
    return None


def _family(address: Address) -> int:
    return socket.AF_INET if is_ipv4(address) else socket.AF_INET6


def _wire_length(address: Address, length: int) -> int:
    """A prefix length as the kernel counts it."""
    return length - IPV4_BITS if is_ipv4(address) else length


def _packed(text: str | None, otherwise: Address = UNSPECIFIED) -> Address:
    return parse_address(text) if text else otherwise
