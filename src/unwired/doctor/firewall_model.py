"""A network namespace that looks like the host to its packet filter: interfaces of the same names and addresses, and
packets that are put on them and looked for where they should come out."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from unwired.dataplane import devices
from unwired.doctor.host import Interface
from unwired.doctor.scratch import Trial
from unwired.host import netlink
from unwired.host.netlink import NLM_F_CREATE, NLM_F_REPLACE, Netlink
from unwired.wire.address import IPV4_BITS, UNSPECIFIED, Address, format_address, is_ipv4

PORT = 7777
"""UDP port of both ends of the connection whose replies are tried."""
_IFF_UP = 0x1
_IFA_F_NODAD = 0x02
_MAIN_TABLE, _HOME_TABLE = 254, 77
_BOOT, _UNICAST, _TO_TABLE = 3, 1, 1


class Way(StrEnum):
    """Through which hooks of the filter a packet goes."""

    OUT = "out"
    """From this host, by the uplink."""
    IN = "in"
    """By the uplink, to this host."""
    TO_HOME = "to_home"
    """By the uplink, to the tunnel device."""
    FROM_HOME = "from_home"
    """Out of a tunnel, which to the filter is: by the uplink, and out by it again."""
    REPLY = "reply"
    """By the uplink, out of a tunnel, to this host's home address: the answer to a packet into the tunnel device."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the host is like. ``own`` are addresses of the tunnel device, ``prefixes`` those routed into it."""

    interfaces: tuple[Interface, ...]
    uplink: str
    tunnel_device: str
    own: tuple[Address, ...]
    prefixes: tuple[tuple[Address, int], ...]


class Model:
    """Made in the namespace of the calling thread, in which there is nothing yet. Raises OSError and DataplaneError."""

    def __init__(self, place: Place) -> None:
        self._kernel = Netlink()
        self._kernel.change(netlink.RTM_NEWLINK, 0, {"index": 1, "flags": _IFF_UP, "change": _IFF_UP}, {})
        for name in ("ipv6/conf/all/forwarding", "ipv4/ip_forward"):
            Path("/proc/sys/net", name).write_text("1")
        # Opened before they come up: one that gets its carrier later sends nothing until the kernel has noticed.
        self._uplink = devices.open_punt_device(place.uplink)
        self._tunnel = devices.open_punt_device(place.tunnel_device)
        numbers = {each.name: self._make(each.name, each.addresses) for each in place.interfaces}
        numbers[place.tunnel_device] = tunnel = self._make(
            place.tunnel_device, {each: 32 if is_ipv4(each) else 128 for each in place.own}
        )
        for family in (socket.AF_INET6, socket.AF_INET):
            self._route(family, UNSPECIFIED, 0, numbers[place.uplink])
        for prefix, length in place.prefixes:
            if is_ipv4(prefix):
                self._route(socket.AF_INET, prefix, length - IPV4_BITS, tunnel)
            else:
                self._route(socket.AF_INET6, prefix, length, tunnel)
        for address in place.own:
            family, bits = (socket.AF_INET, 32) if is_ipv4(address) else (socket.AF_INET6, 128)
            fields = {"family": family, "src_len": bits, "table": _HOME_TABLE, "action": _TO_TABLE}
            self._kernel.change(netlink.RTM_NEWRULE, NLM_F_CREATE, fields, {"FRA_SRC": format_address(address)})
            self._route(family, UNSPECIFIED, 0, tunnel, _HOME_TABLE)

    def close(self) -> None:
        self._kernel.close()
        os.close(self._uplink)
        os.close(self._tunnel)

    @contextmanager
    def trial(self, way: Way, packet: bytes, after: bytes) -> Iterator[Trial]:
        """Of a packet that is sent behind ``after``, which goes out, unless that is empty."""
        is_ipv6 = packet[0] >> 4 == 6
        family, body = (socket.AF_INET6, packet[40:]) if is_ipv6 else (socket.AF_INET, packet[20:])
        protocol = packet[6] if is_ipv6 else packet[9]
        with ExitStack() as held:

            def opened(kind: socket.SocketKind, number: int) -> socket.socket:
                return held.enter_context(socket.socket(family, kind | socket.SOCK_CLOEXEC, number))

            sender, end = opened(socket.SOCK_RAW, socket.IPPROTO_RAW), self._uplink
            before = partial(_send, sender, after, _destination(after)) if after else _nothing
            send: Callable[[], object] = partial(os.write, self._uplink, packet)
            match way:
                case Way.OUT:
                    send = partial(_send, sender, packet, _destination(packet))
                case Way.IN:
                    end = opened(socket.SOCK_RAW, protocol).fileno()
                case Way.TO_HOME:
                    end = self._tunnel
                case Way.REPLY:
                    connection = opened(socket.SOCK_DGRAM, 0)
                    connection.bind((_destination(packet)[0], PORT))
                    before = partial(_send, connection, b"asked", (_source(packet)[0], PORT))
                    end, body = connection.fileno(), body[8:]
            yield Trial(lambda: (before(), send()), end, lambda data: data.endswith(body))

    def _make(self, name: str, addresses: dict[Address, int]) -> int:
        index = devices.create_punt_device(name)
        Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6").write_text("0")
        for address, length in addresses.items():
            family = socket.AF_INET if is_ipv4(address) else socket.AF_INET6
            fields = {"family": family, "index": index, "prefixlen": length, "flags": _IFA_F_NODAD}
            text = format_address(address)
            attributes = {"IFA_LOCAL": text, "IFA_ADDRESS": text}
            self._kernel.change(netlink.RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, fields, attributes)
        return index

    def _route(
        self, family: socket.AddressFamily, prefix: Address, length: int, index: int, table: int = _MAIN_TABLE
    ) -> None:
        fields = {"family": family, "dst_len": length, "table": table, "proto": _BOOT, "type": _UNICAST}
        destination = {"RTA_DST": format_address(prefix)} if length else {}
        flags = NLM_F_CREATE | NLM_F_REPLACE
        self._kernel.change(netlink.RTM_NEWROUTE, flags, fields, {**destination, "RTA_OIF": index})


def _source(packet: bytes) -> tuple[str, int]:
    if packet[0] >> 4 == 6:
        return socket.inet_ntop(socket.AF_INET6, packet[8:24]), 0
    return socket.inet_ntop(socket.AF_INET, packet[12:16]), 0


def _destination(packet: bytes) -> tuple[str, int]:
    if packet[0] >> 4 == 6:
        return socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0
    return socket.inet_ntop(socket.AF_INET, packet[16:20]), 0


def _nothing() -> None:
    pass


def _send(by: socket.socket, data: bytes, to: tuple[str, int]) -> None:
    with suppress(PermissionError):  # that is how the filter refuses
        by.sendto(data, to)
