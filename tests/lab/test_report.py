"""The report: self-contained, escaped, well-formed, and drawn from what really happened."""

import json
import re
import struct
import xml.etree.ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_run import HOME_ADDRESS, MOVES, STARTED_AT, make_run

from unwired.lab import report, sequence
from unwired.lab.analysis import analyse, read_traffic
from unwired.lab.record import CaptureRecord, RunRecord
from unwired.lab.report_svg import Scale, milliseconds, number
from unwired.wire.address import parse_address
from unwired.wire.datagram import encode_datagram
from unwired.wire.icmpv6 import RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingUpdate

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Balance(HTMLParser):
    """Every element that is opened is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(record: RunRecord, directory: Path) -> str:
    return report.write(analyse(record), record, directory / "report").read_text()


def test_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"), tmp_path)
    balance = Balance()
    balance.feed(page)
    assert not balance.open
    assert not {"script", "link", "img", "iframe"} & set(balance.seen)
    assert not re.search(r"https?://|url\(|@import|\$[a-z]", page)
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        xml.etree.ElementTree.fromstring(drawing)
    assert page.count("<svg") == 2 + 2 * len(MOVES)
    assert "✓ Passed" in page
    assert not re.search(r"\b(nan|inf|None)\b", page)
    assert json.loads((tmp_path / "report" / "result.json").read_text())["passed"] is True


def test_what_comes_from_a_scenario_is_escaped(tmp_path: Path) -> None:
    record = make_run(tmp_path / "run", problems=("<b>died</b>",))
    scenario = record.scenario.model_copy(update={"title": "<script>alert(1)</script>", "description": "a & b"})
    page = page_of(replace(record, scenario=scenario), tmp_path)
    assert "<script" not in page
    assert "<b>died" not in page
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page
    assert "✗ Failed" in page


def test_run_without_moves_traffic_or_captures(tmp_path: Path) -> None:
    record = replace(make_run(tmp_path / "run", moves=()), flows=(), notices=())
    page = page_of(record, tmp_path)
    assert page.count("<svg") == 2


def write_capture(path: Path, packets: list[tuple[float, Packet]]) -> Path:
    """Raw IPv6 frames in a nanosecond pcap; times in seconds since 1970."""
    data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    for at, packet in packets:
        frame = encode_datagram(packet)
        data += struct.pack("<IIII", int(at), int(at % 1 * 1e9), len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


@pytest.fixture
def captured(tmp_path: Path) -> RunRecord:
    """The second move's signalling, as the mobile node and its home agent see it."""
    record = make_run(tmp_path / "run")
    usable = STARTED_AT + 8.6 + record.wall_minus_monotonic_s
    care_of, agent = parse_address("2001:db8:2::77"), parse_address("2001:db8:100::1")
    router, node = parse_address("fe80::1"), parse_address("fe80::77")
    home = parse_address(HOME_ADDRESS)
    update = Packet(care_of, agent, BindingUpdate(7, 105, acknowledge=True, home_registration=True), home_address=home)
    answer = Packet(agent, care_of, BindingAcknowledgement(0, 7, 105), routing_home_address=home)
    solicitation = Packet(node, parse_address("ff02::2"), RouterSolicitation(()), hop_limit=255)
    message = RouterAdvertisement(64, False, False, False, 1800, 0, 0, ())
    advertisement = Packet(router, node, message, hop_limit=255)
    at_node = [
        (usable + 0.0005, solicitation),
        (usable + 0.0009, advertisement),
        (usable + 0.002, update),
        (usable + 0.043, answer),
        (usable + 0.5, advertisement),
    ]
    at_agent = [(usable + 0.0222, update), (usable + 0.0225, answer)]
    captures = (
        CaptureRecord("mobile-node", "wlan0", write_capture(tmp_path / "node.pcap", at_node)),
        CaptureRecord("home-agent", "up", write_capture(tmp_path / "agent.pcap", at_agent)),
        CaptureRecord("home-agent", "home", tmp_path / "missing.pcap"),
    )
    return replace(record, captures=captures)


def test_sequence_joins_what_several_nodes_captured(captured: RunRecord) -> None:
    exchange = sequence.exchange(captured, 1, sequence.read_sightings(captured), ())
    assert exchange is not None
    assert exchange.lanes == ("mobile-node", "access2", "home-agent")
    told = [(step.label, step.source, step.destination) for step in exchange.steps]
    assert told == [
        ("router solicitation", "mobile-node", "access2"),
        ("router advertisement", "access2", "mobile-node"),
        ("binding update", "mobile-node", "home-agent"),
        ("binding acknowledgement", "home-agent", "mobile-node"),
    ]
    update = exchange.steps[2]
    assert update.received_at - update.sent_at == pytest.approx(0.0202, abs=1e-4)
    assert "#7" in update.detail
    assert "420 s" in update.detail


def test_sequence_follows_a_packet_through_a_nat(tmp_path: Path) -> None:
    """The same binding update, in UDP from one address and from another one."""
    record = make_run(tmp_path / "run")
    usable = STARTED_AT + 8.6 + record.wall_minus_monotonic_s
    home, agent = parse_address(HOME_ADDRESS), parse_address("2001:db8:100::1")
    update = Packet(home, agent, BindingUpdate(7, 105, acknowledge=True, home_registration=True))
    there = parse_address("192.0.2.2")
    behind = Outer(parse_address("192.168.1.9"), there, 4191, 4191)
    outside = Outer(parse_address("198.18.0.10"), there, 51_000, 4191)
    seen = [
        ("mobile-node", usable + 0.002, replace(update, outer=behind)),
        ("home-agent", usable + 0.022, replace(update, outer=outside)),
    ]
    captures = tuple(
        CaptureRecord(node, "x", write_capture(tmp_path / f"{node}.pcap", [(at, packet)])) for node, at, packet in seen
    )
    record = replace(record, captures=captures)
    exchange = sequence.exchange(record, 1, sequence.read_sightings(record), ())
    assert exchange is not None
    (step,) = exchange.steps
    assert (step.source, step.destination, step.label) == ("mobile-node", "home-agent", "binding update in UDP")
    assert "192.168.1.9:4191 → 192.0.2.2:4191" in step.detail
    assert "198.18.0.10:51000 → 192.0.2.2:4191" in step.detail


def test_sequence_from_notices_and_first_packets(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    exchange = sequence.exchange(record, 1, (), read_traffic(record).probes)
    assert exchange is not None
    assert exchange.lanes == ("mobile-node", "home-agent", "correspondent")
    assert {step.label for step in exchange.steps} == {"binding update", "binding acknowledgement", "first data"}
    assert sum(step.is_data for step in exchange.steps) == 2


def test_page_shows_the_captured_signalling(captured: RunRecord, tmp_path: Path) -> None:
    page = page_of(captured, tmp_path)
    assert "router advertisement" in page


def test_figures_for_people() -> None:
    assert [number(value) for value in (0, 0.25, 3.14159, 42, 12_345.6)] == ["0", "0.25", "3.1", "42", "12 346"]
    assert [milliseconds(value) for value in (None, 56.78, 1234.0)] == ["–", "56.8 ms", "1.23 s"]
    assert list(Scale(0, 24, 0, 100).ticks(12)) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert Scale(0, 10, 0, 100)(11) == 100
