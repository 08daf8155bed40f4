"""Gratuitous ARP: tells the neighbours on a link who answers for an IPv4 address from now on.

IPv6 needs none of this here: engines send their neighbour advertisements themselves.
"""

import asyncio
import contextlib
import socket
import struct

from unwired.wire.address import Address

_ETH_P_IP, _ETH_P_ARP = 0x0800, 0x0806
_ARPHRD_ETHER = 1
_REQUEST = 1
_BROADCAST = b"\xff" * 6
_AGAIN_S = (1.0, 3.0)
"""A frame that is lost is not asked for again: it is sent a small number of times (RFC 5944 section 4.6)."""
_packet = struct.Struct("!HHBBH6s4s6s4s")


def announce(interface: int, address: Address) -> None:
    """Say that this host has the address, now and twice more. A link without ARP is passed over in silence."""
    _send(interface, address)
    for later_s in _AGAIN_S:
        asyncio.get_running_loop().call_later(later_s, _send, interface, address)


def _send(interface: int, address: Address) -> None:
    """An ARP request for one's own address (RFC 5944 section 4.6, RFC 5227 section 3): it updates caches and is never
    answered."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with contextlib.suppress(OSError), socket.socket(socket.AF_PACKET, kind, 0) as link:
        link.bind((socket.if_indextoname(interface), 0))
        hardware, own = link.getsockname()[3:5]
        if hardware != _ARPHRD_ETHER or len(own) != 6:
            return
        own_address = address[12:]
        data = _packet.pack(_ARPHRD_ETHER, _ETH_P_IP, 6, 4, _REQUEST, own, own_address, bytes(6), own_address)
        link.sendto(data, (socket.if_indextoname(interface), _ETH_P_ARP, 0, 0, _BROADCAST))
