"""Tunnel packets in fragments: what has to pass although the path of its tunnel does not carry it.

An inner IPv6 packet of at most 1280 bytes, or an IPv4 one that may be fragmented, is encapsulated and the outer packet
is sent in fragments (RFC 2473 sections 7.1 and 7.2). The data plane gives it to us whole (``dataplane/punted.py``) and
limits how many a second.

On the way back the programs leave fragments to the kernel, which puts them together as it does for any host, within
its own limits (ipfrag_high_thresh, ip6frag_high_thresh). Then they reach sockets here, and go back into the data plane
by the punt device, as if they had come in one piece: the reverse check is where it always is.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from unwired.core.forwarding import ForwardingAction, Listen, ListenToMembers, Unlisten, UnlistenToMembers
from unwired.dataplane.punted import TooBig
from unwired.host.sockets import BATCH, Sender
from unwired.wire.address import UNSPECIFIED_IPV4, V4_MAPPED, Address, parse_address
from unwired.wire.datagram import PORT
from unwired.wire.ipv4 import HEADER_SIZE as IPV4_HEADER
from unwired.wire.ipv4 import IPV4_IN_IP, UDP, UDP_HEADER_SIZE, encode_ipv4
from unwired.wire.ipv6 import HEADER_SIZE as IPV6_HEADER
from unwired.wire.ipv6 import IPV6_IN_IPV6

_FRAGMENT_HEADER, _FRAGMENT_HEADER_SIZE = 44, 8
_IPV6_MTU_MIN = 1280
_IPV4_MTU_MIN = 68
_MORE_IPV4, _MORE_IPV6 = 0x2000, 1
_HOP_LIMIT = 64
_PACKET_MAX = 65_535
_RECEIVE_BUFFER = 1 << 20
_IP_PKTINFO, _IP_RECVTOS = 8, 13
_PKTINFO_IPV4, _PKTINFO_IPV6 = struct.Struct("=i4s4s"), struct.Struct("=16si")


def send_in_fragments(packet: TooBig, sender: Sender) -> None:
    """Raises OSError when one can't be sent: the rest would be of no use."""
    data = packet.encapsulated()
    if data[0] >> 4 == 4:
        source, destination = V4_MAPPED + data[12:16], V4_MAPPED + data[16:20]
        fragments = _fragments_ipv4(data, packet.path_mtu)
    else:
        source, destination = data[8:24], data[24:40]
        fragments = _fragments_ipv6(data, packet.path_mtu)
    for fragment in fragments:
        sender.send(fragment, source, destination, 0)


def _fragments_ipv4(data: bytes, path_mtu: int) -> list[bytes]:
    """RFC 791 section 3.2. The header checksums are left to the sender."""
    identification = secrets.randbelow(0xFFFF) + 1
    head, body = bytearray(data[:IPV4_HEADER]), data[IPV4_HEADER:]
    size = max(path_mtu, _IPV4_MTU_MIN) - IPV4_HEADER & ~7
    fragments = []
    for at in range(0, len(body), size):
        part = body[at : at + size]
        more = _MORE_IPV4 if at + size < len(body) else 0
        struct.pack_into("!HHH", head, 2, IPV4_HEADER + len(part), identification, more | at >> 3)
        fragments.append(bytes(head) + part)
    return fragments


def _fragments_ipv6(data: bytes, path_mtu: int) -> list[bytes]:
    """RFC 8200 section 4.5, the identification as RFC 7739 section 5.1 has it: not to be guessed."""
    identification = secrets.randbits(32)
    head, body = bytearray(data[:IPV6_HEADER]), data[IPV6_HEADER:]
    protocol, head[6] = head[6], _FRAGMENT_HEADER
    size = max(path_mtu, _IPV6_MTU_MIN) - IPV6_HEADER - _FRAGMENT_HEADER_SIZE & ~7
    fragments = []
    for at in range(0, len(body), size):
        part = body[at : at + size]
        struct.pack_into("!H", head, 4, _FRAGMENT_HEADER_SIZE + len(part))
        more = _MORE_IPV6 if at + size < len(body) else 0
        fragments.append(bytes(head) + struct.pack("!BBHI", protocol, 0, at | more, identification) + part)
    return fragments


@dataclass(frozen=True, slots=True)
class _Arrived:
    """``data`` is without header, but for a raw IPv4 socket's."""

    data: bytes
    source: Address
    source_port: int
    destination: Address
    traffic_class: int
    interface: int


class Reassembled:
    """The sockets for what the kernel has put together, and the one that holds UDP port 4191 so that nobody else does.

    ``listened`` are our addresses: the programs open tunnels to those, and others are none of our business. What comes
    by the punt device has been given back already. ``given_back`` counts; ``port_problem`` says why the port is another
    program's, and that UDP packets which came in fragments are lost."""

    def __init__(self, punt_device: int, punted: int) -> None:
        """Raises OSError."""
        self.listened: set[Address] = set()
        self.given_back = 0
        self.port_problem = ""
        self._punt_device = punt_device
        self._punted = punted
        self._readers: list[tuple[socket.socket, Callable[[_Arrived], bytes]]] = []
        for protocol in (IPV6_IN_IPV6, IPV4_IN_IP):
            ipv4 = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            ipv4.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            self._readers.append((ipv4, _as_it_is))
            ipv6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            ipv6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            ipv6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
            self._readers.append((ipv6, partial(_in_ipv6, protocol)))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        udp.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
        try:
            udp.bind(("0.0.0.0", PORT))
            self._readers.append((udp, _in_udp))
        except OSError as error:
            udp.close()
            self.port_problem = error.strerror or str(error)
        loop = asyncio.get_running_loop()
        for reader, rebuild in self._readers:
            reader.setblocking(False)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            loop.add_reader(reader, self._readable, reader, rebuild)

    def close(self) -> None:
        for reader, _ in self._readers:
            asyncio.get_running_loop().remove_reader(reader)
            reader.close()

    def observe(self, action: ForwardingAction) -> None:
        """Rows of our addresses come and go."""
        match action:
            case Listen(_, address) | ListenToMembers(_, address):
                self.listened.add(address)
            case Unlisten(_, address) | UnlistenToMembers(_, address):
                self.listened.discard(address)

    def _readable(self, reader: socket.socket, rebuild: Callable[[_Arrived], bytes]) -> None:
        for _ in range(BATCH):
            try:
                arrived = _receive(reader)
            except OSError:
                return
            if arrived.interface == self._punt_device or arrived.destination not in self.listened:
                continue
            with contextlib.suppress(OSError):  # its queue is full, or somebody has shut it
                os.write(self._punted, rebuild(arrived))
                self.given_back += 1


def _receive(reader: socket.socket) -> _Arrived:
    """Raises OSError when nothing is there."""
    data, ancillary, _, sender = reader.recvmsg(_PACKET_MAX, 128)
    destination, interface, traffic_class = UNSPECIFIED_IPV4, 0, 0
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            interface, _, address = _PKTINFO_IPV4.unpack(value)
            destination = V4_MAPPED + address
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            destination, interface = _PKTINFO_IPV6.unpack(value)
        elif (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
            traffic_class = value[0]
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_TCLASS):
            (traffic_class,) = struct.unpack("=i", value)
    source = parse_address(sender[0].partition("%")[0])
    return _Arrived(data, source, sender[1], destination, traffic_class, interface)


def _as_it_is(arrived: _Arrived) -> bytes:
    """A raw IPv4 socket gives the header, too."""
    return arrived.data


def _in_ipv6(protocol: int, arrived: _Arrived) -> bytes:
    first_word = 6 << 28 | arrived.traffic_class << 20
    head = struct.pack("!IHBB", first_word, len(arrived.data), protocol, _HOP_LIMIT)
    return head + arrived.source + arrived.destination + arrived.data


def _in_udp(arrived: _Arrived) -> bytes:
    """Without a checksum, as tunnels in UDP are (RFC 768); the kernel has looked at the one there was."""
    head = struct.pack("!HHHH", arrived.source_port, PORT, UDP_HEADER_SIZE + len(arrived.data), 0)
    service = arrived.traffic_class
    return encode_ipv4(arrived.source, arrived.destination, UDP, head + arrived.data, type_of_service=service)
