"""Bad input to a home agent: the daemon as a user runs it, one binding, and an attacker on the wire in front of it.

Whatever comes gets the RFC's answer or is counted under a name; and after each attack the same process runs, the binding
is as it was and packets flow to and from the home address.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hostile_wire import (
    IPV6,
    KEY,
    UDP,
    Impostor,
    Wire,
    address,
    ask_socket,
    counter,
    packet,
    resident_kb,
    risen,
    udp,
)
from host_network import Network, ask, eventually, home_agent_file

from unwired.host.config import load
from unwired.wire.address import parse_address
from unwired.wire.checksum import filled
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixSolicitation,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
    TimeExceeded,
)
from unwired.wire.ipv6 import Packet, UnknownPayload, decode_headers, decode_packet, encode_packet
from unwired.wire.mobility import MobilityMessage, UnknownMessage, encode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, ntp_timestamp
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingStatus,
    HomeTestInit,
    NonceIndices,
)

pytestmark = pytest.mark.root

AGENT = "2001:db8:100::1"
HOME = "2001:db8:100::1000"
CARE_OF = "2001:db8:2::5"
OTHER_HOME = "2001:db8:100::2000"
OTHER_CARE_OF = "2001:db8:2::6"
ATTACKER = "2001:db8:66::6"
PEER = "2001:db8:3::9"
OTHER = f"""
[[home_agent.subscriber]]
identifier = "other@example.org"
home_address = "{OTHER_HOME}"
[[home_agent.subscriber.key]]
spi = 256
secret = "hex:ffeeddccbbaa99887766554433221100"
"""
OTHER_KEY = replace(KEY, key=bytes.fromhex("ffeeddccbbaa99887766554433221100"))
WRONG_KEY = replace(KEY, key=bytes(16))
MOBILITY, ICMPV6, DESTINATION, ROUTING, HOP_BY_HOP, FRAGMENT = 135, 58, 60, 43, 0, 44


class World:
    """The home agent ``agent`` with the binding of one mobile node, and the attacker's end of its only link."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.file = home_agent_file(directory, OTHER)
        self._socket = load(self.file).daemon.control_socket
        self.wire = Wire(network, "outside", "out0", "agent", "up0")
        self.node = Impostor(AGENT, "mn@example.org", HOME, CARE_OF)
        self.other = Impostor(AGENT, "other@example.org", OTHER_HOME, OTHER_CARE_OF)
        self.start()
        self.first_update = self.register()
        self.binding = self.bindings()[0]

    def start(self) -> None:
        self.daemon = self.network.daemon("agent", self.file)
        eventually(lambda: ask(self.file, "bindings"), what="the daemon answers")

    def register(self) -> bytes:
        """Like a mobile node: again until it is answered."""
        for _ in range(5):
            update = self.node.update()
            self.wire.send(update)
            try:
                self.wire.wait_for(acknowledged(BindingStatus.BINDING_UPDATE_ACCEPTED), 1.0)
            except AssertionError:
                continue
            return update
        raise AssertionError(f"no binding update was acknowledged: {self.status()}")

    def status(self) -> dict[str, Any]:
        return ask_socket(self._socket, "status")

    def bindings(self) -> list[dict[str, Any]]:
        answer = ask_socket(self._socket, "bindings")["bindings"]
        return sorted(answer, key=lambda binding: binding["home_address"])

    def log(self) -> str:
        return (self.network.directory / f"{self.file.stem}.log").read_text()

    def check_unharmed(self) -> None:
        status = self.status()
        assert status["pid"] == self.daemon.pid
        assert self.daemon.poll() is None
        assert "internal_errors" not in status["counters"], self.log()
        (binding,) = self.bindings()
        assert {key: binding[key] for key in ("home_address", "care_of_address")} == {
            "home_address": HOME,
            "care_of_address": CARE_OF,
        }
        self.check_traffic()

    def check_traffic(self) -> None:
        """One packet each way."""
        text = os.urandom(16)
        self.wire.send(packet(PEER, HOME, UDP, udp(b"to" + text)))
        self.wire.wait_for(is_tunnelled(AGENT, CARE_OF, b"to" + text), what="to the home address")
        self.wire.send(tunnelled(CARE_OF, AGENT, packet(HOME, PEER, UDP, udp(b"from" + text))))
        self.wire.wait_for(
            lambda seen: seen.source == address(HOME) and seen.data.endswith(b"from" + text), what="from the node"
        )


def tunnelled(source: str, destination: str, inner: bytes) -> bytes:
    return packet(source, destination, IPV6, inner)


def is_tunnelled(source: str, destination: str, ending: bytes) -> Callable[[Packet], bool]:
    def matches(seen: Packet) -> bool:
        return (
            (seen.source, seen.destination) == (address(source), address(destination))
            and isinstance(seen.payload, UnknownPayload)
            and seen.payload.protocol == IPV6
            and seen.data.endswith(ending)
        )

    return matches


def acknowledged(status: BindingStatus, sequence: int | None = None) -> Callable[[Packet], bool]:
    def matches(seen: Packet) -> bool:
        payload = seen.payload
        return (
            isinstance(payload, BindingAcknowledgement)
            and payload.status == status
            and (sequence is None or payload.sequence == sequence)
            and seen.checksum_ok
        )

    return matches


def binding_error(status: int, home_address: str) -> Callable[[Packet], bool]:
    return lambda seen: seen.payload == BindingError(status, address(home_address)) and seen.checksum_ok


def parameter_problem(code: int, pointer: int | None = None) -> Callable[[Packet], bool]:
    def matches(seen: Packet) -> bool:
        payload = seen.payload
        return (
            isinstance(payload, ParameterProblem)
            and payload.code == code
            and pointer in (None, payload.pointer)
            and seen.checksum_ok
        )

    return matches


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("bad-input")
    network = Network(directory)
    try:
        for name in ("agent", "outside"):
            network.namespace(name)
        network.link("agent", "up0", "outside", "out0")
        # Also what no Ethernet carries: nothing of it may be lost before the daemon's host sees it.
        network.inside("agent", "ip", "link", "set", "up0", "mtu", "65535")
        network.inside("outside", "ip", "link", "set", "out0", "mtu", "65535")
        network.address("outside", "out0", "2001:db8:1::1/64")
        network.address("agent", "up0", "2001:db8:1::2/64")
        network.inside("agent", "ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
        yield World(network, directory)
    finally:
        network.close()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Unharmed before and after each test."""
    shared_world.wire.forget()
    yield shared_world
    shared_world.check_unharmed()


# --- bytes -------------------------------------------------------------------------------------------------------------


def mobility(message: MobilityMessage, *, source: str = ATTACKER, **more: Any) -> bytes:
    return encode_packet(Packet(address(source), address(AGENT), message, **more))


def header(edit: Callable[[bytearray], None], *, fix: bool = True, home_address: str | None = None) -> bytes:
    """A binding update of the attacker's whose mobility header was edited; with ``fix`` its checksum is right again."""
    whole = Impostor(AGENT, "mn@example.org", home_address or HOME, ATTACKER).update()
    start = decode_headers(whole).start
    body = bytearray(whole[start:])
    edit(body)
    data = bytes(body)
    if fix and len(data) >= 6:
        data = filled(address(home_address or HOME), address(AGENT), MOBILITY, data, 4)
    return (
        whole[:4]
        + (len(whole) - 40 - len(body) + start - start + len(data) - len(data) + len(body)).to_bytes(2)
        + whole[6:start]
        + data
    )
