"""What the source of a packet is told that did not get through a tunnel, in its own family (RFC 2473 section 8)."""

from unwired.core.path_mtu import MINIMUM_MTU
from unwired.core.tunnelled import Tunnelled
from unwired.wire.address import is_ipv4, is_unicast_routable
from unwired.wire.icmpv6 import ICMPV6, DestinationUnreachable, PacketTooBig
from unwired.wire.ipv4 import ICMPV4, Icmpv4Message

_QUOTED_MAX = MINIMUM_MTU - 40 - 8
_QUOTED_MAX_IPV4 = 576 - 20 - 8
"""RFC 1812 section 4.3.2.3."""
_ADDRESS_UNREACHABLE = 3
_REDIRECT = 137
_ICMPV4_QUERIES = frozenset({0, 8, 9, 10, 13, 14, 15, 16, 17, 18})


def can_send_less(original: Tunnelled) -> bool:
    """Whether a source that is told of an MTU may do something about this packet. What it can't make smaller, or others
    may fragment, goes through the tunnel in fragments (RFC 2473 sections 7.1 and 7.2)."""
    return original.dont_fragment if is_ipv4(original.source) else original.length > MINIMUM_MTU


def may_be_told(original: Tunnelled) -> bool:
    """Whether there is a source that may be told anything: no group, and no ICMP error, redirect or fragment that is
    not the first (RFC 4443 section 2.4 e, RFC 1122 section 3.2.2)."""
    packet = original.data
    if not is_unicast_routable(original.source):
        return False
    if is_ipv4(original.source):
        payload = packet[(packet[0] & 15) * 4 :]
        is_error = packet[9] == ICMPV4 and len(payload) > 0 and payload[0] not in _ICMPV4_QUERIES
        return not is_error and int.from_bytes(packet[6:8]) & 0x1FFF == 0
    return packet[6] != ICMPV6 or len(packet) <= 40 or (packet[40] >= 128 and packet[40] != _REDIRECT)


def too_big(original: Tunnelled, mtu: int) -> PacketTooBig | Icmpv4Message:
    """The tunnel carries packets of ``mtu`` bytes."""
    if is_ipv4(original.source):
        quoted = original.data[:_QUOTED_MAX_IPV4]
        return Icmpv4Message(Icmpv4Message.DESTINATION_UNREACHABLE, Icmpv4Message.FRAGMENTATION_NEEDED, mtu, quoted)
    return PacketTooBig(max(mtu, MINIMUM_MTU), original.data[:_QUOTED_MAX])


def unreachable(original: Tunnelled) -> DestinationUnreachable | Icmpv4Message:
    """The tunnel's end can't be reached."""
    if is_ipv4(original.source):
        quoted = original.data[:_QUOTED_MAX_IPV4]
        return Icmpv4Message(Icmpv4Message.DESTINATION_UNREACHABLE, Icmpv4Message.HOST_UNREACHABLE, 0, quoted)
    return DestinationUnreachable(_ADDRESS_UNREACHABLE, original.data[:_QUOTED_MAX])
