"""Router advertisements of the lab's access routers, all by one process.

BIRD 2.0's carry no source link-layer address option, those of common routers do; and Linux by itself starts an address
as optimistic (RFC 4429) only when the advertisement that brought its prefix has one. These have it, and otherwise are
as BIRD's with ``solicited ra unicast``: a solicitation from an address is answered at once, to that address.

Run as ``python -m unwired.lab.advertise SPECIFICATION``, a JSON file with ``routers``: each has a ``namespace`` (path),
an ``interface`` and the fields of ``Advertisement``.
"""

import contextlib
import fcntl
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unwired.lab import namespace
from unwired.wire.address import parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import RouterAdvertisement, RouterSolicitation, decode_icmp, encode_icmp
from unwired.wire.nd_options import Pref64, PrefixInformation, SourceLinkLayerAddress

READY = "advertise: ready"
INTERVAL_MIN_S, INTERVAL_MAX_S = 3.0, 4.0
"""The shortest that RFC 4861 section 6.2.1 allows."""
_MULTICAST_GAP_S = 3.0
"""MIN_DELAY_BETWEEN_RAS (RFC 4861 section 10)."""
_HOP_LIMIT = 255
_PREF64_LIFETIME_UNITS = 225
"""Of 8 seconds: half an hour."""
_ALL_NODES, _ALL_ROUTERS = "ff02::1", "ff02::2"
_ICMP6_FILTER = 1
_SIOCGIFHWADDR = 0x8927
_IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT = 51, 52


@dataclass(frozen=True, slots=True)
class Advertisement:
    """``prefixes`` as text with their length; ``translating_prefix``: a NAT64's, likewise."""

    prefixes: tuple[str, ...]
    router_lifetime_s: int
    valid_lifetime_s: int
    preferred_lifetime_s: int
    translating_prefix: str | None = None

    def encode(self, link_layer_address: bytes) -> bytes:
        options = tuple(
            PrefixInformation(
                prefix=parse_address(prefix.partition("/")[0]),
                prefix_length=int(prefix.partition("/")[2]),
                on_link=True,
                autonomous=True,
                router_address=False,
                valid_lifetime_s=self.valid_lifetime_s,
                preferred_lifetime_s=self.preferred_lifetime_s,
            )
            for prefix in self.prefixes
        )
        translating: tuple[Pref64, ...] = ()
        if self.translating_prefix is not None:
            prefix = parse_address(self.translating_prefix.partition("/")[0])
            translating = (Pref64(_PREF64_LIFETIME_UNITS, 0, prefix[:12]),)
        message = RouterAdvertisement(
            hop_limit=64,
            managed=False,
            other=False,
            home_agent=False,
            router_lifetime_s=self.router_lifetime_s,
            reachable_time_ms=0,
            retransmission_timer_ms=0,
            options=(SourceLinkLayerAddress(link_layer_address), *options, *translating),
        )
        return encode_icmp(message)


class _Router:
    """One interface of one router. The kernel fills in checksums."""

    def __init__(self, where: Path, interface: str, advertisement: Advertisement) -> None:
        namespace.enter(where)
        self._index = socket.if_nametoindex(interface)
        self._message = advertisement.encode(_link_layer_address(interface))
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        accepted = [0xFFFFFFFF] * 8
        accepted[RouterSolicitation.TYPE >> 5] &= ~(1 << (RouterSolicitation.TYPE & 31))
        self.socket.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *accepted))
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOP_LIMIT)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        self.socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
        group = socket.inet_pton(socket.AF_INET6, _ALL_ROUTERS) + struct.pack("@i", self._index)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        self.socket.setblocking(False)
        self._last_multicast = -_MULTICAST_GAP_S
        self.due = time.monotonic()

    def answer(self) -> None:
        """Read what has come; solicitations that RFC 4861 section 6.1.1 allows are answered."""
        while True:
            try:
                data, ancillary, _, source = self.socket.recvmsg(2048, 64)
            except OSError:
                return
            hop_limits = [struct.unpack("@i", value)[0] for _, kind, value in ancillary if kind == _IPV6_HOPLIMIT]
            try:
                decode_icmp(data, 0, len(data))
            except DecodeError:
                continue
            if hop_limits != [_HOP_LIMIT]:
                continue
            address = source[0].partition("%")[0]
            if address == "::":
                self.due = min(self.due, max(time.monotonic(), self._last_multicast + _MULTICAST_GAP_S))
            else:
                self._send(address)

    def advertise(self) -> None:
        now = time.monotonic()
        self._last_multicast = now
        self.due = now + random.uniform(INTERVAL_MIN_S, INTERVAL_MAX_S)
        self._send(_ALL_NODES)

    def _send(self, address: str) -> None:
        with contextlib.suppress(OSError):  # the link is down, or its address not there yet: the next one will do
            self.socket.sendto(self._message, (address, 0, 0, self._index))


def _link_layer_address(interface: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFHWADDR, struct.pack("=16s16x", interface.encode()))
    return bytes(answer[18:24])


def run(specification: dict[str, list[dict[str, Any]]]) -> None:
    """Advertise until SIGTERM or SIGINT."""
    stop_reader, stop_writer = os.pipe()
    os.set_blocking(stop_writer, False)
    signal.set_wakeup_fd(stop_writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    routers = {}
    for wanted in specification["routers"]:
        fields = {key: value for key, value in wanted.items() if key not in ("namespace", "interface")}
        advertisement = Advertisement(**{**fields, "prefixes": tuple(fields["prefixes"])})
        router = _Router(Path(wanted["namespace"]), wanted["interface"], advertisement)
        routers[router.socket.fileno()] = router
    print(READY, flush=True)
    while True:
        timeout_s = max(0.0, min(router.due for router in routers.values()) - time.monotonic())
        readable, _, _ = select.select([stop_reader, *routers], [], [], timeout_s)
        if stop_reader in readable:
            signal.set_wakeup_fd(-1)
            return
        for descriptor in readable:
            routers[descriptor].answer()
        now = time.monotonic()
        for router in routers.values():
            if router.due <= now:
                router.advertise()


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
