"""What comes from behind NATs besides binding updates: packets by a mapping that we do not know, and probes of how long
a mapping lasts (RFC 5555 sections 4.2 and 4.3, ``wire/nat_probe.py``).

A NAT that was restarted, or has forgotten a mapping, gives the mobile node another one, which only that NAT knows. The
first packet by it is not believed, because anybody may send it: the mobile node is asked for a binding update, by way
of where the packet came from. Nobody gets more, or larger ones, than a few such questions a second out of it.
"""

from collections import Counter
from collections.abc import Callable

from unwired.core.acknowledgement import back
from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.notices import Drop
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import HomeAgentSettings
from unwired.core.timers import Agenda
from unwired.wire.address import Address, is_unicast_routable
from unwired.wire.datagram import PORT
from unwired.wire.errors import DecodeError
from unwired.wire.ipv4 import UdpDatagram
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.nat_probe import NatProbe, decode_nat_probe

ASKED_PER_S = 50
"""Mobile nodes asked for a binding update, all together."""
ASKED_AGAIN_S = 0.2
"""How long one of them is left alone: the question or the answer may have been lost."""
PROBES_MAX = 4096
PROBES_OF_ONE_SOURCE_MAX = 8
"""Answers to probes that wait for their time: mobile nodes behind one NAT have one source address in common."""
PROBES_PER_S = 100
PROBE_DELAY_MAX_S = 900
"""No answer waits longer, however rare keepalives may be: those of strangers must make room again."""


class NatTraversal:
    """``ask(binding, outer)`` sends a binding refresh request in that tunnel."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        cache: BindingCache,
        ask: Callable[[Binding, Outer], None],
        outbox: Outbox,
        agenda: Agenda,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._ask = ask
        self._outbox = outbox
        self._agenda = agenda
        self._questions = TokenBucket(rate=ASKED_PER_S, burst=ASKED_PER_S)
        self._asked: dict[Address, float] = {}
        self._probes = TokenBucket(rate=PROBES_PER_S, burst=PROBES_PER_S)
        self._waiting: Counter[Address] = Counter()
        self._waiting_total = 0

    def packet_in_tunnel(self, packet: Packet, outer: Outer, now: Now) -> None:
        """A packet in a tunnel to us that is no mobility message, or not for us."""
        binding = self._cache.of(packet.source)
        if binding is None or binding.state != State.BOUND or not outer.source_port:
            self._outbox.drop(Drop.UNKNOWN_HOME_ADDRESS)
        elif _is_known(binding, (outer.source, outer.source_port)):
            self._outbox.drop(Drop.UNKNOWN_PAYLOAD)
        elif not is_unicast_routable(outer.source):
            self._outbox.drop(Drop.FORGED_SOURCE)
        elif not self._may_ask(binding.home_address, now):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            self._outbox.counters["unknown_nat_mappings_asked"] += 1
            tunnel = back(outer)
            if tunnel is not None:
                self._ask(binding, tunnel)

    def _may_ask(self, home_address: Address, now: Now) -> bool:
        asked_at = self._asked.get(home_address)
        is_too_soon = asked_at is not None and now.monotonic - asked_at < ASKED_AGAIN_S
        if is_too_soon or not self._questions.take(now.monotonic):
            return False
        if len(self._asked) >= 2 * ASKED_PER_S:
            self._asked = {one: at for one, at in self._asked.items() if now.monotonic - at < ASKED_AGAIN_S}
        self._asked[home_address] = now.monotonic
        return True

    def probe(self, packet: Packet, datagram: UdpDatagram, now: Now) -> None:
        """A datagram to port 4191 that is no tunnel: the question of ``ProbeNat``."""
        try:
            probe = decode_nat_probe(datagram.data)
        except DecodeError:
            self._outbox.drop(Drop.MALFORMED)
            return
        if datagram.destination_port != PORT or probe.is_answer:
            self._outbox.drop(Drop.NOT_FOR_THIS_ROLE)
        elif not is_unicast_routable(packet.source) or not datagram.source_port:
            self._outbox.drop(Drop.FORGED_SOURCE)
        elif probe.delay_s > min(self._settings.nat_keepalive_s, PROBE_DELAY_MAX_S):
            self._outbox.drop(Drop.NAT_PROBE_TOO_LONG)
        elif self._waiting_total >= PROBES_MAX or self._waiting[packet.source] >= PROBES_OF_ONE_SOURCE_MAX:
            self._outbox.drop(Drop.TABLE_FULL)
        elif not self._probes.take(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            self._waiting[packet.source] += 1
            self._waiting_total += 1
            self._agenda.at(now.monotonic + probe.delay_s, self._answer, packet.source, datagram.source_port, probe)

    def _answer(self, source: Address, port: int, probe: NatProbe, now: Now) -> None:
        self._waiting_total -= 1
        self._waiting[source] -= 1
        if not self._waiting[source]:
            del self._waiting[source]
        if self._settings.address_ipv4 is not None:
            answer = NatProbe(probe.token, probe.delay_s, is_answer=True)
            self._outbox.send(Packet(self._settings.address_ipv4, source, UdpDatagram(PORT, port, answer.encode())))
            self._outbox.counters["nat_probes_answered"] += 1


def _is_known(binding: Binding, place: tuple[Address, int]) -> bool:
    """Whether packets by this mapping are accepted: what came here nevertheless was on its way before that."""
    current = binding.care_of_address, binding.care_of_port
    return place == current or any(place == item[:2] for item in binding.previous)
