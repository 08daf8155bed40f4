"""We decode a classic peer's real exchanges to what tshark says of them."""

from pathlib import Path

import pytest
import tshark

from unwired.wire.icmpv6 import DestinationUnreachable
from unwired.wire.ipv6 import decode_packet
from unwired.wire.pcap import LINK_ETHERNET, Frame, read_frames
from unwired.wire.trace import find, mobility_packets

CAPTURES = sorted((Path(__file__).parent / "captures").glob("*.pcap"))
ETHERNET_HEADER = 14
IPV6_HEADER = 40


def frames_of(capture: Path) -> list[Frame]:
    with capture.open("rb") as file:
        return list(read_frames(file))


def _ours(frame: Frame) -> tshark.Description:
    sighting = find(frame)
    outers = sighting.encapsulation if sighting else ()
    packet = decode_packet(frame.data[ETHERNET_HEADER + IPV6_HEADER * len(outers) :])
    if sighting is None:
        # An error about a mobility packet (the end of brr-ha-up) is none itself, but must be read all the same.
        assert isinstance(packet.payload, DestinationUnreachable)
    else:
        assert (packet.payload, packet.checksum_ok, None) == (sighting.message, sighting.checksum_ok, sighting.error)
    return tshark.ours(
        packet,
        [(str(outer.source.hex()), outer.destination.hex()) for outer in outers if outer.source and outer.destination],
    )


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.stem)
def test_capture_agrees_with_tshark(capture: Path) -> None:
    frames = frames_of(capture)
    theirs = tshark.theirs(capture)
    assert [frame.number for frame in frames] == list(range(1, len(theirs) + 1))
    for frame, description in zip(frames, theirs, strict=True):
        assert frame.link_type == LINK_ETHERNET
        assert description == _ours(frame), f"frame {frame.number}"


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.stem)
def test_the_peers_checksums_are_right(capture: Path) -> None:
    """tshark 4.0 does not verify the mobility header's checksum; the kernel that sent these filled them in."""
    sightings = list(mobility_packets(iter(frames_of(capture))))
    assert len(sightings) > 2
    assert all(sighting.checksum_ok for sighting in sightings)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.stem)
def test_capture_in_pcapng(capture: Path, tmp_path: Path) -> None:
    converted = tmp_path / "converted.pcapng"
    tshark.run("editcap", "-F", "pcapng", str(capture), str(converted))
    assert frames_of(converted) == frames_of(capture)


def test_capture_with_nanoseconds(tmp_path: Path) -> None:
    capture = CAPTURES[0]
    converted = tmp_path / "converted.pcap"
    tshark.run("editcap", "-F", "nsecpcap", str(capture), str(converted))
    assert frames_of(converted) == frames_of(capture)


def test_messages_and_tunnels_of_a_walk() -> None:
    """The exchange at the home agent's uplink as a person would tell it."""
    capture = next(path for path in CAPTURES if path.stem == "basic-ha-up")
    told = [
        f"{sighting.name}{' in a tunnel' * len(sighting.encapsulation)}"
        for frame in frames_of(capture)
        if (sighting := find(frame))
    ]
    assert told[:8] == [
        "Binding Update",
        "Binding Acknowledgement",
        "Binding Update",
        "Binding Acknowledgement",
        "Home Test Init in a tunnel",
        "Home Test Init",
        "Home Test",
        "Home Test in a tunnel",
    ]
