"""The tables of other protocols' numbers."""

from unwired.wire.dhcpv6_options import DHCPV6_OPTIONS
from unwired.wire.radius_attributes import RADIUS_ATTRIBUTES, MobilityCapability, RadiusType


def test_radius_attributes() -> None:
    assert set(range(145, 163)) <= set(RADIUS_ATTRIBUTES)  # RFC 6572 section 9.1
    assert RADIUS_ATTRIBUTES[151].name == "PMIP6-Home-HN-Prefix"
    assert RADIUS_ATTRIBUTES[151].data_type is RadiusType.IPV6PREFIX
    for number, attribute in RADIUS_ATTRIBUTES.items():
        visited = RADIUS_ATTRIBUTES.get(number + 1)
        if attribute.name.startswith("PMIP6-Home-"):
            assert visited is not None and visited.name == attribute.name.replace("Home", "Visited", 1)
            assert visited.data_type is attribute.data_type


def test_capabilities() -> None:
    assert MobilityCapability.PMIP6_SUPPORTED == 0x0000_0100_0000_0000
    assert MobilityCapability.INTER_MAG_ROUTING_SUPPORTED == 0x0002_0000_0000_0000


def test_dhcpv6_options() -> None:
    assert {code for code, option in DHCPV6_OPTIONS.items() if "MIP6" in option.name} == {49, 50, 69, 70, 71, 72, 73}
    assert all(option.reference.startswith("RFC ") for option in DHCPV6_OPTIONS.values())
