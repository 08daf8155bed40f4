"""The UDP sockets of the HELLO datagrams: one that sends and hears everybody, and one for each other member to hear it
alone.

The latter are connected: the kernel gives each what comes from its member's locator and port, and keeps room for that
whatever strangers send. A flood of theirs fills the socket for everybody, and nobody is taken for dead.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable

from unwired.core.door import Event, HelloReceived
from unwired.host.runtime import DaemonError
from unwired.host.sockets import BATCH
from unwired.wire.address import Address, format_address

_DATAGRAM_MAX = 2048
_IPV6_FREEBIND = 78
"""linux/in6.h"""


class HelloSockets:
    """At ``locator``, also while the host does not have it yet (duplicate address detection, DHCP); ``heard`` is given
    what has come. Raises DaemonError."""

    def __init__(
        self, locator: Address, members: Iterable[Address], port: int, heard: Callable[[Iterable[Event]], None]
    ) -> None:
        self._here = (format_address(locator), port)
        self._port = port
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._to_connect = set(members)
        self._everybody = _socket()
        self._sockets = [self._everybody]
        try:
            self._everybody.bind(self._here)
        except OSError as error:
            self._everybody.close()
            raise DaemonError(
                f"{self._here[0]} port {port} can't be used for HELLO datagrams ({error.strerror}): end the program "
                "that has it, or give all members another home_agent_set.port"
            ) from None

    def start(self) -> None:
        self._loop.add_reader(self._everybody, self._readable, self._everybody)
        self.connect()

    def connect(self) -> None:
        """Make the sockets of members that have none yet: until there is a route to one, it is heard with everybody."""
        if not self._to_connect:
            return
        self._share(True)
        for locator in tuple(self._to_connect):
            one = _socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(self._here)
                one.connect((format_address(locator), self._port))
            except OSError:
                one.close()
                continue
            self._to_connect.remove(locator)
            self._sockets.append(one)
            self._loop.add_reader(one, self._readable, one)
        self._share(False)

    def send(self, locator: Address, data: bytes) -> None:
        """Never by a connected socket, which an ICMPv6 error, true or forged, makes lose the next datagram. Raises
        OSError."""
        self._everybody.sendto(data, (format_address(locator), self._port))

    def are_here(self) -> bool:
        """Whether the locator is an address of this host now."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((self._here[0], 0))
            except OSError:
                return False
        return True

    def close(self) -> None:
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()

    def _share(self, share: bool) -> None:
        """Whether the port may be bound once more: while we do it, and by nobody else."""
        for one in self._sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, share)

    def _readable(self, one: socket.socket) -> None:
        events = []
        for _ in range(BATCH):
            try:
                data, (source, *_) = one.recvfrom(_DATAGRAM_MAX)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMPv6 error about an earlier datagram: silence says the same
            events.append(HelloReceived(socket.inet_pton(socket.AF_INET6, source.partition("%")[0]), data))
        if events:
            self._heard(events)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    return made
