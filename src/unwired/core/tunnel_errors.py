"""ICMPv6 errors from inside a tunnel, relayed to who sent the original packet (RFC 2473 section 8).

A packet too big lowers the tunnel's MTU and tells the original source; everything else means that the tunnel's end
can't be reached. Of a tunnel to another member that is not relayed: its silence is noticed within a moment, and then
its packets go another way.

Nobody can cause this who does not know what the tunnel carries: an error is ignored unless it quotes a packet to a
home address in the tunnel to its care-of address, or in that to its primary home agent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.intercept import Interception
from unwired.core.notices import Drop
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import MINIMUM_MTU, inner_mtu
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import Address, is_unicast_routable
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    ICMPV6,
    DestinationUnreachable,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
)
from unwired.wire.ipv6 import IPV6_IN_IPV6, Packet, decode_headers

TunnelError = DestinationUnreachable | PacketTooBig | TimeExceeded | ParameterProblem

_QUOTED_MAX = MINIMUM_MTU - 40 - 8
_ADDRESS_UNREACHABLE = 3
_REDIRECT = 137


class TunnelErrors:
    """Relays errors about packets that this home agent tunnelled; ``members`` is the set that it is of, if any."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        cache: BindingCache,
        interception: Interception,
        members: HomeAgentSet | None,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._interception = interception
        self._members = members
        self._outbox = outbox
        self._relays = TokenBucket(rate=100.0, burst=100)

    def receive(self, message: TunnelError, now: Now) -> None:
        """An ICMPv6 error that was sent to our address."""
        original = _original(message.quoted)
        if original is None:
            self._outbox.drop(Drop.UNRELATED_ERROR)
        elif (binding := self._binding(original)) is not None:
            if isinstance(message, PacketTooBig):
                self._too_big(message, original, now, partial(self._interception.lower_mtu, binding))
            else:
                self._outbox.counters["tunnel_unreachable"] += 1
                self._relay(DestinationUnreachable(_ADDRESS_UNREACHABLE, original.quoted), original, now)
        elif self._members is not None and (member := self._member(self._members, original)):
            if isinstance(message, PacketTooBig):
                self._too_big(message, original, now, partial(self._members.lower_tunnel_mtu, member))
            else:
                self._outbox.counters["member_tunnel_unreachable"] += 1
        else:
            self._outbox.drop(Drop.UNRELATED_ERROR)

    def _too_big(
        self, message: PacketTooBig, original: "_Original", now: Now, lower: Callable[[int, Now], None]
    ) -> None:
        mtu = inner_mtu(message.mtu)
        lower(mtu, now)
        self._outbox.counters["tunnel_packets_too_big"] += 1
        if original.length > MINIMUM_MTU:  # the source can't send less
            self._relay(PacketTooBig(mtu, original.quoted), original, now)

    def _relay(self, error: DestinationUnreachable | PacketTooBig, original: "_Original", now: Now) -> None:
        if not is_unicast_routable(original.source) or _is_no_cause_for_an_error(original.quoted):
            self._outbox.drop(Drop.UNRELATED_ERROR)
        elif not self._relays.take(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            self._outbox.send(Packet(self._settings.address, original.source, error))
            self._outbox.counters["tunnel_errors_relayed"] += 1

    def _binding(self, original: "_Original") -> Binding | None:
        """The binding in whose tunnel the original packet was."""
        binding = self._cache.get(original.destination)
        if binding is None or binding.state != State.BOUND or binding.care_of_address != original.tunnel_end:
            return None
        return binding if original.tunnel_start == self._interception.tunnel_local(binding) else None

    def _member(self, members: HomeAgentSet, original: "_Original") -> int:
        """The member in whose tunnel the original packet was; 0 for none. What goes there is for a home address whose
        primary it is, or for itself: a mobile node's tunnel."""
        number = members.member_at_tunnel_end(original.tunnel_start, original.tunnel_end)
        if not number or original.destination == members.member(number).address:
            return number
        binding = self._cache.get(original.destination)
        return number if binding is not None and binding.primary == number else 0


@dataclass(frozen=True, slots=True)
class _Original:
    """A packet that we tunnelled: the tunnel's outer addresses, its own, its length and as much of it as came back."""

    tunnel_start: Address
    tunnel_end: Address
    source: Address
    destination: Address
    length: int
    quoted: bytes


def _original(quoted: bytes) -> _Original | None:
    """What an error's quoted packet had in it; None when that was no tunnel's."""
    try:
        outer = decode_headers(quoted)
        if outer.protocol != IPV6_IN_IPV6 or outer.problem:
            return None
        inner = quoted[outer.start :]
        source, destination, length = _inner_header(inner)
    except DecodeError:
        return None
    return _Original(outer.source, outer.destination, source, destination, length, inner[:_QUOTED_MAX])


def _inner_header(packet: bytes) -> tuple[Address, Address, int]:
    """Source, destination and total length of an IPv6 packet of which only the start need be there.

    Raises DecodeError.
    """
    if len(packet) < 40:
        raise DecodeError("IPv6 header cut short", len(packet))
    if packet[0] >> 4 != 6:
        raise DecodeError("IP version is not 6", 0)
    return packet[8:24], packet[24:40], 40 + int.from_bytes(packet[4:6])


def _is_no_cause_for_an_error(packet: bytes) -> bool:
    """No error about an ICMPv6 error or redirect (RFC 4443 section 2.4 e)."""
    return packet[6] == ICMPV6 and len(packet) > 40 and (packet[40] < 128 or packet[40] == _REDIRECT)
