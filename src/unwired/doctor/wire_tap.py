"""Sockets for probes: whole packets out, through this host's packet filter, and in as they come from the wire, before
any program or filter of this host has taken them."""

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator
from ctypes import addressof, create_string_buffer

from unwired.wire.address import Address, format_address, is_ipv4

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_LOAD_WORD, _LOAD_BYTE, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x30, 0x15, 0x06
_ALL = 0xFFFF
Instruction = tuple[int, int, int, int]


class WireTap:
    """Packets from ``peer``, and errors that routers send. Needs CAP_NET_RAW; raises OSError."""

    def __init__(self, peer: Address) -> None:
        ipv4 = is_ipv4(peer)
        family = socket.AF_INET if ipv4 else socket.AF_INET6
        self._target = (format_address(peer), 0)
        self._sender = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
        # Neither fragmented nor held back by a path MTU that was learnt before.
        level, option = (socket.IPPROTO_IP, _IP_MTU_DISCOVER) if ipv4 else (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER)
        self._sender.setsockopt(level, option, _PMTUDISC_PROBE)
        self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.htons(_ETH_P_ALL))
        _attach_filter(self._tap, only_from(peer))

    def close(self) -> None:
        self._sender.close()
        self._tap.close()

    def send(self, packet: bytes) -> bool:
        """Whether this host let it go: its own packet filter may have refused. Raises OSError for other reasons."""
        try:
            self._sender.sendto(packet, self._target)
        except PermissionError:
            return False
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
        return True

    def packets(self, until: float) -> Iterator[bytes]:
        """What comes until a moment of the monotonic clock, from the IP header on."""
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._tap], [], [], left)[0]:
                return
            packet, (_, _, kind, *_) = self._tap.recvfrom(65_536)
            if kind != _PACKET_OUTGOING:
                yield packet


def only_from(peer: Address) -> list[Instruction]:
    """A filter for the kernel, since a router's every packet would be too much for us: what comes from ``peer``, and
    what says that a packet was too big."""
    if is_ipv4(peer):
        return _any_of([(_LOAD_WORD, 12, _word(peer, 12))], [(_LOAD_BYTE, 9, 1), (_LOAD_BYTE, 20, 3)])
    source = [(_LOAD_WORD, 8 + at, _word(peer, at)) for at in range(0, 16, 4)]
    return _any_of(source, [(_LOAD_BYTE, 6, 58), (_LOAD_BYTE, 40, 2)])


def _any_of(*alternatives: list[tuple[int, int, int]]) -> list[Instruction]:
    """Each alternative is what must all be true: how much is loaded, from where, and what it must be."""
    program: list[Instruction] = []
    for conditions in alternatives:
        for left, (load, offset, value) in zip(range(len(conditions), 0, -1), conditions, strict=True):
            program += [(load, 0, 0, offset), (_JUMP_IF_EQUAL, 0, 2 * left - 1, value)]
        program.append((_RETURN, 0, 0, _ALL))
    return [*program, (_RETURN, 0, 0, 0)]


def _word(address: Address, at: int) -> int:
    return int.from_bytes(address[at : at + 4])


def _attach_filter(to: socket.socket, program: list[Instruction]) -> None:
    instructions = create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), addressof(instructions)))
