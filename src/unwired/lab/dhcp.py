"""A DHCP client's two messages: a discovery that asks for rapid commit, and the acknowledgement (RFC 2131, RFC 4039).

The lab's servers always commit at once, and their leases outlive any run: so there is nothing to request or to renew.
"""

import ipaddress
import struct
from dataclasses import dataclass

SERVER_PORT, CLIENT_PORT = 67, 68
RETRANSMIT_S = 1.0
TRANSACTION_SIZE = 4
_BOOT_REQUEST, _BOOT_REPLY, _ETHERNET = 1, 2, 1
_BROADCAST = 0x8000
_COOKIE = bytes((99, 130, 83, 99))
_PAD, _SUBNET_MASK, _ROUTER, _MESSAGE_TYPE, _PARAMETERS, _RAPID_COMMIT, _END = 0, 1, 3, 53, 55, 80, 255
_DISCOVER, _ACKNOWLEDGE = 1, 5
_header = struct.Struct("!BBBB4sHH4s4s4s4s16s64s128s4s")


@dataclass(frozen=True, slots=True)
class Lease:
    """What a server gives: addresses as text, the length of the subnet's prefix."""

    address: str
    prefix_length: int
    router: str | None


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +---------------+---------------+---------------+---------------+
#  |     op (1)    |   htype (1)   |   hlen (1)    |   hops (1)    |
#  +---------------+---------------+---------------+---------------+
#  |                            xid (4)                            |
#  +-------------------------------+-------------------------------+
#  |           secs (2)            |           flags (2)           |
#  +-------------------------------+-------------------------------+
#  |      ciaddr, yiaddr, siaddr, giaddr (4 each), chaddr (16),    |
#  |       sname (64), file (128), options (magic cookie first)    |
#  +---------------------------------------------------------------+
def discovery(transaction: bytes, hardware: bytes) -> bytes:
    """A DHCPDISCOVER from a client with this hardware address. It asks for a broadcast answer: a socket of a host
    without an address hears no other one (RFC 2131 section 4.1)."""
    none = bytes(4)
    header = _header.pack(
        _BOOT_REQUEST, _ETHERNET, len(hardware), 0, transaction, 0, _BROADCAST,
        none, none, none, none, hardware, b"", b"", _COOKIE,
    )  # fmt: skip
    wanted = bytes((_PARAMETERS, 2, _SUBNET_MASK, _ROUTER))
    return header + bytes((_MESSAGE_TYPE, 1, _DISCOVER, _RAPID_COMMIT, 0)) + wanted + bytes((_END,))


def lease(data: bytes, transaction: bytes) -> Lease | None:
    """What a datagram from a server gives to this transaction; None where it gives nothing."""
    if len(data) < _header.size:
        return None
    kind, _, _, _, number, _, _, _, address, *_, cookie = _header.unpack_from(data)
    options = _options(data)
    acknowledges = options.get(_MESSAGE_TYPE) == bytes((_ACKNOWLEDGE,)) and _RAPID_COMMIT in options
    if kind != _BOOT_REPLY or number != transaction or cookie != _COOKIE or not acknowledges:
        return None
    mask, router = options.get(_SUBNET_MASK, b""), options.get(_ROUTER, b"")[:4]
    if len(mask) != 4:
        return None
    given = str(ipaddress.IPv4Address(address))
    return Lease(given, int.from_bytes(mask).bit_count(), str(ipaddress.IPv4Address(router)) if router else None)


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = _header.size
    while at + 1 < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found
