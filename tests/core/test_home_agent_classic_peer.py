"""What a classic mobile node really sent, answered as its own home agent answered it (captures in tests/wire)."""

from pathlib import Path

from home_agent_driver import PREFIX, Driver

from unwired.core.door import Now, Persist, Persisted, Send
from unwired.core.home_agent import HomeAgent
from unwired.core.settings import HomeAgentSettings, HomePrefix, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.wire.address import Address, parse_address
from unwired.wire.icmpv6 import (
    EchoRequest,
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.pcap import ip_offset, read_frames
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingUpdate

CAPTURES = Path(__file__).parents[1] / "wire" / "captures"
AGENT = parse_address("2001:db8:1::1")
HOME = parse_address("2001:db8:1::100")


def packets(name: str) -> list[tuple[float, Packet]]:
    """The packets of a capture with the time of each."""
    found = []
    with (CAPTURES / name).open("rb") as file:
        for frame in read_frames(file):
            offset = ip_offset(frame)
            assert offset is not None
            found.append((frame.timestamp_ns / 1e9, decode_packet(frame.data[offset:])))
    return found


def classic_home_agent() -> HomeAgent:
    prefix = HomePrefix(parse_address("2001:db8:1::"), 64, 0xFFFF_FFFF, 0xFFFF_FFFF)
    settings = HomeAgentSettings(AGENT, (prefix,), lifetime_max_s=86_396, insecure=True)
    engine = HomeAgent(settings, Subscribers([Subscriber(b"classic", HOME)]), lambda size: bytes(size))
    engine.start(Now(0.0, 1.8e9))
    engine.actions()
    return engine


def answers(engine: HomeAgent, packet: Packet, at: float) -> list[Packet]:
    """What is sent upon a packet, but for probes of the path."""
    now = Now(at, at)
    engine.receive(packet, 1, now)
    actions = engine.actions()
    for action in actions:
        if isinstance(action, Persist):
            engine.handle(Persisted(action.token), now)
    actions += engine.actions()
    sent = [action.packet for action in actions if isinstance(action, Send)]
    return [decode_packet(encode_packet(one)) for one in sent if not isinstance(one.payload, EchoRequest)]


def essence(packet: Packet) -> tuple[Address, Address, Address | None, int, int, int]:
    payload = packet.payload
    assert isinstance(payload, BindingAcknowledgement)
    return (
        packet.source, packet.destination, packet.routing_home_address, payload.status, payload.sequence,
        payload.lifetime_units,
    )  # fmt: skip


def test_registrations_and_moves_are_acknowledged_alike() -> None:
    engine = classic_home_agent()
    seen = [*packets("basic-ha-up.pcap"), *packets("basic-ha-home.pcap")]
    seen.sort(key=lambda item: item[0])
    theirs = [essence(p) for _, p in seen if isinstance(p.payload, BindingAcknowledgement) and p.source == AGENT]
    ours = [
        essence(answer)
        for at, packet in seen
        if isinstance(packet.payload, BindingUpdate) and packet.destination == AGENT
        for answer in answers(engine, packet, at)
    ]
    assert len(ours) >= 5 and len({destination for _, destination, *_ in ours}) >= 3
    assert sorted(ours) == sorted(theirs)
    assert not engine.drops


def test_discovery_is_answered_alike() -> None:
    engine = classic_home_agent()
    seen = packets("dhaad-ar1-acc.pcap")
    theirs = [p for _, p in seen if p.source == AGENT]
    ours = [answer for at, p in seen if p.source != AGENT for answer in answers(engine, p, at)]
    for kind in (HomeAgentAddressDiscoveryReply, MobilePrefixAdvertisement):
        mine = next(packet for packet in ours if isinstance(packet.payload, kind))
        other = next(packet for packet in theirs if isinstance(packet.payload, kind))
        assert (mine.source, mine.destination, mine.routing_home_address) == (
            other.source,
            other.destination,
            other.routing_home_address,
        )
        assert mine.payload.identifier == other.payload.identifier  # type: ignore[union-attr]
    assert any(isinstance(p.payload, HomeAgentAddressDiscoveryRequest) for _, p in seen)
    assert any(isinstance(p.payload, MobilePrefixSolicitation) for _, p in seen)


def test_without_insecure_it_is_not_let_in() -> None:
    driver = Driver(home_prefixes=(PREFIX,))
    for _, packet in packets("basic-ha-up.pcap"):
        driver.engine.receive(packet, 1, driver.now)
    assert driver.engine.actions() == []
