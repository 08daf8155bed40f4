"""A registered mobile node looks after its tunnel: keepalives through a NAT, the path MTU, and whether it is alive."""

from dataclasses import replace

from mobile_node_driver import (
    DUAL_STACK,
    HOME_ADDRESS,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    SETTINGS,
    Driver,
    care_of,
    care_of_ipv4,
)

from unwired.core.door import CountTunnel, NatProbed, ProbeNat, TunnelCounted
from unwired.core.forwarding import Encapsulation
from unwired.core.mobile_node_states import State
from unwired.core.nat_keepalive import SAFE_S, SETTLE_S
from unwired.core.notices import Drop
from unwired.core.path_probing import RAISE_S
from unwired.core.tunnel_echo import SIZE_MIN
from unwired.wire.datagram import PORT
from unwired.wire.icmpv6 import EchoReply, EchoRequest, PacketTooBig
from unwired.wire.ipv4 import Icmpv4Message, encode_ipv4
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload, encode_packet
from unwired.wire.rfc5555 import NO_KEEPALIVES, NatDetection
from unwired.wire.rfc6275 import BindingRefreshRequest

NAT = (NatDetection(110),)
NO_NAT = (NatDetection(NO_KEEPALIVES),)


class Watched(Driver):
    """Its home agent answers binding updates and echo requests as long as it ``hears`` them: by the families named."""

    def __init__(self, settings=DUAL_STACK, nat=NAT, hears: str = "46", carries: int = 9000) -> None:  # type: ignore[no-untyped-def]
        self.nat = nat
        self.hears = hears
        self.carries = carries
        self.echoes = True
        self.sent_packets = self.received_packets = 0
        self.busy = 0
        self._answering = False
        super().__init__(settings)

    def collect(self) -> None:
        before = len(self.sent), len(self.actions)
        super().collect()
        if self._answering:
            return
        self._answering = True
        for action in self.actions[before[1] :]:
            if isinstance(action, CountTunnel):
                self.sent_packets += self.busy
                self.happens(TunnelCounted(action.number, self.sent_packets, self.received_packets))
        for _, packet, _ in self.sent[before[0] :]:
            outer = packet.outer
            if isinstance(packet.payload, EchoRequest) and outer is not None and self.echoes:
                self.echo(packet)
        self._answering = False

    def echo(self, packet: Packet) -> None:
        payload, outer = packet.payload, packet.outer
        assert isinstance(payload, EchoRequest) and outer is not None
        family = "4" if outer.destination == HOME_AGENT_IPV4 else "6"
        if family in self.hears and 48 + len(payload.echoed) <= self.carries:
            self.received_packets += 1
            reply = EchoReply(payload.identifier, payload.sequence, payload.echoed)
            self.receives(Packet(packet.destination, packet.source, reply))

    def requests(self) -> list[tuple[float, Packet]]:
        """Echo requests that are no path MTU probes."""
        return [(time, packet) for time, packet in self.payloads(EchoRequest) if size(packet) == SIZE_MIN]


def size(packet: Packet) -> int:
    assert isinstance(packet.payload, EchoRequest)
    return 48 + len(packet.payload.echoed)


def registered(**changes: object) -> Watched:
    """In an IPv4 network."""
    driver = Watched(**changes)  # type: ignore[arg-type]
    driver.visit_ipv4(1)
    driver.acknowledge(options=driver.nat)
    assert driver.state is State.REGISTERED
    return driver


def tunnel_mtu(driver: Driver) -> int:
    tunnel = driver.node.machine.rows.tunnel
    assert tunnel is not None
    return tunnel.mtu


# --- the path MTU ----------------------------------------------------------------------------------------------------


def test_a_new_path_is_probed_at_once_with_two_packets() -> None:
    driver = registered()
    probes = [packet for _, packet in driver.payloads(EchoRequest)]
    assert [size(packet) for packet in probes] == [1500 - 28, 1280 - 28]
    assert all(packet.outer == Outer(care_of_ipv4(1), HOME_AGENT_IPV4, PORT, PORT, True) for packet in probes)
    assert all((packet.source, packet.destination) == (HOME_ADDRESS, HOME_AGENT) for packet in probes)
    driver.run(5)
    assert tunnel_mtu(driver) == 0
    assert [packet for _, packet in driver.payloads(EchoRequest)] == probes


def test_a_path_that_swallows_large_packets_is_limited_within_a_second() -> None:
    driver = registered(carries=1360)
    driver.run(1.1)
    assert tunnel_mtu(driver) == 1252
    driver.run(30)
    assert 1352 < tunnel_mtu(driver) <= 1360
    driver.carries = 9000
    driver.run(RAISE_S)
    assert tunnel_mtu(driver) == 0


def test_a_narrow_path_is_remembered() -> None:
    driver = registered(carries=1360)
    driver.run(30)
    narrow = tunnel_mtu(driver)
    driver.down()
    driver.run(5)
    driver.visit_ipv4(1)
    driver.acknowledge(options=NAT)
    assert tunnel_mtu(driver) == narrow


def test_in_ipv6_as_well() -> None:
    driver = Watched(carries=1300)
    driver.visit(1)
    driver.acknowledge()
    assert [size(packet) for _, packet in driver.payloads(EchoRequest)] == [1460, 1240]
    driver.run(30)
    assert 1292 < tunnel_mtu(driver) <= 1300


def test_an_icmp_error_is_believed_and_a_forged_one_undone() -> None:
    driver = Watched(SETTINGS)
    driver.visit(1)
    driver.acknowledge()
    inner = encode_packet(Packet(HOME_ADDRESS, HOME_AGENT, UnknownPayload(17, bytes(1400))))
    quoted = encode_packet(Packet(care_of(1), HOME_AGENT, UnknownPayload(41, inner)))[:1000]
    driver.echoes = False
    driver.receives(Packet(HOME_AGENT, care_of(1), PacketTooBig(1400, quoted)))
    assert tunnel_mtu(driver) == 1360
    driver.echoes = True
    driver.run(10)
    assert tunnel_mtu(driver) == 0


def test_icmpv4_errors() -> None:
    driver = registered()
    driver.echoes = False
    needed = Icmpv4Message.FRAGMENTATION_NEEDED
    ours = encode_ipv4(care_of_ipv4(1), HOME_AGENT_IPV4, 17, bytes(60))[:28]
    foreign = encode_ipv4(care_of_ipv4(2), HOME_AGENT_IPV4, 17, bytes(60))[:28]
    not_udp = encode_ipv4(care_of_ipv4(1), HOME_AGENT_IPV4, 41, bytes(60))[:28]
    for quoted in (foreign, not_udp, ours[:10], b""):
        driver.receives(Packet(HOME_AGENT_IPV4, care_of_ipv4(1), Icmpv4Message(3, needed, 1400, quoted)))
    assert driver.node.drops[Drop.UNRELATED_ERROR] == 4 and tunnel_mtu(driver) == 0
    driver.receives(Packet(HOME_AGENT_IPV4, care_of_ipv4(1), Icmpv4Message(3, needed, 1400, ours)))
    assert tunnel_mtu(driver) == 1372
    driver.receives(Packet(HOME_AGENT_IPV4, care_of_ipv4(1), Icmpv4Message(3, needed, 0, ours)))
    assert tunnel_mtu(driver) == 1252  # an old router or a lie: down to what every path carries, no further
    unreachable = Icmpv4Message(3, Icmpv4Message.HOST_UNREACHABLE, 0, ours)
    driver.receives(Packet(HOME_AGENT_IPV4, care_of_ipv4(1), unreachable))
    assert driver.node.counters["home_agent_unreachable"] == 1 and driver.state is State.REGISTERED


# --- keepalives ------------------------------------------------------------------------------------------------------


def test_keepalive_only_when_nothing_else_was_sent() -> None:
    driver = registered()
    driver.busy = 1
    driver.received_packets = 1
    for _ in range(60):
        driver.received_packets += 1
        driver.run(1)
    assert driver.requests() == []
    driver.busy = 0
    driver.run(SAFE_S + 2)
    [(_, packet)] = driver.requests()
    assert packet.outer == Outer(care_of_ipv4(1), HOME_AGENT_IPV4, PORT, PORT, True)


def test_no_keepalives_without_a_nat() -> None:
    driver = registered(nat=NO_NAT)
    driver.run(300)
    assert driver.requests() == [] and driver.of(ProbeNat) == []


def test_nat_is_probed_and_what_was_found_remembered() -> None:
    driver = registered()
    driver.run(SETTLE_S + 0.1)
    [probe] = driver.of(ProbeNat)
    assert (probe.care_of_address, probe.peer, probe.delay_s) == (care_of_ipv4(1), HOME_AGENT_IPV4, 110)
    driver.run(110)
    driver.happens(NatProbed(probe.token))
    driver.clear()
    driver.run(205)
    assert len(driver.requests()) == 2  # every 99 s
    driver.down()
    driver.run(5)
    driver.visit_ipv4(1)
    driver.acknowledge(options=NAT)
    driver.clear()
    driver.run(SETTLE_S + 0.1)
    assert [probe.delay_s for probe in driver.of(ProbeNat)] == [110]
    assert driver.node.machine.watch.keepalive.interval_s == SAFE_S  # until that is answered


def test_unanswered_keepalive_means_a_binding_update_at_once() -> None:
    driver = registered()
    driver.run(SAFE_S + 1)
    assert len(driver.requests()) == 1
    driver.echoes = False
    sent = len(driver.updates())
    while len(driver.updates()) == sent:
        driver.run(0.1)
    assert driver.time < 100 + 2 * SAFE_S + 3
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED
    # The home agent is there, so it was the mapping that was not.
    assert driver.node.machine.watch.keepalive.interval_s == SAFE_S / 2


def test_refresh_request_upon_a_keepalive_means_that_the_nat_forgets_faster() -> None:
    driver = registered()
    driver.echoes = False
    driver.run(SAFE_S + 0.05)
    driver.from_home_agent(BindingRefreshRequest())
    assert driver.state is State.REFRESHING
    driver.acknowledge(options=NAT)
    assert driver.node.machine.watch.keepalive.interval_s == SAFE_S / 2
    assert driver.node.machine.rows.tunnel is not None
    assert driver.node.machine.rows.tunnel.encapsulation is Encapsulation.UDP


def test_advice_that_changes_is_followed() -> None:
    driver = registered()
    driver.from_home_agent(BindingRefreshRequest())
    driver.acknowledge(options=(NatDetection(8),))
    assert driver.node.machine.watch.keepalive.interval_s == 8


# --- liveness --------------------------------------------------------------------------------------------------------


def test_family_that_dies_silently_is_left_within_seconds() -> None:
    driver = Watched()
    driver.visit(1)
    driver.lease(1)
    driver.acknowledge()
    driver.run(10)
    assert driver.node.machine.rows.tunnel is not None
    assert driver.node.machine.rows.tunnel.local == care_of(1)
    driver.hears, driver.busy = "4", 5
    died_at = driver.time
    while driver.updates()[-1][1].outer is None:
        driver.run(0.1)
        assert driver.time < died_at + 6
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED
    assert driver.node.machine.rows.tunnel.local == care_of_ipv4(1)
    assert driver.notices("tunnel_silent") == [
        {"care_of_address": "2001:db8:1::c2", "interface": "wlan0", "encapsulation": "ipv6"}
    ]


def test_where_only_udp_passes_udp_is_forced_and_that_is_remembered() -> None:
    driver = registered(nat=NO_NAT)
    driver.run(5)
    driver.echoes, driver.busy = False, 5
    driver.run(8)
    update = driver.updates()[-1][2]
    assert update.force_udp_encapsulation
    tunnel = driver.node.machine.rows.tunnel
    assert tunnel is not None and tunnel.encapsulation is Encapsulation.UDP
    driver.echoes = True
    driver.acknowledge(options=(NatDetection(NO_KEEPALIVES, True),))
    driver.run(10)
    assert driver.state is State.REGISTERED
    driver.down()
    driver.run(5)
    driver.visit_ipv4(1)
    assert driver.updates()[-1][2].force_udp_encapsulation


def test_nowhere_else_to_go_is_a_binding_update_now_and_then() -> None:
    driver = Watched(SETTINGS)
    driver.visit(1)
    driver.acknowledge()
    driver.run(10)
    driver.echoes, driver.busy = False, 5
    sent = len(driver.updates())
    for _ in range(300):
        driver.run(1)
        if driver.state is State.REFRESHING:
            driver.acknowledge()
    assert driver.state is State.REGISTERED
    assert 3 < len(driver.updates()) - sent < 30


def test_home_agent_that_answers_no_echo_requests_is_not_taken_for_dead() -> None:
    driver = Watched()
    driver.echoes = False
    driver.visit(1)
    driver.lease(1)
    driver.acknowledge()
    driver.busy = 5  # nothing comes back: a sender of measurements
    for _ in range(300):
        driver.run(1)
        if driver.state is State.REFRESHING:
            driver.acknowledge()
    assert driver.notices("tunnel_silent") == []
    assert driver.node.machine.rows.tunnel is not None
    assert driver.node.machine.rows.tunnel.local == care_of(1)


def test_one_way_traffic_that_is_answered_for_changes_nothing() -> None:
    driver = Watched()
    driver.visit(1)
    driver.lease(1)
    driver.acknowledge()
    driver.run(5)
    sent = len(driver.updates())
    driver.busy = 5
    driver.run(200)
    assert len(driver.updates()) == sent
    assert 5 < len(driver.requests()) < 40


def test_others_pings_are_not_ours() -> None:
    driver = registered()
    driver.receives(Packet(HOME_AGENT, HOME_ADDRESS, EchoReply(4191, 1, bytes(16))))
    driver.receives(Packet(HOME_AGENT, HOME_ADDRESS, EchoReply(77, 1, bytes(16))))
    assert driver.node.drops[Drop.UNKNOWN_PAYLOAD] == 2


def test_nothing_is_asked_at_home_nor_without_a_link() -> None:
    driver = registered()
    driver.down()
    driver.clear()
    driver.run(300)
    assert driver.payloads(EchoRequest) == [] and driver.of(CountTunnel) == []
    driver.home()
    driver.acknowledge()
    assert driver.state is State.HOME
    driver.clear()
    driver.run(300)
    assert driver.payloads(EchoRequest) == [] and driver.of(CountTunnel) == []


def test_settings_without_ipv4_are_watched_too() -> None:
    driver = Watched(replace(SETTINGS, insecure=False))
    driver.visit(1)
    driver.acknowledge()
    driver.run(1.5)
    assert driver.of(CountTunnel) == [CountTunnel(1)]
