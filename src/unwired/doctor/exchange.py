"""What two sides learn of each other's packets, whichever of them asked: each says in every probe what it has received,
so that one kind of packet that passes is enough to hear about all others. No socket, no clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from unwired.doctor.packets import addresses
from unwired.doctor.probe import TOLD_TOO_BIG, Message, Probe, find_message
from unwired.wire.address import Address
from unwired.wire.datagram import decode_datagram
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import Icmpv4Message


@dataclass(slots=True)
class Exchange:
    """One session with ``peer``. ``mtu`` is that of our own interface in bytes; ``refused`` are the numbers of probes
    that this host's own filter did not let go, ``received`` of those that came to us, and ``peer_received``, as the
    peer says, to it. ``round`` is the last that we sent, ``peer_round`` the peer's; ``peer_mtu`` is 0 until it is
    heard. ``clock_s`` is how far its clock is ahead of ours, the time on the way included. ``told_by``: router ->
    the MTU that it told, of those that called a packet of ours too big."""

    session: bytes
    asks: bool
    here: Address
    peer: Address
    mtu: int
    probes: tuple[Probe, ...]
    round: int = 0
    peer_round: int = 0
    refused: set[int] = field(default_factory=set)
    received: set[int] = field(default_factory=set)
    peer_received: set[int] = field(default_factory=set)
    peer_mtu: int = 0
    clock_s: float = 0.0
    told_by: dict[Address, int] = field(default_factory=dict)

    @property
    def was_heard(self) -> bool:
        return bool(self.peer_mtu)

    def of_this_family(self) -> Iterator[tuple[int, Probe]]:
        return ((number, probe) for number, probe in enumerate(self.probes) if probe.concerns(self.here))

    def packets(self, clock_s: float) -> Iterator[tuple[int, bytes]]:
        """One round: a packet of every kind, with its number. ``clock_s`` is the wall clock."""
        received = frozenset(self.received | ({TOLD_TOO_BIG} if self.told_by else set()))
        for number, probe in self.of_this_family():
            if probe.size <= self.mtu:
                message = Message(self.session, self.asks, number, self.round, self.mtu, received, clock_s)
                yield number, probe.packet(self.here, self.peer, message.encode())

    def take(self, packet: bytes, clock_s: float) -> None:
        """A packet that came to this host, whatever it is."""
        source, destination = addresses(packet)
        message = find_message(packet)
        if source == self.peer and message is not None and message.session == self.session:
            if message.asks == self.asks:
                return  # our own, quoted in an error
            self.received.add(message.probe)
            self.peer_received |= message.received
            self.peer_mtu = message.mtu
            self.peer_round = max(self.peer_round, message.round)
            self.clock_s = message.clock_s - clock_s
        elif destination == self.here:
            self._hear_router(packet, source)

    def _hear_router(self, packet: bytes, router: Address) -> None:
        try:
            error = decode_datagram(packet).payload
            if not isinstance(error, PacketTooBig | Icmpv4Message) or not error.mtu:
                return
            if addresses(error.quoted) == (self.here, self.peer):
                self.told_by[router] = error.mtu
        except DecodeError:
            return

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, so that nothing more can be learnt."""
        ours = {number for number, probe in self.of_this_family() if probe.size <= self.mtu}
        theirs = {number for number, probe in self.of_this_family() if probe.size <= self.peer_mtu}
        return self.was_heard and ours <= self.peer_received and theirs <= self.received
