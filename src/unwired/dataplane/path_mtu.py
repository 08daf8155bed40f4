"""The kernel's side of a tunnel whose path carries less than the tunnel device: it sends Packet Too Big, by a route to
each home address behind that tunnel with a locked MTU, or by the device's MTU where home addresses are this host's own.

Plain netlink messages on a socket of its own: rows are applied inside the daemon's event loop, where pyroute2's sockets
don't work.
"""

import fcntl
import os
import socket
import struct
from errno import EEXIST, ENODEV, ESRCH

from unwired.dataplane.table import DataplaneError
from unwired.wire.address import Address, is_ipv4

PROTOCOL = 78
"""Marks these routes, apart from the daemon's others."""
METRIC = 32
"""Lower than that of any other route to the same address, the one that intercepts it on a real home link included."""
MTU_MIN = 1280
"""IPv6's minimum: the kernel takes IPv6 off a device that has less (RFC 8200 section 5), and no sender is told less
(RFC 2473 section 7.1)."""

_NETLINK_ROUTE = 0
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_NLMSG_ERROR = 2
_REQUEST_ACK, _CREATE_REPLACE = 0x5, 0x500
_RTA_DST, _RTA_OIF, _RTA_PRIORITY, _RTA_METRICS = 1, 4, 6, 8
_RTAX_LOCK, _RTAX_MTU = 1, 2
_TABLE_MAIN, _SCOPE_UNIVERSE, _SCOPE_LINK, _TYPE_UNICAST = 254, 0, 253, 1
_SIOCGIFNAME, _SIOCSIFMTU = 0x8910, 0x8922
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")


class PathMtu:
    """Acts in the network namespace of the thread that made it, whichever thread calls."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        self._netlink.settimeout(5.0)
        self._control = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._sequence = 0

    def set_route(self, address: Address, ifindex: int, mtu: int) -> None:
        """Packets to ``address`` larger than ``mtu`` bytes are answered with Packet Too Big, or fragmented where IPv4
        allows it. Raises DataplaneError."""
        if not is_ipv4(address):
            mtu = max(mtu, MTU_MIN)
        metrics = _attribute(_RTAX_MTU, struct.pack("=I", mtu)) + _attribute(
            _RTAX_LOCK, struct.pack("=I", 1 << _RTAX_MTU)
        )
        self._request(_RTM_NEWROUTE, _CREATE_REPLACE, address, ifindex, _attribute(_RTA_METRICS, metrics), (EEXIST,))

    def clear_route(self, address: Address, ifindex: int) -> None:
        """No such route is no error."""
        self._request(_RTM_DELROUTE, 0, address, ifindex, b"", (ESRCH, ENODEV))

    def set_device(self, ifindex: int, mtu: int) -> None:
        """The device's MTU, not below IPv6's minimum. A device that has gone is no error. Raises DataplaneError."""
        try:
            named = fcntl.ioctl(self._control, _SIOCGIFNAME, struct.pack("=16si20x", b"", ifindex))
            fcntl.ioctl(self._control, _SIOCSIFMTU, struct.pack("=16si20x", named[:16], max(mtu, MTU_MIN)))
        except OSError as error:
            if error.errno != ENODEV:
                raise DataplaneError(f"cannot set the MTU of the tunnel device to {mtu}: {error.strerror}") from error

    def close(self) -> None:
        self._netlink.close()
        self._control.close()

    def _request(
        self, kind: int, flags: int, address: Address, ifindex: int, more: bytes, harmless: tuple[int, ...]
    ) -> None:
        self._sequence += 1
        family, scope, destination = socket.AF_INET6, _SCOPE_UNIVERSE, address
        if is_ipv4(address):
            family, scope, destination = socket.AF_INET, _SCOPE_LINK, address[12:]
        route = family, 8 * len(destination), 0, 0, _TABLE_MAIN, PROTOCOL, scope, _TYPE_UNICAST, 0
        body = _ROUTE.pack(*route) + b"".join(
            (
                _attribute(_RTA_DST, destination),
                _attribute(_RTA_OIF, struct.pack("=I", ifindex)),
                _attribute(_RTA_PRIORITY, struct.pack("=I", METRIC)),
                more,
            )
        )
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_ACK | flags, self._sequence, 0)
        try:
            self._netlink.send(header + body)
            number = self._answer()
        except OSError as error:
            raise DataplaneError(f"cannot set a route with the path MTU: {error}") from error
        if number and number not in harmless:
            raise DataplaneError(f"cannot set a route with the path MTU: {os.strerror(number)}")

    def _answer(self) -> int:
        """The error number that answers the last request, 0 for success."""
        while True:
            answer = self._netlink.recv(65536)
            _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
            if kind == _NLMSG_ERROR and sequence == self._sequence:
                return -int(struct.unpack_from("=i", answer, _HEADER.size)[0])


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
