"""The host as checks see it: what it is to become, and its state, read when it is first asked for and then kept."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from unwired.core.settings import Prefix
from unwired.dataplane.devices import tunnel_devices
from unwired.host import netlink
from unwired.host.config import Config, HomeAgentConfig, MobileNodeConfig
from unwired.host.config_models import DaemonSection
from unwired.host.netlink import Message, Netlink
from unwired.wire.address import IPV4_BITS, UNSPECIFIED_IPV4, Address, is_ipv4, is_unicast_routable, parse_address

_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_MAIN_TABLE = 254
_CONTROL_TIMEOUT_S = 3.0


class Role(StrEnum):
    HOME_AGENT = "home_agent"
    MOBILE_NODE = "mobile_node"


class Capability(IntEnum):
    """What the daemon needs of what root may (linux/capability.h)."""

    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_SYS_ADMIN = 21


@dataclass(slots=True)
class Interface:
    """``kind`` is the kernel's word for a virtual one (``veth``, ``sit``); empty for hardware. ``addresses``: address
    -> prefix length."""

    index: int
    name: str
    mtu: int
    up: bool
    kind: str
    has_xdp: bool
    addresses: dict[Address, int] = field(default_factory=dict)

    def networks(self) -> Iterator[Prefix]:
        """Its addresses, each with the length of the prefix that is on the link; v4-mapped, as everywhere."""
        for address, length in self.addresses.items():
            bits = length + IPV4_BITS if is_ipv4(address) else length
            if bits < 128:
                yield address, bits

    def routable(self, ipv4: bool) -> list[Address]:
        return [address for address in self.addresses if is_ipv4(address) == ipv4 and is_unicast_routable(address)]


class Host:
    """``roles`` are those examined: the configuration's, or both. Netlink and /proc are read in the network namespace
    of the calling thread."""

    def __init__(self, config: Config | None) -> None:
        self.config = config
        self.roles = frozenset(Role) if config is None else frozenset({Role(config.role_name)})

    @property
    def home_agent(self) -> HomeAgentConfig | None:
        role = None if self.config is None else self.config.role
        return role if isinstance(role, HomeAgentConfig) else None

    @property
    def mobile_node(self) -> MobileNodeConfig | None:
        role = None if self.config is None else self.config.role
        return role if isinstance(role, MobileNodeConfig) else None

    @property
    def home_prefixes(self) -> tuple[Prefix, ...]:
        """Those that a home agent serves; empty for a mobile node."""
        if self.home_agent is None:
            return ()
        settings = self.home_agent.settings
        return *((home.prefix, home.length) for home in settings.home_prefixes), *settings.home_prefixes_ipv4

    @property
    def home_addresses(self) -> tuple[Address, ...]:
        """Those that a mobile node knows before it has registered; empty for a home agent."""
        if self.mobile_node is None:
            return ()
        settings = self.mobile_node.settings
        given = settings.home_address_ipv4
        return (settings.home_address,) if given in (None, UNSPECIFIED_IPV4) else (settings.home_address, given)

    @property
    def has_ipv4_home_addresses(self) -> bool:
        if self.home_agent is not None:
            return self.home_agent.has_ipv4_home_addresses
        return self.mobile_node is not None and self.mobile_node.settings.home_address_ipv4 is not None

    @property
    def uses_ipv4(self) -> bool:
        """Whether the configuration wants tunnels over IPv4."""
        if self.home_agent is not None:
            return self.home_agent.settings.address_ipv4 is not None
        return self.mobile_node is not None and self.mobile_node.settings.home_agent_ipv4 is not None

    @property
    def uses_shortcut(self) -> bool:
        return DaemonSection().shortcut if self.config is None else self.config.daemon.shortcut

    # --- rights -------------------------------------------------------------------------------------------------------

    @cached_property
    def lacks(self) -> list[str]:
        """Which of the capabilities this process has not got."""
        (line,) = [line for line in _text("/proc/self/status").splitlines() if line.startswith("CapEff:")]
        effective = int(line.split()[1], 16)
        return [each.name for each in Capability if not effective >> each & 1]

    @property
    def is_root(self) -> bool:
        """Root with what root usually may: in a container often not."""
        return os.geteuid() == 0 and not self.lacks

    # --- network ------------------------------------------------------------------------------------------------------

    @cached_property
    def interfaces(self) -> list[Interface]:
        """All but loopback."""
        kernel = Netlink()
        found = {}
        for link in kernel.dump(netlink.RTM_GETLINK, socket.AF_UNSPEC):
            if link["flags"] & _IFF_LOOPBACK:
                continue
            information, xdp = link.get_attr("IFLA_LINKINFO"), link.get_attr("IFLA_XDP")
            found[link["index"]] = Interface(
                link["index"],
                link.get_attr("IFLA_IFNAME"),
                link.get_attr("IFLA_MTU") or 0,
                bool(link["flags"] & _IFF_UP),
                (information and information.get_attr("IFLA_INFO_KIND")) or "",
                bool(xdp and xdp.get_attr("IFLA_XDP_ATTACHED")),
            )
        for family in (socket.AF_INET6, socket.AF_INET):
            for message in kernel.dump(netlink.RTM_GETADDR, family):
                if message["family"] == family and message["index"] in found:
                    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
                    found[message["index"]].addresses[parse_address(text)] = message["prefixlen"]
        kernel.close()
        return list(found.values())

    @cached_property
    def default_routes(self) -> dict[bool, set[int]]:
        """The interfaces of default routes in the main table; the key says whether of IPv4."""
        kernel = Netlink()
        found = {ipv4: set(_default_routes(kernel, ipv4)) for ipv4 in (False, True)}
        kernel.close()
        return found

    @property
    def tunnel_device(self) -> str:
        return DaemonSection().tunnel_device if self.config is None else self.config.daemon.tunnel_device

    @property
    def named_uplinks(self) -> tuple[str, ...]:
        """Those that the configuration names."""
        if self.config is None:
            return ()
        return self.config.daemon.uplinks or (self.mobile_node.settings.interfaces if self.mobile_node else ())

    @cached_property
    def uplinks(self) -> list[Interface]:
        """The interfaces that connect this host: those that the configuration names, else those with a default route,
        else all that are up."""
        if self.named_uplinks:
            return [interface for interface in self.interfaces if interface.name in self.named_uplinks]
        punt = f"{self.tunnel_device}-ctl" if self.config is None else self.config.daemon.punt_device
        ours = {*tunnel_devices(self.tunnel_device), punt}
        routed = set().union(*self.default_routes.values())
        candidates = [interface for interface in self.interfaces if interface.up and interface.name not in ours]
        return [interface for interface in candidates if interface.index in routed] or candidates

    def sysctl(self, name: str) -> str | None:
        """A setting below /proc/sys, ``name`` with slashes; None where it is missing or may not be read."""
        try:
            return Path("/proc/sys", name).read_text().strip()
        except OSError:
            return None

    # --- programs -----------------------------------------------------------------------------------------------------

    @cached_property
    def programs(self) -> frozenset[str]:
        """The names of the processes that run here, as far as they can be seen."""
        return frozenset(_text(path).strip() for path in Path("/proc").glob("[0-9]*/comm"))

    @cached_property
    def status(self) -> dict[str, Any] | None:
        """What the configuration's daemon answers to ``unwired status``, if it runs and we may ask it."""
        if self.config is None:
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONTROL_TIMEOUT_S)
            try:
                connection.connect(str(self.config.daemon.control_socket))
                connection.sendall(b'{"schema": "unwired.request/1", "verb": "status"}\n')
                with connection.makefile("r", encoding="utf-8") as lines:
                    answer = json.loads(lines.readline())
            except (OSError, ValueError):
                return None
        return answer if isinstance(answer, dict) and "engine" in answer else None


def _default_routes(kernel: Netlink, ipv4: bool) -> Iterator[int]:
    for route in kernel.dump(netlink.RTM_GETROUTE, socket.AF_INET if ipv4 else socket.AF_INET6):
        if route["dst_len"] or route.get_attr("RTA_TABLE") != _MAIN_TABLE:
            continue
        hops: list[Message] = route.get_attr("RTA_MULTIPATH") or []
        yield from (hop["oif"] for hop in hops)
        if route.get_attr("RTA_OIF"):
            yield route.get_attr("RTA_OIF")


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""  # a process that has just ended
