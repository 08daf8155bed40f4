"""ICMPv6 messages and neighbour discovery options: exact bytes and the ways to be wrong."""

import pytest

from unwired.wire.address import parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    NeighborAdvertisement,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
    RouterSolicitation,
    UnknownIcmp,
    decode_icmp,
    encode_icmp,
)
from unwired.wire.nd_options import (
    AdvertisementInterval,
    HomeAgentInformation,
    NdOption,
    Pref64,
    PrefixInformation,
    SourceLinkLayerAddress,
    UnknownNdOption,
    decode_nd_options,
    encode_nd_options,
)

ROUTER = parse_address("2001:db8:1::1")


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (HomeAgentAddressDiscoveryRequest(0x1234), "9000000012340000"),
        (HomeAgentAddressDiscoveryReply(0x1234, (ROUTER,)), "9100000012340000" + ROUTER.hex()),
        (MobilePrefixSolicitation(0x1234), "9200000012340000"),
        (MobilePrefixAdvertisement(0x1234, managed=True), "9300000012348000"),
        (RouterSolicitation(), "8500000000000000"),
        (
            RouterAdvertisement(64, other=True, home_agent=True, router_lifetime_s=1800, preference=1),
            "86000000" + "40680708" + "00000000" * 2,
        ),
        (NeighborAdvertisement(ROUTER, override=True), "88000000" + "20000000" + ROUTER.hex()),
        (PacketTooBig(1280, b"quoted"), "02000000" + "00000500" + b"quoted".hex()),
        (ParameterProblem(2, 42, b""), "04020000" + "0000002a"),
        (UnknownIcmp(200, 0, b"ping"), "c8000000" + b"ping".hex()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, IcmpMessage) else "",
)
def test_bytes_of_messages(message: IcmpMessage, wire: str) -> None:
    assert encode_icmp(message).hex() == wire
    assert decode_icmp(bytes.fromhex(wire), 0, len(wire) // 2) == message


@pytest.mark.parametrize(
    ("option", "wire"),
    [
        (SourceLinkLayerAddress(b"\x02\0\0\0\0\x09"), "0101020000000009"),
        (
            PrefixInformation(ROUTER, 64, True, True, True, 119, 59),
            "0304" + "40e0" + "00000077" + "0000003b" + "00000000" + ROUTER.hex(),
        ),
        (AdvertisementInterval(1500), "07010000" + "000005dc"),
        (HomeAgentInformation(7, 1800), "08010000" + "00070708"),
        (Pref64(225, 0, bytes.fromhex("0064ff9b") + bytes(8)), "2602" + "0708" + "0064ff9b" + "00" * 8),
        (UnknownNdOption(25, b"abcdef"), "1901" + b"abcdef".hex()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, NdOption) else "",
)
def test_bytes_of_options(option: NdOption, wire: str) -> None:
    assert encode_nd_options((option,)).hex() == wire
    assert decode_nd_options(bytes.fromhex(wire), 0, len(wire) // 2) == (option,)


def test_a_link_layer_address_is_padded_to_eight_bytes() -> None:
    assert encode_nd_options((SourceLinkLayerAddress(b"\x02\x09"),)).hex() == "0101020900000000"


@pytest.mark.parametrize(
    ("what", "wire", "offset"),
    [
        ("shorter than a header", "850000", 0),
        ("shorter than its fields", "86000000400000", 0),
        ("another code", "8501000000000000", 1),
        ("option of length zero", "8500000000000000" + "0100000000000000", 9),
        ("option beyond the end", "8500000000000000" + "0102000000000000", 9),
        ("option without a length", "8500000000000000" + "01", 8),
        ("option of a wrong size", "8500000000000000" + "0501000000000000" + "0801", 17),
        ("half an address", "9100000012340000" + "00" * 24, 24),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_malformed(what: str, wire: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode_icmp(bytes.fromhex(wire), 0, len(wire) // 2)
    assert error.value.offset == offset, what


@pytest.mark.parametrize(
    "message",
    [
        HomeAgentAddressDiscoveryRequest(1 << 16),
        HomeAgentAddressDiscoveryReply(1, (b"short",)),
        RouterAdvertisement(preference=4),
        RouterSolicitation((SourceLinkLayerAddress(bytes(2040)),)),
        UnknownIcmp(300, 0, b""),
    ],
    ids=["identifier", "address", "preference", "option", "type"],
)
def test_what_the_wire_cannot_hold(message: IcmpMessage) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_icmp(message)
