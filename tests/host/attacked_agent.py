"""A home agent with one binding, the attacker on its only link, and how to recognise what comes back."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from host_network import Network, ask, eventually, home_agent_file
from hostile_wire import (
    IPV6,
    KEY,
    UDP,
    Impostor,
    Wire,
    address,
    ask_socket,
    packet,
    udp,
)

from unwired.host.config import load
from unwired.wire.icmpv6 import (
    ParameterProblem,
)
from unwired.wire.ipv6 import Packet, UnknownPayload
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingError,
    BindingStatus,
)

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
            self.accepted = self.node.sequence
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
