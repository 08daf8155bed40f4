"""The raw sockets: those that send whole packets as engines made them, and one that hears ICMPv6."""

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator

from unwired.core.tunnel_echo import IDENTIFIER
from unwired.wire.address import UNSPECIFIED, Address, format_address, is_ipv4, is_link_local, is_multicast

_IPPROTO_ICMPV6 = socket.IPPROTO_ICMPV6
_IPV6_PKTINFO = socket.IPV6_PKTINFO
_IPV6_HOPLIMIT = socket.IPV6_HOPLIMIT
_ICMP6_FILTER = 1
_SO_BINDTOIFINDEX = 62
_IPV6_MULTICAST_ALL = 29
_HEADER = struct.Struct("!IHBB16s16s")
_PKTINFO = struct.Struct("=16si")
_PKTINFO_IPV4 = struct.Struct("=i4s4s")
_IP_PKTINFO = 8
_ECHO_REPLY, _ROUTER_SOLICITATION, _NEIGHBOR_ADVERTISEMENT = 129, 133, 136
_ETH_P_IPV6 = 0x86DD
_SEND_BUFFER = 4 << 20
_HEARD_MAX = 1 << 14
"""Bytes of what is heard: answers to path MTU probes may be as long as a link's packets."""
_SO_ATTACH_FILTER = 26
BATCH = 64
"""How many packets a readable socket is asked for at most before others get their turn."""


class Sender:
    """Sends packets that start with their IPv6 or IPv4 header. ``by_source`` lets rules about the source address choose
    the route, as a mobile node with several care-of addresses needs it."""

    def __init__(self, by_source: bool) -> None:
        self._by_source = by_source
        self._socket = _raw_socket()
        self._socket_ipv4 = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
        self._socket_ipv4.setblocking(False)
        self._socket_ipv4.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._link_socket: socket.socket | None = None
        self._bound: dict[int, socket.socket] = {}

    def close(self) -> None:
        self._socket.close()
        self._socket_ipv4.close()
        for bound in self._bound.values():
            bound.close()
        if self._link_socket is not None:
            self._link_socket.close()

    def send(self, data: bytes, source: Address, destination: Address, interface: int) -> None:
        """``source`` and ``destination`` are those of the outermost header; an IPv4 header's checksum is filled in.
        Raises OSError. A full queue drops the packet like any router would: peers retransmit."""
        if is_ipv4(destination):
            self._send_ipv4(data, source, destination, interface)
            return
        target = (socket.inet_ntop(socket.AF_INET6, destination), 0, 0, 0)
        if not interface and not self._by_source:
            self._socket.sendto(data, target)
            return
        if source == UNSPECIFIED and interface and is_multicast(destination):
            self._send_on_link(data, destination, interface)
            return
        # Rules about the source count only when the kernel is told of it here; it does not read our header for that.
        named = UNSPECIFIED if is_link_local(source) or is_multicast(source) else source
        try:
            self._send_from(data, target, named, interface)
        except OSError as error:
            if error.errno != errno.EINVAL or named == UNSPECIFIED:
                raise
            # Not (yet) an address of ours: sent by interface alone.
            self._send_from(data, target, UNSPECIFIED, interface)

    def _send_ipv4(self, data: bytes, source: Address, destination: Address, interface: int) -> None:
        target = (format_address(destination), 0)
        if not interface and not self._by_source:
            self._socket_ipv4.sendto(data, target)
            return
        try:
            self._send_ipv4_from(data, target, source[12:], interface)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._send_ipv4_from(data, target, bytes(4), interface)  # not an address of ours (any more)

    def _send_ipv4_from(self, data: bytes, target: tuple[str, int], source: bytes, interface: int) -> None:
        control = (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO_IPV4.pack(interface, source, bytes(4)))
        self._socket_ipv4.sendmsg([data], [control], 0, target)

    def _send_on_link(self, data: bytes, group: Address, interface: int) -> None:
        """To a multicast group from no address at all, as before the first address of an interface is ready: routing
        refuses that, so it goes out below it (group addresses: RFC 2464 section 7)."""
        if self._link_socket is None:
            self._link_socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
            self._link_socket.setblocking(False)
        name = socket.if_indextoname(interface)
        self._link_socket.sendto(data, (name, _ETH_P_IPV6, 0, 0, b"\x33\x33" + group[12:]))

    def _send_from(self, data: bytes, target: tuple[str, int, int, int], source: Address, interface: int) -> None:
        control = (socket.IPPROTO_IPV6, _IPV6_PKTINFO, _PKTINFO.pack(source, interface))
        try:
            self._socket_of(interface).sendmsg([data], [control], 0, target)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO) and interface in self._bound:
                self._bound.pop(interface).close()  # the interface is gone; its number may come back
            raise

    def _socket_of(self, interface: int) -> socket.socket:
        """With a source address given, the kernel takes an interface in the ancillary data as a mere wish: routes of
        other interfaces win over it. Only a socket bound to the interface keeps to it."""
        if not interface:
            return self._socket
        bound = self._bound.get(interface)
        if bound is None:
            bound = self._bound[interface] = _raw_socket()
            bound.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, interface)
        return bound


_OUR_ECHO_REPLIES = (
    (0x30, 0, 0, 0),  # the type
    (0x15, 0, 2, _ECHO_REPLY),
    (0x28, 0, 0, 4),  # the identifier
    (0x15, 0, 1, IDENTIFIER),
    (0x06, 0, 0, 0xFFFF_FFFF),  # all of the message
    (0x06, 0, 0, 0),
)
"""A classic BPF program (linux/filter.h): of echo replies only those to our requests, not to this host's every ping."""


def _attach_filter(to: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def _raw_socket() -> socket.socket:
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
    raw.setblocking(False)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    return raw


class NeighborDiscovery:
    """Router and neighbour solicitations and advertisements that this host receives, and the answers to our echo
    requests, as whole packets."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _IPPROTO_ICMPV6)
        self._socket.setblocking(False)
        blocked = [0xFFFFFFFF] * 8
        for kind in (_ECHO_REPLY, *range(_ROUTER_SOLICITATION, _NEIGHBOR_ADVERTISEMENT + 1)):
            blocked[kind >> 5] &= ~(1 << (kind & 31))
        self._socket.setsockopt(_IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
        _attach_filter(self._socket, _OUR_ECHO_REPLIES)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        # Whatever any socket joined arrives here too, so memberships may live in others: one holds only so many.
        self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 1)
        self._members: dict[tuple[int, Address], socket.socket] = {}
        self._holders: list[socket.socket] = []

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        for holder in self._holders:
            holder.close()

    def read(self) -> Iterator[tuple[bytes, int]]:
        """Packets from their IPv6 header on, each with the interface it came in by. The kernel keeps the header, so it
        is written again from what it tells about it; checksums have been verified."""
        for _ in range(BATCH):
            try:
                data, ancillary, _, (sender, *_) = self._socket.recvmsg(_HEARD_MAX, 128)
            except BlockingIOError:
                return
            destination, interface, hop_limit = UNSPECIFIED, 0, 0
            for _, kind, value in ancillary:
                if kind == _IPV6_PKTINFO:
                    destination, interface = _PKTINFO.unpack(value)
                elif kind == _IPV6_HOPLIMIT:
                    (hop_limit,) = struct.unpack("=i", value)
            source = socket.inet_pton(socket.AF_INET6, sender.partition("%")[0])
            header = _HEADER.pack(6 << 28, len(data), _IPPROTO_ICMPV6, hop_limit, source, destination)
            yield header + data, interface

    def join(self, interface: int, group: Address) -> None:
        """Raises OSError."""
        if (interface, group) in self._members:
            return
        membership = group + struct.pack("=i", interface)
        for holder in reversed(self._holders):
            try:
                holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.ENOMEM):
                    raise
                break  # the newest is full
            self._members[interface, group] = holder
            return
        holder = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._holders.append(holder)
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        self._members[interface, group] = holder

    def leave(self, interface: int, group: Address) -> None:
        holder = self._members.pop((interface, group), None)
        if holder is None:
            return
        try:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, group + struct.pack("=i", interface))
        except OSError as error:
            # The interface is gone, and its memberships with it.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise OSError(error.errno, f"leaving {format_address(group)}: {error.strerror}") from None
