"""``unwired decode`` as a person runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from test_oracle import write_capture
from typer.testing import CliRunner

from unwired.cli import decode
from unwired.wire.address import parse_address
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryReply, ParameterProblem, RouterSolicitation
from unwired.wire.ipv6 import Packet, Payload, UnknownPayload, encode_packet
from unwired.wire.mobility import UnknownMessage, UnknownOption
from unwired.wire.pcap import LINK_ETHERNET
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, ntp_timestamp
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingAcknowledgement, BindingUpdate

HOME_AGENT = parse_address("2001:db8:1::1")
CARE_OF = parse_address("2001:db8:a::9")
HOME = parse_address("2001:db8:1::100")
UPDATE = Packet(
    CARE_OF,
    HOME_AGENT,
    BindingUpdate(
        9221,
        105,
        acknowledge=True,
        home_registration=True,
        options=(
            AlternateCareOfAddress(CARE_OF),
            MobileNodeIdentifier(b"mn@example.org"),
            MessageId(ntp_timestamp(1_700_000_000.5)),
            UnknownOption(200, b"abc"),
            MobilityMessageAuthentication(256, bytes(range(12))),
        ),
    ),
    home_address=HOME,
)
KEYS = [
    "schema",
    "frame",
    "src",
    "dst",
    "home_address",
    "routing_header_address",
    "type",
    "fields",
    "options",
    "checksum_ok",
    "encapsulation",
    "error",
]
app = typer.Typer()
decode.register(app)


@app.callback()
def _root() -> None:
    """A second command would be needed for typer to see ``decode`` as one."""


def objects(capture: Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["decode", str(capture), "--json"])
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(list(one) == KEYS for one in found)
    assert all(one["schema"] == "unwired.decode/1" for one in found)
    return found


def tunneled(packet: bytes) -> bytes:
    return encode_packet(Packet(HOME_AGENT, CARE_OF, UnknownPayload(41, packet)))


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "test.pcap"


def test_json_of_a_binding_update(capture: Path) -> None:
    write_capture(capture, [encode_packet(UPDATE)])
    assert objects(capture) == [
        {
            "schema": "unwired.decode/1",
            "frame": 1,
            "src": "2001:db8:a::9",
            "dst": "2001:db8:1::1",
            "home_address": "2001:db8:1::100",
            "routing_header_address": None,
            "type": "Binding Update",
            "fields": {
                "sequence": 9221,
                "lifetime_units": 105,
                "acknowledge": True,
                "home_registration": True,
                "link_local_compatible": False,
                "key_management": False,
                "map_registration": False,
                "mobile_router": False,
                "proxy_registration": False,
                "force_udp_encapsulation": False,
                "tlv_header_format": False,
                "bulk_binding_update": False,
                "multicast_signaling": False,
                "distributed_mobility_management": False,
                "lifetime_s": 420,
            },
            "options": [
                {"type": 3, "name": "Alternate Care-of Address", "address": "2001:db8:a::9"},
                {"type": 8, "name": "Mobile Node Identifier", "identifier": "mn@example.org", "subtype": 1},
                {
                    "type": 10,
                    "name": "Mobility Message Replay Protection",
                    "timestamp": (1_700_000_000 + 2_208_988_800 << 32) + (1 << 31),
                    "wall_time_s": 1_700_000_000.5,
                },
                {"type": 200, "name": "Unknown", "data": "616263"},
                {
                    "type": 9,
                    "name": "Mobility Message Authentication",
                    "spi": 256,
                    "authenticator": "000102030405060708090a0b",
                    "subtype": 1,
                },
            ],
            "checksum_ok": True,
            "encapsulation": [],
            "error": None,
        }
    ]


def test_tunnels_are_walked_through(capture: Path) -> None:
    acknowledgement = Packet(HOME_AGENT, CARE_OF, BindingAcknowledgement(134, 1, 0), routing_home_address=HOME)
    write_capture(capture, [tunneled(tunneled(encode_packet(acknowledgement)))])
    (found,) = objects(capture)
    outer = {"type": "IPv6", "src": "2001:db8:1::1", "dst": "2001:db8:a::9"}
    assert found["encapsulation"] == [outer, outer]
    assert found["routing_header_address"] == "2001:db8:1::100"
    assert found["fields"]["status_name"] == "DUPLICATE_ADDRESS_DETECTION_FAILED"


def test_only_mobility_packets_are_told(capture: Path) -> None:
    reply = HomeAgentAddressDiscoveryReply(5, (HOME_AGENT,))
    payloads: list[Payload] = [
        RouterSolicitation(),
        reply,
        UnknownPayload(6, bytes(20)),
        UnknownPayload(44, bytes(20)),
        ParameterProblem(0, 40, encode_packet(UPDATE)),
        UnknownMessage(99, b"\1\2"),
    ]
    write_capture(capture, [encode_packet(Packet(CARE_OF, HOME_AGENT, payload)) for payload in payloads])
    found = objects(capture)
    assert [(one["frame"], one["type"]) for one in found] == [
        (2, "Home Agent Address Discovery Reply"),
        (6, "Unknown (99)"),
    ]
    assert found[0]["fields"] == {"identifier": 5, "addresses": ["2001:db8:1::1"]}
    assert found[1]["fields"] == {"data": "0102"}


def test_malformed_messages_are_lines_too(capture: Path) -> None:
    good = encode_packet(UPDATE)
    too_long = good[:65] + b"\xff" + good[66:]
    bad_option = good[:78] + b"\x03\x0f" + good[80:]
    payload_protocol = good[:64] + b"\x06" + good[65:]
    bad_home_address = good[:47] + b"\x0f" + good[48:]
    wrong_checksum = good[:68] + b"\0\0" + good[70:]
    cut = good[:100]
    ethernet = [
        bytes(12) + b"\x86\xdd" + packet
        for packet in (too_long, bad_option, payload_protocol, bad_home_address, wrong_checksum, cut)
    ]
    write_capture(capture, ethernet, LINK_ETHERNET)
    found = objects(capture)
    assert [one["frame"] for one in found] == [1, 2, 3, 4, 5, 6]
    assert [one["error"] and one["error"]["offset"] for one in found] == [14 + 65, 14 + 80, 14 + 64, 14 + 47, None, 114]
    assert [one["type"] for one in found] == ["Binding Update"] * 3 + [None] + ["Binding Update"] * 2
    assert [one["checksum_ok"] for one in found] == [None, False, False, None, False, None]
    assert all(one["fields"] == {} and one["options"] == [] for one in found if one["error"])
    assert found[0]["home_address"] == "2001:db8:1::100"


def test_a_line_for_people(capture: Path) -> None:
    good = encode_packet(UPDATE)
    write_capture(capture, [tunneled(good), good[:68] + b"\0\0" + good[70:], good[:100]])
    result = CliRunner().invoke(app, ["decode", str(capture)])
    assert result.exit_code == 0
    first, second, third = result.stdout.splitlines()
    for part in (
        "2001:db8:a::9 > 2001:db8:1::1",
        "Binding Update",
        "home address 2001:db8:1::100",
        "acknowledge home_registration",
        "[Mobile Node Identifier: identifier=mn@example.org",
        "[Unknown 200: data=616263]",
        "(in 2001:db8:1::1 > 2001:db8:a::9)",
    ):
        assert part in first
    assert second.endswith("WRONG CHECKSUM")
    assert third.endswith("MALFORMED: packet cut short, 52 bytes missing, at byte 100 of the frame")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "the file is empty"),
        (b"hello, world", "neither a pcap nor a pcapng file"),
    ],
    ids=["absent", "empty", "text"],
)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_bad_files(capture: Path, content: bytes | None, message: str, options: list[str]) -> None:
    if content is not None:
        capture.write_bytes(content)
    result = CliRunner().invoke(app, ["decode", str(capture), *options])
    assert result.exit_code == 2
    assert message in result.stderr
    assert str(capture) in result.stderr
    assert result.stdout == ""


def test_a_directory_is_no_capture(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["decode", str(tmp_path)])
    assert result.exit_code == 2
    assert "directory" in result.stderr


def test_what_comes_before_the_damage_is_told(capture: Path) -> None:
    write_capture(capture, [encode_packet(UPDATE)] * 2)
    capture.write_bytes(capture.read_bytes()[:-1])
    result = CliRunner().invoke(app, ["decode", str(capture), "--json"])
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 1
    assert "ends inside frame 2" in result.stderr


def test_unknown_link_type(capture: Path) -> None:
    write_capture(capture, [bytes(60)], 105)
    result = CliRunner().invoke(app, ["decode", str(capture)])
    assert result.exit_code == 2
    assert "link type 105" in result.stderr
