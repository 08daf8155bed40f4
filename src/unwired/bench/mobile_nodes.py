"""Mobile nodes in a small way: ``python -m unwired.bench.mobile_nodes INTERFACE COUNT``.

The care-of addresses are on INTERFACE. Probes that arrive in a tunnel are sent back in it, by whichever node they are
for; of the first COUNT nodes, each of which has registered once, ``rate N`` has N a second register from a new care-of
address, in turn. ``tell``: ``sent``, ``refused``, and ``acknowledged``, a list of ``[home address, care-of address,
sequence number, sent_at, acknowledged_at]``, addresses in hexadecimal digits, all since the last ``tell``.
"""

import select
import socket
import sys
import time

from unwired.bench.binding_updates import HOME_AGENT, Fleet
from unwired.bench.workers import PROBE_PORT, Orders
from unwired.wire.checksum import filled
from unwired.wire.ipv6 import IPV6_IN_IPV6, decode_packet
from unwired.wire.rfc6275 import BindingUpdate

_BATCH = 64
_HEADER = 40
_UDP = 17
_PACKET_IGNORE_OUTGOING = 23
_SOL_PACKET = 263
_ETH_P_IPV6 = 0x86DD
_ROUTING, _MOBILITY, _ACKNOWLEDGEMENT = 43, 135, 6
_REFUSED = 128
"""Statuses from here on refuse (RFC 6275 section 6.1.8)."""
_WAITING_MAX = 10_000


class MobileNodes:
    def __init__(self, interface: str, count: int) -> None:
        self._fleet = Fleet(count, rounds=1)
        self._incoming = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._incoming.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        self._incoming.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._incoming.bind((interface, _ETH_P_IPV6))
        self._incoming.setblocking(False)
        self._outgoing = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._interval_s: float | None = None
        self._next_at = 0.0
        self._sent = self._refused = 0
        self._waiting: dict[tuple[bytes, int], tuple[bytes, float]] = {}
        self._acknowledged: list[tuple[str, str, int, float, float]] = []

    def run(self) -> None:
        orders = Orders(self._obey)
        own = self._incoming.fileno()
        while True:
            wait_s = None if self._interval_s is None else max(0.0, self._next_at - time.monotonic())
            readable, _, _ = select.select([own, 0], [], [], wait_s)
            if own in readable:
                self._receive()
            if 0 in readable and not orders.follow():
                return
            if self._interval_s is not None and time.monotonic() >= self._next_at:
                self._register()
                self._next_at += self._interval_s

    def _obey(self, words: list[str]) -> object:
        if words[0] == "rate":
            rate = float(words[1])
            self._interval_s = 1 / rate if rate else None
            self._next_at = time.monotonic()
            return rate
        told = {"sent": self._sent, "refused": self._refused, "acknowledged": self._acknowledged}
        self._sent = self._refused = 0
        self._acknowledged = []
        return told

    def _register(self) -> None:
        data = self._fleet.updates(1, moving=True, ahead_of=time.time())
        packet = decode_packet(data)
        if packet.home_address is None or not isinstance(packet.payload, BindingUpdate):
            raise RuntimeError("this is no binding update")
        self._waiting[packet.home_address, packet.payload.sequence] = packet.source, time.monotonic()
        while len(self._waiting) > _WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._outgoing.sendto(data, (HOME_AGENT, 0))
        self._sent += 1

    def _receive(self) -> None:
        for _ in range(_BATCH):
            try:
                data = self._incoming.recv(4096)
            except BlockingIOError:
                return
            if len(data) >= 2 * _HEADER + 8 and data[6] == IPV6_IN_IPV6 and data[_HEADER + 6] == _UDP:
                self._send_back(data)
            elif len(data) >= 76 and data[6] == _ROUTING and data[40] == _MOBILITY and data[66] == _ACKNOWLEDGEMENT:
                self._take(data)

    def _send_back(self, data: bytes) -> None:
        """Every address is swapped with the other; the ports are the same. The checksum is made here: what comes over a
        veth may not have one yet."""
        if int.from_bytes(data[2 * _HEADER + 2 : 2 * _HEADER + 4]) != PROBE_PORT:
            return
        turned = bytearray(data)
        for at in (8, _HEADER + 8):
            turned[at : at + 16], turned[at + 16 : at + 32] = data[at + 16 : at + 32], data[at : at + 16]
        turned[7] = turned[_HEADER + 7] = 64
        addresses = bytes(turned[48:64]), bytes(turned[64:80])
        turned[80:] = filled(*addresses, _UDP, data[80:], 6)
        if turned[86:88] == bytes(2):
            turned[86:88] = b"\xff\xff"  # zero means none (RFC 768), which IPv6 does not allow
        self._outgoing.sendto(turned, (socket.inet_ntop(socket.AF_INET6, data[8:24]), 0))

    def _take(self, data: bytes) -> None:
        """A binding acknowledgement: the type 2 routing header is 24 bytes, the home address its last 16."""
        home_address, sequence = data[48:64], int.from_bytes(data[72:74])
        sent = self._waiting.pop((home_address, sequence), None)
        if sent is None:
            return
        if data[70] >= _REFUSED:
            self._refused += 1
            return
        care_of_address, sent_at = sent
        self._acknowledged.append((home_address.hex(), care_of_address.hex(), sequence, sent_at, time.monotonic()))


if __name__ == "__main__":
    MobileNodes(sys.argv[1], int(sys.argv[2])).run()
