"""Two sites and a router between them that filters: what passes is said of each direction, on both sides.

here ---- between ---- there
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unwired.bench.namespaces import Namespace, link
from unwired.doctor.exchange import Exchange
from unwired.doctor.probe import MAGIC, Message, find_message, probes
from unwired.wire.address import parse_address

HERE, THERE = "2001:db8:a::2", "2001:db8:b::2"
HERE_IPV4, THERE_IPV4 = "198.51.100.2", "203.0.113.2"
FILTER = "table inet f {{\n chain f {{\n type filter hook {hook} priority 0;\n {rules}\n }}\n}}\n"


class Sites:
    def __init__(self) -> None:
        self.here, self.between, self.there = Namespace(), Namespace(), Namespace()
        link(self.here, "up0", self.between, "here0")
        link(self.there, "up0", self.between, "there0")
        self.between.sysctl(all__forwarding=1)
        self.between.run("sysctl -qw net.ipv4.ip_forward=1")
        for site, device, six, four in (
            (self.here, "here0", "2001:db8:a::", "198.51.100."),
            (self.there, "there0", "2001:db8:b::", "203.0.113."),
        ):
            self.between.run(f"ip address add {six}1/64 dev {device} nodad")
            self.between.run(f"ip address add {four}1/24 dev {device}")
            site.run(f"ip address add {six}2/64 dev up0 nodad")
            site.run(f"ip address add {four}2/24 dev up0")
            site.run(f"ip -6 route add default via {six}1")
            site.run(f"ip route add default via {four}1")

    def close(self) -> None:
        for site in (self.here, self.between, self.there):
            site.close()

    @contextmanager
    def answering(self, peer: str) -> Iterator["subprocess.Popen[str]"]:
        command = ["nsenter", f"--net={self.there.path}", sys.executable, "-m", "unwired", "doctor"]
        process = subprocess.Popen(
            [*command, "--answer", peer, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == f"answering {peer}; Ctrl-C ends it\n"
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=10)

    def ask(self, peer: str) -> "subprocess.CompletedProcess[str]":
        command = ["nsenter", f"--net={self.here.path}", sys.executable, "-m", "unwired", "doctor", "--json"]
        return subprocess.run([*command, "--peer", peer], capture_output=True, text=True, timeout=60)

    def both(self, ipv4: bool = False) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """What is wrong with the packets of each direction, by the one who asks and the one who answers."""
        asking, answering = (HERE_IPV4, THERE_IPV4) if ipv4 else (HERE, THERE)
        with self.answering(asking) as process:
            done = self.ask(answering)
            assert process.stdout is not None
            answer = json.loads(process.stdout.readline())
        assert answer["schema"] == "unwired.doctor-exchange/1"
        return _wrong(json.loads(done.stdout)["findings"]), _wrong(answer["findings"])


def _wrong(findings: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(each["code"], each["about"]) for each in findings if each["code"].startswith("peer.") and each["fix"]}


@pytest.fixture
def sites() -> Iterator[Sites]:
    made = Sites()
    yield made
    made.close()


def swapped(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The same, seen from the other side."""
    other = {"to peer": "from peer", "from peer": "to peer"}
    return {(code, other[about]) for code, about in found}


@pytest.mark.root
@pytest.mark.parametrize("ipv4", [False, True], ids=["IPv6", "IPv4"])
def test_all_passes(sites: Sites, ipv4: bool) -> None:
    assert sites.both(ipv4) == (set(), set())


@pytest.mark.root
@pytest.mark.parametrize(
    ("rules", "ipv4", "wrong"),
    [
        (
            'iifname "here0" meta l4proto 135 drop\n iifname "there0" meta l4proto 4 drop\n'
            'iifname "here0" udp dport 7691 drop\n icmpv6 type packet-too-big drop',
            False,
            {
                ("peer.mobility_headers", "to peer"),
                ("peer.ipv4_tunnels", "from peer"),
                ("peer.members_port", "to peer"),
                ("peer.packet_too_big", "to peer"),
                ("peer.packet_too_big", "from peer"),
            },
        ),
        (
            'iifname "there0" meta l4proto { 41, 135 } drop',
            False,
            {
                ("peer.mobility_headers", "from peer"),
                ("peer.ipv6_tunnels", "from peer"),
                ("peer.path_mtu", "from peer"),
            },
        ),
        (
            'iifname "here0" udp dport 4191 drop\n iifname "there0" meta l4proto 41 drop',
            True,
            {("peer.nat_traversal", "to peer"), ("peer.path_mtu", "to peer"), ("peer.ipv6_tunnels", "from peer")},
        ),
    ],
)
def test_a_border_that_filters(sites: Sites, rules: str, ipv4: bool, wrong: set[tuple[str, str]]) -> None:
    _load(sites.between, FILTER.format(hook="forward", rules=rules))
    asked, answered = sites.both(ipv4)
    assert asked == wrong
    assert swapped(answered) == wrong


@pytest.mark.root
@pytest.mark.parametrize("ipv4", [False, True], ids=["IPv6", "IPv4"])
def test_a_narrow_path_and_one_that_does_not_say_so(sites: Sites, ipv4: bool) -> None:
    sites.between.run("ip link set there0 mtu 1400")
    sites.there.run("ip link set up0 mtu 1400")
    assert sites.both(ipv4) == (set(), set())
    dropped = "icmp type destination-unreachable" if ipv4 else "icmpv6 type packet-too-big"
    _load(sites.between, FILTER.format(hook="output", rules=f"{dropped} drop"))
    asked, answered = sites.both(ipv4)
    assert asked == {("peer.path_mtu", "to peer")}
    assert answered == {("peer.path_mtu", "from peer")}


@pytest.mark.root
def test_our_own_filter_is_told_apart(sites: Sites) -> None:
    _load(sites.here, FILTER.format(hook="output", rules="meta l4proto 135 drop"))
    with sites.answering(HERE):
        done = sites.ask(THERE)
    (found,) = (
        each for each in json.loads(done.stdout)["findings"] if each["code"] == "peer.mobility_headers" and each["fix"]
    )
    assert found["about"] == "to peer"
    assert "this host's own packet filter" in found["found"]


@pytest.mark.root
def test_a_home_agent_that_runs_meanwhile(sites: Sites, tmp_path: Path) -> None:
    """Its program on the uplink takes what is for its address, and yet it is seen to arrive."""
    file = tmp_path / "home-agent.toml"
    file.write_text(
        f'[daemon]\nname = "doctor{os.getpid()}"\nruntime_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}/state"\n'
        '[home_agent]\naddress = "2001:db8:100::1"\nhome_prefixes = ["2001:db8:100::/64"]\n'
    )
    sites.between.run(f"ip -6 route add 2001:db8:100::/64 via {THERE}")
    command = ["nsenter", f"--net={sites.there.path}", sys.executable, "-m", "unwired"]
    daemon = subprocess.Popen([*command, "run", "-c", file], stderr=subprocess.PIPE, text=True)
    try:
        assert daemon.stderr is not None
        assert any("daemon_ready" in line for line in daemon.stderr)
        with sites.answering(HERE) as process:
            done = sites.ask("2001:db8:100::1")
            assert process.stdout is not None
            answer = json.loads(process.stdout.readline())
        assert _wrong(json.loads(done.stdout)["findings"]) == set() == _wrong(answer["findings"])
        healthy = subprocess.run([*command, "doctor", "-c", file, "--json"], capture_output=True, text=True)
        assert healthy.returncode == 0, healthy.stdout
    finally:
        daemon.terminate()
        assert daemon.wait(10) == 0


@pytest.mark.root
def test_nobody_answers(sites: Sites) -> None:
    done = sites.ask(THERE)
    assert done.returncode == 1
    (found,) = (each for each in json.loads(done.stdout)["findings"] if each["code"].startswith("peer."))
    assert (found["code"], found["level"], found["fix"]) == (
        "peer.answer", "fail", f"there: unwired doctor --answer {HERE}",
    )  # fmt: skip


def _load(namespace: Namespace, rules: str) -> None:
    done = subprocess.run(namespace.command("nft -f -"), input=rules, text=True, capture_output=True)
    assert not done.returncode, done.stderr


# --- without a network ------------------------------------------------------------------------------------------------


@given(st.builds(Message, st.binary(min_size=8, max_size=8), st.booleans(), st.integers(0, 255), st.integers(0, 255),
                 st.integers(0, 65_535), st.frozensets(st.integers(0, 63)), st.floats(allow_nan=False)))  # fmt: skip
def test_messages_are_found_in_packets(message: Message) -> None:
    assert find_message(b"headers" + message.encode() + b"what fills it up") == message


@given(st.binary(max_size=200), st.binary(max_size=100), st.booleans())
def test_any_packet_may_come(before: bytes, after: bytes, with_magic: bool) -> None:
    exchange = Exchange(bytes(8), True, parse_address(HERE), parse_address(THERE), 1500, probes(7691))
    exchange.take(before + (MAGIC if with_magic else b"") + after, 0.0)
    assert not exchange.was_heard


@pytest.mark.parametrize(("here", "there"), [(HERE, THERE), (HERE_IPV4, THERE_IPV4)], ids=["IPv6", "IPv4"])
def test_every_probe_is_heard_and_only_by_the_other_side(here: str, there: str) -> None:
    def side(asks: bool, own: str, other: str) -> Exchange:
        return Exchange(b"12345678", asks, parse_address(own), parse_address(other), 1500, probes(7691))

    one, other = side(True, here, there), side(False, there, here)
    sent = dict(one.packets(1000.0))
    for packet in sent.values():
        other.take(packet, 1003.0)
        one.take(packet, 1000.0)
    assert other.received == set(sent) and not one.received
    assert other.clock_s == -3.0
    for number, probe in enumerate(one.probes):
        assert not probe.size or len(sent[number]) == probe.size
    for packet in dict(other.packets(1003.0)).values():
        one.take(packet, 1000.0)
    assert one.is_complete
