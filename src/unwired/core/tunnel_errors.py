"""ICMP errors from inside a tunnel, relayed to who sent the original packet (RFC 2473 section 8, RFC 4459 section 3.1).

A packet too big lowers the tunnel's MTU and tells the original source; everything else means that the tunnel's end
can't be reached. Of a tunnel to another member that is not relayed: its silence is noticed within a moment, and then
its packets go another way. The tunnel may be of either family, and so may the packet in it, to whose source we speak
from our address of its family.

Nobody can cause this who does not know what the tunnel carries: an error is ignored unless it quotes a packet to a
home address in the tunnel to its care-of address, or in that to its primary home agent. An IPv4 router that quotes only
the 64 bits that RFC 792 wants is therefore not heard.
"""

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.home_agent_paths import HomeAgentPaths
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.intercept import Interception
from unwired.core.notices import Drop
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import inner_mtu
from unwired.core.rate_limit import TokenBucket
from unwired.core.relayed_error import can_send_less, may_be_told, too_big, unreachable
from unwired.core.settings import HomeAgentSettings
from unwired.core.tunnelled import Tunnelled, tunnelled
from unwired.wire.address import is_ipv4
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
)
from unwired.wire.ipv4 import Icmpv4Message
from unwired.wire.ipv6 import Packet

TunnelError = DestinationUnreachable | PacketTooBig | TimeExceeded | ParameterProblem

_ICMPV4_ERRORS = frozenset({Icmpv4Message.DESTINATION_UNREACHABLE, Icmpv4Message.TIME_EXCEEDED, 12})


class TunnelErrors:
    """Relays errors about packets that this home agent tunnelled; ``members`` is the set that it is of, if any."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        cache: BindingCache,
        interception: Interception,
        paths: HomeAgentPaths,
        members: HomeAgentSet | None,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._interception = interception
        self._paths = paths
        self._members = members
        self._outbox = outbox
        self._relays = TokenBucket(rate=100.0, burst=100)

    def receive(self, message: TunnelError | Icmpv4Message, now: Now) -> None:
        """An ICMP error that was sent to our address of its family."""
        path_mtu = _path_mtu(message)
        original = None if _is_no_error(message) else tunnelled(message.quoted)
        if original is None:
            self._outbox.drop(Drop.UNRELATED_ERROR)
        elif (binding := self._binding(original)) is not None:
            if path_mtu is not None:
                mtu = inner_mtu(path_mtu, binding.encapsulation)
                self._too_big(self._paths.lower(binding, mtu, now), original, now)
            else:
                self._outbox.counters["tunnel_unreachable"] += 1
                self._relay(original, unreachable(original), now)
        elif self._members is not None and (member := self._member(self._members, original)):
            if path_mtu is not None:
                mtu = inner_mtu(path_mtu)
                self._members.lower_tunnel_mtu(member, mtu, now)
                self._too_big(mtu, original, now)
            else:
                self._outbox.counters["member_tunnel_unreachable"] += 1
        else:
            self._outbox.drop(Drop.UNRELATED_ERROR)

    def _too_big(self, mtu: int, original: Tunnelled, now: Now) -> None:
        self._outbox.counters["tunnel_packets_too_big"] += 1
        if can_send_less(original):
            self._relay(original, too_big(original, mtu), now)

    def _relay(self, original: Tunnelled, error: TunnelError | Icmpv4Message, now: Now) -> None:
        if not may_be_told(original):
            self._outbox.drop(Drop.UNRELATED_ERROR)
            return
        address = self._settings.address_ipv4 if is_ipv4(original.source) else self._settings.address
        if address is None:
            self._outbox.counters["tunnel_errors_without_address"] += 1
        elif not self._relays.take(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            self._outbox.send(Packet(address, original.source, error))
            self._outbox.counters["tunnel_errors_relayed"] += 1

    def _binding(self, original: Tunnelled) -> Binding | None:
        """The binding in whose tunnel the original packet was."""
        binding = self._cache.of(original.destination)
        if binding is None or binding.state != State.BOUND:
            return None
        peer = binding.care_of_address, binding.care_of_port
        if (original.tunnel_end, original.tunnel_end_port) != peer:
            return None
        return binding if original.tunnel_start == self._interception.tunnel_local(binding) else None

    def _member(self, members: HomeAgentSet, original: Tunnelled) -> int:
        """The member in whose tunnel the original packet was; 0 for none. What goes there is for a home address whose
        primary it is, or for itself: a mobile node's tunnel."""
        number = members.member_at_tunnel_end(original.tunnel_start, original.tunnel_end)
        if not number or original.destination in (members.member(number).address, self._settings.address_ipv4):
            return number
        binding = self._cache.of(original.destination)
        return number if binding is not None and binding.primary == number else 0


def _path_mtu(message: TunnelError | Icmpv4Message) -> int | None:
    """What the path carries, 0 where an old router does not say (RFC 1191 section 5); None: that is not the problem."""
    if isinstance(message, PacketTooBig):
        return message.mtu
    if isinstance(message, Icmpv4Message) and (message.type, message.code) == (
        Icmpv4Message.DESTINATION_UNREACHABLE,
        Icmpv4Message.FRAGMENTATION_NEEDED,
    ):
        return message.mtu
    return None


def _is_no_error(message: TunnelError | Icmpv4Message) -> bool:
    return isinstance(message, Icmpv4Message) and message.type not in _ICMPV4_ERRORS
