"""The Home Agent Switch message: exact bytes, the ways to be wrong, how it is authenticated and shown."""

import contextlib
import json
from pathlib import Path

import pytest
import typer
from test_oracle import write_capture
from typer.testing import CliRunner

from unwired.cli import decode
from unwired.core.authentication import is_authentic, sign
from unwired.core.settings import SecurityAssociation
from unwired.wire.address import parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.layout import parse_layout
from unwired.wire.mobility import decode_mobility, encode_mobility
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, authenticator_offset
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import BindingRefreshAdvice
from unwired.wire.tails import TAILS

AGENTS = (parse_address("2001:db8:1::1"), parse_address("2001:db8:1::2"))
CARE_OF = parse_address("2001:db8:a::9")
HOME = parse_address("2001:db8:1::100")
ASSOCIATION = SecurityAssociation(256, bytes(range(16)))


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (HomeAgentSwitch(), "3b000c0000000000"),
        (HomeAgentSwitch(AGENTS[:1]), "3b020c0000000100" + AGENTS[0].hex()),
        (HomeAgentSwitch(AGENTS), "3b040c0000000200" + AGENTS[0].hex() + AGENTS[1].hex()),
        (
            HomeAgentSwitch(AGENTS[:1], options=(BindingRefreshAdvice(3),)),
            "3b030c0000000100" + AGENTS[0].hex() + "02020003" + "01020000",
        ),
        (HomeAgentSwitch(options=(BindingRefreshAdvice(3),)), "3b010c0000000000" + "02020003" + "01020000"),
    ],
)
def test_bytes(message: HomeAgentSwitch, wire: str) -> None:
    assert encode_mobility(message).hex() == wire
    assert decode_mobility(bytes.fromhex(wire)) == message


def test_reserved_byte_is_ignored() -> None:
    assert decode_mobility(bytes.fromhex("3b000c00000000ff")) == HomeAgentSwitch()


@pytest.mark.parametrize(
    ("wire", "offset"),
    [
        ("3b000c0000000100", 6),  # one address, nothing there
        ("3b020c0000000200" + AGENTS[0].hex(), 6),  # two, one there
        ("3b020c000000ff00" + AGENTS[0].hex(), 6),
        ("3b020c0000000100" + AGENTS[0].hex()[:-2], 1),  # shorter than its header length
        ("3b010c0000000000" + "0214000301020000", 9),  # an option that goes on after the message
    ],
)
def test_malformed(wire: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_mobility(bytes.fromhex(wire))
    assert caught.value.offset == offset


def test_what_the_wire_cannot_hold() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        encode_mobility(HomeAgentSwitch(AGENTS * 128))
    with pytest.raises(ValueError, match="at most 2048"):
        encode_mobility(HomeAgentSwitch(AGENTS * 64))
    with pytest.raises(ValueError, match="address must be 16 bytes"):
        encode_mobility(HomeAgentSwitch((b"short",)))


@pytest.mark.parametrize("layout", ["a:counted", "b:count a:counted", "a:count a:counted b:8", "a:count b:8"])
def test_wrong_layouts(layout: str) -> None:
    with pytest.raises(TypeError):
        parse_layout(layout, TAILS)


@pytest.mark.parametrize("count", range(4))
def test_authenticated_like_a_binding_acknowledgement(count: int) -> None:
    """The computation finds the options behind however many addresses."""
    message, data = sign(HomeAgentSwitch((AGENTS * 2)[:count], options=(MessageId(77),)), ASSOCIATION, CARE_OF, HOME)
    option = message.option(MobilityMessageAuthentication)
    assert option is not None and decode_mobility(data) == message
    assert is_authentic(option, data, ASSOCIATION, CARE_OF, HOME)
    for at in range(len(data)):
        if at not in (4, 5):  # the checksum is not covered
            changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
            with contextlib.suppress(DecodeError):  # not a message any more, or without the option
                found = decode_mobility(changed).option(MobilityMessageAuthentication)
                assert found is None or not is_authentic(found, changed, ASSOCIATION, CARE_OF, HOME), at


def test_count_beyond_the_header_has_no_authenticator() -> None:
    with pytest.raises(DecodeError):
        authenticator_offset(bytes.fromhex("3b000c000000ff00"))


def test_decode_shows_it(tmp_path: Path) -> None:
    message = HomeAgentSwitch(AGENTS, options=(BindingRefreshAdvice(3),))
    packet = Packet(AGENTS[0], CARE_OF, message, routing_home_address=HOME)
    assert decode_packet(encode_packet(packet)).payload == message
    write_capture(tmp_path / "switch.pcap", [encode_packet(packet)])
    app = typer.Typer()
    decode.register(app)
    shown = CliRunner().invoke(app, [str(tmp_path / "switch.pcap"), "--json"]).stdout
    line = json.loads(shown)
    assert (line["type"], line["routing_header_address"]) == ("Home Agent Switch", "2001:db8:1::100")
    assert line["fields"] == {"addresses": ["2001:db8:1::1", "2001:db8:1::2"]}
    assert line["options"][0]["interval_s"] == 12
