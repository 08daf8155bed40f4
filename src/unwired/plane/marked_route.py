"""The marked route: what the rest of the world is told through it, and nothing else.

A route in the main table for exactly a home prefix, ``unreachable``, so that it never forwards anything, with a
protocol number of its own, by which a routing daemon knows it. Its metric says how it is to be announced.

One netlink request at a time, in a few bytes made here: the supervisor is small and starts quickly.
"""

import errno
import os
import socket
import struct
from typing import Final

from unwired.plane.bgp import Prefix, prefix_text
from unwired.wire.address import IPV4_BITS, is_ipv4

PROTOCOL: Final = 79
"""The route's origin (rtm_protocol). Not 77, the daemon's forwarding routes: those must never be exported. The kernel's
list (linux/rtnetlink.h) and iproute2's rt_protos leave both free."""
ANNOUNCE_METRIC: Final = 1_000_000
"""Worse than any route to the same prefix that somebody needs; below 2^24, because FRR takes the highest 8 bits for an
administrative distance."""
DRAIN_METRIC: Final = 1_000_001
"""Announced with the community GRACEFUL_SHUTDOWN (RFC 8326): about to be withdrawn, anybody else is preferred."""
METRICS: Final = (ANNOUNCE_METRIC, DRAIN_METRIC)

_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 0x001, 0x004, 0x200, 0x400
_NLMSG_ERROR = 2
_MAIN_TABLE, _RTN_UNREACHABLE = 254, 7
_RTA_DST, _RTA_PRIORITY = 1, 6
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port."""
_ROUTE = struct.Struct("=8BI")
"""struct rtmsg: family, destination and source length, TOS, table, protocol, scope, type; flags."""


class MarkedRoutes:
    """Acts in the network namespace in which it is made. Raises OSError when the kernel refuses."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def add(self, prefix: Prefix, metric: int) -> bool:
        """Whether it was not there before."""
        return self._request(_RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_EXCL, prefix, metric, errno.EEXIST)

    def remove(self, prefix: Prefix, metric: int) -> bool:
        """Whether it was there."""
        return self._request(_RTM_DELROUTE, 0, prefix, metric, errno.ESRCH)

    def set(self, prefix: Prefix, metric: int | None) -> bool:
        """Have the prefix's route with this metric and no other; None: have none. The new one comes before the old one
        goes: the prefix is announced all the time. Whether anything had to be added."""
        added = metric is not None and self.add(prefix, metric)
        for other in METRICS:
            if other != metric:
                self.remove(prefix, other)
        return added

    def close(self) -> None:
        self._socket.close()

    def _request(self, kind: int, flags: int, prefix: Prefix, metric: int, harmless: int) -> bool:
        address, length = prefix
        self._sequence += 1
        family = socket.AF_INET6
        if is_ipv4(address):
            family, address, length = socket.AF_INET, address[12:], length - IPV4_BITS
        body = _ROUTE.pack(family, length, 0, 0, _MAIN_TABLE, PROTOCOL, 0, _RTN_UNREACHABLE, 0)
        body += struct.pack("=HH", 4 + len(address), _RTA_DST) + address
        body += struct.pack("=HHI", 8, _RTA_PRIORITY, metric)
        flags |= _NLM_F_REQUEST | _NLM_F_ACK
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0) + body)
        while True:
            answer = self._socket.recv(1 << 16)
            _, answered, _, sequence, _ = _HEADER.unpack_from(answer)
            if answered == _NLMSG_ERROR and sequence == self._sequence:
                break
        code: int = struct.unpack_from("=i", answer, _HEADER.size)[0]
        if code and -code != harmless:
            raise OSError(-code, f"the route that announces {prefix_text(prefix)}: {os.strerror(-code)}")
        return code == 0
