"""The home agent probes the paths to mobile nodes in IPv4 networks, within bounds."""

from typing import Any

import pytest
from home_agent_driver import (
    CARE_OF,
    DUAL_STACK,
    HOME,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    NAT,
    PRIVATE_CARE_OF,
    Driver,
    status_of,
)
from test_tunnel_errors_of_both_families import CORRESPONDENT_IPV4, UDP, inner, tell, too_big

from unwired.core import home_agent_paths
from unwired.core.acknowledgement import back
from unwired.core.settings import Subscriber
from unwired.wire.address import V4_MAPPED, is_ipv4, parse_address
from unwired.wire.icmpv6 import EchoReply, EchoRequest
from unwired.wire.ipv6 import Outer, Packet

SUBSCRIBERS = tuple(
    Subscriber(f"mn{number}".encode(), parse_address(f"2001:db8:100::{0x5000 + number:x}")) for number in range(400)
)


class Path:
    """A home agent and the path to its mobile node: ``carries`` inner packets of so many bytes, None: nothing."""

    def __init__(self, carries: int | None, in_tunnel: bool = True, **settings: Any) -> None:
        self.driver = Driver(**(DUAL_STACK | settings))
        self.in_tunnel = in_tunnel
        self.carries = carries
        self.largest_lost = 0

    def bind(self, sequence: int = 1, port: int = 40_000) -> None:
        self.driver.pass_time(0.01)
        answer = self.driver.update_ipv4(sequence, 100, care_of=PRIVATE_CARE_OF, seen_as=(NAT, port))
        assert status_of(answer) == 0

    def run(self, seconds: float) -> None:
        """Time passes, and probes that come through are answered."""
        for _ in range(round(seconds / 0.05)):
            self.driver.pass_time(0.05)
            probes, self.driver.probes = self.driver.probes, []
            for probe in probes:
                self.arrive(probe)

    def arrive(self, probe: Packet) -> None:
        message = probe.payload
        assert isinstance(message, EchoRequest)
        assert probe.outer is not None and probe.outer.dont_fragment
        size = 40 + 8 + len(message.echoed)
        if self.carries is not None and size <= self.carries:
            reply = EchoReply(message.identifier, message.sequence, message.echoed)
            outer = back(probe.outer) if self.in_tunnel and is_ipv4(probe.outer.source) else None
            self.driver.receive(Packet(probe.destination, probe.source, reply, outer=outer))
        else:
            self.largest_lost = max(self.largest_lost, size)

    @property
    def mtu(self) -> int:
        tunnel = self.driver.tunnel()
        assert tunnel is not None
        return tunnel.mtu


def test_probes_go_in_the_tunnel() -> None:
    path = Path(None)
    path.bind()
    path.driver.pass_time(0.3)
    probes = path.driver.probes
    assert {probe.outer for probe in probes} == {Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000, True)}
    assert {(probe.source, probe.destination) for probe in probes} == {(HOME_AGENT, HOME)}
    sizes = [48 + len(probe.payload.echoed) for probe in probes if isinstance(probe.payload, EchoRequest)]
    assert max(sizes) == 1472, "all that fits into 1500 bytes"


@pytest.mark.parametrize("in_tunnel", [True, False])
def test_an_ordinary_path_costs_a_few_packets_and_leaves_nothing(in_tunnel: bool) -> None:
    path = Path(1472, in_tunnel)
    path.bind()
    path.run(5)
    assert path.mtu == 0 and path.driver.engine.counters["path_probes_sent"] <= 4
    assert not path.driver.engine._paths._paths
    before = path.driver.engine.counters["path_probes_sent"]
    path.run(100)
    assert path.driver.engine.counters["path_probes_sent"] == before


@pytest.mark.parametrize("carries", [1252, 1300, 1400, 1464])
def test_a_narrow_path_is_found(carries: int) -> None:
    path = Path(carries)
    path.bind()
    path.run(60)
    assert carries - 8 <= path.mtu <= carries
    assert path.driver.engine.bindings()[0]["tunnel_mtu"] == path.mtu


def test_a_path_that_widens_is_found_after_ten_minutes() -> None:
    path = Path(1300, lifetime_max_s=10_000)
    path.driver.update_ipv4(1, 2500, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000))
    path.run(60)
    assert path.mtu
    path.carries = 1472
    path.run(620)
    assert path.mtu == 0


def test_another_mapping_is_another_path() -> None:
    path = Path(1300)
    path.bind()
    path.run(60)
    path.carries = 1472
    path.bind(2, 50_000)
    path.run(5)
    assert path.mtu == 0


def test_ipv6_is_probed_too() -> None:
    path = Path(1300)
    path.driver.update(1)
    path.run(60)
    assert path.driver.tunnel_peer() == CARE_OF and 1292 <= path.mtu <= 1300


def test_errors_are_verified() -> None:
    path = Path(1472)
    path.bind()
    path.run(5)
    sent = tell(path.driver, too_big(UDP, 1300, inner(CORRESPONDENT_IPV4)))
    assert sent == [] and path.mtu == 0, "no IPv4 home address, so nothing of ours"


def test_forged_error_is_believed_for_a_moment() -> None:
    from test_tunnel_errors_of_both_families import CORRESPONDENT

    path = Path(1472)
    path.bind()
    path.run(5)
    (sent,) = tell(path.driver, too_big(UDP, 1300, inner(CORRESPONDENT)))
    assert path.mtu == 1272 and sent.destination == CORRESPONDENT
    path.run(30)
    assert path.mtu == 0


def test_where_nobody_answers_errors_are_believed_for_ten_minutes() -> None:
    from test_tunnel_errors_of_both_families import CORRESPONDENT

    path = Path(None, lifetime_max_s=10_000)
    path.driver.update_ipv4(1, 2500, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000))
    path.run(30)
    assert path.mtu == 0 and not path.driver.engine._paths._paths
    tell(path.driver, too_big(UDP, 1300, inner(CORRESPONDENT)))
    path.run(30)
    assert path.mtu == 1272 and not path.driver.engine._paths._paths
    path.run(610)
    assert path.mtu == 0


def test_answers_that_are_none() -> None:
    path = Path(None)
    path.bind()
    path.driver.pass_time(0.3)
    for probe in path.driver.probes:
        message = probe.payload
        assert isinstance(message, EchoRequest)
        for source, echoed in ((HOME, bytes(len(message.echoed))), (CARE_OF, message.echoed)):
            path.driver.receive(Packet(source, HOME_AGENT, EchoReply(message.identifier, message.sequence, echoed)))
    assert path.driver.engine.counters["path_probes_answered_late"] == 2 * len(path.driver.probes)
    path.run(30)
    assert path.mtu == 0


def test_binding_that_ends_ends_its_search() -> None:
    path = Path(None)
    path.bind()
    path.driver.pass_time(0.5)
    path.driver.update_ipv4(2, 0, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000))
    path.driver.probes.clear()
    path.run(60)
    assert path.driver.engine.counters["path_probes_sent"] <= 4 and not path.driver.engine._paths._paths


def test_only_so_many_searches_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_agent_paths, "SEARCHES_MAX", 16)
    path = Path(1472)
    path.driver = Driver(SUBSCRIBERS, insecure=True, **DUAL_STACK)
    for number, one in enumerate(SUBSCRIBERS):
        place = V4_MAPPED + (0x0A000000 + number).to_bytes(4), 4191
        path.driver.update_ipv4(1, seen_as=place, home=one.home_address, key=None, name=None, timestamp=None)
    path.driver.pass_time(0.2)
    paths = path.driver.engine._paths
    assert len(paths._searching) == 16 and len(path.driver.probes) <= 3 * 16
    path.run(20)
    assert path.driver.engine.counters["path_searches"] == 400
    assert not paths._searching and not paths._waiting and not paths._paths
