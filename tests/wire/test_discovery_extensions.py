"""ICMPv6 messages of fast handovers and neighbour discovery options of RFC 5568 and RFC 5380: exact bytes."""

import pytest

from unwired.wire.address import parse_address
from unwired.wire.icmpv6 import IcmpMessage, RouterAdvertisement, UnknownIcmp, decode_icmp, encode_icmp
from unwired.wire.nd_options import NdOption
from unwired.wire.rfc5380 import MobilityAnchorPoint
from unwired.wire.rfc5568_discovery import (
    IpAddressPrefix,
    LinkLayerAddress,
    NeighborAdvertisementAcknowledgment,
    ProxyRouterAdvertisement,
    RouterSolicitationForProxyAdvertisement,
)

ADDRESS = parse_address("2001:db8:5::9")


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (RouterSolicitationForProxyAdvertisement(77), "9a00 0000 0200 004d"),
        (ProxyRouterAdvertisement(3, 77, multicast=True), "9a03 0000 0380 004d"),
        (
            RouterSolicitationForProxyAdvertisement(1, (LinkLayerAddress(1, b"\2\0\0\0\0"),)),
            "9a00 0000 0200 0001 1301 01 0200000000",
        ),
        (UnknownIcmp(154, 0, bytes.fromhex("0400 0001")), "9a00 0000 0400 0001"),
    ],
)
def test_messages(message: IcmpMessage, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert encode_icmp(message).hex() == data.hex()
    assert decode_icmp(data, 0, len(data)) == message


@pytest.mark.parametrize(
    ("option", "wire"),
    [
        (IpAddressPrefix(4, ADDRESS, 64), f"1103 0440 00000000 {ADDRESS.hex()}"),
        (LinkLayerAddress(2, b"\2\0\0\0\0\1"), "1302 02 020000000001 00000000000000"),
        (NeighborAdvertisementAcknowledgment(1), "1401 0001 00000000"),
        (NeighborAdvertisementAcknowledgment(2, ADDRESS), f"1403 0002 00000000 {ADDRESS.hex()}"),
        (MobilityAnchorPoint(ADDRESS, 1, 15, 3600, True), f"1703 1f80 00000e10 {ADDRESS.hex()}"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_options(option: NdOption, wire: str) -> None:
    encoded = encode_icmp(RouterAdvertisement(options=(option,)))
    assert encoded[16:].hex() == bytes.fromhex(wire).hex()
    (decoded,) = decode_icmp(encoded, 0, len(encoded)).options  # type: ignore[attr-defined]
    if isinstance(option, LinkLayerAddress):  # comes with its padding: only the link's type tells the address's length
        assert decoded.address.startswith(option.address)
    else:
        assert decoded == option
