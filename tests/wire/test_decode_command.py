"""``unwired decode`` as a person runs it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from test_oracle import write_capture
from typer.testing import CliRunner

from unwired.cli import decode
from unwired.cli.decode_text import layer_text, text_line, tree_lines
from unwired.wire.address import parse_address
from unwired.wire.datagram import encode_datagram
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryReply, ParameterProblem, RouterSolicitation
from unwired.wire.ipv4 import UdpDatagram, encode_ipv4, encode_udp
from unwired.wire.ipv6 import Outer, Packet, Payload, UnknownPayload, encode_packet
from unwired.wire.mobility import UnknownMessage, UnknownOption, encode_mobility
from unwired.wire.pcap import LINK_ETHERNET, LINK_RAW, Frame
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, ntp_timestamp
from unwired.wire.rfc5568_discovery import LinkLayerAddress, ProxyRouterAdvertisement
from unwired.wire.rfc5845 import with_tlv_header
from unwired.wire.rfc5949 import LocalMobilityAnchorAddress
from unwired.wire.rfc6088 import Ipv4TrafficSelector
from unwired.wire.rfc6089 import FlowIdentification, TrafficSelector
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingAcknowledgement, BindingUpdate
from unwired.wire.rfc6463 import Redirect
from unwired.wire.rfc7148 import DelegatedMobileNetworkPrefix
from unwired.wire.trace import find

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
    "time_s",
    "src",
    "dst",
    "home_address",
    "routing_header_address",
    "type",
    "reference",
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
    assert all(one["schema"] == "unwired.decode/2" for one in found)
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
            "schema": "unwired.decode/2",
            "frame": 1,
            "time_s": 0.0,
            "src": "2001:db8:a::9",
            "dst": "2001:db8:1::1",
            "home_address": "2001:db8:1::100",
            "routing_header_address": None,
            "type": "Binding Update",
            "reference": "RFC 6275, 6.1.7",
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
                {
                    "type": 8,
                    "name": "Mobile Node Identifier",
                    "identifier": "mn@example.org",
                    "subtype": 1,
                    "subtype_name": "NAI",
                },
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
                    "subtype_name": "MN_HA",
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


def test_messages_of_fast_handovers(capture: Path) -> None:
    advertisement = ProxyRouterAdvertisement(2, 7, options=(LinkLayerAddress(5, b"abcdef" + bytes(7)),))
    good = encode_packet(Packet(CARE_OF, HOME_AGENT, advertisement))
    write_capture(capture, [good, good[:49] + b"\x09" + good[50:]])
    right, wrong = objects(capture)
    assert right["type"] == "Proxy Router Advertisement"
    assert right["fields"]["code_name"] == "NO_NEW_ROUTER_INFORMATION"
    assert right["options"][0]["code_name"] == "ACCESS_POINT_OF_THE_CURRENT_INTERFACE"
    assert wrong["error"] == {
        "reason": "neighbour discovery option with a wrong length",
        "offset": 49,
        "field": "Link-Layer Address",
        "reference": "RFC 5568, 6.4.3",
    }


def test_addresses_of_either_family_are_text(capture: Path) -> None:
    options = (
        LocalMobilityAnchorAddress(HOME_AGENT),
        LocalMobilityAnchorAddress(parse_address("192.0.2.1")),
        DelegatedMobileNetworkPrefix(parse_address("198.51.100.0"), 24),
        Redirect(HOME_AGENT),
    )
    write_capture(capture, [encode_packet(Packet(CARE_OF, HOME_AGENT, BindingUpdate(1, 2, options=options)))])
    (found,) = objects(capture)
    assert [option.get("address", option.get("prefix")) for option in found["options"]] == [
        "2001:db8:1::1",
        "192.0.2.1",
        "198.51.100.0",
        "2001:db8:1::1",
    ]


def test_text_that_is_none_is_hexadecimal(capture: Path) -> None:
    """Nothing of a capture reaches the terminal as a command, or breaks a line."""
    identifiers = (b"m\xc3\xbcnchen", b"\x1b[2J", b"one\ntwo", "\u202eright to left".encode(), b"\xff\xfe")
    options = tuple(MobileNodeIdentifier(identifier) for identifier in identifiers)
    write_capture(capture, [encode_packet(Packet(CARE_OF, HOME_AGENT, BindingUpdate(1, 2, options=options)))])
    (found,) = objects(capture)
    assert [option["identifier"] for option in found["options"]] == [
        "m\u00fcnchen",
        *(identifier.hex() for identifier in identifiers[1:]),
    ]
    result = CliRunner().invoke(app, ["decode", str(capture)])
    (line,) = result.stdout.splitlines()
    assert line.isprintable()


def test_what_an_option_lacks_is_said_of_it_and_not_of_the_next(capture: Path) -> None:
    selector = TrafficSelector(Ipv4TrafficSelector(start_source=parse_address("192.0.2.1")))
    flow = encode_packet(
        Packet(CARE_OF, HOME_AGENT, BindingUpdate(1, 2, options=(FlowIdentification(1, 2, (selector,)),)))
    )
    empty = encode_packet(Packet(CARE_OF, HOME_AGENT, BindingUpdate(1, 2, options=(UnknownOption(200, b""),))))
    end_source_too = flow.replace(bytes.fromhex("0100 80000000"), bytes.fromhex("0100 c0000000"))
    write_capture(capture, [end_source_too, empty.replace(b"\xc8\0", b"\x03\0")])
    assert [(one["error"]["field"], one["error"]["reference"]) for one in objects(capture)] == [
        ("Traffic Selector", "RFC 6089, 4.2.1.4"),
        ("Alternate Care-of Address", "RFC 6275, 6.2.5"),
    ]


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
    assert [one["error"] and one["error"]["offset"] for one in found] == [14 + 65, 14 + 79, 14 + 64, 14 + 47, None, 114]
    assert [one["error"] and (one["error"]["field"], one["error"]["reference"]) for one in found] == [
        ("Header Len", "RFC 6275, 6.1.1"),
        ("Alternate Care-of Address", "RFC 6275, 6.2.5"),
        ("Payload Proto", "RFC 6275, 6.1.1"),
        ("Home Address Option", "RFC 6275, 6.3"),
        None,
        ("Payload Length", "RFC 8200, 3"),
    ]
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
        "(in IPv6 2001:db8:1::1 > 2001:db8:a::9)",
    ):
        assert part in first
    assert second.endswith("WRONG CHECKSUM")
    assert third.endswith(
        "MALFORMED: packet cut short, 52 bytes missing, at byte 100 of the frame, Payload Length (RFC 8200, 3)"
    )


def test_a_tree_for_people(capture: Path) -> None:
    good = encode_packet(UPDATE)
    write_capture(capture, [tunneled(good), good[:78] + b"\x03\x0f" + good[80:]])
    result = CliRunner().invoke(app, ["decode", str(capture), "--verbose"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for line in (
        "frame 1",
        "  IPv6 2001:db8:1::1 > 2001:db8:a::9",
        "  2001:db8:a::9 > 2001:db8:1::1",
        "    home address option: 2001:db8:1::100  (RFC 6275, 6.3)",
        "  Binding Update  (RFC 6275, 6.1.7)",
        "    home registration: yes",
        "    lifetime s: 420",
        "    Alternate Care-of Address, option 3  (RFC 6275, 6.2.5)",
        "      address: 2001:db8:a::9",
        "    checksum: right",
        "    WRONG CHECKSUM",
    ):
        assert line in lines, line
    assert "at byte 79 of the frame, Alternate Care-of Address (RFC 6275, 6.2.5)" in lines[-1]


def test_colour_changes_no_word() -> None:
    frame = Frame(1, 0, LINK_RAW, tunneled(encode_packet(UPDATE)))
    sighting = find(frame)
    assert sighting is not None
    shown = decode.as_object(sighting)
    for plain, coloured in (
        (text_line(shown, False), text_line(shown, True)),
        ("\n".join(tree_lines(shown, False)), "\n".join(tree_lines(shown, True))),
    ):
        assert "\x1b[" in coloured and re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain


HERE, THERE = parse_address("192.0.2.9"), parse_address("198.51.100.1")
ACK = Packet(HOME_AGENT, HOME, BindingAcknowledgement(0, 1, 10))


def gre(flags: int, more: bytes, ethertype: int, packet: bytes) -> bytes:
    return flags.to_bytes(2) + ethertype.to_bytes(2) + more + packet


def in_udp(payload: bytes) -> bytes:
    return encode_ipv4(THERE, HERE, 17, encode_udp(THERE, HERE, UdpDatagram(5437, 5437, payload)))


@pytest.mark.parametrize(
    ("packet", "encapsulation"),
    [
        (
            encode_datagram(replace(ACK, outer=Outer(THERE, HERE, 4191, 50_000))),
            ["IPv4 198.51.100.1 > 192.0.2.9", "UDP 4191 > 50000"],
        ),
        (encode_datagram(replace(ACK, outer=Outer(THERE, HERE))), ["IPv4 198.51.100.1 > 192.0.2.9"]),
        (
            encode_ipv4(THERE, HERE, 47, gre(0xB000, b"ckrs\0\0\0\x07seqn", 0x86DD, encode_packet(ACK))),
            ["IPv4 198.51.100.1 > 192.0.2.9", "GRE key 7"],
        ),
        (
            encode_packet(Packet(HOME_AGENT, CARE_OF, UnknownPayload(47, gre(0, b"", 0x86DD, encode_packet(ACK))))),
            ["IPv6 2001:db8:1::1 > 2001:db8:a::9", "GRE"],
        ),
        (
            encode_packet(
                Packet(
                    HOME_AGENT,
                    CARE_OF,
                    UnknownPayload(4, encode_datagram(replace(ACK, outer=Outer(THERE, HERE, 4191, 4191)))),
                )
            ),
            ["IPv6 2001:db8:1::1 > 2001:db8:a::9", "IPv4 198.51.100.1 > 192.0.2.9", "UDP 4191 > 4191"],
        ),
        (
            in_udp(with_tlv_header(41, encode_packet(ACK))),
            ["IPv4 198.51.100.1 > 192.0.2.9", "UDP 5437 > 5437"],
        ),
        (
            in_udp(with_tlv_header(47, gre(0x2000, b"\0\0\0\x07", 0x86DD, encode_packet(ACK)))),
            ["IPv4 198.51.100.1 > 192.0.2.9", "UDP 5437 > 5437", "GRE key 7"],
        ),
    ],
    ids=["udp", "ipv4", "gre-in-ipv4", "gre-in-ipv6", "between-home-agents", "tlv", "gre-in-tlv"],
)
def test_every_kind_of_tunnel(capture: Path, packet: bytes, encapsulation: list[str]) -> None:
    for size in range(len(packet)):  # cut anywhere: a line that says so, or none
        write_capture(capture, [packet[:size]])
        assert all(one["error"] for one in objects(capture))
    write_capture(capture, [packet])
    (found,) = objects(capture)
    assert [layer_text(layer) for layer in found["encapsulation"]] == encapsulation
    assert (found["src"], found["dst"], found["type"]) == ("2001:db8:1::1", "2001:db8:1::100", ACK.payload.NAME)
    assert found["checksum_ok"]


def test_proxy_signalling_in_ipv4_has_no_checksum_of_its_own(capture: Path) -> None:
    header = encode_mobility(BindingAcknowledgement(0, 1, 10))
    udp = encode_udp(HERE, THERE, UdpDatagram(5436, 5436, header))
    write_capture(capture, [encode_ipv4(HERE, THERE, 17, udp)])
    (found,) = objects(capture)
    assert (found["src"], found["dst"], found["checksum_ok"]) == ("192.0.2.9", "198.51.100.1", None)
    assert found["type"] == "Binding Acknowledgement"
    assert found["encapsulation"] == [{"type": "UDP", "src_port": 5436, "dst_port": 5436}]


def test_what_leads_nowhere_is_no_mobility_packet(capture: Path) -> None:
    inner = encode_packet(ACK)
    fragment = bytearray(encode_datagram(replace(ACK, outer=Outer(THERE, HERE))))
    fragment[6] = 0x20
    write_capture(
        capture,
        [
            bytes(fragment),
            encode_ipv4(HERE, THERE, 17, encode_udp(HERE, THERE, UdpDatagram(53, 53, inner))),
            encode_ipv4(HERE, THERE, 47, gre(1, b"", 0x86DD, inner)),
            encode_ipv4(HERE, THERE, 47, gre(0, b"", 0x6558, inner)),
            encode_ipv4(HERE, THERE, 6, inner),
        ],
    )
    assert objects(capture) == []


def test_from_standard_input(capture: Path) -> None:
    write_capture(capture, [encode_packet(UPDATE)])
    result = CliRunner().invoke(app, ["decode", "-", "--json"], input=capture.read_bytes())
    assert result.exit_code == 0 and json.loads(result.stdout)["type"] == "Binding Update"


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
