"""The IPv4 options of RFC 5555 and RFC 5844: four bytes on the wire, v4-mapped in the classes."""

import pytest

from unwired.wire.address import UNSPECIFIED_IPV4, parse_address
from unwired.wire.mobility import MobilityOption, decode_mobility, encode_mobility
from unwired.wire.present import option_values
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, Ipv4CareOfAddress, Ipv4HomeAddress, NatDetection
from unwired.wire.rfc5844 import (
    Ipv4DefaultRouterAddress,
    Ipv4DhcpSupportMode,
    Ipv4HomeAddressReply,
    Ipv4HomeAddressRequest,
)
from unwired.wire.rfc6275 import BindingUpdate

ADDRESS = parse_address("192.0.2.7")


@pytest.mark.parametrize(
    ("option", "wire"),
    [
        (Ipv4HomeAddress(ADDRESS), "1d068000c0000207"),
        (Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, request_prefix=True), "1d06620000000000"),
        (Ipv4AddressAcknowledgement(0, ADDRESS), "1e060080c0000207"),
        (NatDetection(110, force_udp_encapsulation=True), "1f0680000000006e"),
        (Ipv4CareOfAddress(ADDRESS), "20060000c0000207"),
        (Ipv4HomeAddressRequest(), "2406800000000000"),
        (Ipv4HomeAddressReply(131, UNSPECIFIED_IPV4, 0), "2506830000000000"),
        (Ipv4DefaultRouterAddress(ADDRESS), "26060000c0000207"),
        (Ipv4DhcpSupportMode(server=True), "27020001"),
    ],
)
def test_bytes(option: MobilityOption, wire: str) -> None:
    assert option.pack().hex() == wire
    assert decode_mobility(encode_mobility(BindingUpdate(1, 2, options=(option,)))).options == (option,)


def test_an_ipv6_address_does_not_fit() -> None:
    with pytest.raises(ValueError, match="address must be an IPv4 address"):
        Ipv4CareOfAddress(parse_address("2001:db8::1")).pack()
    with pytest.raises(ValueError, match="address must be an IPv4 address"):
        Ipv4CareOfAddress(ADDRESS[-4:]).pack()


def test_shown_as_people_write_them() -> None:
    (shown,) = option_values(BindingUpdate(1, 2, options=(Ipv4AddressAcknowledgement(133, ADDRESS, 0),)))
    assert shown["address"] == "192.0.2.7"
    assert shown["status_name"] == "PREFIX_ALLOCATION_UNAUTHORIZED"
