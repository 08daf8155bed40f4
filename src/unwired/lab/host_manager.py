"""What the network manager of a host that moves does, for all of them in one process.

A link that comes up gets IPv4 by DHCP; one that goes loses its IPv4 addresses and routes. A host with a CLAT (RFC 6877)
gets IPv4 over IPv6 where router advertisements name the prefix of a NAT64 (RFC 8781). IPv6 itself is the kernel's.

Run as ``python -m unwired.lab.host_manager SPECIFICATION``, a JSON file with ``hosts``: each has its ``name``,
``namespace`` (path), ``interfaces`` and ``clat``. Each address that is ready to be used is told on stdout, a JSON
object a line: ``at`` (CLOCK_MONOTONIC seconds), ``node``, ``interface``, ``by`` (``dhcp`` or ``clat``), ``address``.
"""

import contextlib
import json
import math
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from unwired.host import netlink
from unwired.host.netlink import NetlinkChanges
from unwired.lab import dhcp
from unwired.lab.clat import Clat
from unwired.lab.namespace import Namespace

READY = "host_manager: ready"
_METRIC = 100
"""Of the first interface's default route; the second one's is 1 more."""
_IFF_LOWER_UP = 0x10000
_ICMP6_FILTER, _ROUTER_ADVERTISEMENT = 1, 134


class _Interface:
    """One interface: the question for a lease while there is a link and no answer, and the lease."""

    def __init__(self, kernel: Any, name: str, metric: int) -> None:
        self.name = name
        self.up = False
        self.due = math.inf
        """When to ask again."""
        self._kernel = kernel
        self._metric = metric
        self.index: int = kernel.link_lookup(ifname=name)[0]
        address = kernel.get_links(self.index)[0].get_attr("IFLA_ADDRESS")
        self._hardware = bytes.fromhex(address.replace(":", ""))
        self._transaction = b""
        self._lease: dhcp.Lease | None = None
        # Opened once: to open or bind a packet socket, as most clients do for each link, takes the kernel 15 ms.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\0")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.bind(("", dhcp.CLIENT_PORT))
        self.socket.setblocking(False)

    def set_link(self, up: bool) -> None:
        if up == self.up:
            return
        self.up = up
        if up:
            self._transaction = os.urandom(dhcp.TRANSACTION_SIZE)
            self.ask()
            return
        self.due = math.inf
        if self._lease is not None:
            given, self._lease = self._lease, None
            with contextlib.suppress(NetlinkError):  # its routes go with it
                self._kernel.addr("del", index=self.index, address=given.address, prefixlen=given.prefix_length)

    def ask(self) -> None:
        self.due = time.monotonic() + dhcp.RETRANSMIT_S
        with contextlib.suppress(OSError):  # the link has gone meanwhile
            asked = dhcp.discovery(self._transaction, self._hardware)
            self.socket.sendto(asked, ("255.255.255.255", dhcp.SERVER_PORT))

    def hear(self) -> str | None:
        """The address that the datagram which has come makes ready to be used, if it does."""
        given = dhcp.lease(self.socket.recv(4096), self._transaction)
        if given is None or self._lease is not None or not self.up:
            return None
        self.due = math.inf
        with contextlib.suppress(NetlinkError):  # the link has gone meanwhile
            self._kernel.addr("add", index=self.index, address=given.address, prefixlen=given.prefix_length)
            self._lease = given
            if given.router is not None:
                way = {"gateway": given.router, "oif": self.index, "priority": self._metric}
                self._kernel.route("add", dst="default", family=socket.AF_INET, **way)
            return given.address
        return None


class _Host:
    """``watch`` is called with a descriptor and what to do when it can be read."""

    def __init__(self, specification: dict[str, Any], watch: Callable[[int, Callable[[], None]], None]) -> None:
        self._name = specification["name"]
        namespace = Namespace(Path(specification["namespace"]))
        self._kernel = namespace.netlink
        with namespace.inside():
            self._changes = NetlinkChanges()
            self._clat = Clat(self._kernel, specification["interfaces"], watch) if specification["clat"] else None
            self._advertisements = _open_advertisements()
            names = enumerate(specification["interfaces"])
            interfaces = [_Interface(self._kernel, name, _METRIC + order) for order, name in names]
        self.interfaces = {interface.index: interface for interface in interfaces}
        watch(self._changes.fileno(), self._look)
        watch(self._advertisements.fileno(), self._hear_router)
        for interface in interfaces:
            watch(interface.socket.fileno(), lambda interface=interface: self._hear_server(interface))  # type: ignore[misc]
        self._look_at(self._kernel.get_links())

    def _tell(self, interface: str, by: str, address: str) -> None:
        said = {"at": time.monotonic(), "node": self._name, "interface": interface, "by": by, "address": address}
        print(json.dumps(said), flush=True)

    def _look(self) -> None:
        messages = self._changes.read()
        self._look_at(self._kernel.get_links() if messages is None else messages)

    def _look_at(self, messages: list[Any]) -> None:
        for message in messages:
            interface = self.interfaces.get(message["index"]) if _is_link(message) else None
            if interface is None:
                continue
            interface.set_link(bool(message["flags"] & _IFF_LOWER_UP))
            if self._clat is not None and not interface.up:
                self._clat.leave(interface.index)

    def _hear_server(self, interface: _Interface) -> None:
        address = interface.hear()
        if address is not None:
            self._tell(interface.name, "dhcp", address)

    def _hear_router(self) -> None:
        data, (_, _, _, index) = self._advertisements.recvfrom(4096)
        interface = self.interfaces.get(index)
        if interface is not None and interface.up and self._clat is not None:
            address = self._clat.enter(index, data)
            if address is not None:
                self._tell(self._clat.name, "clat", address)


def _is_link(message: Any) -> bool:
    return bool(message["header"]["type"] == netlink.RTM_NEWLINK and message["family"] == socket.AF_UNSPEC)


def _open_advertisements() -> socket.socket:
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    accepted = [0xFFFFFFFF] * 8
    accepted[_ROUTER_ADVERTISEMENT >> 5] &= ~(1 << (_ROUTER_ADVERTISEMENT & 31))
    opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *accepted))
    opened.setblocking(False)
    return opened


def run(specification: dict[str, Any]) -> None:
    """Manage until SIGTERM or SIGINT."""
    stop_reader, stop_writer = os.pipe()
    os.set_blocking(stop_writer, False)
    signal.set_wakeup_fd(stop_writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(stop_reader, selectors.EVENT_READ)

    def watch(descriptor: int, what: Callable[[], None]) -> None:
        selector.register(descriptor, selectors.EVENT_READ, what)

    hosts = [_Host(host, watch) for host in specification["hosts"]]
    interfaces = [interface for host in hosts for interface in host.interfaces.values()]
    print(READY, flush=True)
    while True:
        due = min((interface.due for interface in interfaces), default=math.inf)
        timeout_s = None if due == math.inf else max(0.0, due - time.monotonic())
        for key, _ in selector.select(timeout_s):
            if key.data is None:
                signal.set_wakeup_fd(-1)
                return
            key.data()
        for interface in interfaces:
            if interface.due <= time.monotonic():
                interface.ask()


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
