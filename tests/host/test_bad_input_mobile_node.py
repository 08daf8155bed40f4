"""Bad input to a mobile node that is registered away, from somebody on its link who may pretend to be anybody.

Whatever comes gets the RFC's answer or is counted under a name; after each attack the same process runs, the node is
registered where it was and packets reach its home address.
"""

import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from host_network import Network, ask, eventually, home_agent_file, mobile_node_file, roaming
from hostile_wire import IPV6, KEY, UDP, Wire, address, ask_socket, counter, packet, risen, udp

from unwired.core.authentication import sign
from unwired.core.settings import SecurityAssociation
from unwired.host.config import load
from unwired.wire.icmpv6 import (
    HomeAgentAddressDiscoveryReply,
    IcmpMessage,
    MobilePrefixAdvertisement,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
)
from unwired.wire.ipv6 import Packet, encode_packet
from unwired.wire.mobility import MobilityMessage, UnknownMessage
from unwired.wire.nd_options import PrefixInformation
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    HomeTest,
)

pytestmark = pytest.mark.root

AGENT = "2001:db8:100::1"
HOME = "2001:db8:100::1000"
ATTACKER = "2001:db8:66::6"
ROUTER = "fe80::66"
WRONG_KEY = replace(KEY, key=bytes(16))
EVIL = RouterAdvertisement(
    router_lifetime_s=1800,
    options=(PrefixInformation(address("2001:db8:bad::"), 64, True, True, False, 86_400, 14_400),),
)


class World:
    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.agent_file, self.file = home_agent_file(directory), mobile_node_file(directory)
        self._socket = load(self.file).daemon.control_socket
        self.agent = network.daemon("agent", self.agent_file)
        eventually(lambda: ask(self.agent_file, "bindings"))
        self.start()
        self.care_of_address = str(self.status()["engine"]["care_of_address"])
        self.wire = Wire(network, "router", "visited1", "node", "wlan0")

    def start(self) -> None:
        self.daemon = self.network.daemon("node", self.file)
        eventually(lambda: ask(self.file, "status"), what="the daemon answers")
        eventually(lambda: self.status()["engine"] and self.status()["engine"]["state"] == "registered")

    def status(self) -> dict[str, Any]:
        return ask_socket(self._socket, "status")

    def log(self) -> str:
        return (self.network.directory / f"{self.file.stem}.log").read_text()

    def send(self, message: MobilityMessage, source: str = AGENT, home_address: str | None = HOME, **more: Any) -> None:
        """To the care-of address, with the type 2 routing header that belongs there."""
        routing = None if home_address is None else address(home_address)
        whole = Packet(address(source), address(self.care_of_address), message, routing_home_address=routing, **more)
        self.wire.send(encode_packet(whole))

    def icmp(self, message: IcmpMessage, source: str, destination: str | None = None, hop_limit: int = 64) -> bytes:
        target = address(destination or self.care_of_address)
        return encode_packet(Packet(address(source), target, message, hop_limit=hop_limit))

    def check_unharmed(self) -> None:
        assert self.daemon.poll() is None
        status = self.status()
        assert status["pid"] == self.daemon.pid
        assert "internal_errors" not in status["counters"], self.log()
        eventually(lambda: self.status()["engine"]["state"] == "registered", what="registered")
        assert self.status()["engine"]["care_of_address"] == self.care_of_address
        bindings = ask_socket(load(self.agent_file).daemon.control_socket, "bindings")["bindings"]
        assert [binding["care_of_address"] for binding in bindings] == [self.care_of_address]
        ping = self.network.command("peer", "ping", "-6", "-c", "2", "-i", "0.02", "-W", "1", HOME)
        assert " 2 received" in subprocess.run(ping, capture_output=True, text=True).stdout
        assert ROUTER not in self.network.inside("node", "ip", "-6", "route", "show", "table", "all")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("bad-input-node")
    with roaming(directory) as network:
        yield World(network, directory)


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Unharmed before and after each test."""
    shared_world.wire.forget()
    yield shared_world
    shared_world.check_unharmed()


@dataclass(frozen=True)
class Case:
    """``answer`` is what must come back on the link, ``counted`` the path of a counter in ``unwired status``."""

    name: str
    send: Callable[[World], None]
    counted: str | None = None
    answer: Callable[[Packet], bool] | None = None


def raw(make: Callable[[World], bytes]) -> Callable[[World], None]:
    return lambda world: world.wire.send(make(world))


def about(source: str, destination: str, protocol: int = 135) -> bytes:
    """What an error quotes."""
    return packet(source, destination, protocol, bytes(8))


CASES = [
    Case("acknowledgement of nothing", lambda w: w.send(BindingAcknowledgement(0, 1, 100)), "drops.stale_sequence"),
    Case(
        "acknowledgement from nobody",
        lambda w: w.send(BindingAcknowledgement(0, 1, 100), ATTACKER),
        "drops.forged_source",
    ),
    Case(
        "acknowledgement without routing header",
        lambda w: w.send(BindingAcknowledgement(0, 1, 100), AGENT, None),
        "drops.forged_source",
    ),
    Case("refresh request from nobody", lambda w: w.send(BindingRefreshRequest(), ATTACKER), "drops.forged_source"),
    Case(
        "binding error from nobody", lambda w: w.send(BindingError(1, address(HOME)), ATTACKER), "drops.forged_source"
    ),
    Case(
        "binding update to a mobile node",
        lambda w: w.send(BindingUpdate(1, 10, True, True), ATTACKER, None),
        "drops.not_for_this_role",
    ),
    Case(
        "home test that nobody asked for", lambda w: w.send(HomeTest(1, bytes(8), bytes(8))), "drops.not_for_this_role"
    ),
    Case(
        "unknown MH type",
        lambda w: w.send(UnknownMessage(200, bytes(2)), ATTACKER, None),
        answer=lambda seen: isinstance(seen.payload, BindingError) and seen.payload.status == 2,
    ),
    Case(
        "wrong checksum",
        raw(lambda w: packet(ATTACKER, w.care_of_address, 135, bytes((59, 0, 6, 0, 0x40, 0)) + bytes(2))),
        "drops.bad_checksum",
    ),
    Case(
        "mobility header cut short",
        raw(lambda w: packet(ATTACKER, w.care_of_address, 135, bytes((59, 9, 6, 0, 0, 0)) + bytes(10))),
        "drops.malformed",
    ),
    Case(
        "Home Address option of nobody",
        raw(lambda w: packet(ATTACKER, w.care_of_address, UDP, udp(b"x"), home_address=address("2001:db8:66::7"))),
        answer=lambda seen: seen.payload == BindingError(1, address("2001:db8:66::7")),
    ),
    Case(
        "tunnel from somebody else",
        raw(lambda w: packet(ATTACKER, w.care_of_address, IPV6, packet(ATTACKER, HOME, UDP, udp(b"x")))),
        "data_plane.reverse_check",
    ),
    Case(
        "tunnel to somebody else",
        raw(lambda w: packet(AGENT, w.care_of_address, IPV6, packet(ATTACKER, "2001:db8:11::1", UDP, udp(b"x")))),
        "data_plane.reverse_check",
    ),
    Case(
        "router advertisement in the tunnel",
        raw(lambda w: packet(AGENT, w.care_of_address, IPV6, w.icmp(EVIL, ROUTER, HOME, 255))),
        "data_plane.link_scope",
    ),
    Case(
        "router advertisement from far",
        raw(lambda w: w.icmp(EVIL, ROUTER, "ff02::1", 64)),
        "drops.beyond_the_link",
    ),
    Case(
        "router advertisement from no link-local address",
        raw(lambda w: w.icmp(EVIL, ATTACKER, "ff02::1", 255)),
        "drops.beyond_the_link",
    ),
    Case(
        "parameter problem about nothing of ours",
        raw(lambda w: w.icmp(ParameterProblem(1, 40, about(w.care_of_address, ATTACKER)), ATTACKER)),
        "drops.unrelated_error",
    ),
    Case(
        "packet too big about nothing of ours",
        raw(lambda w: w.icmp(PacketTooBig(1280, about(w.care_of_address, ATTACKER, IPV6)), ATTACKER)),
        "drops.unrelated_error",
    ),
    Case(
        "packet too big about half a header",
        raw(lambda w: w.icmp(PacketTooBig(0, about(w.care_of_address, AGENT, IPV6)[:40]), ATTACKER)),
        "counters.tunnel_packets_too_big",
    ),
    Case(
        "discovery reply that nobody asked for",
        raw(lambda w: w.icmp(HomeAgentAddressDiscoveryReply(7, (address(ATTACKER),)), ATTACKER)),
        "drops.not_for_this_role",
    ),
    Case(
        "home prefix from nobody",
        raw(lambda w: w.icmp(MobilePrefixAdvertisement(7, options=EVIL.options), ATTACKER)),
        "drops.prefix_discovery_off",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_packet(world: World, case: Case) -> None:
    before = world.status()
    case.send(world)
    if case.answer is not None:
        world.wire.wait_for(case.answer, what=case.name)
    if case.counted is not None:
        risen(world.status, case.counted, counter(before, case.counted))


def refuses_switch(
    world: World,
    reason: str,
    key: SecurityAssociation | None = KEY,
    *,
    late_s: float = 0.0,
    source: str = AGENT,
    home_address: str | None = HOME,
    covered: str = HOME,
) -> None:
    """A Home Agent Switch message that is right but for what is given is dropped for this reason."""
    options = (MobileNodeIdentifier(b"mn@example.org"), MessageId(ntp_timestamp(time.time() - late_s)))
    message, data = HomeAgentSwitch((address(ATTACKER),), options=options), b""
    if key is not None:
        message, data = sign(message, key, address(world.care_of_address), address(covered))
    before = counter(world.status(), f"drops.{reason}")
    world.send(message, source, home_address, data=data)
    risen(world.status, f"drops.{reason}", before)


def test_home_agent_switches(world: World) -> None:
    """Whoever is not a home agent of ours sends nobody to another one, and nobody does twice with the same words."""
    for source in (AGENT, ATTACKER):
        refuses_switch(world, "no_authentication", None, source=source)
        refuses_switch(world, "bad_authenticator", WRONG_KEY, source=source)
        refuses_switch(world, "bad_authenticator", covered="2001:db8:100::1001", source=source)
        refuses_switch(world, "no_security_association", replace(KEY, spi=257), source=source)
        refuses_switch(world, "forged_source", home_address=None, source=source)
        refuses_switch(world, "replayed", late_s=60, source=source)
        refuses_switch(world, "replayed", late_s=-60, source=source)
    # What a true one wants is done as far as it goes: nobody answers there, and the node stays.
    options = (MobileNodeIdentifier(b"mn@example.org"), MessageId(ntp_timestamp(time.time())))
    message, data = sign(
        HomeAgentSwitch((address("2001:db8:100::77"),), options=options),
        KEY,
        address(world.care_of_address),
        address(HOME),
    )
    world.wire.forget()
    world.send(message, data=data)
    world.wire.wait_for(lambda seen: is_update(seen) and seen.destination == address("2001:db8:100::77"))
    before = counter(world.status(), "drops.replayed")
    for _ in range(3):
        world.send(message, data=data)
    risen(world.status, "drops.replayed", before + 2)
    assert world.status()["engine"]["home_agent"] == AGENT


def is_update(seen: Packet) -> bool:
    return isinstance(seen.payload, BindingUpdate)


def test_forged_acknowledgements_of_a_real_update(world: World) -> None:
    """The home agent is silent, the attacker has seen the binding update: without the key no answer is believed."""
    world.agent.send_signal(signal.SIGSTOP)
    try:
        world.send(BindingRefreshRequest())
        update = world.wire.wait_for(is_update).payload
        assert isinstance(update, BindingUpdate)
        message_id = update.option(MessageId)
        assert message_id is not None

        def forge(status: int, key: SecurityAssociation | None, timestamp: int, reason: str) -> None:
            before = counter(world.status(), f"drops.{reason}")
            options = (MobileNodeIdentifier(b"mn@example.org"), MessageId(timestamp))
            answer, data = BindingAcknowledgement(status, update.sequence, 0xFFFF, options=options), b""
            if key is not None:
                answer, data = sign(answer, key, address(world.care_of_address), address(HOME))
            world.send(answer, data=data)
            risen(world.status, f"drops.{reason}", before)

        for status in (0, 1, 128, 134, 135, 144, 146):
            forge(status, None, message_id.timestamp, "no_authentication")
            forge(status, WRONG_KEY, message_id.timestamp, "bad_authenticator")
        forge(0, replace(KEY, spi=257), message_id.timestamp, "no_security_association")
        forge(0, KEY, ntp_timestamp(time.time() + 9), "stale_sequence")
        eventually(lambda: "keys_differ" in world.log())
    finally:
        world.agent.send_signal(signal.SIGCONT)
    eventually(
        lambda: ask_socket(load(world.file).daemon.control_socket, "bindings")["bindings"][0]["outstanding"] == 0
    )


def test_flood_of_refresh_requests(world: World) -> None:
    """They need no authentication, so they may not cost more than MAX_UPDATE_RATE (RFC 6275 section 12)."""
    whole = Packet(
        address(AGENT),
        address(world.care_of_address),
        BindingRefreshRequest(),
        routing_home_address=address(HOME),
    )
    world.wire.send(*[encode_packet(whole)] * 2000)
    assert 1 <= sum(map(is_update, world.wire.all_within(0.9))) <= 3


def test_mutations(world: World) -> None:
    draw = random.Random(6275)
    care_of = address(world.care_of_address)
    answer = BindingAcknowledgement(0, 1, 100, options=(MobileNodeIdentifier(b"mn@example.org"), MessageId(1 << 63)))
    signed, data = sign(answer, WRONG_KEY, care_of, address(HOME))
    good = [
        encode_packet(Packet(address(AGENT), care_of, signed, routing_home_address=address(HOME), data=data)),
        encode_packet(Packet(address(AGENT), care_of, BindingError(1, address(HOME)))),
        encode_packet(Packet(address(AGENT), care_of, HomeTest(1, bytes(8), bytes(8)))),
        packet(AGENT, world.care_of_address, IPV6, packet(ATTACKER, HOME, 135, bytes((59, 1, 0, 0, 0, 0)) + bytes(10))),
        world.icmp(PacketTooBig(1300, about(world.care_of_address, ATTACKER, IPV6)), ATTACKER),
        world.icmp(ParameterProblem(1, 40, about(world.care_of_address, ATTACKER)), ATTACKER),
        world.icmp(HomeAgentAddressDiscoveryReply(7, (address(ATTACKER),)), ATTACKER),
        world.icmp(MobilePrefixAdvertisement(7, options=EVIL.options), ATTACKER),
        world.icmp(EVIL, ROUTER, "ff02::1", 254),
    ]
    before = counter(world.status(), "data_plane.punted")
    for _ in range(3000):
        edited = bytearray(draw.choice(good))
        for _ in range(draw.randrange(1, 5)):
            edited[draw.randrange(40, len(edited))] = draw.randrange(256)
        world.wire.send(bytes(edited[: len(edited) - draw.choice((0, 0, 0, draw.randrange(8)))]))
    risen(world.status, "data_plane.punted", before + 1500)


def test_killed(world: World) -> None:
    world.daemon.kill()
    world.daemon.wait()
    world.send(BindingAcknowledgement(128, 1, 0))
    world.start()
    world.check_unharmed()
    assert not re.search("internal_error|Traceback", world.log())
