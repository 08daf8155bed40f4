"""tshark reads everything that we encode, to the same fields."""

import struct
from dataclasses import fields
from pathlib import Path
from typing import Any

import strategies
import tshark
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from unwired.wire.icmpv6 import ICMP_MESSAGES, MobilePrefixSolicitation
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.mobility import HEADER_SIZE, MESSAGES, OPTIONS, MobilityMessage, MobilityOption, UnknownOption
from unwired.wire.nd_options import (
    ND_OPTIONS,
    NdOption,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    UnknownNdOption,
)
from unwired.wire.pcap import LINK_RAW
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc5094 import VendorSpecific
from unwired.wire.rfc5096 import ExperimentalMobilityHeader
from unwired.wire.rfc5149 import ServiceSelection
from unwired.wire.rfc5949 import ContextRequest
from unwired.wire.rfc6275 import BindingUpdate

PACKETS = 2500


def write_capture(path: Path, packets: list[bytes], link_type: int = LINK_RAW) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type))
        for packet in packets:
            file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)


DECLARED: set[Any] = {*MESSAGES.values(), *OPTIONS.values(), *ICMP_MESSAGES.values(), *ND_OPTIONS.values()}


def test_what_is_compared_is_declared() -> None:
    for cls, compared in tshark.FIELDS.items():
        assert cls in DECLARED
        names = {field.name for field in cls.LAYOUT.fields} - {"options"}  # type: ignore[attr-defined]
        assert set(compared) | set(tshark.NOT_SHOWN.get(cls, ())) | set(_QUOTED.get(cls, ())) == names, cls


_QUOTED = {cls: ("quoted",) for cls in DECLARED if any(field.name == "quoted" for field in cls.LAYOUT.fields)}
"""What an error quotes is a packet of its own to tshark."""


def test_whatever_tshark_knows_is_compared(tmp_path: Path) -> None:
    """One of each that is not compared: tshark has no name for it, or it is a listed exception."""
    left_out = [cls for cls in (*MESSAGES.values(), *OPTIONS.values()) if cls not in tshark.FIELDS]
    packets = [encode_packet(_one_of(cls)) for cls in left_out]
    write_capture(tmp_path / "left-out.pcap", packets)
    shown = tshark.run("tshark", "-r", str(tmp_path / "left-out.pcap"), "-T", "pdml").decode().split("<packet>")[1:]
    known = {
        cls
        for cls, text in zip(left_out, shown, strict=True)
        if "mip6.unknown_type_data" not in text and f'showname="Unknown (0x{cls.TYPE:02x})' not in text
        if f'show="Unknown (0x{cls.TYPE:02x})' not in text
    }
    left_out_of_icmp = {*ICMP_MESSAGES.values(), *ND_OPTIONS.values()} - set(tshark.FIELDS)  # tshark knows them all
    assert known | left_out_of_icmp == set(tshark.MISREAD)


def _one_of(cls: Any) -> Packet:
    """A packet with the simplest message or option of a class."""
    more = {"unit": 8, "before": HEADER_SIZE, "options": st.just(())} if issubclass(cls, MobilityMessage) else {}
    found = find(strategies.declared(cls, **more), lambda one: True)
    message = found if isinstance(found, MobilityMessage) else BindingUpdate(1, 1, options=(found,))
    return Packet(bytes(15) + b"\2", bytes(15) + b"\3", message)


def _comparable_option(option: MobilityOption | NdOption) -> bool:
    match option:
        case MobileNodeIdentifier() | ServiceSelection():
            return b"\0" not in option.identifier  # tshark 4.0 ends a text there
        case ContextRequest():
            # tshark 4.0 shows a vendor, and no data, of a vendor specific option that is asked for.
            return all(one.type != VendorSpecific.TYPE for one in option.requested)
        case SourceLinkLayerAddress() | TargetLinkLayerAddress():
            return len(option.address) == 6  # tshark 4.0 takes 14 bytes for an EUI-64 and padding
    return True


_mobility_options = st.one_of(
    *(strategies.declared(cls) for cls in OPTIONS.values() if cls in tshark.FIELDS),
    # Below, tshark knows options that nobody declares.
    st.builds(UnknownOption, st.integers(101, 255), st.binary(max_size=40)),
).filter(_comparable_option)
_nd_options = st.one_of(
    *(strategies.declared(cls, unit=8, before=2) for cls in ND_OPTIONS.values() if cls in tshark.FIELDS),
    st.builds(UnknownNdOption, st.sampled_from((100, 101, 102, 200, 201, 202)), st.binary(min_size=6, max_size=6)),
).filter(_comparable_option)


def _payloads(cls: Any) -> st.SearchStrategy[Any]:
    if issubclass(cls, MobilityMessage):
        options = st.lists(_mobility_options, max_size=5).map(tuple) if cls.LAYOUT.tail is None else st.just(())
        made = strategies.declared(cls, unit=8, before=HEADER_SIZE, options=options)
        if cls is ExperimentalMobilityHeader:
            return made.filter(lambda message: len(message.data) > 2)  # tshark 4.0 shows no data in a header of 8 bytes
        return made
    if "options" not in {field.name for field in fields(cls)}:
        return strategies.declared(cls)
    # tshark 4.0 does not look for options in a mobile prefix solicitation.
    given_options = st.just(()) if cls is MobilePrefixSolicitation else st.lists(_nd_options, max_size=5).map(tuple)
    return strategies.declared(cls, options=given_options)


def test_tshark_reads_what_we_encode(tmp_path: Path) -> None:
    generated: list[bytes] = []
    compared = [cls for cls in (*MESSAGES.values(), *ICMP_MESSAGES.values()) if cls in tshark.FIELDS]

    @settings(max_examples=PACKETS, phases=[Phase.generate], database=None, derandomize=True, deadline=None)
    @given(strategies.packets(st.one_of(*map(_payloads, compared))))
    def generate(packet: Packet) -> None:
        generated.append(encode_packet(packet))

    generate()
    assert len(generated) >= 2000
    write_capture(tmp_path / "generated.pcap", generated)
    theirs = tshark.theirs(tmp_path / "generated.pcap")
    assert len(theirs) == len(generated)
    seen: set[type] = set()
    for encoded, description in zip(generated, theirs, strict=True):
        packet = decode_packet(encoded)
        assert description == tshark.ours(packet), encoded.hex()
        seen |= {type(packet.payload), *(type(option) for option in getattr(packet.payload, "options", ()))}
    assert set(tshark.FIELDS) <= seen
