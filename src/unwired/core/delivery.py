"""By what way the home agent's own messages go to a mobile node."""

from unwired.core.binding_cache import Binding
from unwired.wire.address import Address, is_ipv4
from unwired.wire.datagram import PORT
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.mobility import MobilityMessage


def packet_to(
    binding: Binding, source: Address, address_ipv4: Address | None, message: MobilityMessage, data: bytes = b""
) -> Packet:
    """``message`` from a home agent's ``source`` to a mobile node: to its care-of address with a type 2 routing header
    (RFC 6275 section 9.3.2), in an IPv4 network in its tunnel from ``address_ipv4`` (RFC 5555 section 4.5.1).
    ``data``: the message's bytes where they are there already."""
    if address_ipv4 is None or not is_ipv4(binding.care_of_address):
        return Packet(source, binding.care_of_address, message, routing_home_address=binding.home_address, data=data)
    port = binding.care_of_port
    outer = Outer(address_ipv4, binding.care_of_address, PORT if port else 0, port)
    return Packet(source, binding.home_address, message, data=data, outer=outer)
