"""ICMPv6 errors from inside a tunnel, relayed to who sent the original packet (RFC 2473 section 8).

A packet too big lowers the tunnel's MTU and tells the original source; everything else means that the tunnel's end
can't be reached.
"""

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.intercept import Interception
from unwired.core.notices import Drop
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import Address, is_unicast_routable
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    ICMPV6,
    DestinationUnreachable,
    IcmpMessage,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
)
from unwired.wire.ipv6 import IPV6_IN_IPV6, Packet, decode_headers

TunnelError = DestinationUnreachable | PacketTooBig | TimeExceeded | ParameterProblem

MINIMUM_MTU = 1280
OUTER_HEADER = 40
_QUOTED_MAX = MINIMUM_MTU - 40 - 8
_ADDRESS_UNREACHABLE = 3
_REDIRECT = 137


class TunnelErrors:
    """Relays errors about packets that this home agent tunnelled."""

    def __init__(
        self, settings: HomeAgentSettings, cache: BindingCache, interception: Interception, outbox: Outbox
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._interception = interception
        self._outbox = outbox
        self._relays = TokenBucket(rate=100.0, burst=100)

    def receive(self, message: TunnelError, now: Now) -> None:
        """An ICMPv6 error that was sent to our address."""
        original = self._original(message.quoted)
        if original is None:
            self._outbox.drop(Drop.UNRELATED_ERROR)
            return
        binding, source, quoted, length = original
        relayed: IcmpMessage
        if isinstance(message, PacketTooBig):
            # No source goes below IPv6's minimum. The data plane does not fragment tunnel packets, as RFC 2473 section
            # 7.1 would have it there: a path that is narrower loses what is larger.
            mtu = max(MINIMUM_MTU, message.mtu - OUTER_HEADER)
            self._interception.lower_mtu(binding, mtu, now)
            self._outbox.counters["tunnel_packets_too_big"] += 1
            if length <= MINIMUM_MTU:
                return  # the source can't send less
            relayed = PacketTooBig(mtu, quoted)
        else:
            self._outbox.counters["tunnel_unreachable"] += 1
            relayed = DestinationUnreachable(_ADDRESS_UNREACHABLE, quoted)
        if not is_unicast_routable(source) or _is_no_cause_for_an_error(quoted):
            self._outbox.drop(Drop.UNRELATED_ERROR)
        elif not self._relays.take(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            self._outbox.send(Packet(self._settings.address, source, relayed))
            self._outbox.counters["tunnel_errors_relayed"] += 1

    def _original(self, quoted: bytes) -> tuple[Binding, Address, bytes, int] | None:
        """The binding whose tunnel an error's quoted packet was in, and of the original packet source, bytes and
        length; None when the quoted packet is not one of ours.

        Nobody can say this who does not know a home address and its care-of address; an error from a guess is ignored.
        """
        try:
            outer = decode_headers(quoted)
            if outer.protocol != IPV6_IN_IPV6 or outer.problem:
                return None
            inner = quoted[outer.start :]
            original = _inner_header(inner)
        except DecodeError:
            return None
        source, destination, length = original
        binding = self._cache.get(destination)
        if binding is None or binding.state != State.BOUND or binding.care_of_address != outer.destination:
            return None
        if outer.source != self._interception.tunnel_local(binding):
            return None
        return binding, source, inner[:_QUOTED_MAX], length


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
